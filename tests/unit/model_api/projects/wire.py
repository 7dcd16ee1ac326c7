"""A broker in few words: calls of a worker as they come from the wire and go back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from model_api.projects.endpoints import ProjectsApp
from model_api.projects.homes import Homes
from model_api.shards.desk import Desk
from tally.wire.projects import (
    BATCH_ID,
    ProjectUuid,
    project_path,
)


@dataclass
class Reply:
    status: int
    body: bytes
    headers: Mapping[bytes, bytes] = field(default_factory=dict)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        """Of a refusal."""
        return str(self.json["text"])


class Broker:
    """Calls a worker as a broker does."""

    def __init__(self, homes: Homes, desk: Desk | None = None) -> None:
        self.app = ProjectsApp(homes, desk=desk)

    async def __call__(
        self,
        project: str,
        verb: str,
        body: bytes | object = b"",
        *,
        batch: str = "",
        headers: Mapping[str, str] | None = None,
        **query: str,
    ) -> Reply:
        url = urlsplit(project_path(ProjectUuid(project), verb, query))
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        told = {"Content-Type": "application/json", BATCH_ID: batch, **(headers or {})}
        scope = {
            "type": "http",
            "method": "POST",
            "path": url.path,
            "query_string": url.query.encode(),
            "headers": [(k.lower().encode(), v.encode()) for k, v in told.items()],
        }
        parts = [content[i : i + 1000] for i in range(0, len(content), 1000)] or [b""]
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        return Reply(sent[0]["status"], sent[1]["body"], dict(sent[0]["headers"]))


def frame(names: str, types: str, *data: str, **more: object) -> dict[str, object]:
    table = [row.split(",") for row in data]
    return {
        "attributeNames": names.split(","),
        "attributeTypes": list(types),
        "data": table,
        **more,
    }


def questions(*asked: Mapping[str, object]) -> dict[str, object]:
    return {"values": list(asked)}


FLOWERS = frame("x,y,color", "CBT", "1,1, Red ", "2,0,blue", ",1,red", "4,0,")
