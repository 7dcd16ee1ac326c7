"""What a client raises: the server's own sentence, and whether trying again may help."""

from __future__ import annotations

from collections.abc import Mapping


class ServerRefused(Exception):
    """The server answered with a problem.

    Attributes:
        status: of the HTTP answer.
        problem: its body, as RFC 9457 has it.
    """

    def __init__(self, status: int, problem: Mapping[str, object]) -> None:
        self.status = status
        self.problem = problem
        super().__init__(str(problem.get("detail") or f"the server answered {status}"))


class ServerAway(Exception):
    """No server answered at the address, or not in time."""
