"""Refusals in the words that clients of the documented API look for."""

from __future__ import annotations

from tally.errors import InvalidInput


class Prescribed(InvalidInput):
    """A refusal whose whole text is prescribed; the field is not put before it.

    Example:
        >>> str(Prescribed("metric", "Unknown metric [mode]"))
        'Unknown metric [mode]'
    """

    def __init__(self, field: str, text: str) -> None:
        super().__init__(field, text)
        self.args = (text,)
