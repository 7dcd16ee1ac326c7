"""The same client for scripts and notebooks: each call returns when there is an answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any

from tally.client.async_client import AsyncTally
from tally.client.async_project import AsyncProject
from tally.client.blocking_job import Job
from tally.client.cells import Cell, CellLike
from tally.client.changes import Types
from tally.client.federations import Terms
from tally.client.models.blocking import ModelsOfProject
from tally.client.portal import Blocking, blocking, run_soon, wait_for
from tally.client.results.cells import CellsStatus
from tally.client.results.components import Pca, Svd, Vif
from tally.client.results.densities import Drift
from tally.client.session import Patience
from tally.wire.secret_key import SecretKey


class Project(ModelsOfProject[AsyncProject]):
    """A project of a customer; it need not exist before it is asked."""

    @property
    def pid(self) -> str:
        """Its name."""
        return self._inner.pid

    learn = blocking(AsyncProject.learn)
    forget = blocking(AsyncProject.forget)
    freeze = blocking(AsyncProject.freeze)
    unfreeze = blocking(AsyncProject.unfreeze)
    save = blocking(AsyncProject.save)
    unload = blocking(AsyncProject.unload)
    enable_histogram = blocking(AsyncProject.enable_histogram)
    rename = blocking(AsyncProject.rename)
    export = blocking(AsyncProject.export)
    delete = blocking(AsyncProject.delete)
    exists = blocking(AsyncProject.exists)

    federation = blocking(AsyncProject.federation)
    invite = blocking(AsyncProject.invite)
    start_pulse = blocking(AsyncProject.start_pulse)
    stop_pulse = blocking(AsyncProject.stop_pulse)
    request_sync = blocking(AsyncProject.request_sync)
    set_schedule = blocking(AsyncProject.set_schedule)
    allow_exploration = blocking(AsyncProject.allow_exploration)
    check_contract = blocking(AsyncProject.check_contract)
    set_contract = blocking(AsyncProject.set_contract)
    sync_log = blocking(AsyncProject.sync_log)
    error_log = blocking(AsyncProject.error_log)
    clear_error_log = blocking(AsyncProject.clear_error_log)
    leave = blocking(AsyncProject.leave)

    info = blocking(AsyncProject.info)
    explore = blocking(AsyncProject.explore)
    describe = blocking(AsyncProject.describe)
    bivariate = blocking(AsyncProject.bivariate)
    correlations = blocking(AsyncProject.correlations)
    density = blocking(AsyncProject.density)
    plot_density = blocking(AsyncProject.plot_density)
    ttest = blocking(AsyncProject.ttest)
    ztest = blocking(AsyncProject.ztest)
    ztest_of_shares = blocking(AsyncProject.ztest_of_shares)
    ftest = blocking(AsyncProject.ftest)
    anova = blocking(AsyncProject.anova)
    chi2 = blocking(AsyncProject.chi2)
    gain = blocking(AsyncProject.gain)
    vif = blocking(AsyncProject.vif)
    pca = blocking(AsyncProject.pca)
    svd = blocking(AsyncProject.svd)
    plot_pca = blocking(AsyncProject.plot_pca)

    def merge(self, other: str | Project) -> None:
        """Add the statistics of another project, which stays as it is; attributes by name."""
        wait_for(self._inner.merge(_pid(other)))

    def drift(self, other: str | Project | None, metric: str = "global", *names: str) -> Drift:
        """Return how far another project has moved away from this one; see `AsyncProject`."""
        named = None if other is None else _pid(other)
        return wait_for(self._inner.drift(named, metric, *names))

    cells = blocking(AsyncProject.cells)

    def cells_status(self, cells: Iterable[Cell | Project] = ()) -> CellsStatus:
        """Ask the cells of a fusion project how they are; see `AsyncProject.cells_status`."""
        return wait_for(self._inner.cells_status(map(_cell, cells)))

    def update_cells(self, cells: Iterable[Cell | Project]) -> None:
        """Set the list of cells of a fusion project; see `AsyncProject.update_cells`."""
        wait_for(self._inner.update_cells(map(_cell, cells)))

    def start_learn(
        self, rows: object, types: Types | None = None, *, lenient: bool = False
    ) -> Job[None]:
        """Send rows in one request, and have the server learn them as a job."""
        return Job(wait_for(self._inner.start_learn(rows, types, lenient=lenient)))

    def start_forget(
        self, rows: object, types: Types | None = None, *, lenient: bool = False
    ) -> Job[None]:
        """Send rows in one request, and have the server forget them as a job."""
        return Job(wait_for(self._inner.start_forget(rows, types, lenient=lenient)))

    def start_vif(self, *names: str) -> Job[Vif]:
        """Start `vif` as a job."""
        return Job(wait_for(self._inner.start_vif(*names)))

    def start_pca(self, *names: str, explained: float = 1.0, covariance: bool = False) -> Job[Pca]:
        """Start `pca` as a job."""
        started = self._inner.start_pca(*names, explained=explained, covariance=covariance)
        return Job(wait_for(started))

    def start_svd(self, *names: str, independent: bool = False) -> Job[Svd]:
        """Start `svd` as a job."""
        return Job(wait_for(self._inner.start_svd(*names, independent=independent)))


class Tally(Blocking[AsyncTally]):
    """Asks one broker for one customer; arguments as of `AsyncTally`.

    Example:
        >>> tally = Tally("ann", "AAECAwQFBgcICQoLDA0ODw==")
        >>> tally
        Tally('ann', url='http://127.0.0.1:5000')
        >>> tally.project("flowers")
        Project('flowers')
        >>> tally.close()
    """

    def __init__(
        self,
        cid: str | None = None,
        key: str | SecretKey | None = None,
        url: str | None = None,
        *,
        patience: Patience = Patience(),  # noqa: B008 - it is frozen
    ) -> None:
        inner = AsyncTally(cid, key, url, patience=patience)
        inner.close_when_unused(run_soon)  # few notebooks close what they opened
        super().__init__(inner)

    def __enter__(self) -> Tally:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connections."""
        self.close()

    close = blocking(AsyncTally.close)
    projects = blocking(AsyncTally.projects)
    infos = blocking(AsyncTally.infos)
    jobs = blocking(AsyncTally.jobs)

    def project(self, pid: str) -> Project:
        """Return a project, without asking whether it exists."""
        return Project(self._inner.project(pid))

    def create(
        self,
        pid: str,
        type: str = "cpu",
        *,
        histogram: bool = True,
        persist: bool = True,
        cells: int = 0,
        exist_ok: bool = False,
        params: Mapping[str, object] | None = None,
    ) -> Project:
        """Make a project; arguments as of `AsyncTally.create`."""
        made = self._inner.create(
            pid,
            type,
            histogram=histogram,
            persist=persist,
            cells=cells,
            exist_ok=exist_ok,
            params=params,
        )
        return Project(wait_for(made))

    def create_fusion(
        self,
        pid: str,
        cells: Iterable[Cell | Project],
        *,
        persist: bool = True,
        exist_ok: bool = False,
    ) -> Project:
        """Make a project over others, its cells; arguments as of `AsyncTally.create_fusion`."""
        given = map(_cell, cells)
        made = self._inner.create_fusion(pid, given, persist=persist, exist_ok=exist_ok)
        return Project(wait_for(made))

    def create_federation(
        self,
        pid: str,
        name: str,
        nats: str | Iterable[str],
        schedule: str = "h1",
        *,
        hipaa: bool = True,
        encrypt: bool = False,
        persist: bool = True,
        params: Terms | None = None,
    ) -> Project:
        """Make a federation; arguments as of `AsyncTally.create_federation`."""
        made = self._inner.create_federation(
            pid,
            name,
            nats,
            schedule,
            hipaa=hipaa,
            encrypt=encrypt,
            persist=persist,
            params=params,
        )
        return Project(wait_for(made))

    def join_federation(
        self,
        pid: str,
        invitation: str,
        password: str,
        *,
        hipaa: bool | None = None,
        persist: bool = True,
        params: Terms | None = None,
    ) -> Project:
        """Join a federation; arguments as of `AsyncTally.join_federation`."""
        joined = self._inner.join_federation(
            pid, invitation, password, hipaa=hipaa, persist=persist, params=params
        )
        return Project(wait_for(joined))

    def cells_status(self, cells: Iterable[Cell | Project]) -> CellsStatus:
        """Ask cells how they are, before a fusion project is made of them."""
        return wait_for(self._inner.cells_status(map(_cell, cells)))

    def import_project(self, pid: str, text: str, *, persist: bool = True) -> Project:
        """Make a project of the text that `export` returned."""
        return Project(wait_for(self._inner.import_project(pid, text, persist=persist)))

    def job(self, id: int) -> Job[dict[str, Any]]:
        """Return a job by its number; its result is what the server answers, as it is."""
        return Job(self._inner.job(id))


def _pid(project: str | Project) -> str:
    return project if isinstance(project, str) else project.pid


def _cell(given: Cell | Project) -> CellLike:
    return given._inner if isinstance(given, Project) else given
