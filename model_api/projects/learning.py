"""Learning rows and answering them by a model in one call, which may rebuild the model.

The calls on one project go one after the other. What is sent again counts once: the rows under
the call's id, the rebuilt model under one made from it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from weakref import WeakValueDictionary

import msgspec

from model_api.projects.build_order import Order
from model_api.projects.building import Builder
from model_api.projects.calls import Answer, Call
from model_api.projects.changes import Feed
from model_api.projects.home import Home
from model_api.projects.homes import Homes
from model_api.projects.model_cache import ModelCache
from model_api.projects.predicting import columns_of, predicted
from tally.projects.model_records import unpack_model
from tally.wire.envelope import KSVS_MAP
from tally.wire.java_text import java_text
from tally.wire.messages import MODEL_VERSION
from tally.wire.projects import ProjectUuid
from tally.wire.status import Refused, StatusCode

_ENCODER = msgspec.json.Encoder()
_REBUILD = "/rebuild"


class LearnPredict:
    """Answers such calls.

    Args:
        homes, models, builder: of the worker.
    """

    def __init__(self, homes: Homes, models: ModelCache, builder: Builder) -> None:
        self._homes = homes
        self._models = models
        self._builder = builder
        self._turns: WeakValueDictionary[ProjectUuid, asyncio.Lock] = WeakValueDictionary()

    async def answer(self, call: Call, name: str) -> Answer:
        """Predict, learn and rebuild, as the query says.

        Raises:
            Refused: 400, there is no such model; or the rows cannot be learned.
        """
        before = call.flag("predictBeforeLearn", default=True)
        rebuild = call.flag("rebuildModel", default=False)
        async with self._turns.setdefault(call.project, asyncio.Lock()):
            await self._check(call, name)
            answer = await self._predict(call, name) if before else None
            feed = Feed(
                op="learn",
                body=call.body,
                media_type=call.media_type,
                content_encoding=call.content_encoding,
                query={},
                client=call.client,
                limits=self._homes.limits.frame,
                lenient=True,
            )
            await self._homes.change(call.project, feed, call.batch_id, call.suspects)
            if rebuild:
                again = f"{call.batch_id}{_REBUILD}" if call.batch_id else ""
                await self._builder.rebuild(replace(call, batch_id=again), name, self._served(name))
            return answer or await self._predict(call, name)

    async def _check(self, call: Call, name: str) -> None:
        home = await self._homes.ask(call.project, call.suspects)
        try:
            home.models.current(name)
        except Refused as error:  # 400 here, by the documents
            raise Refused(error.text, StatusCode.BAD_REQUEST) from error

    def _served(self, name: str) -> Callable[[Home], Awaitable[Order]]:
        async def order(home: Home) -> Order:
            version, data = await self._models.stored(home, name)
            context, _ = unpack_model(data)
            return Order.rebuilding(version, context)

        return order

    async def _predict(self, call: Call, name: str) -> Answer:
        home = await self._homes.ask(call.project, call.suspects)
        version, model = await self._models.current(home, name)
        kept = [text.strip() for text in call.query.get("keepColumns", "").split(",")]

        def run() -> bytes:
            limits = self._homes.limits.frame
            values = predicted(model, call, limits)
            _keep(values[KSVS_MAP], call, [text for text in kept if text], self._homes)
            return _ENCODER.encode(values)

        body = await self._homes.threads.run(run)
        return Answer(body, headers=((MODEL_VERSION, str(version.version)),))


def _keep(answers: object, call: Call, names: list[str], homes: Homes) -> None:
    """Add the cells of some columns to the answers, as texts; empty where one is missing."""
    if not names:
        return
    assert isinstance(answers, Mapping)
    columns, _ = columns_of(call, homes.limits.frame, texts=set(names))
    for name in names:
        if name not in columns:
            raise Refused(f"Unknown attribute [{name[:140]}]")
        for answer, cell in zip(answers["values"], columns[name], strict=True):
            answer[name] = "" if cell is None else java_text(cell)
