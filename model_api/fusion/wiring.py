"""Puts together what a worker needs to ask cells, here and elsewhere."""

from __future__ import annotations

from urllib.parse import urlsplit

import aiohttp
import structlog

from model_api.fusion.cycles import Cycles
from model_api.fusion.fetching import Fetch, Fetched, Question
from model_api.fusion.gate import ClosedGate, Gate, OpenGate
from model_api.fusion.limits import FusionLimits
from model_api.fusion.local import Local
from model_api.fusion.refreshing import Refresher
from model_api.fusion.remote import Remote
from model_api.fusion.verbs import FusionVerbs
from model_api.projects.homes import Homes
from model_api.settings import WorkerSettings
from tally.clock import Clock
from tally.fusion.cells import Cell
from tally.installation import installation_id
from tally.master_key import master_key
from tally.routing.homes import Homes as Routing
from tally.user_keys import UserKeys
from tally.users import Users

_log = structlog.get_logger()


class Anywhere:
    """Asks a cell where it is.

    Args:
        local, remote: ask those of this installation, and others.
        origins: by which this installation is reached.
    """

    def __init__(self, local: Fetch, remote: Fetch, origins: frozenset[str]) -> None:
        self._local = local
        self._remote = remote
        self._origins = origins

    def is_local(self, cell: Cell) -> bool:
        """Tell whether a cell is one of our own projects."""
        return cell.is_local or cell.host in self._origins

    async def __call__(self, question: Question) -> Fetched:
        """Return what a cell gives.

        Raises:
            CellFailed: nothing.
        """
        fetch = self._local if self.is_local(question.cell) else self._remote
        return await fetch(question)


def origins(settings: WorkerSettings) -> frozenset[str]:
    """Return the origins of this installation, as cells write them."""
    texts = [settings.public_origin, *settings.public_origins.split(",")]
    return frozenset(Cell.of(text, "", "").host for text in texts if text.strip())


async def fusion_gate(
    settings: WorkerSettings,
    homes: Homes,
    routing: Routing,
    session: aiohttp.ClientSession,
    limits: FusionLimits,
    clock: Clock,
) -> Gate:
    """Return what stands before every call about a project.

    Args:
        settings: ours.
        homes: the projects at home here.
        routing: asks homes of this installation, ours among them.
        session: HTTP client for other servers.
        limits: of asking cells.
        clock: of everything.

    Raises:
        ConfigurationError: the master key cannot be used, or is another one than the brokers'.
    """
    given = settings.master_key.get_secret_value() or settings.master_key_file
    if not given and urlsplit(settings.store()).scheme != "sqlite":
        _log.info("fusion projects are closed", reason="there is no master key")
        return ClosedGate(homes)
    master, store = master_key(settings), homes.projects.store
    users = Users(store, master, clock)
    await users.check_master_key()
    keys, names = UserKeys(users, clock), homes.projects.names
    fetch = Anywhere(Local(names, routing, keys), Remote(session, clock, limits), origins(settings))
    server = await installation_id(store)
    refresher = Refresher(homes, fetch, master, clock, limits, server)
    cycles = Cycles(names, routing, fetch.is_local, limits.fetch_s)
    return OpenGate(homes, refresher, FusionVerbs(homes, refresher, cycles, master, keys))
