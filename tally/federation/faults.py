"""What may go wrong on the way in the in-process transport, drawn from a seed."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field

ACK_WAIT_MS = 60_000
MAX_DELIVER = 5


@dataclass(slots=True)
class Faults:
    """Chances of what may happen to a message, and who is cut off.

    Attributes:
        rng: everything is drawn from it, in the order of the calls.
        drop: chance that a published snapshot is lost, although its sender is told otherwise.
        miss: chance that one delivery is lost; it comes again after `ack_wait_ms`.
        repeat: chance that a delivery comes again, `repeats` times.
        delay_ms: a delivery takes up to so long, so that one may overtake another.
        cut_off: peers that cannot reach the broker.
        ack_wait_ms: an unacknowledged delivery is repeated after this.
        max_deliver: so many times at most.
        happened: how often each thing did, in words.
    """

    rng: random.Random = field(default_factory=lambda: random.Random(0))  # noqa: S311 - replayed
    drop: float = 0.0
    miss: float = 0.0
    repeat: float = 0.0
    repeats: int = 1
    delay_ms: int = 0
    cut_off: set[str] = field(default_factory=set)
    ack_wait_ms: int = ACK_WAIT_MS
    max_deliver: int = MAX_DELIVER
    happened: Counter[str] = field(default_factory=Counter)

    def happens(self, chance: float, what: str) -> bool:
        """Draw whether something happens, and count it; what cannot happen draws nothing."""
        if chance <= 0 or self.rng.random() >= chance:
            return False
        self.happened[what] += 1
        return True

    def delay(self) -> int:
        """Draw how long a delivery takes."""
        return self.rng.randint(0, self.delay_ms) if self.delay_ms else 0

    def heal(self) -> None:
        """Let nothing go wrong from now on."""
        self.drop = self.miss = self.repeat = 0.0
        self.delay_ms = 0
        self.cut_off.clear()
