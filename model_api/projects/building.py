"""Building models: what is asked for is checked at once, computed beside the event loop, published.

The builds of one model go one after the other, each from the statistics as they are when its turn
comes; so the version that is served last is the one that was asked for last. A build that is sent
again while it runs is the same build.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from weakref import WeakValueDictionary

import msgspec

from model_api.fusion.told import model_params
from model_api.projects.calls import Call
from model_api.projects.home import Home
from model_api.projects.homes import Homes
from model_api.projects.model_steps import Publish
from model_api.projects.reads import context_of
from model_api.projects.sharing import Joined, Threads, stopping
from model_api.projects.versions import sources
from tally.clock import Clock
from tally.codec.model import encode
from tally.engine.project import Project
from tally.errors import FitFailed, InvalidInput, TooLarge
from tally.models import fitting, reduction
from tally.models.attributes import Chosen, choose
from tally.models.base import Checkpoint, Source, Statistics
from tally.models.families import Family, family
from tally.models.parameters import Parameters
from tally.models.reduction import Reduction
from tally.projects.model_records import ModelVersion, check_model_id, pack_model
from tally.projects.records import Batch
from tally.projects.registry import now_ms
from tally.wire import texts
from tally.wire.contexts import MLContext, parse_ml_context
from tally.wire.projects import ProjectUuid
from tally.wire.status import Refused

_MAX_CONTEXT_BYTES = 2**20
_MOST_ROUNDS = 1000
_DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Order:
    """A model that is asked for.

    Attributes:
        model: its name.
        family: its algorithm.
        context: attributes and parameters.
        body: the same, as it was sent.
        reduce: inputs that others determine are left out.
        search: only the inputs that matter are used; None: all.
    """

    model: str
    family: Family
    context: MLContext
    body: bytes
    reduce: bool
    search: Reduction | None = None

    @classmethod
    def of(cls, call: Call) -> Order:
        """Return what a call asks for.

        Raises:
            InvalidInput, Refused: it cannot be made of any statistics; names the culprit.
        """
        for name in ("modelid", "algo"):
            if not call.query.get(name):
                raise Refused(texts.missing_parameter(name))
        if len(call.body) > _MAX_CONTEXT_BYTES:
            raise TooLarge("body", f"it is larger than {_MAX_CONTEXT_BYTES} bytes")
        return cls(
            check_model_id(call.query["modelid"]),
            family(call.query["algo"]),
            parse_ml_context(call.body or b"{}"),
            call.body or b"{}",
            call.flag("svdreduce", default=False),
            _search(call) if call.verb.startswith("reduce") else None,
        )

    @property
    def digest(self) -> str:
        """What tells it from another one with the same id."""
        told = f"build {self.model} {self.family.name} {self.reduce} {self.search}\n".encode()
        return hashlib.sha256(told + self.body).hexdigest()

    def check(self, project: Project) -> Chosen:
        """Return the attributes that it means.

        Raises:
            InvalidInput: there are none such, the family wants others, or a parameter is wrong.
        """
        asked = context_of(self.context)
        if self.search is not None:
            reduction.check(self.family)
        fitting.check(self.family, asked.params)
        return choose(
            self.family,
            Statistics.of(project),
            asked.inputs,
            asked.targets,
            inputs_are_names=asked.inputs_are_names,
            targets_are_names=asked.targets_are_names,
        )

    def publish(
        self,
        home: Home,
        project: Project,
        sources: Sequence[Source],
        told: Mapping[str, str],
        checkpoint: Checkpoint,
        at_ms: int,
    ) -> Publish:
        """Return the model, made of the statistics of a project, ready to be published.

        Args:
            home: where it will be.
            project: as it is at home there.
            sources: what its statistics stand on.
            told: more of that, for the model's `info`.
            checkpoint: called now and then.
            at_ms: the date that it bears.

        Raises:
            FitFailed: the statistics do not allow it.
            InvalidInput: as `check`.
        """
        began = time.perf_counter_ns()
        generation = home.head.generation
        statistics, parameters = Statistics.of(project), context_of(self.context).params
        chosen, body, fits = self.check(project), self.body, 1
        if self.search is not None:
            found = reduction.reduce(
                self.family, statistics, chosen, parameters, self.search, checkpoint
            )
            chosen, fits = found.chosen, found.fits
            body = _context(chosen, statistics, parameters)
        model = fitting.fit(
            self.family,
            statistics,
            chosen,
            parameters,
            reduce=self.reduce,
            sources=sources,
            checkpoint=checkpoint,
        )
        if told:
            model = replace(model, info={**model.info, **told})
        data = pack_model(body, encode(model))
        made = ModelVersion(
            id=self.model,
            version=0,
            family=self.family.name,
            reduce=self.reduce,
            created_ms=at_ms,
            build_ns=time.perf_counter_ns() - began,
            rows=model.rows,
            learned=model.learned,
            generation=generation,
            size_bytes=len(data),
            fits=fits,
        )
        return Publish(self.digest, made, data)


def _search(call: Call) -> Reduction:
    """Return how inputs are chosen.

    Raises:
        InvalidInput: a parameter cannot be used.
    """
    given = Parameters({key: call.query.get(key, "") for key in ("delta", "numIterations")})
    if (heuristic := call.query.get("heuristic", "") or _DEFAULT) != _DEFAULT:
        raise InvalidInput("heuristic", f"{heuristic[:40]!r} is unknown; there is {_DEFAULT}")
    return Reduction(
        given.number("delta", Reduction().delta, low=1e-12),
        given.whole("numIterations", Reduction().rounds, 1, _MOST_ROUNDS),
    )


def _context(chosen: Chosen, statistics: Statistics, parameters: Mapping[str, str]) -> bytes:
    """Return the MLContext by which the same model is built again."""
    names = statistics.summary.schema.names
    return msgspec.json.encode(
        {
            "targetAttributeNames": [names[i] for i in chosen.targets],
            "inputAttributeNames": [names[i] for i in chosen.inputs],
            "extraParameters": parameters,
        }
    )


class Builder:
    """Builds the models of the projects that are at home here.

    Args:
        homes: those.
        clock: for the dates.
    """

    def __init__(self, homes: Homes, clock: Clock) -> None:
        self._homes = homes
        self._clock = clock
        self._threads = Threads(homes.limits.threads)
        self._running = Joined[None](homes.start)
        self._turns: WeakValueDictionary[tuple[ProjectUuid, str], asyncio.Lock] = (
            WeakValueDictionary()
        )

    async def check(self, call: Call) -> None:
        """Return if a build can begin.

        Raises:
            InvalidInput, Refused: it would fail whatever the numbers are.
        """
        home = await self._homes.ask(call.project, call.suspects)
        order = Order.of(call)
        if not home.has_counted(Batch(call.batch_id, order.digest)):
            order.check(home.project)

    async def build(self, call: Call) -> None:
        """Build a model and publish it.

        Raises:
            FitFailed: the statistics do not allow it; whatever was served before still is.
            InvalidInput, Refused: as `check`.
        """
        order = Order.of(call)
        # Whoever was told to ask again finds it running; without an id nobody can.
        key = (call.project, call.batch_id, order.digest) if call.batch_id else object()
        await self._running(key, lambda: self._build(call, order))

    async def _build(self, call: Call, order: Order) -> None:
        async with self._turns.setdefault((call.project, order.model), asyncio.Lock()):
            home = await self._homes.ask(call.project, call.suspects)
            if home.has_counted(Batch(call.batch_id, order.digest)):
                return
            made = await self._threads.run(
                order.publish,
                home,
                home.project,
                sources(home),
                model_params(home),
                self._checkpoint(),
                now_ms(self._clock),
            )
            await self._homes.change(call.project, made, call.batch_id, call.suspects)

    def _checkpoint(self) -> Checkpoint:
        limit_s = self._homes.limits.build_s
        end_s = time.monotonic() + limit_s

        def go_on() -> None:
            if not self._homes.running:
                raise stopping()
            if time.monotonic() > end_s:
                raise FitFailed(f"the build has taken more than {limit_s:g} s")

        return go_on
