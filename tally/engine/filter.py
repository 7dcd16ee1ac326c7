"""The row filter of a project: predicates that a row must all fulfil to be learned."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tally.engine.cells import category, number
from tally.engine.frame import CATEGORY, NUMERIC, SEPARATOR, Frame, Numbers, Texts
from tally.engine.predicates import Predicate

Mask = NDArray[np.bool_]

_COMPARE: Mapping[str, Callable[[Any, float], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}


def accepted(frame: Frame, predicates: tuple[Predicate, ...]) -> Mask:
    """Return for each row whether it fulfils all predicates.

    A name is a column of the frame, or `base$value` of a category. A missing cell fulfils
    nothing, not even `!=`; nor does a column that the frame lacks.

    Example:
        >>> from tally.engine.predicates import parse
        >>> frame = Frame(("x", "color"), "CT", (np.array([1.0, 3.0]), (" Red", "blue")), 2)
        >>> accepted(frame, parse("x<2;color==red")).tolist()
        [True, False]
    """
    mask = np.ones(frame.rows, np.bool_)
    for predicate in predicates:
        mask &= _fulfilled(frame, predicate)
    return mask


def _fulfilled(frame: Frame, predicate: Predicate) -> Mask:
    if predicate.name in frame.names:
        index = frame.names.index(predicate.name)
        letter = frame.types[index]
        if letter in NUMERIC:
            return _compare(frame.numbers(index), predicate)
        return _compare_texts(frame.texts(index), predicate, is_category=letter == CATEGORY)
    for index, (name, letter) in enumerate(zip(frame.names, frame.types, strict=True)):
        if letter == CATEGORY and predicate.name.startswith(name + SEPARATOR):
            member = category(predicate.name[len(name) + 1 :])
            cells = frame.texts(index)
            flags = (math.nan if c is None else float(category(c) == member) for c in cells)
            return _compare(np.fromiter(flags, np.float64, frame.rows), predicate)
    return np.zeros(frame.rows, np.bool_)


def _compare(values: Numbers, predicate: Predicate) -> Mask:
    if predicate.value is None:
        # A number is never equal to a text.
        return ~np.isnan(values) if predicate.op == "!=" else np.zeros(len(values), np.bool_)
    mask: Mask = _COMPARE[predicate.op](values, predicate.value) & ~np.isnan(values)
    return mask


def _compare_texts(cells: Texts, predicate: Predicate, *, is_category: bool) -> Mask:
    verdicts: dict[str | None, bool] = {None: False}
    for cell in set(cells):
        if cell is not None:
            verdicts[cell] = _holds(category(cell) if is_category else cell, predicate, is_category)
    return np.fromiter((verdicts[cell] for cell in cells), np.bool_, len(cells))


def _holds(cell: str, predicate: Predicate, is_category: bool) -> bool:
    if predicate.value is not None:
        try:
            return bool(_COMPARE[predicate.op](number(cell), predicate.value))
        except ValueError:
            pass
    if predicate.op not in ("==", "!="):
        return False
    literal = category(predicate.literal) if is_category else predicate.literal
    return (cell.strip() == literal) == (predicate.op == "==")
