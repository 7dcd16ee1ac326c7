"""What the reference prints of one, two and a few attributes of the Iris data.

From one learn of its 150 rows.
"""

from __future__ import annotations

import math

import pytest

from tally.engine.explore import Context, explore
from tests.unit.engine.explore.reference import Source, asked, assert_values, near


@pytest.mark.parametrize(
    ("index", "sums"),
    [
        (0, (876.5, 5223.85, 31744.991, 196591.7005)),
        (1, (458.1, 1427.05, 4533.315, 14682.1933)),
        (2, (563.8, 2583, 12974.014, 68227.386)),
        (3, (179.8, 302.3, 563.536, 1108.4546)),
    ],
)
def test_power_sums_about_zero_are_those_of_the_reference(
    iris: Source, index: int, sums: tuple[float, float, float, float]
) -> None:
    m = iris.summary.moments(index)
    a, n = m.origin, m.n
    assert n == 150
    assert m.s1 + a * n == near(sums[0])
    assert m.s2 + 2 * a * m.s1 + a**2 * n == near(sums[1])
    assert m.s3 + 3 * a * m.s2 + 3 * a**2 * m.s1 + a**3 * n == near(sums[2])
    fourth = m.s4 + 4 * a * m.s3 + 6 * a**2 * m.s2 + 4 * a**3 * m.s1 + a**4 * n
    assert fourth == near(sums[3])


UNIVARIATE = """
0 5.843333333333334 0.6811222222222222 0.8253012917851409 0.31808651443414165 -0.5735679489249762 0.06738556829778031 0.13315477094248895 4.3 7.9 5.8
1 3.054 0.18675066666666668 0.4321465800705435 0.3374212446671336 0.24144329938318496 0.03528462050872085 0.06972287509499472 2.0 4.4 3.0
2 3.7586666666666666 3.092424888888889 1.7585291834055212 -0.2772319462571145 -1.3953593021397122 0.1435833065712234 0.28372250588092457 1.0 6.9 4.35
3 1.1986666666666668 0.5785315555555556 0.7606126185881718 -0.10605534604657751 -1.335245644131186 0.06210376024877268 0.12271784863562503 0.1 2.5 1.3
4 0.5533333333333333 0.24715555555555555 0.4971474183333909 -0.21891628492307902 -1.9539651141880956 0.04059191672862596 0.08021016236342725 0 1 1
6 0.38 0.2356 0.4853864439804639 0.5044964713545005 -1.7555178268251272 0.0396316371938716 0.07831263734848738 0 1 0
8 0.4066666666666667 0.24128888888888889 0.49121165386103055 0.38773289231654323 -1.8555903481304108 0.040107263588938506 0.0792524813727964 0 1 0
10 0.3333333333333333 0.2222222222222222 0.4714045207910317 0.7214720921774587 -1.5 0.03849001794597505 0.07605678267074019 0 1 0
"""  # noqa: E501 - a table
KEYS = [
    "mean",
    "variance",
    "stddev",
    "skewness",
    "kurtosis",
    "stderr",
    "meanMarginErrorC95",
    "min",
    "max",
    "median",
]


def univariate_rows() -> list[tuple[int, list[float]]]:
    rows = []
    for line in UNIVARIATE.split("\n")[1:-1]:
        index, *values = line.split()
        rows.append((int(index), [float(value) for value in values]))
        if int(index) >= 4:  # the other half of each pair of bins: 1 - x
            mirrored = dict(zip(KEYS, rows[-1][1], strict=True))
            mirrored["mean"] = 1 - mirrored["mean"]
            mirrored["median"] = 1 - mirrored["median"]
            mirrored["skewness"] *= -1
            rows.append((int(index) + 1, list(mirrored.values())))
    species = next(values for index, values in rows if index == 10)
    return [*rows, *((index, species) for index in (12, 13, 14))]


@pytest.mark.parametrize(("index", "values"), univariate_rows())
def test_uni(iris: Source, index: int, values: list[float]) -> None:
    found = explore(iris, "uni", asked(index))
    assert list(found) == ["count", *KEYS]
    assert_values(found, count=150, **dict(zip(KEYS, values, strict=True)))


