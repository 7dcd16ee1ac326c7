from __future__ import annotations

import json
import math

import msgspec
import pytest

from tally.wire import texts
from tally.wire.entities import Density, JobInfo, ModelInfo, ProjectInfo
from tally.wire.envelope import (
    SML_INFO_LIST,
    data_frame,
    density_list,
    envelope,
    job_info,
    job_list,
    ksvd_map,
    ksvs_map,
    model_info,
    raw_envelope,
    refusal,
    sml_info,
    string_list,
)
from tally.wire.status import Refused, StatusCode

PROJECT = ProjectInfo(
    pid="p",
    type="cpu",
    creation_date=1735689600000,
    last_modification_date=1735689660000,
    loaded=True,
    persisted=True,
    histogram_enabled=False,
    auto_save=True,
    attribute_names=["x"],
    attribute_indexes=[0],
    attribute_types=["C"],
)
JOB = JobInfo(job_id=7, job_type="LearnJob", owner="c1", starting_date=1)


def values_of(body: bytes) -> dict[str, object]:
    told: dict[str, object] = json.loads(body)["values"]
    return told


def test_an_empty_answer_is_what_clients_compare() -> None:
    assert envelope() == b'{"statusCode":"OK","statusString":"OK","values":{}}'
    told = envelope(status=StatusCode.ACCEPTED, text=texts.JOB_CREATED)
    assert told == b'{"statusCode":"ACCEPTED","statusString":"Job Created","values":{}}'


def test_a_worker_s_values_are_put_in_as_they_are() -> None:
    told = raw_envelope(b'{"a":[1e3]}', status=StatusCode.CREATED, text='say "x"')
    assert told == rb'{"statusCode":"CREATED","statusString":"say \"x\"","values":{"a":[1e3]}}'


def test_a_refusal_bears_its_text_and_values() -> None:
    error = Refused("Invalid Signature", StatusCode.UNAUTHORIZED, stringToSign="GET\\n")
    assert json.loads(refusal(error)) == {
        "statusCode": "UNAUTHORIZED",
        "statusString": "Invalid Signature",
        "values": {"stringToSign": "GET\\n"},
    }
    assert str(error) == "Invalid Signature"


@pytest.mark.parametrize(
    ("name", "http"),
    [
        ("OK", 200),
        ("CREATED", 201),
        ("ACCEPTED", 202),
        ("BAD_REQUEST", 400),
        ("UNAUTHORIZED", 401),
        ("FORBIDDEN", 403),
        ("NOT_FOUND", 404),
        ("METHOD_NOT_ALLOWED", 405),
        ("CONFLICT", 409),
        ("REQUEST_ENTITY_TOO_LARGE", 413),
        ("MISDIRECTED_REQUEST", 421),
        ("UNPROCESSABLE_ENTITY", 422),
        ("TOO_MANY_REQUESTS", 429),
        ("INTERNAL_SERVER_ERROR", 500),
        ("BAD_GATEWAY", 502),
        ("SERVICE_UNAVAILABLE", 503),
        ("GATEWAY_TIMEOUT", 504),
    ],
)
def test_names_and_http_statuses_stand_for_each_other(name: str, http: int) -> None:
    code = StatusCode(name)
    assert code.http == http
    assert StatusCode.of(http) is code


def test_every_name_has_a_status_of_its_own() -> None:
    assert len({code.http for code in StatusCode}) == len(StatusCode)


def test_numbers_that_json_does_not_know_are_null_in_number_maps() -> None:
    body = envelope(ksvd_map([{"z": math.inf, "p": math.nan, "n": 150, "m": None}]))
    assert b'"values":[{"z":null,"p":null,"n":150.0,"m":null}]' in body


def test_numbers_that_json_does_not_know_are_text_in_text_maps() -> None:
    body = envelope(ksvs_map([{"res": math.nan, "x": -math.inf, "y": 34243127.0, "b": True}]))
    assert values_of(body)["KSVSMap"] == {
        "values": [{"res": "NaN", "x": "-Infinity", "y": "3.4243127E7", "b": "true"}]
    }


def test_members_keep_their_order() -> None:
    body = envelope(ksvs_map([{"res": 1, "a": 2}]))
    assert body.index(b'"res"') < body.index(b'"a"')


