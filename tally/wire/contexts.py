"""What requests under `/symetry` ask about: attributes, targets and parameters.

Clients write the same things in several ways: indexes as numbers or as text, absent lists as
null, a map flat or wrapped in `{"values":[...]}`. All of them are read; members that we do not
know are ignored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import msgspec

from tally.errors import InvalidInput, TooLarge
from tally.wire.java_text import java_text
from tally.wire.json_body import decode_body

MAX_CONTEXTS = 100_000
MAX_ITEMS = 2_000_000
MAX_PARAMETERS = 1_000

Scalar: TypeAlias = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Selection:
    """Attributes in one role, in the client's order.

    Attributes:
        tokens: indexes as text, or names.
        by_name: every token is a name; otherwise one that is no whole number is a name, too.
    """

    tokens: tuple[str, ...]
    by_name: bool

    def __len__(self) -> int:
        return len(self.tokens)


class MLContext(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """One question: which attributes, which targets, and how.

    Example:
        >>> context = parse_ml_context(b'{"inputAttributes":[12],"extraParameters":{"bins":5}}')
        >>> context.inputs()
        Selection(tokens=('12',), by_name=False)
        >>> context.parameter("hist_bins", "bins")
        '5'
    """

    targets: list[str | int] | None = None
    input_attributes: list[str | int] | None = None
    target_attribute_names: list[str] | None = None
    input_attribute_names: list[str] | None = None
    extra_parameters: dict[str, Scalar] | None = None

    def inputs(self) -> Selection:
        """Return the input attributes; names win where both are given."""
        return _selection(self.input_attribute_names, self.input_attributes)

    def aims(self) -> Selection:
        """Return the targets; names win where both are given."""
        return _selection(self.target_attribute_names, self.targets)

    def parameter(self, *names: str) -> str | None:
        """Return the first extra parameter that is there, as text; None: none of them is."""
        for name in names:
            value = (self.extra_parameters or {}).get(name)
            if value is not None:
                return java_text(value)
        return None

    def parameters(self) -> dict[str, str]:
        """Return all extra parameters as text."""
        return _texts(self.extra_parameters or {})


class _ExploreContext(msgspec.Struct, gc=False):
    values: list[MLContext] | None = None


class _Wrapped(msgspec.Struct):
    values: list[dict[str, Scalar]]


def parse_explore_context(body: bytes, max_contexts: int = MAX_CONTEXTS) -> list[MLContext]:
    """Return the questions of an ExploreContext, at least one.

    Raises:
        InvalidInput: it is not of that form; names the place.
        TooLarge: it has too many questions or attributes.
    """
    _check_size(body)
    contexts = decode_body(body, _ExploreContext).values
    if not contexts:
        raise InvalidInput("values", "it is missing or empty; it holds at least one MLContext")
    if len(contexts) > max_contexts:
        raise TooLarge("values", f"{len(contexts)} contexts are more than {max_contexts}")
    return contexts


def parse_ml_context(body: bytes) -> MLContext:
    """Return a body that is one MLContext.

    Raises:
        InvalidInput: it is not of that form; names the place.
        TooLarge: it has too many attributes.
    """
    _check_size(body)
    return decode_body(body, MLContext)


def parse_string_map(body: bytes) -> dict[str, str]:
    """Return a map of texts; an empty body is an empty map, members that are null are left out.

    Args:
        body: `{"key":"text"}`, or `{"values":[{"key":"text"}]}`; numbers and booleans are read
            as their text.

    Raises:
        InvalidInput: it is not of that form; names the place.
        TooLarge: it has more than `MAX_PARAMETERS` members.

    Example:
        >>> parse_string_map(b'{"sml_project_order":2,"x":null,"persist":true}')
        {'sml_project_order': '2', 'persist': 'true'}
        >>> parse_string_map(b'{"values":[{"sml_project_order":"2"}]}')
        {'sml_project_order': '2'}
    """
    if not body.strip():
        return {}
    _check_size(body)
    members = decode_body(body, dict[str, msgspec.Raw])
    if bytes(members.get("values", b"")).lstrip()[:1] == b"[":
        wrapped = decode_body(body, _Wrapped).values
        given = {key: value for one in wrapped for key, value in one.items()}
    else:
        given = decode_body(body, dict[str, Scalar])
    if len(given) > MAX_PARAMETERS:
        raise TooLarge("body", f"{len(given)} parameters are more than {MAX_PARAMETERS}")
    return _texts(given)


def _selection(names: list[str] | None, tokens: list[str | int] | None) -> Selection:
    if names:
        return Selection(tuple(names), by_name=True)
    return Selection(tuple(map(str, tokens or ())), by_name=False)


def _texts(values: dict[str, Scalar]) -> dict[str, str]:
    return {key: java_text(value) for key, value in values.items() if value is not None}


def _check_size(body: bytes) -> None:
    # Decoded, an item takes many times its bytes: what must be refused is not decoded at all.
    if body.count(b",") >= MAX_ITEMS:
        raise TooLarge("body", f"it has more than {MAX_ITEMS} items")
