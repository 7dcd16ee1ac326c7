"""What a worker and its computing processes say to each other, over pipes.

Messages are frames: four bytes of big-endian length, JSON; then, if the JSON says so, `bytes`
many raw bytes.
"""

from __future__ import annotations

import msgspec

FRAME_BYTES = 4


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What the child is asked; `bytes` raw bytes follow: a packed series, or an encoded state.

    Attributes:
        kind: "fit", or "verify" for a stored model.
        natural: seasons to prefer.
    """

    kind: str
    bytes: int
    algorithm: str = ""
    options: dict[str, int | float | str | bool] = {}
    period: int | None = None
    natural: tuple[int, ...] | None = None


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What the child says; `bytes` raw bytes follow: the encoded state.

    Attributes:
        kind: "progress", "done" or "failed".
        reason, retryable: of a failure.
        backtest: as JSON of `tally.forecast.scores.Backtest`.
    """

    kind: str
    bytes: int = 0
    progress: float = 0.0
    doing: str = ""
    reason: str = ""
    retryable: bool = False
    algorithm: str = ""
    options: dict[str, int | float | str | bool] = {}
    period: int = 0
    seconds: float = 0.0
    backtest: msgspec.Raw = msgspec.Raw(b"null")
