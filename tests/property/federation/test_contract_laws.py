"""Laws of the grammar of contracts."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tally.engine.schema import Schema
from tally.federation.contracts.functions import FUNCTIONS
from tally.federation.contracts.grammar import read
from tally.federation.contracts.rules import (
    Call,
    Comparison,
    Relation,
    Rule,
    all_of,
    any_of,
    comparisons,
)
from tally.federation.contracts.validation import validate

FAST = settings(max_examples=150)

no_line_ends = st.characters(codec="utf-8", exclude_characters="\r\n")
features = st.one_of(
    st.sampled_from(["x", "sepal length", "a,b", 'say "so"', " x ", "a #b", "#", "(", "AND"]),
    st.text(no_line_ends, max_size=8),
)
functions = st.one_of(
    st.sampled_from(sorted(FUNCTIONS)),
    st.from_regex(r"[A-Z_][A-Z0-9_]{0,5}", fullmatch=True).filter(lambda t: t not in ("AND", "OR")),
)
constants = st.one_of(
    st.sampled_from(["0", "+1", "-.5", "1.", "1e3", "2.5E-7"]),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
)
calls = st.builds(Call, functions, st.lists(features, min_size=1, max_size=3).map(tuple))
one = st.builds(Comparison, calls, st.sampled_from(Relation), constants)


def _joined(inner: st.SearchStrategy[Rule]) -> st.SearchStrategy[Rule]:
    parts = st.lists(inner, min_size=1, max_size=3).map(tuple)
    return st.one_of(parts.map(all_of), parts.map(any_of))


rules: st.SearchStrategy[Rule] = st.recursive(one, _joined, max_leaves=8)


@FAST
@given(rules)
def test_a_rule_that_is_printed_is_read_as_the_same_rule(rule: Rule) -> None:
    lines, problems = read([str(rule)])
    assert not problems
    assert [line.rule for line in lines] == [rule]
    assert len(comparisons(rule)) >= 1


@FAST
@given(rules, st.sampled_from([" ", "\t", "  "]), st.text(no_line_ends, max_size=10))
def test_space_around_a_rule_and_a_comment_after_it_change_nothing(
    rule: Rule, space: str, comment: str
) -> None:
    lines, problems = read([f"{space}{rule}{space}#{comment}"])
    assert not problems
    assert [line.rule for line in lines] == [rule]


pieces = st.sampled_from(
    ["COUNT", "COVAR", "(", ")", ",", '"', '""', ">=", "=", "!", "1", "-", ".5", "e", "AND", "or",
     "#", " ", "\n", "\r", "x", "\x0b", "\u2028", "é"]
)  # fmt: skip


@FAST
@given(st.lists(st.one_of(st.lists(pieces, max_size=30).map("".join), st.text()), max_size=4))
@example(["(" * 4000])
@example(["COUNT(x)>1 AND " * 270])
@example(["1" * 4000 + ">COUNT(x)"])
@example(['COUNT("' + '"' * 4000])
def test_any_text_is_either_read_or_told_where_it_is_wrong(entries: list[str]) -> None:
    lines, problems = read(entries)
    assert not {line.number for line in lines} & {problem.line for problem in problems}
    for line in lines:
        assert read([str(line.rule)])[0][0].rule == line.rule
    findings = validate(entries, Schema())
    assert len(findings.errors) >= len(problems)
