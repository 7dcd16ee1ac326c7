"""The protocol's test vectors, sent as the clients that made them send them."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from socket import SHUT_RDWR

import aiohttp
import msgspec
import pytest
from yarl import URL

from tally.user_keys import MAX_AGE_S
from tally.wire.socket_frames import build_frame
from tests.unit.broker.symetry.edge import KEY, SignedEdge, signed_edge

DATE = "2025-01-15 10:30:00;123456789"
HOST = "localhost:8080"
ROWS = b'{"attributeNames":["x","y"],"data":[["1","2"]],"attributeTypes":["C","C"]}'
LEARNED = (
    b'{"attributeNames":["x","y"],"data":[["1","2"],["3","4"]],"attributeTypes":["C","C"],'
    b'"errorHandling":1}'
)
OK = {"statusCode": "OK", "statusString": "OK", "values": {}}


@pytest.fixture
async def edge(tmp_path: Path) -> AsyncIterator[SignedEdge]:
    async with signed_edge(tmp_path) as made:
        yield made


VECTORS = [
    ("V1", "GET", "irisTest/info", b"", "zPH+HCutZz85KElWrOIrGkPnSsJ3NGr0HrEBDqVDVAU="),
    (
        "V2",
        "GET",
        "irisTest/rename?newName=iris2",
        b"",
        "JMQ5wPypOhBSEDmNfqfhX1VP3J+wylxd6WoRLTgxUCg=",
    ),
    ("V3", "POST", "irisTest/learn", LEARNED, "R5fUWiicmBiunA3stJMV8KEZ0EhYAiLm8a6kwZJS9Vw="),
    ("V5", "GET", "irisTest/info", b"", "kGHgSqLiD68MlkgIMME/Uy7W/PpayCEBWT2Oafbb4gA="),
    ("V6", "GET", "my%20proj/info", b"", "nbhrtxNHRqxeJiWAJyf8GBwPXIFp/KIGomBs4xir6WI="),
    ("V7", "GET", "my%20proj/info", b"", "NkbhyS1cC1PtiR9ztKYH8NhbhuM05OfUIME0uauqr8c="),
]


@pytest.mark.parametrize(("name", "method", "path", "body", "signature"), VECTORS)
async def test_a_signature_of_the_documents_is_accepted(
    edge: SignedEdge, name: str, method: str, path: str, body: bytes, signature: str
) -> None:
    headers = {"Authorization": signature, "sym-date": DATE, "Host": HOST}
    url = URL(f"{edge.url}/symetry/rest/c1/projects/{path}", encoded=True)
    async with edge.client.request(method, url, data=body or None, headers=headers) as response:
        told = await response.json()
    if name in ("V6", "V7"):
        assert told["statusString"] == "Cannot Find SYMETRYML id[my proj] for Customer id [c1]"
        return
    assert response.status in (200, 201), told
    ((asked, received),) = edge.asked
    assert asked.endswith(path.removeprefix("irisTest"))
    assert received == body


async def test_v4_a_project_is_created(edge: SignedEdge) -> None:
    headers = {
        "Authorization": "sz9/L/UCziiJB9Meb01dzXT4t9qqYIOir4b64tLWoj0=",
        "sym-date": DATE,
        "Content-MD5": "q30D4ZPJDGUGlER8XlzRXQ==",
    }
    url = f"{edge.url}/symetry/rest/c1/projects?pid=irisTest&type=cpu&persist=true"
    body = b'{"sml_project_autosave":"true"}'
    async with edge.client.post(URL(url, encoded=True), data=body, headers=headers) as response:
        assert response.status == 409
        told = await response.json()
    assert told["statusString"] == "Customer [c1] already have SYMETRYML with id[irisTest], "


W1 = "uiYT0rTKFLNoloCWk7g7xzXUL4KyNPyxMKBftmev0HE="
W2 = "AcACFMjdffgE23gG3MDR1BwHKhCj2a+TdpeJNOyoTfs="


def message(signature: str, payload: bytes = ROWS) -> str:
    md5 = base64.b64encode(hashlib.md5(payload).digest()).decode()
    header = msgspec.json.encode(
        {"headers": [DATE, md5, signature, "c1"], "extraKeys": ["irisTest"]}
    ).decode()
    return f"{len(header)},{header}{payload.decode()}"


def test_our_first_message_is_that_of_the_documents() -> None:
    assert message(W1).startswith(
        '149,{"headers":["2025-01-15 10:30:00;123456789","wVhOKWT3Gf9rKM0cdMV0rw==",'
    )


@pytest.mark.parametrize("signature", [W1, W2])
async def test_a_signed_message_is_learned(edge: SignedEdge, signature: str) -> None:
    url = f"{edge.url}/symetry/ws/learn"
    async with edge.client.ws_connect(url, headers={"Host": HOST}) as socket:
        await socket.send_str(message(signature))
        assert await socket.receive_json() == OK
        # The same customer and project from here on.
        await socket.send_str(ROWS.decode())
        assert await socket.receive_json() == OK
        await socket.send_str(f"0,{ROWS.decode()}")
        assert await socket.receive_json() == OK
    assert [body for _, body in edge.asked] == [ROWS] * 3
    assert all("/learn" in path for path, _ in edge.asked)


@pytest.mark.parametrize("signed_end", ["", "/"])
async def test_a_slash_at_the_end_of_a_sockets_path_is_signed_or_not(
    edge: SignedEdge, signed_end: str
) -> None:
    path = f"/symetry/ws/learn{signed_end}"
    sent = build_frame(KEY, "c1", f"ws://{HOST}{path}", ["irisTest"], DATE, ROWS)
    url = f"{edge.url}/symetry/ws/learn/"
    async with edge.client.ws_connect(url, headers={"Host": HOST}) as socket:
        await socket.send_str(sent)
        assert await socket.receive_json() == OK


async def test_an_open_connection_ends_once_its_key_was_rotated(edge: SignedEdge) -> None:
    url = f"{edge.url}/symetry/ws/learn"
    async with edge.client.ws_connect(url, headers={"Host": HOST}) as socket:
        await socket.send_str(message(W1))
        assert await socket.receive_json() == OK
        await edge.users.rotate("c1")
        edge.clock.skipped_s += MAX_AGE_S
        await socket.send_str(ROWS.decode())
        told = await socket.receive_json()
        assert (told["statusCode"], told["statusString"]) == ("UNAUTHORIZED", "Invalid Signature")
        assert (await socket.receive()).data == 1008
    assert len(edge.asked) == 1


async def test_an_open_connection_ends_once_its_customer_was_deleted(edge: SignedEdge) -> None:
    url = f"{edge.url}/symetry/ws/learn"
    async with edge.client.ws_connect(url, headers={"Host": HOST}) as socket:
        await socket.send_str(message(W1))
        assert await socket.receive_json() == OK
        found = await edge.projects.names.find("c1", "irisTest")
        assert found is not None
        await edge.projects.delete(found.project)
        await edge.users.delete("c1")
        edge.clock.skipped_s += MAX_AGE_S
        await socket.send_str(ROWS.decode())
        told = await socket.receive_json()
        assert (told["statusCode"], told["statusString"]) == ("UNAUTHORIZED", "Invalid User")
    assert len(edge.asked) == 1


async def test_the_host_is_compared_as_it_was_sent(edge: SignedEdge) -> None:
    url = f"{edge.url}/symetry/ws/learn"
    for host, code in (("LOCALHOST:8080", "UNAUTHORIZED"), (HOST, "OK")):
        async with edge.client.ws_connect(url, headers={"Host": host}) as socket:
            await socket.send_str(message(W1))
            assert (await socket.receive_json())["statusCode"] == code


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        (ROWS.decode(), "Authentication header is null"),
        (f"0,{ROWS.decode()}", "Authentication header is null"),
        (message("AAAA"), "Invalid Signature"),
        (message(W1, ROWS + b" "), "Invalid Signature"),
        (message(W1).replace("wVhO", "AAAA", 1), "Md5 do not match"),
        (message(W1).replace('"c1"', '"c2"', 1), "Invalid User"),
        (message(W1).replace("2025-01-15", "2025-01-16", 1), "Please update your server time"),
        (message(W1).replace("2025-01-15", "2025/01/15", 1), "Invalid Date Format"),
        ("12,nothing", "frame: what its length, 12, counts off is no header"),
        ("hello", "frame: 'hello' begins neither"),
    ],
)
async def test_a_message_that_is_refused_ends_the_connection(
    edge: SignedEdge, sent: str, text: str
) -> None:
    async with edge.client.ws_connect(
        f"{edge.url}/symetry/ws/learn", headers={"Host": HOST}
    ) as socket:
        await socket.send_str(sent)
        told = await socket.receive_json()
        assert told["statusString"].startswith(text)
        assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
        assert socket.close_code == 1008
    assert not edge.asked


async def test_what_the_home_refuses_ends_the_connection_with_its_text(edge: SignedEdge) -> None:
    edge.answer = (400, b'{"text":"Project [irisTest] is frozen"}')
    async with edge.client.ws_connect(
        f"{edge.url}/symetry/ws/learn", headers={"Host": HOST}
    ) as socket:
        await socket.send_str(message(W1))
        assert await socket.receive_json() == {
            "statusCode": "BAD_REQUEST",
            "statusString": "Project [irisTest] is frozen",
            "values": {},
        }
        assert (await socket.receive()).data == 1008


async def test_a_binary_message_is_refused(edge: SignedEdge) -> None:
    async with edge.client.ws_connect(f"{edge.url}/symetry/ws/learn") as socket:
        await socket.send_bytes(b"x")
        assert (await socket.receive_json())["statusString"] == "A message is text, not binary"


async def test_there_is_no_other_socket(edge: SignedEdge) -> None:
    for path in ("explore", "learn/more", ""):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await edge.client.ws_connect(f"{edge.url}/symetry/ws/{path}")
        assert refused.value.status == 403
    async with edge.client.ws_connect(f"{edge.url}/symetry/ws/forget/"):
        pass


async def test_a_message_over_the_limit_closes_the_connection(tmp_path: Path) -> None:
    async with (
        signed_edge(tmp_path, socket_message_bytes=20_000_000) as edge,
        edge.client.ws_connect(f"{edge.url}/symetry/ws/learn", headers={"Host": HOST}) as socket,
    ):
        await socket.send_str(message(W1))
        assert await socket.receive_json() == OK
        await socket.send_str("0," + " " * 17_000_000 + ROWS.decode())
        assert await socket.receive_json() == OK
        # It may be closed before we have sent everything.
        with contextlib.suppress(ConnectionError):
            await socket.send_str("0," + " " * 20_100_000)
        ended = (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
        assert (await socket.receive()).type in ended
    assert len(edge.asked) == 2


async def test_more_connections_than_allowed_are_told_so(tmp_path: Path) -> None:
    async with signed_edge(tmp_path, socket_connections=1) as edge:
        url = f"{edge.url}/symetry/ws/learn"
        async with edge.client.ws_connect(url, headers={"Host": HOST}) as first:
            await first.send_str(message(W1))
            assert await first.receive_json() == OK
            async with edge.client.ws_connect(url) as second:
                assert (await second.receive_json())["statusCode"] == "TOO_MANY_REQUESTS"
                # Whoever was there before goes on.
                await first.send_str(ROWS.decode())
                assert await first.receive_json() == OK
        async with edge.client.ws_connect(url, headers={"Host": HOST}) as third:
            await third.send_str(message(W1))
            assert await third.receive_json() == OK


async def test_a_connection_that_breaks_off_makes_room_for_another(tmp_path: Path) -> None:
    async with signed_edge(tmp_path, socket_connections=1) as edge:
        url = f"{edge.url}/symetry/ws/learn"
        first = await edge.client.ws_connect(url, headers={"Host": HOST})
        await first.send_str(message(W1))
        assert await first.receive_json() == OK
        transport = first.get_extra_info("socket")
        transport.shutdown(SHUT_RDWR)  # as a client does that just ends
        for _ in range(1000):
            async with edge.client.ws_connect(url, headers={"Host": HOST}) as second:
                await second.send_str(message(W1))
                if await second.receive_json() == OK:
                    break
            await asyncio.sleep(0.005)
        else:
            raise AssertionError("its place is never free again")
        await first.close()
