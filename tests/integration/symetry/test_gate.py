from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tally.wire.signing import format_date
from tests.integration.symetry.customer import Customer

pytestmark = pytest.mark.asyncio(loop_scope="module")

LIST = "projects/list"


async def test_a_signed_request_is_answered_in_the_envelope(ann: Customer) -> None:
    told = await ann.get(LIST)
    assert (told.status, told.headers["content-type"]) == (200, "application/json")
    assert told.json == {
        "statusCode": "OK",
        "statusString": "OK",
        "values": {"stringList": {"values": []}},
    }


@pytest.mark.parametrize("path", [LIST, "projects//list", "projects/list/extra", "dss", "tasks"])
async def test_a_slash_at_the_end_changes_nothing_and_nothing_is_redirected(
    ann: Customer, path: str
) -> None:
    plain, slashed = await ann.get(path), await ann.get(f"{path}/")
    assert plain.status == slashed.status == (200 if path == LIST else 404)


async def test_what_is_not_there_is_told_in_the_envelope(ann: Customer) -> None:
    told = await ann.get("projects/p/encoderAssign", "encoderName=e")
    assert told.status == 404
    assert told.json["statusCode"] == "NOT_FOUND"


async def test_a_path_with_another_verb_says_which_it_answers(ann: Customer) -> None:
    told = await ann.call("PUT", "projects/p/info")
    assert told.status == 405
    assert told.json["statusCode"] == "METHOD_NOT_ALLOWED"
    assert told.headers["Allow"] == "GET, HEAD, OPTIONS"
    freezing = await ann.call("HEAD", "projects/p/freeze")
    assert (freezing.status, freezing.headers["Allow"]) == (405, "GET, OPTIONS")
    assert (await ann.call("OPTIONS", "projects")).headers["Allow"] == "OPTIONS, POST"


async def test_head_is_answered_where_nothing_is_changed(ann: Customer) -> None:
    told = await ann.call("HEAD", LIST)
    assert (told.status, told.body) == (200, b"")


async def test_no_header_at_all_is_refused_first(ann: Customer) -> None:
    async with ann.session.get(f"{ann.url}/symetry/rest/ann/{LIST}") as response:
        assert response.status == 400
        assert (await response.json())["statusString"] == "Authentication header is null"


@pytest.mark.parametrize(
    ("date", "text"),
    [
        ("yesterday", "Invalid Date Format"),
        ("2025-13-01 00:00:00", "Invalid Date Format"),
        (
            format_date(datetime(2025, 1, 1, tzinfo=UTC)),
            "Please update your server time, it is likely out of sync with UTC",
        ),
    ],
)
async def test_a_wrong_date_is_refused_with_its_text(ann: Customer, date: str, text: str) -> None:
    told = await ann.call("GET", LIST, date=date)
    assert (told.status, told.text) == (400, text)


async def test_who_is_not_the_customer_is_told_nothing_else(ann: Customer, bob: Customer) -> None:
    told = await ann.call("GET", LIST, cid="nobody")
    assert (told.status, told.text, told.values) == (401, "Invalid User", {})
    told = await ann.call("GET", LIST, cid=bob.cid)
    assert (told.status, told.text) == (401, "Invalid Signature")
    assert ann.key.text not in told.values["stringToSign"]
    assert told.values["stringToSign"].startswith("GET\\n\\nSECRETKEY\\n")
    told = await ann.call("GET", LIST, headers={"Customer-ID": "bob"})
    assert (told.status, told.text) == (401, "Invalid User")


async def test_a_changed_body_is_refused(ann: Customer) -> None:
    told = await ann.call("POST", "projects", b"{}", headers={"Content-MD5": "AAAA"})
    assert (told.status, told.text) == (400, "Md5 do not match")


async def test_a_body_over_the_limit_is_refused_before_it_is_read(ann: Customer) -> None:
    told = await ann.call("POST", "projects", b" " * 2_000_001, query="pid=p")
    assert told.status == 413
    assert told.json["statusCode"] == "REQUEST_ENTITY_TOO_LARGE"
    assert "2000000 bytes" in told.text


async def test_the_path_may_be_signed_decoded_and_the_query_as_sent(ann: Customer) -> None:
    """As the client written in Go does, which sends no digest of the body either."""
    told = await ann.call(
        "GET",
        "projects/my%20proj/info",
        signed_path="/symetry/rest/ann/projects/my proj/info",
        query="x=a%20b",
    )
    assert (told.status, told.text) == (
        400,
        "Cannot Find SYMETRYML id[my proj] for Customer id [ann]",
    )


async def test_path_and_query_may_be_signed_before_they_are_encoded(ann: Customer) -> None:
    """As the client written in Rust does."""
    told = await ann.call(
        "GET",
        "projects/my%20proj/rename",
        query="newName=a%20b",
        signed_path="/symetry/rest/ann/projects/my proj/rename",
        signed_query="newName=a b",
        headers={"sym-version": "6.3", "Customer-ID": "ann", "Content-MD5": ""},
    )
    assert told.text == "Cannot Find SYMETRYML id[my proj] for Customer id [ann]"


async def test_the_whole_url_may_be_signed(ann: Customer) -> None:
    for origin in (ann.url, ann.url.replace("http", "https")):
        whole = f"{origin}/symetry/rest/ann/{LIST}"
        assert (await ann.call("GET", LIST, signed_path=whole)).status == 200
