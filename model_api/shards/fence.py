"""Which sum of the shards a forget was judged by: only the newest one lets rows be forgotten.

The home of a sharded project numbers the sums that it judges forgets by; a later home counts on.
It tells a shard the number when it asks for its statistics, and once more with the rows that are to
be forgotten. The number takes its place among the shard's changes. So what was judged by an earlier
sum either counts before the shard answers, and is in the newer sum, or it never counts: whichever
home sent it, and however late it comes.
"""

from __future__ import annotations

from dataclasses import dataclass

from model_api.projects.changes import Draft, Setting
from model_api.projects.home import Home
from tally.errors import InvalidInput
from tally.wire.projects import FENCE

_SUM_BITS = 40
_MAX_DIGITS = 24


@dataclass(frozen=True, slots=True)
class Raise(Setting):
    """Rows are forgotten only as judged by this sum, or a later one."""

    number: int

    def apply(self, draft: Draft) -> None:
        """Set it."""
        draft.fence = max(draft.fence or 0, self.number)


def next_number(home: Home) -> int:
    """Return the number of a sharded project's next sum: above those of earlier homes."""
    assert home.summed is not None
    home.summed.judged += 1
    return (home.head.epoch << _SUM_BITS) + home.summed.judged


def read_number(text: str) -> int | None:
    """Return the number in a header; None: there is none.

    Raises:
        InvalidInput: it is no number.
    """
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS):
        raise InvalidInput(FENCE, f"{text[:40]!r} is not a number")
    return int(text)
