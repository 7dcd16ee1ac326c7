"""What makes models: building, reducing, selecting, importing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from tally.client.explore.questions import Questions
from tally.client.frames import open_frame
from tally.client.frames.records import as_data_frame
from tally.client.jobs import AsyncJob, started
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
    """`build` and its like, each in a form that returns the job.

    In all of them

    * `targets` and `inputs` are names of attributes, one or several; a category stands for its
      values;
    * further parameters are those of the algorithm. `lambda` is a word of Python: write `lambda_`.
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
        **parameters: Parameter,
    ) -> ModelInfo:
        """Make a model of the statistics, in place of one of that name.

        Args:
            model: its name: letters, digits, and `_`, `.`, `-`.
            algo: `mlr`, `ridge`, `lda` and so on.
            targets, inputs: what it predicts, and from what.
            svdreduce: leave out inputs that those before them determine.
            parameters: of the algorithm.

        Raises:
            ProjectRefused: an attribute, the algorithm or a parameter cannot be used.
            JobFailed: the statistics do not allow such a model; says why, and what would help.
        """
        job = await self.start_build(
            model, algo, targets=targets, inputs=inputs, svdreduce=svdreduce, **parameters
        )
        await job
        return await self.model(model).info()

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
        await (await self._make("reduce", query, context_of(targets, inputs, parameters)))
        return await self.model(model).info()

    async def select_model(
        self,
        /,
        model: str,
        algo: str,
        rows: object,
        *,
        targets: Names,
        inputs: Names,
        **parameters: Parameter,
    ) -> ModelInfo:
        """Make a model of one algorithm with those inputs and penalties that predict best.

        Args:
            model, algo, targets, inputs: as for `build`.
            rows: by which models are judged, in any form that `learn` takes; they are not
                learned, and should be none that were.
            parameters: of the search, such as `selector_type`.
        """
        job = await self.start_select_model(
            model, algo, rows, targets=targets, inputs=inputs, **parameters
        )
        await job
        return await self.model(model).info()

    async def start_select_model(
        self,
        /,
        model: str,
        algo: str,
        rows: object,
        *,
        targets: Names,
        inputs: Names,
        **parameters: Parameter,
    ) -> AsyncJob[None]:
        """Start `select_model` as a job."""
        query = {"algo": algo, "modelid": model}
        return await self._judge(
            "selectModel", query, rows, context_of(targets, inputs, parameters)
        )

    async def auto_select(
        self,
        /,
        model: str,
        rows: object,
        *,
        targets: Names,
        inputs: Names,
        task: str | None = None,
        **parameters: Parameter,
    ) -> ModelInfo:
        """Make the model that predicts best, of any algorithm that fits the target.

        Args:
            model, targets, inputs: as for `build`.
            rows: by which models are judged; see `select_model`.
            task: `binary_classifier`, `regression` or `multiclass_classifier`; None: by the
                targets.
            parameters: of the search, such as `autoselect_grid_type`.
        """
        job = await self.start_auto_select(
            model, rows, targets=targets, inputs=inputs, task=task, **parameters
        )
        await job
        return await self.model(model).info()

    async def start_auto_select(
        self,
        /,
        model: str,
        rows: object,
        *,
        targets: Names,
        inputs: Names,
        task: str | None = None,
        **parameters: Parameter,
    ) -> AsyncJob[None]:
        """Start `auto_select` as a job."""
        query = {**({} if task is None else {"task": task}), "modelid": model}
        return await self._judge("autoSelect", query, rows, context_of(targets, inputs, parameters))

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

    async def _judge(
        self, verb: str, query: Mapping[str, str], rows: object, question: Mapping[str, Any]
    ) -> AsyncJob[None]:
        source = await asyncio.to_thread(open_frame, rows)
        letters = ("C",) * len(source.names)  # by which name they are known is what counts
        frame = await asyncio.to_thread(as_data_frame, source, letters)
        return await self._make(verb, query, {"dataframe": frame, "mlcontext": question})

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
