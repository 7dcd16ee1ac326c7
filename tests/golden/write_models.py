"""Writes the golden models that are missing: one of each kind, and what is asked of it.

Run `python -m tests.golden.write_models`. A file that exists is never written again; a new format
of the stored bytes adds files of its own.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from tally.codec.model import FORMAT_VERSION, encode
from tally.models.model import Model
from tests.property.models.cases import CASES
from tests.unit.models.iris import columns

HERE = Path(__file__).parent


def path(case: str) -> Path:
    """Return where the bytes of a case are."""
    return HERE / f"{case.replace(', ', '_').replace(' ', '_')}.v{FORMAT_VERSION}.statmodel"


def numbers(model: Model) -> dict[str, object]:
    """Return what a golden model must answer."""
    rows = columns([0, 75, 149])
    del rows["petal_width"]
    answers: dict[str, object] = {}
    if model.rule.keys:
        for key, values in model.predict(rows, 3, impute=True).items():
            answers[key] = values.tolist() if isinstance(values, np.ndarray) else list(values)
    return {
        "family": model.family,
        "inputs": [attribute.name for attribute in model.inputs],
        "targets": list(model.targets),
        "keys": list(model.rule.keys),
        "info": {key: str(value) for key, value in model.info.items()},
        "answers": answers,
    }


def main() -> None:
    """Write what is missing."""
    for name, case in CASES.items():
        if not path(name).exists():
            model = case.model()
            path(name).write_bytes(encode(model))
            path(name).with_suffix(".statmodel.json").write_text(json.dumps(numbers(model)) + "\n")


if __name__ == "__main__":
    main()
