"""The active pointer: a file that says which policy set is active, for whoever reads policies by themselves."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from ringfence.errors import InputError, reason_of
from ringfence.runtime.ports import SYSTEM_FILES, LogFiles

__all__ = ["ActivePointer", "point", "read_pointer"]

SCHEMA = "ringfence/active/v1"
_MOST_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class ActivePointer:
    """What is active.

    Attributes:
        policy_set: SHA-256 of the set.
        commit, source: Where it was read from; no commit where it does not come from one.
        at: When it became active, ISO 8601 in UTC.
        by, reason: Who made it so, and why.
        before: SHA-256 of the set that was active before; empty for the first one.
    """

    policy_set: str
    commit: str
    source: str
    at: str
    by: str
    reason: str
    before: str


def read_pointer(path: Path, files: LogFiles = SYSTEM_FILES) -> ActivePointer | None:
    """What a pointer says; None where there is none yet.

    Raises:
        InputError: it cannot be read, or is no pointer.
    """
    try:
        if not files.exists(path):
            return None
        if files.size(path) > _MOST_BYTES:
            raise _no_pointer(path)
        found = json.loads(files.read_bytes(path))
    except OSError as error:
        raise _unusable(path, error) from None
    except (ValueError, RecursionError):
        raise _no_pointer(path) from None
    names = ActivePointer.__slots__
    if (
        not isinstance(found, dict)
        or found.pop("schema", None) != SCHEMA
        or set(found) != set(names)
        or not all(isinstance(value, str) for value in found.values())
    ):
        raise _no_pointer(path)
    return ActivePointer(**found)


def point(
    path: Path,
    pointer: ActivePointer,
    allowed: Callable[[ActivePointer | None], bool],
    files: LogFiles = SYSTEM_FILES,
) -> bool:
    """Write a pointer, whole or not at all, if what stands there now allows it.

    Args:
        path: The file; beside it a lock is made.
        pointer: What it is to say.
        allowed: Is asked under the lock: between its answer and the write nobody else writes.
        files: The file system.

    Returns:
        Whether it was allowed.

    Raises:
        InputError: it cannot be written, or another process writes it.
    """
    text = json.dumps({"schema": SCHEMA, **asdict(pointer)}, indent=2, ensure_ascii=False) + "\n"
    try:
        lock = files.lock(path.with_name(f".{path.name}.lock"))
    except BlockingIOError:
        raise InputError(f"another process writes `{path}`", "run it again") from None
    except OSError as error:
        raise _unusable(path, error) from None
    try:
        if not allowed(read_pointer(path, files)):
            return False
        files.write_atomic(path, text.encode("utf-8"))
    except OSError as error:
        raise _unusable(path, error) from None
    finally:
        lock.close()
    return True


def _no_pointer(path: Path) -> InputError:
    return InputError(
        f"`{path}` is no active pointer", "name the file that `ringfence apply` writes"
    )


def _unusable(path: Path, error: OSError) -> InputError:
    reason = reason_of(error)
    return InputError(f"`{path}` cannot be used: {reason}", "see to the disk and its rights")
