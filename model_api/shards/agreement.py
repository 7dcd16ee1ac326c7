"""What a shard knows after changes, brought into agreement with the others before it counts."""

from __future__ import annotations

from model_api.projects.fold import Folded
from tally.projects.shared_schema import SharedSchema


async def is_shared(folded: Folded, shared: SharedSchema) -> bool:
    """Return whether the shards of a project know what one of them does after changes.

    False: they know more than was seen, and the changes have to be made again by that.

    Raises:
        NotFound: the project was deleted.
    """
    if any(folded.refusals) and await shared.refresh():
        return False  # it may have been refused for what only this shard did not know
    if not (folded.draft.changed and shared.known.lacks(folded.project)):
        return True
    return await shared.extend(folded.project)
