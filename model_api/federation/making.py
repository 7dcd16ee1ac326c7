"""Making federated projects: of a new federation, or of one that a node was invited to.

The way into the federation is made first, the project last; if a step fails, or the maker dies,
those before it are undone, so that neither a project nor anything in the broker is left.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import msgspec
import structlog

from model_api.federation.changes import Begin
from model_api.federation.joining import AdminByHttp
from model_api.federation.options import FederationOptions
from model_api.federation.peers import Peers
from model_api.federation.refusals import told
from model_api.federation.secrets import Secrets
from model_api.federation.state import Cells, Federated
from model_api.federation.stored import whole
from model_api.federation.transports import Seat
from model_api.federation.unmaking import Begun, Unmaking, Unsaved, attempted
from model_api.projects.calls import Call
from model_api.projects.homes import Homes
from tally.engine.options import PARTITION
from tally.engine.options import Options as EngineOptions
from tally.engine.project import Project
from tally.errors import Conflict, TallyError, Unavailable
from tally.federation import persistence
from tally.federation.driver import Driver
from tally.federation.errors import CannotJoin, EnvelopeRefused
from tally.federation.privacy.record import LocalRecord
from tally.federation.state import PeerState, Settings, created, joining
from tally.federation.terms import FUSION, Invitation, Terms, created_terms, joined_terms
from tally.federation.transport import Transport, TransportUnavailable
from tally.master_key import MasterKey
from tally.projects.federated import FEDERATED
from tally.projects.records import Options
from tally.projects.registry import now_ms
from tally.wire import texts
from tally.wire.projects import ProjectUuid
from tally.wire.status import Refused, StatusCode

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Order:
    """A project that is asked for.

    Attributes:
        project: its id, never used before.
        cid, pid: its name.
        persisted: it is saved.
    """

    project: ProjectUuid
    cid: str
    pid: str
    persisted: bool

    @classmethod
    def of(cls, call: Call) -> Order:
        """Return what a call asks for.

        Raises:
            Refused: a parameter is missing.
        """
        for name in ("cid", "pid"):
            if not call.query.get(name):
                raise Refused(texts.missing_parameter(name))
        persisted = call.flag("persist", default=True)
        return cls(call.project, call.query["cid"], call.query["pid"], persisted)


class Making:
    """Makes them.

    Args:
        homes: the projects at home here.
        peers: will run them.
        unmaking: undoes what is not made to its end.
        master: seals their keys.
        options: of the installation.
        by_http: reaches admins that do not answer at the broker.
    """

    def __init__(
        self,
        homes: Homes,
        peers: Peers,
        unmaking: Unmaking,
        master: MasterKey,
        options: FederationOptions,
        by_http: AdminByHttp,
    ) -> None:
        self._homes = homes
        self._peers = peers
        self._unmaking = unmaking
        self._master = master
        self._options = options
        self._by_http = by_http

    async def create(self, order: Order, given: Mapping[str, str]) -> None:
        """Make a federation, and the project of its admin.

        Raises:
            Refused: 400, the terms cannot be used, or the transport not be made; 409, the name is
                taken.
        """
        terms = created_terms(given, allow_seconds=self._options.allow_seconds)
        fusion = await self._fusion(order, terms)
        secrets = Secrets.new(terms)
        settings = self._settings(order, secrets, order.project, secrets.identity("").public)
        now = now_ms(self._homes.clock)
        state = created(settings, sync_sched=terms.sync_sched, now_ms=now)
        transport = self._open(order, secrets, admin=True)
        async with self._unmaking.undone(order.project, Begun.of(secrets, state), order.persisted):
            try:
                await transport.create()
            except TallyError as error:
                taken = isinstance(error, Conflict)
                status = StatusCode.CONFLICT if taken else StatusCode.BAD_REQUEST
                raise Refused(texts.cannot_create_federation(str(error)), status) from None
            finally:
                await attempted(transport.close())
            await self._make(order, secrets, _sized(state, transport), fusion)
        await self._started(order.project, fusion)

    async def join(self, order: Order, given: Mapping[str, str]) -> None:
        """Join a federation, and make the project of its new peer.

        Raises:
            Refused: 400, 401 or 409, as the admin says; 409, the name is taken.
        """
        with told():
            terms, invited = joined_terms(given, allow_seconds=self._options.allow_seconds)
        fusion = await self._fusion(order, terms)
        secrets = Secrets.new(terms, invited)
        settings = self._settings(order, secrets, invited.admin, invited.admin_public)
        now = now_ms(self._homes.clock)
        state = joining(settings, sync_sched=terms.sync_sched, now_ms=now)
        transport = self._open(order, secrets, admin=False)
        driver = self._peers.driver(order.project, secrets, state, transport, Unsaved())
        begun = Begun.of(secrets, state)
        with told():
            async with self._unmaking.undone(order.project, begun, order.persisted):
                try:
                    await self._admitted(driver, invited, terms.nats.request_s)
                    await self._make(order, secrets, _sized(driver.state, transport), fusion)
                finally:
                    await attempted(transport.close())
        await self._started(order.project, fusion)

    async def _fusion(self, order: Order, terms: Terms) -> ProjectUuid | None:
        """Return the fusion that is to be the local project; None: it learns by itself.

        Raises:
            Refused: 400, the customer has none of that name.
        """
        if not terms.local_type.startswith(FUSION):
            return None
        return await self._peers.fusions.find(order.cid, terms.local_type.removeprefix(FUSION))

    def _settings(self, order: Order, secrets: Secrets, admin: str, admin_public: str) -> Settings:
        terms = secrets.terms
        return Settings(
            uuid=order.project,
            name=f"{order.cid}/{order.pid}",
            federation=terms.name,
            admin=admin,
            admin_public=admin_public,
            encrypt=terms.encrypt,
            hipaa=terms.hipaa,
            block_send=terms.block_send,
            block_receive=terms.block_receive,
            allow_seconds=self._options.allow_seconds,
        )

    def _open(self, order: Order, secrets: Secrets, *, admin: bool) -> Transport:
        identity = secrets.identity(order.project)
        return self._peers.open_transport(Seat(secrets.terms.nats, secrets.keys(), identity, admin))

    async def _admitted(self, driver: Driver, invited: Invitation, wait_s: float) -> None:
        """Return once the admin has let the node in.

        Raises:
            TallyError: it has not; says why.
        """
        try:
            await driver.connect()
        except TransportUnavailable as error:
            raise CannotJoin(str(error)) from None
        try:
            await self._asked(driver, invited, wait_s)
        except EnvelopeRefused as error:
            # Its error log says why, and ends with this node unless it becomes a peer.
            raise CannotJoin((str(error), *driver.state.errors.entries)[-1]) from None

    async def _asked(self, driver: Driver, invited: Invitation, wait_s: float) -> None:
        try:
            await driver.join(invited.token, min(wait_s, self._homes.limits.wait_s / 2))
        except TransportUnavailable as error:
            if not (url := invited.rest_url):
                raise CannotJoin(str(error)) from None
            await driver.join_by(invited.token, partial(self._by_http.ask, url))

    async def _make(
        self, order: Order, secrets: Secrets, state: PeerState, fusion: ProjectUuid | None
    ) -> None:
        """Make the project of a peer that has its place in the federation."""
        terms, project = secrets.terms, order.project
        # Distributions are judged with HIPAA rules, so values are counted from the start.
        params = {PARTITION: terms.partition} if terms.partition else {}
        kind = "cpu" if fusion else terms.local_type
        local = Project.empty(EngineOptions(kind, params, terms.hipaa))
        record, blobs = persistence.dump(state)
        federated = Federated(
            secrets=secrets.sealed(self._master, project),
            local=local,
            record=LocalRecord.empty(hipaa_key=secrets.patients_key),
            peer=record,
            blobs=blobs,
            cells=Cells(fusion) if fusion else None,
        )
        await self._homes.projects.create(
            order.cid,
            order.pid,
            Options(kind=FEDERATED, histogram=terms.hipaa),
            persisted=order.persisted,
            project=project,
            snapshot=whole(federated) if order.persisted else None,
            # What is in memory only is at home here before another worker can find it by name.
            begin=None if order.persisted else partial(self._begin, project, federated),
        )

    async def _begin(self, project: ProjectUuid, federated: Federated) -> None:
        await self._homes.change(project, Begin(federated), "")

    async def _started(self, project: ProjectUuid, fusion: ProjectUuid | None) -> None:
        """Return once the peer runs; if it does not start now, it is taken up later."""
        try:
            await self._peers.ask(project)
            if fusion is not None:
                # Until the first round, what it shows is its own.
                await self._peers.site(project).refresh()
        except Unavailable as error:
            _log.warning("peer not started yet", project=project, reason=str(error))


def _sized(state: PeerState, transport: Transport) -> PeerState:
    """Return the state of a peer that knows what its broker takes in one message."""
    settings = msgspec.structs.replace(state.settings, inline_bytes=transport.inline_bytes)
    return msgspec.structs.replace(state, settings=settings)
