"""Tests of hypotheses, and what one attribute tells of another."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tally.client.explore.questions import Questions, context
from tally.client.results.hypothesis_tests import Anova, Chi2, FTest, TTest, ZTest
from tally.errors import InvalidInput


class HypothesisQuestions(Questions):
    """t, z and F tests, analysis of variance, chi2, information gain."""

    async def ttest(self, x: str, *others: str, mu: float | None = None) -> TTest:
        """Test whether means are equal.

        Args:
            x: with one other attribute: whether both have one mean; with two, both binary:
                whether x has one mean in the rows where the first is 1 and where the second is.
            others: see above.
            mu: without others: whether the mean of x is this number.
        """
        return TTest.of(await self._test("ttest", x, others, sml_explore_ttest_known_mu=mu))

    async def ztest(self, x: str, *others: str, mu: float | None = None) -> ZTest:
        """Test whether means are equal, from the normal distribution; arguments as of `ttest`."""
        return ZTest.of(await self._test("ztest", x, others, sml_explore_ztest_known_mu=mu))

    async def ztest_of_shares(self, x: str, y: str) -> ZTest:
        """Test whether two binary attributes are 1 equally often."""
        (told,) = await self.explore("ztestp", [context([x, y])])
        return ZTest.of(told)

    async def ftest(self, x: str, *others: str, variance: float | None = None) -> FTest:
        """Test whether variances are equal; arguments as of `ttest`."""
        told = await self._test("ftest", x, others, sml_explore_ftest_known_sigma=variance)
        return FTest.of(told)

    async def anova(self, *names: str, by: Iterable[str] = ()) -> Anova:
        """Test whether several means are equal.

        Args:
            names: two or more attributes, whose means are compared; or one.
            by: with one attribute: binary ones, which part the rows into groups. The values of a
                category are `region$north` and so on.
        """
        (told,) = await self.explore("anova", [context(names, by)])
        return Anova.of(told)

    async def chi2(self, rows: Iterable[str], columns: Iterable[str] = ()) -> Chi2:
        """Test whether categories are independent.

        Args:
            rows, columns: binary attributes, or names of categories; a cell counts the rows of
                data in which both are 1. Without columns: names of categories only, whose values
                are the columns.
        """
        told, info = await self._explore_and_info("chi2", context(rows, columns))
        return Chi2.of(told).named(info.names)

    async def gain(self, name: str, target: str) -> float:
        """Return how many bits an attribute tells of another; each binary, or a category."""
        (told,) = await self.explore("gain", [context([name], [target])])
        return told["gain"]

    async def _test(
        self, metric: str, x: str, others: Sequence[str], **known: float | None
    ) -> dict[str, float]:
        """Ask for a test of two samples, or of one against a known number."""
        (number,) = known.values()
        if (number is None) != bool(others):
            raise InvalidInput("others", "name one or two attributes, or a number to compare with")
        question = context([x, *others], (), **known)
        (told,) = await self.explore(metric if others else f"{metric}mu", [question])
        return told
