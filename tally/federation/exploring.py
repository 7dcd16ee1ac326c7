"""Asking another peer about its statistics, and being asked; nothing is changed by it."""

from __future__ import annotations

from tally.federation import messages
from tally.federation.acceptance import Accepted
from tally.federation.effects import Answered, Explore, Reply, Request
from tally.federation.errors import EnvelopeRefused, ExplorationRefused, UnknownPeer
from tally.federation.events import Explored, ExplorePeer, Received
from tally.federation.messages import ExploreReplyPayload, ExploreRequestPayload, MessageType
from tally.federation.transition import Transition

MAX_QUESTIONS = 120
"""Of one peer in a minute, that are answered."""


def explore_peer(step: Transition, event: ExplorePeer) -> None:
    """Ask a peer.

    Raises:
        UnknownPeer: there is no such other peer.
        ExplorationRefused: it has said that it does not let others.
    """
    if event.peer not in {member.uuid for member in step.state.others()}:
        raise UnknownPeer(event.peer)
    if not step.row(event.peer).allow_explore:
        raise ExplorationRefused(event.peer)
    req_id = step.random_bytes(16).hex()
    payload = ExploreRequestPayload(req_id, event.metric, dict(event.context))
    message = step.sealed(MessageType.EXPLORE_REQ, payload, event.now_ms, event.peer)
    step.do(Request(event.peer, message, req_id))


def asked(step: Transition, message: Accepted, event: Received) -> None:
    """Have a peer's question answered from what all may have, or refuse.

    A peer that asks all the time is told so once in a minute, and else not heard.
    """
    question = messages.decode(message.payload, ExploreRequestPayload)
    if not event.reply_to:
        raise EnvelopeRefused("a question for whose answer nobody waits")
    peer, approved = message.header.sender, step.state.approved
    times = step.times(peer, MAX_QUESTIONS, event.now_ms)
    if times > MAX_QUESTIONS + 1:
        return
    refusal = ""
    if times > MAX_QUESTIONS:
        refusal = f"Peer [{step.settings.uuid}] answers {MAX_QUESTIONS} questions in a minute"
    elif not step.state.allow_explore:
        refusal = str(ExplorationRefused(step.settings.uuid))
    elif approved is None:
        refusal = f"Peer [{step.settings.uuid}] has shared nothing yet"
    if refusal or approved is None:
        reply = ExploreReplyPayload(question.req_id, False, refusal)
        answer = step.sealed(MessageType.EXPLORE_REP, reply, event.now_ms, peer)
        step.do(Reply(event.reply_to, answer))
        return
    step.do(
        Explore(
            peer,
            question.req_id,
            question.metric,
            question.context,
            approved.snapshot,
            event.reply_to,
        )
    )


def explored(step: Transition, event: Explored) -> None:
    """Send the answer that was computed."""
    payload = ExploreReplyPayload(event.req_id, event.ok, event.error, event.result)
    answer = step.sealed(MessageType.EXPLORE_REP, payload, event.now_ms, event.peer)
    step.do(Reply(event.reply_to, answer))


def answered(step: Transition, message: Accepted, event: Received) -> None:
    """Hand a peer's answer to whoever asked."""
    reply = messages.decode(message.payload, ExploreReplyPayload)
    step.do(Answered(message.header.sender, reply.req_id, reply.ok, reply.error, reply.result))
