"""Hearing of changes in directories, by the system's events."""

import os
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirModifiedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer

from ringfence.reload.snapshot import Target

__all__ = ["Watching"]

# Not that a file was opened or closed unchanged: reading does that, too.
_INSIDE: list[type[FileSystemEvent]] = [
    DirCreatedEvent,
    DirDeletedEvent,
    DirModifiedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
]
# Of a directory that holds other things, perhaps a log that grows, not each write.
_BESIDE: list[type[FileSystemEvent]] = [
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileMovedEvent,
]
_GONE = (DirDeletedEvent, DirMovedEvent)
_Identity = tuple[tuple[Target, int, int], ...]


class Watching:
    """Calls `wake` with the target in which something changed, from a thread of its own."""

    def __init__(self, wake: Callable[[Target], None]) -> None:
        self._wake = wake
        self._observer = Observer()
        self._observer.daemon = True
        self._armed: _Identity | None = None
        self._stale = threading.Event()
        self._started = False

    def watch(self, targets: Sequence[Target]) -> bool:
        """Watch these directories, and no others; says whether it can.

        Returns:
            False where the system gives no more watches, or a directory went meanwhile.
        """
        try:
            wanted = tuple((each, *_identity(each)) for each in targets)
            if wanted == self._armed and not self._stale.is_set():
                return True
            self._stale.clear()
            self._armed = None
            self._observer.unschedule_all()
            if not self._started:
                self._observer.start()
                self._started = True
            for each in targets:
                self._observer.schedule(
                    _Handler(self, each),
                    str(each.path),
                    recursive=each.recursive,
                    event_filter=_INSIDE if each.names is None else _BESIDE,
                )
        except OSError:
            self._stale.set()
            return False
        self._armed = wanted
        return True

    def told(self, target: Target, *, stale: bool) -> None:
        """Something changed; `stale` where a watch may have gone with its directory."""
        if stale:
            self._stale.set()
        self._wake(target)

    def close(self) -> None:
        """Watch nothing any more."""
        with suppress(OSError):
            self._observer.unschedule_all()
        if self._started:
            self._observer.stop()
            self._observer.join()


class _Handler(FileSystemEventHandler):
    def __init__(self, watching: Watching, target: Target) -> None:
        self._watching, self._target = watching, target

    def on_any_event(self, event: FileSystemEvent) -> None:
        names = {os.path.basename(os.fsdecode(each)) for each in (event.src_path, event.dest_path)}
        stale = isinstance(event, _GONE)
        wanted = self._target.names
        if wanted is None or stale or names & wanted:
            self._watching.told(self._target, stale=stale)


def _identity(target: Target) -> tuple[int, int]:
    about = target.path.stat()
    return about.st_dev, about.st_ino
