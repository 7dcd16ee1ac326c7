from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tally.errors import InvalidInput
from tally.models.base import Attribute
from tally.models.code import code
from tally.models.filling import Filler
from tally.models.linear import Linear
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


@pytest.fixture
def javac() -> str:
    """Return the compiler of Java; skip where there is none, or fail where one must be there."""
    found = shutil.which("javac")
    if found is None:
        reason = "there is no javac; apt-get install default-jdk-headless"
        if os.environ.get("TALLY_REQUIRE_SERVERS") == "1":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    return found


def test_java_compiles_whatever_inputs_are_called_and_computes_the_same(
    tmp_path: Path, javac: str
) -> None:
    odd = named(MLR, "é", "_", "class")
    told = [
        code(MLR, "m", "java"),
        code(odd, "var", "java"),
        code(build("lda", X4, ["13"]), "1", "java"),
    ]
    row = table()[1][75]
    text = (
        "class M { public static void main(String[] none) {\n"
        f"System.out.println(new M().m_score({', '.join(str(row[int(i)]) for i in X3)}));\n"
        f"System.out.println(new M()._1_score({', '.join(str(row[int(i)]) for i in X4)}));\n"
        "}\n" + "\n".join(told) + "}\n"
    )
    (tmp_path / "M.java").write_text(text, encoding="utf-8")
    for command in ((javac, "-d", ".", "M.java"), ("java", "-cp", ".", "M")):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
    expected = [answers(MLR, "res")[75], answers(build("lda", X4, ["13"]), "resZ")[75]]
    assert [float(line) for line in done.stdout.split()] == pytest.approx(expected, rel=1e-12)


def test_more_inputs_than_a_java_method_can_take_are_refused() -> None:
    known = tuple(Attribute(f"x{k}", k, "C") for k in range(128))
    wide = replace(
        MLR,
        filler=Filler(known, np.zeros(128), np.zeros((0, 0)), 128),
        rule=Linear(np.ones(128), np.zeros(128), 0.0),
    )
    with pytest.raises(InvalidInput, match=r"^language: .* takes 127 inputs, not 128; use sql"):
        code(wide, "m", "java")
    assert code(wide, "m", "python").count("x127") == 2


@pytest.mark.parametrize("word", ["end", "user", "time", "limit", "Position", "None", "record_"])
def test_words_that_a_language_keeps_are_not_the_name_of_an_input(word: str) -> None:
    text = code(named(MLR, word, "a", "b"), "m", "sql")
    taken = word if word == "record_" else f"{word}_"
    assert text.startswith(f"CREATE FUNCTION m_score({taken} DOUBLE PRECISION")


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
