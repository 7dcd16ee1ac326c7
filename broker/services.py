"""What the edge works with, put together once in `wiring.py`."""

from __future__ import annotations

from dataclasses import dataclass

from broker.edge.auth import Tokens
from broker.edge.symetry.wiring import Signed
from broker.hints import Hints
from broker.routing.announce import Announcer
from broker.routing.forward import Forwarder
from broker.settings import BrokerSettings
from tally.clock import Clock
from tally.coordination.base import Coordinator
from tally.fitqueue.base import FitQueue
from tally.ledger import Ledger
from tally.routing.follow import Follower


@dataclass(frozen=True, slots=True)
class Services:
    """Handed to every route."""

    settings: BrokerSettings
    ledger: Ledger
    queue: FitQueue
    hints: Hints
    coordinator: Coordinator
    follower: Follower
    forwarder: Forwarder
    announcer: Announcer
    tokens: Tokens
    clock: Clock
    signed: Signed
