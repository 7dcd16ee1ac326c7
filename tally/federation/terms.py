"""What a federated project is created or joined with: flat maps of texts, as clients send them."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping

import msgspec

from tally.engine.options import PARTITION
from tally.engine.prescribed import Prescribed
from tally.federation.errors import TokenInvalid
from tally.federation.keys import SECRET_BYTES, is_public_key
from tally.federation.schedule import Schedule
from tally.federation.tokens import is_token
from tally.wire import texts
from tally.wire.status import Refused

_AWS = ("aws_access_key", "aws_secret_key", "aws_region", "aws_id", "s3_bucket")
_AWS_INVITED = ("aws_topic_arn", "aws_topic_region", "topic_region")
_ALIASES = {
    "group_name": "fed_name",
    "group_secret_key": "fed_secret_key",
    "group_rest_url": "fed_rest_url",
}
_UUID = re.compile(r"[0-9a-f]{32}")
_ADMIN_PARTITION = "fed_admin_partition_split"  # which partitions have to be alike by
_LOCAL_TYPES = ("cpu", "gpu", "partition")
FUSION = "fusion:"
"""What comes before the name of a fusion project that is the local one."""

_MAX_NAME = 200
_MAX_VALUE = 4096
_MAX_HOSTS = 2048
_MEMORY = "nats_stream_max_memory"
_MOST_MEMORY = 2**40
_LONGEST_REQUEST_S = 600
DEFAULT_REQUEST_S = 30


class Nats(msgspec.Struct, frozen=True, kw_only=True):
    """How the broker of a federation is reached; its credentials are not shown.

    Attributes:
        hosts: URLs, separated by commas.
        user, password; token; nkey_seed: one way at most to prove who we are.
        request_s: how long an answer of another peer is waited for.
        memory_bytes: of the object store; None: what the broker has room for.
    """

    hosts: str
    user: str = ""
    password: str = ""
    token: str = ""
    nkey_seed: str = ""
    request_s: float = DEFAULT_REQUEST_S
    memory_bytes: int | None = None

    def __repr__(self) -> str:
        return f"Nats({len(self.hosts.split(','))} host(s))"

    def told(self) -> dict[str, str]:
        """Return it as it stands in an invitation."""
        found = {
            "nats_hosts": self.hosts,
            "nats_sec_user": self.user,
            "nats_sec_passwd": self.password,
            "nats_sec_token": self.token,
            "nats_sec_nkey_seed": self.nkey_seed,
            "nats_req_timeout": f"{self.request_s:g}",
        }
        return {key: value for key, value in found.items() if value}


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What is agreed.

    Attributes:
        name: of the federation.
        sync_sched: when peers synchronise.
        local_type: of the local project; or `fusion:` and the name of the one that it is.
        partition: the column of its partitions; empty: it has none.
        encrypt: payloads are encrypted.
        hipaa: the rules for health records hold at this peer.
        block_send, block_receive: what a broken contract does to snapshots that go, and come.
        nats: the transport.
    """

    name: str
    sync_sched: str
    local_type: str
    encrypt: bool
    hipaa: bool
    block_send: bool
    block_receive: bool
    nats: Nats
    partition: str = ""


class Invitation(msgspec.Struct, frozen=True, kw_only=True):
    """What only an invitation tells; neither its secret nor its token is shown.

    Attributes:
        secret: of the federation.
        token: of this one joiner.
        admin, admin_public: uuid and public key of the peer that invites.
        rest_url: where the admin's server takes a JOIN, if it said so.
    """

    secret: bytes
    token: str
    admin: str
    admin_public: str
    rest_url: str = ""

    def __repr__(self) -> str:
        return f"Invitation(of {self.admin})"


def created_terms(given: Mapping[str, str], *, allow_seconds: bool = False) -> Terms:
    """Return what a map asks for that creates a federation.

    Args:
        given: keys that are not known are ignored, empty values are absent.
        allow_seconds: take schedules of seconds.

    Raises:
        Refused, InvalidInput: a key is missing, or its value cannot be used; names it.

    Example:
        >>> made = created_terms({"fed_name": "f", "sync_sched": "m5", "nats_hosts": "nats://n"})
        >>> made.hipaa, made.encrypt, made.nats.request_s
        (True, False, 30)
    """
    return _terms(_present(given), allow_seconds=allow_seconds)


