from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from tally.errors import InvalidInput
from tally.models.code import code
from tally.models.filling import Filler
from tally.models.model import Model
from tests.unit.models.iris import X3, X4, answers, build, table

MLR = build("mlr", X3, ("0",))


def named(model: Model, *names: str) -> Model:
    """Return a model whose inputs are called so."""
    known = tuple(
        replace(attribute, name=name) for attribute, name in zip(model.inputs, names, strict=True)
    )
    filler = Filler(known, model.filler.mean[: len(known)], np.zeros((0, 0)), len(known))
    return replace(model, filler=filler)


def test_java_is_laid_out_as_documented() -> None:
    b = [repr(float(value)) for value in np.asarray(MLR.tables["coefficients"]["coefficient"])]
    assert code(MLR, "my model", "java") == (
        "/* Java Function */\n"
        "public double my_model_score(\n"
        "\tdouble sepal_width,\n\tdouble petal_length,\n\tdouble petal_width)\n"
        "{\n"
        f"\treturn ({b[0]} * sepal_width) + \n"
        f"\t\t({b[1]} * petal_length) + \n"
        f"\t\t({b[2]} * petal_width) + \n"
        f"\t\t({b[3]});\n"
        "}\n"
    )


@pytest.mark.parametrize(
    ("algo", "inputs", "target", "key", "parameters"),
    [
        ("mlr", X3, "0", "res", {}),
        ("lasso", X3, "0", "res", {"lambda": "0.1"}),
        ("pcr", X3, "0", "res", {"q": "2"}),
        ("lsvr", X3, "3", "res", {"clip_negative_predictions": "true"}),
        ("lda", X4, "13", "resZ", {}),
    ],
)
def test_the_code_computes_what_the_model_predicts(
    algo: str, inputs: tuple[str, ...], target: str, key: str, parameters: dict[str, str]
) -> None:
    model = build(algo, [i for i in inputs if i != target], [target], None, parameters)
    scope: dict[str, Callable[..., float]] = {}
    # The promise is that the text computes what the model does, which only running it can show.
    # It is this repository's own, of numbers and cleaned names; the product never runs any.
    exec(code(model, "m", "Python"), scope)
    rows = table()[1][:, [attribute.index for attribute in model.inputs]]
    found = [scope["m_score"](*row) for row in rows.tolist()]
    assert found == pytest.approx(answers(model, key), rel=1e-12, abs=1e-12)

    sql = code(model, "m", "sql")
    body = sql[sql.index(" RETURN ") + 8 : -2].replace("GREATEST", "MAX")
    columns = ", ".join(attribute.name for attribute in model.inputs)
    with sqlite3.connect(":memory:") as database:
        database.execute(f"CREATE TABLE rows ({columns})")
        marks = ", ".join("?" * len(model.inputs))
        database.executemany(f"INSERT INTO rows VALUES ({marks})", rows.tolist())
        found = [row[0] for row in database.execute(f"SELECT {body} FROM rows")]
    database.close()
    assert found == pytest.approx(answers(model, key), rel=1e-12, abs=1e-12)


def test_names_become_identifiers_that_no_language_keeps_for_itself() -> None:
    model = named(MLR, "class", "color$dark red", "color_dark_red")
    text = code(model, "1; DROP TABLE x", "sql")
    assert text.startswith(
        "CREATE FUNCTION _1__DROP_TABLE_x_score(class_ DOUBLE PRECISION,"
        " color_dark_red DOUBLE PRECISION, color_dark_red_2 DOUBLE PRECISION)"
    )


def test_what_has_no_code_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"^language: \[cobol\] is none of java, sql, python"):
        code(MLR, "m", "cobol")
    with pytest.raises(InvalidInput, match="a model of bayes has no code: it is not linear"):
        code(build("bayes", X4, ["13"]), "m", "java")
