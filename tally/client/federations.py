"""Making federations, and joining them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from tally.client.session import Session
from tally.errors import InvalidInput
from tally.wire.bodycrypt import decrypt_with_password
from tally.wire.federation import seal_map
from tally.wire.java_text import java_text
from tally.wire.status import Refused

Terms = Mapping[str, float | bool | str]
"""What a federation is made or joined with, by the protocol's keys."""

_HIPAA = "fed_enforce_hipaa_compliance"


def new_terms(
    name: str, nats: str | Iterable[str], schedule: str, *, hipaa: bool, encrypt: bool
) -> Terms:
    """Return what makes a federation; see `AsyncTally.create_federation`."""
    return {
        "fed_name": name,
        "nats_hosts": nats if isinstance(nats, str) else ",".join(nats),
        "sync_sched": schedule,
        _HIPAA: hipaa,
        "fed_encrypt": encrypt,
    }


def invited_terms(invitation: str, password: str, *, hipaa: bool | None) -> Terms:
    """Return what an invitation holds, and the joiner's word on HIPAA rules, if it has one.

    Raises:
        InvalidInput: the text is no invitation, or the password another; says which.
    """
    try:
        plain = decrypt_with_password(password, invitation.encode())
        invited: dict[str, str] = msgspec.json.decode(plain, type=dict[str, str])
    except Refused as error:
        raise InvalidInput("password", error.text) from None
    except (msgspec.MsgspecError, UnicodeDecodeError):
        # With another password it may be decrypted by chance. Never with the decoder's words:
        # they may quote what is secret.
        raise InvalidInput("invitation", "it is not encrypted with this password") from None
    return invited if hipaa is None else {**invited, _HIPAA: hipaa}


async def make(session: Session, verb: str, pid: str, terms: Terms, *, persist: bool) -> None:
    """Make the project of a peer.

    Args:
        session: of the customer.
        verb: `create` or `createJoin`.
        pid: its name.
        terms: of the federation.
        persist: keep it over restarts.
    """
    told = {key: java_text(value) for key, value in terms.items()}
    await session.change(
        "POST",
        "fedml",
        verb,
        query={"pid": pid, "persist": java_text(persist)},
        body=seal_map(session.account.key, told).encode(),
        headers={"Content-Type": "text/plain"},
    )
