"""Answers by `Idempotency-Key`: a request that is sent twice takes effect once, restarts included.

A key is written down before its request takes effect, and the answer afterwards. Where the process ended
between the two, nobody can say what became of it, and the answer says just that. Workers share one file, for what is sent
again may reach another one; each holds a lock on a file of its own for as long as it lives, which tells the others whether
a request is still being answered.
"""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from litestar import Response
from litestar.exceptions import HTTPException

from ringfence.errors import ApprovalError, AuditError, InputError, PolicyError, StateError
from ringfence.runtime.ports import SYSTEM_FILES, SYSTEM_RANDOM, Clock, Lock, LogFiles, Random
from ringfence.service.api.problems import Fault, Problem

if TYPE_CHECKING:
    from ringfence.service.api.routes import Asking

__all__ = ["KEPT_NS", "MOST_KEYS", "Answers", "check_key"]

#: Keys are kept for a day, and so many of them at most: the oldest goes first.
KEPT_NS = 86_400_000_000_000
MOST_KEYS = 100_000
_LONGEST = 200
_LOCK_SECONDS, _PAUSE_SECONDS = 10.0, 0.01
_RUN = "run-"
_SCHEMA = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS answers (
  key TEXT PRIMARY KEY, at_ns INTEGER NOT NULL, run TEXT NOT NULL, request TEXT NOT NULL, status INTEGER,
  location TEXT, body BLOB
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS answers_at ON answers (at_ns);
"""


class Answers:
    """Keys and the answers to their requests, in a file; thread-safe, and for several processes of one machine.

    Args:
        path: The file; made where it is missing.
        clock: Says how old a key is.
    """

    def __init__(
        self,
        path: Path,
        clock: Clock,
        *,
        random: Random = SYSTEM_RANDOM,
        most: int = MOST_KEYS,
        files: LogFiles = SYSTEM_FILES,
    ) -> None:
        files.make_folder(path.parent)
        self._clock, self._run, self._most = clock, random.token(8), most
        self._folder, self._files = path.parent, files
        self._lock = threading.Lock()
        opening = self._opening()
        try:
            # Nobody else opens: a lock that can be had is that of a process that has ended.
            self._forget_ended()
            self._alive = files.lock(self._lock_of(self._run))
            self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            path.chmod(0o600)
            self._database.executescript(_SCHEMA)
        finally:
            opening.close()
        self._since_tidied = 0
        self._unkept: set[str] = set()

    def close(self) -> None:
        """Give the file back."""
        with self._lock:
            self._database.close()
            with suppress(OSError):
                self._files.remove(self._lock_of(self._run))
            self._alive.close()

    def answer(self, key: str, request: "Asking", act: Callable[[], Any]) -> Any:
        """Do what a request asks for, unless its key was used before.

        Raises:
            Problem: the key is none, stands for another request, or for one that nobody knows the end of.
            StateError: keys cannot be written down; nothing was done.
        """
        check_key(key)
        name = _digest(request.user.name, key)
        where = _digest(request.method, request.url.path, request.url.query)
        told = sha256(where.encode("ascii") + request.scope["state"].get("body", b"")).hexdigest()
        try:
            earlier = self._begin(name, told)
        except sqlite3.Error as error:
            raise StateError(
                f"an `Idempotency-Key` cannot be written down ({error})",
                "see to the disk of the service's data; nothing was done",
            ) from None
        if earlier is not None:
            return earlier
        try:
            found = act()
        except BaseException as error:
            with self._keeping(name):
                if _did_nothing(error):
                    self._forget(name)
                else:
                    self._leave(name)
            raise
        # It took effect, and whoever asks hears so, whether it can be written down or not.
        with self._keeping(name):
            self._end(name, found, request)
        return found

    @contextmanager
    def _keeping(self, name: str) -> Iterator[None]:
        """Write how a request ended; of one that cannot be written, nobody knows the end from then on."""
        try:
            yield
        except sqlite3.Error:
            self._unkept.add(name)

    def _begin(self, name: str, told: str) -> Response[bytes] | None:
        with self._lock:
            self._tidy()
            row = self._row(name)
            if row is None:
                # Another process may have been quicker: what it wrote stays.
                is_new = self._database.execute(
                    "INSERT OR IGNORE INTO answers (key, at_ns, run, request) VALUES (?, ?, ?, ?)",
                    (name, self._clock.now_ns(), self._run, told),
                ).rowcount
                if is_new:
                    return None
                row = self._row(name)
        if row is None:
            # Its request had no effect, as was found out since.
            raise Problem("idempotency-running", "it ended just now", headers={"retry-after": "1"})
        run, request, status, location, body = row
        if request != told:
            raise Problem("idempotency-mismatch", "the earlier request had another address or body")
        if status is None:
            is_running = self._lives(run) and name not in self._unkept
            kind = "idempotency-running" if is_running else "idempotency-unknown"
            raise Problem(kind, "there is no answer yet", headers={"retry-after": "1"})
        headers = {"idempotency-replayed": "true"} | ({"location": location} if location else {})
        return Response(body, status_code=status, headers=headers, media_type="application/json")

    def _row(self, name: str) -> Any:
        return self._database.execute(
            "SELECT run, request, status, location, body FROM answers WHERE key = ?", (name,)
        ).fetchone()

    def _end(self, name: str, found: Any, request: "Asking") -> None:
        handler: Any = request.route_handler
        status, location, content = handler.status_code, None, found
        if isinstance(found, Response):
            status, content = found.status_code or status, found.content
            location = found.headers.get("location")
        body = content if isinstance(content, bytes) else msgspec.json.encode(content)
        with self._lock:
            self._database.execute(
                "UPDATE answers SET status = ?, location = ?, body = ? WHERE key = ?",
                (status, location, body, name),
            )

    def _leave(self, name: str) -> None:
        """It may have taken effect, and this process will not find out."""
        with self._lock:
            self._database.execute("UPDATE answers SET run = '' WHERE key = ?", (name,))

    def _forget(self, name: str) -> None:
        with self._lock:
            self._database.execute("DELETE FROM answers WHERE key = ?", (name,))

    def _lives(self, run: str) -> bool:
        """Whether a process that wrote down a key may still answer its request."""
        if run in ("", self._run):
            return bool(run)
        if not self._files.exists(self._lock_of(run)):
            return False
        try:
            self._files.lock(self._lock_of(run)).close()
        except BlockingIOError:
            return True
        return False

    def _forget_ended(self) -> None:
        for each in self._files.list(self._folder):
            if each.name.startswith(_RUN) and each.suffix == ".lock":
                with suppress(OSError):
                    self._files.lock(each).close()
                    self._files.remove(each)

    def _lock_of(self, run: str) -> Path:
        return self._folder / f"{_RUN}{run}.lock"

    def _opening(self) -> Lock:
        until = time.monotonic() + _LOCK_SECONDS
        while True:
            try:
                return self._files.lock(self._folder / "opening.lock")
            except BlockingIOError:
                if time.monotonic() > until:
                    raise StateError(
                        f"`{self._folder}` is held by another process", "end that first"
                    ) from None
                time.sleep(_PAUSE_SECONDS)

    def _tidy(self) -> None:
        """Drop what is old or too much, now and then."""
        if self._since_tidied:
            self._since_tidied -= 1
            return
        self._since_tidied = min(1000, self._most // 10)
        self._database.execute(
            "DELETE FROM answers WHERE at_ns < ?", (self._clock.now_ns() - KEPT_NS,)
        )
        self._database.execute(
            "DELETE FROM answers WHERE key IN "
            "(SELECT key FROM answers ORDER BY at_ns DESC LIMIT -1 OFFSET ?)",
            (self._most,),
        )


def _did_nothing(error: BaseException) -> bool:
    """Whether an error says that a request took no effect at all."""
    if isinstance(error, HTTPException):
        return error.status_code < 500
    told = isinstance(error, InputError | ApprovalError | PolicyError)
    return told and not isinstance(error, AuditError | StateError)


def check_key(key: str) -> None:
    """See that a key is short and printable.

    Raises:
        Problem: it is not.
    """
    if not (0 < len(key) <= _LONGEST and key.isascii() and key.isprintable()):
        words = f"it is no printable ASCII of at most {_LONGEST} characters"
        raise Problem(
            "invalid-parameter",
            f"Idempotency-Key: {words}",
            errors=[Fault(words, parameter="Idempotency-Key")],
        )


def _digest(*words: str) -> str:
    return sha256("\0".join(words).encode("utf-8", "surrogatepass")).hexdigest()
