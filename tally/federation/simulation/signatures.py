"""Signatures in a simulation, whose peers are one process: each is verified once, not by each."""

from __future__ import annotations

from functools import lru_cache

from tally.federation.keys import FederationKeys, verify

REMEMBERED = 4096

_verify = lru_cache(REMEMBERED)(verify)


class RememberingKeys(FederationKeys):
    """A federation's keys that verify the same bytes under the same key once; for simulations."""

    __slots__ = ()

    def verify(self, public: str, signature: bytes, message: bytes) -> bool:
        """See `FederationKeys.verify`."""
        return _verify(public, signature, message)
