"""What stands before every call about a project: rules and fresh cells, where it is a fusion."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from model_api.fusion.refreshing import Refresher
from model_api.fusion.rules import FRESH, INFO, KNOWN, REFUSED, TELLING
from model_api.fusion.told import last_error
from model_api.fusion.trail import Trail
from model_api.fusion.verbs import FusionVerbs
from model_api.projects.calls import Answer, Call
from model_api.projects.homes import Homes
from tally.projects.cells import FUSION
from tally.wire import texts
from tally.wire.status import Refused, StatusCode

_NO_KEY = (
    "Fusion projects need the master key: give this installation's workers the "
    "TALLY_MASTER_KEY or TALLY_MASTER_KEY_FILE of its brokers"
)

_WATCHED = REFUSED | FRESH | {INFO, KNOWN}


class Gate(Protocol):
    """Stands before every call."""

    verbs: Mapping[str, Callable[[Call], Awaitable[Answer]]]
    """Those that only fusion projects answer."""

    async def before(self, call: Call) -> None:
        """Return once a call may be answered.

        Raises:
            Refused: it may not.
        """
        ...


class OpenGate:
    """Keeps fusion projects up to date.

    Args:
        homes: the projects at home here.
        refresher: fetches their cells.
        verbs: answer what only they are asked.
    """

    def __init__(self, homes: Homes, refresher: Refresher, verbs: FusionVerbs) -> None:
        self._homes = homes
        self._refresher = refresher
        self._verbs = verbs
        self.verbs = verbs.verbs

    async def before(self, call: Call) -> None:
        """Return once a call may be answered.

        Raises:
            Refused: 400, fusion projects have no such operation, or this one has no data; 409, it
                asks itself.
        """
        if not await _concerns(self._homes, call):
            return
        _refuse(call)
        home = await self._homes.ask(call.project, call.suspects)
        if call.verb != KNOWN:
            trail = Trail.read(call.fusion_path, call.fusion_deadline)
            await self._refresher.refresh_if_stale(home, trail)
            home = await self._homes.ask(call.project, call.suspects)
        if call.verb in TELLING:
            await self._verbs.encrypt_cells(home)
        if call.verb in FRESH and home.fused is not None and not home.fused.snapshots:
            raise Refused(texts.fusion_without_data(home.head.pid, last_error(home)))


class ClosedGate:
    """Stands where the keys of cells cannot be read; all other projects work.

    Args:
        homes: the projects at home here.
    """

    def __init__(self, homes: Homes) -> None:
        self._homes = homes
        names = ("fusionCreate", "fusionUpdate", "fusionStatus", "fusionProbe")
        self.verbs: Mapping[str, Callable[[Call], Awaitable[Answer]]] = dict.fromkeys(
            names, self._refuse
        )

    async def before(self, call: Call) -> None:
        """Return if a call is not about a fusion project.

        Raises:
            Refused: it is.
        """
        if call.verb != KNOWN and await _concerns(self._homes, call):
            _refuse(call)
            raise _no_key()

    async def _refuse(self, call: Call) -> Answer:
        raise _no_key()


def _no_key() -> Refused:
    # Not 503: brokers would ask again and again, and nothing changes while the worker runs.
    return Refused(_NO_KEY, StatusCode.INTERNAL_SERVER_ERROR)


async def _concerns(homes: Homes, call: Call) -> bool:
    """Tell whether a call is about a fusion project, and of a kind that is watched."""
    if call.verb not in _WATCHED:
        return False
    return await homes.kind(call.project) == FUSION


def _refuse(call: Call) -> None:
    if call.verb in REFUSED:
        raise Refused(texts.not_on_fusion(call.verb))
