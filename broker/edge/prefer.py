"""What a client would like of an answer that may take long: `Prefer`, RFC 7240."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_MOST_DIGITS = 9


@dataclass(frozen=True, slots=True)
class Preferences:
    """Those that we know of; others are left aside, as the RFC wants it.

    Attributes:
        respond_async: 202 is welcome.
        wait_s: how long the client is ready to wait; None: it did not say.
    """

    respond_async: bool = False
    wait_s: int | None = None

    def patience_s(self, most_s: float) -> float:
        """Return for how long to hold the answer back, `most_s` where nothing is preferred."""
        if self.wait_s is not None:
            return min(float(self.wait_s), most_s)
        return 0.0 if self.respond_async else most_s

    def applied(self) -> str:
        """Return what `Preference-Applied` tells; empty where there was nothing to apply."""
        told = ["respond-async"] if self.respond_async else []
        if self.wait_s is not None:
            told.append(f"wait={self.wait_s}")
        return ", ".join(told)


def preferences(headers: Sequence[str]) -> Preferences:
    """Return what the `Prefer` headers of a request say; of a preference told twice, the first.

    Example:
        >>> preferences(["respond-async, wait=10; foo=bar", "wait=99"])
        Preferences(respond_async=True, wait_s=10)
        >>> preferences(["wait=soon"])
        Preferences(respond_async=False, wait_s=None)
    """
    told: dict[str, str] = {}
    for preference in ",".join(headers).split(","):
        name, _, value = preference.partition(";")[0].partition("=")
        told.setdefault(name.strip().lower(), value.strip().strip('"'))
    wait = told.get("wait", "")
    usable = wait.isascii() and wait.isdecimal() and len(wait) <= _MOST_DIGITS
    return Preferences("respond-async" in told, int(wait) if usable else None)
