"""Schemathesis asks everything that the OpenAPI document allows, and much that it does not."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import content_type_conformance, status_code_conformance

from tests.system.cluster import Cluster

Operation = APIOperation[Any, Any, Any, Any]

BOUNDS = {"FIT_WAIT_S": "1", "FORECAST_WAIT_S": "0.3", "MAX_VALUES": "1000"}
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance]
QUICK = settings(
    max_examples=6,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.timeout(300)
async def test_no_call_is_answered_with_a_server_error_or_other_than_documented(
    tmp_path: Path,
) -> None:
    # In processes of its own: Hypothesis objects to others who draw random numbers in this one.
    async with Cluster(tmp_path, BOUNDS) as cluster:
        await cluster.start()
        await cluster.state(await cluster.begin(5.0), "SERVED")
        url = f"http://127.0.0.1:{cluster.alive('broker')[0].port}/openapi.json"
        assert await asyncio.to_thread(ask_everything, url) > 10
        assert (await cluster.call("GET", "/health")).status == 200


def ask_everything(url: str) -> int:
    """Return how many calls the document at a URL knows, each of them tried."""
    found = list(schemathesis.openapi.from_url(url).get_all_operations())
    operations = [one.ok() for one in found if isinstance(one, Ok)]
    assert len(operations) == len(found)
    for operation in operations:
        ask(operation, GenerationMode.POSITIVE)
        # Of a call that takes any text, or nothing, there is no invalid form.
        with contextlib.suppress(Unsatisfiable):
            ask(operation, GenerationMode.NEGATIVE)
    return len(operations)


def ask(operation: Operation, mode: GenerationMode) -> None:
    """Try one call with valid or with invalid parameters."""

    @given(case=operation.as_strategy(generation_mode=mode))
    @QUICK
    def check(case: Case[Operation]) -> None:
        # Whoever has no worker to ask is told to come back: that is no defect.
        response = case.call()
        if response.status_code != 503:
            case.validate_response(response, checks=CHECKS)
        else:
            assert "retry-after" in response.headers

    check()
