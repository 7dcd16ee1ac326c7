"""How the statistics of a project at home here are called, so that nobody fetches them twice."""

from __future__ import annotations

from model_api.projects.home import Home


def version(home: Home) -> str:
    """Return `<epoch>-<counter>`, another text for every state of a project's statistics.

    `epoch` is when the project came into this worker's memory, in milliseconds since 1970: was it
    created, taken over, or loaded from a store that was restored, it is another one. `counter` is
    the number of the claim, which grows with each takeover, then that of the state in memory, which
    grows with each change, saved or not. Two claims in one millisecond, by clocks that disagree, so
    still differ; a project that is loaded again without a change has another version too, which
    costs whoever asks one more fetch and is never wrong.
    """
    return f"{home.since_ms}-{(home.head.epoch << _STATE_BITS) + home.states}"


_STATE_BITS = 40
"""At a thousand changes a second, states are counted for 34 years before they reach the claims."""
