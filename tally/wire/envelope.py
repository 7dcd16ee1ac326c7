"""The JSON envelope of every answer under `/symetry`, and what may stand in its `values`.

A number that is not finite goes out as `null` where JSON has a number (no browser and few
clients read a bare `NaN`), and as Java's text where the protocol has text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from tally.wire.entities import DataFrame, Density, JobInfo, ModelInfo, ProjectInfo
from tally.wire.java_text import java_text
from tally.wire.status import Refused, StatusCode

Values = Mapping[str, object]
"""Members of `values`: None is left out; structs, mappings, sequences, texts and numbers."""

SML_INFO = "smlInfo"
SML_INFO_LIST = "smlInfoList"
MODEL_INFO = "modelInfo"
MODEL_VERSIONS = "modelVersions"
KSVD_MAP = "KSVDMap"
KSVS_MAP = "KSVSMap"
STRING_LIST = "stringList"
DATA_FRAME = "dataframe"
JOB_INFO = "jobinfo"
JOB_INFO_LIST = "jobInfoList"
DENSITY_LIST = "densityList"
PCA_VECTORS, PCA_VALUES, PCA_SUM = "pcaVectors", "pcaValues", "pcaSumValues"
TEXT = "string"


def envelope(
    values: Values | None = None, *, status: StatusCode = StatusCode.OK, text: str = "OK"
) -> bytes:
    """Return the body of an answer; its HTTP status must be `status.http`.

    Example:
        >>> envelope({"string": "a", "pcaSumValues": float("inf"), "status": None})
        b'{"statusCode":"OK","statusString":"OK","values":{"string":"a","pcaSumValues":null}}'
    """
    kept = {key: value for key, value in (values or {}).items() if value is not None}
    return _ENCODER.encode({"statusCode": status, "statusString": text, "values": kept})


def raw_envelope(
    values_json: bytes, *, status: StatusCode = StatusCode.OK, text: str = "OK"
) -> bytes:
    """Return the same around `values` that are JSON already, such as a worker's answer.

    Example:
        >>> raw_envelope(b'{"a":1.0}', text="Job is finished")
        b'{"statusCode":"OK","statusString":"Job is finished","values":{"a":1.0}}'
    """
    values = msgspec.Raw(values_json)
    return _ENCODER.encode({"statusCode": status, "statusString": text, "values": values})


def refusal(error: Refused) -> bytes:
    """Return the body of an answer that refuses; its HTTP status must be `error.status.http`.

    Example:
        >>> refusal(Refused("No such job"))
        b'{"statusCode":"BAD_REQUEST","statusString":"No such job","values":{}}'
    """
    return envelope(error.values, status=error.status, text=error.text)


def string_list(values: Iterable[str]) -> Values:
    """Return `stringList`.

    Example:
        >>> string_list(["a", "b"])
        {'stringList': {'values': ['a', 'b']}}
    """
    return {STRING_LIST: {"values": list(values)}}


def ksvd_map(maps: Iterable[Mapping[str, float | None]]) -> Values:
    """Return `KSVDMap`: numbers as JSON doubles, so 150 is sent as 150.0; None as null.

    Example:
        >>> ksvd_map([{"count": 150}])
        {'KSVDMap': {'values': [{'count': 150.0}]}}
    """
    return {KSVD_MAP: {"values": [{key: _double(x) for key, x in one.items()} for one in maps]}}


def ksvs_map(maps: Iterable[Mapping[str, float | bool | str]]) -> Values:
    """Return `KSVSMap`: everything as Java's text, in the order given.

    Example:
        >>> ksvs_map([{"res": 1e7, "ok": True}])
        {'KSVSMap': {'values': [{'res': '1.0E7', 'ok': 'true'}]}}
    """
    return {KSVS_MAP: {"values": [{key: java_text(x) for key, x in one.items()} for one in maps]}}


def data_frame(
    names: Sequence[str],
    types: Sequence[str],
    rows: Iterable[Iterable[float | bool | str | None]],
    key: str = DATA_FRAME,
) -> Values:
    """Return `dataframe`, or another member of that form: all cells as text, None as empty text.

    Example:
        >>> data_frame(["x"], ["C"], [[1.5], [None]])["dataframe"].data
        [['1.5'], ['']]
    """
    data = [["" if cell is None else java_text(cell) for cell in row] for row in rows]
    return {key: DataFrame(list(names), list(types), data)}


def sml_info(project: ProjectInfo) -> Values:
    """Return `smlInfo`."""
    return {SML_INFO: project}


def model_info(model: ModelInfo) -> Values:
    """Return `modelInfo`."""
    return {MODEL_INFO: model}


def job_info(job: JobInfo) -> Values:
    """Return `jobinfo`."""
    return {JOB_INFO: job}


def job_list(jobs: Sequence[JobInfo]) -> Values:
    """Return the ids as `stringList` and the jobs as `jobInfoList`: clients read either."""
    ids = string_list(str(job.job_id) for job in jobs)
    return {**ids, JOB_INFO_LIST: {"values": list(jobs)}}


def density_list(densities: Iterable[Density]) -> Values:
    """Return `densityList`."""
    return {DENSITY_LIST: {"values": list(densities)}}


def _double(x: float | None) -> float | None:
    return None if x is None else float(x)


_ENCODER = msgspec.json.Encoder()
