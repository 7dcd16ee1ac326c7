"""Answers to other peers' questions: each is computed once, however often it comes."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import msgspec
import structlog

from tally.clock import Clock
from tally.errors import TallyError
from tally.federation.effects import Explore
from tally.federation.events import Explored
from tally.federation.messages import MAX_CONTROL_BYTES, MAX_TEXT_LENGTH
from tally.federation.ports import Home
from tally.federation.state import digest_of

KEPT_S = 300.0
MAX_KEPT = 256
MAX_KEPT_BYTES = 8 * 1024 * 1024
MAX_RESULT_BYTES = MAX_CONTROL_BYTES - 64 * 1024
"""With what is around it, an answer is to fit into one message."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Answer:
    """An answer: a result as JSON, or why there is none; `question` is its digest."""

    question: str
    result: bytes = b""
    error: str = ""
    until_s: float = 0.0


class Answers:
    """What this peer answers others, and has answered them in the last minutes.

    Args:
        home: computes.
        clock: tells how old an answer is.
    """

    def __init__(self, home: Home, clock: Clock) -> None:
        self._home = home
        self._clock = clock
        self._kept: OrderedDict[tuple[str, str], _Answer] = OrderedDict()
        self._size_bytes = 0

    async def answer(self, asked: Explore, now_ms: int) -> Explored:
        """Return the answer to a question; the earlier one, if it was asked before.

        Args:
            asked: by a peer; its questions are told apart by their `req_id`.
            now_ms: goes into the answer.
        """
        self._forget_old()
        question = digest_of(msgspec.json.encode((asked.metric, asked.context), order="sorted"))
        answer = self._kept.get((asked.peer, asked.req_id))
        if answer is None:
            answer = await self._computed(asked, question)
            self._keep((asked.peer, asked.req_id), answer)
        elif answer.question != question:
            answer = _Answer(question, error="another question had this req_id")
        return Explored(
            now_ms,
            asked.peer,
            asked.req_id,
            asked.reply_to,
            ok=not answer.error,
            error=answer.error,
            result=None if answer.error else msgspec.Raw(answer.result),
        )

    async def _computed(self, asked: Explore, question: str) -> _Answer:
        until_s = self._clock.monotonic() + KEPT_S
        result, error = b"", ""
        try:
            result = msgspec.json.encode(await self._home.explore(asked))
        except TallyError as refused:
            error = (str(refused) or refused.code)[:MAX_TEXT_LENGTH]
        except Exception as defect:
            # Another peer's question must not end ours, whatever it finds out about us.
            _log.error("a question was not answered", peer=asked.peer, exc_info=defect)
            error = "the question could not be answered"
        if len(result) > MAX_RESULT_BYTES:
            error = f"the answer has {len(result)} bytes; {MAX_RESULT_BYTES} are allowed"
            result = b""
        return _Answer(question, result, error, until_s)

    def _keep(self, key: tuple[str, str], answer: _Answer) -> None:
        self._kept[key] = answer
        self._size_bytes += len(answer.result)
        while len(self._kept) > MAX_KEPT or self._size_bytes > MAX_KEPT_BYTES:
            self._forget_first()

    def _forget_old(self) -> None:
        now_s = self._clock.monotonic()
        while self._kept and next(iter(self._kept.values())).until_s <= now_s:
            self._forget_first()

    def _forget_first(self) -> None:
        _, answer = self._kept.popitem(last=False)
        self._size_bytes -= len(answer.result)
