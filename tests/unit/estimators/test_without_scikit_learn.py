from __future__ import annotations

import importlib.util

import pytest

import tally.sklearn
from tally.errors import AlgorithmUnavailable


def test_without_scikit_learn_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(AlgorithmUnavailable, match=r"pip install 'tally\[sklearn\]'"):
        importlib.reload(tally.sklearn)
