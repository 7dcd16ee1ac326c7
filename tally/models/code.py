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

# Keywords of Java and Python, and those words that PostgreSQL takes for no parameter's name.
_RESERVED = frozenset({
    "abstract", "all", "analyse", "analyze", "and", "any", "array", "as", "asc", "assert",
    "asymmetric", "async", "authorization", "await", "between", "bigint", "binary", "bit",
    "boolean", "both", "break", "by", "byte", "case", "cast", "catch", "char", "character", "check",
    "class", "coalesce", "collate", "collation", "column", "concurrently", "const", "constraint",
    "continue", "create", "cross", "current_catalog", "current_date", "current_role",
    "current_schema", "current_time", "current_timestamp", "current_user", "dec", "decimal", "def",
    "default", "deferrable", "del", "desc", "distinct", "do", "double", "elif", "else", "end",
    "enum", "except", "exists", "extends", "extract", "false", "fetch", "final", "finally", "float",
    "for", "foreign", "freeze", "from", "full", "function", "global", "goto", "grant", "greatest",
    "group", "grouping", "having", "if", "ilike", "implements", "import", "in", "initially",
    "inner", "inout", "instanceof", "int", "integer", "interface", "intersect", "interval", "into",
    "is", "isnull", "join", "lambda", "lateral", "leading", "least", "left", "like", "limit",
    "localtime", "localtimestamp", "long", "national", "native", "natural", "nchar", "new", "none",
    "nonlocal", "normalize", "not", "notnull", "null", "nullif", "numeric", "offset", "on", "only",
    "or", "order", "out", "outer", "overlaps", "overlay", "package", "pass", "placing", "position",
    "precision", "primary", "private", "protected", "public", "raise", "real", "references",
    "return", "returns", "right", "row", "select", "session_user", "setof", "short", "similar",
    "smallint", "some", "static", "strictfp", "substring", "super", "switch", "symmetric",
    "synchronized", "table", "tablesample", "then", "this", "throw", "throws", "time", "timestamp",
    "to", "trailing", "transient", "treat", "trim", "true", "try", "union", "unique", "user",
    "using", "values", "varchar", "variadic", "verbose", "void", "volatile", "when", "where",
    "while", "window", "with", "yield",
})  # fmt: skip
_MOST_DOUBLES = 127  # of a Java method: 255 slots, one is `this`, and a double takes two


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
        InvalidInput: the language is not known, or cannot take so many inputs, or the model is not
            linear.
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
    if write is _java and len(inputs) > _MOST_DOUBLES:
        raise InvalidInput(
            "language",
            f"java takes {_MOST_DOUBLES} inputs, not {len(inputs)}; use sql or python",
        )
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
    if not found.strip("_"):  # `_` alone is a keyword of Java
        return f"x{found}"
    if found[0].isdigit():
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
