"""What a contract says, once it is read; `str` of any of it is contract text again."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

_NEEDS_QUOTES = re.compile(r'[,()"]|^\s|\s$|\s#|^$')


class Relation(StrEnum):
    """How a value must stand to a constant."""

    AT_LEAST = ">="
    AT_MOST = "<="
    ABOVE = ">"
    BELOW = "<"
    EQUAL = "=="
    UNEQUAL = "!="

    @property
    def negated(self) -> Relation:
        """The relation that holds where this one does not."""
        return _NEGATED[self]

    @property
    def mirrored(self) -> Relation:
        """The relation with its sides exchanged: 5 <= x is x >= 5."""
        return _MIRRORED[self]


_PAIRS = (
    (Relation.AT_LEAST, Relation.BELOW),
    (Relation.AT_MOST, Relation.ABOVE),
    (Relation.EQUAL, Relation.UNEQUAL),
)
_NEGATED = dict(_PAIRS) | {right: left for left, right in _PAIRS}
_MIRRORED = {
    Relation.AT_LEAST: Relation.AT_MOST,
    Relation.AT_MOST: Relation.AT_LEAST,
    Relation.ABOVE: Relation.BELOW,
    Relation.BELOW: Relation.ABOVE,
    Relation.EQUAL: Relation.EQUAL,
    Relation.UNEQUAL: Relation.UNEQUAL,
}


@dataclass(frozen=True, slots=True)
class Call:
    """A function of one or two attributes.

    Attributes:
        function: in upper case; it may be one that does not exist.
        features: names of attributes, at least one.
    """

    function: str
    features: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.function}({','.join(map(_feature, self.features))})"


@dataclass(frozen=True, slots=True)
class Comparison:
    """A call against a number.

    Attributes:
        constant: as it was written; a finite number.

    Example:
        >>> print(Comparison(Call("COUNT", ("x",)), Relation.AT_LEAST, "500"))
        COUNT(x) >= 500
    """

    call: Call
    relation: Relation
    constant: str

    def __str__(self) -> str:
        return f"{self.call} {self.relation} {self.constant}"


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every part must hold; at least two, none of them an `AllOf`."""

    parts: tuple[Comparison | AnyOf, ...]

    def __str__(self) -> str:
        return " AND ".join(f"({p})" if isinstance(p, AnyOf) else str(p) for p in self.parts)


@dataclass(frozen=True, slots=True)
class AnyOf:
    """One part must hold; at least two, none of them an `AnyOf`."""

    parts: tuple[Comparison | AllOf, ...]

    def __str__(self) -> str:
        return " OR ".join(map(str, self.parts))


Rule: TypeAlias = Comparison | AllOf | AnyOf


@dataclass(frozen=True, slots=True)
class Line:
    """A rule and where it stands.

    Attributes:
        number: of the line, counted from 1 over all lines of the contract.
    """

    number: int
    rule: Rule


def all_of(parts: tuple[Rule, ...]) -> Rule:
    """Return the rule that every part holds; at least one part."""
    flat: list[Comparison | AnyOf] = []
    for part in parts:
        flat.extend(part.parts if isinstance(part, AllOf) else (part,))
    return flat[0] if len(flat) == 1 else AllOf(tuple(flat))


def any_of(parts: tuple[Rule, ...]) -> Rule:
    """Return the rule that some part holds; at least one part."""
    flat: list[Comparison | AllOf] = []
    for part in parts:
        flat.extend(part.parts if isinstance(part, AnyOf) else (part,))
    return flat[0] if len(flat) == 1 else AnyOf(tuple(flat))


def comparisons(rule: Rule) -> tuple[Comparison, ...]:
    """Return all comparisons of a rule, from left to right."""
    if isinstance(rule, Comparison):
        return (rule,)
    return tuple(found for part in rule.parts for found in comparisons(part))


def _feature(name: str) -> str:
    if _NEEDS_QUOTES.search(name):
        return '"' + name.replace('"', '""') + '"'
    return name
