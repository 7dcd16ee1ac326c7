"""Each search alone, on a worth that is known for every set of inputs."""

from __future__ import annotations

import math
from collections.abc import Collection
from itertools import count

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tally.errors import InvalidInput
from tally.models.parameters import Parameters
from tally.selection.searches import SEARCHES
from tally.selection.searches.base import Subset, Worth

PLANTED = frozenset({4, 11, 17})


class Landscape:
    """Sets are worth the planted inputs that they have, less a little for each other one."""

    def __init__(self, planted: Collection[int], hole: int | None = None) -> None:
        self.planted = frozenset(planted)
        self.hole = hole
        self.asked: list[Subset] = []

    def __call__(self, subset: Subset) -> Worth:
        assert subset
        assert len(set(subset)) == len(subset)
        self.asked.append(tuple(sorted(subset)))
        return self._worth(subset)

    def _worth(self, subset: Subset) -> Worth:
        found = set(subset)
        if self.hole in found:  # no model can be made with this one
            return Worth(-math.inf, -len(found))
        gain = len(found & self.planted) - 0.1 * len(found - self.planted)
        return Worth(gain, -len(found))

    @property
    def best(self) -> frozenset[int]:
        best: Subset = max(self.asked, key=self._worth)
        return frozenset(best)


def search(name: str, land: Landscape, inputs: int, seed: int = 0, **parameters: str) -> int:
    """Let a search go over a landscape; return how many sets it asked for."""
    made = SEARCHES[f"selector_type_{name}"].read(Parameters(parameters), inputs)
    made.run(land, inputs, np.random.default_rng(seed), lambda: 0.0)
    assert 0 < len(land.asked) <= made.most(inputs)
    return len(land.asked)


