"""Building models: what is asked for is checked at once, computed beside the event loop, published.

The builds of one model go one after the other, each from the statistics as they are when its turn
comes; so the version that is served last is the one that was asked for last. A build that is sent
again while it runs is the same build.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias
from weakref import WeakValueDictionary

from model_api.projects.basis import Basis
from model_api.projects.build_order import Order, rebuild_digest
from model_api.projects.calls import Call
from model_api.projects.home import Home
from model_api.projects.homes import Homes
from model_api.projects.model_steps import Stop
from model_api.projects.selecting import AUTO, SELECT, SelectOrder
from model_api.projects.sharing import Threads, stopping
from model_api.projects.works import Work, Works
from tally.clock import Clock
from tally.codec.frame.limits import Limits
from tally.errors import IdempotencyMismatch, InvalidInput
from tally.models.base import Checkpoint, OutOfTime
from tally.projects.batches import stopped
from tally.projects.records import Batch
from tally.projects.registry import now_ms
from tally.wire.projects import BATCH_ID, ProjectUuid, Working

AnyOrder: TypeAlias = Order | SelectOrder
ReadOrder: TypeAlias = Callable[[Home], Awaitable[AnyOrder]]


def _order(call: Call, limits: Limits) -> AnyOrder:
    selects = call.verb.startswith((SELECT, AUTO))
    return SelectOrder.of(call, limits) if selects else Order.of(call)


class Builder:
    """Builds the models of the projects that are at home here.

    Args:
        homes: those.
        clock: for the dates, and for how long builds take.
    """

    def __init__(self, homes: Homes, clock: Clock) -> None:
        self._homes = homes
        self._clock = clock
        self._threads = Threads(homes.limits.threads)
        # A search may take minutes, and a build of milliseconds must not wait behind it.
        self._search_threads = Threads(homes.limits.threads)
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
        await self._works.wait(await self._asked(call))

    async def rebuild(
        self, call: Call, name: str, order: Callable[[Home], Awaitable[Order]]
    ) -> None:
        """Build what is served under a name again, and publish it.

        Args:
            call: has the id under which it counts once.
            name: of the model.
            order: reads what is served, once those builds are done that were asked for before.

        Raises:
            TallyError: as `build`, or what `order` raises.
        """
        await self._works.wait(self._begun(call, name, rebuild_digest(name), order))

    async def work(self, call: Call) -> Working | None:
        """Build a model as `build` does; return how far it is, or None once it is published.

        Whoever is told how far it is asks `again`.
        """
        work = await self._asked(call)
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

    async def _read(self, call: Call) -> AnyOrder:
        # A body with rows is large.
        return await self._homes.threads.run(_order, call, self._homes.limits.frame)

    async def _asked(self, call: Call) -> Work:
        order = await self._read(call)

        async def read(_home: Home) -> AnyOrder:
            return order

        return self._begun(call, order.model, order.digest, read)

    def _begun(self, call: Call, model: str, digest: str, read: ReadOrder) -> Work:
        async def do(work: Work) -> None:
            async with self._turns.setdefault((call.project, model), asyncio.Lock()):
                home = await self._homes.ask(call.project, call.suspects)
                if not home.has_counted(Batch(call.batch_id, digest)):
                    await self._build(call, home, await read(home), work)

        return self._works.begun(call.project, call.batch_id, digest, do)

    async def _build(self, call: Call, home: Home, order: AnyOrder, work: Work) -> None:
        threads = self._search_threads if order.searches else self._threads
        basis, go_on = Basis.of(home), self._checkpoint(work, call.batch_id)
        made = await threads.run(order.publish, basis, go_on, now_ms(self._clock), work.tell)
        await self._homes.change(call.project, made, call.batch_id, call.suspects)

    def _checkpoint(self, work: Work, batch_id: str) -> Checkpoint:
        limit_s, end_s = self._homes.limits.build_s, math.inf

        def go_on() -> None:
            nonlocal end_s
            if not self._homes.running:
                raise stopping()
            if work.stopped:
                raise stopped(batch_id)
            now_s = self._clock.monotonic()
            if math.isinf(end_s):
                end_s = now_s + limit_s  # a thread has taken it: waiting for that does not count
            if now_s > end_s:
                raise OutOfTime(f"the build has taken more than {limit_s:g} s")

        return go_on
