from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tally.wire import signing
from tally.wire.credentials import Credentials
from tally.wire.secret_key import SecretKey
from tally.wire.signing import (
    SignedRequest,
    format_date,
    sign,
    signed_headers,
    verify,
)
from tally.wire.status import Refused
from tests.unit.wire.vectors import CID, DATE, KEY, SIGNED_AT, VECTORS, ClockAt, Vector

HOST = "localhost:8080"
ANOTHER_KEY = SecretKey(bytes(range(1, 17)))
V1, V3 = VECTORS["V1"], VECTORS["V3"]


def request_of(vector: Vector, host: str = HOST, cid: str = CID) -> SignedRequest:
    return SignedRequest(
        vector.verb, cid, vector.raw_path.encode(), vector.query.encode(), host, vector.body
    )


def credentials(signature: str, md5: str = "", claimed_cid: str = "") -> Credentials:
    return Credentials.checked(signature, DATE, md5, claimed_cid, ClockAt())


def refusal(
    request: SignedRequest, credentials: Credentials, key: SecretKey | None = KEY, origin: str = ""
) -> Refused:
    with pytest.raises(Refused) as caught:
        verify(request, credentials, key, public_origin=origin)
    return caught.value


@pytest.mark.parametrize("name", VECTORS)
def test_what_existing_clients_sign_is_accepted(name: str) -> None:
    vector = VECTORS[name]
    verify(request_of(vector), credentials(vector.signature, vector.md5), KEY)


@pytest.mark.parametrize("name", VECTORS)
def test_we_sign_as_existing_clients_do(name: str) -> None:
    vector = VECTORS[name]
    signature = sign(
        KEY, CID, vector.verb, vector.signed_path, DATE, query=vector.query, body=vector.body
    )
    assert signature == vector.signature


def test_the_client_headers_are_those_of_a_signed_request() -> None:
    headers = signed_headers(KEY, CID, "POST", "/p", SIGNED_AT, query="a=1", body=b"{}")
    read = Credentials.read({name.lower(): text for name, text in headers.items()}, ClockAt())
    verify(SignedRequest("POST", CID, b"/p", b"a=1", "h", b"{}"), read, KEY)
    assert headers["sym-date"] == "2025-01-15 10:30:00;0"
    assert "Content-MD5" not in signed_headers(KEY, CID, "GET", "/p", SIGNED_AT)


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/a%20b", "x=%2F+y"),
        ("/a b", "x=%2F+y"),
        ("/a b", "x=/+y"),
        ("/a%20b", "x=/+y"),
        (f"http://{HOST}/a%20b", "x=%2F+y"),
        (f"https://{HOST}/a%20b", "x=/+y"),
        ("https://models.example/a%20b", "x=%2F+y"),
    ],
)
def test_every_reading_of_path_and_query_is_accepted(path: str, query: str) -> None:
    request = SignedRequest("GET", CID, b"/a%20b", b"x=%2F+y", HOST)
    signature = sign(KEY, CID, "GET", path, DATE, query=query)
    verify(request, credentials(signature), KEY, public_origin="https://models.example")


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/a%20b", "x=/ y"),  # a plus is a plus
        ("/a%20b", ""),
        ("/a%20b/", "x=%2F+y"),
        ("http://elsewhere/a%20b", "x=%2F+y"),
        ("https://models.example/a%20b", "x=%2F+y"),  # not configured here
    ],
)
def test_another_resource_is_not_accepted(path: str, query: str) -> None:
    request = SignedRequest("GET", CID, b"/a%20b", b"x=%2F+y", HOST)
    refused = refusal(request, credentials(sign(KEY, CID, "GET", path, DATE, query=query)))
    assert refused.text == "Invalid Signature"


def test_the_case_of_the_host_header_counts() -> None:
    signature = sign(KEY, CID, "GET", "http://Tally.Local/p", DATE)
    verify(SignedRequest("GET", CID, b"/p", b"", "Tally.Local"), credentials(signature), KEY)
    refused = refusal(SignedRequest("GET", CID, b"/p", b"", "tally.local"), credentials(signature))
    assert refused.text == "Invalid Signature"


def test_a_path_with_an_encoded_line_end_is_not_taken_for_a_path_and_a_query() -> None:
    signature = sign(KEY, CID, "GET", "/p", DATE, query="a=1")
    verify(SignedRequest("GET", CID, b"/p", b"a=1"), credentials(signature), KEY)
    refused = refusal(SignedRequest("GET", CID, b"/p%0Aa=1"), credentials(signature))
    assert refused.text == "Invalid Signature"


