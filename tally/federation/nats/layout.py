"""The streams of a federation: how they are made, looked for and removed."""

from __future__ import annotations

import contextlib
from collections.abc import Collection

import nats.js.errors
import structlog
from nats.js import JetStreamContext, api

from tally.errors import Conflict
from tally.federation.nats import failures
from tally.federation.nats.access import DEFAULT_STREAM_BYTES, LEAST_STREAM_BYTES
from tally.federation.nats.names import STATES, Names
from tally.federation.transport import TransportRefused

_log = structlog.get_logger()

SYNC_BYTES = 64 * 1024 * 1024
CONTROL_BYTES = 64 * 1024 * 1024
_CONTROL_S = 7 * 24 * 3600.0
_DUPLICATES_S = 120.0


class Layout:
    """The streams of one federation.

    Args:
        jetstream: of a connection.
        names: of the federation.
    """

    def __init__(self, jetstream: JetStreamContext, names: Names) -> None:
        self._jetstream = jetstream
        self._names = names
        self._subjects = {
            names.state: [names.state_of(state) for state in STATES],
            names.control: [names.control_of("*")],
            names.sync: [names.sync_of("*")],
            names.object_stream: [f"$O.{names.bucket}.C.>", f"$O.{names.bucket}.M.>"],
        }

    @property
    def all(self) -> Collection[str]:
        """The names of the streams."""
        return self._subjects.keys()

    async def missing(self) -> frozenset[str]:
        """Return the names of the streams that do not exist.

        Raises:
            TransportRefused: one of them is somebody else's.
        """
        found = set()
        for name, subjects in self._subjects.items():
            config = await self._config(name)
            if config is None:
                continue
            if sorted(config.subjects or ()) != sorted(subjects):
                raise TransportRefused(f"the stream {name} is not this federation's")
            found.add(name)
        return frozenset(self._subjects.keys() - found)

    async def make(self, wanted: Collection[str], object_bytes: int | None) -> None:
        """Make some of the streams; one that is there as it would be made, stays.

        Args:
            wanted: their names.
            object_bytes: room for objects; None: as much as the server has, within reason.

        Raises:
            Conflict: a stream of another configuration has the name or the subjects of one of them.
            TransportRefused: the server has not enough memory or storage.
        """
        for config in self._streams():
            if config.name in wanted:
                await self._add(config)
        if self._names.object_stream in wanted:
            await self._add_objects(object_bytes)

    async def object_bytes(self) -> int | None:
        """Return how much room there is for objects; None: there is no store."""
        config = await self._config(self._names.object_stream)
        return None if config is None else config.max_bytes

    async def forget(self, uuid: str, *, withdraw: bool) -> None:
        """Remove a peer's place in the streams and, if it withdraws, its last snapshot."""
        names = self._names
        for stream in (names.control, names.sync):
            with contextlib.suppress(nats.js.errors.NotFoundError):
                await self._jetstream.delete_consumer(stream, names.consumer_of(uuid))
        if withdraw:
            with contextlib.suppress(nats.js.errors.NotFoundError):
                await self._jetstream.purge_stream(names.sync, subject=names.sync_of(uuid))

    async def remove(self) -> None:
        """Remove the streams that are this federation's; those that are not stay."""
        # The lasting ones first: without them nobody makes the others again.
        for name, subjects in self._subjects.items():
            config = await self._config(name)
            if config is None or sorted(config.subjects or ()) != sorted(subjects):
                continue
            try:
                await self._jetstream.delete_stream(name)
            except nats.js.errors.NotFoundError:
                continue

    async def _config(self, name: str) -> api.StreamConfig | None:
        try:
            return (await self._jetstream.stream_info(name)).config
        except nats.js.errors.NotFoundError:
            return None

    def _streams(self) -> tuple[api.StreamConfig, ...]:
        names = self._names
        return (
            api.StreamConfig(
                name=names.state,
                subjects=self._subjects[names.state],
                storage=api.StorageType.FILE,
                max_msgs_per_subject=1,
            ),
            api.StreamConfig(
                name=names.control,
                subjects=self._subjects[names.control],
                storage=api.StorageType.FILE,
                max_age=_CONTROL_S,
                max_bytes=CONTROL_BYTES,
                duplicate_window=_DUPLICATES_S,
            ),
            api.StreamConfig(
                name=names.sync,
                subjects=self._subjects[names.sync],
                storage=api.StorageType.MEMORY,
                max_msgs_per_subject=1,
                max_bytes=SYNC_BYTES,
                # A full stream refuses a newcomer's snapshot rather than to forget another's.
                discard=api.DiscardPolicy.NEW,
            ),
        )

    async def _add(self, config: api.StreamConfig) -> None:
        try:
            await self._jetstream.add_stream(config)
        except nats.js.errors.APIError as error:
            if error.err_code in (failures.NAME_IN_USE, failures.SUBJECTS_OVERLAP):
                reason = f"NATS: stream {config.name}: {error.description}"
                raise Conflict(reason) from error
            if error.err_code in (failures.NO_MEMORY, failures.NO_STORAGE, failures.NO_SHARE):
                reason = f"NATS: {error.description} for stream {config.name}"
                raise TransportRefused(reason) from error
            raise

    async def _add_objects(self, size_bytes: int | None) -> None:
        names = self._names
        given, size_bytes = size_bytes is not None, size_bytes or DEFAULT_STREAM_BYTES
        while True:
            config = api.StreamConfig(
                name=names.object_stream,
                subjects=self._subjects[names.object_stream],
                storage=api.StorageType.MEMORY,
                max_bytes=size_bytes,
                max_consumers=0,
                discard=api.DiscardPolicy.NEW,
                allow_rollup_hdrs=True,
                allow_direct=True,
            )
            try:
                await self._add(config)
            except TransportRefused:
                half = max(size_bytes // 2, LEAST_STREAM_BYTES)
                if given or half == size_bytes:
                    raise
                _log.warning(
                    "NATS has not the memory for the federation's objects; trying with half",
                    federation=names.fid,
                    asked_bytes=size_bytes,
                )
                size_bytes = half
            else:
                return
