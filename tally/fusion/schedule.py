"""When a fusion project fetches its cells again."""

from __future__ import annotations


def due(now_s: float, last_end_s: float | None, min_ms: float, *, frozen: bool = False) -> bool:
    """Tell whether the cells are to be fetched before a question is answered.

    Args:
        now_s: on a monotonic clock.
        last_end_s: when the last attempt ended, a failed one included; None: there was none.
        min_ms: that lie between the end of an attempt and the next one.
        frozen: the project answers from what it has.

    Example:
        >>> due(20.0, None, 15000), due(20.0, 5.0, 15000), due(19.9, 5.0, 15000)
        (True, True, False)
    """
    if frozen:
        return False
    return last_end_s is None or (now_s - last_end_s) * 1000 >= min_ms
