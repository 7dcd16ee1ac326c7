"""`plsq`: partial least squares of one target, on covariances alone.

Source: Dayal, MacGregor 1997, doi:10.1002/(SICI)1099-128X(199701)11:1<73::AID-CEM435>3.0.CO;2-#.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tally.errors import FitFailed, InvalidInput
from tally.models.base import Checkpoint, Floats, Outcome, Problem, Value, nothing
from tally.models.linear import described, quality, regression, squared_errors
from tally.models.parameters import Parameters
from tally.models.sized import sized, tables

_NOTHING = 1e-13


@dataclass(frozen=True, slots=True)
class Plsq:
    """Options of `plsq`.

    Attributes:
        q: components.
        only: whether sizes below `q` are left out.
        standardize: inputs are divided by their standard deviations first.
        clip: negative predictions become 0.
    """

    q: int
    only: bool
    standardize: bool
    clip: bool

    @classmethod
    def read(cls, parameters: Parameters) -> Plsq:
        """Return the options in these parameters."""
        if not parameters.has("q"):
            raise InvalidInput("q", "is missing: the number of components")
        parameters.whole("ddof", 0, 0, 1)  # rescales all inputs alike, which changes nothing
        return cls(
            parameters.whole("q", 1, 1, parameters.inputs),
            parameters.flag("oneq"),
            parameters.flag("standardize", True),
            parameters.flag("clip_negative_predictions"),
        )

    def fit(self, problem: Problem) -> Outcome:
        """Fit on components, fewer than asked for where they explain all there is."""
        given = regression(problem)
        inputs = given.inputs
        if self.q > len(inputs.names):
            raise FitFailed(
                f"{self.q} components of {len(inputs.names)} inputs: choose a smaller q"
            )
        scale = inputs.scale if self.standardize else np.ones(len(inputs.scale))
        gram = inputs.covariance / np.outer(scale, scale)
        every = components(gram, given.cross / scale, self.q, problem.checkpoint) / scale
        used = every[-1:] if self.only else every
        rule = sized(given, used, len(every) - len(used) + 1, self.clip)
        sse = squared_errors(given, every[-1])
        info: dict[str, Value] = {
            **described(rule.largest),
            **quality(given.n, sse, given.variance, len(every) + 1),
            "muy": given.mean,
            "components": len(every),
        }
        return Outcome(rule, given.n, info, tables(given, rule))


def components(gram: Floats, cross: Floats, q: int, checkpoint: Checkpoint = nothing) -> Floats:
    """Return the coefficients (k, p) on 1 to k components; k is below `q` where no more help.

    Args:
        gram: (p, p) covariances of the inputs.
        cross: (p,) their covariances with the target.
        q: at least 1.
        checkpoint: called before each component.
    """
    a, left = cross.copy(), gram.copy()
    least = _NOTHING * float(np.linalg.norm(cross))
    weights, loadings, gains, found = [], [], [], []
    for _ in range(q):
        checkpoint()
        length = float(np.linalg.norm(a))
        if length <= least:
            break
        w = a / length
        along = left @ w
        size = float(w @ along)
        if size <= _NOTHING * float(w @ gram @ w):
            break
        loading, gain = along / size, float(w @ a) / size
        weights.append(w)
        loadings.append(loading)
        gains.append(gain)
        left = left - size * np.outer(loading, loading)
        a = a - gain * size * loading
        turned = np.array(weights).T
        found.append(turned @ np.linalg.solve(np.array(loadings) @ turned, np.array(gains)))
    return np.array(found) if found else np.zeros((1, len(cross)))
