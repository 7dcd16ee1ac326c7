"""FedAvg of Flower on linear least squares; runs in Flower's environment, without Tally.

Standard input is JSON: `sites`, each `x` (n, d) and `y` (n,), `steps` of each site in a round,
`rounds`, and `pooled`, the coefficients to compare with (d,). Standard output is JSON: `errors`
after each round, relative to the norm of `pooled`, `loss`, the squared error of all rows at the
end as a multiple of that of `pooled`, `bytes` both ways of all sites in one round,
`seconds` of all rounds, and `version`. Of several learning rates the one that ended best is told,
which nobody could choose without the pooled rows. Sites take steps on all their rows, so there is
no noise of sampling (McMahan et al. 2017, with B = infinity). Only the averaging is Flower's: its
clients and network are not used, and momentum, decay and more step sizes are not tried.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any

import flwr
import numpy as np
from flwr.common import (
    Code,
    FitRes,
    Status,
    ndarrays_to_parameters,
    parameters_to_ndarrays,
)
from flwr.server.strategy import FedAvg

_RATES = (1.9, 1.0, 0.5)  # over the largest curvature of all rows; 2 diverges


def main() -> None:
    logging.getLogger("flwr").setLevel(logging.ERROR)
    asked = json.load(sys.stdin)
    sites = [(np.array(site["x"]), np.array(site["y"])) for site in asked["sites"]]
    pooled = np.array(asked["pooled"])
    x = np.concatenate([site[0] for site in sites])
    curvature = float(np.linalg.eigvalsh(x.T @ x / len(x))[-1])
    runs = [
        _run(sites, pooled, asked["steps"], asked["rounds"], rate, curvature) for rate in _RATES
    ]
    best = min(runs, key=lambda run: run["errors"][-1])
    y = np.concatenate([site[1] for site in sites])
    best["loss"] = float(np.sum((x @ best.pop("w") - y) ** 2) / np.sum((x @ pooled - y) ** 2))
    json.dump({**best, "version": flwr.__version__}, sys.stdout)


def _run(
    sites: Any, pooled: Any, steps: int, rounds: int, rate: float, curvature: float
) -> dict[str, Any]:
    strategy = FedAvg(min_fit_clients=len(sites), min_available_clients=len(sites))
    parameters = ndarrays_to_parameters([np.zeros(len(pooled))])
    done = Status(Code.OK, "")
    errors: list[float] = []
    moved = 0
    began = time.perf_counter()
    for k in range(1, rounds + 1):
        results = []
        for x, y in sites:
            (w,) = parameters_to_ndarrays(parameters)
            for _ in range(steps):
                w = w - rate / curvature * (x.T @ (x @ w - y)) / len(y)
            results.append((None, FitRes(done, ndarrays_to_parameters([w]), len(y), {})))
        moved = sum(map(len, parameters.tensors)) * len(sites)
        moved += sum(len(t) for _, told in results for t in told.parameters.tensors)
        parameters, _ = strategy.aggregate_fit(k, results, [])
        (w,) = parameters_to_ndarrays(parameters)
        error = float(np.linalg.norm(w - pooled) / np.linalg.norm(pooled))
        if not error < 1e6:
            errors = [*errors, *[1e6] * (rounds - len(errors))]  # it diverges
            break
        errors.append(error)
    seconds = time.perf_counter() - began
    return {"errors": errors, "bytes": moved, "seconds": seconds, "w": w, "rate": rate}


if __name__ == "__main__":
    main()
