"""Building models: what is asked for is checked at once, computed beside the event loop, published.

The builds of one model go one after the other, each from the statistics as they are when its turn
comes; so the version that is served last is the one that was asked for last. A build that is sent
again while it runs is the same build.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from weakref import WeakValueDictionary

from model_api.projects.basis import Basis
from model_api.projects.calls import Call
from model_api.projects.homes import Homes
from model_api.projects.model_steps import Publish, Stop
from model_api.projects.publication import kept_context, publication
from model_api.projects.reads import context_of
from model_api.projects.selecting import AUTO, SELECT, SelectOrder
from model_api.projects.sharing import Threads, stopping
from model_api.projects.works import Work, Works
from tally.clock import Clock
from tally.codec.frame.limits import Limits
from tally.engine.project import Project
from tally.errors import FitFailed, IdempotencyMismatch, InvalidInput, TooLarge
from tally.models import fitting, reduction
from tally.models.attributes import Chosen, choose
from tally.models.base import Checkpoint, Progress, Statistics, untold
from tally.models.families import Family, family
from tally.models.parameters import Parameters
from tally.models.reduction import Reduction
from tally.projects.batches import stopped
from tally.projects.model_records import check_model_id
from tally.projects.records import Batch
from tally.projects.registry import now_ms
from tally.wire import texts
from tally.wire.contexts import MLContext, parse_ml_context
from tally.wire.projects import BATCH_ID, ProjectUuid, Working
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

    @property
    def details(self) -> Mapping[str, str]:
        """What the job tells of it: nothing but what every job does."""
        return {}

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
        basis: Basis,
        checkpoint: Checkpoint,
        at_ms: int,
        progress: Progress = untold,
    ) -> Publish:
        """Return the model, ready to be published.

        Args:
            basis: what it is made from.
            checkpoint: called now and then.
            at_ms: the date that it bears.
            progress: told by a search how far it is.

        Raises:
            FitFailed: the statistics do not allow it.
            InvalidInput: as `check`.
        """
        began_ns = time.perf_counter_ns()
        checkpoint()
        statistics, parameters = Statistics.of(basis.project), context_of(self.context).params
        chosen, body, fits = self.check(basis.project), self.body, 1
        if self.search is not None:
            found = reduction.reduce(
                self.family, statistics, chosen, parameters, self.search, checkpoint, progress
            )
            chosen, fits = found.chosen, found.fits
            body = kept_context(chosen, statistics, parameters)
        model = fitting.fit(
            self.family,
            statistics,
            chosen,
            parameters,
            reduce=self.reduce,
            sources=basis.sources,
            checkpoint=checkpoint,
        )
        return publication(
            self.digest,
            self.model,
            model,
            body,
            basis=basis,
            began_ns=began_ns,
            at_ms=at_ms,
            fits=fits,
            reduce=self.reduce,
        )


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


def _order(call: Call, limits: Limits) -> Order | SelectOrder:
    selects = call.verb.startswith((SELECT, AUTO))
    return SelectOrder.of(call, limits) if selects else Order.of(call)


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
        self._works = Works(homes.start, clock, homes.limits.wait_s)
        self._turns: WeakValueDictionary[tuple[ProjectUuid, str], asyncio.Lock] = (
            WeakValueDictionary()
        )

    async def check(self, call: Call) -> Mapping[str, str]:
        """Return what its job tells of a build that can begin.

        Raises:
            InvalidInput, Refused: it would fail whatever the numbers are.
        """
        home = await self._homes.ask(call.project, call.suspects)
        order = await self._read(call)
        if not home.has_counted(Batch(call.batch_id, order.digest)):
            await self._homes.threads.run(order.check, home.project)
        return await self._homes.threads.run(lambda: order.details)

    async def build(self, call: Call) -> None:
        """Build a model and publish it.

        Raises:
            FitFailed: the statistics do not allow it; whatever was served before still is.
            IdempotencyMismatch: it was stopped, or its id is that of another request.
            InvalidInput, Refused: as `check`.
        """
        await self._works.wait(await self._begun(call))

    async def work(self, call: Call) -> Working | None:
        """Build a model as `build` does; return how far it is, or None once it is published.

        Whoever is told how far it is asks `again`.
        """
        work = await self._begun(call)
        return await (self._works.wait_a_while(work) if call.batch_id else self._works.wait(work))

    async def again(self, call: Call) -> Working | None:
        """Return how far the build of a batch id is, which its caller has asked for before.

        Raises:
            NotHome: the project is at home elsewhere, and so is the work.
            TallyError: as `build`.
        """
        await self._homes.ask(call.project, call.suspects)
        work = self._works.find(call.project, call.batch_id)
        return Working(known=False) if work is None else await self._works.wait_a_while(work)

    async def stop(self, call: Call) -> bool:
        """Have nothing come of a batch id, here or at the next home; tell whether that is so.

        False: it has come to something already.

        Raises:
            NotHome, Unavailable: it may or may not be stopped: ask again.
        """
        if not call.batch_id:
            raise InvalidInput(BATCH_ID, "it is missing")
        try:
            await self._homes.change(call.project, Stop(), call.batch_id, call.suspects)
        except IdempotencyMismatch:
            return False
        if (work := self._works.find(call.project, call.batch_id)) is not None:
            work.stopped = True
        return True

    async def _read(self, call: Call) -> Order | SelectOrder:
        # A body with rows is large.
        return await self._homes.threads.run(_order, call, self._homes.limits.frame)

    async def _begun(self, call: Call) -> Work:
        order = await self._read(call)

        async def do(work: Work) -> None:
            await self._build(call, order, work)

        return self._works.begun(call.project, call.batch_id, order.digest, do)

    async def _build(self, call: Call, order: Order | SelectOrder, work: Work) -> None:
        async with self._turns.setdefault((call.project, order.model), asyncio.Lock()):
            home = await self._homes.ask(call.project, call.suspects)
            if home.has_counted(Batch(call.batch_id, order.digest)):
                return
            basis, go_on = Basis.of(home), self._checkpoint(work, call.batch_id)
            made = await self._threads.run(
                order.publish, basis, go_on, now_ms(self._clock), work.tell
            )
            await self._homes.change(call.project, made, call.batch_id, call.suspects)

    def _checkpoint(self, work: Work, batch_id: str) -> Checkpoint:
        limit_s = self._homes.limits.build_s
        end_s = time.monotonic() + limit_s

        def go_on() -> None:
            if not self._homes.running:
                raise stopping()
            if work.stopped:
                raise stopped(batch_id)
            if time.monotonic() > end_s:
                raise FitFailed(f"the build has taken more than {limit_s:g} s")

        return go_on
