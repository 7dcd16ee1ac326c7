"""Calls that only federated projects know: encrypted maps are opened here, and sealed for the home.

Between our processes a map travels sealed under the master key, since it has credentials in it.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Mapping

import msgspec

from broker.edge.symetry.at_home import AtHome, UnknownProject
from broker.edge.symetry.beside import beside
from broker.edge.symetry.call import Call, Outcome
from broker.edge.symetry.routes import Action
from tally.master_key import MasterKey
from tally.projects.federated import FEDERATED, seal
from tally.projects.names import check_pid
from tally.projects.projects import Projects, new_project_uuid
from tally.user_keys import UserKeys
from tally.wire import texts
from tally.wire.federation import open_map
from tally.wire.projects import ProjectUuid
from tally.wire.status import Refused, StatusCode

_NAME_LENGTH = 100
_REFUSED_AFTER_S = 0.25


class FederationHandlers:
    """Answers them.

    Args:
        projects: which there are.
        home: asks their homes.
        keys: of customers, with which bodies are encrypted.
        master: seals what was in them.
    """

    def __init__(self, projects: Projects, home: AtHome, keys: UserKeys, master: MasterKey) -> None:
        self._projects = projects
        self._home = home
        self._keys = keys
        self._master = master
        self.by_action: Mapping[Action, Callable[[Call, float], Awaitable[Outcome]]] = {
            Action.FED_CREATE: self._create,
            Action.FED_JOIN: self._join,
            Action.FED_MAP: self._ask,
            Action.FED_AWS: self._aws,
            Action.FED_POLICIES: self._policies,
        }

    async def _create(self, call: Call, wait_s: float) -> Outcome:
        pid = check_pid(call.query.needed("pid"))
        await self._make(call, pid, await self._map(call), wait_s)
        return Outcome(status=StatusCode.CREATED, text=texts.project_created(pid))

    async def _join(self, call: Call, wait_s: float) -> Outcome:
        given = await self._map(call)
        pid = call.query.text("pid") or _name(given)
        await self._make(call, check_pid(pid), given, wait_s)
        return Outcome(status=StatusCode.CREATED, text=texts.FED_JOINED)

    async def _make(self, call: Call, pid: str, given: Mapping[str, str], wait_s: float) -> None:
        persist = call.query.flag("persist", default=True)
        if await self._projects.names.find(call.cid, pid) is not None:
            raise Refused(texts.project_exists(pid, call.cid), StatusCode.CONFLICT)
        made = new_project_uuid()
        query = {"cid": call.cid, "pid": pid, "persist": str(persist).lower()}
        body = self._sealed(given, made)
        await self._home.ask(call, pid, wait_s, project=made, query=query, body=body)

    async def _ask(self, call: Call, wait_s: float) -> Outcome:
        project, given = await self._home.project(call, call.pid), await self._map(call)
        body = self._sealed(given, project)
        told = await self._home.ask(call, call.pid, wait_s, project=project, body=body)
        return Outcome(told.body)

    async def _aws(self, call: Call, wait_s: float) -> Outcome:
        pid = call.values.get("pid", "")
        project = await self._home.project(call, pid) if pid else new_project_uuid()
        body = self._sealed(await self._map(call), project)
        told = await self._home.ask(call, pid, wait_s, project=project, body=body)
        return Outcome(told.body)

    async def _policies(self, call: Call, wait_s: float) -> Outcome:
        """Pass a stranger's request to join on; refused, it does not tell which projects there are.

        Raises:
            Refused: after so long a time whatever the reason is.
        """
        loop = asyncio.get_running_loop()
        answered = loop.time() + _REFUSED_AFTER_S
        try:
            found = await self._projects.names.find(call.cid, call.pid)
            if found is None or found.kind != FEDERATED:
                raise Refused(texts.NOT_OF_FEDERATION)
            told = await self._home.ask(call, call.pid, wait_s, project=found.project)
        except Refused as refusal:
            await asyncio.sleep(answered - loop.time())
            if isinstance(refusal, UnknownProject):  # deleted since
                raise Refused(texts.NOT_OF_FEDERATION) from None
            raise
        return Outcome(told.body)

    async def _map(self, call: Call) -> dict[str, str]:
        if (key := await self._keys.get(call.cid)) is None:
            raise Refused("Invalid User", StatusCode.UNAUTHORIZED)  # deleted since it signed
        return await beside(len(call.body), open_map, key, call.body)

    def _sealed(self, given: Mapping[str, str], project: ProjectUuid) -> bytes:
        return msgspec.json.encode(seal(self._master, msgspec.json.encode(given), project))


def _name(given: Mapping[str, str]) -> str:
    """Return how a peer's project is called that was given no name."""
    name = (given.get("fed_name") or given.get("group_name") or "").strip()
    if not name:
        raise Refused(texts.missing_key("fed_name"))
    safe = "".join(c if c.isascii() and (c.isalnum() or c in "_.-") else "_" for c in name)
    return f"{safe[:_NAME_LENGTH]}_{uuid.uuid4().hex[:8]}"
