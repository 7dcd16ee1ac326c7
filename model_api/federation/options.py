"""The documented options of federated projects."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from tally.federation.contracts.validation import PERCENT
from tally.federation.state import PeerState
from tally.federation.wire_form import CELL_ROWS
from tally.options import Options

_MOST_GRACE_MS = 600_000
_MOST_PERIODS = 10_000
_MOST_HOURS = 24 * 365
_MOST_CELL_ROWS = 1_000_000


@dataclass(frozen=True, slots=True)
class FederationOptions:
    """What holds for all federated projects of an installation.

    Attributes:
        allow_seconds: schedules such as `s2` are taken; for tests.
        in_process: `nats_hosts=memory:` means peers of this process; for tests.
        grace_ms: how long a rebuild waits for other peers, at most.
        expire_periods: a peer that is silent for so many does not count any more; 0: never.
        token_hours: how long an invitation may be used.
        percent: what a whole is in the percentages of contracts.
        cell_rows: in each cell of a histogram that leaves, at least.
        strict: fewer than 2 d + 3 rows, or changed rows, do not leave; see `fewest_rows`.
    """

    allow_seconds: bool = False
    in_process: bool = False
    grace_ms: int = 10_000
    expire_periods: int = 0
    token_hours: int = 2
    percent: float = PERCENT
    cell_rows: int = CELL_ROWS
    strict: bool = False

    @classmethod
    def of(cls, options: Options) -> FederationOptions:
        """Return what the options say.

        Raises:
            ConfigurationError: one of them cannot be used.
        """
        return cls(
            allow_seconds=options.flag("sml.fed.allow.second.schedule", default=False),
            in_process=options.flag("sml.fed.allow.memory.transport", default=False),
            grace_ms=options.number("sml.fed.rebuild.grace.ms", 10_000, low=0, high=_MOST_GRACE_MS),
            expire_periods=options.number(
                "sml.fed.peer.expire.periods", 0, low=0, high=_MOST_PERIODS
            ),
            token_hours=options.number(
                "sml.fed.admin.token.default.timeout.hours", 2, low=1, high=_MOST_HOURS
            ),
            percent=options.number("sml.fed.contract.pct.scale", round(PERCENT), low=1, high=100),
            cell_rows=options.number(
                "sml.fed.hist.min.cell", CELL_ROWS, low=CELL_ROWS, high=_MOST_CELL_ROWS
            ),
            strict=options.flag("sml.fed.min.rows.strict", default=False),
        )

    def held_by(self, state: PeerState) -> PeerState:
        """Return the state of a peer that holds to these options, whenever it was made."""
        settings = msgspec.structs.replace(
            state.settings, grace_ms=self.grace_ms, expire_periods=self.expire_periods
        )
        return msgspec.structs.replace(state, settings=settings)
