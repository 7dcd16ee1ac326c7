"""How the broker speaks HTTP, beside what the answers mean."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest
from yarl import URL

from tests.system.broker.service import Service

pytestmark = pytest.mark.asyncio(loop_scope="module")

SERIES = json.dumps({"data": [float(i % 5) for i in range(50)]}).encode()


@pytest.mark.parametrize(
    "path",
    [
        "/api/models/shared/forecast/3",
        "/api/models/nobody/forecast/3",
        "/api/models",
        "/api/models/shared",
        "/api/models/nobody",
        "/api/fits",
        "/health",
        "/ready",
    ],
)
async def test_head_answers_as_get_does_without_a_body(whole: Service, path: str) -> None:
    async with (
        whole.client.get(whole.url + path) as got,
        whole.client.head(whole.url + path) as had,
    ):
        assert had.status == got.status
        assert had.headers["Content-Type"] == got.headers["Content-Type"]
        assert had.headers["Content-Length"] == got.headers["Content-Length"]
        assert await had.read() == b""


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/api/models/shared", {"GET", "HEAD", "DELETE"}),
        ("POST", "/api/fits/1", {"GET", "HEAD", "DELETE"}),
        ("GET", "/api/fit_model", {"POST"}),
        ("HEAD", "/api/fit_model", {"POST"}),
        ("POST", "/api/forecast/3", {"GET", "HEAD"}),
        ("DELETE", "/health", {"GET", "HEAD"}),
    ],
)
async def test_a_wrong_method_is_told_all_the_right_ones(
    whole: Service, method: str, path: str, allowed: set[str]
) -> None:
    async with whole.client.request(method, whole.url + path) as response:
        assert response.status == 405
        assert set(response.headers["Allow"].split(", ")) == allowed
        assert response.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    "content_type", ["application/json", "application/x-www-form-urlencoded", "text/plain", ""]
)
async def test_json_is_taken_under_any_content_type(whole: Service, content_type: str) -> None:
    url = f"{whole.url}/api/models/typed/fit?async=true"
    headers = {"Content-Type": content_type}
    async with whole.client.post(url, data=SERIES, headers=headers) as response:
        assert response.status == 202, await response.text()


async def test_a_body_without_a_length_is_refused_while_it_still_comes_in(whole: Service) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        # Far more than the broker may take, so that a test which fails also ends.
        while sent < 50_000_000:
            sent += 50_000
            yield b"1," * 25_000

    async with whole.client.post(f"{whole.url}/api/fit_model", data=endless()) as response:
        assert response.status == 413
        assert "200000 bytes" in (await response.json())["detail"]
    assert sent < 50_000_000


async def test_a_body_announced_as_too_long_is_refused_before_it_is_sent(whole: Service) -> None:
    parts = urlsplit(whole.url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(
        b"POST /api/fit_model HTTP/1.1\r\nHost: tally\r\nContent-Length: 200001\r\n"
        b"Expect: 100-continue\r\n\r\n"
    )
    async with asyncio.timeout(10):
        assert b"413" in await reader.readline()
    writer.close()
    await writer.wait_closed()


async def test_a_client_that_hangs_up_in_the_middle_of_a_body_is_no_defect(
    whole: Service,
) -> None:
    async def answered(status: int) -> int:
        labels = re.escape(f'{{route="/api/models/{{name}}/fit",status="{status}"}}')
        async with whole.client.get(f"{whole.url}/metrics") as response:
            found = re.search(rf"tally_requests_total{labels} (\d+)", await response.text())
        return int(found[1]) if found else 0

    before, defects = await answered(400), await answered(500)
    parts = urlsplit(whole.url)
    _, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(
        b"POST /api/models/gone/fit HTTP/1.1\r\nHost: tally\r\nContent-Length: 99\r\n\r\n{"
    )
    await writer.drain()
    writer.close()
    await writer.wait_closed()

    async def over() -> bool:
        return await answered(400) + await answered(500) > before + defects

    await whole.until(over)
    assert await answered(500) == defects
    async with whole.client.get(f"{whole.url}/api/models/gone") as response:
        assert response.status == 404


async def test_every_answer_bears_the_request_id_that_came_or_a_new_one(whole: Service) -> None:
    for path in ("/api/models/shared/forecast/3", "/api/models", "/api/nothing", "/health"):
        headers = {"X-Request-Id": "mine-1.2_3"}
        async with whole.client.get(whole.url + path, headers=headers) as response:
            assert response.headers.getall("X-Request-Id") == ["mine-1.2_3"]
        # What could break a log line is not taken over.
        headers = {"X-Request-Id": 'x" y'}
        async with whole.client.get(whole.url + path, headers=headers) as response:
            assert re.fullmatch(r"[0-9a-f]{32}", response.headers["X-Request-Id"])


async def test_metrics_label_routes_and_never_what_clients_made_up(whole: Service) -> None:
    for path in ("/api/models/shared/forecast/3", "/api/models/made-up", "/made/up"):
        async with whole.client.get(whole.url + path):
            pass
    async with whole.client.get(f"{whole.url}/metrics") as response:
        assert response.content_type == "text/plain"
        text = await response.text()
    assert "made" not in text
    assert re.search(r'tally_requests_total\{route="/api/models/\{name\}",status="404"\} \d', text)
    assert re.search(r'tally_requests_total\{route="forecast",status="200"\} \d', text)
    assert re.search(r'tally_requests_total\{route="none",status="404"\} \d', text)


async def test_a_name_is_decoded_from_the_path_only_once(whole: Service) -> None:
    for path in ("/api/models/sh%61red/forecast/1", "/api/models/sh%61red"):
        async with whole.client.get(whole.url + path) as response:
            assert response.status == 200
    # Decoded twice, these would be `shared` too.
    for path in ("/api/models/sh%2561red/forecast/1", "/api/models/sh%2561red"):
        async with whole.client.get(URL(whole.url + path, encoded=True)) as response:
            assert response.status == 400
            assert "sh%61red" in (await response.json())["detail"]


async def test_docs_show_every_call_with_an_example(whole: Service) -> None:
    async with whole.client.get(f"{whole.url}/openapi.json") as response:
        paths = (await response.json())["paths"]
    async with whole.client.get(f"{whole.url}/docs") as response:
        assert response.content_type == "text/html"
    assert {"/api/fit_model", "/api/forecast/{steps}", "/api/models/{name}/rollback"} <= set(paths)
    for path, calls in paths.items():
        for method, call in calls.items():
            assert call.get("summary"), path
            if not path.startswith("/api/"):
                continue
            if method == "get":
                content = call["responses"]["200"]["content"]["application/json"]
                assert content["example"], path
            # Ours is the only form of a refusal.
            for status, told in call["responses"].items():
                if status >= "400":
                    assert list(told["content"]) == ["application/problem+json"], (path, status)
