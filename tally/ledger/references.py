"""Which blobs the rows of fits and versions name."""

from __future__ import annotations

from collections.abc import AsyncIterator

from tally.clock import SystemClock
from tally.ids import BlobId, ModelUuid
from tally.ledger.names import Names
from tally.ledger.open_fits import OpenFits
from tally.ledger.records import Fit, FitState, Version, model_partition
from tally.ledger.transact import decode
from tally.ledger.versions import Versions
from tally.store.base import Store

_PAGE = 500


async def referenced(store: Store) -> AsyncIterator[BlobId]:
    """Yield every blob that is, or may still come to be, somebody's; some perhaps twice.

    A blob's id stands in a row before its bytes are written: that of a series in the list of open
    fits, that of a model in its fit. So whoever looks for bytes without an owner lists the blobs
    first, then asks this. What an ended fit names counts no more, except by its version: a worker
    that slept through the end may have written it since.

    Args:
        store: whose.
    """
    async for model in _models(store):
        partition = model_partition(model)
        after = ""
        while rows := await store.scan(partition, "fit/", after=after, limit=_PAGE):
            for row in rows:
                fit = decode(row, Fit)
                under_way = not (fit.state.ended or fit.state.published)
                if under_way or fit.state is FitState.FAILED:  # which may be retried by hand
                    yield fit.payload.id
                if under_way:
                    for blob in fit.blobs:
                        yield blob
            after = rows[-1].key
        after = ""
        while rows := await store.scan(partition, "version/", after=after, limit=_PAGE):
            for row in rows:
                yield decode(row, Version).blob.id
            after = rows[-1].key
    # Last: a fit of a model that was made since is still on this list, or over.
    async for _, entry in OpenFits(store).walk(whole=True):
        yield entry.payload


async def _models(store: Store) -> AsyncIterator[ModelUuid]:
    """Yield all models with rows; a deleted one is on its list before its name is freed."""
    names, after = Names(store, SystemClock()), ""
    while page := await names.page(after):
        for _, record in page:
            yield record.model
        after = page[-1][0]
    for model, _ in await Versions(store, SystemClock()).deleted():
        yield model
