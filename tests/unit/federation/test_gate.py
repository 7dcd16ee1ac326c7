"""Which snapshots may leave: fewest rows, patients, and likeness, on real projects."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tally.engine.frame import Frame, Numbers, Texts
from tally.engine.options import ROW_FILTER, Options
from tally.engine.project import Project
from tally.errors import InvalidInput
from tally.federation.privacy.gate import Standing, blocked
from tally.federation.privacy.minimum import Turnover, too_few
from tally.federation.privacy.patients import PatientLedger, PatientMissing
from tally.federation.privacy.reason import Reason
from tally.federation.privacy.record import LocalRecord
from tally.federation.wire_form import wire_form

KEY = bytes(range(32))


def frame(x: NDArray[np.float64], patients: NDArray[np.int64] | None = None, **more: str) -> Frame:
    """Return rows of one number, each of the patient told or one of its own, and categories."""
    ids = np.arange(len(x)) if patients is None else patients
    names = ("mrn", "x", *more)
    columns: list[Numbers | Texts] = [tuple(map(str, ids)), np.asarray(x, float)]
    columns += [tuple(text.split()) for text in more.values()]
    return Frame(names, "PC" + "T" * len(more), tuple(columns), len(x))


class Peer:
    """A project and what is kept beside it."""

    def __init__(self, hipaa_key: bytes | None = KEY, row_filter: str = "") -> None:
        self.options = Options("cpu", {ROW_FILTER: row_filter})
        self.project = Project.empty(self.options)
        self.record = LocalRecord.empty(hipaa_key=hipaa_key)

    def learn(self, rows: Frame) -> Peer:
        self.record = self.record.learned(rows, self.options)
        draft = self.project.draft()
        draft.learn(rows)
        self.project = draft.done()
        return self

    def forget(self, rows: Frame) -> Peer:
        self.record = self.record.forgot(rows, self.options)
        draft = self.project.draft()
        draft.forget(rows)
        self.project = draft.done()
        return self

    @property
    def standing(self) -> Standing:
        return Standing.of(self.project, self.record)

    def reason(self, approved: Standing | None = None) -> Reason | None:
        attributes = len(self.project.summary.schema)
        found = blocked(self.standing, approved, attributes)
        return None if found is None else found.reason


@pytest.mark.parametrize(("rows", "reason"), [(8, Reason.MIN_ROWS), (9, None)])
def test_the_first_snapshot_needs_five_rows_more_than_attributes(
    rows: int, reason: Reason | None
) -> None:
    found = too_few(Turnover(rows), None, 4)
    assert (found.reason if found else None) == reason


def test_a_small_change_waits_until_it_has_grown() -> None:
    approved = Turnover(50)
    assert too_few(approved, approved, 4) is None
    small = too_few(approved.learned(8), approved, 4)
    assert small is not None
    assert small.reason == Reason.MIN_DELTA
    assert "8 rows added" in small.detail
    grown = approved.learned(8).learned(1)
    assert too_few(grown, approved, 4) is None
    forgot = too_few(grown.forgot(3), grown, 4)
    assert forgot is not None
    assert forgot.reason == Reason.MIN_DELTA


def test_rows_that_came_and_rows_that_went_are_counted_apart() -> None:
    approved = Turnover(50)
    assert too_few(approved.learned(20).forgot(8), approved, 4) is not None
    assert too_few(approved.learned(8).forgot(20), approved, 4) is not None
    assert too_few(approved.learned(9).forgot(9), approved, 4) is None


def test_without_hipaa_rules_only_numbers_of_rows_count() -> None:
    peer = Peer(hipaa_key=None).learn(frame(np.arange(50.0)))
    approved = peer.standing
    assert peer.reason() is None
    assert peer.learn(frame(np.full(6, 1e6))).reason(approved) is None
    assert not peer.record.spreads


def test_the_row_filter_decides_what_counts() -> None:
    peer = Peer(row_filter="x<10").learn(frame(np.arange(50.0)))
    assert peer.record.turnover == Turnover(10)
    assert peer.record.patients is not None
    assert len(peer.record.patients) == peer.project.row_count == 10


def test_hipaa_wants_a_patient_column() -> None:
    with pytest.raises(PatientMissing) as raised:
        Peer().learn(Frame(("x",), "C", (np.arange(9.0),), 9))
    told = "HIPAA compliant project requires at least one attribute of type P"
    assert str(raised.value) == told


@pytest.mark.parametrize(("patients", "reason"), [(24, Reason.PATIENTS), (25, None)])
def test_hipaa_wants_25_patients_however_many_rows(patients: int, reason: Reason | None) -> None:
    rows = frame(np.arange(100.0), np.arange(100) % patients)
    assert Peer().learn(rows).reason() == reason


def test_patients_who_left_do_not_count() -> None:
    peer = Peer().learn(frame(np.arange(100.0), np.arange(100) % 25))
    left = np.arange(0.0, 100, 25)
    assert peer.forget(frame(left, np.zeros(4, int))).reason() == Reason.PATIENTS


@pytest.mark.parametrize(
    ("update", "reason"),
    [
        (np.arange(2.5, 99, 4), None),
        (np.arange(51.0, 100, 2), Reason.T_TEST),
        (np.arange(41.0, 66), Reason.KS_TEST),
        (np.arange(7.0, 106, 2), Reason.INTEGRAL_TEST),
    ],
)
def test_a_change_must_look_like_what_was_there(
    update: NDArray[np.float64], reason: Reason | None
) -> None:
    peer = Peer().learn(frame(np.arange(1.0, 101)))
    approved = peer.standing
    assert peer.learn(frame(update)).reason(approved) == reason


def test_rows_that_are_forgotten_must_look_like_the_others_too() -> None:
    peer = Peer().learn(frame(np.arange(1.0, 101)))
    approved = peer.standing
    assert peer.forget(frame(np.arange(1.0, 26), np.arange(25))).reason(approved) == Reason.T_TEST
    again = Peer().learn(frame(np.arange(1.0, 101)))
    gone = np.arange(1.0, 100, 4)
    assert again.forget(frame(gone, gone.astype(int) - 1)).reason(approved) is None


def test_a_single_value_that_was_corrected_stays() -> None:
    peer = Peer().learn(frame(np.arange(1.0, 101)))
    approved = peer.standing
    gone = np.arange(1.0, 100, 4)
    came = gone.copy()
    came[3] += 1.0
    peer.forget(frame(gone, gone.astype(int) - 1)).learn(frame(came, gone.astype(int) - 1))
    assert peer.reason(approved) == Reason.T_TEST


def test_values_of_categories_are_tested_like_numbers() -> None:
    colors = " ".join(["red", "blue"] * 50)
    peer = Peer().learn(frame(np.arange(1.0, 101), color=colors))
    approved = peer.standing
    like = frame(np.arange(2.5, 99, 4), color=" ".join(["red", "blue"] * 12 + ["red"]))
    assert (
        Peer().learn(frame(np.arange(1.0, 101), color=colors)).learn(like).reason(approved) is None
    )
    unlike = frame(np.arange(2.5, 99, 4), color=" ".join(["red"] * 25))
    assert peer.learn(unlike).reason(approved) is not None


def test_a_new_value_of_a_category_was_0_before() -> None:
    colors = " ".join(["red", "blue"] * 50)
    peer = Peer().learn(frame(np.arange(1.0, 101), color=colors))
    approved = peer.standing
    update = np.arange(2.5, 99, 4)
    one_green = frame(update, color=" ".join(["green", *["red", "blue"] * 12]))
    all_green = frame(update, color=" ".join(["green"] * 25))
    assert (
        Peer().learn(frame(np.arange(1.0, 101), color=colors)).learn(one_green).reason(approved)
        is None
    )  # one row among 25 is like none; docs/privacy.md says so
    assert peer.learn(all_green).reason(approved) == Reason.T_TEST


def test_bins_are_compared_with_exact_values_of_before() -> None:
    random = np.random.default_rng(3)
    peer = Peer().learn(frame(random.normal(size=3000)))
    approved = peer.standing
    peer.learn(frame(random.normal(size=3000)))
    assert peer.record.spreads["x"].width > 0
    assert approved.record.spreads["x"].width == 0
    assert peer.reason(approved) is None
    peer.learn(frame(random.normal(0.3, size=3000)))
    assert peer.reason(approved) == Reason.T_TEST


def test_forgetting_what_was_never_learned_is_refused_and_tells_no_id() -> None:
    peer = Peer().learn(frame(np.arange(30.0)))
    before = peer.record
    for rows, told in (
        (frame(np.array([77.0]), np.array([1])), "x: values"),
        (frame(np.array([1.0]), np.array([4711])), "a patient"),
        (frame(np.array([1.0, 2.0]), np.array([1, 1])), "a patient"),
        (frame(np.arange(31.0)), "31 rows"),
    ):
        with pytest.raises(InvalidInput, match=told) as raised:
            peer.forget(rows)
        assert "4711" not in str(raised.value)
        assert peer.record is before


def test_several_patient_columns_are_one_id_in_any_order() -> None:
    def rows(names: str, one: str, two: str) -> Frame:
        return Frame(tuple(names), "PP", ((one, "9"), (two, "9")), 2)

    ledger = PatientLedger.empty(KEY).add(rows("ab", "1", "23"))
    assert len(ledger.add(rows("ba", "23", " 1 "))) == 2
    assert len(ledger.add(rows("ab", "12", "3"))) == 3
    with pytest.raises(InvalidInput, match=r"told by \['a', 'b'\] here, not \['a', 'c'\]"):
        ledger.add(rows("ac", "1", "23"))


@pytest.mark.parametrize("cell", [None, "", "  "])
def test_a_row_of_nobody_is_refused(cell: str | None) -> None:
    with pytest.raises(InvalidInput, match="mrn: row 1 has no patient id"):
        PatientLedger.empty(KEY).add(Frame(("mrn",), "P", (("7", cell),), 2))


def test_hashes_need_the_key_and_repr_shows_neither() -> None:
    rows = Frame(("mrn",), "P", (("secret-id",),), 1)
    one, two = PatientLedger.empty(KEY).add(rows), PatientLedger.empty(bytes(32)).add(rows)
    assert one.ids[0] != two.ids[0]
    assert "secret-id" not in repr(one)
    assert repr(KEY) not in repr(one)
    assert one.ids.tobytes().hex() not in repr(one)


def test_an_attribute_that_was_withheld_is_not_held_against_its_first_values() -> None:
    def rows(w: NDArray[np.float64]) -> Frame:
        ids = tuple(map(str, range(len(w))))
        return Frame(("mrn", "x", "w"), "PCC", (ids, np.arange(float(len(w))), w), len(w))

    one = np.full(40, np.nan)
    one[0] = 1e6
    peer = Peer().learn(rows(one))
    form = wire_form(peer.project, fewest=7)
    assert form.withheld == ("w",)
    approved = Standing.of(form.project, peer.record)
    peer.learn(rows(np.arange(40.0)))
    now = wire_form(peer.project, fewest=7)
    assert now.withheld == ()
    assert blocked(Standing.of(now.project, peer.record), approved, 2) is None
    assert peer.reason(peer.standing) is None
