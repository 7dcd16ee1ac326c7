"""The life of a fit: accepted, claimed, stored, published, served; or how else it ended.

Each move is one conditional commit in the model's partition, made by the file that its kind of
move stands in.
"""

from __future__ import annotations

from tally.ledger.accepting import Accepting
from tally.ledger.attempts import Attempts
from tally.ledger.publishing import Publishing


class Fits(Accepting, Attempts, Publishing):
    """All moves of fits."""
