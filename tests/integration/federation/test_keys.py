"""Every key of the maps that make, invite to and join federations: what is wrong is named."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

from model_api.federation.wiring import IN_PROCESS
from tally.wire.bodycrypt import encrypt
from tally.wire.federation import seal_map
from tests.integration.federation.peers import create, federation_info, invited, join, servers
from tests.integration.symetry.customer import Customer

pytestmark = pytest.mark.asyncio(loop_scope="module")

HUGE = "x" * 4097
AWS = (
    "aws_access_key", "aws_secret_key", "aws_region", "aws_id", "s3_bucket", "aws_topic_arn",
    "aws_topic_region", "topic_region",
)  # fmt: skip
OWN: list[tuple[str, str, str]] = [
    *((key, "x", f"[{key}] cannot be used: federations run over NATS here, not over AWS")
      for key in AWS),
    *((key, HUGE, f"Invalid value of [{key}]: it is longer than 4096 characters")
      for key in ("fed_name", "nats_sec_passwd", "anything")),
    *((key, "", f"Missing required key [{key}]")
      for key in ("fed_name", "sync_sched", "nats_hosts")),
    *((key, "maybe", f"Invalid value of [{key}]: 'maybe' is neither true nor false")
      for key in ("fed_encrypt", "fed_use_smpc", "fed_enforce_hipaa_compliance")),
    *((key, "refuse", f"Invalid value of [{key}]: 'refuse' is neither {key}_block nor {key}_allow")
      for key in ("fed_psr_contract_snd_fail_action", "fed_psr_contract_rcv_fail_action")),
    ("fed_use_smpc", "TRUE", "[fed_use_smpc] cannot be true: there is no secure aggregation here"),
    ("fed_name", "a\nb", "Invalid value of [fed_name]: it is not 1 to 200 printable characters"),
    ("sync_sched", "h 5", "Invalid sync schedule [h 5]"),
    ("fed_local_type", "tpu",
     "Invalid value of [fed_local_type]: 'tpu' is neither cpu, gpu, partition nor fusion: and a "
     "project"),
    ("nats_hosts", "n" * 2049, "Invalid value of [nats_hosts]: it is longer than 2048 characters"),
    ("nats_sec_user", "u", "Missing required key [nats_sec_passwd]"),
    ("nats_sec_passwd", "p", "Missing required key [nats_sec_user]"),
    *((key, text, f"Invalid value of [{key}]: {text!r} is not a whole number from 1 to {most}")
      for key, most in (("nats_req_timeout", 600), ("nats_stream_max_memory", 2**40))
      for text in ("0", "-1", "2.5", "1e3", "soon", str(most + 1))),
]  # fmt: skip
INVITED: list[tuple[str, str, str]] = [
    *((key, "", f"Missing required key [{key}]")
      for key in ("fed_secret_key", "fed_req_token", "fed_admin_uuid", "fed_admin_pubkey")),
    ("fed_secret_key", "AAAA",
     "Invalid value of [fed_secret_key]: it is not the base64 of 16 bytes"),
    ("fed_admin_uuid", "*", "Invalid value of [fed_admin_uuid]: it is not the uuid of a peer"),
    ("fed_admin_pubkey", "AAAA",
     "Invalid value of [fed_admin_pubkey]: it is not the base64 of an Ed25519 public key"),
]  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def owners(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[list[Customer]]:
    async with servers(tmp_path_factory.mktemp("keys"), 2) as running:
        ann, _ = running
        assert (await create(ann, "there")).status == 201
        yield running


async def all_there_is(owners: list[Customer]) -> object:
    lists = [(await owner.get("projects/list")).values for owner in owners]
    peers = (await federation_info(owners[0], "there"))["peersInfo"]
    return lists, peers, set(IN_PROCESS.brokers)


@pytest.mark.parametrize(("key", "value", "text"), OWN)
async def test_what_is_wrong_is_named_and_nothing_is_made(
    owners: list[Customer], key: str, value: str, text: str
) -> None:
    ann, bob = owners
    invitation, before = await invited(ann, "there"), await all_there_is(owners)
    for told in (
        await create(ann, "wrong", **{key: value}),
        await join(bob, "wrong", invitation, **{key: value}),
    ):
        assert (told.status, told.text) == (400, text)
    assert await all_there_is(owners) == before


@pytest.mark.parametrize(("key", "value", "text"), INVITED)
async def test_what_is_wrong_with_an_invitation_is_named_and_nobody_joins(
    owners: list[Customer], key: str, value: str, text: str
) -> None:
    ann, bob = owners
    invitation, before = await invited(ann, "there"), await all_there_is(owners)
    told = await join(bob, "wrong", invitation, **{key: value})
    assert (told.status, told.text) == (400, text)
    assert await all_there_is(owners) == before
    assert (await join(bob, f"right-{key}-{len(value)}", invitation)).status == 201


async def test_an_invitation_is_encrypted_with_the_password_filled_up_with_zeros(
    owners: list[Customer],
) -> None:
    ann, _ = owners
    body = seal_map(ann.key, {"passwd": "passwd"}).encode()
    told = (await ann.post("fedml/there/getEncrypted", body)).values
    assert told["encryptedGroupInfo"] == told["fedInfoEncrypted"]
    decryptor = Cipher(AES(b"passwd0000000000"), ECB()).decryptor()
    plain = decryptor.update(base64.b64decode(told["encryptedGroupInfo"])) + decryptor.finalize()
    invitation = json.loads(plain[: -plain[-1]])
    assert re.fullmatch("FEDTOKEN[0-9a-f]{16}", invitation["fed_req_token"])
    assert len(base64.b64decode(invitation["fed_secret_key"])) == 16


@pytest.mark.parametrize("host", ["", "here", "http://here:5000/", "https://here/behind/a/proxy"])
async def test_an_invitation_tells_where_the_admin_is(owners: list[Customer], host: str) -> None:
    told = await invited(owners[0], "there", fed_rest_host=host)
    path = f"/symetry/rest/{owners[0].cid}/fedml/there/createPolicies"
    origin = host.rstrip("/") if "://" in host else f"https://{host}"
    assert told.get("fed_rest_url", "") == (origin + path if host else "")


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("passwd", "", "Missing required key [passwd]"),
        ("passwd", "x" * 17, "Password must be 1 to 16 bytes"),
        *(
            (
                "fed_token_timeout_hours",
                hours,
                f"Invalid value of [fed_token_timeout_hours]: [{hours}]",
            )
            for hours in ("0", "-1", "1.5", "8761", "two")
        ),
        *(
            ("fed_rest_host", host, "Invalid value of [fed_rest_host]: it is not https://name:port")
            for host in ("ftp://here", "a b", "https://", "https://u:p@here", "here?x", "h" * 301)
        ),
    ],
)
async def test_what_is_wrong_with_a_wish_for_an_invitation_is_named(
    owners: list[Customer], key: str, value: str, text: str
) -> None:
    ann, _ = owners
    body = seal_map(ann.key, {"passwd": "passwd", key: value}).encode()
    told = await ann.post("fedml/there/getEncrypted", body)
    assert (told.status, told.text) == (400, text)


@pytest.mark.parametrize("plain", [b"[]", b'"x"', b"{", b'{"fed_name":["a"]}', b"\xff"])
async def test_a_map_of_anything_but_texts_is_none(owners: list[Customer], plain: bytes) -> None:
    ann, _ = owners
    before = await all_there_is(owners)
    for path in ("fedml/create", "fedml/createJoin", "fedml/there/getInvitation", "fedml/awsinfo"):
        told = await ann.post(path, encrypt(ann.key, plain).encode(), "pid=wrong")
        assert (told.status, told.text) == (400, "body: what is encrypted is no map of texts")
    assert await all_there_is(owners) == before


@pytest.mark.parametrize("pid", ["", "a/b", "a b", "list", "createJoin", "x" * 129])
async def test_a_name_that_no_project_may_have_makes_no_federation(
    owners: list[Customer], pid: str
) -> None:
    before = await all_there_is(owners)
    told = await create(owners[0], pid.replace("/", "%2F").replace(" ", "%20"))
    assert told.status == 400
    assert await all_there_is(owners) == before


async def test_truth_has_any_case_numbers_are_texts_and_what_is_unknown_is_ignored(
    owners: list[Customer],
) -> None:
    ann, bob = owners
    plain = (
        b'{"fed_name":"loose","sync_sched":"m5","nats_hosts":"memory:",'
        b'"fed_encrypt":true,"fed_enforce_hipaa_compliance":"FALSE","nats_req_timeout":5,'
        b'"fed_use_smpc":false,"aws_region":"","local_name":"anything"}'
    )
    told = await ann.post("fedml/create", encrypt(ann.key, plain).encode(), "pid=loose")
    assert told.status == 201, told.body
    invitation = await invited(ann, "loose")
    assert (invitation["fed_encrypt"], invitation["nats_req_timeout"]) == ("true", "5")
    assert set(invitation) == {
        "sync_sched", "fed_name", "fed_secret_key", "fed_req_token", "fed_encrypt",
        "fed_use_smpc", "fed_enforce_hipaa_compliance", "fed_admin_uuid", "fed_admin_pubkey",
        "nats_hosts", "nats_req_timeout",
    }  # fmt: skip
    assert (await join(bob, "loose", invitation, aws_region="", local_name="x")).status == 201


async def test_the_rules_of_a_strict_admin_are_kept_though_the_invitation_does_not_ask(
    owners: list[Customer],
) -> None:
    ann, bob = owners
    assert (await create(ann, "strict", fed_enforce_hipaa_compliance="")).status == 201
    invitation = await invited(ann, "strict")
    del invitation["fed_enforce_hipaa_compliance"]
    loose = await join(bob, "strict", invitation, fed_enforce_hipaa_compliance="false")
    assert (loose.status, loose.text) == (
        400,
        "Cannot join federation: the federation enforces the HIPAA rules, and a peer may only "
        "tighten them: [fed_enforce_hipaa_compliance] must be true",
    )
    assert (await federation_info(ann, "strict"))["peersInfo"] == {}
    assert (await join(bob, "strict", invitation)).status == 201, "the token was not used up"
