"""The text of a contract, read by recursive descent. A line is a rule, a comment, both or neither.

    rule       = all { "OR" all }
    all        = primary { "AND" primary }
    primary    = "(" rule ")" | call relation number | number relation call
    call       = name "(" feature [ "," feature ] ")"
    relation   = ">=" | "<=" | ">" | "<" | "==" | "=" | "!="
    feature    = '"' { character | '""' } '"' | text without , ( ) " and without spaces around it

What follows `#` is a comment, at the start of a line or after white space, but not inside quotes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tally.federation.contracts.rules import (
    Call,
    Comparison,
    Line,
    Relation,
    Rule,
    all_of,
    any_of,
)

MAX_LINES = 1000
MAX_LINE_LENGTH = 4096
MAX_NESTING = 50
"""Parentheses inside each other."""

_LINE_END = re.compile(r"\r\n|\r|\n")
_SPACE = re.compile(r"\s*")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?(?![\w.])")
_RELATION = re.compile(r">=|<=|==|!=|>|<|=")
_QUOTED = re.compile(r'"((?:[^"]|"")*)"')
_BARE = re.compile(r'[^,()"]*')
_TOKEN = re.compile(r"[\w.+-]{1,40}|>=|<=|==|!=|.", re.DOTALL)
_COMMENT = re.compile(r"(?:^|(?<=\s))#")
_KEYWORDS = ("AND", "OR")


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a line; `str` is the whole text of it.

    Attributes:
        line: counted from 1.
        text: what follows `Line {n}: `.
    """

    line: int
    text: str

    def __str__(self) -> str:
        return f"Line {self.line}: {self.text}"


def read(entries: Sequence[str]) -> tuple[tuple[Line, ...], tuple[Problem, ...]]:
    r"""Return the rules in these texts, each of one or several lines, and what cannot be read.

    Example:
        >>> lines, problems = read(["# at least\nCOUNT(x) >= 500", "mean(x) > "])
        >>> [(line.number, str(line.rule)) for line in lines], [str(p) for p in problems]
        ([(2, 'COUNT(x) >= 500')], ["Line 3: syntax error at column 11 near 'end of line'"])
    """
    lines: list[Line] = []
    problems: list[Problem] = []
    texts = [text for entry in entries for text in _LINE_END.split(entry)]
    if len(texts) > MAX_LINES:
        return (), (Problem(MAX_LINES + 1, f"a contract has at most {MAX_LINES} lines"),)
    for number, text in enumerate(texts, 1):
        if len(text) > MAX_LINE_LENGTH:
            problems.append(Problem(number, f"more than {MAX_LINE_LENGTH} characters"))
            continue
        try:
            rule = _Reader(text).line()
        except _Unreadable as error:
            problems.append(Problem(number, error.told(text)))
            continue
        if rule is not None:
            lines.append(Line(number, rule))
    return tuple(lines), tuple(problems)


class _Unreadable(Exception):
    """A line that is no rule, and where reading it ended."""

    def __init__(self, at: int, reason: str = "") -> None:
        super().__init__(at, reason)
        self.at, self.reason = at, reason

    def told(self, text: str) -> str:
        if self.reason:
            return f"{self.reason} at column {self.at + 1}"
        found = _TOKEN.match(text, self.at)
        token = found[0] if found else "end of line"
        return f"syntax error at column {self.at + 1} near '{token}'"


class _Reader:
    """Reads one line from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._nesting = 0

    def line(self) -> Rule | None:
        self._skip()
        if self._ended():
            return None
        rule = self._rule()
        if not self._ended():
            raise _Unreadable(self._at)
        return rule

    def _rule(self) -> Rule:
        return any_of(self._joined("OR", lambda: all_of(self._joined("AND", self._primary))))

    def _joined(self, keyword: str, part: Callable[[], Rule]) -> tuple[Rule, ...]:
        parts = [part()]
        while self._keyword(keyword):
            parts.append(part())
        return tuple(parts)

    def _primary(self) -> Rule:
        if self._take("("):
            self._nesting += 1
            if self._nesting > MAX_NESTING:
                raise _Unreadable(self._at - 1, f"more than {MAX_NESTING} nested parentheses")
            rule = self._rule()
            self._nesting -= 1
            self._expect(")")
            return rule
        if _NUMBER.match(self._text, self._at):
            constant, relation = self._number(), self._relation()
            return Comparison(self._call(), relation.mirrored, constant)
        call, relation = self._call(), self._relation()
        return Comparison(call, relation, self._number())

    def _call(self) -> Call:
        found = _NAME.match(self._text, self._at)
        if found is None or found[0].upper() in _KEYWORDS:
            raise _Unreadable(self._at)
        self._move(found.end())
        self._expect("(")
        features = [self._feature()]
        # A third is read as well, so that validation can say how many there should be.
        while self._take(","):
            features.append(self._feature())
        self._expect(")")
        return Call(found[0].upper(), tuple(features))

    def _feature(self) -> str:
        quoted = _QUOTED.match(self._text, self._at)
        if quoted is not None:
            self._move(quoted.end())
            return quoted[1].replace('""', '"')
        bare = _BARE.match(self._text, self._at)
        assert bare is not None
        comment = _COMMENT.search(self._text, self._at, bare.end())
        end = bare.end() if comment is None else comment.start()
        name = self._text[self._at : end].rstrip()
        if not name:
            raise _Unreadable(self._at)
        self._move(end)
        return name

    def _number(self) -> str:
        found = _NUMBER.match(self._text, self._at)
        # Beyond what a float holds there is nothing to compare with.
        if found is None or not math.isfinite(float(found[0])):
            raise _Unreadable(self._at)
        self._move(found.end())
        return found[0]

    def _relation(self) -> Relation:
        found = _RELATION.match(self._text, self._at)
        if found is None:
            raise _Unreadable(self._at)
        self._move(found.end())
        return Relation.EQUAL if found[0] == "=" else Relation(found[0])

    def _keyword(self, word: str) -> bool:
        found = _NAME.match(self._text, self._at)
        if found is None or found[0].upper() != word:
            return False
        self._move(found.end())
        return True

    def _take(self, character: str) -> bool:
        if not self._text.startswith(character, self._at):
            return False
        self._move(self._at + 1)
        return True

    def _expect(self, character: str) -> None:
        if not self._take(character):
            raise _Unreadable(self._at)

    def _ended(self) -> bool:
        return self._at == len(self._text)

    def _move(self, at: int) -> None:
        self._at = at
        self._skip()

    def _skip(self) -> None:
        """Pass over white space, and over a comment, which goes to the end."""
        spaces = _SPACE.match(self._text, self._at)
        assert spaces is not None
        self._at = spaces.end()
        if _COMMENT.match(self._text, self._at):
            self._at = len(self._text)
