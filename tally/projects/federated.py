"""What federated projects have in common with each other, and with no other kind."""

from __future__ import annotations

from tally.master_key import MasterKey, Sealed
from tally.wire.projects import ProjectUuid

FEDERATED = "federated"
"""The kind of a project that is one peer of a federation."""

_PURPOSE = "federation"


def seal(master: MasterKey, secret: bytes, project: ProjectUuid) -> Sealed:
    """Return what no message between our processes, and no store, may show."""
    return master.seal(secret, _PURPOSE, project)


def unseal(master: MasterKey, sealed: Sealed, project: ProjectUuid) -> bytes:
    """Return what was sealed.

    Raises:
        ConfigurationError: it was sealed under another master key.
        CorruptState: it was changed, or sealed for another project.
    """
    return master.open(sealed, _PURPOSE, project)
