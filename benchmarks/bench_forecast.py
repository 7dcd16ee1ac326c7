"""Forecasts through the broker: a repeated question, and a new one."""

from __future__ import annotations

import asyncio
import random
import shutil

from benchmarks.clients import Asker, haproxy, requests_per_second
from benchmarks.machine import ROOT
from benchmarks.rows import Row, Spread
from benchmarks.service import Service, running
from tally.ids import ModelUuid
from tally.wire.messages import forecast_path

_STEPS = 500  # as in the README
_ASKED = ((_STEPS, 1), (_STEPS, 32), (10, 1), (10, 32))  # steps, connections
_MORE_MS = 0.6


async def measure(*, quick: bool) -> list[Row]:
    """Return the rows about forecasts."""
    async with running(workers=1) as service:
        fitted = await service.fit((ROOT / "dataset_simple").read_bytes(), "?algorithm=harmonic_ar")
        told = await asyncio.to_thread(service.get, "/api/models/default")
        model, version = ModelUuid(told["uuid"]), int(fitted["version"])
        rounds, seconds = (2, 1) if quick else (5, 2)
        rows = await asyncio.to_thread(_repeated, service, model, version, rounds, seconds)
        questions = 100 if quick else 1000
        return [*rows, await asyncio.to_thread(_new, service, model, version, questions)]


def _repeated(
    service: Service, model: ModelUuid, version: int, rounds: int, seconds: int
) -> list[Row]:
    """Compare requests per second of one question asked again and again."""
    names = {
        (steps, count): f"repeated question, {steps} steps, {count} at once"
        for steps, count in _ASKED
    }
    against = "HAProxy in front of the worker"
    if missing := [program for program in ("haproxy", "wrk") if shutil.which(program) is None]:
        note = f"{' and '.join(missing)} not installed"
        return [Row(name=n, unit="requests/s", against=against, note=note) for n in names.values()]
    ours: dict[tuple[int, int], list[float]] = {asked: [] for asked in _ASKED}
    theirs: dict[tuple[int, int], list[float]] = {asked: [] for asked in _ASKED}
    secret = [f"Authorization: Bearer {service.token}"]
    with haproxy(service.workers[0]) as proxy:
        for number in range(rounds + 1):
            for asked in _ASKED:
                steps, count = asked
                public = f"{service.url}/api/forecast/{steps}"
                internal = f"http://{proxy}{forecast_path(model, version, steps)}"
                # In turn, so that whatever else the machine does meets both.
                broker = requests_per_second(public, count, seconds)
                other = requests_per_second(internal, count, seconds, secret)
                if number:  # the first round warms up
                    ours[asked].append(broker)
                    theirs[asked].append(other)
    rows = []
    for asked, name in names.items():
        ratio = Spread.of([a / b for a, b in zip(ours[asked], theirs[asked], strict=True)]).median
        row = Row(
            name=name,
            unit="requests/s",
            against=against,
            ours=Spread.of(ours[asked]),
            theirs=Spread.of(theirs[asked]),
            value=ratio,
            aim="at least 1 times",
            met=ratio >= 1,
            note="The broker answers from its cache of (version, question); the worker computes.",
        )
        rows.append(row)
    return rows


def _new(service: Service, model: ModelUuid, version: int, questions: int) -> Row:
    """Compare the time of questions that nobody has asked before."""
    steps = random.Random(0).sample(range(_STEPS // 2, _STEPS // 2 + 2 * questions), questions)
    secret = [f"Authorization: Bearer {service.token}"]
    ours, theirs = [], []
    broker = service.url.removeprefix("http://")
    with Asker(broker) as through, Asker(service.workers[0], secret) as direct:
        for warm in range(1, 50):
            through.seconds(f"/api/forecast/{warm}")
            direct.seconds(forecast_path(model, version, warm))
        for place, count in enumerate(steps):
            path = f"/api/forecast/{count}", forecast_path(model, version, count)
            if place % 2:
                ours.append(1000 * through.seconds(path[0]))
                theirs.append(1000 * direct.seconds(path[1]))
            else:
                theirs.append(1000 * direct.seconds(path[1]))
                ours.append(1000 * through.seconds(path[0]))
    mine, other = Spread.of(ours), Spread.of(theirs)
    more = round(mine.median - other.median, 3)
    return Row(
        name="new question",
        unit="ms",
        against="the worker asked directly",
        ours=mine,
        theirs=other,
        value=more,
        value_unit="ms more",
        aim=f"at most {_MORE_MS} ms more at the median",
        met=more <= _MORE_MS,
    )
