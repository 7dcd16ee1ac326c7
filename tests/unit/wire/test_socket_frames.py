from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tally.errors import InvalidInput, TooLarge
from tally.wire.secret_key import SecretKey
from tally.wire.signing import Preamble, sign_pieces
from tally.wire.socket_frames import (
    MAX_HEADER,
    Frame,
    Header,
    build_frame,
    parse_frame,
    verify_frame,
)
from tally.wire.status import Refused
from tests.unit.wire.vectors import (
    CID,
    DATE,
    KEY,
    SOCKET_HOST,
    SOCKET_MD5,
    SOCKET_PAYLOAD,
    SOCKET_VECTORS,
    W1_FRAME,
    ClockAt,
    SocketVector,
)

LIMIT = 10_000
W1 = SOCKET_VECTORS["W1"]
PATH = "/symetry/ws/learn"


def header_of(vector: SocketVector, cid: str = CID) -> Header:
    return Header(DATE, SOCKET_MD5, vector.signature, cid, vector.extra_keys)


def check(
    header: Header,
    payload: bytes = SOCKET_PAYLOAD,
    key: SecretKey | None = KEY,
    path: str = PATH,
    host: str = SOCKET_HOST,
    origin: str = "",
) -> None:
    credentials = header.credentials(ClockAt())
    verify_frame(path, header, payload, credentials, key, host=host, public_origin=origin)


@pytest.mark.parametrize("name", SOCKET_VECTORS)
def test_what_existing_clients_and_the_documents_sign_is_accepted(name: str) -> None:
    vector = SOCKET_VECTORS[name]
    check(header_of(vector), path=f"/symetry/ws/{vector.verb}")


@pytest.mark.parametrize("name", ["W1", "W3"])
def test_we_frame_and_sign_as_existing_clients_do(name: str) -> None:
    vector = SOCKET_VECTORS[name]
    url = f"ws://{SOCKET_HOST}/symetry/ws/{vector.verb}"
    message = build_frame(KEY, CID, url, vector.extra_keys, DATE, SOCKET_PAYLOAD)
    frame = parse_frame(message, LIMIT)
    assert frame == Frame(header_of(vector), SOCKET_PAYLOAD)
    if name == "W1":
        assert message == W1_FRAME
    else:
        assert message.startswith("156,")


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("", SOCKET_HOST),
        ("ws://Tally.local:1", "Tally.local:1"),
        ("wss://Tally.local:1", "Tally.local:1"),
        ("ws://tally.local", "tally.local"),
        ("ws://tally.local:80", "tally.local"),
        ("wss://tally.local:443", "tally.local"),
        ("ws://[::1]:80", "[::1]"),
        ("https://models.example", "inside"),
        ("wss://models.example", "inside"),
    ],
)
@pytest.mark.parametrize("end", ["", "\n"])
def test_every_reading_of_the_url_is_accepted(origin: str, host: str, end: str) -> None:
    preamble = Preamble(None, SOCKET_MD5, DATE, CID, SOCKET_PAYLOAD)
    signature = sign_pieces(KEY, preamble, f"{origin}{PATH}\nirisTest{end}".encode())
    header = Header(DATE, "", signature, CID, ("irisTest",))
    check(header, host=host, origin="https://models.example")


@pytest.mark.parametrize("origin", ["", f"ws://{SOCKET_HOST}", f"wss://{SOCKET_HOST}"])
@pytest.mark.parametrize("signed_end", ["", "/"])
def test_a_path_sent_with_a_slash_may_be_signed_without(origin: str, signed_end: str) -> None:
    preamble = Preamble(None, SOCKET_MD5, DATE, CID, SOCKET_PAYLOAD)
    signature = sign_pieces(KEY, preamble, f"{origin}{PATH}{signed_end}\nirisTest\n".encode())
    check(Header(DATE, "", signature, CID, ("irisTest",)), path=f"{PATH}/")


@pytest.mark.parametrize(
    ("url", "keys"),
    [
        (f"ws://{SOCKET_HOST}{PATH}/", ("irisTest",)),
        (f"ws://localhost:8081{PATH}", ("irisTest",)),
        (f"http://{SOCKET_HOST}{PATH}", ("irisTest",)),
        (f"ws://{SOCKET_HOST}/symetry/ws/forget", ("irisTest",)),
        (f"ws://{SOCKET_HOST}{PATH}", ("another",)),
        (f"ws://{SOCKET_HOST}{PATH}", ()),
    ],
)
def test_a_signature_is_for_one_url_and_one_project(url: str, keys: tuple[str, ...]) -> None:
    message = build_frame(KEY, CID, url, keys, DATE, SOCKET_PAYLOAD)
    signed = parse_frame(message, LIMIT).header
    assert signed is not None
    with pytest.raises(Refused, match=r"^Invalid Signature$") as caught:
        check(Header(DATE, SOCKET_MD5, signed.signature, CID, ("irisTest",)))
    assert caught.value.status.http == 401


