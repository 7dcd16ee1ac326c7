"""Maps that create and join federations."""

from __future__ import annotations

import pytest

from tally.errors import InvalidInput
from tally.federation.errors import TokenInvalid
from tally.federation.keys import Identity
from tally.federation.terms import Invitation, created_terms, invitation, joined_terms
from tally.wire.status import Refused

GIVEN = {"fed_name": "f", "sync_sched": "m5", "nats_hosts": "nats://n:4222"}
INVITED = Invitation(
    secret=bytes(range(16)),
    token="FEDTOKEN" + "0" * 16,
    admin="a" * 32,
    admin_public=Identity("a" * 32, bytes(32)).public,
)


def test_what_a_joiner_reads_is_what_the_admin_wrote() -> None:
    more = {
        "fed_encrypt": "TRUE",
        "fed_enforce_hipaa_compliance": "False",
        "nats_sec_user": "u",
        "nats_sec_passwd": "p",
        "nats_req_timeout": "5",
        "fed_psr_contract_snd_fail_action": "fed_psr_contract_snd_fail_action_allow",
    }
    terms = created_terms({**GIVEN, **more})
    read, invited = joined_terms(invitation(terms, INVITED, "https://a.example/createPolicies"))
    assert invited.rest_url == "https://a.example/createPolicies"
    assert (invited.secret, invited.token) == (INVITED.secret, INVITED.token)
    assert (read.encrypt, read.hipaa, read.nats) == (True, False, terms.nats)
    # What a broken contract does is for each peer to say.
    assert (terms.block_send, read.block_send, read.block_receive) == (False, True, True)


def test_a_joiner_keeps_the_admins_rules_unless_its_own_key_says_otherwise() -> None:
    loose = invitation(created_terms({**GIVEN, "fed_enforce_hipaa_compliance": "false"}), INVITED)
    strict = invitation(created_terms(GIVEN), INVITED)
    assert joined_terms(loose | {"fed_enforce_hipaa_compliance": "true"})[0].hipaa
    assert joined_terms(strict)[0].hipaa


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("fed_admin_uuid", "a.>"),
        ("fed_admin_uuid", "A" * 32),
        ("fed_admin_pubkey", "key"),
        ("fed_admin_pubkey", "AAAA"),
    ],
)
def test_an_admin_that_can_be_none_is_refused_before_anybody_is_asked(key: str, text: str) -> None:
    given = invitation(created_terms(GIVEN), INVITED) | {key: text}
    with pytest.raises(InvalidInput, match=rf"Invalid value of \[{key}\]"):
        joined_terms(given)


@pytest.mark.parametrize("text", ["FEDTOKEN", "x" * 4096, "FEDTOKEN" + "F" * 16])
def test_a_token_that_can_be_none_is_invalid(text: str) -> None:
    given = invitation(created_terms(GIVEN), INVITED) | {"fed_req_token": text}
    with pytest.raises(TokenInvalid, match=r"^Invalid federation token$"):
        joined_terms(given)


def test_partitions_travel_in_the_invitation_and_a_joiner_has_the_same() -> None:
    given = {**GIVEN, "fed_local_type": "Partition", "partitionSplit": " ward "}
    terms = created_terms(given)
    assert (terms.local_type, terms.partition) == ("partition", "ward")
    invited = invitation(terms, INVITED)
    for own in ({}, {"fed_local_type": "partition"}, {"partitionSplit": "ward"}):
        read = joined_terms(invited | own)[0]
        assert (read.local_type, read.partition) == ("partition", "ward")
    for other in ({"fed_local_type": "cpu"}, {"partitionSplit": "town"}):
        with pytest.raises(InvalidInput, match=r"all peers .* have partitions by \[ward\]"):
            joined_terms(invited | other)
    plain = invitation(created_terms(GIVEN), INVITED)
    with pytest.raises(InvalidInput, match="have no partitions"):
        joined_terms(plain | {"fed_local_type": "partition", "partitionSplit": "ward"})
    # Of no meaning to a project without partitions, as to any other.
    assert joined_terms(plain | {"partitionSplit": "ward"})[0].partition == ""


def test_partitions_need_a_column() -> None:
    with pytest.raises(Refused, match=r"Missing required key \[partitionSplit\]"):
        created_terms({**GIVEN, "fed_local_type": "partition"})


@pytest.mark.parametrize(
    "key", ["fed_secret_key", "fed_req_token", "fed_admin_uuid", "fed_admin_pubkey", "fed_name"]
)
def test_what_an_invitation_lacks_is_named(key: str) -> None:
    given = invitation(created_terms(GIVEN), INVITED)
    del given[key]
    with pytest.raises(Refused, match=rf"Missing required key \[{key}\]"):
        joined_terms(given)


@pytest.mark.parametrize("text", ["not base64!", "AAAA", "00" * 16, "\u00e9"])
def test_a_key_of_another_size_is_none(text: str) -> None:
    given = invitation(created_terms(GIVEN), INVITED) | {"fed_secret_key": text}
    with pytest.raises(InvalidInput, match="fed_secret_key") as raised:
        joined_terms(given)
    assert text not in str(raised.value)


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("nats_req_timeout", "0"),
        ("nats_req_timeout", "soon"),
        ("nats_stream_max_memory", "-1"),
        ("fed_psr_contract_rcv_fail_action", "ignore"),
        ("fed_name", "x" * 201),
        ("nats_hosts", "n," * 2000),
    ],
)
def test_a_value_that_cannot_be_used_is_named_by_its_key(key: str, text: str) -> None:
    with pytest.raises(InvalidInput, match=key):
        created_terms({**GIVEN, key: text})


def test_what_proves_who_we_are_is_not_shown() -> None:
    given = {**GIVEN, "nats_sec_nkey_seed": "SUAsecret"}
    terms = created_terms(given)
    assert "SUAsecret" not in repr(terms)
    assert INVITED.token not in repr(INVITED)
    with pytest.raises(InvalidInput) as raised:
        created_terms({**given, "nats_sec_token": "hush"})
    assert "hush" not in str(raised.value)
