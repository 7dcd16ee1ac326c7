"""Secrets are planted, and then looked for in everything that is written or told."""

from __future__ import annotations

import base64
import logging
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import nkeys  # type: ignore[import-untyped]
import pytest
import structlog

from model_api.federation.secrets import Secrets
from tally.federation.memory import MemoryTransport
from tests.integration.federation.peers import (
    OPTIONS,
    create,
    federation_info,
    invited,
    join,
    learned,
    log,
    ordered,
)
from tests.integration.fusion.servers import customer, info, server
from tests.integration.symetry.customer import Customer, Told

PATIENTS = {
    "attributeNames": ["patient", "x"],
    "attributeTypes": ["P", "C"],
    "data": [[f"patient-{n}", n % 7] for n in range(40)],
}


def forms(secret: bytes) -> Iterator[bytes]:
    """Yield a secret as it would look in text or binary, also within longer base64."""
    yield secret
    yield secret.hex().encode()
    yield repr(secret)[2:-1].encode()
    for before in range(3):
        text = base64.b64encode(bytes(before) + secret)
        yield text[4 if before else 0 : -4]


def shown(planted: dict[str, bytes], told: Iterable[bytes]) -> set[str]:
    """Return the names of the secrets that are in any of these."""
    whole = b"\n".join(told)
    return {name for name, secret in planted.items() if any(one in whole for one in forms(secret))}


def written(folder: Path) -> Iterator[bytes]:
    for path in folder.rglob("*"):
        if path.is_file():
            yield path.read_bytes()


class Planted:
    """What was planted, and what was told.

    Attributes:
        secrets: by a name for the test's report.
        told: bodies of all answers.
    """

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        seed = nkeys.encode_seed(secrets.token_bytes(32), nkeys.PREFIX_BYTE_USER)
        self.secrets: dict[str, bytes] = {
            "nats password": secrets.token_hex(12).encode(),
            "nats token": secrets.token_hex(12).encode(),
            "nats seed": bytes(seed),
            "password of the invitation": secrets.token_hex(8).encode(),
        }
        self.told: list[bytes] = []
        new, call = Secrets.new, Customer.call

        def planting(*given: Any) -> Secrets:
            made = new(*given)
            number = len(self.secrets)
            self.secrets |= {
                f"secret key {number}": made.secret,
                f"private key {number}": made.private,
                f"patients' key {number}": made.hipaa_key,
            }
            return made

        async def recording(*given: Any, **named: Any) -> Told:
            told = await call(*given, **named)
            self.told.append(told.body)
            return told

        patch.setattr(Secrets, "new", planting)
        patch.setattr(Customer, "call", recording)

    def text(self, name: str) -> str:
        return self.secrets[name].decode()


@pytest.fixture
def logs_as_served() -> Iterator[None]:
    """Log as `tally.logs` does: without the values that a traceback's functions had."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ]
    )
    yield
    structlog.reset_defaults()


@pytest.mark.usefixtures("logs_as_served")
async def test_no_secret_of_a_federation_is_written_or_told(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    planted = Planted(monkeypatch)
    password = planted.text("password of the invitation")
    ways = {
        "byuser": {"nats_sec_user": "u", "nats_sec_passwd": planted.text("nats password")},
        "bytoken": {"nats_sec_token": planted.text("nats token")},
        "byseed": {"nats_sec_nkey_seed": planted.text("nats seed")},
    }
    all_ways = {key: text for way in ways.values() for key, text in way.items()}
    async with server(tmp_path / "one", OPTIONS) as one:
        ann, bob = await customer(one, "ann"), await customer(one, "bob")
        for pid, way in ways.items():
            told = await create(ann, pid, fed_enforce_hipaa_compliance="true", **way)
            assert told.status == 201, told.body
            invitation = await invited(ann, pid, password)
            planted.secrets[f"invitation token {pid}"] = invitation["fed_req_token"].encode()
            assert (await join(bob, pid, invitation)).status == 201
            assert (await join(bob, f"{pid}2", invitation)).status == 409
            for owner in (ann, bob):
                await learned(owner, pid, PATIENTS)
                await ordered(owner, pid, "startPulse")
            await info(ann, pid)
            await federation_info(ann, pid)
            for which in ("getErrorLog", "getSyncLog"):
                await log(ann, pid, which)
            await ann.get(f"fedml/{pid}/syncStats")
        # What goes wrong is told in words, and none of them is a secret.
        nobody = {"nats_hosts": "nats://127.0.0.1:1"}
        for wrong in (*({**nobody, **way} for way in ways.values()), all_ways):
            assert (await create(ann, "wrong", **wrong)).status == 400
        for key in ("fed_secret_key", "nats_sec_nkey_seed", "fed_req_token", "passwd"):
            given = {**nobody, key: planted.text("nats seed") * 200}
            assert (await join(ann, "wrong", invitation | given)).status == 400
        with monkeypatch.context() as broken:

            async def defect(self: MemoryTransport) -> None:
                raise RuntimeError("a defect")

            broken.setattr(MemoryTransport, "create", defect)
            assert (await create(ann, "wrong", **ways["byuser"])).status == 500
        for path in ("jobs", "projects/info", "projects/list"):
            await ann.get(path)
        async with one.client.get(f"{one.url}/metrics") as response:
            planted.told.append(await response.read())
    output = capfd.readouterr()
    logged = [output.out.encode(), output.err.encode(), caplog.text.encode()]
    assert b"a defect" in logged[0] + logged[1], "tracebacks are looked at, too"
    assert b"Traceback" in logged[0] + logged[1]
    files = list(written(tmp_path))
    assert any(b"federated" in data for data in files)
    assert shown(planted.secrets, logged) == set()
    assert shown(planted.secrets, planted.told) == set()
    assert shown(planted.secrets, files) == set()


def test_what_is_looked_for_would_be_found() -> None:
    secret = secrets.token_bytes(16)
    for text in (
        b"x" + secret + b"y",
        base64.b64encode(secret),
        base64.b64encode(b"1" + secret + b"234"),
        base64.b64encode(b"12" + secret + b"234"),
        repr(b"a" + secret).encode(),
        secret.hex().encode(),
    ):
        assert shown({"it": secret}, [text]) == {"it"}
    assert shown({"it": secret}, [secrets.token_bytes(64)]) == set()
