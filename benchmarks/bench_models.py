"""Models from sums against scikit-learn on the rows, and their answers over HTTP."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.bodies import ARROW, JSON, as_arrow, as_json, as_texts, names
from benchmarks.customer import Customer, Request, new_master_key
from benchmarks.rows import Row, Spread
from benchmarks.service import running, wait_until
from tally.engine.rows import Rows
from tally.engine.summary import Summary
from tally.models.attributes import Chosen
from tally.models.base import Statistics
from tally.models.descent import descend
from tally.models.families import family
from tally.models.fitting import fit

Matrix = NDArray[np.float64]

_ROWS = {100: 1_000_000, 1000: 200_000}
_QUICK = 20_000
_CHUNK = 5_000
_PENALTIES = 100
_COLUMNS = 15
_MANY = 10_000
_LEAST, _DIGITS = 1000, 1e-9


async def measure(*, quick: bool) -> list[Row]:
    """Return the rows about models."""
    found = []
    try:
        linear = import_module("sklearn.linear_model")
    except ModuleNotFoundError:
        found.append(Row(name="models", unit="s", against="", note="no scikit-learn to be had"))
        return found
    for d, rows in _ROWS.items():
        data = _Data.made(min(rows, _QUICK) if quick else rows, d)
        found += [_built(data, linear, 3 if quick else 5), _path(data, linear, 3 if quick else 9)]
        del data
    return found + await _predicted(quick=quick)


@dataclass(frozen=True, slots=True)
class _Data:
    """Correlated rows, what is to be told from them, and what is kept of both."""

    x: Matrix
    y: Matrix
    statistics: Statistics

    @classmethod
    def made(cls, rows: int, d: int) -> _Data:
        rng = np.random.default_rng(1)
        mixing = rng.normal(size=(10, d))
        weights = np.where(np.arange(d) % 3 == 0, rng.normal(size=d), 0.0)
        x, y = np.empty((rows, d)), np.empty(rows)
        draft = Summary.empty().draft()
        for start in range(0, rows, _CHUNK):
            part = slice(start, min(start + _CHUNK, rows))
            count = part.stop - start
            x[part] = rng.normal(size=(count, 10)) @ mixing + rng.normal(size=(count, d))
            y[part] = x[part] @ weights + rng.normal(size=count)
            values = np.column_stack([x[part], y[part]])
            kinds = (None,) * (d + 1)
            draft.add(Rows((*names(d), "y"), "C" * (d + 1), kinds, values))
        return cls(x, y, Statistics(draft.done()))


def _built(data: _Data, linear: Any, repeats: int) -> Row:
    rows, d = data.x.shape
    chosen, mlr = Chosen(tuple(range(d)), (d,)), family("mlr")
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(repeats):
        spent, model = _timed(partial(fit, mlr, data.statistics, chosen, {}))
        ours.append(spent)
        if len(theirs) < 1 + (d < 1000):  # theirs takes minutes, and varies little
            spent, reference = _timed(lambda: linear.LinearRegression().fit(data.x, data.y))
            theirs.append(spent)
    told = np.asarray(model.tables["coefficients"]["coefficient"], float)[:-1]
    apart = float(np.abs(told - reference.coef_).max() / np.abs(reference.coef_).max())
    ratio = _ratio(theirs, ours)
    return Row(
        name=f"build mlr, {d} attributes",
        unit="s",
        against=f"scikit-learn's LinearRegression on {rows} rows in memory",
        ours=Spread.of(ours),
        theirs=Spread.of(theirs),
        value=ratio,
        value_unit="times as fast",
        aim=f"at least {_LEAST} with 100 attributes, coefficients equal to {_DIGITS:g}",
        met=(ratio >= _LEAST and apart <= _DIGITS) if d == 100 else None,
        note=f"Coefficients differ by {apart:.1g} of the largest. Ours includes standard errors and"
        " intervals, and does not depend on the number of rows; theirs grows with it.",
    )


def _path(data: _Data, linear: Any, repeats: int) -> Row:
    d = data.x.shape[1]
    few, target = data.x[:_CHUNK], data.y[:_CHUNK]
    few, target = (few - few.mean(0)) / few.std(0), (target - target.mean()) / target.std()
    gram, cross, n = few.T @ few / len(few), few.T @ target / len(few), len(few)
    penalties = np.geomspace(np.abs(cross).max(), np.abs(cross).max() / 1000, _PENALTIES)

    def ours() -> list[Matrix]:
        found: list[Matrix] = []
        for penalty in penalties:
            start = found[-1] if found else None
            found.append(descend(gram, cross, float(penalty), 1.0, start=start).coefficients)
        return found

    # Theirs wants the rows for its checks; with the Gram given it computes from that alone.
    scaled = {"precompute": np.asfortranarray(gram * n), "Xy": cross * n, "alphas": penalties}

    def theirs() -> Matrix:
        _, path, _ = linear.lasso_path(few, target, **scaled, tol=1e-8, max_iter=100_000)
        return np.asarray(path, float)

    mine: list[float] = []
    other: list[float] = []
    for _ in range(repeats):
        spent, path = _timed(ours)
        mine.append(spent)
        spent, reference = _timed(theirs)
        other.append(spent)
    apart = float(np.abs(np.array(path).T - reference).max())
    return Row(
        name=f"lasso path of {_PENALTIES} penalties, {d} attributes",
        unit="s",
        against="scikit-learn's lasso_path on the same Gram, tol=1e-8",
        ours=Spread.of(mine),
        theirs=Spread.of(other),
        value=_ratio(other, mine),
        value_unit="times as fast",
        aim="for information",
        note=f"Standardised coefficients differ by {apart:.1g}.",
    )


async def _predicted(*, quick: bool) -> list[Row]:
    """Return the rows about predictions over HTTP."""
    values = np.random.default_rng(2).normal(0, 100, (_MANY, _COLUMNS)).round(6)
    values = np.column_stack([values, values @ np.arange(1.0, _COLUMNS + 1)])
    kinds = "C" * (_COLUMNS + 1)
    linear = import_module("sklearn.linear_model")
    model = linear.LinearRegression().fit(values[:, :-1], values[:, -1])
    bodies = [
        ("1 row in JSON", JSON, as_json(as_texts(values[:1]), kinds), _of_json(model)),
        (f"{_MANY} rows in JSON", JSON, as_json(as_texts(values), kinds), _of_json(model)),
    ]
    if (arrow := as_arrow(values)) is not None:
        bodies.append((f"{_MANY} rows in Arrow", ARROW, arrow, _of_arrow(model)))
    told = {"TALLY_MASTER_KEY": new_master_key()}
    async with running(1, told) as service, Customer.of(service) as customer:
        customer.send(customer.request("POST", "", b"{}", query="pid=p&type=cpu"))
        customer.send(customer.request("POST", "/p/learn", bodies[1][2]))
        context = {"targetAttributeNames": ["a15"], "inputAttributeNames": names(_COLUMNS)}
        query = "modelid=m&algo=mlr"
        customer.send(
            customer.request("POST", "/p/build", json.dumps(context).encode(), query=query)
        )
        first = customer.request("POST", "/p/predict/m", bodies[0][2])
        await wait_until(partial(_answers, customer, first), "the model is built")
        found = []
        for name, media_type, body, plain in bodies:
            request = customer.request("POST", "/p/predict/m", body, media_type=media_type)
            found.append(_asked(customer, request, name, body, plain, 5 if quick else 50))
        return found


def _answers(customer: Customer, request: Request) -> bool:
    try:
        customer.send(request)
    except RuntimeError:
        return False
    return True


def _asked(
    customer: Customer,
    request: Request,
    name: str,
    body: bytes,
    plain: Callable[[bytes], object],
    repeats: int,
) -> Row:
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(repeats):
        ours.append(_timed(lambda: customer.send(request))[0])
        theirs.append(_timed(lambda: plain(body))[0])
    latency = Spread.of(ours)
    return Row(
        name=f"predict over HTTP, {name}",
        unit="s",
        against="decoding, scikit-learn's predict and json.dumps in one process",
        ours=latency,
        theirs=Spread.of(theirs),
        value=float(f"{latency.median * 1e3:.3g}"),
        value_unit="ms",
        aim="for information",
        note=f"{_COLUMNS} inputs, mlr, signed, one after the other.",
    )


def _of_json(model: Any) -> Callable[[bytes], object]:
    def answer(body: bytes) -> str:
        rows = np.array(json.loads(body)["data"], dtype=float)[:, :-1]
        return _written(model.predict(rows))

    return answer


def _of_arrow(model: Any) -> Callable[[bytes], object]:
    pa = import_module("pyarrow")

    def answer(body: bytes) -> str:
        table = pa.ipc.open_stream(body).read_all()
        rows = np.column_stack([column.to_numpy() for column in table.columns[:-1]])
        return _written(model.predict(rows))

    return answer


def _written(found: Matrix) -> str:
    return json.dumps([{"res": repr(one)} for one in found.tolist()])


def _timed(call: Callable[[], Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    found = call()
    return time.perf_counter() - started, found


def _ratio(above: list[float], below: list[float]) -> float:
    return float(f"{float(np.median(above)) / float(np.median(below)):.3g}")
