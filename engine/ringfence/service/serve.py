"""Runs the service: three ports in one process, until it is told to stop."""

import asyncio
import signal
from collections.abc import Callable
from typing import Any

import uvicorn
import uvloop

from ringfence.service.app import make_app
from ringfence.service.desk import Desk
from ringfence.service.exposition import make_metrics_app
from ringfence.service.health import make_health_app

__all__ = ["serve"]


class _Server(uvicorn.Server):
    """A server that leaves the process's signals to `serve`."""

    def install_signal_handlers(self) -> None:
        return


def serve(desk: Desk, started: Callable[[], None] | None = None) -> None:
    """Serve until SIGTERM or SIGINT: requests that are being answered are answered.

    Args:
        desk: Is open, and stays the caller's to close.
        started: Called once all ports answer.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(desk, started))


async def _serve(desk: Desk, started: Callable[[], None] | None) -> None:
    where = desk.settings.server
    servers = [
        _server(make_app(desk), where.host, where.port),
        _server(make_metrics_app(desk), where.host, where.metrics_port),
        _server(make_health_app(desk), where.host, where.health_port),
    ]

    def stop() -> None:
        for each in servers:
            each.should_exit = True

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    running = [asyncio.create_task(each.serve()) for each in servers]
    while not all(each.started for each in servers) and not any(each.done() for each in running):
        await asyncio.sleep(0.01)
    if started is not None and not any(each.done() for each in running):
        started()
    await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
    stop()
    await asyncio.gather(*running)


def _server(app: Any, host: str, port: int) -> uvicorn.Server:
    return _Server(
        uvicorn.Config(
            app, host=host, port=port, access_log=False, log_level="warning", lifespan="auto"
        )
    )