@pytest.mark.parametrize(
    ("date", "text"),
    [
        ("2025-01-15 10:30:00", None),
        ("2025-01-15 10:30:00;1245", None),
        ("2025-01-15 10:30:00;000000", None),
        ("2025-01-15 10:25:00;999999999", None),
        ("2025-01-15 10:31:00", None),
        ("2025-01-15 10:24:59", "Please update your server time, it is likely out of sync"),
        ("2025-01-15 10:31:01", "Please update your server time, it is likely out of sync"),
        ("0001-01-01 00:00:00", "Please update your server time, it is likely out of sync"),
        ("9999-12-31 23:59:59", "Please update your server time, it is likely out of sync"),
        ("2025-13-15 10:30:00", "Invalid Date Format"),
        ("2025-01-15 24:30:00", "Invalid Date Format"),
        ("0000-01-15 10:30:00", "Invalid Date Format"),
        ("2025-01-15T10:30:00", "Invalid Date Format"),
        ("2025-01-15 10:30:00;", "Invalid Date Format"),
        ("2025-01-15 10:30:00Z", "Invalid Date Format"),
        ("2025-01-15 10:30:00;1\n", None),  # white space around a header is no part of it
        ("2025-01-15 10:30:00;1\n2", "Invalid Date Format"),
        ("٢٠٢٥-01-15 10:30:00", "Invalid Date Format"),  # digits, but not ours
        ("2025-01-15 10:30:00;٣", "Invalid Date Format"),
        ("yesterday", "Invalid Date Format"),
    ],
)
def test_a_date_is_read_by_its_form_and_then_by_the_window(date: str, text: str | None) -> None:
    headers = {"authorization": "s", "sym-date": date}
    if text is None:
        assert Credentials.read(headers, ClockAt()).date == date.strip()
        return
    with pytest.raises(Refused, match=text) as caught:
        Credentials.read(headers, ClockAt())
    assert caught.value.status.http == 400


def test_the_window_is_counted_in_whole_seconds() -> None:
    late = ClockAt(SIGNED_AT + timedelta(minutes=5, microseconds=999_999))
    Credentials.read({"authorization": "s", "sym-date": DATE}, late)


def test_the_checks_come_in_their_order() -> None:
    headers = {"authorization": "", "sym-date": "", "customer-id": "c2", "content-md5": "x"}
    told = []
    for name, text in (("authorization", "s"), ("sym-date", "x"), ("sym-date", DATE)):
        with pytest.raises(Refused) as caught:
            Credentials.read(headers, ClockAt(SIGNED_AT + timedelta(hours=1)))
        told.append(caught.value.text)
        headers[name] = text
    assert told == [
        "Authentication header is null",
        "sym-date header is null",
        "Invalid Date Format",
    ]
    request = request_of(V3)
    wrong = credentials("s", "x", "c2")
    assert refusal(request, wrong, None).text == "Invalid User"
    assert refusal(request, wrong).text == "Invalid User"
    assert refusal(request, credentials("s", "x")).text == "Md5 do not match"
    assert refusal(request, credentials("s", V3.md5)).text == "Invalid Signature"


def test_each_refusal_has_its_status() -> None:
    request = request_of(V3)
    assert refusal(request, credentials("s"), None).status.http == 401
    assert refusal(request, credentials("s", "x")).status.http == 400
    assert refusal(request, credentials("s")).status.http == 401


def test_an_absent_and_an_empty_md5_are_not_compared() -> None:
    verify(request_of(V3), credentials(V3.signature, ""), KEY)


def test_the_customer_of_the_headers_must_be_that_of_the_url() -> None:
    verify(request_of(V1), credentials(V1.signature, claimed_cid=CID), KEY)
    refused = refusal(request_of(V1), credentials(V1.signature, claimed_cid="c2"))
    assert (refused.text, refused.status.http) == ("Invalid User", 401)


def test_a_signature_is_one_customers_only() -> None:
    assert refusal(request_of(V1, cid="c2"), credentials(V1.signature)).text == "Invalid Signature"
    assert refusal(request_of(V1), credentials(V1.signature), ANOTHER_KEY).values


@pytest.mark.parametrize(
    "signature",
    [
        "",
        "Bearer " + V1.signature,
        V1.signature[:-1],
        V1.signature + "=",
        V1.signature.lower(),
        "ü" * 44,
        "\udcff",
    ],
)
def test_nothing_but_the_signature_itself_is_accepted(signature: str) -> None:
    given = Credentials(signature, DATE)
    assert refusal(request_of(V1), given).text == "Invalid Signature"


