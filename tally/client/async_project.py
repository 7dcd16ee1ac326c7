"""One project: what changes it, and all questions about it."""

from __future__ import annotations

import asyncio

from tally.client.changes import OnProgress, Types, letters_of, plan, send
from tally.client.errors import UnknownProject
from tally.client.explore.attributes import AttributeQuestions
from tally.client.explore.hypotheses import HypothesisQuestions
from tally.client.explore.questions import Questions, pid_of
from tally.client.explore.structure import StructureQuestions
from tally.client.federating import Federating
from tally.client.frames import Source, open_frame
from tally.client.fusing import Fusing
from tally.client.jobs import AsyncJob, started
from tally.client.models.selecting import ModelSelecting
from tally.client.results.info import Changed, ProjectInfo
from tally.client.session import Answer

_LEARN, _FORGET = "learn", "forget"


class AsyncProject(
    AttributeQuestions,
    HypothesisQuestions,
    StructureQuestions,
    ModelSelecting,
    Fusing,
    Federating,
):
    """A project of a customer; it need not exist before it is asked.

    Attributes:
        pid: its name.
    """

    _known: ProjectInfo | None = None

    async def learn(
        self,
        rows: object,
        types: Types | None = None,
        *,
        lenient: bool = False,
        rows_per_request: int | None = None,
        resume: str | None = None,
        on_progress: OnProgress | None = None,
    ) -> Changed:
        """Add rows to the statistics.

        Args:
            rows: a frame of pandas, polars or Arrow, a list of dicts, a dict of lists, or the
                path of a .csv, .csv.gz, .parquet or .json file.
            types: letters by name, or one for each column: `C` continuous, `B` 0 or 1, `T` a
                category, of which each value is counted, `X` to be left out. Columns that are
                not named keep the type that the project knows; new ones get `B` or `C` by their
                values, and `T` where a frame says that they are categories.
            lenient: cells that are no value of their type count as missing.
            rows_per_request: of many rows that are sent in parts. Each part counts as a whole or
                not at all, and once, however often it must be sent.
            resume: of the `ChangeStopped` that an earlier call with the same rows raised.
            on_progress: called after each request.

        Raises:
            ProjectRefused: nothing is counted.
            ChangeStopped: some rows may be.
            InvalidInput: the rows cannot be read, or nobody says what a column of text is.
        """
        going = (lenient, rows_per_request, resume, on_progress)
        return await self._change(_LEARN, rows, types, *going)

    async def forget(
        self,
        rows: object,
        types: Types | None = None,
        *,
        lenient: bool = False,
        rows_per_request: int | None = None,
        resume: str | None = None,
        on_progress: OnProgress | None = None,
    ) -> Changed:
        """Take rows away from the statistics as if they had never been learned; see `learn`."""
        going = (lenient, rows_per_request, resume, on_progress)
        return await self._change(_FORGET, rows, types, *going)

    async def start_learn(
        self, rows: object, types: Types | None = None, *, lenient: bool = False
    ) -> AsyncJob[None]:
        """Send rows in one request, and have the server learn them as a job."""
        return await self._start_change(_LEARN, rows, types, lenient)

    async def start_forget(
        self, rows: object, types: Types | None = None, *, lenient: bool = False
    ) -> AsyncJob[None]:
        """Send rows in one request, and have the server forget them as a job."""
        return await self._start_change(_FORGET, rows, types, lenient)

    async def merge(self, other: str | Questions) -> None:
        """Add the statistics of another project, which stays as it is; attributes by name."""
        query = {"otherProjectName": pid_of(other)}
        await self._session.change("GET", "projects", self.pid, "merge", query=query)

    async def freeze(self) -> None:
        """Refuse changes until `unfreeze`."""
        await self._verb("freeze")

    async def unfreeze(self) -> None:
        """Allow changes again."""
        await self._verb("unfreeze")

    async def save(self) -> None:
        """Write a project without autosave to the store, or one that was not persisted."""
        await self._verb("save")

    async def unload(self) -> None:
        """Drop the project from the server's memory; the next question loads it again."""
        await self._verb("unload")

    async def enable_histogram(self, enable: bool = True) -> None:
        """Keep counts of values from now on, or drop them."""
        query = {"enable": "true" if enable else "false"}
        path = ("projects", self.pid, "histogramEnable")
        await self._session.change("POST", *path, query=query)

    async def rename(self, new: str) -> None:
        """Give the project another name.

        Raises:
            NameTaken: there is a project of that name.
        """
        query = {"newName": new}
        await self._session.change("GET", "projects", self.pid, "rename", query=query)
        self.pid = new

    async def export(self) -> str:
        """Return the whole project as text, for `import_project`."""
        answer = await self._session.get("projects", self.pid, "export")
        return answer.body.decode("ascii")

    async def delete(self) -> None:
        """Delete the project and all that it learned."""
        await self._session.delete("projects", self.pid, gone=UnknownProject)
        self._known = None

    async def exists(self) -> bool:
        """Tell whether the customer has such a project."""
        try:
            await self.info()
        except UnknownProject:
            return False
        return True

    async def _change(
        self,
        verb: str,
        rows: object,
        types: Types | None,
        lenient: bool,
        rows_per_request: int | None,
        resume: str | None,
        on_progress: OnProgress | None,
    ) -> Changed:
        source = await asyncio.to_thread(open_frame, rows)
        info, letters = await self._letters(source, types)
        return await send(
            self._session,
            ("projects", self.pid, verb),
            source,
            letters,
            plan(source, info, rows_per_request, resume),
            lenient=lenient,
            on_progress=on_progress,
        )

    async def _verb(self, verb: str) -> None:
        await self._session.change("GET", "projects", self.pid, verb)

    async def _letters(
        self, source: Source, types: Types | None
    ) -> tuple[ProjectInfo, tuple[str, ...]]:
        """Return the types of columns, asking the server only about names not heard of yet.

        A column's type never changes, so what was heard once holds.
        """
        if self._known is None or not set(source.names) <= self._known.letters.keys():
            self._known = await self.info()
        known = self._known.letters
        return self._known, await asyncio.to_thread(letters_of, source, types, known)

    async def _start_change(
        self, verb: str, rows: object, types: Types | None, lenient: bool
    ) -> AsyncJob[None]:
        source = await asyncio.to_thread(open_frame, rows)
        _, letters = await self._letters(source, types)
        (part,) = source.parts(letters, rows=max(1, source.rows), start=0, lenient=lenient)
        answer = await self._session.change(
            "POST",
            "projects",
            self.pid,
            verb,
            query={**part.query, "async": "true"},
            body=part.body,
            headers=part.headers,
        )
        return started(self._session, answer, _nothing)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.pid!r})"


def _nothing(answer: Answer) -> None:
    """Read the answer of a job that has none."""
