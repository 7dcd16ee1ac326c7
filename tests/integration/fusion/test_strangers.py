"""Cells on servers that hang, drip, lie or flood: the others are answered from all the same."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from model_api.fusion.fetching import CellFailed, Question
from model_api.fusion.limits import FusionLimits
from model_api.fusion.remote import Remote, remote_session
from tally.clock import SystemClock
from tally.fusion.cells import Cell
from tally.networks import Networks
from tally.wire import cell_blob
from tally.wire.secret_key import SecretKey
from tests.integration.fusion.servers import (
    ALWAYS,
    cell,
    customer,
    explored,
    fetch_error,
    fuse,
    learn,
    sealed,
    server,
    statuses,
    third,
)
from tests.integration.fusion.strangers import (
    Behaviour,
    babble,
    drip,
    flood,
    hang,
    hang_up,
    own_certificate,
    say,
    stranger,
)
from tests.integration.symetry.customer import Customer
from tests.unit.broker.symetry import edge

pytestmark = pytest.mark.asyncio(loop_scope="module")

QUICK = {**ALWAYS, "sml.fusion.fetch.timeout.ms": "700", "sml.fusion.fetch.connect.ms": "400"}
BODY_BYTES = 2**20
KEY = SecretKey(bytes(range(1, 17)))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ann(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Customer]:
    folder = tmp_path_factory.mktemp("center")
    async with server(folder, QUICK, project_body_bytes=BODY_BYTES) as service:
        made = await customer(service, "ann")
        await learn(made, "good", third(0))
        yield made


def odd(url: str, key: SecretKey = KEY) -> dict[str, str]:
    return {"host": url, "cid": "bob", "sk": key.text, "pid": "p"}


def told(**values: str) -> bytes:
    return json.dumps({"statusCode": "OK", "statusString": "OK", "values": values}).encode()


def sealed_garbage(key: SecretKey) -> str:
    return cell_blob.seal(key, b"what is sealed well may be garbage all the same")


CASES: dict[str, tuple[Behaviour, str]] = {
    "hang": (hang, "TIMEOUT: no answer within 700 ms"),
    "drip": (drip, "TIMEOUT: no answer within 700 ms"),
    "babble": (babble, "ERROR: what it answers is not HTTP"),
    "hang-up": (hang_up, "UNREACHABLE: the connection was lost"),
    "flood": (flood, f"ERROR: it answers with more than {BODY_BYTES} bytes"),
    "no-json": (say("200 OK", b"<html>"), "ERROR: what it answers cannot be read"),
    "deep": (say("200 OK", b"[" * 100_000), "ERROR: what it answers cannot be read"),
    "empty": (
        say("200 OK", told()),
        "ERROR: its statistics were not sealed with the cell's key, or are damaged",
    ),
    "foreign": (
        say("200 OK", told(blob=sealed_garbage(SecretKey(bytes(16))))),
        "ERROR: its statistics were not sealed with the cell's key, or are damaged",
    ),
    "garbage": (
        say("200 OK", told(blob=sealed_garbage(KEY))),
        "ERROR: what it gave cannot be read",
    ),
    "unchanged": (
        say("200 OK", told(notModified="true")),
        "ERROR: its statistics were not sealed with the cell's key, or are damaged",
    ),
    "redirect": (say("302 Found", b"", "Location: http://127.0.0.1:1/"), "ERROR: HTTP 302"),
    "unauthorized": (say("401 Unauthorized", b"{}"), "UNAUTHORIZED"),
    "old": (say("404 Not Found", b"{}"), "NOT_SUPPORTED"),
    "few": (say("409 Conflict", b"{}"), "TOO_FEW_ROWS"),
    "busy": (say("503 Service Unavailable", KEY.text.encode()), "ERROR: HTTP 503"),
    "echo": (
        say("500 Oh", json.dumps({"statusString": KEY.text, "values": {}}).encode()),
        "ERROR: HTTP 500",
    ),
}


@pytest.mark.parametrize("case", CASES)
async def test_a_cell_that_misbehaves_is_named_and_the_others_count(
    ann: Customer, case: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    behaviour, status = CASES[case]
    async with stranger(behaviour) as bad:
        made = await fuse(ann, f"with-{case}", cell(ann, "good"), odd(bad.url))
        assert made.status == 201, made.body
        assert (await explored(ann, f"with-{case}"))["count"] == 50
        error = await fetch_error(ann, f"with-{case}")
        assert error == f"cell[{bad.url} bob/p] {status}"
    assert KEY.text not in caplog.text


async def test_a_server_whose_clock_is_far_off_does_not_let_us_in(
    ann: Customer, tmp_path: Path
) -> None:
    async with edge.signed_edge(tmp_path) as late:
        info = {"host": late.url, "cid": edge.CID, "sk": edge.KEY.text, "pid": "irisTest"}
        (status,) = await statuses(ann, "", info)
        assert status.status == "UNAUTHORIZED: the clocks differ too much"


async def test_a_certificate_that_nobody_signed_is_refused(ann: Customer, tmp_path: Path) -> None:
    async with stranger(say("200 OK", told()), own_certificate(tmp_path)) as bad:
        (status,) = await statuses(ann, "", odd(bad.url))
        assert status.status == "UNREACHABLE: its certificate is not trusted"


async def test_all_certificates_are_trusted_where_the_option_says_so(tmp_path: Path) -> None:
    options = {**QUICK, "sml.fed.admin.trust_all_certs": "1"}
    async with server(tmp_path / "center", options) as service:
        ann = await customer(service, "ann")
        async with stranger(say("401 No", b"{}"), own_certificate(tmp_path)) as bad:
            (status,) = await statuses(ann, "", odd(bad.url))
            assert status.status == "UNAUTHORIZED"


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("http://192.0.2.1:5000", "UNREACHABLE: plain HTTP is for servers on this machine only"),
        ("https://127.0.0.1:1", "UNREACHABLE: no connection"),
        ("https://no-such-name.invalid", "UNREACHABLE: its name is not known"),
    ],
)
async def test_a_server_that_is_not_there_is_unreachable(
    ann: Customer, host: str, status: str
) -> None:
    (found,) = await statuses(ann, "", odd(host))
    assert found.status == status


async def answer_of(host: str, networks: Networks) -> str:
    """Return what comes of asking a cell at a host."""
    limits = FusionLimits(networks=networks)
    async with remote_session(limits) as session:
        question = Question(Cell.of(host, "bob", "p"), KEY, "", {}, 5.0, lambda _: None)
        with pytest.raises(CellFailed) as failed:
            await Remote(session, SystemClock(), limits)(question)
        return failed.value.status.text


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "[::ffff:7f00:1]", "127.1", "0.0.0.0"])
async def test_what_listens_on_this_machine_is_not_asked(name: str) -> None:
    async with stranger(hang_up) as inner:
        told = await answer_of(f"https://{name}:{inner.url.rpartition(':')[2]}", Networks())
        assert inner.asked == 0
    if name != "127.1":  # the HTTP client takes that for no host at all
        assert told == "UNREACHABLE: its address is not among the allowed networks"


async def test_what_listens_on_this_machine_is_asked_where_its_network_is_listed() -> None:
    async with stranger(hang_up) as inner:
        told = await answer_of(inner.url, Networks.parse("127.0.0.0/8"))
        assert told == "UNREACHABLE: the connection was lost"
        assert inner.asked


async def test_twenty_who_ask_at_once_wait_for_one_refresh(tmp_path: Path) -> None:
    options = {"sml.fusion.fetch.timeout.ms": "700"}  # and the default time between refreshes
    async with server(tmp_path, options) as service, stranger(hang) as slow:
        ann = await customer(service, "ann")
        await learn(ann, "good", third(0))
        cells = [cell(ann, "good"), odd(slow.url)]
        assert (await fuse(ann, "slow", *cells)).status == 201
        assert slow.asked == 1
        assert (await explored(ann, "slow"))["count"] == 50
        assert slow.asked == 1  # that was just now
        same = sealed(ann, cells)
        assert (await ann.post("projects/fusion/slow/updateCellsInfo", same)).status == 200
        found = await asyncio.gather(*(explored(ann, "slow") for _ in range(20)))
        assert [one["count"] for one in found] == [50] * 20
        assert slow.asked == 2
        assert "TIMEOUT" in await fetch_error(ann, "slow")


async def test_a_customer_has_four_calls_for_states_of_cells_under_way_and_no_more(
    ann: Customer,
) -> None:
    async with stranger(hang) as slow:
        body = sealed(ann, [odd(slow.url)])
        asking = [ann.post("projects/fusion/cellsStatus", body) for _ in range(6)]
        told = await asyncio.gather(*asking)
        assert sorted(one.status for one in told) == [200] * 4 + [429] * 2
        assert any(one.text.startswith("At most 4 such calls of a customer") for one in told)
    # They have ended, and count no more.
    assert (await ann.post("projects/fusion/cellsStatus", body)).status == 200
