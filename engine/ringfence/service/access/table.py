"""Entries by name in one JSON file: users, keys, sessions, proposals.

Several processes of one machine may use the same file (workers, the command line): changes are made under a lock, one
after another, and put in place whole; what others changed is seen within a second. Nobody but the service's own user
can read it.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from ringfence.errors import StateError, reason_of
from ringfence.runtime.ports import SYSTEM_FILES, Lock, LogFiles

__all__ = ["FOLDER", "Table"]

FOLDER = "access"
"""Where the files lie, below the service's data."""
T = TypeVar("T")
# How old what is read from memory may be.
_FRESH_SECONDS = 1.0
_LOCK_SECONDS, _PAUSE_SECONDS = 10.0, 0.01
_MODE = 0o600
_EMPTY = b"{}"


class Table(Generic[T]):
    """A file of entries; thread-safe.

    Args:
        path: The file; made at the first change, as is its folder.
        of: What an entry is, a `msgspec.Struct`.
        files: The file system.

    Raises:
        StateError: by every method: the file cannot be read or written, or is no such file.
    """

    def __init__(self, path: Path, of: type[T], files: LogFiles = SYSTEM_FILES) -> None:
        self._path, self._files = path, files
        self._decode: Callable[[bytes], dict[str, T]] = msgspec.json.Decoder(
            dict[str, of]  # type: ignore[valid-type]
        ).decode
        self._encode = msgspec.json.Encoder(order="sorted").encode
        self._one_at_a_time = threading.Lock()
        self._content = _EMPTY
        self._held: Mapping[str, T] = {}
        self._read_at = float("-inf")

    def all(self) -> Mapping[str, T]:
        """All entries, by name, as they were at most a second ago."""
        if time.monotonic() - self._read_at > _FRESH_SECONDS:
            self._read()
        return self._held

    def get(self, name: str) -> T | None:
        """An entry, as it was at most a second ago; what is not known yet is looked for anew."""
        found = self.all().get(name)
        if found is None:
            found = self._read().get(name)
        return found

    @contextmanager
    def changing(self) -> Iterator[dict[str, T]]:
        """The entries as they are now, to be changed in place; nobody else changes them meanwhile.

        What was changed is written when the block ends without an exception.
        """
        with self._one_at_a_time:
            lock = self._lock()
            try:
                entries = dict(self._read())
                yield entries
                content = self._encode(entries)
                if content != self._content:
                    self._write(content)
                    self._content, self._held = content, entries
                    self._read_at = time.monotonic()
            finally:
                lock.close()

    def _read(self) -> Mapping[str, T]:
        at = time.monotonic()
        try:
            content = self._files.read_bytes(self._path)
        except FileNotFoundError:
            content = _EMPTY
        except OSError as error:
            raise self._unusable(f"cannot be read ({reason_of(error)})") from None
        if content != self._content:
            try:
                held = self._decode(content)
            except msgspec.DecodeError as error:
                raise self._unusable(f"is damaged: {error}") from None
            self._content, self._held = content, held
        self._read_at = at
        return self._held

    def _write(self, content: bytes) -> None:
        try:
            self._files.write_atomic(self._path, content, _MODE)
        except OSError as error:
            raise self._unusable(f"cannot be written ({reason_of(error)})") from None

    def _lock(self) -> Lock:
        until = time.monotonic() + _LOCK_SECONDS
        try:
            self._files.make_folder(self._path.parent)
            while True:
                try:
                    return self._files.lock(self._path.with_suffix(".lock"))
                except BlockingIOError:
                    if time.monotonic() > until:
                        raise self._unusable("is held by another process") from None
                    time.sleep(_PAUSE_SECONDS)
        except OSError as error:
            raise self._unusable(f"cannot be locked ({reason_of(error)})") from None

    def _unusable(self, why: str) -> StateError:
        return StateError(
            f"`{self._path}` {why}",
            "its folder belongs to the user that the service runs as, and to no other",
        )
