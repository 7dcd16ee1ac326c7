"""What is answered to a question that cannot be: the texts that clients of the API know."""

from __future__ import annotations

from tally.engine.prescribed import Prescribed


class UnknownMetric(Prescribed):
    """There is no such metric."""

    def __init__(self, metric: str) -> None:
        super().__init__("metric", f"Unknown metric [{metric}]")


class UnknownAttribute(Prescribed):
    """The project has no attribute, and no category, of this name or index."""

    def __init__(self, token: str) -> None:
        super().__init__("attribute", f"Unknown attribute [{token}]")


class MissingParameter(Prescribed):
    """The question needs a parameter that it lacks."""

    def __init__(self, parameter: str) -> None:
        super().__init__(parameter, f"Missing parameter [{parameter}]")


class HistogramDisabled(Prescribed):
    """The project counts no values.

    Attributes:
        template: the text for clients, to be completed by those who know the project's id.
    """

    template = "Histogram is not enabled for project [{pid}]"

    def __init__(self) -> None:
        super().__init__("histogram", "Histogram is not enabled for this project")