def test_an_invalid_signature_is_told_what_was_signed_without_the_key() -> None:
    refused = refusal(request_of(V3), credentials("s"), ANOTHER_KEY)
    shown = refused.values["stringToSign"]
    assert shown == (
        r"POST\nLK+jiugZe8R2g+Fjn2OtTA==\nSECRETKEY\n2025-01-15 10:30:00;123456789\nc1\n"
        + V3.body.decode()
        + r"\n/symetry/rest/c1/projects/irisTest/learn\n"
    )
    assert ANOTHER_KEY.text not in repr(refused)


def test_what_was_signed_is_shown_of_a_long_body_in_part() -> None:
    request = SignedRequest("POST", CID, b"/p", body=b"\xff" + b"a" * 10_000_000)
    shown = refusal(request, credentials("s")).values["stringToSign"]
    assert len(shown) < 20_000
    assert r"a...[10000001 bytes]\n/p\n" in shown


def test_an_unknown_customer_costs_as_many_hashed_bytes_as_a_wrong_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hashed: list[int] = []
    compared: list[tuple[int, int]] = []

    class Counting:
        """An HMAC that counts what goes through it."""

        def __init__(self, inner: hmac.HMAC) -> None:
            self._inner = inner

        def update(self, data: bytes) -> None:
            hashed.append(len(data))
            self._inner.update(data)

        def copy(self) -> Counting:
            return Counting(self._inner.copy())

        def digest(self) -> bytes:
            return self._inner.digest()

    class Module:
        """What signing uses of the hmac module."""

        HMAC = hmac.HMAC

        @staticmethod
        def new(key: bytes, digestmod: object) -> Counting:
            assert digestmod is hashlib.sha256
            return Counting(hmac.new(key, digestmod=hashlib.sha256))

        @staticmethod
        def compare_digest(left: bytes, right: bytes) -> bool:
            compared.append((len(left), len(right)))
            return hmac.compare_digest(left, right)

    monkeypatch.setattr(signing, "hmac", Module)
    costs = []
    first = sign(KEY, CID, "GET", "/a%20b", DATE, query="b=%20")
    last = sign(KEY, CID, "GET", f"https://{HOST}/a%20b", DATE, query="b= ")
    request = SignedRequest("GET", CID, b"/a%20b", b"b=%20", HOST)
    for signature, key, passes in (
        (first, None, False),  # unknown
        (first, ANOTHER_KEY, False),  # a wrong key
        (first, KEY, True),  # the first reading matches
        (last, KEY, True),  # the last one does
    ):
        hashed.clear()
        compared.clear()
        if passes:
            verify(request, credentials(signature), key)
        else:
            refusal(request, credentials(signature), key)
        costs.append((list(hashed), list(compared)))
    assert costs[0] == costs[1] == costs[2] == costs[3]
    assert len(costs[0][1]) == 8  # four resources, two queries


@given(
    st.text(max_size=20),
    st.text(max_size=40),
    st.text(max_size=20),
    st.text(max_size=20),
    st.binary(max_size=50),
    st.binary(max_size=20),
    st.text(max_size=20),
    st.binary(max_size=20),
    st.booleans(),
)
def test_whatever_is_sent_is_refused_in_the_documented_words(
    signature: str,
    date: str,
    md5: str,
    claimed: str,
    path: bytes,
    query: bytes,
    host: str,
    body: bytes,
    well_dated: bool,
) -> None:
    headers = {
        "authorization": signature,
        "sym-date": DATE if well_dated else date,
        "content-md5": md5,
        "customer-id": claimed,
    }
    with pytest.raises(Refused) as caught:
        verify(
            SignedRequest("POST", CID, path, query, host, body),
            Credentials.read(headers, ClockAt()),
            KEY,
        )
    assert caught.value.status.http in (400, 401)


@given(st.binary(max_size=60), st.binary(max_size=60), st.binary(max_size=60))
def test_every_path_and_query_is_accepted_as_sent(path: bytes, query: bytes, body: bytes) -> None:
    preamble = signing.Preamble("POST", signing.body_md5(body), DATE, CID, body)
    tail = path + b"\n" + (query + b"\n" if query else b"")
    signature = signing.sign_pieces(KEY, preamble, tail)
    verify(SignedRequest("POST", CID, path, query, HOST, body), credentials(signature), KEY)


def test_a_moment_of_another_zone_is_written_in_utc() -> None:
    moment = datetime.fromisoformat("2025-01-15T12:30:00.000001+02:00")
    assert format_date(moment) == "2025-01-15 10:30:00;1000"
    assert moment.astimezone(UTC) == SIGNED_AT + timedelta(microseconds=1)
