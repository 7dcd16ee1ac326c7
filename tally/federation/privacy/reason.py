"""Why statistics do not leave."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """What a peer tells the others when it keeps its statistics; part of the protocol."""

    MIN_ROWS = "MIN_ROWS"
    MIN_DELTA = "MIN_DELTA"
    PATIENTS = "PATIENTS"
    T_TEST = "T_TEST"
    KS_TEST = "KS_TEST"
    INTEGRAL_TEST = "INTEGRAL_TEST"
    CONTRACT = "CONTRACT"


@dataclass(frozen=True, slots=True)
class Blocked:
    """Statistics that stay.

    Attributes:
        reason: what may be told to other peers.
        detail: a sentence with the numbers, for the owner's own log only.
    """

    reason: Reason
    detail: str
