"""What only a federated project answers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from tally.client.errors import UnknownProject
from tally.client.explore.questions import Questions
from tally.client.results.federation import FederationStatus
from tally.wire.bodycrypt import decrypt
from tally.wire.federation import (
    INFO,
    INVITATION,
    STATS,
    FederationInfo,
    SyncStats,
    seal_map,
)

_TEXT = {"Content-Type": "text/plain"}
_FEDML = "fedml"


@dataclass(frozen=True, slots=True)
class ContractFindings:
    """What is wrong with a contract.

    Attributes:
        errors: lines that are no rules, or name what the federated project does not have.
        warnings: rules that probably mean something else than they say.
    """

    errors: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def valid(self) -> bool:
        """Whether nothing is wrong."""
        return not self.errors


class Federating(Questions):
    """What only a federated project answers."""

    async def federation(self) -> FederationStatus:
        """Return how the project's federation is: who is behind, and why.

        Raises:
            NotFederated: the project is in none.
        """
        told = await self._session.get(_FEDML, self.pid, "info")
        plain = decrypt(self.account.key, told.value(INFO, str).encode())
        info = msgspec.json.decode(plain, type=FederationInfo)
        return FederationStatus.of(info, await self._stats())

    async def invite(self, password: str, *, hours: int | None = None, host: str = "") -> str:
        """Return an invitation for one more peer: a text that holds the federation's keys.

        It can be used once. The password protects it little; tell it by another way, and send
        the text over one that you trust.

        Args:
            password: of 1 to 16 bytes.
            hours: for which it can be used; None: as the server is set up, which is 2.
            host: origin of this server, for a peer that does not find us at the broker.

        Raises:
            NotAdmin: only the peer that created the federation invites.
            NotFederated: the project is in none.
            ProjectRefused: the password or the hours cannot be used.
        """
        given = {"passwd": password}
        if hours is not None:
            given["fed_token_timeout_hours"] = str(hours)
        if host:
            given["fed_rest_host"] = host
        answer = await self._session.change(
            "POST",
            _FEDML,
            self.pid,
            "getInvitation",
            body=seal_map(self.account.key, given).encode(),
            headers=_TEXT,
        )
        return answer.value(INVITATION[0], str)

    async def start_pulse(self) -> None:
        """Take part in the rounds from the next one on.

        Raises:
            NotFederated: the project is in no federation.
            ProjectRefused: this server's clock is wrong, the federation has ended, or its broker
                cannot be reached.
        """
        await self._ordered("startPulse")

    async def stop_pulse(self) -> None:
        """Stand by: learn, hear the others, and share nothing."""
        await self._ordered("stopPulse")

    async def request_sync(self) -> None:
        """Ask the other peers for what they shared last, without waiting for it."""
        await self._ordered("fullSyncRequest")

    async def set_schedule(self, schedule: str) -> None:
        """Set when peers synchronise, such as `m5`, `h1`, `d1`; all switch at the same moment.

        Raises:
            NotAdmin: only the peer that created the federation may.
            ProjectRefused: it is no schedule.
        """
        await self._ordered("newSchedule", newSchedule=schedule)

    async def allow_exploration(self, allow: bool) -> None:
        """Set whether other peers may explore what this one has shared, by itself."""
        await self._ordered("setExplorePeers", allowExplore="true" if allow else "false")

    async def check_contract(self, rules: Iterable[str]) -> ContractFindings:
        """Return what is wrong with a contract for the federated project; nothing changes."""
        return await self._contract("psrContractValidate", rules)

    async def set_contract(self, rules: Iterable[str]) -> ContractFindings:
        """Replace the contract of the federation; none: there is no contract any more.

        Raises:
            NotAdmin: only the peer that created the federation may.
            ProjectRefused: a line is no rule.
        """
        return await self._contract("addPsrContract", rules)

    async def sync_log(self) -> tuple[str, ...]:
        """Return what was shared, what was not and why, and the rebuilds; the oldest first."""
        return (await self._stats()).sync_log

    async def error_log(self) -> tuple[str, ...]:
        """Return what went wrong, the oldest first."""
        return (await self._stats()).error_log

    async def clear_error_log(self) -> None:
        """Empty the log of what went wrong."""
        await self._session.change("DELETE", _FEDML, self.pid, "clearErrorLog")

    async def leave(self, *, withdraw: bool = True) -> None:
        """Leave the federation, and delete the project; the admin's leaving ends the federation.

        Args:
            withdraw: take the rows out of the others' sums; else they stay as they are now.
        """
        query = {"withdraw": "true" if withdraw else "false"}
        await self._session.delete("projects", self.pid, gone=UnknownProject, query=query)

    async def _stats(self) -> SyncStats:
        return (await self._session.get(_FEDML, self.pid, "syncStats")).value(STATS, SyncStats)

    async def _ordered(self, verb: str, **query: str) -> None:
        await self._session.change("GET", _FEDML, self.pid, verb, query=query)

    async def _contract(self, verb: str, rules: Iterable[str]) -> ContractFindings:
        body = msgspec.json.encode({"values": list(rules)})
        answer = await self._session.change(
            "POST",
            _FEDML,
            self.pid,
            verb,
            body=body,
            headers={"Content-Type": "application/json"},
        )
        errors = tuple(answer.value("status", str).splitlines())
        return ContractFindings(errors, answer.value("contractWarnings", tuple[str, ...]))