@pytest.mark.parametrize("name", ["fw_bw", "genetic", "bayesian"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_guided_search_finds_what_is_planted_among_30_inputs(name: str, seed: int) -> None:
    land = Landscape(PLANTED)
    asked = search(name, land, 30, seed)
    assert land.best == PLANTED
    assert asked < 3000


@pytest.mark.parametrize("name", ["fw_bw", "genetic", "bayesian"])
def test_a_guided_search_goes_round_an_input_with_which_no_model_can_be_made(name: str) -> None:
    land = Landscape(PLANTED, hole=2)
    search(name, land, 30)
    assert land.best >= PLANTED
    assert land.best == PLANTED or name == "bayesian"  # its turns are few
    assert 2 not in land.best


def test_prefixes_find_what_stands_first() -> None:
    land = Landscape(range(5))
    assert search("simple", land, 30) == 30
    assert land.best == set(range(5))
    assert land.asked == [tuple(range(k)) for k in range(1, 31)]


@given(st.sets(st.integers(0, 6), min_size=1))
def test_brute_force_asks_for_each_set_once_and_the_small_ones_first(planted: set[int]) -> None:
    land = Landscape(planted)
    assert search("brute", land, 7) == 127 == len(set(land.asked))
    assert land.best == planted
    assert [len(one) for one in land.asked] == sorted(len(one) for one in land.asked)


def test_random_sets_find_what_is_planted_among_a_few_inputs() -> None:
    land = Landscape({1, 4})
    assert search("iteration", land, 6, selector_max_iterations="500") == 500
    assert land.best == {1, 4}
    assert {len(one) for one in land.asked} == {1, 2, 3, 4, 5, 6}


def test_random_sets_are_drawn_until_time_is_up() -> None:
    land, time = Landscape({1}), count(1)
    made = SEARCHES["selector_type_iteration"].read(
        Parameters({"selector_max_seconds": "7"}), inputs=5
    )
    made.run(land, 5, np.random.default_rng(0), lambda: float(next(time)))
    assert len(land.asked) == 7


def test_adding_and_dropping_corrects_a_step_that_later_ones_made_useless() -> None:
    def worth(subset: Subset) -> Worth:
        # Alone, input 0 is best; but 1 and 2 together tell all that it does, and more.
        found = set(subset)
        gain = 3.0 if {1, 2} <= found else 2.0 if 0 in found else float(len(found & {1, 2}))
        return Worth(gain + 0.1 * len(found & {1, 2}), -len(found))

    asked: list[Subset] = []

    def told(subset: Subset) -> Worth:
        asked.append(tuple(sorted(subset)))
        return worth(subset)

    made = SEARCHES["selector_type_fw_bw"].read(Parameters({}), 4)
    made.run(told, 4, np.random.default_rng(0), lambda: 0.0)
    assert max(asked, key=worth) == (1, 2)


@pytest.mark.parametrize("name", ["genetic", "bayesian", "iteration"])
@given(inputs=st.integers(1, 70), seed=st.integers(0, 99))
@settings(max_examples=8)
def test_chance_comes_from_the_seed_alone(name: str, inputs: int, seed: int) -> None:
    few = {
        "genetic_num_generations": "3",
        "genetic_population_size": "9",
        "bayesian_num_iterations": "4",
        "bayesian_initial_random": "3",
        "bayesian_num_candidates": "7",
        "selector_max_iterations": "9",
    }
    lands = [Landscape({0}), Landscape({0})]
    for land in lands:
        search(name, land, inputs, seed, **few)
    assert lands[0].asked == lands[1].asked


@given(low=st.integers(1, 12), more=st.integers(0, 12), first=st.sampled_from(["0", "0.5", "1"]))
@settings(max_examples=20)
def test_genes_keep_to_the_sizes_that_are_allowed(low: int, more: int, first: str) -> None:
    land = Landscape({0})
    search(
        "genetic",
        land,
        12,
        genetic_min_features=str(low),
        genetic_max_features=str(low + more),
        genetic_initial_feature_prob=first,
        genetic_num_generations="3",
        genetic_population_size="8",
    )
    assert all(low <= len(one) <= low + more for one in land.asked)


def test_breeding_ends_once_nothing_gets_better() -> None:
    land = Landscape({0})
    asked = search("genetic", land, 1, genetic_stagnation_limit="2", genetic_population_size="5")
    assert asked == 5 * 3


@pytest.mark.parametrize(
    ("name", "inputs", "parameters", "field"),
    [
        ("brute", 21, {}, "selector_type"),
        ("iteration", 5, {}, "selector_max_iterations"),
        ("iteration", 5, {"selector_max_seconds": "0"}, "selector_max_seconds"),
        ("iteration", 5, {"selector_max_iterations": "1.5"}, "selector_max_iterations"),
        ("fw_bw", 5, {"selector_max_iterations": "0"}, "selector_max_iterations"),
        ("genetic", 5, {"genetic_population_size": "1"}, "genetic_population_size"),
        ("genetic", 5, {"genetic_elite_count": "50"}, "genetic_elite_count"),
        ("genetic", 5, {"genetic_min_features": "6"}, "genetic_min_features"),
        (
            "genetic",
            5,
            {"genetic_min_features": "3", "genetic_max_features": "2"},
            "genetic_max_features",
        ),
        ("genetic", 5, {"genetic_mutation_rate": "2"}, "genetic_mutation_rate"),
        ("genetic", 5, {"genetic_parallel_threads": "none"}, "genetic_parallel_threads"),
        ("bayesian", 5, {"bayesian_top_k_memory": "1000000"}, "bayesian_top_k_memory"),
        ("genetic", 4000, {"genetic_population_size": "1251"}, "genetic_population_size"),
        ("bayesian", 4000, {"bayesian_initial_random": "1251"}, "bayesian_initial_random"),
        ("bayesian", 4000, {"bayesian_num_candidates": "1251"}, "bayesian_num_candidates"),
        ("bayesian", 5, {"bayesian_exploration_weight": "-1"}, "bayesian_exploration_weight"),
    ],
)
def test_an_option_that_cannot_be_used_is_named(
    name: str, inputs: int, parameters: dict[str, str], field: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        SEARCHES[f"selector_type_{name}"].read(Parameters(parameters), inputs)
    assert str(caught.value).startswith(field)
