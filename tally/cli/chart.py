"""A series and its forecast as a few lines of text."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

_BLOCKS = " ▁▂▃▄▅▆▇█"


def chart(past: Sequence[float], future: Sequence[float], width: int = 72, height: int = 8) -> str:
    """Return a bar chart, the forecast behind a line.

    Args:
        past, future: values; each bar is the mean of those that fall into its column.
        width, height: in characters, the axis not counted.

    Example:
        >>> print(chart([0.0, 1.0], [2.0], width=3, height=1))
           2 ┤ ▄│█
           0 ┤ past, then the forecast
    """
    total = len(past) + len(future)
    right = max(1, round(width * len(future) / total)) if future else 0
    bars = _means(past, width - right) + _means(future, right)
    low, high = min(bars), max(bars)
    span = (high - low) or 1.0
    levels = [round((bar - low) / span * height * 8) for bar in bars]
    left = len(bars) - min(right, len(future))
    lines = []
    for row in range(height - 1, -1, -1):
        cells = [_BLOCKS[max(0, min(8, level - 8 * row))] for level in levels]
        label = f"{high:>4.4g}" if row == height - 1 else "    "
        lines.append(f"{label} ┤{''.join(cells[:left])}│{''.join(cells[left:])}")
    lines.append(f"{low:>4.4g} ┤ past, then the forecast")
    return "\n".join(lines)


def _means(values: Sequence[float], columns: int) -> list[float]:
    if not values or columns < 1:
        return []
    columns = min(columns, len(values))
    edges = [round(i * len(values) / columns) for i in range(columns + 1)]
    return [sum(values[start:end]) / (end - start) for start, end in pairwise(edges)]
