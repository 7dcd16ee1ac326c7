"""What is refused on a fusion project, and what is answered from fresh cells only."""

from __future__ import annotations

from tally.wire.status import Refused

REFUSED = frozenset(
    {
        "learn",
        "forget",
        "learnpredict",
        "addds",
        "detachds",
        "dsLearn",
        "dsForget",
        "streams",
        "getDsLog",
        "getLFStats",
        "encoderAssign",
        "export",
        "import",
        "merge",
        "autoML",
    }
)
"""Verbs of a home; those of features that are not there yet are refused from their first day."""

_FRESH = (
    "explore",
    "vif",
    "explorepca",
    "exploresvd",
    "exploresvdfs",
    "densityEstimate",
    "conditionalDensityEstimate",
    "build",
    "reduce",
    "kmeansOptimize",
    "autoSelect",
    "selectModel",
    "dataDrift",
    "snapshot",
    "cellStatistics",
)
FRESH = frozenset({*_FRESH, *(f"{verb}Check" for verb in _FRESH)})
"""Verbs that are answered from cells which were fetched just now, and not without any data."""

INFO = "info"
"""The verb that fetches the cells, and is answered without any data, too."""


def not_available(verb: str) -> Refused:
    """Return the refusal of a verb.

    Example:
        >>> not_available("learn").text
        'Operation [learn] is not available on a Fusion project'
    """
    return Refused(f"Operation [{verb}] is not available on a Fusion project")


def not_fusion(pid: str) -> Refused:
    """Return the refusal of a fusion's verb on another project."""
    return Refused(f"Project [{pid}] is not a fusion project")


def no_data(pid: str, error: str) -> Refused:
    """Return the refusal of a question to a fusion none of whose cells was ever fetched."""
    return Refused(f"Fusion project [{pid}] has no data: {error}")
