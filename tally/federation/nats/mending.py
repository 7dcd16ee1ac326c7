"""Who makes streams again that a restart of NATS has lost, and when."""

from __future__ import annotations

import asyncio

from tally.errors import Conflict
from tally.federation.nats.layout import Layout
from tally.federation.nats.names import Names
from tally.federation.transport import FederationGone, TransportRefused, TransportUnavailable


class Mending:
    """What one peer does about missing streams, and remembers of them.

    The lasting ones are made again by the admin only: their absence means that the federation was
    dissolved, and nobody else may bring a part of it back.

    Args:
        names: of the federation.
        admin: this peer makes streams that are missing, at once.
        after_s: so long another peer leaves it to the admin to make them.
        object_bytes: room for objects that was asked for; None: what the server has.
    """

    def __init__(
        self, names: Names, *, admin: bool, after_s: float, object_bytes: int | None
    ) -> None:
        self._lasting = {names.state, names.control}
        self._admin = admin
        self._after_s = after_s
        self._object_bytes = object_bytes
        self._missing_since: float | None = None

    async def mend(self, layout: Layout) -> None:
        """See to it that all streams are there.

        Raises:
            FederationGone: it was dissolved.
            TransportUnavailable: they are not, and it is not for us to make them, or not yet.
            TransportRefused: one of them is somebody else's, or NATS has no room for them.
        """
        missing = await layout.missing()
        try:
            if not missing:
                self._missing_since = None
            elif self._admin:
                await layout.make(missing, self._object_bytes)
            else:
                await self._stand_in(layout, missing)
        except Conflict as error:
            # Or another peer makes them just now, of another size; then they are there next time.
            raise TransportRefused(str(error)) from error
        # They are made again as large as they were.
        self._object_bytes = await layout.object_bytes() or self._object_bytes

    async def _stand_in(self, layout: Layout, missing: frozenset[str]) -> None:
        if missing & self._lasting:
            raise FederationGone("the federation's streams do not exist")
        now = asyncio.get_running_loop().time()
        if self._missing_since is None:
            self._missing_since = now
        if now - self._missing_since < self._after_s:
            raise TransportUnavailable("streams were lost; the admin is waited for")
        await layout.make(missing, self._object_bytes)
        if self._lasting & await layout.missing():
            await layout.remove()
            raise FederationGone("the federation was dissolved")
