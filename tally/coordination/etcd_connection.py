"""Connections to etcd: several endpoints, TLS, a login that is renewed, and errors of ours."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from aetcd import rpc

from tally.errors import ConfigurationError, Conflict, CoordinationUnavailable, InvalidInput

CONNECT_POLL_S = 0.02
CHANNEL_OPTIONS = (
    # gRPC's own backoff grows to two minutes: after an outage of 25 s it took 15 s to notice.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1000),
    ("grpc.max_reconnect_backoff_ms", 2000),
    # A peer that vanished without a word is given up after 10 + 3 s, on all calls. etcd tears
    # connections down that ping more often than every 5 s. Watches notice sooner by themselves.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 3_000),
    ("grpc.http2.max_pings_without_data", 0),
    # The default of 4 MiB is less than a few keys of the greatest size.
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
    # Otherwise channels to one address share a connection, and its fate, across coordinators.
    ("grpc.use_local_subchannel_pool", 1),
)


@dataclass(frozen=True, slots=True)
class EtcdOptions:
    """How to reach etcd.

    Attributes:
        endpoints: `host:port` each; any of them will do.
        tls: whether to speak TLS; `ca_file` defaults to the system's authorities.
        cert_file, key_file: the client's certificate, where etcd asks for one.
        user, password: where etcd has authentication enabled.
        timeout_s: deadline of every call.
    """

    endpoints: tuple[str, ...]
    tls: bool = False
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    timeout_s: float = 5.0


class EtcdConnection:
    """Gives a connected channel and the metadata for a call on it."""

    def __init__(self, options: EtcdOptions) -> None:
        self._options = options
        self._credentials = _channel_credentials(options)
        self._channels: list[Any] = []
        self._preferred = 0
        self._token: str | None = None
        self._login = asyncio.Lock()
        self._closed = False

    def __str__(self) -> str:
        return f"etcd at {','.join(self._options.endpoints)}"

    async def close(self) -> None:
        """Close all channels."""
        self._closed = True
        for channel in self._channels:
            await channel.close()

    def forget_token(self) -> None:
        """Log in again before the next call."""
        self._token = None

    async def connected(self, give_up: float) -> Any:
        """Return a channel that is connected, the one used before if it is.

        Args:
            give_up: when, on the monotonic clock.

        Calls are made on connected channels only: one that then fails may have been carried
        out, so it is not repeated here, where a compare-and-set would meet itself.
        """
        if self._closed:
            raise CoordinationUnavailable(f"{self}: the coordinator is closed")
        if not self._channels:
            self._channels = [self._channel(each) for each in self._options.endpoints]
        while time.monotonic() < give_up and not self._closed:
            for offset in range(len(self._channels)):
                index = (self._preferred + offset) % len(self._channels)
                state = self._channels[index].get_state(try_to_connect=True)
                if state is grpc.ChannelConnectivity.READY:
                    self._preferred = index
                    return self._channels[index]
            await asyncio.sleep(CONNECT_POLL_S)
        raise CoordinationUnavailable(f"{self}: not connected in time")

    def _channel(self, endpoint: str) -> Any:
        if self._credentials is None:
            return grpc.aio.insecure_channel(endpoint, options=CHANNEL_OPTIONS)
        return grpc.aio.secure_channel(endpoint, self._credentials, options=CHANNEL_OPTIONS)

    async def metadata(self, channel: Any, give_up: float) -> list[tuple[str, str]]:
        """Return what goes with every call; logs in first where that is due."""
        # A member that lost the majority then ends the stream instead of falling silent.
        metadata = [("hasleader", "true")]
        if self._options.user is not None:
            async with self._login:
                if self._token is None:
                    request = rpc.AuthenticateRequest(
                        name=self._options.user, password=self._options.password or ""
                    )
                    answer = await rpc.AuthStub(channel).Authenticate(
                        request, timeout=until(give_up)
                    )
                    self._token = str(answer.token)
                metadata.append(("token", self._token))
        return metadata

    @asynccontextmanager
    async def translated(self) -> AsyncIterator[None]:
        """Turn what gRPC raises into errors of ours, which name the endpoints and no secret."""
        try:
            yield
        except grpc.aio.AioRpcError as error:
            raise self._translate(error) from None
        except grpc.aio.UsageError:
            raise CoordinationUnavailable(f"{self}: the coordinator is closed") from None

    def _translate(self, error: grpc.aio.AioRpcError) -> Exception:
        code, details = error.code(), error.details() or ""
        if code is grpc.StatusCode.NOT_FOUND and "lease" in details:
            return Conflict("the lease has ended")
        if code is grpc.StatusCode.INVALID_ARGUMENT and "too large" in details:
            return InvalidInput("value", f"{self} refuses it: {details}")
        if login_ran_out(error):
            self.forget_token()
        if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
            # Connected, but perhaps to a member without a majority: try another one next.
            self._preferred += 1
        return CoordinationUnavailable(f"{self}: {code.name}: {details}")


def until(give_up: float) -> float:
    """Return the seconds that are left, at least a moment."""
    return max(0.01, give_up - time.monotonic())


def login_ran_out(error: grpc.aio.AioRpcError) -> bool:
    """Tell whether etcd refused our token, which a restart and time both make worthless."""
    details = error.details() or ""
    # Members before 3.5 give the second of these no code of its own.
    return "invalid auth token" in details or ("revision" in details and "auth" in details)


def _channel_credentials(options: EtcdOptions) -> Any:
    if not options.tls:
        return None

    def content(path: Path | None) -> bytes | None:
        try:
            return None if path is None else path.read_bytes()
        except OSError as error:
            raise ConfigurationError(f"cannot read {path} for TLS to etcd: {error}") from error

    return grpc.ssl_channel_credentials(
        root_certificates=content(options.ca_file),
        private_key=content(options.key_file),
        certificate_chain=content(options.cert_file),
    )
