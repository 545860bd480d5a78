"""The directory beside a policy store through which people and a running reloader talk.

lock            held by the reloader while it runs
status.json     how things stand
history.jsonl   what happened last, one JSON object a line, the oldest first
pin.json        there while a person holds the set
shadow/         sets that were asked to run in the shadow, or to be applied
requests/       what the command asks for, one file each
answers/        what came of it, under the same name
"""

import json
import os
import stat
import threading
from collections.abc import Iterable, Mapping, Set
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any

from ringfence.errors import InputError, reason_of
from ringfence.runtime.ports import SYSTEM_FILES, Lock, LogFiles

__all__ = ["MOST_OUTCOMES", "Control", "Pin", "Request"]

_TRIES, _PAUSE_SECONDS = 5, 0.02
MOST_OUTCOMES = 200
_ENCODE = json.JSONEncoder(ensure_ascii=True, allow_nan=False, default=str).encode
ACTIONS = ("reload", "rollback", "unpin", "shadow", "apply")


@dataclass(frozen=True, slots=True)
class Pin:
    """A set that a person went back to: it stays while the source holds what it held then.

    Attributes:
        policy_set: The set's SHA-256.
        by, reason: Who, and why.
        at_ns: When, ns since 1970, UTC.
        source: Digest of the source's files at that time; empty where it could not be read.
    """

    policy_set: str
    by: str
    reason: str
    at_ns: int
    source: str


@dataclass(frozen=True, slots=True)
class Request:
    """What a person asks of a running reloader.

    Attributes:
        id: The request's name.
        action: One of `ACTIONS`.
        policy_set: SHA-256 of a set in the store, for `rollback`, `shadow` and `apply`; empty ends a shadow.
        by, reason: Who, and why.
        expires_ns: Nobody waits for it any more (ns since 1970, UTC).
        before: For `apply`: SHA-256 of the set that must be in force.
    """

    id: str
    action: str
    policy_set: str
    by: str
    reason: str
    expires_ns: int
    before: str = ""


