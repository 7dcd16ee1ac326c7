"""The sum of a project's shards, brought up to date before each question.

No shard may be missing in it, and whoever asks sees what any of them had acknowledged by then. A
shard that has nothing new says so in a few bytes, and where none has, nothing is computed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import structlog

from model_api.projects.home import Home
from model_api.projects.homes import Homes
from model_api.projects.sharing import Shared
from model_api.shards.asking import Asking, Question
from model_api.shards.telling import STATISTICS, ShardHead, unpack
from tally.engine.arrange import arranged
from tally.engine.options import Options
from tally.engine.part import Known
from tally.engine.project import Project
from tally.errors import InvalidInput
from tally.fusion.parts import sum_of_parts
from tally.fusion.sources import Contribution, Leaf
from tally.projects.shards import shards
from tally.projects.shared_schema import SharedSchema
from tally.wire.projects import FENCE, ProjectUuid
from tally.wire.status import Refused

_log = structlog.get_logger()


class Summing:
    """Keeps sums up to date.

    Args:
        homes: the projects at home here.
        asking: asks their shards.
    """

    def __init__(self, homes: Homes, asking: Asking) -> None:
        self._homes = homes
        self._asking = asking

    async def refresh(self, home: Home, fence: int | None = None) -> None:
        """Have a project's sum be that of its shards as they are after this call or later.

        Args:
            home: the project's.
            fence: the number of the sum, if forgets are to be judged by it.

        Raises:
            Refused: 503, a shard does not answer.
            NotFound: the project was deleted.
        """
        summed = home.summed
        assert summed is not None, f"{home.held.project} has no shards"
        if summed.fetch is None:
            summed.fetch = Shared(lambda: self._fetch(home), self._homes.start)
        if fence is not None:
            summed.fence = fence  # of the next fetch, for which this call waits
        await summed.fetch()

    async def _fetch(self, home: Home) -> None:
        summed, project = home.summed, home.held.project
        assert summed is not None
        since = {shard: part.version for shard, part in summed.parts.items()}
        fence, summed.fence = summed.fence, None
        headers = {} if fence is None else {FENCE: str(fence)}
        question = Question(STATISTICS, headers=headers)
        told = await self._asking.all(project, home.head, question, since)
        found = await self._homes.threads.run(lambda: [unpack(data) for data in told])
        if summed.total is not None and not any(head.modified for head, _ in found):
            return
        schema = SharedSchema(self._homes.projects.store, project)
        await schema.refresh()  # after the shards, so that it has all their names
        places = shards(project, home.head.options.cells)
        parts = {
            shard: part or summed.parts[shard]
            for shard, (_, part) in zip(places, found, strict=True)
        }
        await self._add_up(home, parts, schema.known, [head for head, _ in found])

    async def _add_up(
        self,
        home: Home,
        parts: Mapping[ProjectUuid, Contribution],
        known: Known,
        heads: list[ShardHead],
    ) -> None:
        assert home.summed is not None
        given = home.head.options
        options = Options(given.kind, given.params, given.histogram)
        total, leaves, wrong = await self._homes.threads.run(
            _total, options, list(parts.values()), known
        )
        summed = home.summed
        if wrong:
            _log.warning("shards cannot be added up", project=home.held.project, reason=wrong)
            total = total if summed.total is None else summed.total
        summed.parts, summed.total, summed.leaves, summed.wrong = parts, total, leaves, wrong
        summed.modified_ms = max(head.modified_ms for head in heads)
        home.sum_changed()
        self._homes.make_room(home)


def check(home: Home) -> None:
    """Return if the shards of a project could be added up.

    Raises:
        Refused: 400, more rows were forgotten than learned; it names an attribute.
    """
    if home.summed is not None and home.summed.wrong:
        raise Refused(
            f"Project [{home.head.pid}] cannot answer: more rows were forgotten than learned: "
            f"{home.summed.wrong}"
        )


def _total(
    options: Options, parts: list[Contribution], known: Known
) -> tuple[Project, tuple[Leaf, ...], str]:
    """Return the sum; what it stands on; and why there is none, if it has no rows for that."""
    try:
        merged = sum_of_parts(parts, known)
    except InvalidInput as error:
        empty = Project.empty(options)
        summary = arranged(empty.summary, known.schema)
        return replace(empty, summary=summary, known_types=known.types), (), str(error)
    project = replace(merged.project, options=options, known_types=known.types)
    return project, merged.provenance, ""
