"""Runs the service: three ports in one process, until it is told to stop."""

import asyncio
import gc
import logging
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial

import uvicorn

from ringfence.errors import RingfenceError
from ringfence.service.app import make_app
from ringfence.service.desk import Desk
from ringfence.service.exposition import make_metrics_app
from ringfence.service.free_memory import free_memory_given_back, give_back_free_memory
from ringfence.service.health import Health, make_health_app
from ringfence.service.health_looks import lease_fault, look_at
from ringfence.service.listening import Ports, SideServers, TlsFiles, make_server, new_loop
from ringfence.service.quick_evaluate import QuickEvaluate
from ringfence.service.quick_protocol import QuickProtocol
from ringfence.service.renewing import renew_or_tell
from ringfence.service.settings import ServerSettings

__all__ = ["Stopped", "serve", "serve_on", "stoppable"]

_log = logging.getLogger(__name__)
_BEAT_S = 1.0
# Of the garbage collector's third threshold.
_NEVER = 1_000_000_000
_SIGNALS = (signal.SIGTERM, signal.SIGINT)
# Set by a signal that came before anything could be done about it.
_keys_were_renewed = threading.Event()


class Stopped(BaseException):
    """The process was told to stop before it served."""


def serve(
    server: ServerSettings,
    open_desk: Callable[[], Desk],
    started: Callable[[Desk, Ports], None] | None = None,
    *,
    alongside: Callable[[Desk], AbstractContextManager[object]] | None = None,
) -> None:
    """Open a desk and serve it until SIGTERM or SIGINT: requests that are being answered are answered.

    The health port answers first, and last: it tells `starting` while the desk opens, which may compile for a
    minute, and `stopping` while it closes.

    Args:
        server: Where, and how.
        open_desk: Opens what is served; it is closed at the end, however that comes.
        started: Called once all ports answer.
        alongside: What runs while the ports answer.

    Raises:
        InputError: a port cannot be had, or the desk cannot be opened.
        Stopped: it was told to stop before it served.
    """
    give_back_free_memory()
    ports, health = Ports(server), Health()
    with ExitStack() as opened, stoppable():
        opened.callback(ports.close)
        # Wrong files for TLS are found before anything is opened.
        make_server(None, server)
        side = SideServers()
        opened.callback(side.close)
        side.serve(make_server(make_health_app(health), server, is_main=False), ports.health)
        desk = open_desk()
        metrics = make_server(make_metrics_app(desk), server, is_main=False)

        def ready(served: Desk) -> None:
            if started is not None:
                started(served, ports)

        try:
            side.serve(metrics, ports.metrics)
        except BaseException:
            desk.close()
            raise
        serve_on(ports.main, desk, health, ready, alongside=alongside)


def serve_on(
    bound: socket.socket,
    desk: Desk,
    health: Health,
    started: Callable[[Desk], None] | None = None,
    *,
    alongside: Callable[[Desk], AbstractContextManager[object]] | None = None,
) -> None:
    """Serve an open desk on a socket until SIGTERM or SIGINT, then close it.

    Args:
        bound: Listens.
        desk: What is served.
        health: Is told how the desk is.
        started, alongside: As in `serve`.
    """
    with ExitStack() as opened:
        opened.callback(_close, desk)
        health.checks = desk.checks
        look_at(desk, desk.checks)
        opened.callback(desk.checks.close)
        health.phase, health.fault = lambda: desk.phase, lambda: lease_fault(desk)
        about = desk.settings
        server = make_server(
            make_app(desk),
            about.server,
            log_requests=about.log.requests,
            protocol=partial(QuickProtocol, QuickEvaluate(desk)),
        )
        opened.enter_context(free_memory_given_back())
        _put_orders_first()
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(_serve(server, bound, desk, health, started, alongside))


@contextmanager
def stoppable() -> Iterator[None]:
    """Let a signal end what is being opened, and close what was; that of keys is heeded once all is open."""

    def stop(number: int, _: object) -> None:
        raise Stopped(signal.Signals(number).name)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _keys_were_renewed.clear()
    before = {number: signal.signal(number, stop) for number in _SIGNALS}
    # Left to itself it would end the process, for which systemd does not start it again.
    before[signal.SIGHUP] = signal.signal(signal.SIGHUP, lambda *_: _keys_were_renewed.set())
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


async def _serve(
    server: uvicorn.Server,
    bound: socket.socket,
    desk: Desk,
    health: Health,
    started: Callable[[Desk], None] | None,
    alongside: Callable[[Desk], AbstractContextManager[object]] | None,
) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    if threading.current_thread() is threading.main_thread():
        for number in _SIGNALS:
            loop.add_signal_handler(number, stopping.set)
        loop.add_signal_handler(signal.SIGHUP, loop.run_in_executor, None, renew_or_tell, desk)
        if _keys_were_renewed.is_set():
            loop.run_in_executor(None, renew_or_tell, desk)
    desk.stop = lambda: loop.call_soon_threadsafe(stopping.set)
    running = asyncio.create_task(server.serve(sockets=[bound]))
    beside = [
        asyncio.create_task(_beat(health)),
        asyncio.create_task(TlsFiles(server, desk.settings.server).watch()),
    ]
    while not server.started and not running.done():
        await asyncio.sleep(0.005)
    desk.phase = "serving"
    with nullcontext() if alongside is None else alongside(desk):
        if started is not None:
            started(desk)
        waiting = asyncio.create_task(stopping.wait())
        await asyncio.wait((running, waiting), return_when=asyncio.FIRST_COMPLETED)
        desk.phase = "stopping"
        desk.stopping.set()
        _log.info("stopping: requests under way are answered first")
        # While requests end, whatever runs alongside ends; its threads must not wait for this loop.
    server.should_exit = True
    await running
    for each in (*beside, waiting):
        each.cancel()


async def _beat(health: Health) -> None:
    while True:
        health.beat()
        await asyncio.sleep(_BEAT_S)


def _close(desk: Desk) -> None:
    desk.phase = "stopping"
    try:
        desk.close()
    except RingfenceError as error:
        # All that can be closed is; what was not kept is in the log, or told here.
        _log.error("closing: %s", error)
    else:
        _log.info("stopped: the audit log is written, the books are kept")


def _put_orders_first() -> None:
    """Let nothing that is not an order hold one up for long."""
    # What is loaded stays for good, and is not looked through for garbage. What orders leave behind is looked through a
    # little at a time: all at once it would hold orders up, and it holds the memory of what has failed.
    gc.collect()
    gc.freeze()
    # All of it is looked through by the clock (`free_memory`), and not in the midst of many orders.
    gc.set_threshold(2_000, 5, _NEVER)
    # Threads that look at limits and logs give way after so many seconds. Who decides lets the interpreter go at every
    # write, and waits as long to have it back: with Python's own 5 ms, four times an order, orders would pile up.
    sys.setswitchinterval(0.00005)
