"""Whatever a customer signs, it is the customer's mistake or it is answered: never a defect."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import msgspec
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from broker.edge.symetry.routes import ROUTES, Route
from tally.models.families import FAMILIES
from tests.integration.symetry.customer import Customer, Told

pytestmark = pytest.mark.asyncio(loop_scope="module")

QUICK = settings(
    max_examples=60,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
# Those that make or move projects would take away the one that the others ask.
GONE = {"rename", "import", "projects", "delete", "{pid}", "modelDelete"}

words = st.sampled_from(
    [
        "x",
        "y",
        "color",
        "color$red",
        "0",
        "1",
        "-1",
        "99",
        "1e9",
        "",
        " ",
        "NaN",
        "true",
        "uni",
        "bi",
    ]
)
texts = words | st.text(max_size=8)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts
cells = st.lists(scalars, max_size=4)
frames = st.fixed_dictionaries(
    {},
    optional={
        "attributeNames": st.lists(texts, max_size=4) | scalars,
        "attributeTypes": st.lists(st.sampled_from("CBTSLXP-?"), max_size=4) | scalars,
        "data": st.lists(cells, max_size=4) | scalars,
        "errorHandling": scalars,
    },
)
contexts = st.fixed_dictionaries(
    {},
    optional={
        "inputAttributes": st.lists(scalars, max_size=4) | scalars,
        "inputAttributeNames": st.lists(texts, max_size=4),
        "targets": st.lists(scalars, max_size=4),
        "targetAttributeNames": st.lists(texts, max_size=3) | scalars,
        "extraParameters": st.dictionaries(
            st.sampled_from(
                [
                    "hist_bins",
                    "hist_min",
                    "hist_max",
                    "pcaNumDimension",
                    "sml_explore_ztest_known_mu",
                    "driftMetric",
                    "driftPreferenceProjectName",
                    "driftAnalysisProjectName",
                    "need_bi_conditional_ci95",
                    "need_bi_conditional_mmm",
                ]
            ),
            scalars | st.sampled_from(["fuzzed", "global", "marginal_stat"]),
            max_size=4,
        ),
    },
)
explorations = st.fixed_dictionaries({"values": st.lists(contexts, max_size=3) | scalars})
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3)
)


def encoded(value: object) -> bytes:
    return msgspec.json.encode(value)


bodies = st.one_of(
    frames.map(encoded),
    explorations.map(encoded),
    contexts.map(encoded),
    json_values.map(encoded),
    st.binary(max_size=40),
    st.sampled_from([b"[" * 5000, b'{"values":' * 3000, b'{"data":[[NaN,Infinity]]}', b"\xff\xfe"]),
)
METRICS = [
    "uni",
    "bi",
    "ztest",
    "ztestp",
    "ztestmu",
    "ttest",
    "ftestmu",
    "anova",
    "chi2",
    "gain",
    "what",
]
queries = st.dictionaries(
    st.sampled_from(
        [
            "async",
            "METRIC",
            "metric",
            "enable",
            "explainedCovariance",
            "returnProjectInfo",
            "otherProjectName",
            "attributeTypes",
            "errorHandling",
            "tps",
            "useLocal",
            "persist",
            "modelid",
            "algo",
            "svdreduce",
            "task",
            "impute",
            "language",
            "to",
        ]
    ),
    texts | st.sampled_from(["true", "false", "0.5", "fuzzed", "CBT", *METRICS, *FAMILIES]),
    max_size=5,
).map(lambda pairs: "&".join(f"{name}={quote(value)}" for name, value in pairs.items()))
headers = st.fixed_dictionaries(
    {},
    optional={
        "Content-Type": st.sampled_from(
            [
                "application/json",
                "text/csv",
                "text/csv; charset=latin-1",
                "application/vnd.apache.arrow.stream",
                "application/vnd.apache.parquet",
                "application/octet-stream",
                "x",
            ]
        ),
        "Content-Encoding": st.sampled_from(["gzip", "zstd", "identity", "br", "gzip, gzip"]),
        "Idempotency-Key": st.sampled_from(["a", "a b", "", "x" * 201, "é"]),
        "sym-client": st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=300),
        "Customer-ID": st.sampled_from(["ann", "bob"]),
    },
)
asked = st.sampled_from([route for route in ROUTES if route.verb not in GONE])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fuzzed(ann: Customer) -> Customer:
    assert (await ann.create("fuzzed", "enableHistogram=true")).status == 201
    rows: list[list[Any]] = [[1, 0, "red"], [2, 1, "blue"], [4, 1, "red"], ["", 0, ""]]
    assert (await ann.learn("fuzzed", "x y color", "CBT", rows)).status == 200
    body = {"targetAttributeNames": ["x"], "inputAttributeNames": ["y"]}
    told = await ann.post("projects/fuzzed/build", body, "modelid=fuzzed&algo=mlr")
    assert (await ann.job(told)).status == 200
    return ann


def assert_answered(told: Told) -> None:
    envelope = told.json
    assert set(envelope) == {"statusCode", "statusString", "values"}, told.body
    assert isinstance(envelope["values"], dict)
    assert isinstance(envelope["statusString"], str)


@given(asked, bodies, queries, headers)
@QUICK
async def test_no_signed_request_is_a_defect(
    fuzzed: Customer, route: Route, body: bytes, query: str, headers: dict[str, str]
) -> None:
    path = route.path.replace("{pid}", "fuzzed").replace("{jobid}", "1")
    path = path.replace("{modelid}", "fuzzed")
    told = await fuzzed.call(route.method, path, body, query=query, headers=headers)
    assert told.status < 500 or route.path == "jobs/{jobid}", (route, told.body)
    if told.status == 202 and "sym-job-id" in told.headers:
        told = await fuzzed.job(told)
        assert "defect" not in told.text, told.body
        assert "failed; its log" not in told.text, told.body
    if not told.headers["content-type"].startswith("text/plain"):
        assert_answered(told)
    # Nothing that is refused takes the project with it.
    await fuzzed.get("projects/fuzzed/unfreeze")
    info = await fuzzed.get("projects/fuzzed/info")
    assert info.status == 200, info.body


@given(bodies, queries)
@QUICK
async def test_no_creation_or_import_is_a_defect(fuzzed: Customer, body: bytes, query: str) -> None:
    for path in ("projects", "projects/new/import"):
        told = await fuzzed.post(path, body, f"pid=new&{query}")
        assert told.status < 500, told.body
        assert_answered(told)
        if told.status < 300:
            await fuzzed.call("DELETE", "projects/new")


segments = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=12)
paths = st.lists(segments, max_size=5).map("/".join).map(lambda path: quote(path, safe="/"))


@given(paths, st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]))
@QUICK
async def test_no_path_is_a_defect(fuzzed: Customer, path: str, method: str) -> None:
    told = await fuzzed.call(method, f"p/{path}")
    assert told.status in (404, 405), told.body
    assert_answered(told)
    told = await fuzzed.call(method, f"projects/{path}")
    assert told.status < 500, told.body


raw = st.text(
    st.characters(min_codepoint=32, max_codepoint=255, exclude_categories=["Cc"]), max_size=40
)


@given(raw, raw, raw, raw)
@QUICK
async def test_no_header_is_a_defect(
    fuzzed: Customer, signature: str, date: str, md5: str, claimed: str
) -> None:
    headers = {
        "Authorization": signature,
        "sym-date": date,
        "Content-MD5": md5,
        "Customer-ID": claimed,
    }
    for name in headers:
        told = await fuzzed.call(
            "POST", "projects/fuzzed/learn", b"{}", headers={name: headers[name]}
        )
        assert told.status in (400, 401), told.body
        assert_answered(told)


messages = st.one_of(
    frames.map(encoded).map(bytes.decode),
    st.text(max_size=40),
    st.integers(0, 300).map(lambda n: f'{n},{{"headers":["a","b","c","ann"],"extraKeys":["x"]}}'),
    st.sampled_from(['0,{"data":[]}', "0,", "9" * 30 + ",{}", '{"headers":[]}-289907289{}']),
)


@given(st.lists(messages, min_size=1, max_size=3))
@QUICK
async def test_no_message_over_a_socket_is_a_defect(fuzzed: Customer, sent: list[str]) -> None:
    for path in ("learn", "forget", "predict"):
        async with fuzzed.session.ws_connect(f"{fuzzed.url}/symetry/ws/{path}") as socket:
            await socket.send_str(sent[0])
            told = await socket.receive_json()
            assert told["statusCode"] in ("BAD_REQUEST", "UNAUTHORIZED"), told
