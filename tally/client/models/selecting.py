"""Models that are searched for: the inputs, the penalties and the algorithm that predict best."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from tally.client.frames import open_frame
from tally.client.frames.records import as_data_frame
from tally.client.jobs import AsyncJob, OnStatus
from tally.client.models.building import ModelMaking, Names, Parameter, context_of
from tally.client.results.models import ModelInfo


class ModelSelecting(ModelMaking):
    """`select_model` and `auto_select`, each with a form that returns the job."""

    async def select_model(
        self,
        /,
        model: str,
        algo: str,
        rows: object,
        *,
        targets: Names,
        inputs: Names,
        on_progress: OnStatus | None = None,
        **parameters: Parameter,
    ) -> ModelInfo:
        """Make a model of one algorithm with those inputs and penalties that predict best.

        Args:
            model, algo, targets, inputs: as for `build`.
            rows: by which models are judged, in any form that `learn` takes; they are not
                learned, and should be none that were.
            on_progress: told how far the search is: sets of inputs that were tried, and how many
                there are at most.
            parameters: of the search, such as `selector_type`.
        """
        job = await self.start_select_model(
            model, algo, rows, targets=targets, inputs=inputs, **parameters
        )
        return await self._made(job, model, on_progress)

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
        on_progress: OnStatus | None = None,
        **parameters: Parameter,
    ) -> ModelInfo:
        """Make the model that predicts best, of any algorithm that fits the target.

        Args:
            model, targets, inputs: as for `build`.
            rows: by which models are judged; see `select_model`.
            task: `binary_classifier`, `regression` or `multiclass_classifier`; None: by the
                targets.
            on_progress: as for `select_model`.
            parameters: of the search, such as `autoselect_grid_type`.
        """
        job = await self.start_auto_select(
            model, rows, targets=targets, inputs=inputs, task=task, **parameters
        )
        return await self._made(job, model, on_progress)

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

    async def _judge(
        self, verb: str, query: Mapping[str, str], rows: object, question: Mapping[str, Any]
    ) -> AsyncJob[None]:
        source = await asyncio.to_thread(open_frame, rows)
        letters = ("C",) * len(source.names)  # by which name they are known is what counts
        frame = await asyncio.to_thread(as_data_frame, source, letters)
        return await self._make(verb, query, {"dataframe": frame, "mlcontext": question})
