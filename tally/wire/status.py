"""The status of an answer under `/symetry`, and the exception that becomes one."""

from __future__ import annotations

from enum import StrEnum
from http import HTTPStatus

from tally.errors import TallyError


class StatusCode(StrEnum):
    """The `statusCode` names of the envelope; each stands for one HTTP status.

    Example:
        >>> StatusCode.BAD_REQUEST, StatusCode.BAD_REQUEST.http
        (<StatusCode.BAD_REQUEST: 'BAD_REQUEST'>, 400)
    """

    OK = "OK"
    CREATED = "CREATED"
    ACCEPTED = "ACCEPTED"
    BAD_REQUEST = "BAD_REQUEST"
    UNAUTHORIZED = "UNAUTHORIZED"
    FORBIDDEN = "FORBIDDEN"
    NOT_FOUND = "NOT_FOUND"
    METHOD_NOT_ALLOWED = "METHOD_NOT_ALLOWED"
    CONFLICT = "CONFLICT"
    REQUEST_ENTITY_TOO_LARGE = "REQUEST_ENTITY_TOO_LARGE"
    UNPROCESSABLE_ENTITY = "UNPROCESSABLE_ENTITY"
    MISDIRECTED_REQUEST = "MISDIRECTED_REQUEST"
    TOO_MANY_REQUESTS = "TOO_MANY_REQUESTS"
    INTERNAL_SERVER_ERROR = "INTERNAL_SERVER_ERROR"
    BAD_GATEWAY = "BAD_GATEWAY"
    SERVICE_UNAVAILABLE = "SERVICE_UNAVAILABLE"
    GATEWAY_TIMEOUT = "GATEWAY_TIMEOUT"

    @property
    def http(self) -> int:
        """The HTTP status that goes with the name: a client may read either."""
        return _HTTP[self]

    @classmethod
    def of(cls, http: int) -> StatusCode:
        """Return the name of an HTTP status; one that has none is told by its class.

        Example:
            >>> StatusCode.of(409), StatusCode.of(418), StatusCode.of(507)
            (<StatusCode.CONFLICT: 'CONFLICT'>, <StatusCode.BAD_REQUEST: 'BAD_REQUEST'>, \
<StatusCode.INTERNAL_SERVER_ERROR: 'INTERNAL_SERVER_ERROR'>)
        """
        if found := _NAMES.get(http):
            return found
        if http < HTTPStatus.BAD_REQUEST:
            return cls.OK
        return cls.BAD_REQUEST if http < HTTPStatus.INTERNAL_SERVER_ERROR else _DEFECT


# The two whose names HTTP has changed since are told by number.
_HTTP = {
    code: {"REQUEST_ENTITY_TOO_LARGE": 413, "UNPROCESSABLE_ENTITY": 422}.get(code)
    or int(HTTPStatus[code])
    for code in StatusCode
}
_NAMES = {http: code for code, http in _HTTP.items()}
_DEFECT = StatusCode.INTERNAL_SERVER_ERROR


class Refused(TallyError):
    """The protocol says how this request is refused, to the letter.

    Attributes:
        status: name and HTTP status of the answer.
        text: its `statusString`.
        values: its `values`.
    """

    code = "invalid_input"

    def __init__(
        self, text: str, status: StatusCode = StatusCode.BAD_REQUEST, **values: str
    ) -> None:
        self.text = text
        self.status = status
        self.values = values
        super().__init__(text)
