"""Attributes by themselves and in pairs: moments, correlations, densities, drift."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from os import PathLike

from tally.client import wire
from tally.client.explore.questions import Questions, context, pid_of
from tally.client.plot import Picture, draw_densities
from tally.client.results.bivariate import Bivariate, Correlations
from tally.client.results.densities import Density, Drift
from tally.client.results.univariate import Description, Univariate
from tally.errors import InvalidInput

_EMBEDDED_WINDOW = "rolling_window_embedded_project"
_METRICS = ("global", "marginal_stat", "marginal_non_stat", "pca_reconstruction_error")
_NAN = float("nan")


class AttributeQuestions(Questions):
    """Moments, correlations, densities and drift."""

    async def describe(self, *names: str) -> Description:
        """Return the moments of attributes, of all where none is named."""
        names = await self._named(names)
        told = await self.explore("uni", [context([name]) for name in names])
        return Description(tuple(map(Univariate.of, names, told)))

    async def bivariate(self, x: str, y: str) -> Bivariate:
        """Return what the rows tell of x beside y."""
        question = context([x, y], need_bi_conditional_ci95=True)
        (told,) = await self.explore("bi", [question])
        return Bivariate.of(x, y, told)

    async def correlations(self, *names: str) -> Correlations:
        """Return the correlation of every pair of attributes, of all where none is named."""
        names = await self._named(names)
        pairs = [(i, j) for i in range(len(names)) for j in range(i + 1)]
        told = await self.explore("bi", [context([names[i], names[j]]) for i, j in pairs])
        values = [[_NAN] * len(names) for _ in names]
        for (i, j), numbers in zip(pairs, told, strict=True):
            values[i][j] = values[j][i] = numbers["linCorr"]
        return Correlations(names, tuple(map(tuple, values)))

    async def density(
        self,
        name: str,
        bins: int = 20,
        *,
        given: str | None = None,
        low: float | None = None,
        high: float | None = None,
    ) -> Density:
        """Return how many rows fall into each of some bins of equal width.

        Args:
            name: of an attribute, in a project with histograms.
            bins: how many.
            given: a binary attribute: only the rows in which it is 1.
            low, high: where the bins begin and end; rows beyond are left out.
        """
        inputs = [name] if given is None else [given, name]
        question = context(inputs, hist_bins=bins, hist_min=low, hist_max=high)
        verb = "densityEstimate" if given is None else "conditionalDensityEstimate"
        (told,) = wire.densities(await self._ask(verb, [question]))
        edges = (told.min or 0.0, told.max or 0.0, told.width or 0.0)
        return Density(told.attr_name, *edges, tuple(told.histogram), told.error or "")

    async def plot_density(
        self,
        name: str,
        bins: int = 20,
        *,
        given: Sequence[str] = (),
        file: str | PathLike[str] | None = None,
    ) -> Picture:
        """Draw how the values of an attribute are distributed; needs the `plot` extra.

        Args:
            name, bins: as of `density`.
            given: binary attributes, each of which gets a line of its own.
            file: to write; its ending decides the format.

        Raises:
            AlgorithmUnavailable: matplotlib is not installed.
        """
        whole = await self.density(name, bins)
        edges = {"low": whole.minimum, "high": whole.maximum}
        parts = [await self.density(name, bins, given=each, **edges) for each in given]
        for told in (whole, *parts):
            if not told.counts:
                raise InvalidInput("density", f"{told.name}: {told.note}")
        picture = await asyncio.to_thread(draw_densities, whole, parts, self.pid)
        return await picture.saved(file)

    async def drift(
        self, other: str | Questions | None, metric: str = "global", *names: str
    ) -> Drift:
        """Return how far another project has moved away from this one.

        Args:
            other: the project; None: the rolling window that is embedded in this one.
            metric: `global`, `marginal_stat`, `marginal_non_stat` or `pca_reconstruction_error`.
            names: of attributes; all that both have where none is named.
        """
        if metric not in _METRICS:
            raise InvalidInput("metric", f"{metric!r} is none of {', '.join(_METRICS)}")
        question = context(
            names,
            driftPreferenceProjectName=self.pid,
            driftAnalysisProjectName=_EMBEDDED_WINDOW if other is None else pid_of(other),
            driftMetric=metric,
        )
        answer = await self._session.post("projects", "dataDrift", json=question)
        return Drift.of(metric, wire.number_maps(answer)[0])
