"""Answers by a model: rows in, one map of texts for each row out."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import numpy as np

from model_api.projects.calls import Call
from tally.codec.frame import decode_cells
from tally.codec.frame.limits import Limits
from tally.errors import InvalidInput, TooLarge
from tally.models.base import Answers
from tally.models.model import Cells, Model
from tally.wire.envelope import KSVS_MAP, Values
from tally.wire.java_text import java_double
from tally.wire.status import Refused, StatusCode
from tally.wire.texts import bad_frame

_MOST_ANSWERS = 2_000_000  # each is a text of its own until the answer is written


def predicted(model: Model, call: Call, limits: Limits) -> Values:
    """Return `KSVSMap`: the model's answer to each row of the body, in order.

    Columns are found by name; others, and the types that the body declares, are ignored.

    Raises:
        Refused: the body holds no rows.
        InvalidInput: models of this family do not predict.
    """
    bases = {attribute.base for attribute in model.filler.known if attribute.base is not None}
    impute = call.flag("impute", default=False)
    columns, rows = columns_of(call, limits, bases)
    if rows * len(model.rule.keys) > _MOST_ANSWERS:
        text = f"{rows} rows of {len(model.rule.keys)} answers are more than {_MOST_ANSWERS}"
        raise Refused(bad_frame(text), StatusCode.REQUEST_ENTITY_TOO_LARGE)
    answers = model.predict(columns, rows, impute=impute)
    keys = tuple(answers)
    cells = (_texts(answers[key]) for key in keys)
    return {
        KSVS_MAP: {
            "values": [dict(zip(keys, row, strict=True)) for row in zip(*cells, strict=True)]
        }
    }


def columns_of(call: Call, limits: Limits, texts: Collection[str]) -> tuple[dict[str, Cells], int]:
    """Return the columns of a body by name, and how many rows it has.

    Args:
        call, limits: whose, and how large it may be.
        texts: columns that are wanted as texts.

    Raises:
        Refused: it holds no rows.
    """
    try:
        return decode_cells(
            call.body,
            media_type=call.media_type,
            content_encoding=call.content_encoding,
            texts=texts,
            limits=limits,
        )
    except TooLarge as error:
        raise Refused(bad_frame(str(error)), StatusCode.REQUEST_ENTITY_TOO_LARGE) from error
    except InvalidInput as error:
        raise Refused(bad_frame(str(error))) from error


def _texts(answers: Answers) -> Iterable[str]:
    if isinstance(answers, tuple):
        return answers
    if np.issubdtype(answers.dtype, np.floating):
        return map(java_double, answers.tolist())
    return map(str, answers.tolist())
