"""`tally up`, `broker`, `worker`, `fit-worker`: the processes of the service."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from tally.addresses import is_loopback
from tally.backends import Backends
from tally.cli import output
from tally.cli.demo import show_demo
from tally.cli.supervise import supervise
from tally.errors import TallyError
from tally.logs import configure
from tally.processes import Service, run, run_until_stopped
from tally.settings import Settings

Services = Callable[[Backends], list[Service]]


def up(
    port: Annotated[int, typer.Option(envvar="TALLY_PORT", help="Of the public API.")] = 5000,
    host: Annotated[str, typer.Option(envvar="TALLY_HOST", help="To listen on.")] = "127.0.0.1",
    data_dir: Annotated[
        Path, typer.Option(envvar="TALLY_DATA_DIR", help="Where everything is kept.")
    ] = Path(".tally"),
    workers: Annotated[
        int, typer.Option(min=0, max=64, help="Separate worker processes; 0: all in one process.")
    ] = 0,
    demo: Annotated[
        Path | None,
        typer.Option(
            help="Fit this series first, unless a model is there.", exists=True, dir_okay=False
        ),
    ] = None,
    open_: Annotated[bool, typer.Option("--open", help="No tokens, also off loopback.")] = False,
) -> None:
    """Start the whole service on this machine; no server is needed.

    What was fitted before is served again. Ctrl-C stops it. Exit code 1: it cannot start.
    """
    os.environ["TALLY_DATA_DIR"] = str(data_dir)
    os.environ["TALLY_PORT"], os.environ["TALLY_HOST"] = str(port), host
    os.environ.setdefault("TALLY_LOG_LEVEL", "warning")
    if is_loopback(host):
        # Whoever may ask us is on this machine, and learns nothing of it through us.
        os.environ.setdefault("TALLY_OUTBOUND_NETWORKS", "0.0.0.0/0,::/0")
    if open_:
        os.environ["TALLY_API_OPEN"] = "true"

    def services(shared: Backends) -> list[Service]:
        # Here, so that commands which only ask a server do not import one.
        from broker.settings import BrokerSettings
        from broker.wiring import Broker
        from model_api.settings import WorkerSettings
        from model_api.wiring import FitWorker, Worker

        settings = BrokerSettings()
        configure(settings.log_level, "tally")
        opened = asyncio.Event()

        def ready(actual: int) -> None:
            output.ERR.print(f"Tally serves on http://{host}:{actual} (/docs); Ctrl-C stops")
            opened.set()

        async def broker() -> None:
            await Broker(settings, shared).run(ready)

        async def demonstrate() -> None:
            await opened.wait()
            if demo is not None:
                await show_demo(f"http://{host}:{port}", demo)
            await asyncio.Event().wait()

        if workers:
            return [broker, demonstrate, lambda: supervise(workers)]
        worker = WorkerSettings()
        runs = [Worker(worker, shared).run, FitWorker(worker, shared).run]
        return [broker, *runs, demonstrate]

    _run(services, spawns=True)


def broker(
    open_: Annotated[bool, typer.Option("--open", help="No tokens, also off loopback.")] = False,
) -> None:
    """Start a broker; its settings are the TALLY_... variables (docs/settings.md)."""
    if open_:
        os.environ["TALLY_API_OPEN"] = "true"

    def services(shared: Backends) -> list[Service]:
        from broker.settings import BrokerSettings
        from broker.wiring import Broker

        settings = BrokerSettings()
        configure(settings.log_level, "broker")
        return [Broker(settings, shared).run]

    _run(services, spawns=False)


def worker() -> None:
    """Start a worker: it forecasts, learns and predicts; settings as for a broker."""

    def services(shared: Backends) -> list[Service]:
        from model_api.settings import WorkerSettings
        from model_api.wiring import Worker

        settings = WorkerSettings()
        configure(settings.log_level, "worker")
        return [Worker(settings, shared).run]

    _run(services, spawns=False)


def fit_worker() -> None:
    """Start a fit worker; settings as for a broker."""

    def services(shared: Backends) -> list[Service]:
        from model_api.settings import WorkerSettings
        from model_api.wiring import FitWorker

        settings = WorkerSettings()
        configure(settings.log_level, "fit-worker")
        return [FitWorker(settings, shared).run]

    _run(services, spawns=True)


def _run(services: Services, *, spawns: bool) -> None:
    try:
        run(_main(services), spawns=spawns)
    except ValidationError as error:
        output.fail_settings(error)
    except TallyError as error:
        output.fail(str(error), output.Exit.REFUSED)


async def _main(services: Services) -> None:
    async with Backends(Settings()) as shared:
        await run_until_stopped(services(shared))
