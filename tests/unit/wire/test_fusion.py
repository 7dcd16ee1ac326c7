from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tally.errors import InvalidInput
from tally.fusion.cells import Cell, Scope
from tally.wire import texts
from tally.wire.bodycrypt import encrypt
from tally.wire.fusion import (
    MAX_CELLS,
    FusionCellInfo,
    FusionCellStatus,
    read_cells,
    read_statuses,
    seal_cells,
    seal_statuses,
)
from tally.wire.secret_key import SecretKey
from tally.wire.status import Refused

KEY = SecretKey(bytes(range(16)))
SK = SecretKey(bytes(16)).text
CELL = {"host": "https://b.example", "cid": "c2", "sk": SK, "pid": "p2"}


def body(*cells: Any, **more: Any) -> bytes:
    return encrypt(KEY, msgspec.json.encode({"values": cells, **more})).encode()


def test_cells_are_read_from_an_encrypted_list() -> None:
    (info,) = read_cells(KEY, body(CELL))
    assert info.cell == Cell.of("https://b.example", "c2", "p2")
    assert info.key == SecretKey(bytes(16))


def test_clients_send_the_text_as_json_too_and_members_of_their_own() -> None:
    quoted = b'"' + body({**CELL, "localName": "mine"}, size=1) + b'"'
    assert read_cells(KEY, quoted) == read_cells(KEY, body(CELL))


def test_a_bare_list_is_a_list() -> None:
    bare = encrypt(KEY, msgspec.json.encode([CELL])).encode()
    assert read_cells(KEY, bare) == read_cells(KEY, body(CELL))


def test_what_is_sealed_is_read_again() -> None:
    cells = read_cells(KEY, body(CELL, {**CELL, "host": "", "scope": "FEDERATED"}))
    assert read_cells(KEY, seal_cells(KEY, cells).encode()) == cells
    assert cells[1].cell.scope is Scope.FEDERATED


def test_a_key_is_in_no_text() -> None:
    (info,) = read_cells(KEY, body(CELL))
    assert SK not in f"{info!r} {info} {info.cell} {[info]}"


@pytest.mark.parametrize("sent", [b"", b"no base64", encrypt(SecretKey(bytes(16)), b"{}").encode()])
def test_a_body_that_cannot_be_decrypted_is_refused(sent: bytes) -> None:
    with pytest.raises(Refused) as error:
        read_cells(KEY, sent)
    assert error.value.text == "Cannot decrypt request body"
    assert error.value.status.http == 400


@pytest.mark.parametrize("name", ["cid", "sk", "pid"])
def test_a_member_that_is_missing_or_empty_is_named(name: str) -> None:
    for cell in ({**CELL, name: " "}, {key: CELL[key] for key in CELL if key != name}):
        with pytest.raises(Refused) as error:
            read_cells(KEY, body(CELL | {"pid": "other"}, cell))
        assert error.value.text == texts.missing_key(name) == f"Missing required key [{name}]"


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ({"scope": "all"}, "scope: 'all' is neither"),
        ({"host": "ftp://b.example"}, "host: 'ftp://b.example' is neither local"),
        ({"host": "https://u:p@b.example"}, "host: "),
        ({"host": "https://b.example/path"}, "host: "),
        ({"host": "https://"}, "host: "),
        ({"host": "b.example"}, "host: "),
        ({"host": "https://" + "b" * 400}, "host: "),
        ({"pid": "p" * 201}, "pid: 'p{80}' cannot be a name"),
        ({"cid": "c2\r\nx: y"}, "cid: .* cannot be a name"),
        ({"sk": "c2VjcmV0"}, "sk: that of cell.https://b.example c2/p2. is no secret key"),
    ],
)
def test_what_cannot_be_a_cell_is_refused(cell: dict[str, str], text: str) -> None:
    with pytest.raises(InvalidInput, match=text) as error:
        read_cells(KEY, body(CELL | cell))
    assert "c2VjcmV0" not in str(error.value)
    assert ":p@" not in str(error.value)


def test_no_cell_too_many_and_one_twice_are_refused() -> None:
    with pytest.raises(InvalidInput, match="at least one cell"):
        read_cells(KEY, body())
    with pytest.raises(InvalidInput, match=f"at most {MAX_CELLS}"):
        read_cells(KEY, body(*(CELL | {"pid": str(k)} for k in range(MAX_CELLS + 1))))
    twice = CELL | {"host": "HTTPS://b.example/", "scope": "local"}
    with pytest.raises(InvalidInput, match=r"cell\[https://b.example c2/p2\] stands there twice"):
        read_cells(KEY, body(CELL, twice))
    assert len(read_cells(KEY, body(CELL, CELL | {"scope": "federated"}))) == 2


def test_states_are_told_member_by_member() -> None:
    told = FusionCellStatus(
        host="local", cid="c1", status="OK", pid="p1", rows=3, attributes=2, version="1-1",
        fetched_at=5, elapsed_ms=7, age_ms=9,
    )  # fmt: skip
    assert read_statuses(KEY, seal_statuses(KEY, [told])) == (told,)
    assert msgspec.to_builtins(told) == {
        "host": "local", "cid": "c1", "status": "OK", "pid": "p1", "scope": "local", "rows": 3,
        "attributes": 2, "version": "1-1", "fetchedAt": 5, "elapsedMs": 7, "ageMs": 9,
    }  # fmt: skip


def test_the_texts_are_those_of_the_protocol() -> None:
    assert texts.fusion_created("f") == "SYMETRYML Created with id:f"
    assert texts.not_fusion("f") == "Project [f] is not a fusion project"
    assert texts.not_federated("f") == "Project [f] is not a federated project"
    assert texts.not_on_fusion("learn") == (
        "Operation [learn] is not available on a Fusion project"
    )
    assert texts.fusion_without_data("f", "cell[local c/p] TIMEOUT") == (
        "Fusion project [f] has no data: cell[local c/p] TIMEOUT"
    )
    assert texts.fusion_cycle("aba") == "Fusion cycle detected: a -> b -> a"
    assert texts.ADMIN_ONLY == "Only the federation admin can perform this operation"
    assert texts.FUSION_DEPTH == "DEPTH_LIMIT"


def test_a_password_in_a_host_is_not_repeated() -> None:
    with pytest.raises(InvalidInput) as error:
        read_cells(KEY, body(CELL | {"host": "https://me:secret@b.example"}))
    assert "secret" not in str(error.value)


def test_an_info_without_a_scope_is_local() -> None:
    assert FusionCellInfo(cid="c", sk=SK, pid="p").cell.scope is Scope.LOCAL
