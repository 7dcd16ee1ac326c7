"""A statistical model as bytes: safetensors with JSON, versioned, with a digest. Never pickle.

Numbers with a fraction stand in arrays, never in the JSON, so that each comes back to the last
bit, and NaN and infinities too.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tally.codec.arrays import Arrays
from tally.codec.tensors import pack, unpack
from tally.errors import CorruptState, InvalidInput
from tally.models.base import Attribute, Rule, Source, Table, Value, settled
from tally.models.families import family
from tally.models.filling import Filler
from tally.models.model import Model

FORMAT_VERSION = 1
_KIND = "model"


class _Column(msgspec.Struct, frozen=True):
    """A column of a table: texts, or an array."""

    name: str
    texts: list[str] | None = None


class _Table(msgspec.Struct, frozen=True):
    name: str
    columns: list[_Column]


class _Record(msgspec.Struct, frozen=True):
    """What of a model is not in its arrays; values of `info` that are null are."""

    family: str
    targets: tuple[str, ...]
    parameters: dict[str, str]
    rule: str
    rule_values: dict[str, bool | int | list[str]]
    rule_floats: list[str]
    known: tuple[Attribute, ...]
    inputs: int
    sources: tuple[Source, ...]
    info: list[tuple[str, bool | int | str | None]]
    tables: list[_Table]
    dropped: list[tuple[str, str]]


def encode(model: Model) -> bytes:
    """Return a model as bytes; equal ones give equal bytes."""
    arrays: dict[str, NDArray[Any]] = {
        "rows": np.array([model.rows, model.learned]),
        "info": np.array([v for v in model.info.values() if _is_float(v)], np.float64),
        "filler/mean": model.filler.mean,
    }
    if len(model.filler.covariance):
        below = np.tril_indices(len(model.filler.covariance))
        arrays["filler/covariance"] = model.filler.covariance[below]
    values: dict[str, bool | int | list[str]] = {}
    floats = []
    for field in fields(model.rule):  # type: ignore[arg-type]  # each rule is a dataclass
        value = getattr(model.rule, field.name)
        if isinstance(value, np.ndarray):
            arrays[f"rule/{field.name}"] = value
        elif _is_float(value):
            arrays[f"rule/{field.name}"] = np.array([value])
            floats.append(field.name)
        else:
            values[field.name] = list(value) if isinstance(value, tuple) else value
    tables = []
    for t, (name, table) in enumerate(model.tables.items()):
        columns = []
        for c, (title, column) in enumerate(table.items()):
            texts = list(column) if isinstance(column, tuple) else None
            columns.append(_Column(title, texts))
            if isinstance(column, np.ndarray):
                arrays[f"table/{t}/{c}"] = column
        tables.append(_Table(name, columns))
    record = _Record(
        model.family,
        model.targets,
        dict(model.parameters),
        type(model.rule).__name__,
        values,
        floats,
        model.filler.known,
        model.filler.inputs,
        model.sources,
        [(key, None if _is_float(v) else _json(v)) for key, v in model.info.items()],
        tables,
        list(model.dropped.items()),
    )
    return pack(_KIND, FORMAT_VERSION, arrays, msgspec.to_builtins(record))


def decode(data: bytes) -> Model:
    """Return the model in these bytes.

    Raises:
        CorruptState: they are cut, changed, of another format or of a newer version of ours.
    """
    arrays, meta = unpack(_KIND, FORMAT_VERSION, data)
    try:
        record = msgspec.convert(meta, _Record)
        model = _model(record, arrays)
        if model.rule.keys:  # arrays of shapes that do not fit show here, not at a user's request
            answered = model.predict({}, 1)
            if tuple(answered) != model.rule.keys or any(len(a) != 1 for a in answered.values()):
                raise ValueError("its rule answers something else")
    except (
        msgspec.ValidationError,
        InvalidInput,
        KeyError,
        TypeError,
        ValueError,
        IndexError,
    ) as error:
        raise CorruptState(f"the stored model cannot be read: {error}") from error
    return model


def _model(record: _Record, arrays: Arrays) -> Model:
    rows, learned = (float(value) for value in arrays["rows"])
    floats = iter(arrays["info"].tolist())
    info: dict[str, Value] = {
        key: float(next(floats, np.nan)) if value is None else value for key, value in record.info
    }
    tables = {
        table.name: _table(table, arrays, f"table/{t}") for t, table in enumerate(record.tables)
    }
    return Model(
        record.family,
        record.targets,
        record.parameters,
        _rule(record, arrays),
        _filler(record, arrays),
        rows,
        learned,
        record.sources,
        info,
        tables,
        dict(record.dropped),
    )


def _rule(record: _Record, arrays: Arrays) -> Rule:
    rules = {rule.__name__: rule for rule in family(record.family).rules}
    if record.rule not in rules:
        raise ValueError(f"{record.family} has no rule {record.rule[:40]!r}")
    found: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in record.rule_values.items()
    }
    for name, array in arrays.items():
        if name.startswith("rule/"):
            field = name.removeprefix("rule/")
            found[field] = float(array[0]) if field in record.rule_floats else array
    return settled(rules[record.rule](**found))


def _filler(record: _Record, arrays: Arrays) -> Filler:
    mean, k = arrays["filler/mean"], len(record.known)
    if mean.shape != (k,) or not 0 < record.inputs <= k:
        raise ValueError(f"{record.inputs} inputs, {k} attributes, means of shape {mean.shape}")
    covariance = np.zeros((0, 0))
    if "filler/covariance" in arrays:
        covariance = np.zeros((k, k))
        covariance[np.tril_indices(k)] = arrays["filler/covariance"]
        covariance = covariance + np.tril(covariance, -1).T
    return Filler(record.known, mean, covariance, record.inputs)


def _table(table: _Table, arrays: Arrays, prefix: str) -> Table:
    return {
        column.name: arrays[f"{prefix}/{c}"] if column.texts is None else tuple(column.texts)
        for c, column in enumerate(table.columns)
    }


def _is_float(value: object) -> bool:
    return isinstance(value, float)


def _json(value: Value) -> bool | int | str:
    assert not isinstance(value, float), "floats stand in an array"
    return value
