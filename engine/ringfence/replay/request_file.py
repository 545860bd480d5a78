"""`request.json` beside a dry run's results: what was asked for, so that a row can be looked at again."""

import json
from pathlib import Path
from typing import Any

from ringfence.errors import InputError
from ringfence.runtime.ports import SYSTEM_FILES

__all__ = ["REQUEST_FILE", "read_request", "request_text"]

REQUEST_FILE = "request.json"
_SCHEMA = "ringfence/dry-run-request/v1"
_TEXTS = (
    "orders",
    "fills",
    "marks",
    "balances",
    "policies",
    "base",
    "instruments",
    "mapping",
    "marks_mapping",
    "mode",
    "halts_until",
)


def request_text(given: dict[str, Any]) -> bytes:
    """The file: the request, and the directory that its paths are relative to."""
    whole = {"schema": _SCHEMA, "directory": str(Path.cwd()), "request": given}
    return (json.dumps(whole, indent=2, ensure_ascii=False) + "\n").encode("utf-8")


def read_request(out: Path) -> tuple[dict[str, Any], Path]:
    """The request of the dry run whose results lie in `out`, and the directory its paths are relative to.

    Raises:
        InputError: it is not there, or cannot be read.
    """
    path = out / REQUEST_FILE
    try:
        whole = json.loads(SYSTEM_FILES.read_bytes(path))
    except OSError:
        raise InputError(
            f"`{path}` is not there: `{out}` holds no dry run, or one of an earlier version",
            "name the directory that `ringfence dry-run --out` wrote, or run it again",
        ) from None
    except ValueError:
        raise _unreadable(path) from None
    match whole:
        case {
            "schema": schema,
            "directory": str(directory),
            "request": dict(given),
        } if schema == _SCHEMA and _sound(given):
            return given, Path(directory)
    raise _unreadable(path)


def _sound(given: dict[str, Any]) -> bool:
    equity = given.get("equity")
    return (
        set(given) == {*_TEXTS, "equity"}
        and all(given[name] is None or isinstance(given[name], str) for name in _TEXTS)
        and all(
            isinstance(given[name], str) for name in ("orders", "policies", "mode", "halts_until")
        )
        and (equity is None or (isinstance(equity, int | float) and not isinstance(equity, bool)))
    )


def _unreadable(path: Path) -> InputError:
    return InputError(f"`{path}` is not what a dry run writes", "run the dry run again")
