"""What stands before every call about a project: rules, and a peer that runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType

from model_api.fusion.gate import Gate
from model_api.fusion.rules import REFUSED as NOT_ON_FUSION
from model_api.projects.calls import Answer, Call
from model_api.projects.homes import Homes
from tally.projects.federated import FEDERATED
from tally.wire import texts
from tally.wire.status import Refused

Verb = Callable[[Call], Awaitable[Answer]]

_REFUSED = frozenset({"export", "merge", "encoderAssign"})
"""Rows that come otherwise than by learning would leave the peer unjudged."""

VERBS = MappingProxyType(
    dict.fromkeys(
        (
            "fedCreate",
            "fedJoin",
            "fedInvite",
            "fedPolicies",
            "fedInfo",
            "fedStart",
            "fedStop",
            "fedSchedule",
            "fedSync",
            "fedAllow",
            "fedValidate",
            "fedContract",
            "fedErrors",
            "fedSyncs",
            "fedClear",
            "fedStats",
            "fedDelete",
            "fedAwsInfo",
            "fedExplore",
        )
    )
)
"""What only federated projects answer."""


class FederationGate:
    """Refuses what federated projects do not do.

    Args:
        homes: the projects at home here.
        verbs: answer what only they are asked.
    """

    def __init__(self, homes: Homes, verbs: Mapping[str, Verb]) -> None:
        self._homes = homes
        self.verbs = verbs

    async def before(self, call: Call) -> None:
        """Return once a call may be answered.

        Raises:
            Refused: 400, federated projects have no such operation, or those have none whose local
                project is a fusion.
        """
        if call.verb not in _REFUSED | NOT_ON_FUSION:
            return
        if await self._homes.kind(call.project) != FEDERATED:
            return
        if call.verb in _REFUSED:
            raise Refused(texts.not_on_federated(call.verb))
        federated = (await self._homes.ask(call.project, call.suspects)).federated
        if federated is not None and federated.cells is not None:
            raise Refused(texts.not_on_fusion(call.verb))


class Gates:
    """Several gates, one behind the other.

    Args:
        gates: in this order.
    """

    def __init__(self, gates: Sequence[Gate]) -> None:
        self._gates = gates
        self.verbs: Mapping[str, Verb] = {
            name: verb for gate in gates for name, verb in gate.verbs.items()
        }

    async def before(self, call: Call) -> None:
        """Return once a call may be answered.

        Raises:
            Refused: it may not.
        """
        for gate in self._gates:
            await gate.before(call)


def closed_gate(homes: Homes) -> FederationGate:
    """Return what stands where the keys of peers cannot be read."""

    async def refuse(call: Call) -> Answer:
        raise Refused(texts.FEDERATION_CLOSED)

    return FederationGate(homes, dict.fromkeys(VERBS, refuse))
