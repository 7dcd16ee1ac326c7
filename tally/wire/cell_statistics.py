"""Statistics of a project on their way to whoever merges them: what they are, and their bytes.

Layout: 8 bytes of magic, 1 of version, 4 with the size of the head (little-endian), 32 of SHA-256
over the head, the head as JSON, and the project's bytes up to the end, which have a digest of
their own. The brokers read the head only.
"""

from __future__ import annotations

import hashlib
import re

import msgspec

from tally.errors import CorruptState

MAGIC = b"TALLYCEL"
VERSION = 1
MAX_LEAVES = 10_000
MAX_HEAD_BYTES = 4 << 20
MAX_ROWS = 2**53
"""Floats count up to here without a gap."""

_SIZE_AT = len(MAGIC) + 1
_DIGEST_AT = _SIZE_AT + 4
_HEAD_AT = _DIGEST_AT + 32
_NAME = re.compile(r"[A-Za-z0-9_.:-]{1,100}", re.ASCII)


class LeafRecord(msgspec.Struct, frozen=True):
    """Rows of one project in one state; see `tally.fusion.sources.Leaf`."""

    source_uuid: str
    version: str
    rows: int


class CellHead(msgspec.Struct, frozen=True, kw_only=True):
    """What the statistics are.

    Attributes:
        source: uuid of the project.
        version: of its statistics.
        rows: that they count.
        attributes: that they have.
        provenance: whose rows they are.
        not_modified: they are those that the asker has, and no bytes follow.
    """

    source: str
    version: str
    rows: int
    attributes: int = 0
    provenance: tuple[LeafRecord, ...] = ()
    not_modified: bool = False


def pack_cell(head: CellHead, project: bytes = b"") -> bytes:
    """Return a head and a project's bytes as one; equal ones give equal bytes.

    Example:
        >>> head = CellHead(source="ab", version="1-1", rows=0)
        >>> unpack_cell(pack_cell(head, b"...")) == (head, b"...")
        True
    """
    text = msgspec.json.encode(head, order="sorted")
    size, digest = len(text).to_bytes(4, "little"), hashlib.sha256(text).digest()
    return b"".join((MAGIC, bytes([VERSION]), size, digest, text, project))


def unpack_cell(data: bytes) -> tuple[CellHead, bytes]:
    """Return the head and the project's bytes, those unread.

    Raises:
        CorruptState: they are cut, changed, no such statistics, or of a newer version of ours.
    """
    if len(data) < _HEAD_AT or not data.startswith(MAGIC):
        raise CorruptState("a cell's statistics do not begin as ours")
    if data[_SIZE_AT - 1] != VERSION:
        raise CorruptState(
            f"a cell's statistics have format {data[_SIZE_AT - 1]}; {VERSION} is known"
        )
    end = _HEAD_AT + int.from_bytes(data[_SIZE_AT:_DIGEST_AT], "little")
    if end > min(_HEAD_AT + MAX_HEAD_BYTES, len(data)):
        raise CorruptState(f"a cell's statistics of {len(data)} bytes are cut, or their head lies")
    text = data[_HEAD_AT:end]
    if hashlib.sha256(text).digest() != data[_DIGEST_AT:_HEAD_AT]:
        raise CorruptState("the head of a cell's statistics does not match its digest")
    try:
        head = msgspec.json.decode(text, type=CellHead)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise CorruptState(f"the head of a cell's statistics cannot be read: {error}") from error
    _check(head)
    return head, data[end:]


def _check(head: CellHead) -> None:
    leaves = head.provenance
    if len(leaves) > MAX_LEAVES:
        raise CorruptState(
            f"a cell's statistics come from {len(leaves)} projects; that is too many"
        )
    if len({leaf.source_uuid for leaf in leaves}) != len(leaves):
        raise CorruptState("a cell's statistics count the same project twice")
    if any(not 0 <= rows <= MAX_ROWS for rows in (head.rows, *(leaf.rows for leaf in leaves))):
        raise CorruptState(f"a cell's statistics count no number of rows up to {MAX_ROWS}")
    # They are shown, logged, and sent on as questions and provenance: no place for a text.
    named = ((head.source, head.version), *((leaf.source_uuid, leaf.version) for leaf in leaves))
    if not all(_NAME.fullmatch(name) for names in named for name in names):
        raise CorruptState("a source or a version of a cell's statistics is no such name")
