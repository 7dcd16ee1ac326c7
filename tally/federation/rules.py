"""What decides whether statistics may leave a peer, and whether others' are taken: a port."""

from __future__ import annotations

from typing import Protocol

from tally.federation.privacy.reason import Blocked
from tally.federation.state import Approved, Local


class Rules(Protocol):
    """Privacy and contract, as pure functions: equal arguments, equal answers."""

    def refusal(self, local: Local, approved: Approved | None) -> Blocked | None:
        """Return why these statistics may not leave; None: they may.

        Args:
            local: what has changed since `approved`.
            approved: what the others may have; None: nothing yet.
        """
        ...

    def contract_failures(self, payload: bytes, contract: tuple[str, ...]) -> tuple[str, ...]:
        """Return a sentence for each rule of the contract that these statistics fail.

        Raises:
            TallyError: the bytes are no statistics, whatever the contract.
        """
        ...
