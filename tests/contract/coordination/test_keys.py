from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tally.coordination.base import Coordinator
from tally.coordination.bounds import MAX_VALUE_BYTES
from tally.errors import CoordinationUnavailable, InvalidInput, TooLarge

if TYPE_CHECKING:
    from tests.contract.coordination.conftest import StartChild


async def test_a_missing_key_is_none(coordinator: Coordinator) -> None:
    assert await coordinator.get("nobody") is None


async def test_a_key_is_read_as_it_was_put(coordinator: Coordinator, other: Coordinator) -> None:
    revision = await coordinator.put("nodes/a", b"\x00\xff")
    found = await other.get("nodes/a")
    assert found is not None
    assert (found.key, found.value, found.revision) == ("nodes/a", b"\x00\xff", revision)


async def test_revisions_grow_with_every_change_of_any_key(coordinator: Coordinator) -> None:
    revisions = [await coordinator.put(key, b"") for key in ("a", "b", "a")]
    assert revisions == sorted(set(revisions))


async def test_a_list_holds_the_keys_of_its_prefix_and_no_others(coordinator: Coordinator) -> None:
    for key in ("nodes/b", "nodes/a", "nodes", "nodes0", "models/a"):
        await coordinator.put(key, key.encode())
    found = await coordinator.list("nodes/")
    assert {key: item.value for key, item in found.items.items()} == {
        "nodes/a": b"nodes/a",
        "nodes/b": b"nodes/b",
    }
    assert all(key == item.key for key, item in found.items.items())


async def test_a_list_of_everything_holds_only_what_was_put(coordinator: Coordinator) -> None:
    assert not (await coordinator.list("")).items
    await coordinator.put("a", b"")
    assert list((await coordinator.list("")).items) == ["a"]


async def test_every_client_names_the_same_incarnation(
    coordinator: Coordinator, other: Coordinator
) -> None:
    first, second = await asyncio.gather(coordinator.list(""), other.list("nodes/"))
    assert first.incarnation == second.incarnation != ""


async def test_a_deleted_key_is_gone_and_may_be_deleted_again(coordinator: Coordinator) -> None:
    await coordinator.put("a", b"")
    await coordinator.delete("a")
    await coordinator.delete("a")
    assert await coordinator.get("a") is None


async def test_deleting_tells_whether_there_was_anything(coordinator: Coordinator) -> None:
    await coordinator.put("a", b"")
    assert await coordinator.delete("a")
    assert not await coordinator.delete("a")


async def test_a_delete_of_an_older_revision_leaves_the_key(coordinator: Coordinator) -> None:
    old = await coordinator.put("a", b"1")
    new = await coordinator.put("a", b"2")
    assert not await coordinator.delete("a", old)
    assert await coordinator.get("a") is not None
    assert await coordinator.delete("a", new)
    assert await coordinator.get("a") is None
    assert not await coordinator.delete("a", new)
    assert not await coordinator.delete("a", 0)


async def test_replace_creates_only_what_is_missing(coordinator: Coordinator) -> None:
    assert await coordinator.replace("a", b"1", 0)
    assert not await coordinator.replace("a", b"2", 0)
    found = await coordinator.get("a")
    assert found is not None
    assert found.value == b"1"


async def test_replace_wants_the_newest_revision(coordinator: Coordinator) -> None:
    old = await coordinator.put("a", b"1")
    new = await coordinator.put("a", b"2")
    assert not await coordinator.replace("a", b"3", old)
    assert await coordinator.replace("a", b"3", new)
    assert not await coordinator.replace("missing", b"3", new)


async def test_of_many_clients_that_replace_at_once_one_wins(
    coordinator: Coordinator, other: Coordinator
) -> None:
    revision = await coordinator.put("a", b"")
    outcomes = await asyncio.gather(
        *(client.replace("a", b"x", revision) for client in [coordinator, other] * 10)
    )
    assert sorted(outcomes) == [False] * 19 + [True]


async def test_two_processes_that_add_to_one_counter_lose_nothing(
    coordinator: Coordinator, start_child: StartChild
) -> None:
    children = [await start_child("add", "200") for _ in range(2)]
    for child in children:
        assert child.stdout is not None
        assert await child.stdout.readline() == b"ready\n"
    await coordinator.put("counter", b"0")
    for child in children:
        assert await child.wait() == 0
    found = await coordinator.get("counter")
    assert found is not None
    assert found.value == b"400"


async def test_what_a_killed_process_had_put_is_there(
    coordinator: Coordinator, start_child: StartChild
) -> None:
    for lines in (1, 7, 40):
        child = await start_child("count", "a")
        assert child.stdout is not None
        for _ in range(lines):
            acknowledged = int(await child.stdout.readline())
        child.kill()
        rest, _ = await child.communicate()
        if rest:
            acknowledged = int(rest.split()[-1])
        found = await coordinator.get("a")
        assert found is not None
        assert int(found.value) in (acknowledged, acknowledged + 1)


async def test_a_value_of_the_greatest_size_is_kept_and_one_byte_more_refused(
    coordinator: Coordinator,
) -> None:
    await coordinator.put("a", b"x" * MAX_VALUE_BYTES)
    with pytest.raises(TooLarge, match="1048577 bytes for 'a'"):
        await coordinator.put("a", b"x" * (MAX_VALUE_BYTES + 1))
    with pytest.raises(TooLarge):
        await coordinator.replace("b", b"x" * (MAX_VALUE_BYTES + 1), 0)
    found = await coordinator.get("a")
    assert found is not None
    assert len(found.value) == MAX_VALUE_BYTES


async def test_six_values_of_the_greatest_size_are_listed_at_once(coordinator: Coordinator) -> None:
    for key in "abcdef":
        await coordinator.put(key, b"x" * MAX_VALUE_BYTES)
    assert len((await coordinator.list("")).items) == 6


@pytest.mark.parametrize("key", ["", "a\0b", "x" * 1025, "\ud800"])
async def test_a_key_that_some_backend_cannot_hold_is_refused(
    coordinator: Coordinator, key: str
) -> None:
    with pytest.raises(InvalidInput, match=r"^key: "):
        await coordinator.put(key, b"")
    with pytest.raises(InvalidInput, match=r"^key: "):
        await coordinator.get(key)


async def test_ping_answers(coordinator: Coordinator) -> None:
    await coordinator.ping()


async def test_closing_twice_is_allowed_and_a_closed_client_says_so(
    coordinator: Coordinator,
) -> None:
    await coordinator.ping()
    await coordinator.close()
    await coordinator.close()
    with pytest.raises(CoordinationUnavailable, match="closed"):
        await coordinator.get("a")
    with pytest.raises(CoordinationUnavailable, match="closed"):
        coordinator.watch("")


async def test_a_client_that_was_never_used_closes(coordinator: Coordinator) -> None:
    await coordinator.close()
