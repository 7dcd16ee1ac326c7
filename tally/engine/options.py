"""What a project was created with: its type and the documented creation keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from tally.engine.prescribed import Prescribed

GPU_KINDS = ("gpu", "mgpuf", "mgpud")
"""Their statistics are those of `cpu`."""

KINDS = ("cpu", "sequence", "partition", *GPU_KINDS)
_ALIASES = {"dynamic": "cpu"}

AUTOSAVE = "sml_project_autosave"
LEARN_MERGE = "sml_project_learn_merge"
ROW_FILTER = "sml_project_predicate_row_filter"
WINDOW = "sml_project_rolling_window_size"
EMBEDDED = "sml_project_rolling_window_use_embedded"
ORDER = "sml_project_order"
PARTITION = "partitionSplit"
GPUS = "mgpu_num"
HASH_BINS = "sml_project_hashtrick_binsize"

MAX_WINDOW = 1_000_000
MAX_ORDER = 16
MAX_HASH_BINS = 2048
_MAX_GPUS = 1024

_REQUIRED = {"sequence": ORDER, "partition": PARTITION, "mgpuf": GPUS, "mgpud": GPUS}


class UnusableOption(Prescribed):
    """A project cannot be created so."""


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a project; checked when they are made.

    Attributes:
        kind: one of `KINDS`; its alias and upper case are understood.
        params: creation keys and values, as sent; unknown ones are kept.
        histogram: whether values are counted from the start.
        autosave: write every change; if not, only on request.
        row_filter: rows that fail it are ignored; may be empty.
        window: keep the statistics of so many last rows only; None for all.
        embedded: of all rows, and those of the window beside them.
        order: of the n-grams of a `sequence` project.
        partition: the column that selects the state in a `partition` project.
        hash_bins: categories are hashed into so many attributes.

    Raises:
        UnusableOption: the type is unknown, a key is missing or its value cannot be used.

    Example:
        >>> Options("cpu", {"sml_project_rolling_window_size": "500"}).window
        500
    """

    kind: str = "cpu"
    params: Mapping[str, str] = field(default_factory=dict)
    histogram: bool = False
    autosave: bool = field(init=False, compare=False)
    row_filter: str = field(init=False, compare=False)
    window: int | None = field(init=False, compare=False)
    embedded: bool = field(init=False, compare=False)
    order: int | None = field(init=False, compare=False)
    partition: str | None = field(init=False, compare=False)
    hash_bins: int | None = field(init=False, compare=False)

    def __post_init__(self) -> None:
        kind = _ALIASES.get(self.kind.lower(), self.kind.lower())
        if kind not in KINDS:
            raise UnusableOption("type", f"Unknown project type [{self.kind}]")
        params = dict(self.params)
        required = _REQUIRED.get(kind)
        if required is not None and not params.get(required, "").strip():
            raise UnusableOption(required, f"Missing parameter [{required}]")
        window = _number(params, WINDOW, MAX_WINDOW)
        if window is not None and kind == "partition":
            raise UnusableOption(WINDOW, f"{WINDOW} is not available in partition projects")
        if kind in ("mgpuf", "mgpud"):
            _number(params, GPUS, _MAX_GPUS)
        _truth(params, LEARN_MERGE)  # a frame counts whole or not at all in any case
        found = {
            "kind": kind,
            "params": MappingProxyType(params),
            "autosave": _truth(params, AUTOSAVE, default=True),
            "row_filter": params.get(ROW_FILTER, "").strip(),
            "window": window,
            "embedded": _truth(params, EMBEDDED) and window is not None,
            "order": _number(params, ORDER, MAX_ORDER) if kind == "sequence" else None,
            "partition": params[PARTITION].strip() if kind == "partition" else None,
            "hash_bins": _number(params, HASH_BINS, MAX_HASH_BINS),
        }
        for name, value in found.items():
            object.__setattr__(self, name, value)

    @property
    def windowed(self) -> bool:
        """Whether the project describes the rows of its window only."""
        return self.window is not None and not self.embedded


def _truth(params: Mapping[str, str], key: str, *, default: bool = False) -> bool:
    text = params.get(key, "").strip().lower()
    if text not in ("", "true", "false"):
        raise UnusableOption(key, f"{key} is [{params[key]}], neither true nor false")
    return text == "true" if text else default


def _number(params: Mapping[str, str], key: str, most: int) -> int | None:
    text = params.get(key, "").strip()
    if not text:
        return None
    # The digits of other scripts are numbers for int() too; and so are endless ones.
    if not (text.isascii() and text.isdigit() and len(text) < 20 and 1 <= int(text) <= most):
        raise UnusableOption(key, f"{key} is [{params[key][:40]}], not a number from 1 to {most}")
    return int(text)
