"""Which blobs the rows of projects and jobs name."""

from __future__ import annotations

from collections.abc import AsyncIterator

from tally.clock import SystemClock
from tally.ids import BlobId
from tally.ledger.transact import read
from tally.projects.beside import part_blobs
from tally.projects.jobs import answer_blobs
from tally.projects.models import model_blobs
from tally.projects.records import HEAD, Head, project_partition
from tally.projects.registry import Registry
from tally.store.base import Store
from tally.users import PARTITION as USERS

_PAGE = 200


async def referenced(store: Store) -> AsyncIterator[BlobId]:
    """Yield every blob that is, or may still come to be, a project's or a job's; some twice.

    The id of a snapshot, of what stands beside one, or of a large model is in a row before its
    bytes are written, so that a home which slept in between finds them. Only a job's answer is
    written before the row that names it. So whoever looks for blobs without an owner lists the
    blobs first, then asks this, and deletes one only if it had no owner at two such looks with
    more between them than any answer's writing takes.

    Args:
        store: whose.
    """
    async for project, entry in Registry(store, SystemClock()).walk():
        if entry.blob:
            yield entry.blob
        head = (await read(store, project_partition(project), HEAD, Head)).record
        if head is not None and head.next:
            yield head.next
        if head is not None and head.blob is not None:
            yield head.blob.id
        async for blob in model_blobs(store, project):
            yield blob
        async for blob in part_blobs(store, project):
            yield blob
    async for customer in _keys(store, USERS):
        async for blob in answer_blobs(store, customer):
            yield blob


async def _keys(store: Store, partition: str) -> AsyncIterator[str]:
    after = ""
    while rows := await store.scan(partition, after=after, limit=_PAGE):
        for row in rows:
            yield row.key
        after = rows[-1].key
