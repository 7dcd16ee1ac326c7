"""Signatures of requests under `/symetry`: HMAC-SHA256 over the request, in one of its readings.

The protocol's documents and its clients disagree about what is signed: the path or the absolute
URL, as sent or percent-decoded. All readings name the same request, so each of them is accepted.

The checks and their numbers are those of docs/reference/signing.md.

Plain functions: hashing a body of tens of megabytes takes tens of milliseconds and releases the
interpreter lock, so the caller decides about a thread.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import unquote_to_bytes

from tally.wire.credentials import Credentials
from tally.wire.secret_key import SecretKey
from tally.wire.status import Refused, StatusCode

_SHOWN_BYTES = 16 * 2**10  # of a body, in the answer that shows what we signed
_NOBODY = SecretKey(bytes(16))


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """A request as it came in.

    Attributes:
        verb: upper case.
        cid: customer in the URL, percent-decoded.
        raw_path: as sent, without the query.
        query: as sent, without the question mark.
        host: the Host header as sent, its case kept.
        body: as sent, still compressed or encrypted.
    """

    verb: str
    cid: str
    raw_path: bytes
    query: bytes = b""
    host: str = ""
    body: bytes = field(default=b"", repr=False)


def verify(
    request: SignedRequest,
    credentials: Credentials,
    key: SecretKey | None,
    *,
    public_origin: str = "",
) -> None:
    """Return if the customer signed this request.

    Takes the same time whether the customer is unknown, the key another or the signature wrong:
    everything is hashed and compared before the first of them is told.

    Args:
        request: what was sent.
        credentials: what it says of its signer, from `Credentials.read`.
        key: of the customer; None: there is no such customer.
        public_origin: scheme and authority that clients reach us by, such as
            `https://models.example`, where a proxy changes the Host header; empty: no proxy.

    Raises:
        Refused: 401 or 400, checks 5 to 7; the last bears `stringToSign`.
    """
    md5 = body_md5(request.body)
    origins = (f"http://{request.host}", f"https://{request.host}", public_origin)
    preamble = Preamble(request.verb, md5, credentials.date, request.cid, request.body)
    judge(
        preamble,
        list(_tails(request.raw_path, request.query, [_sent(origin) for origin in origins])),
        credentials,
        key,
    )


@dataclass(frozen=True, slots=True)
class Preamble:
    """The lines that all readings of a request begin with; `verb` is None over a WebSocket."""

    verb: str | None
    md5: str
    date: str
    cid: str
    body: bytes = field(repr=False)

    def pieces(self, key_text: str) -> Iterator[bytes]:
        """Yield what is signed, in pieces, so that the body is never copied."""
        verb = [] if self.verb is None else [self.verb]
        yield _sent("\n".join([*verb, self.md5, key_text, self.date, self.cid, ""]))
        if self.body:
            yield self.body
            yield b"\n"


def judge(
    preamble: Preamble, tails: Sequence[bytes], credentials: Credentials, key: SecretKey | None
) -> None:
    """Return if the signature is that of one of the readings; see `verify`.

    Args:
        preamble: what all readings begin with.
        tails: how each goes on; the first is the one that a refusal shows.
        credentials, key: as in `verify`.

    Raises:
        Refused: as `verify`.
    """
    signer = key or _NOBODY
    begun = _begun(signer, preamble)
    given = _sent(credentials.signature)
    matched = False
    for tail in tails:
        reading = begun.copy()
        reading.update(tail)
        # Never an early exit: the time tells neither whether nor which one matched.
        matched |= hmac.compare_digest(base64.b64encode(reading.digest()), given)
    another = credentials.claimed_cid not in ("", preamble.cid)
    if key is None or another:
        raise Refused("Invalid User", StatusCode.UNAUTHORIZED)
    if credentials.md5 and not hmac.compare_digest(_sent(credentials.md5), _sent(preamble.md5)):
        raise Refused("Md5 do not match")
    if not matched:
        raise Refused(
            "Invalid Signature", StatusCode.UNAUTHORIZED, stringToSign=_shown(preamble, tails[0])
        )


def format_date(moment: datetime) -> str:
    """Return a moment as `sym-date` has it: UTC, then nanoseconds as an unpadded integer.

    Example:
        >>> format_date(datetime(2025, 1, 15, 10, 30, 0, 123, tzinfo=UTC))
        '2025-01-15 10:30:00;123000'
    """
    utc = moment.astimezone(UTC)
    return f"{utc:%Y-%m-%d %H:%M:%S};{utc.microsecond * 1000}"


def sign(
    key: SecretKey, cid: str, verb: str, path: str, date: str, *, query: str = "", body: bytes = b""
) -> str:
    """Return the signature of a request, 44 characters, as the existing clients make it.

    Args:
        key, cid: the customer's.
        verb: upper case.
        path: as sent, from `/symetry` on.
        date: value of `sym-date`.
        query: as sent, without the question mark.
        body: as sent.

    Example:
        >>> key = SecretKey(bytes(range(16)))
        >>> sign(key, "c1", "GET", "/symetry/rest/c1/projects/irisTest/info",
        ...      "2025-01-15 10:30:00;123456789")
        'zPH+HCutZz85KElWrOIrGkPnSsJ3NGr0HrEBDqVDVAU='
    """
    preamble = Preamble(verb, body_md5(body), date, cid, body)
    return sign_pieces(key, preamble, _sent(f"{path}\n{query}\n" if query else f"{path}\n"))


def sign_pieces(key: SecretKey, preamble: Preamble, tail: bytes) -> str:
    """Return the base64 signature of one reading."""
    signature = _begun(key, preamble)
    signature.update(tail)
    return base64.b64encode(signature.digest()).decode()


def signed_headers(
    key: SecretKey,
    cid: str,
    verb: str,
    path: str,
    now: datetime,
    *,
    query: str = "",
    body: bytes = b"",
) -> dict[str, str]:
    """Return the headers that a client adds to a request; arguments as for `sign`."""
    date = format_date(now)
    headers = {
        "Authorization": sign(key, cid, verb, path, date, query=query, body=body),
        "sym-date": date,
        "Customer-ID": cid,
    }
    return headers | {"Content-MD5": body_md5(body)} if body else headers


def _unquoted(sent: bytes) -> bytes:
    """Return the percent-decoded form; a plus stays a plus in what is signed."""
    decoded = unquote_to_bytes(sent)
    # Line ends part what is signed: decoded, a path with one could pass for another's path and
    # query, whose signature would then fit.
    return sent if b"\n" in decoded else decoded


def body_md5(body: bytes) -> str:
    """Return the base64 MD5 of a body, which protects nothing; empty without a body."""
    if not body:
        return ""
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()


def _tails(raw_path: bytes, query: bytes, origins: Sequence[bytes]) -> Iterator[bytes]:
    """Yield the resource and query lines of every reading, the one that we report first."""
    resources = [raw_path, _unquoted(raw_path)]
    resources += [origin + raw_path for origin in origins if origin]
    queries = [query + b"\n", _unquoted(query) + b"\n"] if query else [b""]
    for resource in resources:
        for line in queries:
            yield resource + b"\n" + line


def _begun(key: SecretKey, preamble: Preamble) -> hmac.HMAC:
    signature = hmac.new(key.raw, digestmod=hashlib.sha256)
    for piece in preamble.pieces(key.text):
        signature.update(piece)
    return signature


def _shown(preamble: Preamble, tail: bytes) -> str:
    """Return what we signed, as the documented answer shows it, long bodies cut short."""
    body = preamble.body
    if len(body) > _SHOWN_BYTES:
        body = body[:_SHOWN_BYTES] + f"...[{len(preamble.body)} bytes]".encode()
    shown = Preamble(preamble.verb, preamble.md5, preamble.date, preamble.cid, body)
    signed = b"".join([*shown.pieces("SECRETKEY"), tail])
    return signed.decode(errors="replace").replace("\n", "\\n")


def _sent(text: str) -> bytes:
    # Header values may hold anything; what is no character cannot match and must not raise.
    return text.encode(errors="replace")
