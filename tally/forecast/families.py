"""The table of families, readable without numpy: the broker checks options against it.

A new family is one module with `fit` and `restore` (see `base.Fitter`) and one line here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec

from tally.errors import AlgorithmUnavailable, InvalidInput

OptionValue = int | float | str | bool


@dataclass(frozen=True, slots=True)
class Option:
    """One setting of a family.

    Attributes:
        default: also decides the type that is accepted (an int where a float is wanted is fine).
        doc: one line for `--help`, the API docs and errors.
        low, high: inclusive bounds of a number.
        choices: the allowed values of a string.
    """

    default: OptionValue
    doc: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Family:
    """One line of the table.

    Attributes:
        name: what users write as `algorithm`.
        module: where its `fit` and `restore` are.
        doc: one line that says what it is and when to use it.
        options: by name.
        extra: the optional dependency group of the package that it needs, or None.
        probe: the import name that tells whether the extra is installed.
    """

    name: str
    module: str
    doc: str
    options: Mapping[str, Option] = field(default_factory=dict)
    extra: str | None = None
    probe: str | None = None

    @property
    def installed(self) -> bool:
        """Tell whether this process could fit and load this family."""
        return self.probe is None or find_spec(self.probe) is not None

    def require(self) -> None:
        """Raise `AlgorithmUnavailable` with the line that installs what is missing."""
        if not self.installed:
            raise AlgorithmUnavailable(
                "algorithm",
                f"{self.name!r} needs an optional package; install it with: "
                f"pip install 'tally[{self.extra}]'",
            )
