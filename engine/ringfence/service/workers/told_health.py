"""How a worker tells its supervisor that it is well: a file, written every second."""

import json
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from ringfence.errors import InputError
from ringfence.runtime.ports import SYSTEM_CLOCK, SYSTEM_FILES, Clock, Files, LogFiles
from ringfence.service.health import Health
from ringfence.service.settings import ServiceSettings

__all__ = ["TellHealth", "forget_health", "read_health"]

_EVERY_S = 1.0
_STALE_NS = 10_000_000_000


class TellHealth:
    """A thread that writes it, until `close`."""

    def __init__(self, health: Health, settings: ServiceSettings, worker: int) -> None:
        self._health = health
        self._path = _path(settings, worker)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ringfence-told", daemon=True)
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._thread.start()

    def close(self) -> None:
        """Write it once more, and stop."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(_EVERY_S):
            self._write()
        self._write()

    def _write(self) -> None:
        _, told = self._health.whole()
        told |= {"lives": self._health.lives, "at_ns": SYSTEM_CLOCK.now_ns()}
        # A worker whose disk is full is not told to be well.
        try:
            SYSTEM_FILES.write_atomic(self._path, json.dumps(told).encode())
        except OSError:
            return


def read_health(
    settings: ServiceSettings,
    worker: int,
    *,
    clock: Clock = SYSTEM_CLOCK,
    files: Files = SYSTEM_FILES,
) -> dict[str, Any]:
    """What a worker told last.

    Raises:
        InputError: it told nothing, or nothing of late, or its main loop stands still.
    """
    try:
        told: dict[str, Any] = json.loads(files.read_bytes(_path(settings, worker)))
    except (OSError, ValueError):
        raise InputError(f"worker {worker} has not told how it is") from None
    if clock.now_ns() - told["at_ns"] > _STALE_NS or not told["lives"]:
        raise InputError(f"worker {worker} gives no sign of life")
    return told


def forget_health(
    settings: ServiceSettings, worker: int, *, files: LogFiles = SYSTEM_FILES
) -> None:
    """Forget what a worker told that has ended, or will only start: it would be told to be well for ten seconds more."""
    with suppress(OSError):
        files.remove(_path(settings, worker))


def _path(settings: ServiceSettings, worker: int) -> Path:
    return settings.data_of(worker) / "health.json"
