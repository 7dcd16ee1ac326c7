"""The rows of a project's models. They stand in the project's own partition."""

from __future__ import annotations

import re

import msgspec

from tally.errors import CorruptState
from tally.ledger.records import BlobRef
from tally.wire.status import Refused

MODELS = "model/"
VERSIONS = "model-version/"
BYTES = "model-bytes/"
FLOOR = "model-floor"

_LENGTH_BYTES = 8
# As a segment of a path, `.` and `..` are what clients take away before they send it.
_ID = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9_.-]{1,128}", re.ASCII)
_ALLOWED = "1 to 128 letters, digits, _, . and -, not . or .. alone"


class ModelHead(msgspec.Struct, frozen=True):
    """Row `model/{id}`: which version of a model is served.

    Attributes:
        version: the one.
        previous: the one before it; 0: there is none any more.
        last: the highest number that was ever given.
    """

    version: int
    previous: int
    last: int


class ModelVersion(msgspec.Struct, frozen=True, kw_only=True):
    """Row `model-version/{id}/{version}`: one model as it was built. It never changes.

    Attributes:
        family: its algorithm.
        reduce: dependent inputs were left out.
        created_ms: when it was built.
        build_ns: how long that took.
        rows: the fewest rows behind any number of it.
        learned: rows of the statistics that it was made from.
        generation: of the project, whose statistics those were.
        fits: that it took.
        size_bytes: of what is stored of it.
        blob: where it is large; else it stands in the row `model-bytes/{id}/{version}`.
    """

    id: str
    version: int
    family: str
    reduce: bool
    created_ms: int
    build_ns: int
    rows: float
    learned: float
    generation: int
    size_bytes: int
    blob: BlobRef | None = None
    fits: int = 1

    @property
    def key(self) -> str:
        """Where it stands."""
        return version_key(self.id, self.version)

    @property
    def bytes_key(self) -> str:
        """Where a small model stands."""
        return f"{BYTES}{self.id}/{self.version:012}"


class ModelFloor(msgspec.Struct, frozen=True):
    """Row `model-floor`: no model that comes to be gets a version up to this one.

    So a model that was deleted and built again never answers under a number of its former self.
    """

    version: int = 0


def is_model_id(name: str) -> bool:
    """Tell whether a model may have this name."""
    return _ID.fullmatch(name) is not None


def check_model_id(name: str) -> str:
    """Return a model's name if it may be one.

    Raises:
        Refused: it may not.

    Example:
        >>> check_model_id("lda-1")
        'lda-1'
    """
    if not is_model_id(name):
        raise Refused(f"Invalid model id [{name[:140]}]: it has {_ALLOWED}")
    return name


def pack_model(context: bytes, model: bytes) -> bytes:
    """Return what is stored of a version.

    Args:
        context: the request's MLContext, as JSON, to build the model again.
        model: its bytes.

    Example:
        >>> unpack_model(pack_model(b"{}", b"model"))
        (b'{}', b'model')
    """
    return len(context).to_bytes(_LENGTH_BYTES, "little") + context + model


def unpack_model(data: bytes) -> tuple[bytes, bytes]:
    """Return context and model of what is stored.

    Raises:
        CorruptState: it is not that.
    """
    end = _LENGTH_BYTES + int.from_bytes(data[:_LENGTH_BYTES], "little")
    if len(data) < max(end, _LENGTH_BYTES):
        raise CorruptState(f"the {len(data)} bytes are not context and model")
    return data[_LENGTH_BYTES:end], data[end:]


def version_key(model: str, version: int) -> str:
    """Return the row of a version; keys sort as the versions of a model do."""
    return f"{VERSIONS}{model}/{version:012}"
