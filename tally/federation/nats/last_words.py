"""The admin's last words, read from their stream.

They are read and not consumed, so that a peer that died over one reads it at once when it is back,
before it reads what others sent after it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import nats.js.errors
from nats.js import JetStreamContext

from tally.federation.nats.names import STATES, Names
from tally.federation.transport import Delivery

MAX_DELIVER = 5

_PREFIX = "state/"


@dataclass(slots=True)
class _Word:
    number: int
    delivery: Delivery
    due_s: float = 0.0
    tries: int = 0


class LastWords:
    """What one peer has still to hear, in one connection.

    Args:
        jetstream: of the connection.
        names: of the federation.
        again_s: after so long a word that was not acknowledged is delivered again.
    """

    def __init__(self, jetstream: JetStreamContext, names: Names, again_s: float) -> None:
        self._jetstream = jetstream
        self._names = names
        self._again_s = again_s
        self._read_to = 0
        self._unheard: dict[str, _Word] = {}

    async def take(self) -> list[Delivery]:
        """Return what is new, oldest first, and what was not acknowledged in time."""
        info = await self._jetstream.stream_info(self._names.state)
        if info.state.last_seq > self._read_to:
            for state in STATES:
                await self._read(state)
            self._read_to = info.state.last_seq
        now = asyncio.get_running_loop().time()
        due = [each for each in self._unheard.items() if each[1].due_s <= now]
        for name, word in due:
            word.tries += 1
            word.due_s = now + self._again_s
            if word.tries >= MAX_DELIVER:
                del self._unheard[name]
        return [word.delivery for _, word in sorted(due, key=lambda each: each[1].number)]

    def acknowledge(self, token: str) -> bool:
        """Tell whether a token is of ours; if so, that word is delivered no more."""
        if not token.startswith(_PREFIX):
            return False
        number = int(token.removeprefix(_PREFIX))
        kept = {state: word for state, word in self._unheard.items() if word.number != number}
        self._unheard = kept
        return True

    async def _read(self, state: str) -> None:
        subject = self._names.state_of(state)
        try:
            stored = await self._jetstream.get_last_msg(self._names.state, subject)
        except nats.js.errors.NotFoundError:
            return
        if stored.seq is None or stored.time is None or stored.seq <= self._read_to:
            return
        known = self._unheard.get(state)
        if known is None or known.number < stored.seq:
            took_ms = int(stored.time.timestamp() * 1000)
            delivery = Delivery(stored.data or b"", took_ms, f"{_PREFIX}{stored.seq}")
            self._unheard[state] = _Word(stored.seq, delivery)
