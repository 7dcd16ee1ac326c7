"""What a federation's streams, subjects and consumers are called in NATS."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Literal, get_args

from tally.federation.transport import StateSubject
from tally.fitqueue.nats_connection import INBOX

Question = Literal["join", "explore"]

STATES: tuple[StateSubject, ...] = get_args(StateSubject)


@dataclass(frozen=True, slots=True)
class Names:
    """Names from a federation's id, which has letters, digits, `_` and `-` only.

    Example:
        >>> names = Names("trial-374708ff")
        >>> names.sync, names.object_stream
        ('SMLFED_trial-374708ff_SYNC', 'OBJ_SMLFED_trial-374708ff')
        >>> names.sync_of("ab12")
        'smlfed.trial-374708ff.sync.ab12'
    """

    fid: str

    @property
    def sync(self) -> str:
        """The stream of snapshots."""
        return f"SMLFED_{self.fid}_SYNC"

    @property
    def control(self) -> str:
        """The stream of control messages."""
        return f"SMLFED_{self.fid}_CTL"

    @property
    def state(self) -> str:
        """The stream of the admin's last words."""
        return f"SMLFED_{self.fid}_STATE"

    @property
    def bucket(self) -> str:
        """The object store."""
        return f"SMLFED_{self.fid}"

    @property
    def object_stream(self) -> str:
        """The stream that the object store keeps its objects in."""
        return f"OBJ_{self.bucket}"

    def pieces_of(self, key: str) -> str:
        """Return the subject of an object's pieces; `UUID/*`: of all objects of a peer."""
        return f"$O.{self.bucket}.C.{self.token_of(key)}"

    def token_of(self, key: str) -> str:
        """Return by what an object's description tells where its pieces are.

        Example:
            >>> Names("f").token_of("ab12/1-7-c0ffee00")
            'ab12.1-7-c0ffee00'
        """
        return key.replace("/", ".")

    def description_of(self, key: str) -> str:
        """Return the subject of an object's description."""
        return f"$O.{self.bucket}.M.{base64.urlsafe_b64encode(key.encode()).decode()}"

    def sync_of(self, uuid: str) -> str:
        """Return the subject of a peer's snapshots; `*`: of everyone's."""
        return f"smlfed.{self.fid}.sync.{uuid}"

    def control_of(self, uuid: str) -> str:
        """Return the subject of a peer's control messages; `*`: of everyone's."""
        return f"smlfed.{self.fid}.ctl.{uuid}"

    def state_of(self, subject: str) -> str:
        """Return the subject of one of the admin's words."""
        return f"smlfed.{self.fid}.state.{subject}"

    def question_to(self, uuid: str, question: str) -> str:
        """Return the subject of a kind of question to a peer; `*`: of any kind."""
        return f"smlfed.{self.fid}.rpc.{uuid}.{question}"

    def inbox_of(self, uuid: str) -> str:
        """Return what the subjects begin with under which a peer, and nobody else, is answered."""
        return f"{INBOX}.{uuid}"

    def consumer_of(self, uuid: str) -> str:
        """Return the name of a peer's durable consumers."""
        return f"node_{uuid}"


def is_answer(subject: str) -> bool:
    """Tell whether a subject is one of answers; others may be commands to NATS itself."""
    return subject.startswith(f"{INBOX}.")
