"""One model of a project."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from os import PathLike
from typing import Any

import msgspec

from tally.client import wire
from tally.client.changes import Types, letters_of
from tally.client.errors import ModelReplaced, UnknownModel
from tally.client.explore.questions import Questions
from tally.client.frames import Source, open_frame
from tally.client.frames.records import as_data_frame
from tally.client.plot import Picture
from tally.client.plot_models import draw_coefficients, draw_path
from tally.client.results.models import ModelInfo, ModelVersions
from tally.client.results.predictions import Predictions
from tally.client.session import Answer, Request, Session
from tally.wire import entities
from tally.wire.envelope import MODEL_INFO, MODEL_VERSIONS, TEXT
from tally.wire.messages import MODEL_VERSION

_JSON = {"Content-Type": "application/json"}
File = str | PathLike[str] | None

_ROWS_PER_REQUEST = 50_000  # of 40 answers each at most: the server's bound
_TRIES = 3


class AsyncModel:
    """A model of a project; it need not exist before it is asked.

    Args:
        session: of the customer.
        pid: the project.
        id: the model's name.
    """

    def __init__(self, session: Session, pid: str, id: str) -> None:
        self.id = id
        self.pid = pid
        self._session = session

    async def info(self) -> ModelInfo:
        """Return what the model is: its coefficients, how well it fits, what was left out.

        Raises:
            UnknownModel: there is none of that name.
        """
        return ModelInfo.of((await self._get()).value(MODEL_INFO, entities.ModelInfo))

    async def exists(self) -> bool:
        """Tell whether the project has such a model."""
        try:
            await self._get()
        except UnknownModel:
            return False
        return True

    async def predict(self, rows: object, *, impute: bool = False) -> Predictions:
        """Answer rows, all of them by one version of the model.

        Args:
            rows: as for `learn`; columns are found by name, others do not matter.
            impute: what is missing stands at what the rest of the row lets expect, not at its
                mean.

        Raises:
            UnknownModel: there is none of that name.
            ModelReplaced: it was built again each time while rows were on their way.
            ProjectRefused: models of this family do not predict.
        """
        source = await asyncio.to_thread(open_frame, rows)
        told: dict[int, list[dict[str, str]]] = {}
        for _ in range(_TRIES):
            told = {}
            async for version, answers in self._answers(source, impute):
                told.setdefault(version, []).extend(answers)
                if len(told) > 1:
                    break
            else:
                version = next(iter(told), 0)
                return Predictions.of(told.get(version, ()), version)
        text = f"model {self.id} was replaced, by version {max(told)}, while rows were sent"
        raise ModelReplaced(409, text)

    async def learn_predict(
        self,
        rows: object,
        types: Types | None = None,
        *,
        keep: Sequence[str] = (),
        predict_first: bool = True,
        rebuild: bool = False,
    ) -> Predictions:
        """Have the project learn rows, in one request, and the model answer them.

        Args:
            rows, types: as for `learn`; cells that are no value of their type count as missing.
            keep: columns whose cells are to stand beside the answers.
            predict_first: by the model as it is before, which has not seen these rows.
            rebuild: build the model again from all that is learned then.

        Raises:
            ProjectRefused: nothing is counted.
        """
        source = await asyncio.to_thread(open_frame, rows)
        known = (await Questions(self._session, self.pid).info()).letters
        letters = await asyncio.to_thread(letters_of, source, types, known)
        frame = await asyncio.to_thread(as_data_frame, source, letters)
        query = {
            "keepColumns": ",".join(keep),
            "predictBeforeLearn": _flag(predict_first),
            "rebuildModel": _flag(rebuild),
        }
        path = ("projects", self.pid, "learnpredict", self.id)
        answer = await self._session.change(
            "POST", *path, query=query, body=msgspec.json.encode(frame), headers=_JSON
        )
        return Predictions.of(wire.text_maps(answer), _version(answer))

    async def versions(self) -> ModelVersions:
        """Return the versions that are kept."""
        return _versions(await self._get("versions"))

    async def rollback(self, to: int | None = None) -> ModelVersions:
        """Serve an earlier version again.

        Args:
            to: its number; None: the one before.
        """
        query = {} if to is None else {"to": str(to)}
        path = ("projects", self.pid, "models", self.id, "rollback")
        return _versions(await self._session.change("POST", *path, query=query))

    async def code(self, language: str = "python") -> str:
        """Return a linear model as a function in `python`, `java` or `sql`."""
        return (await self._get("code", language=language)).value(TEXT, str)

    async def export(self) -> str:
        """Return the model as text, for `import_model` of any project."""
        path = ("projects", self.pid, "model", "export")
        return (await self._session.get(*path, query={"modelid": self.id})).value(TEXT, str)

    async def delete(self) -> None:
        """Delete the model with all of its versions."""
        await self._session.delete("projects", self.pid, "models", self.id, gone=UnknownModel)

    async def plot(self, file: File = None, *, column: str = "coefficient") -> Picture:
        """Draw the coefficients with their intervals; needs the `plot` extra.

        Args:
            file: to write; its ending decides the format.
            column: of the coefficients: `scores` draws t values, which have no units; a class
                where there is a column for each.

        Raises:
            AlgorithmUnavailable: matplotlib is not installed.
            InvalidInput: the model has no coefficients.
        """
        info = await self.info()
        picture = await asyncio.to_thread(draw_coefficients, info, column)
        return await picture.saved(file)

    async def plot_path(self, file: File = None) -> Picture:
        """Draw how the coefficients shrink as the penalty grows; needs the `plot` extra.

        Only a `ridge`, `lasso` or `elasticnet` that was built with `aicc=True` knows.

        Raises:
            AlgorithmUnavailable: matplotlib is not installed.
            InvalidInput: the model keeps no path.
        """
        info = await self.info()
        picture = await asyncio.to_thread(draw_path, info)
        return await picture.saved(file)

    async def _answers(
        self, source: Source, impute: bool
    ) -> AsyncIterator[tuple[int, list[dict[str, str]]]]:
        letters = ("C",) * len(source.names)  # which the server ignores
        parts = source.parts(letters, rows=_ROWS_PER_REQUEST, start=0, lenient=True)
        while (part := await asyncio.to_thread(next, parts, None)) is not None:
            request = Request(
                "POST",
                ("projects", self.pid, "predict", self.id),
                {"impute": _flag(impute)},
                part.body,
                part.headers,
            )
            answer = await self._session.ask(request)
            yield _version(answer), wire.text_maps(answer)

    async def _get(self, *path: str, **query: str) -> Answer:
        return await self._session.get("projects", self.pid, "models", self.id, *path, query=query)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.pid!r}, {self.id!r})"


def _versions(answer: Answer) -> ModelVersions:
    return ModelVersions.of(answer.value(MODEL_VERSIONS, dict[str, Any]))


def _version(answer: Answer) -> int:
    text = answer.headers.get(MODEL_VERSION, "")
    return int(text) if text.isascii() and text.isdigit() else 0


def _flag(value: bool) -> str:
    return "true" if value else "false"