class Control:
    """Its files; every one is written whole.

    Args:
        directory: The policy store's.
        files: The file system.
    """

    def __init__(self, directory: Path, files: LogFiles = SYSTEM_FILES) -> None:
        self.directory = directory / "reload"
        self.requests = self.directory / "requests"
        self.shadows = self.directory / "shadow"
        self._answers = self.directory / "answers"
        self._files = files

    def hold(self) -> Lock:
        """Take the directory for a reloader.

        Raises:
            InputError: another one holds it, it cannot be written, or others may write to it.
        """
        try:
            for each in (self.directory, self.requests, self._answers):
                self._files.make_folder(each)
                _check_closed(each)
            lock = self._locked()
            # Whoever waited for them does not any more.
            for each in self._files.list(self._answers):
                self._forget(each)
            return lock
        except BlockingIOError:
            raise InputError(
                f"another reloader holds `{self.directory}`",
                fix="give each process a policy store of its own",
            ) from None
        except OSError as error:
            raise InputError(
                f"`{self.directory}` cannot be used: {reason_of(error)}",
                fix="name a directory that can be written",
            ) from None

    def _locked(self) -> Lock:
        # Who asks whether a reloader runs holds it for a moment.
        for _ in range(_TRIES):
            try:
                return self._files.lock(self.directory / "lock")
            except BlockingIOError:
                threading.Event().wait(_PAUSE_SECONDS)
        return self._files.lock(self.directory / "lock")

    @property
    def is_held(self) -> bool:
        """Whether a reloader runs."""
        try:
            self._files.lock(self.directory / "lock").close()
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def pin(self) -> Pin | None:
        """The pin; None where there is none.

        Raises:
            InputError: it cannot be read.
        """
        found = self._read(self.directory / "pin.json")
        return None if found is None else _made(Pin, found, self.directory / "pin.json")

    def set_pin(self, pin: Pin | None) -> None:
        """Put the pin, or take it away; `OSError` where that cannot be written."""
        path = self.directory / "pin.json"
        if pin is not None:
            self._write(path, asdict(pin))
        elif self._files.exists(path):
            self._files.remove(path)

    def status(self) -> Mapping[str, Any] | None:
        """How things stood when it was written last; None where no reloader ever ran here.

        Raises:
            InputError: it cannot be read.
        """
        return self._read(self.directory / "status.json")

    def history(self) -> list[dict[str, Any]]:
        """What happened, the oldest first.

        Raises:
            InputError: it cannot be read.
        """
        path = self.directory / "history.jsonl"
        try:
            if not self._files.exists(path):
                return []
            _check_owner(path, {0, os.geteuid(), self.directory.stat().st_uid})
            lines = self._files.read_bytes(path).split(b"\n")[-1 - MOST_OUTCOMES :]
        except OSError as error:
            raise _unreadable(path, error) from None
        return [found for line in lines if (found := _outcome(line)) is not None]

    def put_status(self, status: Mapping[str, Any]) -> None:
        """Tell how things stand; `OSError` where that cannot be written."""
        self._write(self.directory / "status.json", status)

    def put_history(self, outcomes: Iterable[Mapping[str, Any]]) -> None:
        """Tell what happened, and nothing else; `OSError` where that cannot be written."""
        lines = b"".join(_ENCODE(each).encode("ascii") + b"\n" for each in outcomes)
        self._files.write_atomic(self.directory / "history.jsonl", lines)

    def add_history(self, outcome: Mapping[str, Any]) -> None:
        """Tell what happened besides; `OSError` where that cannot be written."""
        file = self._files.append_to(self.directory / "history.jsonl", new=True)
        try:
            file.write(_ENCODE(outcome).encode("ascii") + b"\n")
        finally:
            file.close()

    # The side of who asks

    def ask(self, request: Request) -> None:
        """Put a request; `OSError` where that cannot be written."""
        self._write(self.requests / f"{request.id}.json", asdict(request))

    def answer_to(self, request: Request) -> dict[str, Any] | None:
        """The answer, taken away; None while there is none."""
        path = self._answers / f"{request.id}.json"
        if (found := self._read(path)) is not None:
            self._files.remove(path)
        return found

    def withdraw(self, request: Request) -> None:
        """Take a request back that was not answered."""
        self._forget(self.requests / f"{request.id}.json")

    # The side of the reloader

    def take(self) -> list[Request]:
        """The requests, taken away; what is none, or comes from another user, is dropped.

        Raises:
            InputError: others may write where they lie.
            OSError: they cannot be listed.
        """
        _check_closed(self.requests)
        found = []
        for path in self._waiting():
            try:
                request = _made(Request, self._read(path) or {}, path)
            except InputError:
                request = None
            self._forget(path)
            if request is not None and request.id == path.stem and request.action in ACTIONS:
                found.append(request)
        return found

    @property
    def wants_rollback(self) -> bool:
        """Whether somebody waits to go back; looks at the requests and leaves them."""
        try:
            waiting = self._waiting()
        except OSError:
            return False
        return any(self._is_rollback(path) for path in waiting)

    def _is_rollback(self, path: Path) -> bool:
        try:
            return (self._read(path) or {}).get("action") == "rollback"
        except InputError:
            return False

    def _waiting(self) -> list[Path]:
        """The files of requests, not those that are still being written."""
        found = self._files.list(self.requests)
        return [each for each in found if each.suffix == ".json" and not each.name.startswith(".")]

    def answer(self, request: Request, answer: Mapping[str, Any]) -> None:
        """Tell what came of a request; `OSError` where that cannot be written."""
        self._write(self._answers / f"{request.id}.json", answer)

    def _forget(self, path: Path) -> None:
        try:
            self._files.remove(path)
        except FileNotFoundError:
            return

    def _write(self, path: Path, value: Mapping[str, Any]) -> None:
        self._files.write_atomic(path, _ENCODE(value).encode("ascii"))

    def _read(self, path: Path) -> dict[str, Any] | None:
        try:
            if not self._files.exists(path):
                return None
            _check_owner(path, {0, os.geteuid(), self.directory.stat().st_uid})
            found = json.loads(self._files.read_bytes(path))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _unreadable(path, error) from None
        except (ValueError, RecursionError):
            raise InputError(f"`{path}` is not what was written there", fix="remove it") from None
        if not isinstance(found, dict):
            raise InputError(f"`{path}` is not what was written there", fix="remove it")
        return found


def _check_closed(folder: Path) -> None:
    """Whoever may write here may change what is in force: the reloader's user, and nobody else."""
    about = folder.lstat()
    if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.geteuid() or about.st_mode & 0o022:
        raise InputError(
            f"`{folder}` may be written by others",
            fix=f"take their right away: chmod go-w {folder}",
        )


def _check_owner(path: Path, owners: Set[int]) -> None:
    about = path.lstat()
    if stat.S_ISLNK(about.st_mode) or about.st_uid not in owners:
        raise InputError(f"`{path}` belongs to somebody else", fix="see who put it there")


def _unreadable(path: Path, error: OSError) -> InputError:
    return InputError(
        f"`{path}` cannot be read: {reason_of(error)}",
        fix="run as the user that the guard runs as",
    )


def _outcome(line: bytes) -> dict[str, Any] | None:
    """What a line of the history tells; None for the end of a process that was writing it."""
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _made(kind: type[Any], found: Mapping[str, Any], path: Path) -> Any:
    try:
        values = {
            each.name: (
                found[each.name] if each.default is MISSING else found.get(each.name, each.default)
            )
            for each in fields(kind)
        }
    except KeyError:
        values = {}
    if not values or any(
        not isinstance(values[each.name], each.type if isinstance(each.type, type) else object)
        for each in fields(kind)
    ):
        raise InputError(f"`{path}` is not what was written there", fix="remove it")
    return kind(**values)
