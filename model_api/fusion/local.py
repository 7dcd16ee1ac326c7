"""Cells of this installation: asked over the internal call, once key and customer were compared."""

from __future__ import annotations

import asyncio

from model_api.fusion.fetching import CellFailed, Fetched, Question, failure
from tally.errors import CorruptState, NotFound, TallyError, TooLarge
from tally.fusion.cells import CellState
from tally.projects.names import Names
from tally.routing.home_call import HomeCall
from tally.routing.homes import Homes, HomeUnavailable
from tally.user_keys import UserKeys
from tally.wire.cell_statistics import unpack_cell
from tally.wire.status import Refused


class Local:
    """Asks the homes of our own projects.

    Args:
        names: which projects there are.
        homes: where they are.
        keys: of our customers; a cell of ours needs the key of its customer as any other does.
    """

    def __init__(self, names: Names, homes: Homes, keys: UserKeys) -> None:
        self._names = names
        self._homes = homes
        self._keys = keys

    async def __call__(self, question: Question) -> Fetched:
        """Return what a cell gives.

        Raises:
            CellFailed: nothing.
        """
        cell = question.cell
        try:
            async with asyncio.timeout(question.left_s):
                if await self._keys.get(cell.cid) != question.key:
                    raise CellFailed(CellState.UNAUTHORIZED)
                found = await self._names.find(cell.cid, cell.pid)
                if found is None:
                    raise CellFailed(CellState.NO_SUCH_PROJECT)
                query = {"scope": cell.scope, "since": question.since}
                call = HomeCall(
                    found.project, "GET", "cellStatistics", query, headers=question.headers
                )
                answer = await self._homes.answer(call, question.left_s)
        except Refused as error:
            raise failure(error.status.http, error.text) from None
        except NotFound:
            raise CellFailed(CellState.NO_SUCH_PROJECT) from None
        except TooLarge as error:
            raise CellFailed(CellState.ERROR, str(error)) from None
        except HomeUnavailable:
            raise CellFailed(CellState.UNREACHABLE, "its home does not answer") from None
        except TimeoutError:
            raise late(question.left_s) from None
        except TallyError as error:  # of the store
            raise CellFailed(CellState.ERROR, error.code) from None
        question.take(len(answer.body))
        return _fetched(answer.body)


def _fetched(body: bytes) -> Fetched:
    try:
        head, _ = unpack_cell(body)
    except CorruptState:
        raise CellFailed(CellState.ERROR, "what its home answers cannot be read") from None
    return Fetched(None if head.not_modified else body)


def late(left_s: float) -> CellFailed:
    """Return the failure of a cell that has not answered in time."""
    return CellFailed(CellState.TIMEOUT, f"no answer within {round(1000 * left_s)} ms")
