"""What each action of the table does: mostly, ask the project's home and wrap the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import msgspec

from broker.edge.symetry.call import PLAIN_TEXT, Call, Outcome
from broker.edge.symetry.creation import creation_options
from broker.edge.symetry.routes import Action
from broker.routing.homes import HomeCall, Homes, HomeUnavailable
from tally.errors import NotFound
from tally.projects.names import check_pid
from tally.projects.projects import Projects, new_project_uuid
from tally.wire import texts
from tally.wire.contexts import parse_ml_context
from tally.wire.envelope import SML_INFO_LIST, string_list
from tally.wire.projects import ProjectUuid, drift_body
from tally.wire.status import Refused, StatusCode

EMBEDDED_WINDOW = "rolling_window_embedded_project"
_AT_A_TIME = 16
_SNAPSHOTS = 4  # of other projects, in memory at once
_MAX_SHOWN = 140

Handler = Callable[[Call, float], Awaitable[Outcome]]


class _Info(msgspec.Struct):
    smlInfo: msgspec.Raw  # noqa: N815 - as it is on the wire


class Handlers:
    """Answers calls on projects.

    Args:
        projects: which there are.
        homes: who knows what is in them.
    """

    def __init__(self, projects: Projects, homes: Homes) -> None:
        self._projects = projects
        self._homes = homes
        self._snapshots = asyncio.Semaphore(_SNAPSHOTS)
        self._by_action: dict[Action, Handler] = {
            Action.ASK: self._ask,
            Action.CHANGE: self._change,
            Action.CREATE: self._create,
            Action.LIST: self._list,
            Action.INFO_ALL: self._info_all,
            Action.RENAME: self._rename,
            Action.DELETE: self._delete,
            Action.MERGE: self._merge,
            Action.IMPORT: self._import,
            Action.EXPORT: self._export,
            Action.DRIFT: self._drift,
        }

    async def answer(self, call: Call, wait_s: float) -> Outcome:
        """Return what a call comes to.

        Args:
            call: any but those on jobs.
            wait_s: how long to wait for homes.

        Raises:
            TallyError: why there is no answer.
        """
        return await self._by_action[call.route.action](call, wait_s)

    async def project(self, call: Call, pid: str | None = None) -> ProjectUuid:
        """Return the project of the call's customer that a name, or the path, means.

        Raises:
            Refused: 400, the customer has none of that name.
        """
        found = await self._projects.names.find(call.cid, call.pid if pid is None else pid)
        if found is None:
            raise _unknown(call, pid)
        return found.project

    async def _ask(self, call: Call, wait_s: float) -> Outcome:
        return Outcome(await self._at_home(call, wait_s))

    async def _change(self, call: Call, wait_s: float) -> Outcome:
        return Outcome(await self._at_home(call, wait_s))

    async def _create(self, call: Call, wait_s: float) -> Outcome:
        pid = check_pid(call.query.needed("pid"))
        options = creation_options(call.query, call.body)
        persisted = call.query.flag("persist", default=True)
        await self._projects.create(call.cid, pid, options, persisted=persisted)
        return _created(pid)

    async def _list(self, call: Call, wait_s: float) -> Outcome:
        names = await self._projects.names.all(call.cid)
        return Outcome(msgspec.json.encode(string_list(pid for pid, _ in names)))

    async def _info_all(self, call: Call, wait_s: float) -> Outcome:
        names = await self._projects.names.all(call.cid)
        turns = asyncio.Semaphore(_AT_A_TIME)

        async def info(project: ProjectUuid) -> msgspec.Raw | None:
            asked = HomeCall(project, "GET", "info", request_id=call.request_id)
            try:
                async with turns:
                    answer = await self._asked(asked, wait_s)
            except NotFound:
                return None  # deleted since
            return msgspec.json.decode(answer, type=_Info).smlInfo

        told = await asyncio.gather(
            *(info(name.project) for _, name in names), return_exceptions=True
        )
        if failed := next((one for one in told if isinstance(one, BaseException)), None):
            raise failed
        infos = [one for one in told if one is not None]
        return Outcome(msgspec.json.encode({SML_INFO_LIST: {"values": infos}}))

    async def _rename(self, call: Call, wait_s: float) -> Outcome:
        project = await self.project(call)
        new = check_pid(call.query.needed("newName"))
        await self._at_home(call, wait_s, project, query={"newName": new})
        return _created(new)

    async def _delete(self, call: Call, wait_s: float) -> Outcome:
        project = await self.project(call)
        await self._at_home(call, wait_s, project, verb="delete")
        return Outcome(text=texts.project_deleted(call.pid, call.cid))

    async def _merge(self, call: Call, wait_s: float) -> Outcome:
        other = call.query.needed("otherProjectName")
        project = await self.project(call)
        if other == call.pid:
            raise Refused(f"Project [{call.pid}] cannot be merged with itself")
        async with self._snapshots:
            snapshot = await self._snapshot(call, other, wait_s)
            return Outcome(await self._at_home(call, wait_s, project, body=snapshot))

    async def _import(self, call: Call, wait_s: float) -> Outcome:
        pid = check_pid(call.pid)
        if await self._projects.names.find(call.cid, pid) is not None:
            raise Refused(texts.project_exists(pid, call.cid), StatusCode.CONFLICT)
        persist = call.query.flag("persist", default=True)
        query = {"cid": call.cid, "pid": pid, "persist": str(persist).lower()}
        return Outcome(await self._at_home(call, wait_s, new_project_uuid(), query=query))

    async def _export(self, call: Call, wait_s: float) -> Outcome:
        bare = await self._at_home(call, wait_s)
        return Outcome(bare=bare, headers={"content-type": PLAIN_TEXT})

    async def _drift(self, call: Call, wait_s: float) -> Outcome:
        context = parse_ml_context(call.body)

        def named(parameter: str) -> str:
            if not (value := context.parameter(parameter)):
                raise Refused(texts.missing_parameter(parameter))
            return value

        baseline = await self.project(call, named("driftPreferenceProjectName"))
        analysis, snapshot = named("driftAnalysisProjectName"), b""
        named("driftMetric")
        async with self._snapshots:
            if analysis != EMBEDDED_WINDOW:
                snapshot = await self._snapshot(call, analysis, wait_s)
            body = drift_body(call.body, snapshot)
            return Outcome(await self._at_home(call, wait_s, baseline, body=body))

    async def _snapshot(self, call: Call, pid: str, wait_s: float) -> bytes:
        project = await self.project(call, pid)
        asked = HomeCall(project, "GET", "snapshot", request_id=call.request_id)
        try:
            return await self._asked(asked, wait_s)
        except NotFound:
            raise _unknown(call, pid) from None

    async def _at_home(
        self,
        call: Call,
        wait_s: float,
        project: ProjectUuid | None = None,
        *,
        verb: str = "",
        query: dict[str, str] | None = None,
        body: bytes | None = None,
    ) -> bytes:
        """Return what the home answers to a call, of which some parts may be others."""
        asked = HomeCall(
            project or await self.project(call),
            call.route.method,
            verb or call.route.verb,
            call.query.chosen(call.route.query) if query is None else query,
            batch_id=call.batch_id if call.route.changes else "",
            headers=call.headers,
            body=call.body if body is None else body,
            request_id=call.request_id,
        )
        try:
            return await self._asked(asked, wait_s)
        except NotFound:
            raise _unknown(call, None) from None

    async def _asked(self, asked: HomeCall, wait_s: float) -> bytes:
        try:
            return await self._homes.ask(asked, wait_s)
        except HomeUnavailable as error:
            raise _unavailable(error, asked.batch_id) from None


def _created(pid: str) -> Outcome:
    return Outcome(status=StatusCode.CREATED, text=texts.project_created(pid))


def _unknown(call: Call, pid: str | None) -> Refused:
    """Return the words for a name that means no project of this customer."""
    name = (call.pid if pid is None else pid)[:_MAX_SHOWN]
    if call.route.method == "DELETE" or call.route.verb == "histogramEnable":
        return Refused(texts.no_project_to_change(name, call.cid))
    return Refused(texts.no_project(name, call.cid))


def _unavailable(error: HomeUnavailable, batch_id: str) -> Refused:
    text = f"The project cannot be reached: {error}"
    if error.changed:
        # The home may have counted it and died before it could say so.
        text += (
            ". Whether the change was made is not known; the same request with the header "
            f"Idempotency-Key: {batch_id} may be repeated safely"
        )
    return Refused(text, StatusCode.SERVICE_UNAVAILABLE)
