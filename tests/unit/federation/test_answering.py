"""What others ask of a peer: computed once, kept for minutes, and within bounds."""

from __future__ import annotations

from typing import Any

import msgspec

from tally.clock import ManualClock
from tally.errors import InvalidInput
from tally.federation.answering import KEPT_S, MAX_KEPT, MAX_KEPT_BYTES, MAX_RESULT_BYTES, Answers
from tally.federation.effects import Explore
from tally.federation.events import Explored
from tally.federation.messages import ExploreReplyPayload, SyncInfo, decode, encode
from tally.federation.simulation.ledger import LedgerSite
from tally.federation.state import Snapshot

INFO = SyncInfo(
    round=1, rows=9, attrs=4, schema_hash="", version="1-9", allow_explore=True, contract_hash="",
    provenance=(),
)  # fmt: skip
SNAPSHOT = Snapshot(epoch=1, seq=1, digest="", info=INFO, payload=b"[]")


class Site(LedgerSite):
    """A site that counts what it was asked, and answers as it is told to."""

    def __init__(self, result: object = None) -> None:
        super().__init__("a" * 32)
        self.result = result
        self.times = 0

    async def explore(self, question: Explore) -> object:
        self.times += 1
        if isinstance(self.result, Exception):
            raise self.result
        return self.times if self.result is None else self.result


def question(req_id: str, peer: str = "b" * 32, **context: Any) -> Explore:
    return Explore(peer, req_id, "count", context, SNAPSHOT, "r")


def result_of(answer: Explored) -> object:
    """Return what the asker reads."""
    reply = ExploreReplyPayload(answer.req_id, answer.ok, answer.error, answer.result)
    return decode(encode(reply), ExploreReplyPayload).result


async def test_a_question_that_comes_again_gets_the_same_answer_for_five_minutes() -> None:
    site, clock = Site(), ManualClock()
    answers = Answers(site, clock)
    assert result_of(await answers.answer(question("q"), 0)) == 1
    await clock.advance(KEPT_S - 1)
    assert result_of(await answers.answer(question("q"), 0)) == 1
    await clock.advance(1)
    assert result_of(await answers.answer(question("q"), 0)) == 2


async def test_questions_of_one_id_are_told_apart_by_who_asks_and_by_what() -> None:
    answers = Answers(Site(), ManualClock())
    assert result_of(await answers.answer(question("q"), 0)) == 1
    assert result_of(await answers.answer(question("q", "c" * 32), 0)) == 2
    other = await answers.answer(question("q", feature="x"), 0)
    assert (other.ok, other.error) == (False, "another question had this req_id")
    assert result_of(await answers.answer(question("q"), 0)) == 1


async def test_a_refusal_is_an_answer_too() -> None:
    site = Site(InvalidInput("metric", "[x] is unknown"))
    answers = Answers(site, ManualClock())
    for _ in range(2):
        answer = await answers.answer(question("q"), 0)
        assert (answer.ok, answer.result, site.times) == (False, None, 1)
        assert "[x] is unknown" in answer.error


async def test_a_question_that_finds_a_defect_ends_nothing_and_tells_nothing() -> None:
    answers = Answers(Site(ZeroDivisionError("at /home/alice")), ManualClock())
    answer = await answers.answer(question("q"), 0)
    assert (answer.ok, answer.error) == (False, "the question could not be answered")


async def test_an_answer_that_fits_into_no_message_is_told_as_such() -> None:
    fits = await Answers(Site("x" * (MAX_RESULT_BYTES - 2)), ManualClock()).answer(question("q"), 0)
    assert fits.ok
    assert result_of(fits)
    answer = await Answers(Site("x" * MAX_RESULT_BYTES), ManualClock()).answer(question("q"), 0)
    assert not answer.ok
    assert "bytes; " in answer.error


async def test_only_so_many_answers_are_kept_and_the_oldest_goes_first() -> None:
    site = Site()
    answers = Answers(site, ManualClock())
    for number in range(MAX_KEPT + 1):
        await answers.answer(question(f"q{number}"), 0)
    assert result_of(await answers.answer(question("q1"), 0)) == 2
    assert result_of(await answers.answer(question("q0"), 0)) == MAX_KEPT + 2

    site = Site("x" * 500_000)
    answers = Answers(site, ManualClock())
    fit = MAX_KEPT_BYTES // 500_000
    for number in range(fit + 1):
        await answers.answer(question(f"q{number}"), 0)
    await answers.answer(question(f"q{fit}"), 0)
    assert site.times == fit + 1
    await answers.answer(question("q0"), 0)
    assert site.times == fit + 2


def test_an_answer_is_json_already_and_is_not_encoded_again() -> None:
    reply = ExploreReplyPayload("q", True, "", msgspec.Raw(b'{"a":1}'))
    assert encode(reply) == b'{"error":"","ok":true,"req_id":"q","result":{"a":1}}'
