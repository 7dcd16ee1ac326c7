"""A customer's projects, for programs that have an event loop."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Coroutine, Iterable, Mapping
from types import TracebackType
from typing import Any

import msgspec

from tally.client import wire
from tally.client.account import Account
from tally.client.async_project import AsyncProject
from tally.client.cells import CellLike, sealed
from tally.client.errors import NameTaken
from tally.client.federations import Terms, invited_terms, make, new_terms
from tally.client.fusing import ask_cells
from tally.client.jobs import AsyncJob
from tally.client.results.cells import CellsStatus
from tally.client.results.info import JobStatus, ProjectInfo
from tally.client.session import Patience, Session
from tally.wire.secret_key import SecretKey

_JSON, _TEXT = {"Content-Type": "application/json"}, {"Content-Type": "text/plain"}


class AsyncTally:
    """Asks one broker for one customer. Use it with `async with`.

    Args:
        cid: the customer; left out: `TALLY_CID`.
        key: the customer's secret key; left out: `TALLY_KEY`.
        url: of the broker; left out: `TALLY_URL`, or `http://127.0.0.1:5000`.
        patience: how long requests are repeated while the service is away or busy.

    Raises:
        InvalidInput: something is missing, or cannot be used.
    """

    def __init__(
        self,
        cid: str | None = None,
        key: str | SecretKey | None = None,
        url: str | None = None,
        *,
        patience: Patience = Patience(),  # noqa: B008 - it is frozen
    ) -> None:
        self.account = Account.of(cid, key, url)
        self._session = Session(self.account, patience)

    async def __aenter__(self) -> AsyncTally:
        """Return itself."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connections."""
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._session.connections.close()

    def close_when_unused(self, close: Callable[[Coroutine[Any, Any, None]], object]) -> None:
        """Close the connections once neither this nor any of its projects is in use.

        Args:
            close: runs what it is given, wherever the connections' loop is.
        """
        connections = self._session.connections
        weakref.finalize(self._session, lambda: close(connections.close()))

    def project(self, pid: str) -> AsyncProject:
        """Return a project, without asking whether it exists."""
        return AsyncProject(self._session, pid)

    async def create(
        self,
        pid: str,
        type: str = "cpu",
        *,
        histogram: bool = True,
        persist: bool = True,
        cells: int = 0,
        exist_ok: bool = False,
        params: Mapping[str, object] | None = None,
    ) -> AsyncProject:
        """Make a project.

        Args:
            pid: its name: letters, digits, and `_`, `.`, `-`.
            type: `cpu`, `sequence` or `partition`.
            histogram: keep counts of values, for densities, minimum, maximum and median.
            persist: keep it over restarts.
            cells: spread its rows over so many parts, from 2 to 64, which learn side by side; 0:
                keep them in one place.
            exist_ok: take one that is there already, whatever it was created with.
            params: further options by name, such as `sml_project_rolling_window_size`.

        Raises:
            NameTaken: there is a project of that name.
            ProjectRefused: an option cannot be used.
        """
        query = {
            "pid": pid,
            "type": type,
            "persist": _flag(persist),
            "enableHistogram": _flag(histogram),
            **({"cells": str(cells)} if cells else {}),
        }
        body = {name: _text(value) for name, value in (params or {}).items()}
        try:
            await self._session.change(
                "POST",
                "projects",
                query=query,
                body=msgspec.json.encode(body) if body else b"",
                headers=_JSON,
            )
        except NameTaken:
            if not exist_ok:
                raise
        return self.project(pid)

    async def import_project(self, pid: str, text: str, *, persist: bool = True) -> AsyncProject:
        """Make a project of the text that `export` returned.

        Raises:
            NameTaken: there is a project of that name.
            ProjectRefused: the text is damaged.
        """
        await self._session.change(
            "POST",
            "projects",
            pid,
            "import",
            query={"persist": _flag(persist)},
            body=text.encode(),
            headers=_TEXT,
        )
        return self.project(pid)

    async def create_fusion(
        self,
        pid: str,
        cells: Iterable[CellLike],
        *,
        persist: bool = True,
        exist_ok: bool = False,
    ) -> AsyncProject:
        """Make a project over others, its cells: it answers as if it had learned all their rows.

        Cells that cannot be reached do not matter yet; `cells_status` tells of them.

        Args:
            pid: its name.
            cells: whose statistics it adds up, as `Cell`, or as projects of any client.
            persist: keep it over restarts.
            exist_ok: take a fusion project that is there already, and set its cells.

        Raises:
            NameTaken: there is a project of that name.
            FusionCycle: it would be a cell of itself.
            InvalidInput: there is no cell, or one stands there twice.
        """
        given = tuple(cells)
        try:
            await self._session.change(
                "POST",
                "projects",
                "fusion",
                "create",
                query={"pid": pid, "persist": _flag(persist)},
                body=sealed(self.account, given),
                headers=_TEXT,
            )
        except NameTaken:
            if not exist_ok:
                raise
            await self.project(pid).update_cells(given)
        return self.project(pid)

    async def create_federation(
        self,
        pid: str,
        name: str,
        nats: str | Iterable[str],
        schedule: str = "h1",
        *,
        hipaa: bool = True,
        encrypt: bool = False,
        persist: bool = True,
        params: Terms | None = None,
    ) -> AsyncProject:
        """Make a federation, and the project of its first peer, the admin.

        Args:
            pid: name of the project here.
            name: of the federation, for all peers.
            nats: URLs of the message broker.
            schedule: when peers synchronise: `m5`, `h1`, `d1`.
            hipaa: every table has patients, and the rules for health records hold.
            encrypt: the broker sees no statistics.
            persist: keep it over restarts.
            params: further terms by the protocol's keys, such as `nats_sec_token`.

        Raises:
            NameTaken: there is a project of that name.
            ProjectRefused: a term cannot be used, or the broker not be reached; nothing is left.
        """
        terms = new_terms(name, nats, schedule, hipaa=hipaa, encrypt=encrypt)
        given = {**terms, **(params or {})}
        await make(self._session, "create", pid, given, persist=persist)
        return self.project(pid)

    async def join_federation(
        self,
        pid: str,
        invitation: str,
        password: str,
        *,
        hipaa: bool | None = None,
        persist: bool = True,
        params: Terms | None = None,
    ) -> AsyncProject:
        """Join a federation by an invitation, and make the project of the new peer.

        Args:
            pid: name of the project here.
            invitation: the text that `invite` gave the admin.
            password: of it.
            hipaa: hold to the rules for health records; they may be switched on, where the
                federation does not ask for them, and not off. None: as it does.
            persist: keep it over restarts.
            params: further terms of this peer by the protocol's keys.

        Raises:
            InvalidInput: the invitation cannot be read with this password.
            InvitationRefused: it was used before, is too old, or nobody gave it.
            NameTaken: there is a project of that name.
            ProjectRefused: a term cannot be used, or nobody answered; nothing is left.
        """
        given = {**invited_terms(invitation, password, hipaa=hipaa), **(params or {})}
        await make(self._session, "createJoin", pid, given, persist=persist)
        return self.project(pid)

    async def cells_status(self, cells: Iterable[CellLike]) -> CellsStatus:
        """Ask cells how they are, before a fusion project is made of them.

        Raises:
            InvalidInput: there is none, or one stands there twice.
        """
        return await ask_cells(self._session, tuple(cells))

    async def projects(self) -> list[str]:
        """Return the names of the customer's projects."""
        return wire.names(await self._session.get("projects", "list"))

    async def infos(self) -> list[ProjectInfo]:
        """Return what all of the customer's projects are."""
        answer = await self._session.get("projects", "info", query={"async": "false"})
        return [ProjectInfo.of(told) for told in wire.infos(answer)]

    async def jobs(self) -> list[JobStatus]:
        """Return the customer's jobs."""
        answer = await self._session.get("jobs")
        return [JobStatus.of(told) for told in wire.jobs(answer)]

    def job(self, id: int) -> AsyncJob[dict[str, Any]]:
        """Return a job by its number; its result is what the server answers, as it is."""
        return AsyncJob(self._session, id, wire.values)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.account.cid!r}, url={self.account.url!r})"


def _flag(value: bool) -> str:
    return "true" if value else "false"


def _text(value: object) -> str:
    return _flag(value) if isinstance(value, bool) else str(value)
