"""The home's side of the calls that only federated projects answer."""

from __future__ import annotations

import base64
import re
from collections.abc import Awaitable, Callable, Mapping

import msgspec

from model_api.federation.making import Making, Order
from model_api.federation.options import FederationOptions
from model_api.federation.peers import Peers, Running
from model_api.federation.refusals import told
from model_api.federation.telling import federation_info, stats
from model_api.projects.calls import Answer, Call
from model_api.projects.homes import Homes
from tally.errors import InvalidInput
from tally.federation.contracts.validation import parse, validate
from tally.federation.effects import Invited, Reply
from tally.federation.envelope import check_member, from_text, open_payload
from tally.federation.envelope import parse as parse_envelope
from tally.federation.errors import EnvelopeRefused, NotAdmin, refusal
from tally.federation.events import (
    AllowExplore,
    ClearErrors,
    Invite,
    Leave,
    NewContract,
    NewSchedule,
    Received,
    StopPulse,
)
from tally.federation.logs import NO_ERROR
from tally.federation.messages import JoinAckPayload, MessageType
from tally.federation.state import NodeState
from tally.federation.terms import Invitation, invitation, refuse_aws
from tally.master_key import MasterKey, Sealed
from tally.projects.federated import FEDERATED, unseal
from tally.user_keys import UserKeys
from tally.wire import texts
from tally.wire.bodycrypt import encrypt_with_password
from tally.wire.envelope import Values, string_list
from tally.wire.federation import INFO, INVITATION, JOIN_ACK, STATS, read_lines, seal_info
from tally.wire.status import Refused

_HOUR_MS = 3_600_000
_MOST_HOURS = 24 * 365
_MAX_JOIN = 64 * 1024
_MAX_HOST = 300
_ORIGIN = re.compile(r"https?://[^\s/?#@\\]+(/[^\s?#@\\]+)?", re.ASCII)

Verb = Callable[[Call], Awaitable[Answer]]


