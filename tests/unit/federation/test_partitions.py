"""What of a partitioned project leaves, when it does not, and what of another's is taken."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from tally.codec.project import encode
from tally.engine.frame import Frame
from tally.engine.options import PARTITION, Options
from tally.engine.project import Project
from tally.engine.project_draft import MAX_PARTITIONS
from tally.engine.schema import Schema
from tally.engine.summary import Summary
from tally.engine.sums import Sums
from tally.errors import CorruptState, InvalidInput, TooLarge
from tally.federation.foreign import foreign
from tally.federation.privacy.minimum import Turnover
from tally.federation.privacy.reason import Reason
from tally.federation.privacy.record import LocalRecord
from tests.unit.federation.wards import KEY, OPTIONS, Wards, rows


def some(ward: str, n: int, seed: int = 0, first: int = 0) -> Frame:
    """Return rows of two numbers of one ward; d = 2, so 7 are enough."""
    random = np.random.default_rng(seed)
    return rows([ward] * n, range(first, first + n), x=random.normal(7, 2, n), y=random.random(n))


# What leaves


def test_partitions_are_in_alphabetical_order_and_have_the_sums_of_their_rows() -> None:
    peer = Wards().learn(some("West", 20, 1)).learn(some("east ", 10, 2))
    form = peer.form
    assert list(form.partitions) == ["east", "west"]
    assert (form.options.kind, dict(form.options.params)) == ("partition", {PARTITION: "ward"})
    for value, part in form.partitions.items():
        ours, theirs = peer.project.partitions[value].covariance([0, 1]), part.covariance([0, 1])
        assert theirs[0] == pytest.approx(ours[0], rel=1e-12)
        assert theirs[1].tolist() == ours[1].tolist()
    assert foreign(peer.local.payload, "ward") is not None


def test_no_partition_is_about_a_value_of_its_rows() -> None:
    frame = some("west", 20)
    values = {*frame.numbers(2).tolist(), *frame.numbers(3).tolist()}
    peer = Wards().learn(frame)
    assert values & set(peer.project.partitions["west"].sums.origins.tolist()) == set()
    one_first = Wards().learn(some("west", 1)).learn(some("west", 20, 5))
    assert some("west", 1).numbers(2)[0] in one_first.project.partitions["west"].sums.origins
    assert some("west", 1).numbers(2)[0] not in one_first.form.partitions["west"].sums.origins


def test_neither_conditions_nor_columns_nor_empty_partitions_leave() -> None:
    gone = some("gone", 3)
    peer = Wards().learn(some("west", 20)).learn(gone).forget(gone)
    assert "gone" in peer.project.partitions
    form = peer.form
    assert list(form.partitions) == ["west"]
    assert form.histograms is not None
    assert form.histograms.given is None
    data = encode(form)
    for secret in (b"mrn", b"gone"):
        assert secret not in data


def test_what_few_rows_of_a_partition_have_is_in_none() -> None:
    rare = np.where(np.arange(20) < 3, np.arange(20.0), np.nan)
    peer = Wards().learn(rows(["west"] * 20, x=np.arange(20.0), rare=rare))
    peer.learn(rows(["east"] * 20, x=np.arange(20.0), rare=np.arange(20.0)))
    form = peer.form
    # With it in `east`, the whole less `east` would be the three values.
    for summary in (form.summary, *form.partitions.values()):
        assert summary.schema.names == ("x",)
    assert peer.share() is None


def test_a_category_that_few_rows_of_a_partition_have_leaves_with_all_its_values() -> None:
    town = ("a",) * 3 + (None,) * 17
    peer = Wards().learn(rows(["west"] * 20, x=np.arange(20.0), town=town))
    peer.learn(rows(["east"] * 20, x=np.arange(20.0), town=("a", "b") * 10))
    # No row of `west` had `b`: only the whole less `east` tells in how many it is 0.
    assert "town$b" not in peer.project.partitions["west"].schema.index
    assert peer.form.summary.schema.names == ("x",)


# When it does not


def test_one_small_partition_keeps_all_back_and_its_peer_still_counts_it() -> None:
    peer = Wards().learn(some("west", 30)).learn(some("east", 6))
    why = peer.share()
    assert why is not None
    assert why.reason is Reason.MIN_ROWS
    assert why.detail == "partition 'east': 6 rows of 2 attributes; 7 rows are needed"
    assert peer.form.summary.counts().tolist() == [36, 36]
    assert peer.form.partitions["east"].counts().tolist() == [6, 6]
    assert peer.learn(some("east", 1)).share() is None


def test_attributes_that_stay_do_not_make_fewer_rows_of_a_partition_enough() -> None:
    def present(n: int, of: int) -> NDArray[np.float64]:
        return np.where(np.arange(of) < n, np.arange(float(of)), np.nan)

    def ward(name: str, n: int, *, v: int, w: int) -> Frame:
        return rows([name] * n, x=np.arange(float(n)), v=present(v, n), w=present(w, n))

    # `w` stays because of `west`, and 7 rows would be enough for `x` and `v`: `v` of two of them.
    peer = Wards().learn(ward("west", 30, v=30, w=3)).learn(ward("east", 7, v=2, w=7))
    assert peer.form.summary.schema.names == ("x", "v")
    why = peer.share()
    assert why is not None
    assert why.detail == "partition 'east': 7 rows of 3 attributes; 8 rows are needed"


@pytest.mark.parametrize("forgotten", [False, True])
def test_a_small_change_of_one_partition_waits_until_it_has_grown(forgotten: bool) -> None:
    peer = Wards().learn(some("west", 30)).learn(some("east", 30))
    assert peer.share() is None
    change = peer.forget if forgotten else peer.learn
    change(some("west", 30))
    few = some("east", 30)
    change(few.chosen(np.arange(6)))
    why = peer.share()
    assert why is not None
    assert why.reason is Reason.MIN_DELTA
    assert "partition 'east': 6 rows" in why.detail
    change(few.chosen(np.arange(6, 7)))
    assert peer.share() is None


def test_rows_that_move_to_another_partition_are_a_change_of_both() -> None:
    peer = Wards().learn(some("west", 30)).learn(some("east", 30))
    assert peer.share() is None
    one = some("west", 30).chosen(np.arange(1))
    peer.forget(one).learn(replace(one, columns=(one.columns[0], ("east",), *one.columns[2:])))
    why = peer.share()
    assert why is not None
    assert why.reason is Reason.MIN_DELTA


def test_a_partition_may_go_as_a_whole_and_come_again() -> None:
    peer = Wards().learn(some("west", 30)).learn(some("east", 9))
    assert peer.share() is None
    assert peer.forget(some("east", 9)).share() is None
    assert list(peer.form.partitions) == ["west"]
    assert peer.learn(some("east", 3)).share() is not None
    assert peer.learn(some("east", 9)).share() is None


def test_a_partition_that_nothing_is_known_of_stays() -> None:
    peer = Wards().learn(some("west", 30))
    peer.record = replace(peer.record, partitions={})
    why = peer.share()
    assert why is not None
    assert why.detail.startswith("partition 'west': 0 rows")


def test_hipaa_wants_25_patients_in_every_partition() -> None:
    peer = Wards(hipaa=True).learn(some("west", 40)).learn(some("east", 24, first=100))
    why = peer.share()
    assert why is not None
    assert (why.reason, why.detail) == (
        Reason.PATIENTS,
        "partition 'east': 24 patients; 25 are needed",
    )
    assert peer.learn(some("east", 1, 3, first=124)).share() is None


def test_hipaa_tests_the_change_of_a_partition_against_that_partition() -> None:
    at = np.arange(1.0, 101)
    peer = Wards(hipaa=True)
    peer.learn(rows(["west"] * 100, range(100), x=at)).learn(rows(["east"] * 100, range(100), x=at))
    assert peer.share() is None
    update = np.arange(2.5, 99, 4)
    high = np.arange(51.0, 100, 2)
    low = 101 - high
    # Together they look like what was there; each alone does not.
    peer.learn(rows(["west"] * 25, range(25), x=low)).learn(rows(["east"] * 25, range(25), x=high))
    why = peer.share()
    assert why is not None
    assert why.reason is Reason.T_TEST
    assert "partition 'east': x" in why.detail
    peer.forget(rows(["west"] * 25, range(25), x=low)).forget(
        rows(["east"] * 25, range(25), x=high)
    )
    peer.learn(rows(["west"] * 25, range(25), x=update))
    assert peer.share() is None


# What is kept beside it


def test_the_record_counts_what_the_project_counts() -> None:
    frame = rows(["a", None, "b", " A"], x=np.arange(4.0))
    peer = Wards(hipaa=True).learn(frame)
    assert peer.record.turnover == Turnover(3) == Turnover(peer.project.row_count)
    turnovers = {value: part.turnover for value, part in peer.record.partitions.items()}
    assert turnovers == {"a": Turnover(2), "b": Turnover(1)}
    ledger = peer.record.partitions["a"].patients
    assert ledger is not None
    assert len(ledger) == 2
    peer.forget(frame.chosen(np.array([0])))
    assert peer.record.partitions["a"].turnover == Turnover(2, 1)


def test_rows_of_a_partition_are_not_forgotten_of_another() -> None:
    peer = Wards().learn(some("west", 30)).learn(some("east", 9))
    before = peer.record
    with pytest.raises(InvalidInput, match="10 rows would be forgotten, but 9 were learned"):
        peer.forget(some("east", 10))
    assert peer.record is before


def test_ids_of_patients_are_no_names_of_partitions() -> None:
    options = Options("partition", {PARTITION: "mrn"})
    with pytest.raises(InvalidInput, match="mrn: ids of patients cannot be"):
        LocalRecord.empty(hipaa_key=None).learned(rows(["a"], x=[1.0]), options)


@pytest.mark.parametrize("key", [None, KEY])
def test_more_partitions_than_a_project_has_are_refused(key: bytes | None) -> None:
    wards = [str(k) for k in range(MAX_PARTITIONS + 1)]
    record = LocalRecord.empty(hipaa_key=key)
    with pytest.raises(TooLarge, match="1025 values"):
        record.learned(rows(wards, x=np.zeros(len(wards))), OPTIONS)


# What is taken


def form() -> Project:
    return Wards().learn(some("west", 30)).learn(some("east", 9)).form


def refused(project: Project, match: str = "not in the form") -> None:
    with pytest.raises(CorruptState, match=match):
        foreign(encode(project), "ward")


def test_a_peer_with_other_partitions_or_none_is_refused() -> None:
    assert foreign(encode(form()), "ward").row_count == 39
    for other in ("", "town"):
        with pytest.raises(CorruptState, match=rf"by \[ward\], those of .* by \[{other}\]"):
            foreign(encode(form()), other)
    plain = Project.empty(Options("cpu"))
    refused(plain, r"by \[\], those of this federation by \[ward\]")
    assert foreign(encode(plain)).row_count == 0


def test_whatever_is_not_as_it_leaves_is_refused() -> None:
    good = form()
    other = Wards().learn(rows(["north"] * 9, z=np.arange(9.0))).form.partitions["north"]
    more = Wards().learn(some("north", 31)).form.partitions["north"]
    parts = dict(good.partitions)
    for project in (
        replace(good, partitions={"east": other}),
        replace(good, partitions={**parts, "west": more}),
        replace(good, options=Options("cpu", {PARTITION: "ward"})),
        replace(good, row_count=-1),
        replace(good, row_count=8),
        replace(good, row_count=2**60),
        replace(good, known_types={"x": "T"}),
        replace(good, known_types={"ward": "S"}),
        replace(good, known_types={"x": "CB"}),
        replace(good, options=Options("partition", {PARTITION: "ward", "note": "mine"})),
        replace(good, forgotten=Project.empty(OPTIONS)),
    ):
        with pytest.raises(CorruptState):
            foreign(encode(project), "ward")
    plain = replace(good, options=Options("cpu"))
    with pytest.raises(CorruptState, match="not in the form"):
        foreign(encode(plain))


@pytest.mark.parametrize(
    ("kind", "base", "fits"), [("B", None, True), ("C", None, False), ("B", "town", False)]
)
def test_attributes_of_a_partition_mean_what_they_mean_in_the_whole(
    kind: str, base: str | None, fits: bool
) -> None:
    whole, part = (
        Summary.of(Sums.zeros(Schema(("x",), *of, (0,))))
        for of in (("B", (None,)), (kind, (base,)))
    )
    data = encode(replace(Project.empty(OPTIONS), summary=whole, partitions={"east": part}))
    if fits:
        assert foreign(data, "ward").partitions.keys() == {"east"}
    else:
        with pytest.raises(CorruptState, match="not in the form"):
            foreign(data, "ward")


def test_sums_that_no_rows_give_are_refused() -> None:
    good = form()
    sums = good.partitions["east"].sums.copy()
    sums.q[0, 0] = 1e305
    refused(replace(good, partitions={"east": Summary.of(sums)}), "beyond those of any rows")