BIVARIATE = """
0,1 -0.03900666666666667 -0.10936924995064937 458.1 2670.98 5.830561012879284 73.51767724474938
0,2 1.2651911111111112 0.8717541573048713 563.8 3484.25 6.179939694927279 150.96185210704084
0,3 0.5134577777777778 0.8179536333691634 179.8 1127.65 6.271690767519466 30.92940381538751
1,2 -0.319568 -0.42051609640115456 563.8 1673.91 2.968978361120965 31.575786682398025
1,3 -0.11719466666666667 -0.35654408961380585 179.8 531.53 2.9562291434927697 6.255321598216285
2,3 1.287744888888889 0.9627570970509663 179.8 868.97 4.832981090100112 23.051653627006154
0,12 -0.2791111111111111 -0.7174156686860961 50 250.3 5.006 0.121764
0,13 0.03088888888888889 0.07939552384344535 50 296.8 5.936 0.261104
0,14 0.24822222222222223 0.6380201448426508 50 329.4 6.588 0.396256
"""


@pytest.mark.parametrize("line", BIVARIATE.split("\n")[1:-1])
def test_bi(iris: Source, line: str) -> None:
    pair, *texts = line.split()
    i, j = (int(text) for text in pair.split(","))
    found = explore(iris, "bi", asked(i, j))
    keys = ["covar", "linCorr", "condCount", "condSum", "condMean", "condVariance", "condStddev"]
    assert list(found) == keys
    values = [float(text) for text in texts]
    assert_values(found, **dict(zip(keys, [*values, math.sqrt(values[-1])], strict=True)))


@pytest.mark.parametrize(
    ("i", "j", "low", "high"),
    [
        (0, 12, 4.9068303634525385, 5.105169636547462),
        (0, 13, 5.790780134263581, 6.0812198657364185),
        (0, 14, 6.409101296178385, 6.7668987038216155),
        (0, 3, 5.453247559867102, 7.09013397517183),
    ],
)
def test_bounds_of_the_conditional_mean(
    iris: Source, i: int, j: int, low: float, high: float
) -> None:
    found = explore(iris, "bi", asked(i, j, need_bi_conditional_ci95="true"))
    assert_values(found, biCi95Down=low, biCi95Up=high)


TESTS = """
0,3 50.68443204339375 0 50.51520141387464 298 3.797437883118548e-148 50.51520141387464 296.0363757099828 1.4549793903234052e-147 1.1773294225379816 0.3201590082919194
3,1 -25.975072265776603 9.474309758922409e-149 -25.88834390256681 298 3.1096264934747774e-78 -25.88834390256681 236.11709683064387 6.534767052817807e-71 3.0978821435116104 1.8368954968163435e-11
0,12,13 -10.62780104936359 2.2126803839761907e-26 -10.5209862675491 98 8.985235037487617e-18 -10.5209862675491 86.53800179765493 3.746742613984056e-17 0.4663429131686991 0.008657188362699915
0,6,7 1.3677080864066338 0.17140346776089288 1.2681609184090763 148 0.20673177372206925 1.358106881774713 142.148441548346 0.1765814648786907 0.5584973724726368 0.019696448097810168
"""  # noqa: E501 - a table


@pytest.mark.parametrize("line", TESTS.split("\n")[1:-1])
def test_tests_of_two_samples(iris: Source, line: str) -> None:
    which, *texts = line.split()
    context = asked(*(int(text) for text in which.split(",")))
    z, zp, t, tdf, tp, tu, tdfu, tpu, f, fp = (float(text) for text in texts)
    assert_values(explore(iris, "ztest", context), z=z, zp=zp)
    t_found = explore(iris, "ttest", context)
    assert_values(t_found, t=t, tdf=tdf, tp=tp, tu=tu, tdfu=tdfu, tpu=tpu)
    assert_values(explore(iris, "ftest", context), f=f, fp=fp)


def test_the_samples_of_a_test(iris: Source) -> None:
    for metric, letter in (("ztest", "z"), ("ttest", "t"), ("ftest", "f")):
        found = explore(iris, metric, asked(0, 6, 7))
        values = (57, 93, 5.9526315789473685, 5.776344086021506)
        names = [f"{letter}{what}{k}" for what in "nms" for k in (1, 2)]
        spread = (0.44986149584487534, 0.8110533009596486)
        assert_values(found, **dict(zip(names, (*values, *spread), strict=True)))
        assert list(found)[:6] == names
    assert_values(explore(iris, "ftest", asked(0, 6, 7)), fdf1=56, fdf2=92)