def test_the_refusals_are_those_of_requests_in_the_same_order() -> None:
    def told(header: Header, key: SecretKey | None = KEY) -> str:
        with pytest.raises(Refused) as caught:
            check(header, key=key)
        return caught.value.text

    assert told(Header("", "", "", "", ())) == "Authentication header is null"
    assert told(Header("", "", "s", "", ())) == "sym-date header is null"
    assert told(Header("x", "", "s", "", ())) == "Invalid Date Format"
    old = Header("2025-01-15 10:00:00", "", "s", "", ())
    assert told(old) == "Please update your server time, it is likely out of sync with UTC"
    assert told(Header(DATE, "x", "s", CID, ()), None) == "Invalid User"
    assert told(Header(DATE, "x", "s", CID, ())) == "Md5 do not match"
    assert told(Header(DATE, "", "s", CID, ())) == "Invalid Signature"


def test_what_was_signed_is_told_as_the_path_form() -> None:
    with pytest.raises(Refused) as caught:
        check(Header(DATE, "", "s", CID, ("irisTest",)))
    shown = caught.value.values["stringToSign"]
    assert shown.startswith(rf"{SOCKET_MD5}\nSECRETKEY\n{DATE}\nc1\n")
    assert shown.endswith(r"\n/symetry/ws/learn\nirisTest")
    assert KEY.text not in shown


def frame_text(header: str, payload: str, length: int) -> str:
    return f"{length},{header}{payload}"


@pytest.mark.parametrize("project", ["irisTest", "ü", "😀", "a😀ü€"])
def test_a_header_is_measured_in_bytes_or_in_utf_16_units(project: str) -> None:
    header = json.dumps({"headers": [DATE], "extraKeys": [project]}, ensure_ascii=False)
    for length in (len(header.encode()), len(header.encode("utf-16-le")) // 2):
        frame = parse_frame(frame_text(header, '{"data":[["ü"]]}', length), LIMIT)
        assert frame.header == Header(DATE, "", "", "", (project,))
        assert frame.payload == '{"data":[["ü"]]}'.encode()


@pytest.mark.parametrize("payload", ['{"data":[]}', '{"a":"-289907289"}', '{"headers":null}'])
def test_a_message_without_a_header_is_all_payload(payload: str) -> None:
    for message in (payload, f"0,{payload}"):
        assert parse_frame(message, LIMIT) == Frame(None, payload.encode())


def test_the_framing_of_old_clients_is_understood() -> None:
    header = W1_FRAME[4:153]
    message = f"{header}-289907289{SOCKET_PAYLOAD.decode()}"
    assert parse_frame(message, LIMIT) == Frame(header_of(W1), SOCKET_PAYLOAD)


@pytest.mark.parametrize(
    "message",
    [
        "",
        "149",
        "149,",
        "hello",
        "-1,{}",
        "148" + W1_FRAME[3:],
        "150" + W1_FRAME[3:],
        "65" + W1_FRAME[3:],
        '14,{"headers":[]}',
        '16,{"headers":null}{}',
        '16,{"headers":[[]]}{}',
        "2,[]{}",
        "0,",
        '0,{"data":"\ud800"}',
        "٣,{}",  # a digit, but not ours
        f'16000,{{"x":{"[" * 15_000}{"]" * 15_000}}}',
    ],
)
def test_what_is_no_frame_is_refused(message: str) -> None:
    with pytest.raises(InvalidInput, match=r"^frame: "):
        parse_frame(message, LIMIT)


def test_headers_and_payloads_are_bounded() -> None:
    with pytest.raises(TooLarge, match="header"):
        parse_frame(f"{MAX_HEADER + 1},{'{' * 100_000}", LIMIT)
    parse_frame("0,{" + "x" * (LIMIT - 1), LIMIT)
    with pytest.raises(TooLarge, match="payload"):
        parse_frame("0,{" + "x" * LIMIT, LIMIT)


def test_members_that_are_null_or_missing_are_empty() -> None:
    frame = parse_frame('41,{"headers":[null,"m"],"extraKeys":[null]}{}', LIMIT)
    assert frame.header == Header("", "m", "", "", ("",))


@pytest.mark.parametrize(
    ("verb", "keys", "fits"),
    [
        ("learn", ("p",), True),
        ("forget", ("p",), True),
        ("predict", ("p", "m"), True),
        ("learn", ("p", "m"), False),
        ("learn", (), False),
        ("predict", ("p",), False),
        ("predict", ("p", ""), False),
    ],
)
def test_a_verb_needs_its_ids(verb: str, keys: tuple[str, ...], fits: bool) -> None:
    header = Header(DATE, "", "s", CID, keys)
    if fits:
        assert header.target(verb) == keys
    else:
        with pytest.raises(InvalidInput, match=f"^extraKeys: {verb} needs"):
            header.target(verb)


pieces = st.sampled_from(
    ["149,", "0,", "{", "}", '{"headers":[', '"a",', "null,", '"x"]', ',"extraKeys":["p"]}']
) | st.text(max_size=5)


@given(st.text(max_size=60) | st.lists(pieces, max_size=12).map("".join), st.integers(0, 40))
def test_any_message_is_read_or_refused(message: str, length: int) -> None:
    for text in (message, f"{length},{message}", f"{message}-289907289{message}"):
        with contextlib.suppress(InvalidInput):
            frame = parse_frame(text, LIMIT)
            if frame.header is not None:
                with contextlib.suppress(Refused):
                    check(frame.header, frame.payload)
