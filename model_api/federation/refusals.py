"""What goes wrong in a federation, as the protocol of its users tells it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tally.errors import Conflict, Unauthorized
from tally.federation.errors import (
    CannotJoin,
    EnvelopeRefused,
    ExplorationRefused,
    NotAdmin,
    TokenExpired,
)
from tally.federation.transport import TransportRefused, TransportUnavailable
from tally.wire.status import Refused, StatusCode


@contextmanager
def told() -> Iterator[None]:
    """Tell users of an error by its status.

    Raises:
        Refused: instead of what was raised, where the protocol has a status for it.
    """
    try:
        yield
    except (NotAdmin, ExplorationRefused) as error:
        raise Refused(str(error), StatusCode.FORBIDDEN) from None
    except Unauthorized as error:
        raise Refused(str(error), StatusCode.UNAUTHORIZED) from None
    except Conflict as error:
        raise Refused(str(error), StatusCode.CONFLICT) from None
    except (CannotJoin, EnvelopeRefused, TokenExpired) as error:
        raise Refused(str(error)) from None
    except TransportRefused as error:
        raise Refused(f"The federation's broker refuses: {error}") from None
    except TransportUnavailable as error:
        text = f"The federation's broker cannot be reached: {error}"
        raise Refused(text, StatusCode.SERVICE_UNAVAILABLE) from None
