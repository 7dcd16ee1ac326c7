"""Signatures and ciphertexts that existing clients make, with the key of bytes 0 to 15."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from tally.clock import ManualClock
from tally.wire.secret_key import SecretKey

KEY = SecretKey.parse("AAECAwQFBgcICQoLDA0ODw==")
CID = "c1"
DATE = "2025-01-15 10:30:00;123456789"
SIGNED_AT = datetime(2025, 1, 15, 10, 30, tzinfo=UTC)

PLAIN = b'{"type":"localfile","name":"iris","info":{"path":"/data/iris.csv"}}'
CIPHER = (
    "DCGlFhBxgoMjOlYJN5//nizvtAg9dH+WhF0ZXPjWBDJbJS/UI/rdTZceRbJaVfuUW96C/1MFLygMIV6wiLHOOjTA1sbx36"
    "5dNeVxlREwDWE="
)

INVITATION = b'{"fed_name":"demo","fed_req_token":"FEDTOKEN0123456789abcdef"}'
INVITATION_CIPHER = (
    "W8MDV7k6dbwpWGniT2AlowBOVyLdAOgeEoL+5B3Is6JpIFLDrL2HJ/BPF0NQIr0CwSHeYv9Fuh2TiG0o7/6s0w=="
)

_LEARN = (
    b'{"attributeNames":["x","y"],"data":[["1","2"],["3","4"]],"attributeTypes":["C","C"],'
    b'"errorHandling":1}'
)
_INFO = "/symetry/rest/c1/projects/irisTest/info"


@dataclass(frozen=True)
class Vector:
    """A request as it comes in, and what a client signed: `signed_path` is the resource line."""

    signature: str
    verb: str
    raw_path: str
    signed_path: str
    query: str = ""
    body: bytes = b""
    md5: str = ""


VECTORS = {
    "V1": Vector("zPH+HCutZz85KElWrOIrGkPnSsJ3NGr0HrEBDqVDVAU=", "GET", _INFO, _INFO),
    "V2": Vector(
        "JMQ5wPypOhBSEDmNfqfhX1VP3J+wylxd6WoRLTgxUCg=",
        "GET",
        "/symetry/rest/c1/projects/irisTest/rename",
        "/symetry/rest/c1/projects/irisTest/rename",
        query="newName=iris2",
    ),
    "V3": Vector(
        "R5fUWiicmBiunA3stJMV8KEZ0EhYAiLm8a6kwZJS9Vw=",
        "POST",
        "/symetry/rest/c1/projects/irisTest/learn",
        "/symetry/rest/c1/projects/irisTest/learn",
        body=_LEARN,
        md5="LK+jiugZe8R2g+Fjn2OtTA==",
    ),
    "V4": Vector(
        "sz9/L/UCziiJB9Meb01dzXT4t9qqYIOir4b64tLWoj0=",
        "POST",
        "/symetry/rest/c1/projects",
        "/symetry/rest/c1/projects",
        query="pid=irisTest&type=cpu&persist=true",
        body=b'{"sml_project_autosave":"true"}',
        md5="q30D4ZPJDGUGlER8XlzRXQ==",
    ),
    "V5": Vector(
        "kGHgSqLiD68MlkgIMME/Uy7W/PpayCEBWT2Oafbb4gA=",
        "GET",
        _INFO,
        f"http://localhost:8080{_INFO}",
    ),
    "V6": Vector(
        "nbhrtxNHRqxeJiWAJyf8GBwPXIFp/KIGomBs4xir6WI=",
        "GET",
        "/symetry/rest/c1/projects/my%20proj/info",
        "/symetry/rest/c1/projects/my proj/info",
    ),
    "V7": Vector(
        "NkbhyS1cC1PtiR9ztKYH8NhbhuM05OfUIME0uauqr8c=",
        "GET",
        "/symetry/rest/c1/projects/my%20proj/info",
        "/symetry/rest/c1/projects/my%20proj/info",
    ),
    "V8": Vector(
        "gDbBQBIP2lbrkq/4n7L6DjM65yKsN35QN2uX0GxB+Qk=",
        "POST",
        "/symetry/rest/c1/dss/create",
        "/symetry/rest/c1/dss/create",
        body=CIPHER.encode(),
        md5="zydduPvK0yYLJjO/17almQ==",
    ),
}

SOCKET_PAYLOAD = b'{"attributeNames":["x","y"],"data":[["1","2"]],"attributeTypes":["C","C"]}'
SOCKET_MD5 = "wVhOKWT3Gf9rKM0cdMV0rw=="
SOCKET_HOST = "localhost:8080"


@dataclass(frozen=True)
class SocketVector:
    """A message's signature, over the URL and a last line end, or over the path without one."""

    signature: str
    verb: str
    extra_keys: tuple[str, ...]
    whole_url: bool


SOCKET_VECTORS = {
    "W1": SocketVector(
        "uiYT0rTKFLNoloCWk7g7xzXUL4KyNPyxMKBftmev0HE=", "learn", ("irisTest",), True
    ),
    "W2": SocketVector(
        "AcACFMjdffgE23gG3MDR1BwHKhCj2a+TdpeJNOyoTfs=", "learn", ("irisTest",), False
    ),
    "W3": SocketVector(
        "WCntD6O0kChuwq2vmVPZoaVezgANNxJwPM/Mfstq86s=", "predict", ("irisTest", "lda1"), True
    ),
    "W4": SocketVector(
        "1JlWXd6H0+G5UtzFAUK5PHFEFy2AC4EsBqKj3LC/yfc=", "predict", ("irisTest", "lda1"), False
    ),
}

W1_FRAME = (
    '149,{"headers":["2025-01-15 10:30:00;123456789","wVhOKWT3Gf9rKM0cdMV0rw==",'
    '"uiYT0rTKFLNoloCWk7g7xzXUL4KyNPyxMKBftmev0HE=","c1"],"extraKeys":["irisTest"]}'
    '{"attributeNames":["x","y"],"data":[["1","2"]],"attributeTypes":["C","C"]}'
)


class ClockAt(ManualClock):
    """A clock that stands at a moment."""

    def __init__(self, moment: datetime = SIGNED_AT) -> None:
        super().__init__()
        self._start = moment
