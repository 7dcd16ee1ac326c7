"""What each action of the table does: mostly, ask the project's home and wrap the answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

import msgspec

from broker.edge.symetry.at_home import AtHome, UnknownProject
from broker.edge.symetry.beside import beside
from broker.edge.symetry.call import PLAIN_TEXT, Call, Outcome, Told, untold
from broker.edge.symetry.cell_statistics import CellStatistics
from broker.edge.symetry.creation import creation_options
from broker.edge.symetry.federation import FederationHandlers
from broker.edge.symetry.fusion import FusionHandlers
from broker.edge.symetry.long_work import LongWork
from broker.edge.symetry.routes import Action, Runs
from tally.errors import TooLarge
from tally.master_key import MasterKey
from tally.projects.cells import FUSION
from tally.projects.federated import FEDERATED
from tally.projects.names import check_pid
from tally.projects.projects import Projects, new_project_uuid
from tally.routing.homes import Homes
from tally.user_keys import UserKeys
from tally.wire import texts
from tally.wire.contexts import parse_ml_context
from tally.wire.envelope import SML_INFO_LIST, string_list
from tally.wire.federation import EXPLORED_PEER
from tally.wire.messages import MODEL_VERSION
from tally.wire.projects import ProjectUuid, drift_body
from tally.wire.status import Refused, StatusCode

EMBEDDED_WINDOW = "rolling_window_embedded_project"
_AT_A_TIME = 16
_SNAPSHOTS = 4  # of other projects, in memory at once

Handler = Callable[[Call, float], Awaitable[Outcome]]


class _Info(msgspec.Struct):
    smlInfo: msgspec.Raw  # noqa: N815 - as it is on the wire


class _Checked(msgspec.Struct):
    details: dict[str, str] = {}


class Handlers:
    """Answers calls on projects.

    Args:
        projects: which there are.
        homes: who knows what is in them.
        keys: of the customers.
        master: seals the keys of cells.
        max_bytes: of what is told about all projects of a customer together.
    """

    def __init__(
        self,
        projects: Projects,
        homes: Homes,
        keys: UserKeys,
        master: MasterKey,
        max_bytes: int,
    ) -> None:
        self._projects = projects
        self._home = AtHome(projects, homes)
        self._work = LongWork(self._home)
        self._max_bytes = max_bytes
        self._snapshots = asyncio.Semaphore(_SNAPSHOTS)
        self._by_action: dict[Action, Handler] = {
            Action.ASK: self._ask,
            Action.CHANGE: self._ask,
            Action.ANYWHERE: self._ask,
            Action.CREATE: self._create,
            Action.LIST: self._list,
            Action.INFO_ALL: self._info_all,
            Action.RENAME: self._rename,
            Action.DELETE: self._delete,
            Action.MERGE: self._merge,
            Action.IMPORT: self._import,
            Action.EXPORT: self._export,
            Action.DRIFT: self._drift,
            Action.CELL_STATISTICS: CellStatistics(self._home, keys).answer,
            **FusionHandlers(projects, self._home, keys, master).by_action,
            **FederationHandlers(projects, self._home, keys, master).by_action,
        }

    async def answer(self, call: Call, wait_s: float, told: Told = untold) -> Outcome:
        """Return what a call comes to.

        Args:
            call: any but those on jobs.
            wait_s: how long to wait for homes; those that work for long are asked again.
            told: how far that is.

        Raises:
            TallyError: why there is no answer.
        """
        if call.route.action is Action.WORK:
            return await self._work.answer(call, wait_s, told)
        return await self._by_action[call.route.action](call, wait_s)

    async def stop(self, call: Call, project: ProjectUuid, batch_id: str, wait_s: float) -> bool:
        """Have nothing come of long work; false: it came to something before.

        Raises:
            Refused: the home does not answer; it may be stopped or not.
        """
        return await self._home.stop(call, project, batch_id, wait_s)

    async def project(self, call: Call) -> ProjectUuid:
        """Return the project that a call's path means, or its shard that counts the call.

        Raises:
            Refused: 400, the customer has none of that name.
        """
        return await self._home.counting(call)

    async def check(self, call: Call, project: ProjectUuid, wait_s: float) -> Mapping[str, str]:
        """Return what a job tells of a call that may become one.

        Raises:
            TallyError: it would fail whatever the numbers are.
        """
        if call.route.runs is not Runs.JOB:
            return {}
        told = await self._home.ask(
            call, call.pid, wait_s, project=project, verb=f"{call.route.verb}Check"
        )
        return msgspec.json.decode(told.body, type=_Checked).details

    async def _ask(self, call: Call, wait_s: float) -> Outcome:
        told = await self._home.ask(call, call.pid, wait_s, verb=_verb(call))
        version = {MODEL_VERSION: told.model_version} if told.model_version else {}
        return Outcome(told.body, headers=version)

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
        turns, left_bytes = asyncio.Semaphore(_AT_A_TIME), self._max_bytes

        async def info(pid: str, project: ProjectUuid) -> msgspec.Raw | None:
            nonlocal left_bytes
            try:
                async with turns:
                    answer = await self._home.read(call, pid, project, "infoKnown", wait_s)
            except UnknownProject:
                return None  # deleted since
            left_bytes -= len(answer)
            if left_bytes < 0:
                raise TooLarge("projects", f"together they have more than {self._max_bytes} bytes")
            return msgspec.json.decode(answer, type=_Info).smlInfo

        told = await asyncio.gather(
            *(info(pid, name.project) for pid, name in names), return_exceptions=True
        )
        if failed := next((one for one in told if isinstance(one, BaseException)), None):
            raise failed
        infos = [one for one in told if one is not None]
        return Outcome(msgspec.json.encode({SML_INFO_LIST: {"values": infos}}))

    async def _rename(self, call: Call, wait_s: float) -> Outcome:
        project = await self.project(call)
        new = check_pid(call.query.needed("newName"))
        query = {"newName": new}
        await self._home.ask(call, call.pid, wait_s, project=project, query=query)
        return _created(new)

    async def _delete(self, call: Call, wait_s: float) -> Outcome:
        found = await self._projects.names.find(call.cid, call.pid)
        verb = "fedDelete" if found is not None and found.kind == FEDERATED else "delete"
        await self._home.ask(call, call.pid, wait_s, verb=verb)
        return Outcome(text=texts.project_deleted(call.pid, call.cid))

    async def _merge(self, call: Call, wait_s: float) -> Outcome:
        other = call.query.needed("otherProjectName")
        project = await self.project(call)
        if other == call.pid:
            raise Refused(f"Project [{call.pid}] cannot be merged with itself")
        source = await self._home.project(call, other)
        async with self._turn(wait_s):
            snapshot = await self._home.read(call, other, source, "snapshot", wait_s)
            told = await self._home.ask(
                call, call.pid, wait_s, project=project, query={"other": source}, body=snapshot
            )
        return Outcome(told.body)

    async def _import(self, call: Call, wait_s: float) -> Outcome:
        pid = check_pid(call.pid)
        if (found := await self._projects.names.find(call.cid, pid)) is not None:
            if found.kind == FUSION:
                raise Refused(texts.not_on_fusion(call.route.verb))
            if found.kind == FEDERATED:
                raise Refused(texts.not_on_federated(call.route.verb))
            raise Refused(texts.project_exists(pid, call.cid), StatusCode.CONFLICT)
        persist = call.query.flag("persist", default=True)
        query = {"cid": call.cid, "pid": pid, "persist": str(persist).lower()}
        made = new_project_uuid()
        told = await self._home.ask(call, pid, wait_s, project=made, query=query)
        return Outcome(told.body)

    async def _export(self, call: Call, wait_s: float) -> Outcome:
        told = await self._home.ask(call, call.pid, wait_s)
        return Outcome(bare=told.body, headers={"content-type": PLAIN_TEXT})

    async def _drift(self, call: Call, wait_s: float) -> Outcome:
        context = await beside(len(call.body), parse_ml_context, call.body)

        def named(parameter: str) -> str:
            if not (value := context.parameter(parameter)):
                raise Refused(texts.missing_parameter(parameter))
            return value

        baseline, analysis = (
            named(parameter)
            for parameter in ("driftPreferenceProjectName", "driftAnalysisProjectName")
        )
        named("driftMetric")
        project, snapshot = await self._home.project(call, baseline), b""
        async with self._turn(wait_s):
            if analysis != EMBEDDED_WINDOW:
                source = await self._home.project(call, analysis)
                snapshot = await self._home.read(call, analysis, source, "snapshot", wait_s)
            body = drift_body(call.body, snapshot)
            told = await self._home.ask(call, baseline, wait_s, project=project, body=body)
        return Outcome(told.body)

    @asynccontextmanager
    async def _turn(self, wait_s: float) -> AsyncIterator[None]:
        """Wait until there is room for another project's snapshot."""
        try:
            async with asyncio.timeout(wait_s):
                await self._snapshots.acquire()
        except TimeoutError:
            raise Refused(
                "Too many projects are being merged or compared; try again",
                StatusCode.TOO_MANY_REQUESTS,
            ) from None
        try:
            yield
        finally:
            self._snapshots.release()


def _verb(call: Call) -> str:
    """Return what the home is asked: of a question about another peer, another one."""
    about_peer = call.route.verb == "explore" and EXPLORED_PEER.encode() in call.body
    return "fedExplore" if about_peer else ""


def _created(pid: str) -> Outcome:
    return Outcome(status=StatusCode.CREATED, text=texts.project_created(pid))