def test_a_data_frame_holds_texts_only() -> None:
    values = {**data_frame(["x", "y"], ["C", "S"], [[1.0, None], [1e7, "a"]]), "n": None}
    assert values_of(envelope(values)) == {
        "dataframe": {
            "attributeNames": ["x", "y"],
            "attributeTypes": ["C", "S"],
            "data": [["1.0", ""], ["1.0E7", "a"]],
        }
    }
    assert list(data_frame([], [], [], key="pcaVectors")) == ["pcaVectors"]


def test_a_project_is_told_with_the_members_that_clients_read() -> None:
    told = values_of(envelope(sml_info(PROJECT)))["smlInfo"]
    assert told == {
        "pid": "p",
        "type": "cpu",
        "creationDate": 1735689600000,
        "lastModificationDate": 1735689660000,
        "loaded": True,
        "persisted": True,
        "histogramEnabled": False,
        "autoSave": True,
        "attributeNames": ["x"],
        "attributeIndexes": [0],
        "attributeTypes": ["C"],
        "modelsList": [],
        "modelTypeList": [],
        "dsList": [],
        "modelAssessments": {},
        "modelPredictions": {},
        "params": {},
        "hash": -1,
        "isDirty": True,
        "categorySeparator": "$",
    }
    partitioned = msgspec.structs.replace(PROJECT, partition_column="grade")
    body = envelope({SML_INFO_LIST: {"values": [PROJECT, partitioned]}})
    assert body.count(b'"partitionColumn":"grade"') == 1


def test_jobs_are_told_alone_and_as_ids_beside_the_list() -> None:
    alone = values_of(envelope(job_info(JOB)))["jobinfo"]
    assert alone == {
        "jobId": 7,
        "jobType": "LearnJob",
        "owner": "c1",
        "startingDate": 1,
        "current": 0,
        "maximum": 0,
        "isOnBoundedExecutor": True,
        "isStarted": False,
        "isDone": False,
        "details": {},
    }
    told = values_of(envelope(job_list([JOB])))
    assert told == {"stringList": {"values": ["7"]}, "jobInfoList": {"values": [alone]}}


def test_a_model_spells_its_target_indexes_as_the_protocol_does() -> None:
    model = ModelInfo(model_id="m", model_type="mlr", creation_date=1, target_indexes=[3])
    told = values_of(envelope(model_info(model)))["modelInfo"]
    assert isinstance(told, dict)
    assert told["targetindexes"] == [3]
    assert "extra" not in told


def test_a_density_without_a_range_says_why() -> None:
    densities = [
        Density(attr_name="x", min=4.3, max=7.9, width=0.72, histogram=[32.0]),
        Density(attr_name="y", error="partial histogram"),
    ]
    assert values_of(envelope(density_list(densities)))["densityList"] == {
        "values": [
            {"attrName": "x", "min": 4.3, "max": 7.9, "width": 0.72, "histogram": [32.0]},
            {"attrName": "y", "histogram": [], "error": "partial histogram"},
        ]
    }


def test_a_list_of_texts_is_wrapped() -> None:
    assert values_of(envelope(string_list(iter(["a", "ü"])))) == {
        "stringList": {"values": ["a", "ü"]}
    }


def test_the_texts_are_those_that_clients_compare() -> None:
    assert [
        texts.project_created("p"),
        texts.project_deleted("p", "c"),
        texts.no_project("p", "c"),
        texts.no_project_to_change("p", "c"),
        texts.project_exists("p", "c"),
        texts.no_model("m"),
        texts.bad_project_id("p"),
        texts.missing_parameter("p"),
        texts.bad_frame("row 1"),
        texts.no_histogram("p"),
        texts.frozen("p"),
    ] == [
        "Project Created with id:p",
        "deleted Project with id[p] from Customer[c] store",
        "Cannot Find SYMETRYML id[p] for Customer id [c]",
        "Customer[c] does not have Project with id[p], ",
        "Customer [c] already have SYMETRYML with id[p], ",
        "Generic Exception <Error no such model <m>>",
        "Invalid project id [p]",
        "Missing parameter [p]",
        "Invalid DataFrame: row 1",
        "Histogram is not enabled for project [p]",
        "Project [p] is frozen",
    ]
