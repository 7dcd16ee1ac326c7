"""Nodes whose keys a test holds, so that they can say what no server of ours would."""

from __future__ import annotations

import base64
import secrets
import time
from dataclasses import dataclass

from tally.federation.envelope import Draft, Sealed, open_payload, parse, seal
from tally.federation.keys import FederationKeys, Identity
from tally.federation.messages import (
    AnyPayload,
    JoinAckPayload,
    JoinPayload,
    MessageType,
    decode,
    encode,
)
from tests.integration.federation.peers import invited
from tests.integration.symetry.customer import Customer, Told


@dataclass(frozen=True, slots=True)
class Node:
    """A node that knows an invitation, and says what it likes.

    Attributes:
        keys: of the federation.
        admin, token: as the invitation has them.
        identity: its own, with its private key.
    """

    keys: FederationKeys
    admin: str
    token: str
    identity: Identity
    private: bytes

    @classmethod
    async def invited_to(cls, admin: Customer, pid: str) -> Node:
        told = await invited(admin, pid)
        keys = FederationKeys(told["fed_name"], base64.b64decode(told["fed_secret_key"]))
        private = secrets.token_bytes(32)
        identity = Identity(secrets.token_hex(16), private)
        return cls(keys, told["fed_admin_uuid"], told["fed_req_token"], identity, private)

    def posing_as(self, uuid: str) -> Identity:
        """Return another's name, with its own key."""
        return Identity(uuid, self.private)

    def says(
        self,
        kind: MessageType,
        payload: AnyPayload,
        *,
        to: str = "*",
        signer: Identity | None = None,
        keys: FederationKeys | None = None,
        aged_s: float = 0.0,
    ) -> Sealed:
        """Return a message as it travels.

        Args:
            kind, payload, to: of the message.
            signer: in whose name, and with whose key; None: its own.
            keys: None: the federation's.
            aged_s: so long ago it was written.
        """
        now_ms = round(1000 * (time.time() - aged_s))
        draft = Draft(kind, to, now_ms, 1, now_ms, encode(payload))
        return seal(
            draft, keys or self.keys, signer or self.identity, secrets.token_bytes, encrypt=True
        )

    def request(
        self,
        *,
        kind: MessageType = MessageType.JOIN,
        to: str = "",
        token: str = "",
        signer: Identity | None = None,
        aged_s: float = 0.0,
    ) -> bytes:
        """Return a request to join, as `createPolicies` takes it, or something like it."""
        me = self.identity
        payload = JoinPayload(token or self.token, me.uuid, "a node", me.public)
        message = self.says(kind, payload, to=to or self.admin, signer=signer, aged_s=aged_s)
        return base64.b64encode(message.data)

    def answer(self, told: Told) -> JoinAckPayload:
        """Return what `createPolicies` answered."""
        assert told.status == 200, told.body
        data = base64.b64decode(told.values["joinAck"])
        return decode(open_payload(parse(data), self.keys), JoinAckPayload)


async def asked(admin: Customer, pid: str, body: bytes, address: str = "") -> Told:
    """Call `createPolicies`; without an address, from one that nobody has called from."""
    address = address or f"10.{'.'.join(str(part) for part in secrets.token_bytes(3))}"
    url = f"{admin.url}/symetry/rest/{admin.cid}/fedml/{pid}/createPolicies"
    headers = {"X-Forwarded-For": address}  # as a proxy on this machine tells it
    async with admin.session.post(url, data=body, headers=headers) as response:
        return Told(response.status, response.headers, await response.read())
