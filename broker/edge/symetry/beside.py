"""Work on a body that may be large: beside the event loop, where that is worth a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

_INLINE_BYTES = 64 * 2**10  # up to it the work is shorter than handing it to a thread

P = ParamSpec("P")
T = TypeVar("T")


async def beside(size_bytes: int, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Return what a plain function returns, called in a thread if its input is large.

    Args:
        size_bytes: of the input.
        work, args, kwargs: the call.
    """
    if size_bytes <= _INLINE_BYTES:
        return work(*args, **kwargs)
    return await asyncio.to_thread(work, *args, **kwargs)
