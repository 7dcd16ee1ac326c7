"""Models for scripts and notebooks: each call returns when there is an answer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib import import_module
from typing import Any, Generic, TypeVar

from tally.client.blocking_job import Job
from tally.client.jobs import OnStatus
from tally.client.models.building import Names, Parameter, names_of
from tally.client.models.handle import AsyncModel
from tally.client.models.selecting import ModelSelecting
from tally.client.portal import Blocking, blocking, wait_for

S = TypeVar("S", bound=ModelSelecting)


class Model(Blocking[AsyncModel]):
    """A model of a project; it need not exist before it is asked."""

    @property
    def id(self) -> str:
        """Its name."""
        return self._inner.id

    @property
    def pid(self) -> str:
        """The name of its project."""
        return self._inner.pid

    info = blocking(AsyncModel.info)
    exists = blocking(AsyncModel.exists)
    predict = blocking(AsyncModel.predict)
    learn_predict = blocking(AsyncModel.learn_predict)
    versions = blocking(AsyncModel.versions)
    rollback = blocking(AsyncModel.rollback)
    code = blocking(AsyncModel.code)
    export = blocking(AsyncModel.export)
    delete = blocking(AsyncModel.delete)
    plot = blocking(AsyncModel.plot)
    plot_path = blocking(AsyncModel.plot_path)


class ModelsOfProject(Blocking[S], Generic[S]):
    """What a project does with models."""

    models = blocking(ModelSelecting.models)
    build = blocking(ModelSelecting.build)
    reduce = blocking(ModelSelecting.reduce)
    select_model = blocking(ModelSelecting.select_model)
    auto_select = blocking(ModelSelecting.auto_select)

    def model(self, id: str) -> Model:
        """Return a model, without asking whether it exists."""
        return Model(self._inner.model(id))

    def import_model(self, model: str, text: str) -> Model:
        """Make a model of the text that `export` of one returned."""
        return Model(wait_for(self._inner.import_model(model, text)))

    def fit(
        self,
        algo: str,
        *,
        target: Names,
        inputs: Names,
        model: str | None = None,
        svdreduce: bool = False,
        on_progress: OnStatus | None = None,
        **parameters: Parameter,
    ) -> Any:
        """Make a model, and return it as a fitted estimator of scikit-learn.

        Args:
            algo, inputs, svdreduce, on_progress, parameters: as for `build`.
            target: one attribute, or those of the classes.
            model: its name; None: made of the algorithm and the target.

        Returns:
            A `tally.sklearn.RemoteRegressor` or `RemoteClassifier`, which asks the server for
            predictions.

        Raises:
            AlgorithmUnavailable: scikit-learn is not installed.
        """
        # Imported by name: the client itself needs no numpy.
        remote = import_module("tally.sklearn")
        aims = names_of(target)
        handle = self.model(model or _model_name(algo, aims))
        self.build(
            handle.id,
            algo,
            targets=aims,
            inputs=inputs,
            svdreduce=svdreduce,
            on_progress=on_progress,
            **parameters,
        )
        return remote.estimator_of(handle)

    def start_build(
        self,
        model: str,
        algo: str,
        *,
        targets: Names = (),
        inputs: Names = (),
        svdreduce: bool = False,
        **parameters: Parameter,
    ) -> Job[None]:
        """Start `build` as a job."""
        begun = self._inner.start_build(
            model, algo, targets=targets, inputs=inputs, svdreduce=svdreduce, **parameters
        )
        return Job(wait_for(begun))

    def start_select_model(
        self,
        model: str,
        algo: str,
        rows: object,
        *,
        targets: Names,
        inputs: Names,
        **parameters: Parameter,
    ) -> Job[None]:
        """Start `select_model` as a job."""
        begun = self._inner.start_select_model(
            model, algo, rows, targets=targets, inputs=inputs, **parameters
        )
        return Job(wait_for(begun))

    def start_auto_select(
        self,
        model: str,
        rows: object,
        *,
        targets: Names,
        inputs: Names,
        task: str | None = None,
        **parameters: Parameter,
    ) -> Job[None]:
        """Start `auto_select` as a job."""
        begun = self._inner.start_auto_select(
            model, rows, targets=targets, inputs=inputs, task=task, **parameters
        )
        return Job(wait_for(begun))


def _model_name(algo: str, targets: Sequence[str]) -> str:
    """Return a name that a model may have.

    Example:
        >>> _model_name("mlr", ["color$dark red"])
        'mlr_color_dark_red'
    """
    text = "_".join([algo, *targets[:1]])
    return re.sub(r"[^A-Za-z0-9_.-]", "_", text)[:128]
