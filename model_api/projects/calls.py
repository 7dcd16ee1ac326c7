"""A call of a broker, read from ASGI, and the answer to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl

import msgspec

from tally.errors import (
    CorruptState,
    IdempotencyMismatch,
    InvalidInput,
    NotFound,
    TallyError,
    TooBusy,
    TooLarge,
    Unavailable,
)
from tally.http_server import Receive, Scope
from tally.ids import NodeId
from tally.projects.batches import MAX_ID_CHARACTERS
from tally.projects.errors import NotHome
from tally.wire.messages import REQUEST_ID
from tally.wire.projects import (
    BATCH_ID,
    CLIENT,
    FENCE,
    FUSION_DEADLINE,
    FUSION_PATH,
    NOT_HOME,
    OWNER,
    SUSPECTS,
    ProjectUuid,
    Refusal,
    suspects,
)
from tally.wire.status import Refused

JSON, BYTES, TEXT = b"application/json", b"application/octet-stream", b"text/plain"

_DEFAULT_CLIENT = "default-rest-client"
_MAX_CLIENT = 200
# In this order: the first class that fits counts.
_STATUS: Mapping[type[TallyError], int] = {
    NotHome: NOT_HOME,
    NotFound: 404,
    IdempotencyMismatch: 422,
    TooLarge: 413,
    InvalidInput: 400,
    TooBusy: 429,
    Unavailable: 503,
    CorruptState: 500,
    TallyError: 500,
}


@dataclass(frozen=True, slots=True)
class Call:
    """What is asked.

    Attributes:
        project, verb, query: of the path.
        batch_id: names a change; empty: nobody will repeat it.
        client, request_id: who asks, for the logs.
        suspects: nodes that the broker cannot reach.
        media_type, content_encoding: of the body.
        fusion_path, fusion_deadline: of a project that this one is a cell of, as sent.
        fence: of the sharded project that this one is a shard of, as sent.
    """

    project: ProjectUuid
    verb: str
    query: Mapping[str, str]
    batch_id: str
    client: str
    request_id: str
    suspects: frozenset[NodeId]
    media_type: str
    content_encoding: str
    body: bytes
    fusion_path: str = ""
    fusion_deadline: str = ""
    fence: str = ""

    def flag(self, name: str, *, default: bool) -> bool:
        """Return a parameter that is `true` or `false`.

        Raises:
            Refused: it is neither.
        """
        text = self.query.get(name, "").strip().lower()
        if text not in ("", "true", "false"):
            raise Refused(f"Invalid parameter [{name}]: [{self.query[name][:40]}]")
        return text == "true" if text else default


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered."""

    body: bytes = b"{}"
    status: int = 200
    content_type: bytes = JSON
    headers: Sequence[tuple[str, str]] = ()


def read_head(scope: Scope, project: ProjectUuid, verb: str) -> Call:
    """Return a call without its body.

    Raises:
        InvalidInput: a header cannot be used.
    """
    headers: dict[str, str] = {
        name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
    }

    def header(name: str) -> str:
        return headers.get(name.lower(), "")

    batch_id = header(BATCH_ID)
    if len(batch_id) > MAX_ID_CHARACTERS:
        raise InvalidInput(BATCH_ID, f"it is longer than {MAX_ID_CHARACTERS} characters")
    query: bytes = scope["query_string"]
    return Call(
        project=project,
        verb=verb,
        query=dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True)),
        batch_id=batch_id,
        client=header(CLIENT)[:_MAX_CLIENT] or _DEFAULT_CLIENT,
        request_id=header(REQUEST_ID),
        suspects=suspects(header(SUSPECTS)),
        media_type=header("Content-Type"),
        content_encoding=header("Content-Encoding"),
        body=b"",
        fusion_path=header(FUSION_PATH),
        fusion_deadline=header(FUSION_DEADLINE),
        fence=header(FENCE),
    )


async def read_body(scope: Scope, receive: Receive, limit: int) -> bytes | None:
    """Return the body; None: the caller hung up.

    Raises:
        TooLarge: it is over the limit; not all of it was read.
    """
    declared = dict(scope["headers"]).get(b"content-length", b"0")
    parts: list[bytes] = []
    size_bytes = 0
    while max(int(declared) if declared.isdigit() else 0, size_bytes) <= limit:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        size_bytes += len(parts[-1])
        if size_bytes <= limit and not message.get("more_body", False):
            return b"".join(parts)
    raise TooLarge("body", f"it is larger than {limit} bytes")


def refusal(error: TallyError) -> Answer:
    """Return the answer that tells of an error."""
    values: dict[str, object] = {}
    if isinstance(error, Refused):
        return _refusal(error.status.http, error.text, dict(error.values))
    if isinstance(error, NotHome):
        values[OWNER] = error.owner
    status = next(status for kind, status in _STATUS.items() if isinstance(error, kind))
    return _refusal(status, str(error), values)


def _refusal(status: int, text: str, values: dict[str, object]) -> Answer:
    return Answer(msgspec.json.encode(Refusal(text, values)), status)
