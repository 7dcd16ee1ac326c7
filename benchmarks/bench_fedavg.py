"""The exact federation beside Flower's FedAvg: rounds, bytes, seconds, and error against pooled.

Both fit linear least squares on standardised columns of data that scikit-learn ships, which
favours FedAvg: standardising by the pooled rows is a round of exact sums in itself.
`FLOWER_PYTHON` names the interpreter of an environment with `flwr`.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import time
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.bodies import names
from benchmarks.rows import Row, Spread
from tally.engine.frame import Frame
from tally.engine.options import Options
from tally.engine.project import Project
from tally.federation.effects import Contribution
from tally.federation.privacy.record import LocalRecord
from tally.federation.statistics import local_of, merged
from tally.models.attributes import Chosen
from tally.models.base import Statistics
from tally.models.families import family
from tally.models.fitting import fit

Matrix = NDArray[np.float64]

_SCRIPT = Path(__file__).parent / "flower_fedavg.py"
_STEPS = (5, 1)  # of a site in a round; 1 is gradient descent on all rows
_DIGITS = 1e-9
_LIMITS = (1e-2, 1e-6)
_PATIENCE_S = 300.0


async def measure(*, quick: bool) -> list[Row]:
    """Return a row for each data set, split and number of sites."""
    try:
        sets = import_module("sklearn.datasets")
    except ModuleNotFoundError:
        note = "no scikit-learn to be had"
        return [Row(name="federation and FedAvg", unit="", against="", note=note)]
    return await asyncio.to_thread(_measured, sets, 500 if quick else 5000)


def _measured(sets: Any, rounds: int) -> list[Row]:
    rows = []
    for name in ("diabetes", "breast_cancer"):
        x, y = getattr(sets, f"load_{name}")(return_X_y=True)
        x, y = _standard(x), _standard(y.astype(np.float64))
        pooled: Matrix = np.asarray(np.linalg.lstsq(x, y, rcond=None)[0], np.float64)
        by_chance = np.random.default_rng(1).permutation(len(y))
        for split, order in (("evenly", by_chance), ("by target", np.argsort(y, kind="stable"))):
            for count in (3, 10):
                sites = [(x[part], y[part]) for part in np.array_split(order, count)]
                what = f"{name}, {count} sites split {split}"
                rows.append(_row(what, sites, pooled, rounds))
    return rows


def _standard(values: Matrix) -> Matrix:
    return np.asarray((values - values.mean(axis=0)) / values.std(axis=0))


@dataclass(frozen=True, slots=True)
class _Exact:
    """What one round of the exact federation gave one peer, and what it cost all of them.

    Attributes:
        error: of the coefficients.
        moved: bytes, once up and down to every other peer.
        seconds: of all sites' statistics, and one peer's sum and model.
    """

    error: float
    moved: int
    seconds: float


def _exact(sites: list[tuple[Matrix, Matrix]], pooled: Matrix) -> _Exact:
    began = time.perf_counter()
    parts = tuple(_contribution(f"{k:032x}", *site) for k, site in enumerate(sites))
    d = len(pooled)
    statistics = Statistics.of(merged(parts).project)
    model = fit(family("mlr"), statistics, Chosen(tuple(range(d)), (d,)), {})
    seconds = time.perf_counter() - began
    unit = {name: np.zeros(d + 1) for name in names(d)}
    for k, name in enumerate(names(d)):
        unit[name][k + 1] = 1.0
    answered = np.asarray(model.predict(unit, d + 1)["res"], float)
    return _Exact(
        _distance(answered[1:] - answered[0], pooled),
        sum(len(part.payload) for part in parts) * len(sites),
        seconds,
    )


def _contribution(uuid: str, x: Matrix, y: Matrix) -> Contribution:
    d = x.shape[1]
    columns = tuple(np.ascontiguousarray(column) for column in (*x.T, y))
    frame = Frame((*names(d), "y"), "C" * (d + 1), columns, len(y))
    draft = Project.empty(Options()).draft()
    draft.learn(frame)
    record = LocalRecord.empty(hipaa_key=None).learned(frame, Options())
    local = local_of(uuid, "1-1", draft.done(), record)
    if local.attrs != d + 1:
        raise RuntimeError(f"a site of {len(y)} rows shares {local.attrs} of {d + 1} attributes")
    return Contribution(uuid, "1-1", local.rows, local.provenance, local.payload)


def _distance(found: Matrix, pooled: Matrix) -> float:
    return float(np.linalg.norm(found - pooled) / np.linalg.norm(pooled))


def _row(what: str, sites: list[tuple[Matrix, Matrix]], pooled: Matrix, rounds: int) -> Row:
    ours = _exact(sites, pooled)
    name, unit = f"coefficients: {what}", "of the pooled coefficients' norm"
    told = f"Ours in 1 round, {ours.moved / 1000:.1f} kB and {1000 * ours.seconds:.1f} ms."
    interpreter = os.environ.get("FLOWER_PYTHON")
    if not interpreter:
        note = f"FLOWER_PYTHON is not set. {told} Error {ours.error:.1e}"
        return Row(name=name, unit=unit, against="FedAvg", ours=Spread.of([ours.error]), note=note)
    flower = _flower(interpreter, sites, pooled, rounds)
    error = flower["runs"][0]["errors"][-1]
    return Row(
        name=name,
        unit=unit,
        against=f"Flower {flower['version']}, FedAvg, {rounds} rounds of {_STEPS[0]} local steps",
        ours=Spread.of([ours.error]),
        theirs=Spread.of([error]),
        value=float(f"{ours.error:.3g}"),
        value_unit="from pooled",
        aim=f"{_DIGITS:g}",
        met=ours.error <= _DIGITS,
        note=" ".join([told, *(_story(run, flower) for run in flower["runs"])])
        + f" A round of Flower's, over gRPC on loopback, took {1000 * flower['seconds']:.1f} ms;"
        " FedAvg's step, over the largest curvature, is the best of three in hindsight.",
    )


def _story(run: dict[str, Any], flower: dict[str, Any]) -> str:
    errors, steps = run["errors"], run["steps"]
    within = []
    for limit in _LIMITS:
        first = next((k for k, error in enumerate(errors, 1) if error <= limit), None)
        if first is None:
            within.append(f"{limit:g} never")
        else:
            cost = f"{first * flower['bytes'] / 1000:.0f} kB, {first * flower['seconds']:.1f} s"
            within.append(f"{limit:g} in {first} rounds, {cost}")
    return (
        f"FedAvg with {steps} local step{'s' * (steps > 1)} of {run['rate']:g}:"
        f" {errors[-1]:.1e} after {len(errors)} rounds, with {run['loss']:.5g} times the pooled"
        f" squared error; {'; '.join(within)}."
    )


def _flower(
    interpreter: str, sites: list[tuple[Matrix, Matrix]], pooled: Matrix, rounds: int
) -> dict[str, Any]:
    asked = {
        "sites": [{"x": x.tolist(), "y": y.tolist()} for x, y in sites],
        "pooled": pooled.tolist(),
        "steps": _STEPS,
        "rounds": rounds,
    }
    done = subprocess.run(
        [interpreter, str(_SCRIPT)],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=True,
        timeout=_PATIENCE_S,
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer
