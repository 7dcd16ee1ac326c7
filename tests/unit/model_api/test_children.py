from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import pytest

from model_api.children import Children, Outcome
from model_api.jobs import Job
from tally.codec.series import pack
from tally.errors import FitFailed
from tally.forecast.scores import Backtest
from tests.unit.model_api.acts import until

SERIES = pack([10.0 + (i % 7) for i in range(70)])
FIT = Job(kind="fit", bytes=len(SERIES), algorithm="harmonic_ar")


@pytest.fixture
async def children() -> AsyncIterator[Children]:
    made = Children()
    yield made
    await made.close()


async def spare(children: Children) -> int:
    """Return the process id of the child that will get the next job."""
    children.warm()
    return (await children._spares[0]).pid


async def at_work(children: Children) -> asyncio.Task[Outcome]:
    """Give a job, and return once a child has it."""
    working = asyncio.create_task(run(children))
    await until(lambda: bool(children._running), "a child has the job")
    return working


async def run(children: Children, job: Job = FIT, data: bytes = SERIES) -> Outcome:
    return await children.run(job, data, timeout_s=60)


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def wait_gone(pid: int) -> None:
    deadline = time.monotonic() + 10
    while alive(pid):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def environment_of(pid: int) -> str:
    return Path(f"/proc/{pid}/environ").read_text()


@pytest.fixture
def in_every_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Give a function that makes every child run some Python code as it starts."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def run_first(code: str) -> None:
        (tmp_path / "sitecustomize.py").write_text(textwrap.dedent(code))

    return run_first


async def test_a_fit_comes_back_as_a_state_that_another_process_forecasts_from(
    children: Children,
) -> None:
    said: list[tuple[float, str]] = []
    outcome = await children.run(
        FIT, SERIES, timeout_s=60, progress=lambda fraction, doing: said.append((fraction, doing))
    )
    reply = outcome.reply
    assert (reply.kind, reply.algorithm, reply.period) == ("done", "harmonic_ar", 7)
    assert reply.seconds > 0
    assert msgspec.json.decode(reply.backtest, type=Backtest).origins > 0
    assert [fraction for fraction, _ in said] == sorted(fraction for fraction, _ in said)
    assert any("harmonic_ar" in doing for _, doing in said)
    checked = await run(children, Job(kind="verify", bytes=len(outcome.data)), outcome.data)
    assert checked.reply.kind == "done"


async def test_every_job_has_a_process_of_its_own(children: Children) -> None:
    first = await spare(children)
    await run(children)
    second = await spare(children)
    assert second != first
    assert not alive(first)


