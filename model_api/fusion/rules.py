"""What is refused on a fusion project, and what is answered from fresh cells only."""

from __future__ import annotations

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

KNOWN = "infoKnown"
"""The same of all projects together: nothing is fetched."""

TELLING = frozenset({INFO, KNOWN, "explore"})
"""Verbs whose answer has the list of cells."""