def joined_terms(
    given: Mapping[str, str], *, allow_seconds: bool = False
) -> tuple[Terms, Invitation]:
    """Return what a map asks for that joins one: an invitation, and the joiner's own keys.

    That its HIPAA rules are no looser than the admin's is for the admin to see: whoever sends the
    map back can leave out what it likes. Partitions are those
    of the federation.

    Raises:
        Refused, InvalidInput: as `created_terms`.
        TokenInvalid: the token has not the form of one.
    """
    present = _present(given)
    for old, new in _ALIASES.items():
        if old in present:
            present.setdefault(new, present[old])
    if column := present.get(_ADMIN_PARTITION):
        present = {"fed_local_type": "partition", PARTITION: column, **present}
    terms = _terms(present, allow_seconds=allow_seconds)
    if terms.partition != (column or "").strip():
        told = f"partitions by [{column}]" if column else "no partitions"
        raise _unusable("fed_local_type", f"all peers of this federation have {told}")
    try:
        secret = base64.b64decode(_needed(present, "fed_secret_key"), validate=True)
    except ValueError:
        secret = b""
    if len(secret) != SECRET_BYTES:
        raise _unusable("fed_secret_key", f"it is not the base64 of {SECRET_BYTES} bytes")
    token = _needed(present, "fed_req_token")
    admin, admin_public = _needed(present, "fed_admin_uuid"), _needed(present, "fed_admin_pubkey")
    if not _UUID.fullmatch(admin):  # it becomes a part of subjects at the broker
        raise _unusable("fed_admin_uuid", "it is not the uuid of a peer")
    if not is_public_key(admin_public):
        raise _unusable("fed_admin_pubkey", "it is not the base64 of an Ed25519 public key")
    if not is_token(token):
        raise TokenInvalid
    return terms, Invitation(
        secret=secret,
        token=token,
        admin=admin,
        admin_public=admin_public,
        rest_url=present.get("fed_rest_url", ""),
    )


def invitation(terms: Terms, invited: Invitation, rest_url: str = "") -> dict[str, str]:
    """Return the map that a joiner sends back with keys of his own."""
    found = {
        "sync_sched": terms.sync_sched,
        "fed_name": terms.name,
        "fed_secret_key": base64.b64encode(invited.secret).decode(),
        "fed_req_token": invited.token,
        "fed_encrypt": _flag_text(terms.encrypt),
        "fed_use_smpc": "false",
        "fed_enforce_hipaa_compliance": _flag_text(terms.hipaa),
        "fed_admin_uuid": invited.admin,
        "fed_admin_pubkey": invited.admin_public,
        **terms.nats.told(),
    }
    more = {"fed_rest_url": rest_url, _ADMIN_PARTITION: terms.partition}
    return found | {key: value for key, value in more.items() if value}


def flag(given: Mapping[str, str], key: str, *, default: bool) -> bool:
    """Return a value that is true or false, in any case.

    Raises:
        InvalidInput: it is neither.
    """
    text = given.get(key, "").strip().lower()
    if text not in ("", "true", "false"):
        raise _unusable(key, f"{text[:40]!r} is neither true nor false")
    return text == "true" if text else default


def refuse_aws(given: Mapping[str, str]) -> None:
    """Refuse what would need a transport that is not there.

    Raises:
        Refused: names the key.
    """
    for key in (*_AWS, *_AWS_INVITED):
        if given.get(key, "").strip():
            raise Refused(f"[{key}] cannot be used: federations run over NATS here, not over AWS")


