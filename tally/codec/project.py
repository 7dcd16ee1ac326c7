"""A project as bytes: safetensors with JSON, versioned, with a digest. Never pickle."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tally.codec import summary as summaries
from tally.codec import window as windows
from tally.codec.arrays import Arrays
from tally.codec.summary import SchemaRecord
from tally.codec.tensors import pack, unpack
from tally.codec.window import WindowRecord
from tally.engine.counts import Histograms
from tally.engine.options import Options
from tally.engine.project import Project
from tally.errors import CorruptState, InvalidInput

FORMAT_VERSION = 1
_KIND = "project"
_FORGOTTEN = "forgotten"
"""The array with the bytes of what a part was told to forget; whole projects have none."""


class _Record(msgspec.Struct, frozen=True):
    """What of a project is not in its arrays."""

    kind: str
    params: dict[str, str]
    histogram: bool
    rows: int
    known_types: dict[str, str]
    schema: SchemaRecord
    partitions: dict[str, SchemaRecord] = {}
    window: WindowRecord | None = None
    histograms: dict[str, Any] | None = None


def encode(project: Project) -> bytes:
    """Return a project as bytes; equal ones give equal bytes.

    Example:
        >>> project = Project.empty(Options("cpu", {"sml_project_hashtrick_binsize": "64"}))
        >>> decode(encode(project)).options.hash_bins
        64
    """
    arrays: dict[str, NDArray[Any]] = dict(summaries.to_arrays(project.summary, "summary/"))
    partitions = {}
    # By number in alphabetical order, since the keys of the JSON come back in that one.
    for number, (value, summary) in enumerate(sorted(project.partitions.items())):
        arrays |= summaries.to_arrays(summary, f"partition/{number}/")
        partitions[value] = summaries.to_record(summary)
    histograms = None
    if project.histograms is not None:
        counted, histograms = project.histograms.to_arrays()
        arrays |= {f"histograms/{name}": array for name, array in counted.items()}
    window = None
    if project.window is not None:
        held, window = windows.to_arrays(project.window, apart=project.options.embedded)
        arrays |= {f"window/{name}": array for name, array in held.items()}
    if project.forgotten is not None:
        arrays[_FORGOTTEN] = np.frombuffer(encode(project.forgotten), np.uint8)
    record = _Record(
        kind=project.options.kind,
        params=dict(project.options.params),
        histogram=project.options.histogram,
        rows=project.row_count,
        known_types=dict(project.known_types),
        schema=summaries.to_record(project.summary),
        partitions=partitions,
        window=window,
        histograms=histograms,
    )
    return pack(_KIND, FORMAT_VERSION, arrays, msgspec.to_builtins(record))


def decode(data: bytes) -> Project:
    """Return the project in these bytes.

    Raises:
        CorruptState: they are cut, changed, of another format or of a newer version of ours.
    """
    return _decode(data, within=False)


def _decode(data: bytes, *, within: bool) -> Project:
    arrays, meta = unpack(_KIND, FORMAT_VERSION, data)
    if within and _FORGOTTEN in arrays:
        raise CorruptState("the stored project is a part within a part")
    try:
        record = msgspec.convert(meta, _Record)
        options = Options(record.kind, record.params, record.histogram)
    except (msgspec.ValidationError, InvalidInput) as error:
        raise CorruptState(f"the stored project cannot be read: {error}") from error
    summary = summaries.from_arrays(record.schema, arrays, "summary/")
    partitions = {
        value: summaries.from_arrays(schema, arrays, f"partition/{number}/")
        for number, (value, schema) in enumerate(sorted(record.partitions.items()))
    }
    window = None
    if options.window is not None:
        held = _under("window/", arrays)
        window = windows.from_arrays(record.window, options, held, summary)
    histograms = None
    if record.histograms is not None:
        histograms = Histograms.from_arrays(_under("histograms/", arrays), record.histograms)
    forgotten = None
    if (held_apart := arrays.get(_FORGOTTEN)) is not None:
        forgotten = _decode(held_apart.tobytes(), within=True)
    return Project(
        options,
        summary,
        record.rows,
        record.known_types,
        partitions,
        window,
        histograms,
        forgotten,
    )


def _under(prefix: str, arrays: Arrays) -> Arrays:
    return {
        name.removeprefix(prefix): array
        for name, array in arrays.items()
        if name.startswith(prefix)
    }
