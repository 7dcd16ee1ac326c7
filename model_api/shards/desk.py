"""What stands before every call about a project: fresh sums, and what goes to its shards."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from weakref import WeakValueDictionary

import msgspec

from model_api.projects.calls import Answer, Call
from model_api.projects.changes import Draft, Feed
from model_api.projects.homes import Homes
from model_api.projects.info import use_lines
from model_api.shards.asking import Asking, Question
from model_api.shards.fence import next_number
from model_api.shards.rules import INFO, READS, REFUSED, ROWS, SPREAD
from model_api.shards.summing import Summing, check
from model_api.shards.telling import KNOWS, USES, Telling, unpack_uses
from tally.engine.project import Project
from tally.projects.names import is_pid
from tally.projects.records import Head
from tally.projects.uses import Uses
from tally.wire.envelope import string_list
from tally.wire.projects import FENCE, ProjectUuid
from tally.wire.status import Refused, StatusCode

_TRIES = 5  # of a forget, while shards come to other homes
_ENCODER = msgspec.json.Encoder()


class Desk:
    """Takes calls on sharded projects, and lets all others through.

    Args:
        homes: the projects at home here.
        asking: asks shards.
    """

    def __init__(self, homes: Homes, asking: Asking) -> None:
        self._homes = homes
        self._asking = asking
        self._summing = Summing(homes, asking)
        self._forgetting: WeakValueDictionary[ProjectUuid, asyncio.Lock] = WeakValueDictionary()
        self.verbs: Mapping[str, Callable[[Call], Awaitable[Answer]]] = Telling(homes).verbs
        """Those that shards answer."""
        self._instead: Mapping[str, Callable[[Call, Head], Awaitable[Answer]]] = {
            **dict.fromkeys(ROWS, self._pass_on),
            **dict.fromkeys(REFUSED, self._refuse),
            "forget": self._forget,
            "histogramEnable": self._tell_all,
            "getLFStats": self._log,
        }
        self._watched = READS | SPREAD | self._instead.keys() | {"rename"}

    async def take(self, call: Call) -> Answer | None:
        """Return the answer to a call that shards answer; None: the project itself does now.

        Raises:
            Refused: 400, a sharded project has no such operation, or more rows were forgotten than
                learned; 503, a shard does not answer.
        """
        if call.verb not in self._watched or not await self._homes.cells(call.project):
            return None
        if (head := await self._homes.head(call.project)) is None:
            return None
        if (instead := self._instead.get(call.verb)) is not None:
            return await instead(call, head)
        if call.verb in READS:
            home = await self._homes.ask(call.project, call.suspects)
            await self._summing.refresh(home)
            if call.verb not in INFO:
                check(home)
        elif call.verb in SPREAD or await self._may_be(head, call.query.get("newName", "")):
            await self._tell_all(call, head)
        return None

    async def _may_be(self, head: Head, pid: str) -> bool:
        """Tell whether a project may get a name; if not, it refuses by itself."""
        return is_pid(pid) and await self._homes.projects.names.find(head.customer, pid) is None

    async def _tell_all(self, call: Call, head: Head) -> Answer:
        await self._homes.ask(call.project, call.suspects)  # it is at home here
        await self._asking.all(call.project, head, Question.of(call))
        return Answer()

    async def _pass_on(self, call: Call, head: Head) -> Answer:
        return Answer(await self._asking.one(call.project, head, Question.of(call)))

    async def _refuse(self, call: Call, head: Head) -> Answer:
        raise Refused(f"Operation [{call.verb}] is not available on a project with cells")

    async def _forget(self, call: Call, head: Head) -> Answer:
        """Have a shard forget rows that some of them have learned.

        One call of a project after the other: each finds the sums as the one before has left them.
        """
        question = Question.of(call)
        async with self._forgetting.setdefault(call.project, asyncio.Lock()):
            for _ in range(_TRIES):
                try:
                    return Answer(await self._forget_once(call, head, question))
                except Refused as error:
                    if error.status is not StatusCode.CONFLICT:
                        raise
                    # The shard has come to another home, or there is another one of the project.
        raise Refused(
            f"The rows of project [{head.pid}] are being forgotten elsewhere",
            StatusCode.SERVICE_UNAVAILABLE,
        )

    async def _forget_once(self, call: Call, head: Head, question: Question) -> bytes:
        home = await self._homes.ask(call.project, call.suspects)
        fence = next_number(home)
        await self._summing.refresh(home, fence)
        # Asked after the sum: what was sent under this id before counts by now, or never will.
        asked = Question(KNOWS, {"id": question.batch_id}, question.batch_id)
        if not msgspec.json.decode(await self._asking.one(call.project, head, asked)):
            check(home)
            await self._homes.threads.run(self._try, home.project, home.head, call)
        fenced = replace(question, headers={**question.headers, FENCE: str(fence)})
        return await self._asking.one(call.project, head, fenced)

    def _try(self, project: Project, head: Head, call: Call) -> None:
        """Forget rows in a copy that is thrown away.

        Raises:
            Refused: they cannot be forgotten.
        """
        draft = Draft(project.draft(), head.frozen, head.persisted, head.pid)
        Feed(
            op=call.verb,
            body=call.body,
            media_type=call.media_type,
            content_encoding=call.content_encoding,
            query=call.query,
            client=call.client,
            limits=self._homes.limits.frame,
        ).apply(draft)

    async def _log(self, call: Call, head: Head) -> Answer:
        told = await self._asking.all(call.project, head, Question(USES))
        uses = Uses()
        for one in told:
            uses.note(unpack_uses(one))
        return Answer(_ENCODER.encode(string_list(use_lines(uses.all()))))