def _terms(given: Mapping[str, str], *, allow_seconds: bool) -> Terms:
    refuse_aws(given)
    if flag(given, "fed_use_smpc", default=False):
        raise Refused("[fed_use_smpc] cannot be true: there is no secure aggregation here")
    name, sync_sched = _needed(given, "fed_name"), _needed(given, "sync_sched")
    if len(name) > _MAX_NAME or not name.isprintable():
        raise _unusable("fed_name", f"it is not 1 to {_MAX_NAME} printable characters")
    Schedule.parse(sync_sched, allow_seconds=allow_seconds)
    hipaa = flag(given, "fed_enforce_hipaa_compliance", default=True)
    local_type = _local_type(given, hipaa=hipaa)
    return Terms(
        name=name,
        sync_sched=sync_sched,
        local_type=local_type,
        partition=_needed(given, PARTITION) if local_type == "partition" else "",
        encrypt=flag(given, "fed_encrypt", default=False),
        hipaa=hipaa,
        block_send=_blocks(given, "fed_psr_contract_snd_fail_action"),
        block_receive=_blocks(given, "fed_psr_contract_rcv_fail_action"),
        nats=_nats(given),
    )


def _local_type(given: Mapping[str, str], *, hipaa: bool) -> str:
    text = given.get("fed_local_type", "cpu").strip()
    kind = text.lower()
    if kind.startswith(FUSION) and (pid := text[len(FUSION) :].strip()):
        if hipaa:
            reason = "patients do not pass through a fusion; fed_enforce_hipaa_compliance is true"
            raise _unusable("fed_local_type", reason)
        return FUSION + pid
    if kind not in _LOCAL_TYPES:
        told = "is neither cpu, gpu, partition nor fusion: and a project"
        raise _unusable("fed_local_type", f"{kind[:40]!r} {told}")
    return kind


def _blocks(given: Mapping[str, str], key: str) -> bool:
    text = given.get(key, "").strip().lower()
    action = text.removeprefix(f"{key}_")
    if action not in ("", "block", "allow"):
        raise _unusable(key, f"{text[:60]!r} is neither {key}_block nor {key}_allow")
    return action != "allow"


def _nats(given: Mapping[str, str]) -> Nats:
    hosts = _needed(given, "nats_hosts")
    if len(hosts) > _MAX_HOSTS:
        raise _unusable("nats_hosts", f"it is longer than {_MAX_HOSTS} characters")
    user, password = given.get("nats_sec_user", ""), given.get("nats_sec_passwd", "")
    token, seed = given.get("nats_sec_token", ""), given.get("nats_sec_nkey_seed", "")
    if sum(map(bool, (user or password, token, seed))) > 1:
        raise _unusable("nats_sec_user", "there is more than one way to authenticate")
    if bool(user) != bool(password):
        raise Refused(texts.missing_key("nats_sec_passwd" if user else "nats_sec_user"))
    memory = given.get(_MEMORY, "")
    return Nats(
        hosts=hosts,
        user=user,
        password=password,
        token=token,
        nkey_seed=seed,
        request_s=_whole(given, "nats_req_timeout", DEFAULT_REQUEST_S, _LONGEST_REQUEST_S),
        memory_bytes=_whole(given, _MEMORY, 0, _MOST_MEMORY) if memory else None,
    )


def _whole(given: Mapping[str, str], key: str, default: int, most: int) -> int:
    text = given.get(key, "").strip()
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 16 and 1 <= int(text) <= most):
        raise _unusable(key, f"{text[:40]!r} is not a whole number from 1 to {most}")
    return int(text)


def _needed(given: Mapping[str, str], key: str) -> str:
    if not (text := given.get(key, "").strip()):
        raise Refused(texts.missing_key(key))
    return text


def _present(given: Mapping[str, str]) -> dict[str, str]:
    for key, value in given.items():
        if len(value) > _MAX_VALUE:
            raise _unusable(key[:60], f"it is longer than {_MAX_VALUE} characters")
    return {key: value for key, value in given.items() if value.strip()}


def _unusable(key: str, reason: str) -> Prescribed:
    return Prescribed(key, f"Invalid value of [{key}]: {reason}")


def _flag_text(value: bool) -> str:
    return "true" if value else "false"
