r"""Messages of the learn, forget and predict WebSockets: who signed, then the rows.

    {N},{HEADER}{PAYLOAD}           N counts the header, in UTF-8 bytes or in UTF-16 units
    0,{PAYLOAD}                     no header: from whoever signed before
    {PAYLOAD}                       the same
    {HEADER}-289907289{PAYLOAD}     as old clients write it

HEADER is `{"headers":[DATE,MD5,SIGNATURE,CID],"extraKeys":[PID]}`; predict adds the model's id.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import msgspec

from tally.clock import Clock
from tally.errors import InvalidInput, TooLarge
from tally.wire.credentials import Credentials
from tally.wire.secret_key import SecretKey
from tally.wire.signing import Preamble, body_md5, judge, sign_pieces

MAX_HEADER = 16 * 2**10
"""How long a header may be, in bytes."""

_LENGTH = re.compile(r"(\d{1,9}),", re.ASCII)
_LEGACY_MARK = "-289907289"
_PORT = re.compile(r":\d+$", re.ASCII)
_MEANINGS = {"learn": ("project",), "forget": ("project",), "predict": ("project", "model")}


class _HeaderJson(msgspec.Struct, rename="camel"):
    headers: list[str | None] | None = None
    extra_keys: list[str | None] | None = None


@dataclass(frozen=True, slots=True)
class Header:
    """What a message says of its signer.

    Attributes:
        date, md5, signature: as in the headers of a request; empty: absent.
        cid: the customer, who is not in the URL here.
        extra_keys: what is meant: the project, and of predict the model.
    """

    date: str
    md5: str
    signature: str = field(repr=False)
    cid: str
    extra_keys: tuple[str, ...]

    def credentials(self, clock: Clock) -> Credentials:
        """Return the credentials, their date checked.

        Raises:
            Refused: 400, one of checks 1 to 4.
        """
        return Credentials.checked(self.signature, self.date, self.md5, "", clock)

    def target(self, verb: str) -> tuple[str, ...]:
        """Return what `learn`, `forget` or `predict` is about: a project, and maybe a model.

        Raises:
            InvalidInput: one of them is missing, or there are more.
        """
        wanted = _MEANINGS[verb]
        if len(self.extra_keys) != len(wanted) or not all(self.extra_keys):
            raise InvalidInput("extraKeys", f"{verb} needs the id of its {' and '.join(wanted)}")
        return self.extra_keys


@dataclass(frozen=True, slots=True)
class Frame:
    """One message.

    Attributes:
        header: None: from whoever signed an earlier message of this connection.
        payload: a data frame as JSON.
    """

    header: Header | None
    payload: bytes = field(repr=False)


def parse_frame(message: str, max_bytes: int) -> Frame:
    """Return a message in its parts.

    Args:
        message: as received.
        max_bytes: how long its payload may be.

    Raises:
        InvalidInput: it is none of the forms above.
        TooLarge: header or payload is too long.

    Example:
        >>> parse_frame('13,{"headers":[]}{"data":[]}', 100)
        Traceback (most recent call last):
        tally.errors.InvalidInput: frame: what its length, 13, counts off is no header
        >>> parse_frame('0,{"data":[]}', 100).header is None
        True
    """
    if message.startswith("{"):
        header, begin = _legacy(message)
    elif found := _LENGTH.match(message):
        header, begin = _prefixed(message, found.end(), int(found[1]))
    else:
        raise InvalidInput("frame", f"{message[:40]!r} begins neither with a length nor with '{{'")
    try:
        payload = message[begin:].encode()
    except UnicodeEncodeError:
        raise InvalidInput("frame", "it holds half of a surrogate pair") from None
    if len(payload) > max_bytes:
        raise TooLarge("frame", f"its payload has more than {max_bytes} bytes")
    if not payload:
        raise InvalidInput("frame", "there is no payload")
    return Frame(header, payload)


def verify_frame(
    path: str,
    header: Header,
    payload: bytes,
    credentials: Credentials,
    key: SecretKey | None,
    *,
    host: str,
    public_origin: str = "",
) -> None:
    """Return if the customer signed this message; costs the same whoever is named.

    Args:
        path: of the WebSocket as sent: `/symetry/ws/learn`, maybe with a slash at its end.
        header, payload: of the message.
        credentials: from `Header.credentials`.
        key: of the customer that the header names; None: there is none.
        host: the Host header of the upgrade as sent, its case kept.
        public_origin: as in `signing.verify`; its `http` also stands for `ws`.

    Raises:
        Refused: 401 or 400, checks 5 to 7.
    """
    preamble = Preamble(None, body_md5(payload), header.date, header.cid, payload)
    judge(preamble, list(_tails(path, host, public_origin, header.extra_keys)), credentials, key)


def build_frame(
    key: SecretKey, cid: str, url: str, extra_keys: Sequence[str], date: str, payload: bytes
) -> str:
    """Return a signed message, as the newer clients make it.

    Args:
        key, cid: the customer's.
        url: `ws://host:port/symetry/ws/learn`, the authority as the Host header has it.
        extra_keys: the project, and of predict the model.
        date: as `signing.format_date` gives it.
        payload: a data frame as JSON.
    """
    md5 = body_md5(payload)
    preamble = Preamble(None, md5, date, cid, payload)
    signature = sign_pieces(key, preamble, _tail(url, extra_keys, "\n"))
    header = msgspec.json.encode(
        {"headers": [date, md5, signature, cid], "extraKeys": list(extra_keys)}
    )
    return f"{len(header)},{header.decode()}{payload.decode()}"


def _prefixed(message: str, begin: int, length: int) -> tuple[Header | None, int]:
    """Return the header, and where the payload begins."""
    if length == 0:
        return None, begin
    if length > MAX_HEADER:
        raise TooLarge("frame", f"its header has more than {MAX_HEADER} bytes")
    # As many characters as the header can have at most; whichever unit it was counted in.
    window = message[begin : begin + length]
    for encoding, unit_bytes in (("utf-8", 1), ("utf-16-le", 2)):
        try:
            text = window.encode(encoding)[: length * unit_bytes].decode(encoding)
        except UnicodeError:
            continue  # counted so, it would end within a character
        if header := _header(text):
            return header, begin + len(text)
    raise InvalidInput("frame", f"what its length, {length}, counts off is no header")


def _legacy(message: str) -> tuple[Header | None, int]:
    end = message.find(_LEGACY_MARK, 0, MAX_HEADER)
    if end >= 0 and (header := _header(message[:end])):
        return header, end + len(_LEGACY_MARK)
    return None, 0


def _header(text: str) -> Header | None:
    try:
        given = msgspec.json.decode(text, type=_HeaderJson)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    if given.headers is None:
        return None
    date, md5, signature, cid = [*(part or "" for part in given.headers), "", "", "", ""][:4]
    keys = tuple(part or "" for part in given.extra_keys or ())
    return Header(date.strip(), md5, signature, cid, keys)


def _tails(path: str, host: str, public_origin: str, extra_keys: Sequence[str]) -> Iterator[bytes]:
    """Yield the resource and key lines of every reading, the one that we report first."""
    hosts = [f"ws://{host}", f"wss://{host}"]
    if not _PORT.search(host):
        hosts += [f"ws://{host}:80", f"wss://{host}:443"]
    if public_origin:
        hosts += [public_origin, re.sub("^http", "ws", public_origin)]
    # Some clients build the URL with a slash at its end and sign it without.
    for sent in dict.fromkeys((path, path.removesuffix("/"))):
        for resource in [sent, *(origin + sent for origin in hosts)]:
            for end in ("", "\n"):
                yield _tail(resource, extra_keys, end)


def _tail(resource: str, extra_keys: Sequence[str], end: str) -> bytes:
    return ("\n".join([resource, *extra_keys]) + end).encode(errors="replace")
