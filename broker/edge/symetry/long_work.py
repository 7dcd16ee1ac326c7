"""Long work at a project's home, as a broker sees it: begun by one call, asked about by others."""

from __future__ import annotations

from http import HTTPStatus

import msgspec

from broker.edge.symetry.at_home import AtHome
from broker.edge.symetry.call import Call, Outcome, Told
from tally.wire.projects import WORK, Working


class LongWork:
    """Has homes work.

    Args:
        home: asks them.
    """

    def __init__(self, home: AtHome) -> None:
        self._home = home

    async def answer(self, call: Call, wait_s: float, told: Told) -> Outcome:
        """Return what the work comes to that a call asks for.

        Only the first call has the body. Where a home does not know of the work, since the one
        before has died or the work has ended meanwhile, the whole is sent again; it counts once.

        Args:
            call: one that bears a batch id.
            wait_s: how long to wait for a home that does not answer. One that works may take as
                long as it allows itself.
            told: how far the work is, whenever its home says so.

        Raises:
            Refused: it cannot be done, or was stopped.
        """
        project = await self._home.project(call, call.pid)
        known = False
        while True:
            if known:
                answer = await self._home.ask(
                    call, call.pid, wait_s, project=project, verb=WORK, query={}, body=b""
                )
            else:
                answer = await self._home.ask(call, call.pid, wait_s, project=project)
            if answer.status != HTTPStatus.ACCEPTED:
                return Outcome(answer.body)
            working = msgspec.json.decode(answer.body, type=Working)
            if known := working.known:
                told(working.done, working.most)
