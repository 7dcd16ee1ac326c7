"""A model as text that a user can keep, and back."""

from __future__ import annotations

import hashlib

import msgspec

from model_api.projects.model_steps import Publish
from tally.codec.container import open_sealed, seal
from tally.codec.model import decode
from tally.errors import CorruptState
from tally.projects.model_records import ModelVersion, unpack_model
from tally.wire.status import Refused

_LENGTH_BYTES = 8


def sealed_model(version: ModelVersion, data: bytes) -> str:
    """Return the export of a model: base64.

    Args:
        version: what is told of it.
        data: what is stored of it.
    """
    told = msgspec.json.encode(version)
    return seal(len(told).to_bytes(_LENGTH_BYTES, "little") + told + data)


def opened_model(body: bytes, name: str, max_bytes: int, at_ms: int) -> Publish:
    """Return the model of an export, ready to be published.

    Args:
        body: the text, or a JSON string of it.
        name: what it will be called.
        max_bytes: of the model, decompressed.
        at_ms: when it is imported.

    Raises:
        Refused: it is no export of a model, or was changed.
    """
    try:
        text = body.strip()
        plain = msgspec.json.decode(text, type=str) if text[:1] == b'"' else text.decode("ascii")
        content = open_sealed(plain, max_bytes=max_bytes)
        end = _LENGTH_BYTES + int.from_bytes(content[:_LENGTH_BYTES], "little")
        told = msgspec.json.decode(content[_LENGTH_BYTES:end], type=ModelVersion)
        data = content[end:]
        model = decode(unpack_model(data)[1])
    except (UnicodeDecodeError, msgspec.MsgspecError) as error:
        raise Refused(f"Invalid export: it is no exported model: {error}") from error
    except CorruptState as error:
        raise Refused(f"Invalid export: {error}") from error
    made = msgspec.structs.replace(
        told,
        id=name,
        version=0,
        family=model.family,
        created_ms=at_ms,
        rows=model.rows,
        learned=model.learned,
        size_bytes=len(data),
        blob=None,
    )
    digest = hashlib.sha256(f"import {name}\n".encode() + data).hexdigest()
    return Publish(digest, made, data)
