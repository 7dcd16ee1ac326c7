"""Between the keys that callers see and those of the backend, which carry a prefix."""

from __future__ import annotations

from dataclasses import replace

from tally.coordination.base import Deleted, KeyValue, Put


def stripped_item(item: KeyValue, prefix: str) -> KeyValue:
    """Return the item as callers see it.

    Example:
        >>> stripped_item(KeyValue("site1/nodes/a", b"", 3), "site1/").key
        'nodes/a'
    """
    return replace(item, key=item.key.removeprefix(prefix))


def stripped_change(change: Put | Deleted, prefix: str) -> Put | Deleted:
    """Return the change as callers see it."""
    if isinstance(change, Put):
        return Put(stripped_item(change.item, prefix))
    return Deleted(change.key.removeprefix(prefix))


def end_of(prefix: bytes) -> bytes:
    r"""Return the first key after all that start with `prefix`, as etcd's ranges want it.

    Example:
        >>> end_of(b"nodes/"), end_of(b"a\xff"), end_of(b"")
        (b'nodes0', b'b', b'\x00')
    """
    shorter = prefix.rstrip(b"\xff")
    # A range that ends at NUL goes on to the last key.
    return shorter[:-1] + bytes([shorter[-1] + 1]) if shorter else b"\0"
