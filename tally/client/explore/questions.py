"""How questions are asked; the groups of questions stand on it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from tally.client import wire
from tally.client.account import Account
from tally.client.jobs import AsyncJob, started
from tally.client.results.info import ProjectInfo
from tally.client.session import Answer, Session
from tally.wire import entities
from tally.wire.envelope import SML_INFO
from tally.wire.java_text import java_text

T = TypeVar("T")

Context = Mapping[str, Any]
"""One question as the protocol writes it."""

_AT_ONCE = 10_000  # questions in one request


def context(
    inputs: Iterable[str], targets: Iterable[str] = (), **parameters: float | str | None
) -> Context:
    """Return one question about attributes.

    Args:
        inputs, targets: their names.
        parameters: of the metric; None is left out.

    Example:
        >>> context(["x"], hist_bins=5, hist_min=None)
        {'inputAttributeNames': ['x'], 'extraParameters': {'hist_bins': '5'}}
    """
    found: dict[str, Any] = {"inputAttributeNames": list(inputs)}
    if aims := list(targets):
        found["targetAttributeNames"] = aims
    given = {name: java_text(x) for name, x in parameters.items() if x is not None}
    return found | ({"extraParameters": given} if given else {})


class Questions:
    """Asks about one project.

    Args:
        session: of the customer.
        pid: the project.
    """

    def __init__(self, session: Session, pid: str) -> None:
        self.pid = pid
        self._session = session

    @property
    def account(self) -> Account:
        """Whose project it is, and where."""
        return self._session.account

    async def info(self) -> ProjectInfo:
        """Return what the project is, and its attributes."""
        answer = await self._session.get("projects", self.pid, "info")
        return _info(answer)

    async def explore(
        self, metric: str, contexts: Sequence[Context], *, job: bool = False
    ) -> list[dict[str, float]]:
        """Return what the server says to questions about one metric, each as keys and numbers.

        Args:
            metric: `uni`, `bi`, `ttest` and so on.
            contexts: the questions; see `tally.client.context`.
            job: have the server work in the background, for questions that take minutes.

        Raises:
            ProjectRefused: the metric or an attribute is unknown, or a question does not fit.
        """
        found: list[dict[str, float]] = []
        for first in range(0, len(contexts), _AT_ONCE):
            part = contexts[first : first + _AT_ONCE]
            if job:
                query = {"metric": metric, "returnProjectInfo": "false", "async": "true"}
                found += await (await self._start("explore", part, wire.number_maps, query))
            else:
                found += wire.number_maps(await self._explore(metric, part, info=False))
        return found

    async def _explore_and_info(
        self, metric: str, question: Context
    ) -> tuple[dict[str, float], ProjectInfo]:
        """Return an answer, and the project whose indexes it is about."""
        answer = await self._explore(metric, [question], info=True)
        return wire.number_maps(answer)[0], _info(answer)

    async def _named(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return the names, or those of all attributes where there is none."""
        return tuple(names) or (await self.info()).names

    async def _explore(self, metric: str, contexts: Sequence[Context], *, info: bool) -> Answer:
        query = {"metric": metric, **({} if info else {"returnProjectInfo": "false"})}
        return await self._ask("explore", contexts, query)

    async def _start(
        self,
        verb: str,
        contexts: Sequence[Context],
        read: Callable[[Answer], T],
        query: Mapping[str, str] | None = None,
    ) -> AsyncJob[T]:
        return started(self._session, await self._ask(verb, contexts, query), read)

    async def _ask(
        self, verb: str, contexts: Sequence[Context], query: Mapping[str, str] | None = None
    ) -> Answer:
        body = {"values": contexts}
        return await self._session.post("projects", self.pid, verb, query=query, json=body)


def _info(answer: Answer) -> ProjectInfo:
    return ProjectInfo.of(answer.value(SML_INFO, entities.ProjectInfo))


def pid_of(project: str | Questions) -> str:
    """Return the name of a project that is given by name or as itself."""
    return project if isinstance(project, str) else project.pid
