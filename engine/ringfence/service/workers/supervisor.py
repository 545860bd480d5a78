"""Starts the workers, starts those anew that die, and stops all of them; metrics and health of all on its ports."""

import json
import logging
import queue
import signal
import subprocess  # nosec B404
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field

from ringfence.errors import InputError
from ringfence.service.exposition import metrics_app
from ringfence.service.health import Health, make_health_app
from ringfence.service.health_checks import Checks
from ringfence.service.listening import Ports, SideServers, make_server
from ringfence.service.merged_metrics import MergedMetrics
from ringfence.service.process_metrics import ProcessMetrics
from ringfence.service.settings import ServiceSettings
from ringfence.service.workers.told_health import forget_health, read_health

__all__ = ["supervise"]

_log = logging.getLogger(__name__)
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
# A worker that lived for so long did not die of what it was started with.
_LIVED_S = 30.0
_LONGEST_PAUSE_S = 30.0
# Beyond `server.stop_within`, for closing the books and the log.
_CLOSING_S = 30.0
COMMAND = (sys.executable, "-m", "ringfence.service.workers.worker")
_PARTS = ("audit", "policies", "db", "cache")


@dataclass(slots=True)
class _Worker:
    number: int
    process: "subprocess.Popen[bytes]"
    started_s: float
    failures: int = 0
    is_gone: bool = False
    watch: threading.Thread | None = field(default=None)


def supervise(
    settings: ServiceSettings, started: Callable[[Ports, tuple[int, ...]], None] | None = None
) -> None:
    """Run `server.workers` workers until SIGTERM or SIGINT.

    Args:
        settings: The settings; what they name is opened by the workers.
        started: Called with the processes' ids, once one of them may be asked.

    Raises:
        InputError: a port cannot be had.
    """
    with ExitStack() as opened:
        ports = Ports(settings.server)
        opened.callback(ports.close)
        _Supervisor(settings, ports, opened).run(started)


class _Supervisor:
    def __init__(self, settings: ServiceSettings, ports: Ports, opened: ExitStack) -> None:
        self._settings, self._ports = settings, ports
        # Signals, ends of workers, and the moments at which to look: one thread deals with all of them.
        self._news: queue.SimpleQueue[tuple[str, int]] = queue.SimpleQueue()
        self._workers: dict[int, _Worker] = {}
        checks = Checks()
        opened.callback(checks.close)
        self._health = Health(checks)
        side = SideServers()
        opened.callback(side.close)
        self._merged = MergedMetrics([checks, ProcessMetrics()])
        opened.callback(self._merged.close)
        self._health.phase = lambda: "serving"
        self._health.fault = self._none_ready
        about = settings.server
        side.serve(make_server(make_health_app(self._health), about, is_main=False), ports.health)
        side.serve(make_server(metrics_app([self._merged]), about, is_main=False), ports.metrics)
        for name in _PARTS:
            checks.add(name, lambda part=name: self._part(part))  # type: ignore[misc]
        for number in range(about.workers):
            checks.add(f"worker-{number}", lambda each=number: self._whole(each))  # type: ignore[misc]

    def run(self, started: Callable[[Ports, tuple[int, ...]], None] | None) -> None:
        before = {
            number: signal.signal(number, lambda got, _: self._news.put(("signal", got)))
            for number in _SIGNALS
        }
        try:
            for number in range(self._settings.server.workers):
                self._start(number, 0)
            told = started is None
            while True:
                what, number = self._next()
                if what == "signal" and number == signal.SIGHUP:
                    # Secrets were renewed, which each worker sees to.
                    self._pass_on(signal.SIGHUP)
                elif what == "signal":
                    break
                if what == "ended":
                    self._ended(number)
                if what == "start":
                    self._start(number, self._workers[number].failures)
                if not told and started is not None and not self._none_ready():
                    told = True
                    started(self._ports, tuple(w.process.pid for w in self._workers.values()))
        finally:
            self._health.phase = lambda: "stopping"
            self._stop()
            for number, handler in before.items():
                signal.signal(number, handler)

    def _next(self) -> tuple[str, int]:
        try:
            return self._news.get(timeout=0.25)
        except queue.Empty:
            return "look", 0

    # Workers

    def _start(self, number: int, failures: int) -> None:
        bound = self._ports.main.fileno()
        # Of a run before this one, which may have been killed a moment ago.
        forget_health(self._settings, number)
        process = subprocess.Popen(  # nosec B603  # no shell
            COMMAND,
            stdin=subprocess.PIPE,
            pass_fds=(bound,),
            # Ctrl-C in a terminal is for the supervisor, which stops them one way.
            start_new_session=True,
        )
        worker = _Worker(number, process, time.monotonic(), failures)
        self._workers[number] = worker
        job = {
            "settings": self._settings.model_dump(mode="json", exclude_unset=True),
            "worker": number,
            "socket": bound,
            "metrics": self._merged.address,
        }
        # The pipe stays open: its end tells a worker that nobody supervises it any more.
        with suppress(OSError):
            if process.stdin is not None:
                process.stdin.write(json.dumps(job).encode() + b"\n")
                process.stdin.flush()
        worker.watch = threading.Thread(target=self._watch, args=(worker,), daemon=True)
        worker.watch.start()

    def _watch(self, worker: _Worker) -> None:
        worker.process.wait()
        self._news.put(("ended", worker.number))

    def _ended(self, number: int) -> None:
        worker = self._workers[number]
        worker.is_gone = True
        forget_health(self._settings, number)
        _let_go(worker)
        lived_s = time.monotonic() - worker.started_s
        worker.failures = 1 if lived_s >= _LIVED_S else worker.failures + 1
        pause_s = min(2.0 ** (worker.failures - 1) - 1, _LONGEST_PAUSE_S)
        _log.error(
            "worker %d ended with code %s; it is started again in %g s",
            number,
            worker.process.returncode,
            pause_s,
        )
        later = threading.Timer(pause_s, self._news.put, (("start", number),))
        later.daemon = True
        later.start()

    def _pass_on(self, number: signal.Signals) -> None:
        for worker in self._workers.values():
            if not worker.is_gone:
                worker.process.send_signal(number)

    def _stop(self) -> None:
        self._pass_on(signal.SIGTERM)
        until = time.monotonic() + self._settings.server.stop_within / 1e9 + _CLOSING_S
        for worker in self._workers.values():
            try:
                worker.process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                _log.error("worker %d does not end, and is killed", worker.number)
                worker.process.kill()
                worker.process.wait()
            _let_go(worker)

    # Health

    def _part(self, name: str) -> str:
        """How a part is for all workers; the first that is not well with it speaks for all."""
        details = []
        for number in range(self._settings.server.workers):
            found = read_health(self._settings, number)["checks"].get(name)
            if found is None or found["status"] != "ok":
                why = "not looked at yet" if found is None else found["detail"]
                raise InputError(f"worker {number}: {why}")
            details.append(str(found["detail"]))
        return details[0]

    def _whole(self, number: int) -> str:
        told = read_health(self._settings, number)
        if not told["ready"]:
            raise InputError(told["detail"] or told["phase"])
        return "answers"

    def _none_ready(self) -> str:
        for number in range(self._settings.server.workers):
            with suppress(InputError):
                if read_health(self._settings, number)["ready"]:
                    return ""
        return "no worker may be asked"


def _let_go(worker: _Worker) -> None:
    """Close the pipe to a worker that has ended; what it did not read is lost with it."""
    if worker.process.stdin is not None:
        with suppress(OSError):
            worker.process.stdin.close()
