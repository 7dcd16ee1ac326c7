"""What is sent and told of a federation: encrypted maps of texts, and what a peer tells."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from tally.errors import InvalidInput
from tally.wire import texts
from tally.wire.bodycrypt import decrypt, encrypt
from tally.wire.contexts import parse_string_map
from tally.wire.json_body import decode_body
from tally.wire.secret_key import SecretKey
from tally.wire.status import Refused

INVITATION = ("encryptedGroupInfo", "fedInfoEncrypted")
"""The same under the names that the client reads and that the documents show."""

INFO = "fedInfoEncrypted"
STATS = "fedSyncStats"
JOIN_ACK = "joinAck"
EXPLORED_PEER = "fed_peer_uuid_for_explore"
"""Key of `extraParameters` that names the peer whose statistics are meant."""

PEERS = "fed_peers"
"""Under which a model tells the names of the peers that it stands on: JSON, by uuid."""

EXPLORED_STALE = "fed_explore_stale"
MAX_MAP_BYTES = 256 * 1024


class FederationInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What a peer tells its user of itself; members that only other transports have are empty.

    Attributes:
        node_state: `IDLE`, `PULSING`, `LEAVING` or `DETACHED`.
        is_connected: the federation's broker can be reached.
        not_shared: why the newest rows were not shared; empty: they were, or there are none.
    """

    aws_id: str = ""
    aws_access_key: str = ""
    aws_queue_url: str = ""
    aws_secret_key: str = ""
    aws_topic_arn: str = ""
    s3_bucket: str = ""
    fed_local_id: str
    fed_name: str
    fed_secret_key: str
    sync_sched: str
    fed_type: str
    local_uuid: str
    contract: str
    rcv_error_action: str
    snd_error_action: str
    fed_use_smpc: str
    is_pulsing: bool
    node_state: str = ""
    is_connected: bool = True
    not_shared: str = ""
    allow_peers_explore: bool
    peersInfo: dict[str, str]  # noqa: N815 - as it is on the wire


class PeerInfo(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a peer knows of another.

    Attributes:
        state: `ACTIVE`, `STALE`, `BLOCKED`, `LEFT` or `DETACHED`.
        rows, epoch, seq: of its snapshot that counts; 0 where there is none.
        last_sync: when it was last heard, in milliseconds since 1970; 0: never.
        withheld: why it did not share its newest rows, as it told; empty: it did.
    """

    name: str
    state: str
    rows: int
    epoch: int
    seq: int
    last_sync: int
    withheld: str = ""


class SyncStats(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a peer counts, and its logs."""

    snd_count: int
    snd_contract_error: int
    rcv_count: int
    rcv_error: int
    rcv_contract_error: dict[str, int]
    error_log: tuple[str, ...]
    sync_log: tuple[str, ...]


class _StringList(msgspec.Struct, frozen=True):
    values: tuple[str, ...] = ()


def open_map(key: SecretKey, body: bytes) -> dict[str, str]:
    """Return the map in a body that is encrypted with the customer's key.

    Raises:
        Refused: 400, it is not.
        InvalidInput: what it holds is no map of texts, or too much.
    """
    if len(body) > MAX_MAP_BYTES:
        raise InvalidInput("body", f"it is larger than {MAX_MAP_BYTES} bytes")
    try:
        plain = decrypt(key, body)
    except InvalidInput:
        raise Refused(texts.CANNOT_DECRYPT) from None
    try:
        return parse_string_map(plain)
    except InvalidInput:
        # Never with the decoder's words, which may quote what was encrypted.
        raise InvalidInput("body", "what is encrypted is no map of texts") from None


def seal_map(key: SecretKey, given: Mapping[str, str]) -> str:
    """Return a map encrypted with the customer's key, as `open_map` takes it.

    Example:
        >>> key = SecretKey(bytes(range(16)))
        >>> open_map(key, seal_map(key, {"sync_sched": "m5"}).encode())
        {'sync_sched': 'm5'}
    """
    return encrypt(key, msgspec.json.encode(given))


def seal_info(key: SecretKey, info: FederationInfo) -> str:
    """Return what a peer tells of itself, encrypted with the customer's key."""
    return encrypt(key, msgspec.json.encode(info))


def read_lines(body: bytes) -> tuple[str, ...]:
    """Return the texts of a StringList, bare or under `values`.

    Raises:
        InvalidInput: it is none.

    Example:
        >>> read_lines(b'["a"]'), read_lines(b'{"values":["a","b"]}')
        (('a',), ('a', 'b'))
    """
    if body.lstrip()[:1] == b"[":
        return decode_body(body, tuple[str, ...])
    return decode_body(body or b"{}", _StringList).values
