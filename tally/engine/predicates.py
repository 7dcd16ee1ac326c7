"""The text of a row filter, read: what brokers check before a project is made with it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from tally.engine.cells import number
from tally.engine.options import ROW_FILTER
from tally.errors import InvalidInput

OPERATORS = ("==", "!=", ">=", "<=", ">", "<")

_MAX_LENGTH = 16_384
_OPERATOR = re.compile(r"==|>=|<=|!=|>|<")


@dataclass(frozen=True, slots=True)
class Predicate:
    """`name op literal`.

    Attributes:
        literal: as written, trimmed.
        value: the number that it stands for; None where it is only a text.
    """

    name: str
    op: str
    literal: str
    value: float | None


def parse(text: str) -> tuple[Predicate, ...]:
    """Return the predicates of a filter, which `;` or `,` separate; none for an empty text.

    Raises:
        InvalidInput: a predicate cannot be read; the message says where it starts, from 1.

    Example:
        >>> parse("amount > 0; region != test;")[1]
        Predicate(name='region', op='!=', literal='test', value=None)
    """
    if len(text) > _MAX_LENGTH:
        raise InvalidInput(ROW_FILTER, f"{len(text)} characters; at most {_MAX_LENGTH}")
    if not text.strip():
        return ()
    predicates = []
    start = 0
    # One separator may end the filter.
    parts = re.split("[;,]", text.rstrip().removesuffix(";"))
    for part in parts:
        predicates.append(_predicate(part, start + len(part) - len(part.lstrip()) + 1))
        start += len(part) + 1
    return tuple(predicates)


def _predicate(part: str, position: int) -> Predicate:
    found = _OPERATOR.search(part)
    if found is None:
        what = (
            f"{part.strip()[:40]!r} has no operator" if part.strip() else "a predicate is missing"
        )
        raise InvalidInput(
            ROW_FILTER, f"position {position}: {what}; one of {', '.join(OPERATORS)} is expected"
        )
    name, op, literal = part[: found.start()].strip(), found.group(), part[found.end() :].strip()
    if not name:
        raise InvalidInput(ROW_FILTER, f"position {position}: no name before {op}")
    if not literal:
        raise InvalidInput(ROW_FILTER, f"position {position}: nothing after {name} {op}")
    try:
        value: float | None = number(literal)
    except ValueError:
        value = None
    if value is not None and math.isnan(value):
        value = None  # nan, na and null are texts here: missing cells fulfil nothing anyway
    if value is None and op not in ("==", "!="):
        raise InvalidInput(
            ROW_FILTER, f"position {position}: {name} {op} wants a number, not {literal[:40]!r}"
        )
    return Predicate(name, op, literal, value)
