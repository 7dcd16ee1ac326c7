"""What tests of hypotheses came to. All probabilities are two-sided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tally.client.results.grid import Cell, Grid, Shown, cell_text

_NAN = float("nan")


@dataclass(frozen=True, slots=True)
class Sample:
    """A group of rows: how many, and the mean and population variance of the attribute in it."""

    count: float
    mean: float
    variance: float

    def __str__(self) -> str:
        numbers = (self.count, self.mean, self.variance)
        count, mean, variance = map(cell_text, numbers)
        return f"{count} rows of mean {mean} and variance {variance}"

    @classmethod
    def pair(cls, told: Mapping[str, float], letter: str) -> tuple[Sample, Sample] | None:
        """Return both samples of a test that compares two; None: it compares with a number."""
        if f"{letter}n1" not in told:
            return None
        first, second = (
            cls(*(told.get(f"{letter}{key}{number}", _NAN) for key in "nms")) for number in "12"
        )
        return first, second


@dataclass(frozen=True, slots=True)
class TTest(Shown):
    """Are two means equal, or a mean and a number?

    Attributes:
        t, df, p: Student's test, which takes the variances for equal; df is NaN against a
            number, where it is the count less one.
        welch_t, welch_df, welch_p: Welch's, which does not; NaN against a number.
        samples: both groups; None against a number.
    """

    t: float
    df: float
    p: float
    welch_t: float = _NAN
    welch_df: float = _NAN
    welch_p: float = _NAN
    samples: tuple[Sample, Sample] | None = None

    @classmethod
    def of(cls, told: Mapping[str, float]) -> TTest:
        """Return it as the server tells it."""
        t, df, p, welch_t, welch_df, welch_p = (
            told.get(key, _NAN) for key in ("t", "tdf", "tp", "tu", "tdfu", "tpu")
        )
        return cls(t, df, p, welch_t, welch_df, welch_p, Sample.pair(told, "t"))

    def _title(self) -> str:
        return _compared(self.samples)

    def _grid(self) -> Grid:
        rows = [("Student", self.t, self.df, self.p)]
        if self.samples is not None:
            rows.append(("Welch", self.welch_t, self.welch_df, self.welch_p))
        return Grid(("test", "t", "df", "p"), tuple(rows))


@dataclass(frozen=True, slots=True)
class ZTest(Shown):
    """The same for many rows, from the normal distribution; or: are two shares equal?"""

    z: float
    p: float
    samples: tuple[Sample, Sample] | None = None

    @classmethod
    def of(cls, told: Mapping[str, float]) -> ZTest:
        """Return it as the server tells it."""
        return cls(told["z"], told["zp"], Sample.pair(told, "z"))

    def _title(self) -> str:
        return _compared(self.samples)

    def _grid(self) -> Grid:
        return Grid(("test", "z", "p"), (("z", self.z, self.p),))


@dataclass(frozen=True, slots=True)
class FTest(Shown):
    """Are two variances equal, or a variance and a number?"""

    f: float
    p: float
    samples: tuple[Sample, Sample] | None = None

    @classmethod
    def of(cls, told: Mapping[str, float]) -> FTest:
        """Return it as the server tells it."""
        return cls(told["f"], told["fp"], Sample.pair(told, "f"))

    def _title(self) -> str:
        return _compared(self.samples)

    def _grid(self) -> Grid:
        return Grid(("test", "f", "p"), (("f", self.f, self.p),))


@dataclass(frozen=True, slots=True)
class Anova(Shown):
    """Are the means of several groups equal?

    Attributes:
        f, p: of the test.
        between, within, total: sums of squares.
        df_between, df_within, df_total: their degrees of freedom.

    Example:
        >>> print(Anova(4.0, 0.18, 2.0, 1.0, 3.0, 1.0, 2.0, 3.0))
        source   squares  df  mean square  F     p
        between        2   1            2  4  0.18
        within         1   2          0.5  -     -
        total          3   3            -  -     -
    """

    f: float
    p: float
    between: float
    within: float
    total: float
    df_between: float
    df_within: float
    df_total: float

    @classmethod
    def of(cls, told: Mapping[str, float]) -> Anova:
        """Return it as the server tells it."""
        keys = ("F", "P", "SSb", "SSw", "Ssgamma", "Dfb", "Dfw", "Dfgamma")
        return cls(*(told[key] for key in keys))

    def _grid(self) -> Grid:
        rows = (
            (
                "between",
                self.between,
                self.df_between,
                _mean(self.between, self.df_between),
                self.f,
                self.p,
            ),
            ("within", self.within, self.df_within, _mean(self.within, self.df_within), None, None),
            ("total", self.total, self.df_total, None, None, None),
        )
        return Grid(("source", "squares", "df", "mean square", "F", "p"), rows)


@dataclass(frozen=True, slots=True)
class Chi2(Shown):
    """Are two categories independent?

    Attributes:
        statistic, df, p: of Pearson's test.
        tschuprow_t: strength of the association, 0 to 1.
        rows, columns: of the table of counts.
        observed: rows in each cell.
    """

    statistic: float
    df: float
    p: float
    tschuprow_t: float
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    observed: tuple[tuple[float, ...], ...]

    @classmethod
    def of(cls, told: Mapping[str, float]) -> Chi2:
        """Return it as the server tells it: the table's cells are `obs$row:column`."""
        cells = {
            tuple(key[len("obs$") :].rsplit(":", 1)): value
            for key, value in told.items()
            if key.startswith("obs$")
        }
        rows = tuple(dict.fromkeys(row for row, _ in cells))
        columns = tuple(dict.fromkeys(column for _, column in cells))
        observed = tuple(tuple(cells.get((row, each), 0.0) for each in columns) for row in rows)
        statistic, df, p, coefficient = (told[key] for key in ("chiStat", "df", "pval", "coef"))
        return cls(statistic, df, p, coefficient, rows, columns, observed)

    def named(self, names: tuple[str, ...]) -> Chi2:
        """Return the same with names in the place of indexes."""

        def name(token: str) -> str:
            at = int(token) if token.isdecimal() else len(names)
            return names[at] if at < len(names) else token

        rows, columns = (tuple(map(name, each)) for each in (self.rows, self.columns))
        return Chi2(self.statistic, self.df, self.p, self.tschuprow_t, rows, columns, self.observed)

    def _title(self) -> str:
        return (
            f"chi2 {self.statistic:.6g}, df {self.df:g}, p {self.p:.4g}, "
            f"Tschuprow's T {self.tschuprow_t:.4g}"
        )

    def _grid(self) -> Grid:
        rows: list[tuple[Cell, ...]] = [
            (name, *cells) for name, cells in zip(self.rows, self.observed, strict=True)
        ]
        return Grid(("", *self.columns), tuple(rows))


def _compared(samples: tuple[Sample, Sample] | None) -> str:
    return "" if samples is None else f"{samples[0]}, against {samples[1]}"


def _mean(squares: float, df: float) -> float:
    return squares / df if df else _NAN
