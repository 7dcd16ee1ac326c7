"""How often and how long cells are asked."""

from __future__ import annotations

from dataclasses import dataclass, field

from tally.networks import Networks
from tally.options import Options

_MOST_MS = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class FusionLimits:
    """The documented options of fusion projects.

    Attributes:
        prefetch_s: between two refreshes of one project.
        fetch_s: that a whole refresh may take.
        connect_s: that connecting to a cell's server may take.
        max_depth: of fusion projects that ask through one another.
        trust_all: certificates of other servers are not verified, and plain HTTP is let through.
        answer_bytes: of one cell's answer.
        networks: where cells' servers may be.
    """

    prefetch_s: float = 15.0
    fetch_s: float = 10.0
    connect_s: float = 2.0
    max_depth: int = 8
    trust_all: bool = False
    answer_bytes: int = 256 * 2**20
    networks: Networks = field(default_factory=Networks)

    @classmethod
    def of(cls, options: Options, answer_bytes: int, networks: Networks) -> FusionLimits:
        """Return what the options say.

        Args:
            options: of the installation.
            answer_bytes, networks: as of the class.

        Raises:
            ConfigurationError: one of them cannot be used.
        """

        def seconds(key: str, default_ms: int, low_ms: int) -> float:
            return options.number(key, default_ms, low=low_ms, high=_MOST_MS) / 1000

        return cls(
            prefetch_s=seconds("sml.fusion.prefetch.min.time.ms", 15_000, 0),
            fetch_s=seconds("sml.fusion.fetch.timeout.ms", 10_000, 10),
            connect_s=seconds("sml.fusion.fetch.connect.ms", 2_000, 10),
            max_depth=options.number("sml.fusion.max.depth", 8, low=1, high=64),
            trust_all=options.flag("sml.fed.admin.trust_all_certs", default=False),
            answer_bytes=answer_bytes,
            networks=networks,
        )
