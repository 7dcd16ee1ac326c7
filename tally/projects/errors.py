"""What may go wrong with a project besides what may go wrong with any row."""

from __future__ import annotations

from tally.errors import NotFound, TallyError
from tally.ids import NodeId
from tally.projects.records import Head


class NotHome(TallyError):
    """This worker is not the project's home, or is not any more.

    Attributes:
        owner: the node that is, as the store tells it; empty where it tells nothing.
    """

    code = "claim_lost"

    def __init__(self, owner: NodeId) -> None:
        self.owner = owner
        super().__init__(f"the home of the project is {owner or 'elsewhere'}")

    @classmethod
    def of(cls, head: Head | None) -> TallyError:
        """Return the error for a head that another claim has written; `NotFound` if deleted."""
        if head is None or head.deleted:
            return NotFound("there is no such project any more")
        return cls(head.node)
