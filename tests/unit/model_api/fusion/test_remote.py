from __future__ import annotations

import pytest

from model_api.fusion.fetching import CellFailed
from model_api.fusion.remote import checked_origin


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("https://b.example", "https://b.example"),
        ("https://b.example:8443/", "https://b.example:8443"),
        ("b.example:8443", "https://b.example:8443"),
        ("http://localhost:5000", "http://localhost:5000"),
        ("http://[::1]:5000", "http://[::1]:5000"),
    ],
)
def test_a_host_is_an_origin(host: str, origin: str) -> None:
    assert checked_origin(host) == origin


@pytest.mark.parametrize(
    "host",
    [
        "http://b.example",
        "http://10.0.0.1",
        "https://b.example/path",
        "https://b.example?x=1",
        "https://ann:secret@b.example",
        "ftp://b.example",
        "https://b.example:port",
        "https://[::1",
        "https://",
        "http://127.0.0.1.evil.example",
    ],
)
def test_nobody_is_asked_elsewhere(host: str) -> None:
    with pytest.raises(CellFailed):
        checked_origin(host)


def test_plain_http_goes_anywhere_where_no_certificate_counts() -> None:
    assert checked_origin("http://b.example", trust_all=True) == "http://b.example"
