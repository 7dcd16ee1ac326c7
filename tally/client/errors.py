"""What a client raises: the server's own sentence, and whether trying again may help."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from tally.errors import InvalidInput
from tally.wire import texts

# Of a proxy before the broker, too: it may have lost the one that it asked.
_WORTH_REPEATING = frozenset({429, 502, 503, 504})


class ServerRefused(Exception):
    """The server answered with a problem.

    Attributes:
        status: of the HTTP answer.
        problem: its body, as RFC 9457 has it.
    """

    def __init__(self, status: int, problem: Mapping[str, object]) -> None:
        self.status = status
        self.problem = problem
        super().__init__(str(problem.get("detail") or f"the server answered {status}"))


class ServerAway(Exception):
    """No server answered at the address, or not in time."""


class ProjectRefused(ServerRefused):
    """The signed API refused a request.

    Attributes:
        status: of the HTTP answer.
        text: the server's sentence, to the letter.
        values: what it told besides.
        retry_after_s: when it may be worth asking again; None: not said.
        repeated: the request was sent before without an answer: what it asked for may have been
            done then, and be refused now for that reason.
    """

    repeated = False

    def __init__(
        self,
        status: int,
        text: str,
        values: Mapping[str, object] | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        self.text = text
        self.values = values or {}
        self.retry_after_s = retry_after_s
        super().__init__(status, {"detail": text, "values": self.values})


class UnknownProject(ProjectRefused):
    """The customer has no project of that name."""


class UnknownModel(ProjectRefused):
    """The project has no model of that name."""


class ModelReplaced(ProjectRefused):
    """The model changed again and again while rows were sent in parts; nothing was answered."""


class NameTaken(ProjectRefused):
    """There is a project of that name already."""


class NotAuthorized(ProjectRefused):
    """The customer is unknown or the key is another; or this machine's clock is wrong."""


class NotFusion(ProjectRefused):
    """Only a fusion project has cells, and this is another."""


class NotOnFusion(ProjectRefused):
    """A fusion project has no rows, so it does not do this: ask one of its cells."""


class FusionEmpty(ProjectRefused):
    """None of the cells of a fusion project has ever given anything; the text names why."""


class FusionCycle(ProjectRefused):
    """A fusion project would be, or is, a cell of itself."""


class NotFederated(ProjectRefused):
    """Only a federated project does this, and this is another."""


class NotAdmin(ProjectRefused):
    """Only the peer that created the federation does this."""


class InvitationRefused(ProjectRefused):
    """An invitation was used before, is too old, or nobody gave it."""


class JobFailed(ProjectRefused):
    """A job ended without a result, or there is no such job (any more)."""


class UntypedColumn(InvalidInput):
    """A new column holds text, and nobody says what the text is.

    Attributes:
        column: its name.
    """

    def __init__(self, column: str) -> None:
        self.column = column
        super().__init__(
            "types",
            f"column {column!r} holds no numbers; say what it is, like types={{{column!r}: 'T'}}: "
            "T a category, of which each value is counted; X to leave it out",
        )


class ChangeStopped(Exception):
    """A learn or forget ended after some of its rows, or without anybody knowing how far it came.

    Attributes:
        resume: hand it to the same call with the same data to go on: what was counted already is
            not counted again. Within an hour, while the server remembers.
        rows: counted for certain.
        cause: why it ended.
    """

    def __init__(self, resume: str, rows: int, cause: ServerRefused | ServerAway) -> None:
        self.resume = resume
        self.rows = rows
        self.cause = cause
        super().__init__(f"{cause}; {rows} rows are counted, resume the others with {resume}")


def is_away(error: BaseException) -> bool:
    """Tell whether the service is away or busy: asking again may help.

    Example:
        >>> is_away(ServerAway()), is_away(ServerRefused(503, {})), is_away(ServerRefused(400, {}))
        (True, True, False)
    """
    if isinstance(error, ServerRefused):
        return error.status in _WORTH_REPEATING
    return isinstance(error, ServerAway)


class _Envelope(msgspec.Struct, rename="camel"):
    status_string: str = ""
    values: dict[str, object] = {}


def refusal(status: int, body: bytes, retry_after_s: float | None = None) -> ProjectRefused:
    """Return the exception for an answer of the signed API.

    Example:
        >>> error = refusal(400, b'{"statusString":"Cannot Find SYMETRYML id[a] for ..."}')
        >>> type(error).__name__, error.status, str(error)
        ('UnknownProject', 400, 'Cannot Find SYMETRYML id[a] for ...')
    """
    try:
        told = msgspec.json.decode(body, type=_Envelope)
    except (msgspec.DecodeError, UnicodeDecodeError):
        told = _Envelope(f"the server answered {status}, not in the form of the signed API")
    kind = _kind(status, told.status_string)
    return kind(status, told.status_string, told.values, retry_after_s)


def _frame(text: Callable[[str], str]) -> tuple[str, str]:
    """Return what stands before and after the one name in a text."""
    before, _, after = text("\0").partition("\0")
    return before, after


_BY_STATUS: Mapping[int, type[ProjectRefused]] = {401: NotAuthorized, 409: NameTaken}
# The protocol has one status for everything that is unknown or wrong; how its texts start tells
# more.
_BY_TEXT: Mapping[str, type[ProjectRefused]] = {
    texts.no_project("\0", "").partition("\0")[0]: UnknownProject,
    texts.no_project_to_change("", "\0").partition("\0")[0]: UnknownProject,
    texts.no_model("\0").partition("\0")[0]: UnknownModel,
    texts.NO_SUCH_JOB: JobFailed,
    "Please update your server time": NotAuthorized,
    texts.fusion_cycle(()): FusionCycle,
    texts.ADMIN_ONLY: NotAdmin,
    texts.INVITATION_UNKNOWN: InvitationRefused,
    texts.INVITATION_OLD: InvitationRefused,
    texts.INVITATION_USED: InvitationRefused,
}
# Of these, what comes first is the name of a project or of an operation.
_BY_FRAME: Mapping[tuple[str, str], type[ProjectRefused]] = {
    _frame(texts.not_fusion): NotFusion,
    _frame(texts.not_federated): NotFederated,
    _frame(texts.not_on_fusion): NotOnFusion,
    _frame(lambda pid: texts.fusion_without_data(pid, "")): FusionEmpty,
}


def _kind(status: int, text: str) -> type[ProjectRefused]:
    for start, kind in _BY_TEXT.items():
        if text.startswith(start):
            return kind
    for (before, after), kind in _BY_FRAME.items():
        if text.startswith(before) and after in text:
            return kind
    return _BY_STATUS.get(status, ProjectRefused)
