"""Linear models as source text: Java, SQL or Python."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tally.errors import InvalidInput
from tally.models.base import Floats
from tally.models.lda import Discriminant
from tally.models.linear import Linear
from tally.models.model import Model
from tally.models.sized import Sized

LANGUAGES = ("java", "sql", "python")

_RESERVED = frozenset({
    "abstract", "and", "as", "assert", "boolean", "break", "by", "byte", "case", "catch", "char",
    "class", "const", "continue", "create", "def", "default", "del", "distinct", "do", "double",
    "elif", "else", "enum", "except", "extends", "false", "final", "finally", "float", "for",
    "from", "function", "global", "goto", "group", "having", "if", "implements", "import", "in",
    "instanceof", "int", "interface", "into", "is", "join", "lambda", "long", "native", "new",
    "none", "nonlocal", "not", "null", "on", "or", "order", "package", "pass", "private",
    "protected", "public", "raise", "return", "returns", "select", "short", "static", "strictfp",
    "super", "switch", "synchronized", "table", "this", "throw", "throws", "transient", "true",
    "try", "union", "void", "volatile", "where", "while", "with", "yield",
})  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class _Formula:
    """A sum of weights times inputs, and a constant unless it is 0."""

    weights: Floats
    constant: float | None
    clip: bool


def code(model: Model, name: str, language: str) -> str:
    """Return the function `{name}_score` of a model's inputs.

    It is what `res` is for a regression, and `resZ` for a discriminant. Names are turned into
    identifiers.

    Raises:
        InvalidInput: the language is not known, or the model is not linear.
    """
    formula = _formula(model)
    called = f"{_identifier(name)}_score"
    inputs = _unique([_identifier(attribute.name) for attribute in model.inputs])
    terms = [f"({_text(w)} * {x})" for w, x in zip(formula.weights, inputs, strict=True)]
    if formula.constant is not None:
        terms.append(f"({_text(formula.constant)})")
    write = {"java": _java, "sql": _sql, "python": _python}.get(language.strip().lower())
    if write is None:
        raise InvalidInput("language", f"[{language}] is none of {', '.join(LANGUAGES)}")
    return write(called, inputs, terms, formula.clip)


def _formula(model: Model) -> _Formula:
    rule = model.rule
    if isinstance(rule, Discriminant):
        return _Formula(rule.weights, None, False)
    if isinstance(rule, Sized):
        rule = rule.largest
    if isinstance(rule, Linear):
        return _Formula(rule.coefficients, rule.intercept, rule.clip)
    raise InvalidInput("modelid", f"a model of {model.family} has no code: it is not linear")


def _java(name: str, inputs: Sequence[str], terms: Sequence[str], clip: bool) -> str:
    parameters = ",\n".join(f"\tdouble {x}" for x in inputs)
    total = " + \n\t\t".join(terms)
    body = f"Math.max(0.0, {total})" if clip else total
    return f"/* Java Function */\npublic double {name}(\n{parameters})\n{{\n\treturn {body};\n}}\n"


def _sql(name: str, inputs: Sequence[str], terms: Sequence[str], clip: bool) -> str:
    parameters = ", ".join(f"{x} DOUBLE PRECISION" for x in inputs)
    total = " + ".join(terms)
    body = f"GREATEST(0.0, {total})" if clip else total
    return f"CREATE FUNCTION {name}({parameters}) RETURNS DOUBLE PRECISION RETURN {body};\n"


def _python(name: str, inputs: Sequence[str], terms: Sequence[str], clip: bool) -> str:
    total = "\n        + ".join(terms)
    body = f"max(0.0, {total})" if clip else f"(\n        {total}\n    )"
    return f"def {name}({', '.join(inputs)}):\n    return {body}\n"


def _identifier(name: str) -> str:
    found = re.sub(r"[^A-Za-z0-9_]", "_", name)
    if not found or found[0].isdigit():
        found = f"_{found}"
    return f"{found}_" if found.lower() in _RESERVED else found


def _unique(names: Sequence[str]) -> list[str]:
    seen: set[str] = set()
    found = []
    for name in names:
        # SQL does not tell cases apart.
        candidate, number = name, 2
        while candidate.lower() in seen:
            candidate, number = f"{name}_{number}", number + 1
        seen.add(candidate.lower())
        found.append(candidate)
    return found


def _text(value: float) -> str:
    return repr(float(value))
