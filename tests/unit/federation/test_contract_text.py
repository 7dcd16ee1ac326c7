"""How contracts are read, and what is said of those that are wrong."""

from __future__ import annotations

import pytest

from tally.engine.schema import Schema
from tally.federation.contracts import grammar
from tally.federation.contracts.grammar import read
from tally.federation.contracts.validation import UnreadableContract, parse, validate
from tests.unit.federation.iris import summary


def printed(*entries: str) -> list[str]:
    return [str(line.rule) for line in parse(entries)]


def wrong(*entries: str) -> list[str]:
    return list(validate(entries, summary().schema).errors)


def test_comments_and_blank_lines_say_nothing() -> None:
    text = "# first\n\n  \t\n  # second\nCOUNT(x) >= 1 # third\n"
    lines = parse([text])
    assert [(line.number, str(line.rule)) for line in lines] == [(5, "COUNT(x) >= 1")]


def test_a_hash_without_a_space_before_it_belongs_to_the_feature() -> None:
    assert printed("COUNT(a#b)>1", 'COUNT("a #b")>1', "COUNT(#a)>1") == [
        "COUNT(a#b) > 1",
        'COUNT("a #b") > 1',
        "COUNT(#a) > 1",
    ]


def test_names_and_keywords_are_read_in_any_case_and_features_are_not() -> None:
    assert printed("count(X)>1 and Count(x)>1 oR COUNT(x)>2") == [
        "COUNT(X) > 1 AND COUNT(x) > 1 OR COUNT(x) > 2"
    ]


def test_a_number_may_stand_first() -> None:
    assert printed("500 <= COUNT(x)", "-1.5e3>MEAN(x)", ".5=MEAN(x)", "1 != MEAN(x)") == [
        "COUNT(x) >= 500",
        "MEAN(x) < -1.5e3",
        "MEAN(x) == .5",
        "MEAN(x) != 1",
    ]


def test_parentheses_that_change_nothing_are_left_out() -> None:
    assert printed("((COUNT(x)>1))", "(COUNT(x)>1 AND COUNT(x)>2) OR COUNT(x)>3") == [
        "COUNT(x) > 1",
        "COUNT(x) > 1 AND COUNT(x) > 2 OR COUNT(x) > 3",
    ]
    assert printed("COUNT(x)>1 AND (COUNT(x)>2 OR COUNT(x)>3)") == [
        "COUNT(x) > 1 AND (COUNT(x) > 2 OR COUNT(x) > 3)"
    ]


def test_quotes_allow_any_name() -> None:
    (line,) = parse(['COVAR("a,b", " c""(d)" )>0'])
    assert str(line.rule) == 'COVAR("a,b"," c""(d)") > 0'


def test_lines_are_counted_over_all_entries() -> None:
    _, problems = read(["COUNT(x) > 1\r\nCOUNT(x) > 2", "COUNT(x) >"])
    assert [problem.line for problem in problems] == [3]


@pytest.mark.parametrize(
    ("text", "column", "token"),
    [
        ("COUNT(x) >", 11, "end of line"),
        ("COUNT(x) => 5", 11, ">"),
        ("COUNT(x) >= five", 13, "five"),
        ("COUNT x >= 5", 7, "x"),
        ("COUNT() >= 5", 7, ")"),
        ("COUNT(x,) >= 5", 9, ")"),
        ("COUNT(x >= 5", 13, "end of line"),
        ('COUNT("x) >= 5', 7, '"'),
        ("COUNT(x) >= 5 COUNT(x) >= 6", 15, "COUNT"),
        ("COUNT(x) >= 5 AND", 18, "end of line"),
        ("OR COUNT(x) >= 5", 1, "OR"),
        ("(COUNT(x) >= 5", 15, "end of line"),
        ("COUNT(x) >= 5)", 14, ")"),
        ("5 >= 6", 6, "6"),
        ("COUNT(x) >= 1e999", 13, "1e999"),
        ("COUNT(x) >= 5x", 13, "5x"),
        ("COUNT(x) >= 1.2.3", 13, "1.2.3"),
        ("COUNT(x #) >= 5", 16, "end of line"),
        ("é(x) >= 5", 1, "é"),
    ],
)
def test_a_syntax_error_names_the_column_and_the_token(text: str, column: int, token: str) -> None:
    with pytest.raises(UnreadableContract) as raised:
        parse(["", text])
    assert str(raised.value) == f"Line 2: syntax error at column {column} near '{token}'"


def test_every_line_that_is_wrong_is_told_in_order() -> None:
    assert wrong(
        "SIZE(sepal_length) > 1",
        "COUNT(sepal_length) >",
        "COUNT(sepal_length, sepal_width) > 1 AND COVAR(sepal_length) > 1",
        "MEAN(Sepal_length) > 1",
        "COND_MEAN(sepal_length, sepal_width) > 1",
        "PCT_OF_TRUE(sepal_length, petal_width) > 1",
        "COVAR(sepal_length,sepal_width,petal_width) > 1",
    ) == [
        "Line 1: unknown function [SIZE]",
        "Line 2: syntax error at column 22 near 'end of line'",
        "Line 3: function [COUNT] expects 1 argument(s), got 2",
        "Line 3: function [COVAR] expects 2 argument(s), got 1",
        "Line 4: unknown feature [Sepal_length]",
        "Line 5: feature [sepal_width] must be binary for argument 2 of [COND_MEAN], found type C",
        "Line 6: feature [sepal_length] must be binary for argument 1 of [PCT_OF_TRUE], "
        "found type C",
        "Line 6: feature [petal_width] must be binary for argument 2 of [PCT_OF_TRUE], "
        "found type C",
        "Line 7: function [COVAR] expects 2 argument(s), got 3",
    ]


@pytest.mark.parametrize("entries", [[], [""], ["# nothing", "  \n"]])
def test_a_contract_without_rules_is_empty(entries: list[str]) -> None:
    findings = validate(entries, Schema())
    assert (findings.status, findings.valid) == ("Contract is empty", False)
    assert parse(entries) == ()


def test_a_share_where_a_percentage_is_meant_is_warned_of() -> None:
    contract = ["PCT_OF_TRUE(Iris_setosa,Iris_versicolor) >= 0.4\nCOUNT(Iris_setosa) > 1"]
    findings = validate(contract, summary().schema)
    assert findings.valid
    assert findings.warnings == (
        "Line 1: [PCT_OF_TRUE] goes from 0 to 100, of which 0.4 is little",
    )
    assert not validate(contract, summary().schema, percent=1).warnings
    assert not validate(["PCT_OF_TRUE(a,b) >= 40"], summary().schema).warnings


def test_length_lines_and_nesting_are_bounded() -> None:
    deep = "(" * grammar.MAX_NESTING + "COUNT(x)>1" + ")" * grammar.MAX_NESTING
    assert printed(deep) == ["COUNT(x) > 1"]
    assert wrong(f"({deep})") == [
        f"Line 1: more than {grammar.MAX_NESTING} nested parentheses at column 51"
    ]
    assert wrong("#" * 4097) == ["Line 1: more than 4096 characters"]
    assert wrong("\n" * 1000) == ["Line 1001: a contract has at most 1000 lines"]
    assert len(parse(["\n".join(["COUNT(x)>1"] * 1000)])) == 1000
