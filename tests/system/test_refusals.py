"""Every bad input is a 4xx whose sentence names the field and the value."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from tests.system.cluster import Cluster, wave


@dataclass(frozen=True)
class Bad:
    """A request that must be refused.

    Attributes:
        body: of a fit; None: `path` is asked for.
        says: what the problem's sentence must contain.
    """

    name: str
    body: bytes | None
    status: int
    says: tuple[str, ...]
    path: str = "/api/fit_model"


def _json(**body: object) -> bytes:
    return json.dumps(body).encode()


BAD = (
    Bad("not JSON", b"data=1,2,3", 400, ("body", "not JSON")),
    Bad("no data", b"{}", 400, ("data",)),
    Bad("a list", b"[1,2]", 400, ("body", "array")),
    Bad("no body", b"", 400, ("body", "not JSON")),
    Bad("an empty series", b'{"data":[]}', 400, ("data", "empty")),
    Bad("NaN", b'{"data":[1,NaN,3]}', 400, ("not JSON",)),
    Bad("a value beyond all floats", b'{"data":[1,1e999,3]}', 400, ("data[1]", "")),
    Bad("null", b'{"data":[1,null,3]}', 400, ("data[1]", "null")),
    Bad("text in the list", b'{"data":[1,"two",3]}', 400, ("data[1]", "str")),
    Bad("too short", _json(data=[1, 2, 3], period=12), 400, ("3 values", "period 12")),
    Bad("period 0", _json(data=wave(), period=0), 400, ("period", "0")),
    Bad("a wrong algorithm", _json(data=wave(), algorithm="oracle"), 400, ("algorithm", "oracle")),
    Bad("a wrong option", _json(data=wave(), options={"colour": 1}), 400, ("colour",)),
    Bad("a wrong field", _json(data=wave(), datta=[1]), 400, ("datta",)),
    Bad("too many values", b'{"data":[' + b"0," * 60_000 + b"0]}", 413, ("data", "60001")),
    Bad("too many bytes", b" " * 2_000_000 + b"{}", 413, ("body", "1000000")),
    Bad("0 steps", None, 400, ("steps", "0"), "/api/forecast/0"),
    Bad("-1 steps", None, 400, ("steps", "-1"), "/api/forecast/-1"),
    Bad("10**9 steps", None, 400, ("steps", "1000000000"), "/api/forecast/1000000000"),
    Bad("abc steps", None, 400, ("steps", "abc"), "/api/forecast/abc"),
    Bad("level 101", None, 400, ("level", "101"), "/api/forecast/3?level=101"),
    Bad("version 0", None, 400, ("version", "0"), "/api/forecast/3?version=0"),
    Bad("version 99", None, 404, ("99",), "/api/forecast/3?version=99"),
    Bad("an unknown model", None, 404, ("nobody",), "/api/models/nobody/forecast/3"),
    Bad("an unknown model's versions", None, 404, ("nobody",), "/api/models/nobody/versions"),
    Bad("an unknown fit", None, 404, ("fit", "1234"), "/api/fits/1234"),
    Bad("an unknown state", None, 400, ("state", "DONE"), "/api/fits?state=DONE"),
    Bad("an unknown path", None, 404, ("/api/nothing",), "/api/nothing"),
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fitted(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    """Give a cluster with one version, shared, since nothing here may change it."""
    folder: Path = tmp_path_factory.mktemp("refusals")
    bounds = {"MAX_BODY_BYTES": "1000000", "MAX_VALUES": "60000"}
    async with Cluster(folder, bounds) as made:
        await made.start()
        assert await made.version(5.0) == 1
        yield made


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.name)
async def test_bad_input_is_refused_with_a_sentence_and_changes_nothing(
    fitted: Cluster, bad: Bad
) -> None:
    method = "GET" if bad.body is None else "POST"
    reply = await fitted.call(method, bad.path, data=bad.body)
    assert reply.status == bad.status, str(reply)
    assert reply.headers["Content-Type"] == "application/problem+json"
    for part in bad.says:
        assert part in reply.json["detail"], str(reply)
    assert (await fitted.forecast()).version == 1


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    "data",
    [[7.0] * 48, [0.0] * 48, [1e308, -1e308] * 24, [1e-308] * 48, [3.0], [1e9 + i for i in wave()]],
    ids=["constant", "zeros", "1e308", "1e-308", "one value", "around 1e9"],
)
async def test_odd_series_are_fitted_or_refused_with_a_reason_and_never_break_anything(
    fitted: Cluster, data: list[float]
) -> None:
    name = f"odd-{abs(hash(tuple(data)))}"
    reply = await fitted.call("POST", f"/api/models/{name}/fit", data=_json(data=data))
    assert reply.status in (201, 422), str(reply)
    if reply.status == 201:
        values = (await fitted.forecast(24, name)).json["data"]
        assert all(abs(value) <= 1.7e308 for value in values)
    else:
        assert reply.json["state"] == "FAILED"
        assert reply.json["detail"]
    if len(set(data)) == 1 and len(data) > 1:
        assert reply.status == 201, str(reply)
        assert values == pytest.approx(data[:24])
