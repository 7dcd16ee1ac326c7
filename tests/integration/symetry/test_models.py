"""The numbers of models over the signed API, and the forms in which they are asked."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

import msgspec
import pyarrow as pa
import pytest
import pytest_asyncio

from tally.wire.signing import format_date
from tally.wire.socket_frames import build_frame
from tests.integration.symetry import iris
from tests.integration.symetry.customer import Customer
from tests.integration.symetry.modelling import (
    PL,
    PW,
    SL,
    SW,
    X4,
    build,
    built,
    info,
    predict,
    rows,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def learned(ann: Customer) -> Customer:
    assert (await ann.create("m")).status == 201
    assert (await ann.post("projects/m/learn", iris.frame())).status == 200
    return ann


async def test_a_regression_has_the_coefficients_of_the_reference(learned: Customer) -> None:
    await built(learned, "mlr1", "mlr", SL, [SW, PL, PW])
    found = await info(learned, "mlr1")
    assert found["modelType"] == "mlr"
    assert found["attributeNames"] == [SW, PL, PW]
    assert found["targetNames"] == [SL]
    assert found["targetindexes"] == [0]
    assert found["predictInfo"] == found["scoreInfo"] == ["res"]
    assert found["info"]["buildStatus"] == '"No Error"'
    assert int(found["info"]["buildTimeNanosec"]) > 0
    expected = {
        "coefficient": [0.6548642427853542, 0.7110629145526262, -0.5625678605519066],
        "std.error": [0.06666949060300685, 0.056614796475069985, 0.12711108285128417],
        "scores": [9.822547568044854, 12.559665649698816, -4.42579708970061],
        "p.values": [8.529018586159027e-18, 5.409930484606795e-25, 1.8689551990594722e-05],
        "ci.low": [0.5231022847381186, 0.5991725075534085, -0.8137832967957561],
        "ci.high": [0.7866262008325897, 0.8229533215518439, -0.311352424308057],
    }
    intercept = {
        "coefficient": 1.8450608032166143,
        "std.error": 0.2504224582117963,
        "scores": 7.367792874455944,
        "p.values": 1.1815774112773628e-11,
        "ci.low": 1.35013946611703,
        "ci.high": 2.3399821403161987,
    }
    for name, values in expected.items():
        shown = [float(row[0]) for row in found["extra"][name]["data"]]
        assert shown == pytest.approx([*values, intercept[name]], rel=1e-8), name


async def test_a_regression_predicts_the_rows_of_the_reference(learned: Customer) -> None:
    await built(learned, "mlr2", "mlr", SL, [SW, PL, PW])
    found = await predict(learned, "mlr2", rows(0, 1, 2, 5))
    assert [list(row) for row in found] == [["res"]] * 4
    expected = [4.535565951525374, 4.748884825891162, 4.885477541624961, 5.540341784410315]
    assert [float(row["res"]) for row in found] == pytest.approx(expected, rel=1e-9)
    # A missing input is its mean, or what the others let expect.
    body: dict[str, Any] = {
        "attributeNames": [SW, PL, PW],
        "data": [["3", "1.1", "not a number"]],
    }
    (found_mean,) = await predict(learned, "mlr2", body)
    assert float(found_mean["res"]) == pytest.approx(3.9174913953990136, rel=1e-9)
    del body["attributeNames"][2], body["data"][0][2]
    (found_imputed,) = await predict(learned, "mlr2", body, "impute=true")
    assert float(found_imputed["res"]) == pytest.approx(4.559425210494885, rel=1e-8)


async def test_a_discriminant_answers_as_the_reference(learned: Customer) -> None:
    await built(learned, "lda1", "lda", "Iris_versicolor", X4)
    found = await info(learned, "lda1")
    assert (found["predictInfo"], found["scoreInfo"]) == (["resZ", "res", "normZ"], ["normZ"])
    assert float(found["info"]["z0"]) == pytest.approx(-7.09026702117, rel=1e-8)
    assert float(found["info"]["OverallContribution"]) == pytest.approx(1.23856382112, rel=1e-8)
    answers = await predict(learned, "lda1", rows(0, 75, 149))
    assert list(answers[0]) == ["res", "normZ", "resZ", "z0", "z1LTz0", "z1GTz0", "resU"]
    assert [row["res"] for row in answers] == ["0", "1", "0"]
    assert answers[0]["z1LTz0"] == "false"
    assert [float(row["resZ"]) for row in answers] == pytest.approx(
        [-7.30448447562, -4.87486867292, -9.65798780765], rel=1e-8
    )
    assert [float(row["normZ"]) for row in answers] == pytest.approx(
        [0.492447352118, 0.577484693947, 0.410439873994], rel=1e-8
    )
    whole = await predict(learned, "lda1", rows(*range(150)))
    names = iris.frame()["attributeNames"]
    truth = [row[names.index("Iris_versicolor")] for row in iris.frame()["data"]]
    right = sum(row["res"] == real for row, real in zip(whole, truth, strict=True))
    assert right == 114  # 0.76 of 150


async def test_the_published_sample_of_a_continuous_target_is_reproduced(
    learned: Customer,
) -> None:
    told = await build(learned, "testLDA", "lda", {"targets": ["3"], "inputAttributes": [0, 1, 2]})
    assert told.status == 200, told.body
    body = {"attributeNames": [SL, SW, PL], "data": [["4.3", "3", "1.1"]]}
    (found,) = await predict(learned, "testLDA", body)
    assert float(found["resZ"]) == pytest.approx(-0.4559922893809558, rel=1e-12)
    assert float(found["z0"]) == pytest.approx(-3.840891864408794, rel=1e-12)


@pytest.mark.parametrize(
    ("algo", "parameters", "weights"),
    [
        ("ridge", {"lambda": "1"}, [0.114694319144, 0.150565162246, 0.287806100595]),
        ("lasso", {"lambda": "0.1"}, [0.197426560997, 0.372662051763, 0.0]),
        (
            "elasticnet",
            {"lambda": "0.1", "eta": "0.5", "standardize": "false"},
            [0.1692605045, 0.4039178013, 0.0],
        ),
        ("plsq", {"q": "2"}, [0.530019033981, 0.249906756857, 0.477179599581]),
        ("pcr", {"q": "2", "pcr_type": "qfirst"}, [0.498534758548, 0.217676488333, 0.542339939052]),
    ],
)
async def test_other_regressions_have_the_coefficients_of_the_reference(
    learned: Customer, algo: str, parameters: dict[str, str], weights: list[float]
) -> None:
    await built(learned, algo, algo, SL, [SW, PL, PW], **parameters)
    base = {SW: "3", PL: "4", PW: "1"}

    async def at(**cells: str) -> float:
        row = base | cells
        (found,) = await predict(
            learned, algo, {"attributeNames": list(row), "data": [list(row.values())]}
        )
        return float(found["res"])

    start = await at()
    steps = [await at(**{name: str(int(base[name]) + 1)}) - start for name in base]
    assert steps == pytest.approx(weights, rel=1e-6, abs=1e-7)


async def test_rows_to_predict_come_as_csv_and_arrow(learned: Customer) -> None:
    await built(learned, "forms", "mlr", SL, [SW, PL, PW])
    expected = await predict(learned, "forms", rows(0, 1))
    csv = b"petal_width,petal_length,sepal_width,other\n0.1,1.1,3,red\n0.2,1.4,2.9,blue\n"
    told = await learned.call(
        "POST", "projects/m/predict/forms", csv, headers={"Content-Type": "text/csv"}
    )
    assert told.status == 200, told.body
    assert told.values["KSVSMap"]["values"][0] == expected[0]
    table = pa.table({SW: [3.0], PL: [1.1], PW: [0.1], "text": ["red"]})
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    told = await learned.call(
        "POST",
        "projects/m/predict/forms",
        sink.getvalue(),
        headers={"Content-Type": "application/vnd.apache.arrow.stream"},
    )
    assert told.values["KSVSMap"]["values"] == expected[:1]


async def test_a_linear_model_is_told_as_code(learned: Customer) -> None:
    await built(learned, "coded", "mlr", SL, [SW, PL])
    told = await learned.get("projects/m/models/coded/code", "language=java")
    assert told.values["string"].startswith("/* Java Function */\npublic double coded_score(\n")
    told = await learned.get("projects/m/models/coded/code", "language=cobol")
    assert told.status == 400
    assert "[cobol]" in told.text


async def test_rows_are_answered_over_a_socket(learned: Customer) -> None:
    await built(learned, "socket", "mlr", SL, [SW, PL, PW])
    expected = await predict(learned, "socket", rows(0, 1))
    payload = msgspec.json.encode(rows(0, 1))
    url = f"{learned.url}/symetry/ws/predict"
    signed = build_frame(
        learned.key,
        learned.cid,
        url.replace("http", "ws"),
        ["m", "socket"],
        format_date(datetime.now(UTC)),
        payload,
    )
    async with learned.session.ws_connect(url) as socket:
        for message in (signed, payload.decode()):
            await socket.send_str(message)
            told = await socket.receive_json()
            assert (told["statusCode"], told["values"]["KSVSMap"]["values"]) == ("OK", expected)


async def test_only_the_attributes_that_matter_are_kept(learned: Customer) -> None:
    names = iris.frame()["attributeNames"]
    body = {"targetAttributeNames": ["Iris_versicolor"], "inputAttributeNames": names[:12]}
    query = "modelid=reduced&algo=lda&heuristic=default&delta=0.01&numIterations=5"
    started = await learned.post("projects/m/reduce", body, query)
    assert started.text == "Reduce Job Created"
    told = await learned.job(started)
    assert told.status == 200, told.body
    found = await info(learned, "reduced")
    # One of each pair, since those sum to 1; no more than what adds to the score.
    assert 1 < len(found["attributeNames"]) <= 8
    assert found["modelBuilt"] > 12
    await built(learned, "whole", "lda", "Iris_versicolor", [*names[:4], *names[4:12:2]])
    whole = await info(learned, "whole")
    shown = [float(one["info"]["OverallContribution"]) for one in (found, whole)]
    assert shown[1] - 0.05 < shown[0] <= shown[1] + 1e-9
    for wrong in (
        "algo=mlr",
        "algo=lda&delta=-1",
        "algo=lda&numIterations=x",
        "algo=lda&heuristic=q",
    ):
        told = await learned.post("projects/m/reduce", body, f"modelid=reduced&{wrong}")
        assert told.status == 400, told.body
