"""What makes models: building, reducing, importing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from tally.client.explore.questions import Questions
from tally.client.jobs import AsyncJob, OnStatus, started
from tally.client.models.handle import AsyncModel
from tally.client.results.models import ModelInfo
from tally.client.session import Answer
from tally.errors import InvalidInput
from tally.wire.java_text import java_text

_JSON = {"Content-Type": "application/json"}
_TEXT = {"Content-Type": "text/plain"}

Names = str | Iterable[str]
Parameter = str | int | float | bool | None


class ModelMaking(Questions):
    """`build` and its like.

    Everywhere `targets` and `inputs` are names of attributes, one or several, and a category
    stands for its values. Further parameters are those of the algorithm; `lambda` is a word of
    Python: write `lambda_`. Whoever is cancelled, or interrupted, while waiting for a model has the
    server stop making it; jobs from `start_build` and its like go on.
    """

    def model(self, id: str) -> AsyncModel:
        """Return a model, without asking whether it exists."""
        return AsyncModel(self._session, self.pid, id)

    async def models(self) -> dict[str, str]:
        """Return the algorithm of each of the project's models, by the model's name."""
        return dict((await self.info()).models)

    async def build(
        self,
        /,
        model: str,
        algo: str,
        *,
        targets: Names = (),
        inputs: Names = (),
        svdreduce: bool = False,
        on_progress: OnStatus | None = None,
        **parameters: Parameter,
    ) -> ModelInfo:
        """Make a model of the statistics, in place of one of that name.

        Args:
            model: its name: letters, digits, and `_`, `.`, `-`.
            algo: `mlr`, `ridge`, `lda` and so on.
            targets, inputs: what it predicts, and from what.
            svdreduce: leave out inputs that those before them determine.
            on_progress: told how far it is, if it takes long.
            parameters: of the algorithm.

        Raises:
            ProjectRefused: an attribute, the algorithm or a parameter cannot be used.
            JobFailed: the statistics do not allow such a model; says why, and what would help.
        """
        job = await self.start_build(
            model, algo, targets=targets, inputs=inputs, svdreduce=svdreduce, **parameters
        )
        return await self._made(job, model, on_progress)

    async def start_build(
        self,
        /,
        model: str,
        algo: str,
        *,
        targets: Names = (),
        inputs: Names = (),
        svdreduce: bool = False,
        **parameters: Parameter,
    ) -> AsyncJob[None]:
        """Start `build` as a job."""
        query = {"modelid": model, "algo": algo, **({"svdreduce": "true"} if svdreduce else {})}
        return await self._make("build", query, context_of(targets, inputs, parameters))

    async def reduce(
        self,
        /,
        model: str,
        algo: str = "lda",
        *,
        targets: Names,
        inputs: Names,
        delta: float | None = None,
        iterations: int | None = None,
        on_progress: OnStatus | None = None,
        **parameters: Parameter,
    ) -> ModelInfo:
        """Make a model of only those inputs that matter.

        Args:
            model, algo, targets, inputs: as for `build`.
            delta: an input stays if it adds so much to the distance between the classes; None:
                the server's own.
            iterations: rounds of adding and dropping at most; None: the server's own.
            parameters: of the algorithm.
        """
        query = {"modelid": model, "algo": algo}
        query |= {} if delta is None else {"delta": repr(float(delta))}
        query |= {} if iterations is None else {"numIterations": str(iterations)}
        job = await self._make("reduce", query, context_of(targets, inputs, parameters))
        return await self._made(job, model, on_progress)

    async def import_model(self, model: str, text: str) -> AsyncModel:
        """Make a model of the text that `export` of one returned; it need not be of this project.

        Raises:
            ProjectRefused: the text is damaged.
        """
        path = ("projects", self.pid, "model", "import")
        await self._session.change(
            "POST", *path, query={"modelid": model}, body=text.encode(), headers=_TEXT
        )
        return self.model(model)

    async def _make(
        self, verb: str, query: Mapping[str, str], body: Mapping[str, Any]
    ) -> AsyncJob[None]:
        answer = await self._session.change(
            "POST",
            "projects",
            self.pid,
            verb,
            query=query,
            body=await asyncio.to_thread(msgspec.json.encode, body),
            headers=_JSON,
        )
        return started(self._session, answer, _nothing)

    async def _made(
        self, job: AsyncJob[None], model: str, on_progress: OnStatus | None
    ) -> ModelInfo:
        """Return the model that a job makes; whoever stops waiting for it stops the job."""
        await job.result_or_cancel(on_progress)
        return await self.model(model).info()


def context_of(
    targets: Names, inputs: Names, parameters: Mapping[str, Parameter]
) -> dict[str, Any]:
    """Return what a model is asked to be, as the protocol writes it.

    Example:
        >>> context_of("y", ["a", "b"], {"lambda_": 0.5, "debias": True, "q": None})
        {'targetAttributeNames': ['y'], 'inputAttributeNames': ['a', 'b'], 'extraParameters': \
{'lambda': '0.5', 'debias': 'true'}}
    """
    given: dict[str, str] = {}
    for name, value in parameters.items():
        if value is None:
            continue
        if not isinstance(value, str | int | float):
            raise InvalidInput(name, f"a {type(value).__name__} is no text, number or truth value")
        given[name.removesuffix("_")] = java_text(value)
    return {
        "targetAttributeNames": names_of(targets),
        "inputAttributeNames": names_of(inputs),
        "extraParameters": given,
    }


def names_of(names: Names) -> list[str]:
    """Return names that are given as one text or as several."""
    return [names] if isinstance(names, str) else list(names)


def _nothing(answer: Answer) -> None:
    """Read the answer of a job that has none."""
