"""Who asks: wrk for requests per second, one plain socket for the time of one request."""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.service import free_port, process

_RATE = re.compile(r"Requests/sec:\s+([\d.]+)")
_CONFIG = """
global
    maxconn 1000
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    http-reuse always
listen forecast
    bind 127.0.0.1:{port}
    server worker {worker}
"""


def requests_per_second(
    url: str, connections: int, seconds: int, headers: Sequence[str] = ()
) -> float:
    """Return what wrk counts.

    Raises:
        RuntimeError: an answer was not 200.
    """
    options = [part for header in headers for part in ("-H", header)]
    line = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", *options, url]
    told = subprocess.run(line, capture_output=True, text=True, check=True).stdout
    found = _RATE.search(told)
    if found is None or "Non-2xx" in told or "Socket errors" in told:
        raise RuntimeError(f"wrk {url}: {told}")
    return float(found[1])


@contextlib.contextmanager
def haproxy(worker: str) -> Iterator[str]:
    """Run HAProxy in front of a worker, connections kept on both sides; give its address."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="tally-bench-haproxy-") as folder:
        config = Path(folder, "haproxy.cfg")
        config.write_text(_CONFIG.format(port=port, worker=worker))
        with process(["haproxy", "-q", "-db", "-f", str(config)]):
            deadline = time.monotonic() + 10
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                except OSError:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.02)
            yield f"127.0.0.1:{port}"


class Asker:
    """One connection, one request at a time, and no library between the clock and the socket.

    Args:
        address: `host:port`.
        headers: of each request.
    """

    def __init__(self, address: str, headers: Sequence[str] = ()) -> None:
        host, _, port = address.rpartition(":")
        self._socket = socket.create_connection((host, int(port)), timeout=30)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._head = "".join(f"{line}\r\n" for line in (f"Host: {address}", *headers))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._socket.close()

    def seconds(self, path: str) -> float:
        """Return how long a GET took, to the last byte of its body.

        Raises:
            RuntimeError: the answer was not 200.
        """
        request = f"GET {path} HTTP/1.1\r\n{self._head}\r\n".encode()
        started = time.perf_counter()
        self._socket.sendall(request)
        answer = bytearray()
        while (end := answer.find(b"\r\n\r\n")) < 0:
            answer += self._read()
        length = int(answer[:end].lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        while len(answer) < end + 4 + length:
            answer += self._read()
        took = time.perf_counter() - started
        if not answer.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"GET {path}: {answer[:300].decode(errors='replace')}")
        return took

    def _read(self) -> bytes:
        data = self._socket.recv(262_144)
        if not data:
            raise RuntimeError("the server closed the connection")
        return data
