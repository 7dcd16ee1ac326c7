"""Asking the shards of a project, wherever they are at home."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from model_api.projects.calls import Call
from tally.errors import NotFound
from tally.projects.records import Head
from tally.projects.shards import shard_for, shards
from tally.routing.home_call import Answer, HomeCall
from tally.routing.homes import HomeUnavailable
from tally.wire.projects import CLIENT, ProjectUuid
from tally.wire.status import Refused, StatusCode


class Routing(Protocol):
    """Asks homes."""

    async def answer(self, call: HomeCall, wait_s: float) -> Answer:
        """Return what the home of a project answers; see `tally.routing.homes.Homes`."""
        ...


@dataclass(frozen=True, slots=True)
class Question:
    """What a shard is asked.

    Attributes:
        verb, query, headers, body: of the internal call.
        batch_id: names a change; empty: nothing is changed.
        request_id: for the logs.
    """

    verb: str
    query: Mapping[str, str] = field(default_factory=dict)
    batch_id: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)
    request_id: str = ""

    @classmethod
    def of(cls, call: Call) -> Question:
        """Return a call of the project as one of its shard."""
        given = {
            "Content-Type": call.media_type,
            "Content-Encoding": call.content_encoding,
            CLIENT: call.client,
        }
        headers = {name: value for name, value in given.items() if value}
        batch_id = call.batch_id or uuid.uuid4().hex
        return cls(call.verb, call.query, batch_id, headers, call.body, call.request_id)


class Asking:
    """Asks shards.

    Args:
        routing: asks homes of this installation, our own among them.
        wait_s: how long each is asked.
    """

    def __init__(self, routing: Routing, wait_s: float) -> None:
        self._routing = routing
        self._wait_s = wait_s

    async def one(self, project: ProjectUuid, head: Head, question: Question) -> bytes:
        """Return what the shard of a batch answers.

        Raises:
            Refused: it refuses; or 503, it does not answer.
            NotFound: the project was deleted.
        """
        shard = shard_for(project, head.options.cells, question.batch_id)
        return await self._ask(shards(project, head.options.cells).index(shard), shard, question)

    async def all(
        self,
        project: ProjectUuid,
        head: Head,
        question: Question,
        since: Mapping[ProjectUuid, str] | None = None,
    ) -> Sequence[bytes]:
        """Return what all shards answer, in order; each is asked, whatever becomes of the others.

        Args:
            project, head: whose shards.
            question: to each.
            since: the version that is known of each, for the query.

        Raises:
            Refused: one refuses; or 503, it does not answer.
            NotFound: the project was deleted.
        """
        asked = (
            self._ask(number, shard, question, (since or {}).get(shard, ""))
            for number, shard in enumerate(shards(project, head.options.cells))
        )
        told: list[bytes] = []
        for answer in await asyncio.gather(*asked, return_exceptions=True):
            if isinstance(answer, BaseException):
                raise answer
            told.append(answer)
        return told

    async def _ask(
        self, number: int, shard: ProjectUuid, question: Question, since: str = ""
    ) -> bytes:
        query = {**question.query, "since": since} if since else question.query
        call = HomeCall(
            shard,
            "POST" if question.body else "GET",
            question.verb,
            query,
            batch_id=question.batch_id,
            headers=question.headers,
            body=question.body,
            request_id=question.request_id,
        )
        try:
            return (await self._routing.answer(call, self._wait_s)).body
        except NotFound:
            raise NotFound(f"cell {number} is gone") from None
        except HomeUnavailable as error:
            raise Refused(
                f"Cell {number} of the project does not answer: {error}",
                StatusCode.SERVICE_UNAVAILABLE,
            ) from None
