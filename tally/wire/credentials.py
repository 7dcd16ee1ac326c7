"""Who says to have signed a request, and when: what is checked before its body is read.

The checks and their numbers are those of docs/reference/signing.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tally.clock import Clock
from tally.wire.status import Refused

OLDEST = timedelta(minutes=5)
NEWEST = timedelta(minutes=1)
"""How far a request's date may lie behind our clock, and ahead of it."""

_DATE = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(;\d+)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a request says about who signed it and when; the date has been checked.

    Attributes:
        signature: base64, as sent.
        date: as sent, since that text is signed.
        md5: base64 that the body should have; empty: not said.
        claimed_cid: customer that the headers name besides the URL; empty: none.
    """

    signature: str = field(repr=False)
    date: str
    md5: str = ""
    claimed_cid: str = ""

    @classmethod
    def read(cls, headers: Mapping[str, str], clock: Clock) -> Credentials:
        """Return the credentials of a request, before its body is read.

        Args:
            headers: by lower-case name, or of a kind that ignores case.
            clock: whose wall time is compared.

        Raises:
            Refused: 400, one of checks 1 to 4.
        """
        return cls.checked(
            headers.get("authorization", ""),
            headers.get("sym-date", ""),
            headers.get("content-md5", ""),
            headers.get("customer-id", ""),
            clock,
        )

    @classmethod
    def checked(
        cls, signature: str, date: str, md5: str, claimed_cid: str, clock: Clock
    ) -> Credentials:
        """Return the same from the texts themselves; an empty one counts as absent."""
        if not (signature := signature.strip()):
            raise Refused("Authentication header is null")
        if not (date := date.strip()):
            raise Refused("sym-date header is null")
        _check_window(date, clock)
        return cls(signature, date, md5.strip(), claimed_cid.strip())


def _check_window(date: str, clock: Clock) -> None:
    found = _DATE.fullmatch(date)
    try:
        moment = datetime.fromisoformat(f"{found[1]}+00:00" if found else "")
    except ValueError:  # no date of this form, or a thirteenth month
        raise Refused("Invalid Date Format") from None
    now = clock.now().replace(microsecond=0)
    if not now - OLDEST <= moment <= now + NEWEST:
        raise Refused("Please update your server time, it is likely out of sync with UTC")
