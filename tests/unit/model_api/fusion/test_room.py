from __future__ import annotations

from contextlib import suppress

import pytest

from model_api.fusion.fetching import CellFailed
from model_api.fusion.room import Room


def test_refreshes_share_the_room_and_give_it_back() -> None:
    room = Room(100)
    with room.share(0) as one, one.part() as take:
        take(60)
        with room.share(0) as other, other.part() as take_more:
            with pytest.raises(CellFailed, match="being fetched at once"):
                take_more(41)
            take_more(40)
    with room.share(0) as one, one.part() as take:
        take(100)


def test_a_cell_that_fails_gives_back_its_part_at_once() -> None:
    with Room(100).share(0) as share:
        with suppress(ValueError), share.part() as take:
            take(100)
            raise ValueError("garbage")
        with share.part() as take:
            take(100)


def test_a_project_grows_by_what_replaces_less() -> None:
    with Room(100).share(90) as share:
        share.keep(50, 45)
        with pytest.raises(CellFailed, match="would not fit"):
            share.keep(6, 0)
        share.keep(5, 0)
