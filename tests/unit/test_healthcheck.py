from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tally import healthcheck


@contextmanager
def answering(status: int) -> Iterator[int]:
    """Give the port of a server that answers everything with one status."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/health" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def test_a_process_that_answers_is_well() -> None:
    with answering(200) as port:
        assert healthcheck.http_alive(port) == ""


def test_a_process_that_answers_with_an_error_is_not() -> None:
    with answering(500) as port:
        assert healthcheck.http_alive(port) == f"127.0.0.1:{port} answers 500"


def test_a_closed_port_is_told_by_its_number() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        assert f"127.0.0.1:{port} does not answer" in healthcheck.http_alive(port)


def test_a_process_that_accepts_and_says_nothing_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(healthcheck, "TIMEOUT_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert "does not answer" in healthcheck.http_alive(silent.getsockname()[1])
