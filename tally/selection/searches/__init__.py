"""The table of searches over sets of inputs. A new one is one module, and one line here."""

from __future__ import annotations

from collections.abc import Mapping

from tally.selection.searches.base import Search
from tally.selection.searches.bayesian import Bayesian
from tally.selection.searches.brute import Brute
from tally.selection.searches.fw_bw import ForwardBackward
from tally.selection.searches.genetic import Genetic
from tally.selection.searches.iteration import Iteration
from tally.selection.searches.simple import Simple

PREFIX = "selector_type_"

SEARCHES: Mapping[str, type[Search]] = {
    f"{PREFIX}fw_bw": ForwardBackward,
    f"{PREFIX}simple": Simple,
    f"{PREFIX}brute": Brute,
    f"{PREFIX}iteration": Iteration,
    f"{PREFIX}genetic": Genetic,
    f"{PREFIX}bayesian": Bayesian,
}
"""By what users write as `selector_type`; the first is the default."""
