"""Asking the home of a project on behalf of a call, and the words for what goes wrong there."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from broker.edge.symetry.call import Call
from broker.edge.symetry.routes import Action
from tally.errors import NotFound
from tally.projects.projects import Projects
from tally.projects.records import Name
from tally.projects.shards import shard_for
from tally.routing.home_call import Answer, HomeCall
from tally.routing.homes import Homes, HomeUnavailable
from tally.wire import texts
from tally.wire.projects import STOP, ProjectUuid, Stopped
from tally.wire.status import Refused, StatusCode

_ROWS = ("learn", "forget", "merge")
_MAX_SHOWN = 140


class AtHome:
    """Knows which project a customer means, and asks its home.

    Args:
        projects: which there are.
        homes: who knows what is in them.
    """

    def __init__(self, projects: Projects, homes: Homes) -> None:
        self._projects = projects
        self._homes = homes

    async def project(self, call: Call, pid: str) -> ProjectUuid:
        """Return the project that the call's customer means.

        Raises:
            Refused: 400, the customer has none of that name.
        """
        return (await self._found(call, pid)).project

    async def counting(self, call: Call) -> ProjectUuid:
        """Return who counts a call's batch id: the project in its path, or one of its shards.

        Rows go to the shard of their batch, where a retry meets itself.

        Raises:
            Refused: 400, the customer has none of that name.
        """
        found = await self._found(call, call.pid)
        if found.cells and call.route.verb in _ROWS:
            return shard_for(found.project, found.cells, call.batch_id)
        return found.project

    async def _asked_of(self, call: Call, pid: str) -> ProjectUuid:
        # The project first asks itself whether it has the rows that are to be forgotten.
        straight = pid == call.pid and call.route.verb != "forget"
        return await (self.counting(call) if straight else self.project(call, pid))

    async def _found(self, call: Call, pid: str) -> Name:
        found = await self._projects.names.find(call.cid, pid)
        if found is None:
            raise _unknown(call, pid)
        return found

    async def ask(
        self,
        call: Call,
        pid: str,
        wait_s: float,
        *,
        project: ProjectUuid | None = None,
        verb: str = "",
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Answer:
        """Return what the home of a project answers.

        Args:
            call: what is not given otherwise is taken from it.
            pid: the project as the customer calls it.
            wait_s: how long to wait for the home.
            project: the same, where it is known already.
            verb, query, body: of the internal call.

        Raises:
            Refused: the customer has no such project, the home refuses, or does not answer.
        """
        asked = HomeCall(
            project or await self._asked_of(call, pid),
            call.route.method,
            verb or call.route.verb,
            call.asked if query is None else query,
            batch_id=call.batch_id if call.route.changes else "",
            headers=call.headers,
            body=call.body if body is None else body,
            request_id=call.request_id,
            anywhere=call.route.action is Action.ANYWHERE,
        )
        return await self._asked(asked, call, pid, wait_s)

    async def read(
        self, call: Call, pid: str, project: ProjectUuid, verb: str, wait_s: float
    ) -> bytes:
        """Return what a home answers to `verb` alone, whatever the call itself asks for.

        Raises:
            Refused: as `ask`.
        """
        asked = HomeCall(project, "GET", verb, request_id=call.request_id)
        return (await self._asked(asked, call, pid, wait_s)).body

    async def stop(self, call: Call, project: ProjectUuid, batch_id: str, wait_s: float) -> bool:
        """Have nothing come of the long work of a batch id; false: it came to something before.

        Raises:
            Refused: the home does not answer; it may be stopped or not.
        """
        asked = HomeCall(project, "POST", STOP, batch_id=batch_id, request_id=call.request_id)
        try:
            answer = await self._asked(asked, call, "", wait_s)
        except UnknownProject:
            head = await self._projects.head(project, fresh=True)
            if head is None or head.deleted:
                return True  # it is gone with its project
            text = "The project's home cannot stop it"  # such as one whose code is older
            raise Refused(text, StatusCode.SERVICE_UNAVAILABLE) from None
        return msgspec.json.decode(answer.body, type=Stopped).stopped

    async def _asked(self, asked: HomeCall, call: Call, pid: str, wait_s: float) -> Answer:
        try:
            return await self._homes.answer(asked, wait_s)
        except NotFound:
            raise _unknown(call, pid) from None
        except HomeUnavailable as error:
            raise _unavailable(error, asked.batch_id) from None


class UnknownProject(Refused):
    """The customer has no project of that name."""


def _unknown(call: Call, pid: str) -> UnknownProject:
    name = pid[:_MAX_SHOWN]
    if call.route.action is Action.DELETE or call.route.verb == "histogramEnable":
        return UnknownProject(texts.no_project_to_change(name, call.cid))
    return UnknownProject(texts.no_project(name, call.cid))


def _unavailable(error: HomeUnavailable, batch_id: str) -> Refused:
    text = f"The project cannot be reached: {error}"
    if error.changed:
        # The home may have counted it and died before it could say so.
        text += (
            ". Whether the change was made is not known; the same request with the header "
            f"Idempotency-Key: {batch_id} may be repeated safely"
        )
    return Refused(text, StatusCode.SERVICE_UNAVAILABLE)
