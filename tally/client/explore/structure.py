"""All attributes together: inflation of variances, principal components, singular values.

The server works at them in the background; each has a form that returns the job.
"""

from __future__ import annotations

import asyncio
from os import PathLike

from tally.client import wire
from tally.client.explore.questions import Questions, context
from tally.client.jobs import AsyncJob
from tally.client.plot import Picture
from tally.client.plot_models import draw_scree
from tally.client.results.components import Pca, Svd, Vif
from tally.client.session import Answer
from tally.wire import entities
from tally.wire.envelope import PCA_SUM, PCA_VALUES, PCA_VECTORS


class StructureQuestions(Questions):
    """`vif`, `pca` and `svd`, over all attributes where none is named."""

    async def vif(self, *names: str) -> Vif:
        """Return how much the attributes inflate the variance of each other's coefficients."""
        return await (await self.start_vif(*names))

    async def start_vif(self, *names: str) -> AsyncJob[Vif]:
        """Start `vif` as a job."""
        names = await self._named(names)
        return await self._start("vif", [context(names)], _vif)

    async def pca(self, *names: str, explained: float = 1.0, covariance: bool = False) -> Pca:
        """Return the principal components.

        Args:
            names: of attributes.
            explained: as few components as explain this share, up to 1.
            covariance: of the covariance matrix, not of the correlations.
        """
        return await (await self.start_pca(*names, explained=explained, covariance=covariance))

    async def plot_pca(
        self,
        *names: str,
        covariance: bool = False,
        file: str | PathLike[str] | None = None,
    ) -> Picture:
        """Draw what share each principal component explains; needs the `plot` extra.

        Args:
            names, covariance: as of `pca`.
            file: to write; its ending decides the format.

        Raises:
            AlgorithmUnavailable: matplotlib is not installed.
        """
        found = await self.pca(*names, covariance=covariance)
        picture = await asyncio.to_thread(draw_scree, found, self.pid)
        return await picture.saved(file)

    async def start_pca(
        self, *names: str, explained: float = 1.0, covariance: bool = False
    ) -> AsyncJob[Pca]:
        """Start `pca` as a job."""
        question = context(names, pca_use_covariance=covariance or None)
        query = {"explainedCovariance": repr(explained)}
        return await self._start("explorepca", [question], _pca, query)

    async def svd(self, *names: str, independent: bool = False) -> Svd:
        """Return the singular values of the covariance matrix.

        Args:
            names: of attributes.
            independent: leave out those that the ones before them determine.
        """
        return await (await self.start_svd(*names, independent=independent))

    async def start_svd(self, *names: str, independent: bool = False) -> AsyncJob[Svd]:
        """Start `svd` as a job."""
        verb = "exploresvdfs" if independent else "exploresvd"
        return await self._start(verb, [context(names)], _svd)


def _vif(answer: Answer) -> Vif:
    told = wire.text_map(answer)
    return Vif(tuple(told), tuple(map(float, told.values())))


def _svd(answer: Answer) -> Svd:
    told = wire.text_map(answer)
    return Svd(tuple(told.values()), tuple(map(float, told)))


def _pca(answer: Answer) -> Pca:
    values = answer.value(PCA_VALUES, entities.DataFrame)
    vectors = answer.value(PCA_VECTORS, entities.DataFrame)
    return Pca(
        tuple(vectors.attribute_names),
        tuple(float(text) for row in values.data for text in row),
        tuple(tuple(map(float, row)) for row in vectors.data),
        answer.value(PCA_SUM, float),
    )
