"""A model for scripts and notebooks: each call returns when there is an answer."""

from __future__ import annotations

from tally.client.models.handle import AsyncModel
from tally.client.portal import Blocking, blocking


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
