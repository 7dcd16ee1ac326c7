from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tally.errors import InvalidInput, TooLarge
from tally.wire.contexts import (
    MAX_ITEMS,
    MAX_PARAMETERS,
    MLContext,
    Selection,
    parse_explore_context,
    parse_ml_context,
    parse_string_map,
)
from tally.wire.json_body import decode_body, quote_tokens


def test_indexes_are_read_from_text_and_from_numbers() -> None:
    context = parse_ml_context(b'{"inputAttributes":["0",12,"d1"],"targets":[3]}')
    assert context.inputs() == Selection(("0", "12", "d1"), by_name=False)
    assert context.aims() == Selection(("3",), by_name=False)


def test_names_win_in_their_role_only() -> None:
    context = parse_ml_context(
        b'{"inputAttributes":["0"],"inputAttributeNames":["x","1"],'
        b'"targets":[12],"targetAttributeNames":[]}'
    )
    assert context.inputs() == Selection(("x", "1"), by_name=True)
    assert context.aims() == Selection(("12",), by_name=False)


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"targets":null,"inputAttributes":null,"extraParameters":null}',
        b'{"inputAttributeNames":null,"targetAttributeNames":null,"unknown":{"a":[1,{}]}}',
    ],
)
def test_everything_is_optional_and_what_is_unknown_is_ignored(body: bytes) -> None:
    context = parse_ml_context(body)
    assert len(context.inputs()) == len(context.aims()) == 0
    assert context.parameters() == {}
    assert context.parameter("hist_bins") is None


def test_parameters_are_texts_whatever_they_were() -> None:
    context = parse_ml_context(
        b'{"extraParameters":{"a":"x","b":5,"c":0.5,"d":true,"e":null,"f":NaN,"g":-Infinity}}'
    )
    assert context.parameters() == {
        "a": "x", "b": "5", "c": "0.5", "d": "true", "f": "NaN", "g": "-Infinity"
    }  # fmt: skip
    assert context.parameter("missing", "e", "b") == "5"


def test_the_questions_come_in_their_order() -> None:
    contexts = parse_explore_context(b'{"values":[{"targets":[1]},{},{"targets":["2"]}]}')
    assert [context.aims().tokens for context in contexts] == [("1",), (), ("2",)]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", "body"),
        (b"[]", "body"),
        (b"{", "body"),
        (b"\xff", "body"),
        (b"{}", "values"),
        (b'{"values":[]}', "values"),
        (b'{"values":null}', "values"),
        (b'{"values":{}}', "values"),
        (b'{"values":[{"targets":[1.5]}]}', "values[0].targets[0]"),
        (b'{"values":[{},{"inputAttributeNames":[1]}]}', "values[1].inputAttributeNames[0]"),
        (b'{"values":[{"extraParameters":{"a":{}}}]}', "values[0].extraParameters[...]"),
        (b'{"values":[NaN]}', "values[0]"),
        (b'{"values":[{"targets":[' + b"9" * 5000 + b"]}]}", "values[0].targets[0]"),
        (b'{"a":' + b"[" * 100_000, "body"),
        (b'{"a":"' + b'\\"' * 100_000 + b"NaN", "body"),
    ],
)
def test_what_is_no_explore_context_is_refused_by_its_place(body: bytes, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_explore_context(body)
    assert caught.value.field == field
    assert len(str(caught.value)) < 200


def test_questions_attributes_and_parameters_are_bounded() -> None:
    body = json.dumps({"values": [{}] * 3}).encode()
    assert len(parse_explore_context(body, max_contexts=3)) == 3
    with pytest.raises(TooLarge, match="3 contexts are more than 2"):
        parse_explore_context(body, max_contexts=2)
    with pytest.raises(TooLarge, match="items"):
        parse_explore_context(b'{"values":[{"targets":[' + b"0," * MAX_ITEMS)
    with pytest.raises(TooLarge, match="parameters"):
        parse_string_map(json.dumps({str(key): 1 for key in range(MAX_PARAMETERS + 1)}).encode())


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", {}),
        (b" \n", {}),
        (b"{}", {}),
        (b'{"a":"1","b":2,"c":false,"d":null}', {"a": "1", "b": "2", "c": "false"}),
        (b'{"values":[{"a":"1"},{"b":2}]}', {"a": "1", "b": "2"}),
        (b'{"values": []}', {}),
        (b'{"values":"x"}', {"values": "x"}),
        (b'{"a":Infinity}', {"a": "Infinity"}),
        (b'{"values":[{"a":NaN}]}', {"a": "NaN"}),
    ],
)
def test_a_string_map_is_flat_or_wrapped(body: bytes, expected: dict[str, str]) -> None:
    assert parse_string_map(body) == expected


@pytest.mark.parametrize("body", [b"[]", b'{"a":[]}', b'{"a":{}}', b'{"values":[1]}', b'{"a":'])
def test_what_is_no_string_map_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidInput):
        parse_string_map(body)


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", 'a "NaN" b', "\\", '\\"', "é\n"])
def test_tokens_within_texts_are_left_alone(text: str) -> None:
    body = json.dumps({text: [text, float("nan"), float("-inf"), 1.5]}).encode()
    assert decode_body(body, dict[str, list[str | float]]) == {
        text: [text, "NaN", "-Infinity", 1.5]
    }


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["values", "targets", "inputAttributeNames", "extraParameters", "x"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)
bodies = st.binary(max_size=60) | json_values.map(lambda value: json.dumps(value).encode())


@given(bodies)
def test_any_body_is_read_or_refused(body: bytes) -> None:
    with contextlib.suppress(InvalidInput):
        for context in parse_explore_context(body):
            assert isinstance(context, MLContext)
            context.inputs(), context.aims(), context.parameters()
    with contextlib.suppress(InvalidInput):
        parse_ml_context(body)
    with contextlib.suppress(InvalidInput):
        assert all(isinstance(text, str) for text in parse_string_map(body).values())


@given(json_values)
def test_quoting_changes_nothing_but_the_tokens(value: object) -> None:
    def quoted(part: object) -> object:
        if isinstance(part, list):
            return [quoted(inner) for inner in part]
        if isinstance(part, dict):
            return {key: quoted(inner) for key, inner in part.items()}
        if isinstance(part, float) and json.dumps(part) in ("NaN", "Infinity", "-Infinity"):
            return json.dumps(part)
        return part

    assert json.loads(quote_tokens(json.dumps(value).encode())) == quoted(value)