@pytest.mark.parametrize(
    ("metric", "index", "params", "expected"),
    [
        (
            "ztestmu", 0, {"sml_explore_ztest_known_mu": "5.8"},
            {"z": 0.6430654875809855, "zp": 0.5201816075524187},
        ),
        (
            "ttestmu", 0, {"sml_explore_ttest_known_mu": "5.8"},
            {"t": 0.6409183514112012, "tp": 0.5225602746220779},
        ),
        (
            "ftestmu", 0, {"sml_explore_ftest_known_sigma": "0.7"},
            {"f": 0.979562160434644, "fp": 0.8895095999328851},
        ),
    ],
)  # fmt: skip
def test_tests_against_a_known_value(
    iris: Source, metric: str, index: int, params: dict[str, str], expected: dict[str, float]
) -> None:
    assert_values(explore(iris, metric, Context((str(index),), params=params)), **expected)


def test_tests_of_two_proportions(iris: Source) -> None:
    found = explore(iris, "ztestp", asked(4, 6))
    assert_values(found, z=3.0089153242607924, zp=0.0026218217690905958)
    found = explore(iris, "ztestp", asked(4, 10))
    assert_values(found, z=3.8352220285981313, zp=0.00012545091593711658)


ANOVA = """
0,1,2,3 - 1657.1835333333338 680.8244 2338.0079333333338 3/596/599 552.3945111111112 1.1423228187919463 483.5712830242604 3.499698708192415e-159
0 12,13,14 63.21213333333344 38.95620000000001 102.16833333333345 2/147/149 31.60606666666672 0.2650081632653062 119.26450218450482 1.6696691907694542e-31
0 12 52.584533333333354 49.5838 102.16833333333335 1/148/149 52.584533333333354 0.3350256756756757 156.95672645770063 5.288768443184279e-25
"""  # noqa: E501 - a table


@pytest.mark.parametrize("line", ANOVA.split("\n")[1:-1])
def test_anova(iris: Source, line: str) -> None:
    inputs, targets, between, within, total, df, *means, f, p = line.split()
    context = Context(tuple(inputs.split(",")), () if targets == "-" else tuple(targets.split(",")))
    found = explore(iris, "anova", context)
    keys = ["SSb", "SSw", "Ssgamma", "Dfb", "Dfw", "Dfgamma", "MSb", "MSw", "F", "P"]
    assert list(found) == keys
    values = [float(text) for text in (between, within, total, *df.split("/"), *means, f, p)]
    assert_values(found, **dict(zip(keys, values, strict=True)))


@pytest.mark.parametrize(
    ("rows", "columns", "observed", "statistic", "df", "p", "coefficient"),
    [
        ((10, 11), (12, 13, 14), [50, 0, 0, 0, 50, 50], 150, 2, 2.678636961808087e-33,
         0.8408964152537145),
        ((4, 5), (12, 13, 14), [50, 26, 7, 0, 24, 43], 75.14835461247976, 2,
         4.805539306160254e-17, 0.5951913481757823),
        ((4, 5), (6, 7), [28, 55, 29, 38], 1.4347280921064074, 1, 0.23099435860077303,
         0.09780007130557752),
    ],
)  # fmt: skip
def test_chi2_of_binary_attributes(
    iris: Source,
    rows: tuple[int, ...],
    columns: tuple[int, ...],
    observed: list[int],
    statistic: float,
    df: float,
    p: float,
    coefficient: float,
) -> None:
    found = explore(iris, "chi2", asked(*rows, targets=columns))
    assert_values(found, chiStat=statistic, df=df, pval=p, coef=coefficient)
    cells = [found[f"obs${i}:{j}"] for i in rows for j in columns]
    assert cells == observed
    assert len(found) == 4 + len(cells)


def test_gain(iris: Source) -> None:
    expected = {
        4: 0.38182611822629253, 5: 0.38182611822629253,
        6: 0.21542832320695585, 7: 0.21542832320695585,
        8: 0.6414396987372258, 9: 0.6414396987372258,
        10: 0.9182958340544896, 11: 0.9182958340544896,
        13: 0.2516291673878229, 14: 0.2516291673878229,
    }  # fmt: skip
    for index, gain in expected.items():
        assert explore(iris, "gain", asked(index, targets=(12,))) == {"gain": near(gain)}
