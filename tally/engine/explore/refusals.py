"""What is answered to a question that cannot be: the texts that clients of the API know."""

from __future__ import annotations

from tally.errors import InvalidInput


class _Told(InvalidInput):
    """A refusal whose whole text is prescribed."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(field, text)
        self.args = (text,)


class UnknownMetric(_Told):
    """There is no such metric."""

    def __init__(self, metric: str) -> None:
        super().__init__("metric", f"Unknown metric [{metric}]")


class UnknownAttribute(_Told):
    """The project has no attribute, and no category, of this name or index."""

    def __init__(self, token: str) -> None:
        super().__init__("attribute", f"Unknown attribute [{token}]")


class MissingParameter(_Told):
    """The question needs a parameter that it lacks."""

    def __init__(self, parameter: str) -> None:
        super().__init__(parameter, f"Missing parameter [{parameter}]")


class HistogramDisabled(_Told):
    """The project counts no values.

    Attributes:
        template: the text for clients, to be completed by those who know the project's id.
    """

    template = "Histogram is not enabled for project [{pid}]"

    def __init__(self) -> None:
        super().__init__("histogram", "Histogram is not enabled for this project")
