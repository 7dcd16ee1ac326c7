"""Users of NATS who may do what a peer must: the block of the page is enough, and none too much."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest
import structlog.testing

from tally.federation.envelope import Sealed
from tally.federation.keys import FederationKeys, Identity
from tally.federation.messages import MessageType
from tally.federation.nats.names import STATES
from tally.federation.nats.transport import NatsTransport
from tally.federation.transport import TransportRefused, TransportUnavailable
from tests.federation.over_nats import access_to, message, new_identity, new_keys, snapshot, streams

if TYPE_CHECKING:
    from tests.conftest import Server, StartServer

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "federation-nats.md"
BODY = bytes(300_000)
Verb = Literal["publish", "subscribe"]


@dataclass(frozen=True)
class Rights:
    """What a user may do."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]
    responses: str

    @classmethod
    def of_the_page(cls, *, admin: bool) -> Rights:
        section = PAGE.read_text().partition("\n## Rights\n")[2].partition("\n## ")[0]
        peer, more = re.findall(r"^```\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
        publish, _, rest = peer.partition("subscribe:")
        subscribe, _, responses = rest.partition("allow_responses:")
        allowed = subjects(publish) + (subjects(more) if admin else ())
        return cls(allowed, subjects(subscribe), responses.partition("}")[0] + "}")

    @classmethod
    def to_found(cls) -> Rights:
        """Return the rights of who makes a federation, of which nothing is known before."""
        (sentence,) = re.findall(
            r"An admin makes the federation as a user (.*)\n", PAGE.read_text()
        )
        both = tuple(re.findall(r"`([^`]+)`", sentence))
        return cls(both, both, "")

    @property
    def each(self) -> list[tuple[Verb, str]]:
        publish: list[tuple[Verb, str]] = [("publish", subject) for subject in self.publish]
        return publish + [("subscribe", subject) for subject in self.subscribe]

    def without(self, verb: Verb, subject: str) -> Rights:
        left = tuple(each for each in getattr(self, verb) if each != subject)
        # An acknowledgement is an answer, too, for as long as answers are let through.
        responses = "" if subject.startswith("$JS.ACK.") else self.responses
        return replace(self, **{verb: left}, responses=responses)

    def for_(self, fid: str, uuid: str | None) -> str:
        """Return the lines of the configuration; without a uuid, for one that is not known yet."""

        def filled(texts: Iterable[str]) -> str:
            return ", ".join(f'"{fill(text, fid, uuid)}"' for text in texts)

        responses = f", allow_responses: {self.responses}" if self.responses else ""
        return (
            f"publish: [{filled(self.publish)}], subscribe: [{filled(self.subscribe)}]{responses}"
        )


def subjects(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r'"([^"]+)"', text))


def fill(subject: str, fid: str, uuid: str | None) -> str:
    of_peer = re.sub("(node_)?UUID", "*" if uuid is None else rf"\g<1>{uuid}", subject)
    return re.sub(r"(?<=[._])F(?=[._]|$)", fid, of_peer)


def matches(pattern: str, subject: str) -> bool:
    wanted = re.escape(pattern).replace(r"\*", r"[^.]+").replace(">", ".+")
    return re.fullmatch(wanted, subject) is not None


@dataclass
class Users:
    """Users of one federation, and the lines of the configuration that let them in."""

    keys: FederationKeys
    lines: list[str] = field(default_factory=list)

    def add(self, name: str, rights: Rights, uuid: str | None) -> None:
        permissions = rights.for_(self.keys.fid, uuid)
        self.lines.append(f"{{ user: {name}, password: p, permissions: {{ {permissions} }} }}")

    def start(self, start_server: StartServer) -> Server:
        # Beside them one without limits, which looks past them.
        every = ", ".join(["{ user: look, password: p }", *self.lines])
        return start_server(
            "nats", extra=[f"authorization {{ users: [{every}] }}", "no_auth_user: look"]
        )

    def peer(self, server: Server, name: str, identity: Identity) -> Peer:
        access = access_to(server, user=name, password="p")
        transport = NatsTransport(access, self.keys, identity, admin=not name.startswith("peer"))
        return Peer(transport, self.keys, identity)


@dataclass
class Peer:
    """A peer, of which only the transport is there."""

    transport: NatsTransport
    keys: FederationKeys
    identity: Identity

    def says(self, kind: MessageType = MessageType.ALIVE, to: str = "*") -> Sealed:
        return message(self.keys, self.identity, kind, to=to)

    def large(self) -> Sealed:
        return snapshot(self.keys, self.identity, BODY)

    async def asks(self, other: Peer) -> None:
        """Ask another, who answers."""
        answer = other.says()

        async def serve() -> None:
            while True:
                await other.transport.poll(10, 5.0)
                for asked in await other.transport.asked(10):
                    await other.transport.reply(asked.reply_to, answer)

        serving = asyncio.ensure_future(serve())
        try:
            question = self.says(MessageType.JOIN, other.identity.uuid)
            told = await self.transport.request(other.identity.uuid, question, 5.0)
        finally:
            serving.cancel()
            await asyncio.wait([serving])
        assert told == answer.data


