"""Exploring another peer: it is asked, or what it shared last is, where it does not answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from model_api.federation.peers import Peers, Running
from model_api.federation.refusals import told
from model_api.federation.site import answer
from model_api.projects.calls import Answer, Call
from model_api.projects.homes import Homes
from tally.errors import InvalidInput
from tally.federation.effects import Answered
from tally.federation.errors import ExplorationRefused, UnknownPeer
from tally.federation.transport import TransportUnavailable
from tally.wire import texts
from tally.wire.contexts import parse_explore_context
from tally.wire.federation import EXPLORED_PEER, EXPLORED_STALE
from tally.wire.json_body import decode_body
from tally.wire.status import Refused


class PeerExploration:
    """Answers `explore` with a peer's uuid in it.

    Args:
        homes: the projects at home here.
        peers: run them.
    """

    def __init__(self, homes: Homes, peers: Peers) -> None:
        self._homes = homes
        self._peers = peers

    async def explore(self, call: Call) -> Answer:
        """Return what a peer answers about its own statistics.

        Raises:
            Refused: 400, there is no such peer, or it did not answer and nothing of it is held;
                403, it does not let others.
        """
        if not (metric := call.query.get("metric", "")):
            raise Refused(texts.missing_parameter("metric"))
        running = await self._peers.ask(call.project, call.suspects)
        peer = _peer(call.body)
        context = decode_body(call.body, dict[str, Any])
        wait_s = min(running.secrets.terms.nats.request_s, self._homes.limits.wait_s / 2)
        try:
            with told():
                found = await _asked(running, peer, metric, context, wait_s)
                if found is not None and found.error == str(ExplorationRefused(peer)):
                    raise ExplorationRefused(peer)
        except UnknownPeer as error:
            raise Refused(str(error)) from None
        if found is None:
            return await self._held(running, peer, metric, context)
        if not found.ok:
            raise Refused(found.error)
        return Answer(msgspec.json.encode(found.result))

    async def _held(
        self, running: Running, peer: str, metric: str, context: Mapping[str, Any]
    ) -> Answer:
        """Answer from what the peer shared last."""
        row = running.state.rows.get(peer)
        if row is None or row.accepted is None:
            raise Refused(texts.peer_silent(peer))
        payload = row.accepted.payload
        values = await self._homes.threads.run(answer, payload, metric, context)
        assert isinstance(values, dict)
        return Answer(msgspec.json.encode({**values, EXPLORED_STALE: "true"}))


async def _asked(
    running: Running, peer: str, metric: str, context: Mapping[str, Any], wait_s: float
) -> Answered | None:
    """Return what a peer answers; None: it does not."""
    try:
        return await running.driver.explore(peer, metric, context, wait_s)
    except TransportUnavailable:
        return None


def _peer(body: bytes) -> str:
    """Return the peer that all contexts name."""
    peers = {context.parameter(EXPLORED_PEER) for context in parse_explore_context(body)}
    if len(peers) != 1 or not (peer := peers.pop()):
        raise InvalidInput(EXPLORED_PEER, "all contexts name the same peer, or none does")
    return peer.strip()
