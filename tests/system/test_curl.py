"""The two lines of the README, by curl itself."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest

from tests.system.cluster import Cluster
from tests.system.process import ROOT


def _curl(*arguments: str) -> tuple[str, str]:
    """Return head and body of an answer."""
    done = subprocess.run(
        ["curl", "-sS", *arguments], cwd=ROOT, check=True, capture_output=True, timeout=60
    )
    head, _, body = done.stdout.decode().partition("\r\n\r\n")
    return head, body


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_the_two_curl_lines_fit_the_shipped_series_and_forecast_500_values(
    cluster: Cluster,
) -> None:
    await cluster.start()
    url = f"http://127.0.0.1:{cluster.alive('broker')[0].port}"
    json_type = "Content-type: application/json"

    head, body = _curl("-H", json_type, "-XPOST", "-i", f"{url}/api/fit_model", "-d@dataset_simple")
    assert head.startswith("HTTP/1.1 201"), head + body
    made = json.loads(body)
    assert (made["state"], made["version"], made["values"]) == ("SERVED", 1, 3650)

    head, body = _curl("-H", json_type, "-XGET", "-i", f"{url}/api/forecast/500")
    assert head.startswith("HTTP/1.1 200"), head + body
    assert "x-model-version: 1" in head.lower()
    values = json.loads(body)["data"]
    assert len(values) == 500
    assert all(0 < value < 30 for value in values)  # degrees Celsius, daily minima of Melbourne


async def test_the_form_content_type_that_curl_sends_by_itself_is_json_too(
    cluster: Cluster,
) -> None:
    await cluster.start()
    sent = (ROOT / "dataset_simple").read_bytes()
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    made = await cluster.call("POST", "/api/fit_model", data=sent, headers=form)
    assert made.status == 201, str(made)