async def test_spares_are_not_started_while_what_was_fitted_is_published(
    children: Children, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They take a processor for a while, which the workers need to load the new version."""
    monkeypatch.setattr("model_api.children._QUIET_S", 3600.0)
    children.warm()
    await asyncio.gather(*children._spares)
    outcome = await run(children)
    await run(children, Job(kind="verify", bytes=len(outcome.data)), outcome.data)
    assert len(children._spares) == 1  # for the fit that follows at once
    await run(children)
    assert len(children._spares) == 1


async def test_spares_are_replaced_once_things_are_quiet(
    children: Children, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model_api.children._QUIET_S", 0.01)
    await run(children)
    await until(lambda: len(children._spares) == 3, "the spares are there again")


async def test_bytes_that_are_no_model_do_not_pass(children: Children) -> None:
    with pytest.raises(FitFailed) as caught:
        await run(children, Job(kind="verify", bytes=9), b"not ours.")
    assert not caught.value.retryable


async def test_what_the_numerics_refuse_is_a_failure_that_no_retry_mends(
    children: Children,
) -> None:
    with pytest.raises(FitFailed, match="'magic' is not one of") as caught:
        await run(children, msgspec.structs.replace(FIT, algorithm="magic"))
    assert not caught.value.retryable


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT])
async def test_a_child_ended_by_a_signal_is_named_and_worth_another_try(
    children: Children, number: signal.Signals
) -> None:
    pid = await spare(children)
    os.kill(pid, signal.SIGSTOP)  # so that it has not answered yet when it dies
    working = await at_work(children)
    os.kill(pid, number)
    with contextlib.suppress(ProcessLookupError):  # SIGKILL needs no SIGCONT, and may be quicker
        os.kill(pid, signal.SIGCONT)
    with pytest.raises(FitFailed, match=number.name) as caught:
        await working
    assert caught.value.retryable
    assert ("memory" in str(caught.value)) is (number is signal.SIGKILL)
    assert (await run(children)).reply.kind == "done"


async def test_a_child_that_takes_too_long_is_killed(children: Children) -> None:
    pid = await spare(children)
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(FitFailed, match=r"stopped after 0\.2 s \(TALLY_FIT_TIMEOUT_S\)"):
        await children.run(FIT, SERIES, timeout_s=0.2)
    assert not alive(pid)


async def test_a_cancelled_call_kills_its_child(children: Children) -> None:
    pid = await spare(children)
    os.kill(pid, signal.SIGSTOP)
    working = await at_work(children)
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    assert not alive(pid)


async def test_closing_ends_the_spare_and_whatever_is_running() -> None:
    children = Children()
    busy = await spare(children)
    os.kill(busy, signal.SIGSTOP)
    working = await at_work(children)
    idle = await spare(children)
    await children.close()
    assert not alive(busy)
    assert not alive(idle)
    with pytest.raises(FitFailed, match="SIGKILL"):
        await working
    await children.close()


async def test_a_spare_that_died_while_it_waited_costs_no_fit(children: Children) -> None:
    pid = await spare(children)
    process = await children._spares[0]
    os.kill(pid, signal.SIGKILL)
    await until(lambda: process.returncode is not None, "its death is known")
    assert (await run(children)).reply.kind == "done"


def test_children_die_with_their_parent() -> None:
    code = """
        import asyncio, signal
        from model_api.children import Children
        async def main():
            children = Children()
            children.warm()
            print((await children._spares[0]).pid, flush=True)
            await asyncio.Event().wait()
        asyncio.run(main())
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        # The child asks for this in its first lines; until then it would outlive us.
        settled = time.monotonic() + 20
        while b"numpy" not in Path(f"/proc/{pid}/maps").read_bytes():
            assert time.monotonic() < settled
            time.sleep(0.01)
        os.kill(pid, signal.SIGSTOP)  # busy: it does not notice that its input has ended
        parent.kill()
    wait_gone(pid)


async def test_the_childs_environment_has_nothing_of_ours(
    children: Children, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TALLY_STORE_PASSWORD", "hush")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    pid = await spare(children)
    environment = environment_of(pid)
    assert "hush" not in environment
    assert "TALLY_" not in environment
    assert "OPENBLAS_NUM_THREADS=1" in environment


async def test_what_libraries_print_stays_out_of_the_frames(
    children: Children, in_every_child: Callable[[str], None]
) -> None:
    in_every_child(
        """
            import os, sys
            class Loud:
                def find_spec(self, name, path=None, target=None):
                    if name == "tally.forecast.harmonic_ar":
                        os.write(1, b"progress: 99%")
                        print("fitted!", flush=True)
            sys.meta_path.insert(0, Loud())
        """
    )
    assert (await run(children)).reply.kind == "done"


@pytest.mark.parametrize(
    "frame",
    [
        "b'\\xff\\xff\\xff\\xff'",
        "(2 << 20).to_bytes(4, 'big')",
        "b'\\0\\0\\0\\4nope'",
        "b'\\0\\0\\0\\2{}'",
        '(32).to_bytes(4, \'big\') + b\'{"kind":"done","bytes":-10000000}\'[:32].ljust(32)',
        '(40).to_bytes(4, \'big\') + b\'{"kind":"done","bytes":99999999999999}\'.ljust(40)',
    ],
)
async def test_a_child_that_answers_nonsense_is_a_failed_fit_and_nothing_worse(
    children: Children, in_every_child: Callable[[str], None], frame: str
) -> None:
    in_every_child(f"import os, time\nos.write(1, {frame})\ntime.sleep(60)\n")
    with pytest.raises(FitFailed, match="nonsense"):
        await children.run(FIT, SERIES, timeout_s=20)
