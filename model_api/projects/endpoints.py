"""The home's side of the brokers' call: one table of verbs."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

import msgspec
import structlog

from model_api.fusion.gate import ClosedGate, Gate
from model_api.projects.calls import (
    BYTES,
    TEXT,
    Answer,
    Call,
    read_body,
    read_head,
    refusal,
)
from model_api.projects.cell_statistics import packed, shared
from model_api.projects.changes import Change, Feed, Freeze, Histograms, Merge, Save, Unload
from model_api.projects.exports import Restore, opened, sealed
from model_api.projects.home import Home
from model_api.projects.homes import Homes, snapshot
from model_api.projects.info import project_info, use_lines
from model_api.projects.metrics import MEMORY, PROJECT_CALLS, PROJECTS
from model_api.projects.model_verbs import ModelVerbs
from model_api.projects.reads import LONG, QUESTIONS, transformed
from model_api.projects.sharing import Joined
from model_api.shards.desk import Desk
from model_api.shards.fence import read_number
from tally.codec.frame.limits import Limits
from tally.errors import NotFound, TallyError, Unavailable
from tally.http_server import Receive, Scope, Send
from tally.wire import texts
from tally.wire.envelope import Values, sml_info, string_list
from tally.wire.projects import PREFIX, ProjectUuid
from tally.wire.status import Refused

_PATH = re.compile(re.escape(PREFIX) + r"([0-9a-f]{32})/([A-Za-z]{1,40})", re.ASCII)
_ENCODER = msgspec.json.Encoder()
_log = structlog.get_logger()


class ProjectsApp:
    """The ASGI application below `/internal/projects/`; who may call was checked before.

    Args:
        homes: the projects at home here.
        gate: stands before every call; None: the one that lets no fusion project through.
        desk: takes the calls on sharded projects; None: there are none.

    Attributes:
        served: the models that are served here.
    """

    def __init__(self, homes: Homes, gate: Gate | None = None, desk: Desk | None = None) -> None:
        self._homes = homes
        self._desk = desk
        self._gate = gate or ClosedGate(homes)
        self._long = Joined[bytes](homes.start)
        models = ModelVerbs(homes, homes.clock)
        self.served = models.served
        PROJECTS.set_function(lambda: len(homes.loaded))
        MEMORY.set_function(lambda: homes.usage.memory_bytes)
        self._verbs: Mapping[str, Callable[[Call], Awaitable[Answer]]] = {
            "learn": self._feed,
            "forget": self._feed,
            "merge": self._merge,
            "save": self._simple(Save()),
            "freeze": self._simple(Freeze(True)),
            "unfreeze": self._simple(Freeze(False)),
            "unload": self._simple(Unload()),
            "histogramEnable": self._histogram,
            "rename": self._rename,
            "delete": self._delete,
            "import": self._import,
            "export": self._export,
            "snapshot": self._snapshot,
            "cellStatistics": self._cell_statistics,
            "info": self._info,
            "infoKnown": self._info,
            "getLFStats": self._uses,
            "getDsLog": self._data_sources,
            "transform": self._transform,
            **dict.fromkeys(QUESTIONS, self._question),
            **models.verbs,
            **self._gate.verbs,
            **(desk.verbs if desk else {}),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one call."""
        answer = await self._respond(scope, receive)
        if answer is None:
            return
        PROJECT_CALLS.labels(str(answer.status)).inc()
        headers = [
            (b"content-type", answer.content_type),
            (b"content-length", str(len(answer.body)).encode()),
            *((name.lower().encode(), value.encode()) for name, value in answer.headers),
        ]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})

    async def _respond(self, scope: Scope, receive: Receive) -> Answer | None:
        found = _PATH.fullmatch(scope["path"])
        verb = self._verbs.get(found[2]) if found else None
        if found is None or verb is None:
            return refusal(NotFound("there is nothing at this path"))
        log = _log.bind(project=found[1], verb=found[2])
        try:
            call = read_head(scope, ProjectUuid(found[1]), found[2])
            log = log.bind(request_id=call.request_id)
            body = await read_body(scope, receive, self._homes.limits.body_bytes)
            if body is None:
                return None
            async with asyncio.timeout(self._homes.limits.wait_s):
                await self._gate.before(call)
                call = replace(call, body=body)
                taken = await self._desk.take(call) if self._desk else None
                answer = taken or await verb(call)
        except TallyError as error:
            answer = refusal(error)
            tell = log.debug if answer.status < 500 else log.warning
            tell("project call refused", status=answer.status, reason=str(error))
        except TimeoutError:
            log.warning("project call timed out")
            answer = refusal(Unavailable("The project did not answer in time"))
        except Exception as error:
            # A defect, told like every other refusal: the broker must not take us for dead.
            log.error("project call failed", exc_info=error)
            answer = refusal(TallyError("The project's worker failed; its log tells more"))
        return answer

    # Changes

    def _simple(self, change: Change) -> Callable[[Call], Awaitable[Answer]]:
        async def make(call: Call) -> Answer:
            return await self._make(call, change)

        return make

    async def _make(self, call: Call, change: Change) -> Answer:
        await self._homes.change(call.project, change, call.batch_id, call.suspects)
        return Answer()

    async def _feed(self, call: Call) -> Answer:
        feed = Feed(
            op=call.verb,
            body=call.body,
            media_type=call.media_type,
            content_encoding=call.content_encoding,
            query=call.query,
            client=call.client,
            limits=self._homes.limits.frame,
            fence=read_number(call.fence),
        )
        return await self._make(call, feed)

    async def _merge(self, call: Call) -> Answer:
        return await self._make(call, Merge(call.body, call.query.get("other", "")))

    async def _histogram(self, call: Call) -> Answer:
        if not call.query.get("enable"):
            raise Refused(texts.missing_parameter("enable"))
        return await self._make(call, Histograms(call.flag("enable", default=True)))

    async def _rename(self, call: Call) -> Answer:
        new = call.query.get("newName", "")
        if not new:
            raise Refused(texts.missing_parameter("newName"))
        await self._homes.rename(call.project, new, call.batch_id, call.suspects)
        return Answer()

    async def _delete(self, call: Call) -> Answer:
        await self._homes.delete(call.project, call.batch_id, call.suspects)
        return Answer()

    async def _import(self, call: Call) -> Answer:
        for name in ("cid", "pid"):
            if not call.query.get(name):
                raise Refused(texts.missing_parameter(name))
        limit = self._homes.limits.body_bytes
        export = await self._homes.threads.run(opened, call.body, limit)
        persisted = call.flag("persist", default=True)
        await self._homes.projects.create(
            call.query["cid"],
            call.query["pid"],
            export.options,
            persisted=persisted,
            project=call.project,
            snapshot=export.data if persisted else None,
        )
        if not persisted:
            await self._make(call, Restore(export))
        return Answer()

    # Questions

    async def _export(self, call: Call) -> Answer:
        home = await self._homes.ask(call.project, call.suspects)
        body = await self._homes.threads.run(sealed, home.project)
        return Answer(body, content_type=TEXT)

    async def _snapshot(self, call: Call) -> Answer:
        home = await self._homes.ask(call.project, call.suspects)
        body = await self._homes.threads.run(snapshot, home)
        return Answer(body, content_type=BYTES)

    async def _cell_statistics(self, call: Call) -> Answer:
        home = await self._homes.ask(call.project, call.suspects)
        given, since = shared(home, call), call.query.get("since", "")
        body = await self._homes.threads.run(packed, given, since)
        return Answer(body, content_type=BYTES)

    async def _info(self, call: Call) -> Answer:
        loaded = self._homes.has(call.project)
        home = await self._homes.ask(call.project, call.suspects)
        return _values(sml_info(project_info(home, loaded=loaded or home.head.epoch == 1)))

    async def _uses(self, call: Call) -> Answer:
        home = await self._homes.ask(call.project, call.suspects)
        return _values(string_list(use_lines(home.uses.all())))

    async def _data_sources(self, call: Call) -> Answer:
        await self._homes.ask(call.project, call.suspects)
        return _values(string_list(()))

    async def _transform(self, call: Call) -> Answer:
        home = await self._homes.ask(call.project, call.suspects)
        return await self._compute(transformed, home, call)

    async def _question(self, call: Call) -> Answer:
        home = await self._homes.ask(call.project, call.suspects)
        return await self._compute(QUESTIONS[call.verb], home, call)

    async def _compute(
        self, question: Callable[[Home, Call, Limits], Values], home: Home, call: Call
    ) -> Answer:
        """Answer from a snapshot, beside the event loop; encoding included."""

        def run() -> bytes:
            return _json(question(home, call, self._homes.limits.frame))

        if call.verb not in LONG:
            return Answer(await self._homes.threads.run(run))

        def run_if_wanted() -> bytes:
            if not self._long.wanted(key):
                raise Unavailable("Nobody waits for this question any more")
            return run()

        # Asked again, since it took longer than a call may, it finds itself running.
        state = (call.project, home.head.epoch, home.states)
        key = (state, call.verb, tuple(sorted(call.query.items())), call.body)
        return Answer(await self._long(key, lambda: self._homes.long_thread.run(run_if_wanted)))


def _values(values: Values) -> Answer:
    return Answer(_json(values))


def _json(values: Values) -> bytes:
    return _ENCODER.encode({key: value for key, value in values.items() if value is not None})