class FederationVerbs:
    """Answers them.

    Args:
        homes: the projects at home here.
        peers: run them.
        making: makes them.
        master, keys: open what is sealed, and encrypt for customers.
        options: of the installation.
    """

    def __init__(
        self,
        homes: Homes,
        peers: Peers,
        making: Making,
        master: MasterKey,
        keys: UserKeys,
        options: FederationOptions,
    ) -> None:
        self._homes = homes
        self._peers = peers
        self._making = making
        self._master = master
        self._keys = keys
        self._options = options
        self.verbs: Mapping[str, Verb] = {
            "fedCreate": self._create,
            "fedJoin": self._join,
            "fedInvite": self._invite,
            "fedPolicies": self._policies,
            "fedInfo": self._info,
            "fedStart": self._start,
            "fedStop": self._stop,
            "fedSchedule": self._schedule,
            "fedSync": self._sync,
            "fedAllow": self._allow,
            "fedValidate": self._validate,
            "fedContract": self._contract,
            "fedErrors": self._errors,
            "fedSyncs": self._syncs,
            "fedClear": self._clear,
            "fedStats": self._stats,
            "fedDelete": self._delete,
            "fedAwsInfo": self._aws_info,
        }

    # Making and inviting

    async def _create(self, call: Call) -> Answer:
        # Asked again, since nobody heard that it was made, it is made already.
        if await self._homes.kind(call.project) != FEDERATED:
            await self._making.create(Order.of(call), self._sealed_map(call))
        return Answer()

    async def _join(self, call: Call) -> Answer:
        if await self._homes.kind(call.project) != FEDERATED:
            await self._making.join(Order.of(call), self._sealed_map(call))
        return Answer()

    async def _invite(self, call: Call) -> Answer:
        running, given = await self._peer(call), self._sealed_map(call)
        if not running.state.settings.is_admin:
            with told():
                raise NotAdmin
        if not (password := given.get("passwd", "")):
            raise Refused(texts.missing_key("passwd"))
        encrypt_with_password(password, b"")  # refuses what is no password, before a token is made
        hours = _hours(given.get("fed_token_timeout_hours", ""), self._options.token_hours)
        url = await self._rest_url(call, given.get("fed_rest_host", "").strip())
        with told():
            effects = await running.driver.tell(Invite(running.driver.now_ms(), hours * _HOUR_MS))
        token = next(effect.token for effect in effects if isinstance(effect, Invited))
        settings = running.state.settings
        invited = Invitation(
            secret=running.secrets.secret,
            token=token,
            admin=settings.admin,
            admin_public=settings.admin_public,
        )
        terms = msgspec.structs.replace(running.secrets.terms, sync_sched=running.state.sync_sched)
        text = encrypt_with_password(password, msgspec.json.encode(invitation(terms, invited, url)))
        return _values(dict.fromkeys(INVITATION, text))

    async def _rest_url(self, call: Call, host: str) -> str:
        if not host:
            return ""
        origin = (host if "://" in host else f"https://{host}").rstrip("/")
        if len(host) > _MAX_HOST or not _ORIGIN.fullmatch(origin):
            raise Refused("Invalid value of [fed_rest_host]: it is not https://name:port")
        head = (await self._homes.ask(call.project)).head
        return f"{origin}/symetry/rest/{head.customer}/fedml/{head.pid}/createPolicies"

    async def _policies(self, call: Call) -> Answer:
        """Let a node in that could not reach us by the broker.

        It has signed nothing. Who does not have the federation's key changes nothing, not even a
        counter, and is always told the same.
        """
        running, text = await self._peer(call), call.body.decode("ascii", "replace").strip()
        driver, keys = running.driver, running.secrets.keys()
        try:
            envelope = from_text(text, max_bytes=_MAX_JOIN)
            check_member(envelope, keys)
        except EnvelopeRefused:
            raise Refused(texts.NOT_OF_FEDERATION) from None
        if envelope.header.type is not MessageType.JOIN:
            raise Refused(texts.NOT_OF_FEDERATION)
        request = base64.b64decode(text)
        effects = await driver.tell(Received(driver.now_ms(), request, driver.now_ms()))
        reply = next((effect for effect in effects if isinstance(effect, Reply)), None)
        if reply is None:
            raise Refused(texts.NOT_OF_FEDERATION)
        ack = open_payload(parse_envelope(reply.message.data), keys)
        answer = msgspec.json.decode(ack, type=JoinAckPayload)
        if not answer.ok:
            with told():
                raise refusal(answer.code, answer.error)
        return _values({JOIN_ACK: base64.b64encode(reply.message.data).decode()})

    # Running

    async def _start(self, call: Call) -> Answer:
        running = await self._peer(call)
        with told():
            await running.driver.start_pulse()
        if running.state.node is not NodeState.PULSING:
            entries = running.state.errors.entries
            raise Refused(entries[-1] if entries else "Pulsing was not started")
        return Answer()

    async def _stop(self, call: Call) -> Answer:
        running = await self._peer(call)
        await running.driver.tell(StopPulse())
        return Answer()

    async def _schedule(self, call: Call) -> Answer:
        running = await self._peer(call)
        if not (schedule := call.query.get("newSchedule", "").strip()):
            raise Refused(texts.missing_parameter("newSchedule"))
        with told():
            await running.driver.tell(NewSchedule(running.driver.now_ms(), schedule))
        return Answer()

    async def _sync(self, call: Call) -> Answer:
        running = await self._peer(call)
        with told():
            await running.driver.request_sync()
        return Answer()

    async def _allow(self, call: Call) -> Answer:
        running = await self._peer(call)
        if not call.query.get("allowExplore", "").strip():
            raise Refused(texts.missing_parameter("allowExplore"))
        allow = call.flag("allowExplore", default=True)
        await running.driver.tell(AllowExplore(allow))
        return Answer()

    # Contracts

    async def _validate(self, call: Call) -> Answer:
        await self._peer(call)
        return _values(await self._findings(call, read_lines(call.body)))

    async def _contract(self, call: Call) -> Answer:
        running, lines = await self._peer(call), read_lines(call.body)
        found: Values = {"status": "", "valid": True, "contractWarnings": []}
        if lines:
            parse(lines)
            found = await self._findings(call, lines)
        with told():
            await running.driver.tell(NewContract(running.driver.now_ms(), lines))
        return _values(found)

    async def _findings(self, call: Call, lines: tuple[str, ...]) -> Values:
        schema = (await self._homes.ask(call.project)).project.summary.schema
        found = validate(lines, schema, percent=self._options.percent)
        return {
            "status": found.status,
            "valid": found.valid,
            "contractWarnings": list(found.warnings),
        }

    # Telling

    async def _info(self, call: Call) -> Answer:
        running = await self._peer(call)
        home = await self._homes.ask(call.project)
        if (key := await self._keys.get(home.head.customer)) is None:
            raise Refused("Invalid User")  # deleted since it signed
        info = federation_info(running, home.head.pid)
        return _values({INFO: seal_info(key, info)})

    async def _errors(self, call: Call) -> Answer:
        running = await self._peer(call)
        return _values(string_list(running.state.errors.entries or (NO_ERROR,)))

    async def _syncs(self, call: Call) -> Answer:
        running = await self._peer(call)
        return _values(string_list(running.state.syncs.entries))

    async def _clear(self, call: Call) -> Answer:
        running = await self._peer(call)
        await running.driver.tell(ClearErrors())
        return Answer()

    async def _stats(self, call: Call) -> Answer:
        running = await self._peer(call)
        return _values({STATS: stats(running.state)})

    # The end

    async def _delete(self, call: Call) -> Answer:
        """Say goodbye; the project goes once nothing of it is left in the broker."""
        running = await self._peer(call)
        withdraw = call.flag("withdraw", default=True)
        head = (await self._homes.ask(call.project)).head
        await running.driver.tell(Leave(running.driver.now_ms(), withdraw))
        await self._homes.projects.names.release(head.customer, head.pid, call.project)
        return Answer()

    async def _aws_info(self, call: Call) -> Answer:
        given = self._sealed_map(call)
        refuse_aws(given)
        raise Refused(texts.missing_key("aws_access_key"))

    async def _peer(self, call: Call) -> Running:
        return await self._peers.ask(call.project, call.suspects)

    def _sealed_map(self, call: Call) -> dict[str, str]:
        try:
            sealed = msgspec.json.decode(call.body, type=Sealed)
        except msgspec.MsgspecError:
            raise InvalidInput("body", "the sealed map cannot be read") from None
        plain = unseal(self._master, sealed, call.project)
        return msgspec.json.decode(plain, type=dict[str, str])


def _hours(text: str, default: int) -> int:
    text = text.strip()
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 8 and 1 <= int(text) <= _MOST_HOURS):
        raise Refused(f"Invalid value of [fed_token_timeout_hours]: [{text[:40]}]")
    return int(text)


def _values(values: Values) -> Answer:
    return Answer(msgspec.json.encode(values))
