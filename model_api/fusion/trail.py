"""The fusion projects that ask through one another, and how long the first of them still waits."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from tally.errors import InvalidInput
from tally.wire import texts
from tally.wire.projects import FUSION_DEADLINE, FUSION_PATH
from tally.wire.status import Refused, StatusCode

_MARGIN_MS = 250  # in which what was fetched is merged and sent
_MAX_CHARACTERS = 16 * 1024


@dataclass(frozen=True, slots=True)
class Trail:
    """Who asks.

    Attributes:
        path: projects as `{server}/{cid}/{pid}`, the first that was asked first.
        left_s: how long the last of them waits for its answer.
    """

    path: tuple[str, ...] = ()
    left_s: float = math.inf

    @classmethod
    def read(cls, path: str, deadline: str) -> Trail:
        """Return what the headers of a request say.

        Raises:
            InvalidInput: they cannot be used.

        Example:
            >>> Trail.read("s1/ann/a, s2/bob/b", "1500")
            Trail(path=('s1/ann/a', 's2/bob/b'), left_s=1.5)
        """
        if len(path) > _MAX_CHARACTERS:
            raise InvalidInput(FUSION_PATH, f"it is longer than {_MAX_CHARACTERS} characters")
        if deadline and not (deadline.isascii() and deadline.isdigit() and len(deadline) < 12):
            raise InvalidInput(FUSION_DEADLINE, f"{deadline[:40]!r} is not a number")
        names = tuple(name.strip() for name in path.split(",") if name.strip())
        return cls(names, int(deadline) / 1000 if deadline else math.inf)

    def through(self, name: str, max_depth: int) -> tuple[str, ...]:
        """Return the path that a project's own cells are asked with.

        Raises:
            Refused: 409, the project has asked for itself, or there are too many on the path.
        """
        if name in self.path:
            circle = (*self.path[self.path.index(name) :], name)
            raise Refused(texts.fusion_cycle(circle), StatusCode.CONFLICT)
        if len(self.path) >= max_depth:
            raise Refused(
                f"{texts.FUSION_DEPTH}: more than {max_depth} fusion projects on the way",
                StatusCode.CONFLICT,
            )
        return (*self.path, name)


def trail_headers(path: tuple[str, ...], left_s: float) -> Mapping[str, str]:
    """Return the headers of a question to a cell.

    Args:
        path: from `Trail.through`.
        left_s: how long we wait for it.
    """
    left_ms = max(0, math.floor(1000 * left_s) - _MARGIN_MS)
    return {FUSION_PATH: ",".join(path), FUSION_DEADLINE: str(left_ms)}
