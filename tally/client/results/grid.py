"""Small tables, as text for a terminal and as HTML for a notebook."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TypeAlias

Cell: TypeAlias = str | float | int | None

_SHOWN_ROWS, _SHOWN_COLUMNS = 60, 24
_CELL = "padding:2px 10px;text-align:{side}"


@dataclass(frozen=True, slots=True)
class Grid:
    """A table.

    Attributes:
        columns: their names; the first column names the rows.
        rows: of as many cells each.
        shades: for each row the colour behind each cell, or an empty text; none: no colours.

    Example:
        >>> print(Grid(("attribute", "mean"), (("x", 1 / 3), ("height", float("nan")))))
        attribute    mean
        x          0.3333
        height          -
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    shades: tuple[tuple[str, ...], ...] = ()

    def __str__(self) -> str:
        """Return aligned columns; what is too much to be read is cut, and says so."""
        shown = self._cut()
        table = [shown.columns, *(tuple(map(cell_text, row)) for row in shown.rows)]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = [_aligned(row, widths) for row in table]
        return "\n".join([*lines, *self._left_out()])

    def html(self, caption: str = "") -> str:
        """Return an HTML table; names are escaped."""
        shown = self._cut()
        head = "".join(
            _html_cell("th", name, "left" if place == 0 else "right")
            for place, name in enumerate(shown.columns)
        )
        body = "".join(shown._html_row(number) for number in range(len(shown.rows)))
        told = "; ".join(escape(text) for text in [caption, *self._left_out()] if text)
        title = f"<caption style='text-align:left'>{told}</caption>" if told else ""
        return f"<table>{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def _cut(self) -> Grid:
        """Return the upper left part that is shown."""
        rows, columns = slice(_SHOWN_ROWS), slice(_SHOWN_COLUMNS)
        return Grid(
            self.columns[columns],
            tuple(row[columns] for row in self.rows[rows]),
            tuple(row[columns] for row in self.shades[rows]),
        )

    def _left_out(self) -> list[str]:
        """Return what is not shown."""
        more = {
            "rows": len(self.rows) - _SHOWN_ROWS,
            "columns": len(self.columns) - _SHOWN_COLUMNS,
        }
        return [f"... {number} more {what}" for what, number in more.items() if number > 0]

    def _html_row(self, number: int) -> str:
        shades = self.shades[number] if self.shades else ("",) * len(self.columns)
        cells = [
            _html_cell(
                "th" if place == 0 else "td",
                cell_text(cell),
                "left" if place == 0 else "right",
                shade,
            )
            for place, (cell, shade) in enumerate(zip(self.rows[number], shades, strict=True))
        ]
        return f"<tr>{''.join(cells)}</tr>"


class Shown(ABC):
    """Something that shows itself as a table: `print` in a terminal, by itself in a notebook."""

    __slots__ = ()

    @abstractmethod
    def _grid(self) -> Grid:
        """Return the table."""

    def _title(self) -> str:
        """Return a line above the table; empty: there is none."""
        return ""

    def __str__(self) -> str:
        title = self._title()
        return f"{title}\n{self._grid()}" if title else str(self._grid())

    def _repr_html_(self) -> str:
        return self._grid().html(self._title())


def cell_text(cell: Cell) -> str:
    """Return a cell as people read it; a dash where there is no number.

    Example:
        >>> [cell_text(x) for x in (150.0, 1 / 3, -2.5e-9, float("nan"), None, "a")]
        ['150', '0.3333', '-2.5e-09', '-', '-', 'a']
    """
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return "-"
    if isinstance(cell, float):
        return f"{cell:.0f}" if cell.is_integer() and abs(cell) < 1e15 else f"{cell:.4g}"
    return str(cell)


def red_blue(share: float) -> str:
    """Return a colour from blue (-1) over none (0) to red (1), pale enough to read upon.

    Example:
        >>> red_blue(1.0), red_blue(0.0), red_blue(float("nan"))
        ('rgba(214,60,50,0.60)', '', '')
    """
    if math.isnan(share) or share == 0:
        return ""
    hue = "214,60,50" if share > 0 else "50,100,200"
    return f"rgba({hue},{min(abs(share), 1.0) * 0.6:.2f})"


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    name, *cells = row
    numbers = [cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True)]
    return "  ".join([name.ljust(widths[0]), *numbers]).rstrip()


def _html_cell(tag: str, text: str, side: str, shade: str = "") -> str:
    style = _CELL.format(side=side) + (f";background:{shade}" if shade else "")
    return f"<{tag} style='{style}'>{escape(text)}</{tag}>"
