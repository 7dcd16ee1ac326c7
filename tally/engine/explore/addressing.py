"""From what a question calls them to the attributes' indexes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tally.engine.explore.context import Context
from tally.engine.explore.refusals import UnknownAttribute
from tally.engine.rows import BINARY
from tally.engine.schema import Schema
from tally.errors import InvalidInput

_INDEX = re.compile(r"[+-]?[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class Category:
    """A category, or a binary attribute, which is one of two values.

    Attributes:
        token: what the question called it.
        members: the indexes of its values; of a binary attribute, its own.
        plain: whether it is a binary attribute: where it is 0 is a value, too.
    """

    token: str
    members: tuple[int, ...]
    plain: bool


def attribute(schema: Schema, token: str, *, named: bool = False) -> int:
    """Return the index of one attribute.

    Args:
        schema: of the project.
        token: an index as text, or a name.
        named: it is a name also if it looks like an index.

    Raises:
        UnknownAttribute: there is none.

    Example:
        >>> schema = Schema(("x", "7"), "CB", (None, None), (0, 0))
        >>> attribute(schema, "0"), attribute(schema, "x"), attribute(schema, "7", named=True)
        (0, 0, 1)
    """
    if not named and _INDEX.fullmatch(token.strip()):
        index = int(token)
        if not 0 <= index < len(schema):
            raise UnknownAttribute(token)
        return index
    found = schema.index.get(token)
    if found is None:
        raise UnknownAttribute(token)
    return found


def category(schema: Schema, token: str, *, named: bool = False) -> Category:
    """Return one category or binary attribute.

    Raises:
        UnknownAttribute: there is neither.
        InvalidInput: the attribute is continuous.
    """
    members = schema.members.get(token)
    if members is not None:
        return Category(token, tuple(members), plain=False)
    index = attribute(schema, token, named=named)
    return Category(token, (binary(schema, index),), plain=True)


def binary(schema: Schema, index: int) -> int:
    """Return the index of an attribute that must be binary.

    Raises:
        InvalidInput: it is not.
    """
    if schema.types[index] != BINARY:
        raise InvalidInput(f"attribute [{schema.names[index]}]", "is continuous, not binary")
    return index


def inputs(schema: Schema, context: Context, *counts: int) -> list[int]:
    """Return the indexes of a question's inputs, of which there must be one of these counts.

    Raises:
        UnknownAttribute: there is no such attribute.
        InvalidInput: there are more or fewer.
    """
    if len(context.inputs) not in counts:
        raise wrong_count("inputAttributes", len(context.inputs), *counts)
    named = context.inputs_are_names
    return [attribute(schema, token, named=named) for token in context.inputs]


def several(schema: Schema, context: Context) -> dict[str, int]:
    """Return the inputs of a question about a matrix, by what they are called.

    None at all stands for all attributes, by name. A category stands for its values.

    Raises:
        UnknownAttribute: there is no such attribute.
        InvalidInput: an attribute is there twice; the project has none.
    """
    tokens = context.inputs or schema.names
    named = context.inputs_are_names or not context.inputs
    found = expanded(schema, tokens, named=named)
    if not found:
        raise InvalidInput("inputAttributes", "the project has no attributes yet")
    return found


def expanded(schema: Schema, tokens: Sequence[str], *, named: bool = False) -> dict[str, int]:
    """Return attributes by what they are called, where a category stands for its values.

    Raises:
        UnknownAttribute: there is no such attribute.
        InvalidInput: an attribute is there twice.
    """
    found: dict[str, int] = {}
    seen: set[int] = set()
    for token in tokens:
        for index in values(schema, token, named=named):
            if index in seen:
                raise InvalidInput("attributes", f"[{schema.names[index]}] is there twice")
            seen.add(index)
            found[schema.names[index] if token in schema.members else token] = index
    return found


def values(schema: Schema, token: str, *, named: bool = False) -> Sequence[int]:
    """Return the indexes of a category's values, or that of one attribute.

    Raises:
        UnknownAttribute: there is neither.
    """
    members = schema.members.get(token)
    return [attribute(schema, token, named=named)] if members is None else members


def wrong_count(role: str, count: int, *wanted: int) -> InvalidInput:
    """Return the refusal of a question with too many or too few attributes."""
    return InvalidInput(role, f"{count} given, {' or '.join(map(str, wanted))} needed")
