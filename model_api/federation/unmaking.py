"""What is undone of a federated project that was not made to its end.

Who makes one says so in the index first, with what it takes to undo it. If he fails he undoes it;
if he dies, or cannot, the workers that walk the index find it there, and do.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager
from typing import NoReturn

import msgspec
import structlog

from model_api.federation.peers import Peers
from model_api.federation.secrets import Secrets
from model_api.federation.transports import Seat
from model_api.projects.homes import Homes
from tally.errors import CorruptState, TallyError, Unavailable
from tally.federation import persistence
from tally.federation.driver import Driver
from tally.federation.envelope import parse
from tally.federation.errors import TokenExpired, TokenInvalid, TokenUsed
from tally.federation.events import Leave, Received
from tally.federation.messages import MessageType
from tally.federation.state import NodeState, PeerState
from tally.federation.transport import FederationGone, Transport
from tally.master_key import MasterKey, Sealed
from tally.projects.federated import seal, unseal
from tally.projects.graves import bury, is_dead
from tally.projects.peers import Entry, PeerIndex
from tally.projects.registry import now_ms
from tally.wire.projects import ProjectUuid

_UNDO_S = 10.0
_FAREWELL_S = 180.0
_ROSTER_S = 5.0
_POLL = 100
_log = structlog.get_logger()


class Begun(msgspec.Struct, frozen=True, kw_only=True):
    """A try to make a federated project; shows nothing.

    Attributes:
        secrets: its keys.
        peer: the state that it begins with, as `tally.federation.persistence` gives it.
    """

    secrets: Secrets
    peer: bytes

    def __repr__(self) -> str:
        return "Begun(hidden)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("the secrets of a peer are not pickled")

    @classmethod
    def of(cls, secrets: Secrets, state: PeerState) -> Begun:
        """Return what is known before the first step."""
        return cls(secrets=secrets, peer=persistence.dump(state)[0])

    @property
    def state(self) -> PeerState:
        """The state that it begins with."""
        return persistence.load(self.peer, {})


class Unmaking:
    """Undoes tries.

    Args:
        homes: the projects at home here.
        peers: those that run here.
        index: of all federated projects.
        master: seals what it takes to undo one.
    """

    def __init__(self, homes: Homes, peers: Peers, index: PeerIndex, master: MasterKey) -> None:
        self._homes = homes
        self._peers = peers
        self._index = index
        self._master = master

    @asynccontextmanager
    async def undone(
        self, project: ProjectUuid, begun: Begun, persisted: bool
    ) -> AsyncIterator[None]:
        """Have what is made within this undone if it fails, here or once this worker has died."""
        undo = seal(self._master, msgspec.json.encode(begun), project)
        await self._index.add(project, undo)
        try:
            yield
        except BaseException as error:  # also where nobody waits any more
            # Whom the admin has refused is in no roster, and none is waited for.
            refused = isinstance(error, TokenInvalid | TokenExpired | TokenUsed)
            await attempted(self._undo_now(project, begun, undo, 0.0 if refused else _ROSTER_S))
            raise
        # What is in memory only has nobody else who knows how to leave.
        await attempted(self._index.made(project, undo, keep=not persisted))

    async def settle(self, project: ProjectUuid, entry: Entry) -> None:
        """Undo the tries of an entry whose makers are gone, but for one that made a project.

        Raises:
            TallyError: it is to be tried again.
        """
        running = self._peers.running(project)
        dead = running is None and await is_dead(self._homes.projects, project)
        if dead:
            dead = await bury(self._homes.projects.store, project) is not None
        if not dead and running is None:
            return  # it runs elsewhere, or not yet: then it is not known whose it is
        head = await self._homes.head(project)
        for undo in entry.undo:
            begun = self._opened(project, undo)
            if running is not None and begun.secrets.private == running.secrets.private:
                keep = head is not None and not head.persisted
                await self._index.made(project, undo, keep=keep)
                continue
            await self._undo(project, begun, made=entry.made)
            await self._index.undone(project, undo)
            _log.info("undid what was left of making a federated project", project=project)
        if dead:
            await self._index.remove(project)

    async def give_up(self, project: ProjectUuid, entry: Entry) -> None:
        """Forget the tries of an entry; something of them may stay at their brokers."""
        if await is_dead(self._homes.projects, project):
            await self._index.remove(project)
        for undo in entry.undo:
            await self._index.undone(project, undo)
        _log.warning("something of a federated project may be left at its broker", project=project)

    async def _undo_now(
        self, project: ProjectUuid, begun: Begun, undo: Sealed, roster_s: float
    ) -> None:
        if await is_dead(self._homes.projects, project):  # else it came to its end after all
            await self._undo(project, begun, made=False, roster_s=roster_s)
            await self._index.undone(project, undo)

    async def _undo(
        self, project: ProjectUuid, begun: Begun, *, made: bool, roster_s: float = _ROSTER_S
    ) -> None:
        transport = self._open(project, begun)
        try:
            if not begun.state.settings.is_admin:
                await self._leave(project, begun, transport, roster_s)
            elif made:
                await self._dissolve(project, begun, transport)
            else:
                await transport.dissolve()  # nobody can have joined
        except FederationGone:
            pass  # so is all that there was to undo
        finally:
            await attempted(transport.close())

    async def _dissolve(self, project: ProjectUuid, begun: Begun, transport: Transport) -> None:
        """End a federation, as its admin does: who is in it hears of it first."""
        driver = self._driver(project, begun, transport)
        try:
            async with asyncio.timeout(_FAREWELL_S):
                await driver.connect()
                await driver.tell(Leave(driver.now_ms()))
                await driver.run()
        except TimeoutError:
            raise Unavailable("the federation could not be dissolved in time") from None

    async def _leave(
        self, project: ProjectUuid, begun: Begun, transport: Transport, roster_s: float
    ) -> None:
        """Leave a federation that may have let this node in; the roster tells whether it has."""
        driver, own = self._driver(project, begun, transport), begun.secrets.identity(project)
        await driver.connect()
        for delivery in await transport.poll(_POLL, roster_s):
            if _is_roster(delivery.data):
                moment = driver.now_ms()
                await driver.tell(Received(moment, delivery.data, delivery.broker_ms))
        member = driver.state.member(project)
        if member is None:
            await transport.cleanup_node(withdraw=True)
        elif member.ed25519_pub == own.public:  # else another try has this place
            await driver.tell(Leave(driver.now_ms()))
            if driver.state.node is not NodeState.GONE:
                raise Unavailable("the connection was lost before the goodbye was said")

    def _opened(self, project: ProjectUuid, undo: Sealed) -> Begun:
        try:
            return msgspec.json.decode(unseal(self._master, undo, project), type=Begun)
        except msgspec.MsgspecError:
            # Never with the decoder's words, which may quote what was sealed.
            raise CorruptState(f"what is to be undone of {project} cannot be read") from None

    def _open(self, project: ProjectUuid, begun: Begun) -> Transport:
        secrets = begun.secrets
        identity, admin = secrets.identity(project), begun.state.settings.is_admin
        return self._peers.open_transport(Seat(secrets.terms.nats, secrets.keys(), identity, admin))

    def _driver(self, project: ProjectUuid, begun: Begun, transport: Transport) -> Driver:
        """Return what says goodbye, in an epoch of its own: the maker may have said something."""
        state = msgspec.structs.replace(
            begun.state, node=NodeState.IDLE, epoch=now_ms(self._homes.clock)
        )
        return self._peers.driver(project, begun.secrets, state, transport, Unsaved())


def _is_roster(data: bytes) -> bool:
    try:
        return parse(data).header.type is MessageType.ROSTER
    except TallyError:
        return False


class Unsaved:
    """Keeps nothing: until a node is in a federation there is no project to keep its state."""

    async def load(self) -> tuple[bytes, Mapping[str, bytes]] | None:
        """Return None."""
        return None

    async def save(self, record: bytes, snapshots: Mapping[str, bytes]) -> None:
        """Do nothing."""


async def attempted(undoing: Awaitable[object]) -> None:
    """Undo something, so far as it can be undone in time; what has failed is told."""
    try:
        async with asyncio.timeout(_UNDO_S):
            await undoing
    except (TallyError, TimeoutError) as error:
        _log.warning("not undone yet", reason=str(error) or "it took too long")
