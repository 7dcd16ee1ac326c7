"""The process that computes: reads jobs on standard input, answers on standard output.

It is a process of its own so that a crash, a runaway or an out-of-memory kill of the numerics
takes nothing else down. It knows no store and no network.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from typing import BinaryIO

import msgspec

from model_api.jobs import FRAME_BYTES, Job, Reply
from tally.errors import TallyError

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Do jobs of the process whose id is our argument, until standard input ends."""
    _die_with_parent(int(sys.argv[1]))
    os.nice(5)  # serving comes first
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    # Libraries print; their words must not end up between our frames.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    # Here, as it takes long and our parent may die meanwhile; and before the first job arrives,
    # so that a spare process answers at once.
    from model_api.numerics import fit, verify

    jobs = sys.stdin.buffer
    while head := jobs.read(FRAME_BYTES):
        job = msgspec.json.decode(jobs.read(int.from_bytes(head, "big")), type=Job)
        data = jobs.read(job.bytes)
        started = time.monotonic()

        def progress(fraction: float, doing: str) -> None:
            _send(answers, Reply(kind="progress", progress=fraction, doing=doing))

        try:
            if job.kind == "verify":
                verify(data)
                _send(answers, Reply(kind="done"))
            else:
                reply, state = fit(job, data, progress)
                seconds = time.monotonic() - started
                _send(answers, msgspec.structs.replace(reply, seconds=seconds), state)
        except TallyError as error:
            retryable = getattr(error, "retryable", False)
            _send(answers, Reply(kind="failed", reason=str(error), retryable=retryable))
        except MemoryError:
            reason = "the fit needs more memory than there is"
            _send(answers, Reply(kind="failed", reason=reason))
        except Exception as error:  # the numerics' own bugs are a result too: the fit failed
            reason = f"the fit ended with {type(error).__name__}: {error}"
            _send(answers, Reply(kind="failed", reason=reason))


def _send(stream: BinaryIO, reply: Reply, data: bytes = b"") -> None:
    encoded = msgspec.json.encode(msgspec.structs.replace(reply, bytes=len(data)))
    stream.write(len(encoded).to_bytes(FRAME_BYTES, "big") + encoded + data)
    stream.flush()


def _die_with_parent(parent: int) -> None:
    """Ask for a SIGKILL when the parent dies, where the system offers that (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(1)  # it had died before we asked


if __name__ == "__main__":
    main()