async def live(peer: Peer, admin: Peer) -> None:
    """Do all that a peer does, from connecting to leaving; the admin answers."""
    transport = peer.transport
    await transport.connect()
    await transport.now_ms()
    await transport.last_number()
    await transport.publish(peer.says())
    older, newer, theirs = peer.large(), peer.large(), admin.large()
    await transport.publish_snapshot(older)
    await transport.publish_snapshot(newer)
    await admin.transport.publish_snapshot(theirs)
    assert newer.reference is not None
    assert theirs.reference is not None
    assert await transport.fetch(theirs.reference, len(theirs.body)) == theirs.body
    waited_for = {theirs.data, newer.data}
    while waited_for:
        for delivery in await transport.poll(10, 5.0):
            await transport.acknowledge(delivery.token)
            waited_for.discard(delivery.data)
    await peer.asks(admin)
    await transport.cleanup_node(withdraw=True)
    assert await admin.transport.fetch(newer.reference, len(newer.body)) is None


async def rule(admin: Peer) -> None:
    """Do all that only an admin does."""
    await admin.transport.create()
    await admin.transport.connect()
    for state in STATES:
        await admin.transport.publish_state(state, admin.says(MessageType.ROSTER))
    await admin.transport.dissolve()


async def test_peers_do_all_that_they_must_with_the_rights_of_the_page(
    start_server: StartServer,
) -> None:
    keys = new_keys()
    users = Users(keys)
    ours, theirs = new_identity(), new_identity()
    users.add("admin-at-first", Rights.to_found(), ours.uuid)
    users.add("admin", Rights.of_the_page(admin=True), ours.uuid)
    users.add("peer", Rights.of_the_page(admin=False), theirs.uuid)
    users.add("joiner", Rights.of_the_page(admin=False), None)
    server = users.start(start_server)
    admin = users.peer(server, "admin", ours)
    founder = users.peer(server, "admin-at-first", ours)
    with structlog.testing.capture_logs() as lines:
        await founder.transport.create()
        await founder.transport.connect()
        await founder.transport.close()
        await admin.transport.connect()
        await live(users.peer(server, "peer", theirs), admin)
        joiner = users.peer(server, "joiner", new_identity())
        await live(joiner, admin)
        await joiner.transport.connect()
        await admin.asks(joiner)
        await joiner.transport.cleanup_node(withdraw=True)
        await rule(admin)
    assert [line for line in lines if line["log_level"] == "warning"] == []
    assert await streams(server, keys) == []


async def test_each_right_is_needed_and_the_error_names_the_one_that_is_missing(
    start_server: StartServer,
) -> None:
    users = Users(new_keys())
    peers, admins = (Rights.of_the_page(admin=admin) for admin in (False, True))
    cases = [("peer", peers, *right) for right in peers.each]
    cases += [("admin", admins, *right) for right in admins.each if right not in peers.each]
    identities = [new_identity() for _ in cases]
    for number, (role, rights, verb, missing) in enumerate(cases):
        users.add(f"{role}{number}", rights.without(verb, missing), identities[number].uuid)
    server = users.start(start_server)
    admin = users.peer(server, "look", new_identity())
    await admin.transport.create()
    await admin.transport.connect()
    for number, (role, _, verb, missing) in enumerate(cases):
        peer = users.peer(server, f"{role}{number}", identities[number])
        with pytest.raises(TransportRefused, match=f"lacks the right to {verb}") as caught:
            await (live(peer, admin) if role == "peer" else rule(peer))
        (subject,) = re.findall(r"\[([^]]*)\]$", str(caught.value))
        wanted = fill(missing, users.keys.fid, identities[number].uuid)
        assert matches(wanted, subject), f"{subject} is not of {wanted}"
        await peer.transport.close()
    await admin.transport.dissolve()


async def test_an_answer_that_a_peer_may_not_give_costs_the_asker_its_patience_only(
    start_server: StartServer,
) -> None:
    users, identity = Users(new_keys()), new_identity()
    rights = replace(Rights.of_the_page(admin=False), responses="")
    users.add("dumb", rights, identity.uuid)
    server = users.start(start_server)
    admin, dumb = users.peer(server, "look", new_identity()), users.peer(server, "dumb", identity)
    await admin.transport.create()
    await admin.transport.connect()
    await dumb.transport.connect()
    question = admin.says(MessageType.JOIN, identity.uuid)
    asking = asyncio.ensure_future(admin.transport.request(identity.uuid, question, 0.5))
    with structlog.testing.capture_logs() as lines:
        while not (asked := await dumb.transport.asked(1)):
            await dumb.transport.poll(1, 1.0)
        await dumb.transport.reply(asked[0].reply_to, dumb.says())
        with pytest.raises(TransportUnavailable, match="did not answer"):
            await asking
    assert [line["subject"] for line in lines if "subject" in line] == [asked[0].reply_to]
    assert await dumb.transport.now_ms() > 0  # and its connection is as good as before
    await dumb.transport.close()
    await admin.transport.dissolve()
