"""Learning rows and answering them by a model in one call, which may rebuild the model.

The calls on one project go one after the other. What is sent again counts once: the rows under
the call's id, the rebuilt model under one made from it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from weakref import WeakValueDictionary

import msgspec

from model_api.projects.building import Builder
from model_api.projects.calls import Answer, Call
from model_api.projects.changes import Feed
from model_api.projects.homes import Homes
from model_api.projects.model_cache import ModelCache
from model_api.projects.predicting import columns_of, predicted
from tally.projects.model_records import ModelVersion, unpack_model
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
            version, data = await self._stored(call, name)
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
                context, _ = unpack_model(data)
                await self._builder.build(_rebuilding(call, version, context))
            return answer or await self._predict(call, name)

    async def _stored(self, call: Call, name: str) -> tuple[ModelVersion, bytes]:
        home = await self._homes.ask(call.project, call.suspects)
        try:
            return await self._models.stored(home, name)
        except Refused as error:  # 400 here, by the documents
            raise Refused(error.text, StatusCode.BAD_REQUEST) from error

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


def _rebuilding(call: Call, version: ModelVersion, context: bytes) -> Call:
    return replace(
        call,
        query={
            "modelid": version.id,
            "algo": version.family,
            "svdreduce": "true" if version.reduce else "false",
        },
        body=context,
        batch_id=f"{call.batch_id}{_REBUILD}" if call.batch_id else "",
    )
