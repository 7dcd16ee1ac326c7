"""The ledger of fits and versions: what was accepted, what came of it, and what is served.

It stands on `tally.store` alone. All rows of one model share one partition, so that accepting
a fit, storing its result and publishing it are each one atomic commit.
"""

from __future__ import annotations

from tally.clock import Clock
from tally.ledger.fits import Fits
from tally.ledger.names import Names
from tally.ledger.versions import Versions
from tally.store.base import Store


class Ledger:
    """Everything about fits and versions over one store."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self.store = store
        self.names = Names(store, clock)
        self.fits = Fits(store, clock)
        self.versions = Versions(store, clock)
