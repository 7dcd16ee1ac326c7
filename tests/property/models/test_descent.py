"""What `descend` returns is the minimum, from wherever it starts."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tally.models.base import Floats
from tally.models.descent import descend


@settings(max_examples=150)
@given(
    seed=st.integers(0, 2**32 - 1),
    columns=st.integers(1, 12),
    rank=st.integers(1, 12),
    penalty=st.floats(1e-4, 1.5),
    mix=st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0]),
    warm=st.booleans(),
)
def test_no_coefficient_has_a_reason_to_move(
    seed: int, columns: int, rank: int, penalty: float, mix: float, warm: bool
) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(50, min(rank, columns))) @ rng.normal(
        size=(min(rank, columns), columns)
    )
    rows /= rows.std(0)
    if columns > 1 and rank % 2:
        rows[:, -1] = rows[:, 0]  # twins: the minimum may be a whole line
    target = rows @ rng.normal(size=columns) + rng.normal(size=50)
    gram, cross = rows.T @ rows / 50, rows.T @ target / 50
    start = rng.normal(size=columns) if warm else None
    found = descend(gram, cross, penalty, mix, start=start, sweeps=20_000)
    assert found.converged
    b = found.coefficients
    slope = cross - gram @ b - penalty * (1 - mix) * b
    used = b != 0
    size = np.abs(cross).max()
    np.testing.assert_allclose(slope[used], penalty * mix * np.sign(b[used]), atol=1e-6 * size)
    assert (np.abs(slope[~used]) <= penalty * mix + 1e-6 * size).all()


def test_a_path_of_penalties_is_the_same_from_either_end() -> None:
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(200, 5)) @ rng.normal(size=(5, 30)) + rng.normal(size=(200, 30))
    target = rows[:, ::4].sum(1) + rng.normal(size=200)
    gram, cross = rows.T @ rows / 200, rows.T @ target / 200
    penalties = np.geomspace(np.abs(cross).max(), 1e-3, 40)
    falling: dict[float, Floats] = {}
    rising: dict[float, Floats] = {}
    for path, order in ((falling, penalties), (rising, penalties[::-1])):
        start = None
        for penalty in map(float, order):
            start = path[penalty] = descend(gram, cross, penalty, 1.0, start=start).coefficients
    for penalty in falling:
        np.testing.assert_allclose(falling[penalty], rising[penalty], atol=1e-9)
