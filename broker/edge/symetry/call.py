"""A request that was found in the table and whose signature holds, and what it comes to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from broker.edge.symetry.query import Query
from broker.edge.symetry.routes import REST, Route
from tally.wire import texts
from tally.wire.status import StatusCode

JSON = "application/json"
PLAIN_TEXT = "text/plain; charset=utf-8"

Told = Callable[[int, int], None]
"""Told by long work how many steps it has made, and of how many at most."""


def untold(done: int, most: int) -> None:
    """Do nothing: nobody wants to know how far it is."""


@dataclass(frozen=True, slots=True)
class Call:
    """What a customer asks for.

    Attributes:
        route: the line of the table.
        cid: the customer.
        values: what stands for `{pid}` and the like in the path.
        query: the parameters.
        body: as sent, still compressed.
        batch_id: names this change; sent again, it counts once.
        headers: those that the home wants to see.
        origin: scheme and authority by which the client reached us.
        request_id: for the logs.
    """

    route: Route
    cid: str
    values: Mapping[str, str] = field(default_factory=dict)
    query: Query = field(default_factory=Query)
    body: bytes = field(default=b"", repr=False)
    batch_id: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    origin: str = ""
    request_id: str = ""

    @property
    def pid(self) -> str:
        """The project in the path."""
        return self.values["pid"]

    @property
    def asked(self) -> dict[str, str]:
        """What the home has to know of path and query."""
        model = self.values.get("modelid")
        path = {} if model is None else {"modelid": model}
        return {**self.query.chosen(self.route.query), **path}

    def job_url(self, job_id: int) -> str:
        """Return where a job of this customer is told of."""
        return f"{self.origin}{REST}{quote(self.cid, safe='')}/jobs/{job_id}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a call comes to.

    Attributes:
        values: JSON of the object that the envelope holds.
        status, text: of the envelope.
        headers: further ones.
        bare: the whole body, where the answer has no envelope.
    """

    values: bytes = b"{}"
    status: StatusCode = StatusCode.OK
    text: str = texts.OK
    headers: Mapping[str, str] = field(default_factory=dict)
    bare: bytes | None = None
