"""What the reference prints of many attributes of the Iris data, of bins, and of drift.

From one learn of its 150 rows.
"""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tally.engine.explore import (
    Context,
    conditional_density,
    density,
    drift,
    principal_components,
    singular_values,
    singular_values_of_subset,
    variance_inflation,
)
from tally.engine.rows import Rows
from tally.engine.summary import Summary
from tests.unit.engine.explore.reference import (
    Source,
    asked,
    assert_values,
    near,
    near_all,
    upto,
)


def test_vif(iris: Source) -> None:
    found = variance_inflation(iris, upto(3))
    assert found == {
        "0": near(7.103113442833282),
        "1": near(2.099038625742088),
        "2": near(31.39729165071975),
        "3": near(16.141563956997683),
    }
    assert variance_inflation(iris, asked(2, 4)) == {
        "2": near(2.4418793164180825),
        "4": near(2.4418793164180825),
    }
    pairs = (5000.95852691422, 5000.62006984697, 5001.48312088709, 5002.97531689035)
    all_twelve = [
        9.54804838017604, 3.7017021101910075, 42.22311324311367, 16.908263055883374,
        *(value for pair in pairs for value in (pair, pair)),
    ]  # fmt: skip
    assert list(variance_inflation(iris, upto(11)).values()) == near_all(all_twelve)


def test_principal_components_of_correlations(iris: Source) -> None:
    found = principal_components(iris, upto(3))
    values = [2.9108180837520563, 0.9212209307072264, 0.1473532783050955, 0.020607707235624283]
    assert found.values.tolist() == near_all(values)
    assert found.total == near(4)
    first = [0.5223716204076602, -0.2633549153139402, 0.581254005597648, 0.565611049882649]
    assert found.vectors[0].tolist() == near_all(first)
    assert found.names == ("0", "1", "2", "3")

    two = principal_components(iris, asked(2, 4))
    assert two.values.tolist() == near_all([1.7684265430077923, 0.2315734569922076])
    assert two.total == near(2)
    # A tie in magnitude: the first entry is made positive.
    assert two.vectors[0].tolist() == near_all([0.7071067811865475, -0.7071067811865475])


def test_principal_components_of_covariances(iris: Source) -> None:
    context = Context(tuple("0123"), params={"pca_use_covariance": "true"})
    found = principal_components(iris, context)
    values = [4.196675163197979, 0.24062861448333317, 0.07800041537352649, 0.023525140278494283]
    assert found.values.tolist() == near_all(values)
    assert found.total == near(4.538829333333333)
    first = [0.3615896773814499, -0.08226888989221492, 0.8565721052905285, 0.3588439262482159]
    assert found.vectors[0].tolist() == near_all(first)


def test_principal_components_with_exact_dependencies(iris: Source) -> None:
    twelve = [
        8.020692059729981, 2.5076769401854575, 0.6195947823841486, 0.3481869449740813,
        0.27290181107843403, 0.11503377854978747, 0.09834191629533741, 0.017571766802772705,
    ]  # fmt: skip
    found = principal_components(iris, upto(11))
    assert found.values.tolist() == near_all([*twelve, 0, 0, 0, 0])
    assert found.total == near(12)
    assert principal_components(iris, upto(11), 0.95).values.tolist() == near_all(twelve[:4])

    whole = principal_components(iris, Context())
    first = [9.430129956885507, 2.9758261915566164, 1.1294766303283044, 0.6556606228695607,
             0.3434581322779109]  # fmt: skip
    assert whole.values[:5].tolist() == near_all(first)
    assert whole.values[9:].tolist() == near_all([0] * 6)
    assert whole.total == near(15)
    assert whole.names == iris.rows.names


def test_singular_values(iris: Source) -> None:
    four = [4.196675163197979, 0.24062861448333317, 0.07800041537352649, 0.023525140278494283]
    assert_paired(singular_values(iris, upto(3)), four, "0 1 2 3")
    twelve = [
        5.335135442548705, 0.6184304998913068, 0.19232084564123558, 0.11206896548420749,
        0.07237306809841679, 0.048442342992107194, 0.030836660257456697, 0.02175484175322462,
    ]  # fmt: skip
    found = singular_values(iris, upto(11))
    assert_paired(found, [*twelve, 0, 0, 0, 0], "0 1 2 3 4 5 6 7 8 9 10 11")
    expected = [3.9410139880169073, 0.1887939938677705, 0.03545957367087181, 0]
    assert_paired(singular_values(iris, asked(2, 4, 3, 5)), expected, "2 4 3 5")


def test_singular_values_of_a_subset(iris: Source) -> None:
    eight = [
        4.759318880817147, 0.40637371834062525, 0.12814485695903918, 0.07167560006387053,
        0.043137682432487334, 0.03824964825704334, 0.021941976970406084, 0.016253636159378904,
    ]  # fmt: skip
    assert_paired(singular_values_of_subset(iris, upto(11)), eight, "0 1 2 3 4 6 8 10")
    three = [3.7840920967073557, 0.09869983431259442, 0.035320068980045125]
    assert_paired(singular_values_of_subset(iris, asked(2, 4, 3, 5)), three, "2 4 3")
    kept = [name for _, name in singular_values_of_subset(iris, upto(14))]
    assert kept == ["0", "1", "2", "3", "4", "6", "8", "10", "13"]


def assert_paired(found: list[tuple[float, str]], values: list[float], names: str) -> None:
    assert [value for value, _ in found] == near_all(values)
    assert [name for _, name in found] == names.split()
    assert len({value for value, _ in found}) == len(found)


def test_densities(iris: Source) -> None:
    whole = density(iris, asked(0, hist_bins="5"))
    assert whole.histogram == (32, 41, 42, 24, 11)
    assert (whole.name, whole.minimum, whole.maximum) == ("sepal_length", 4.3, 7.9)
    assert whole.width == near(0.72)
    given = conditional_density(iris, asked(12, 0, hist_bins="5"))
    assert given.histogram == (28, 21, 1, 0, 0)
    assert given.name == "sepal_length|Iris_setosa"
    assert (given.minimum, given.maximum, given.width) == (4.3, 7.9, whole.width)
    assert density(iris, asked(4, hist_bins="2")).histogram == (67, 83)


DRIFT = """
marginal_non_stat 0.36949739561703776 0.16651438118220005 0.6372833660872808 0.6224850591328915 0.44894505050485256
marginal_stat 0.999999997159998 0.9638465511460653 1.0 1.0 0.9909616370765159
global 0.30602507921315164 0.29780035700388985 0.4982891850326445 0.5061377010683902 0.402063080579519
pca_reconstruction_error 0.04963928290185561 0.0052074908628971465 0.004340252692230359 0.0677248685070854 0.03172797374101713
"""  # noqa: E501 - a table


@pytest.mark.parametrize("line", DRIFT.split("\n")[1:-1])
def test_drift(iris: Source, line: str) -> None:
    metric, *texts = line.split()
    names = iris.rows.names[:4]
    analysis = only(iris, iris.rows.values[:, 14] == 1)
    found = drift(iris.summary, analysis, metric, names)
    keys = [*(f"{name}_drift" for name in names), "driftScore"]
    assert_values(found, **dict(zip(keys, map(float, texts), strict=True)))
    assert set(found) == set(keys)


def only(source: Source, kept: NDArray[np.bool_]) -> Summary:
    rows = source.rows
    draft = Summary.empty().draft()
    draft.add(Rows(rows.names, rows.types, rows.bases, rows.values[kept]))
    return draft.done()
