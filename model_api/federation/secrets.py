"""What of a peer nobody else may read: sealed in the store, opened in its home's memory."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import NoReturn

import msgspec

from model_api.federation.state import Federated
from model_api.federation.stored import Opening
from tally.errors import CorruptState
from tally.federation.keys import PUBLIC_BYTES, SECRET_BYTES, FederationKeys, Identity
from tally.federation.terms import Invitation, Terms
from tally.master_key import MasterKey, Sealed
from tally.projects.federated import seal, unseal
from tally.wire.projects import ProjectUuid

_HIPAA_BYTES = 32

Open = Callable[[ProjectUuid, bytes, bytes | None, Mapping[str, bytes]], Federated]
"""Reads the stored state of a federated project: its snapshot, and what stands beside it."""


class Secrets(msgspec.Struct, frozen=True, kw_only=True):
    """The keys of one peer, and the terms, which have credentials in them; shows nothing.

    Attributes:
        terms: what was agreed when the peer was made.
        secret: of the federation.
        private: Ed25519 key of this peer.
        hipaa_key: under which its patients are remembered.
    """

    terms: Terms
    secret: bytes
    private: bytes
    hipaa_key: bytes

    def __repr__(self) -> str:
        return "Secrets(hidden)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("the secrets of a peer are not pickled")

    @classmethod
    def new(cls, terms: Terms, invited: Invitation | None = None) -> Secrets:
        """Return fresh keys: of a new federation, or of a peer that was invited."""
        return cls(
            terms=terms,
            secret=secrets.token_bytes(SECRET_BYTES) if invited is None else invited.secret,
            private=secrets.token_bytes(PUBLIC_BYTES),
            hipaa_key=secrets.token_bytes(_HIPAA_BYTES),
        )

    @property
    def patients_key(self) -> bytes | None:
        """Under which patients are remembered; None without HIPAA rules."""
        return self.hipaa_key if self.terms.hipaa else None

    def keys(self) -> FederationKeys:
        """Return the keys that all peers share."""
        return FederationKeys(self.terms.name, self.secret)

    def identity(self, uuid: str) -> Identity:
        """Return the key by which this peer signs."""
        return Identity(uuid, self.private)

    def sealed(self, master: MasterKey, project: ProjectUuid) -> Sealed:
        """Return what the store may have of them."""
        return seal(master, msgspec.json.encode(self), project)


def opened(master: MasterKey, sealed: Sealed, project: ProjectUuid) -> Secrets:
    """Return the secrets of a peer.

    Raises:
        ConfigurationError: they were sealed under another master key.
        CorruptState: they cannot be read.
    """
    try:
        return msgspec.json.decode(unseal(master, sealed, project), type=Secrets)
    except msgspec.MsgspecError:
        # Never with the decoder's words, which may quote what was sealed.
        raise CorruptState(f"the secrets of project {project} cannot be read") from None


def reader(master: MasterKey) -> Open:
    """Return what reads the stored state of federated projects."""

    def read(
        project: ProjectUuid, data: bytes, row: bytes | None, parts: Mapping[str, bytes]
    ) -> Federated:
        opening = Opening(data, row, parts)
        return opening.done(opened(master, opening.secrets, project).patients_key)

    return read
