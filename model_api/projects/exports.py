"""A project as text that a user can keep, and back."""

from __future__ import annotations

from dataclasses import dataclass

from model_api.projects.changes import Draft
from tally.codec.container import open_sealed, seal
from tally.codec.project import decode, encode
from tally.engine.project import Project
from tally.errors import CorruptState, InvalidInput, TooLarge
from tally.projects.records import MAX_OPTIONS_BYTES, Options
from tally.wire.status import Refused


@dataclass(frozen=True, slots=True)
class Opened:
    """An export that was read.

    Attributes:
        project: what it holds.
        data: the same as a snapshot.
    """

    project: Project
    data: bytes

    @property
    def options(self) -> Options:
        """What the project was created with."""
        options = self.project.options
        return Options(kind=options.kind, params=dict(options.params), histogram=options.histogram)


def sealed(project: Project) -> bytes:
    """Return the export of a project: base64."""
    return seal(encode(project)).encode()


def opened(body: bytes, max_bytes: int) -> Opened:
    """Return what an export holds.

    Args:
        body: the text; quotes and white space around it are ignored.
        max_bytes: of the project, decompressed.

    Raises:
        Refused: it is no export, or was changed.
        TooLarge: no project can be created with as many options.
    """
    try:
        data = open_sealed(body.decode("ascii"), max_bytes=max_bytes)
        export = Opened(decode(data), data)
    except UnicodeDecodeError as error:
        raise Refused("Invalid export: it is not base64 text") from error
    except (CorruptState, InvalidInput) as error:
        raise Refused(f"Invalid export: {error}") from error
    texts = (text for option in export.options.params.items() for text in option)
    if sum(len(text.encode()) for text in texts) > MAX_OPTIONS_BYTES:
        raise TooLarge("body", f"creation options have more than {MAX_OPTIONS_BYTES} bytes")
    return export


@dataclass(frozen=True, slots=True)
class Restore:
    """The state of an export becomes that of a project which was made for it."""

    opened: Opened

    @property
    def size_bytes(self) -> int:
        """Of the state."""
        return len(self.opened.data)

    def digest(self) -> str:
        """Return the same for every import of a project: it has only one."""
        return "import"

    def apply(self, draft: Draft) -> None:
        """Put it in place of what was there, which was nothing."""
        draft.state = self.opened.project.draft()
        draft.changed = True
