"""What the process writes about itself: lines, or JSON objects, on standard error.

Names that clients give can hold anything. In a line, what would end it or move the cursor is escaped, so that
nobody can write a line that looks like ours.
"""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

from ringfence.service.settings import LogSettings

__all__ = ["JsonLines", "PlainLines", "set_up_logs"]

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
# Those of libraries tell of every request that they make, with its address.
_QUIET = ("httpx", "httpcore", "ccxt", "websockets", "urllib3", "watchfiles", "numba")


def set_up_logs(settings: LogSettings, worker: int | None = None) -> None:
    """Let everything that is logged go to standard error, in the form that the settings name.

    Args:
        settings: The settings.
        worker: This process's number among several.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines(worker) if settings.format == "json" else PlainLines(worker))
    logging.basicConfig(level=_LEVELS[settings.level], handlers=[handler], force=True)
    logging.captureWarnings(True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    # What the server says of itself at the start and the end is said by us.
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    access = logging.getLogger("uvicorn.access")
    access.setLevel(logging.INFO if settings.requests else logging.ERROR)


class PlainLines(logging.Formatter):
    """Time, level, where, and what; a traceback on lines of its own, indented."""

    def __init__(self, worker: int | None = None) -> None:
        super().__init__()
        self._worker = "" if worker is None else f" worker={worker}"

    def format(self, record: logging.LogRecord) -> str:
        """One record as a line."""
        where = _escaped(record.name.removeprefix("ringfence."))
        line = f"{_time(record)} {record.levelname.lower()}{self._worker} {where}: "
        line += _escaped(record.getMessage())
        if record.exc_info:
            trace = self.formatException(record.exc_info).splitlines()
            line += "".join(f"\n    {_escaped(each)}" for each in trace)
        return line


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def __init__(self, worker: int | None = None) -> None:
        super().__init__()
        self._worker = worker

    def format(self, record: logging.LogRecord) -> str:
        """One record as a JSON object."""
        told: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if self._worker is not None:
            told["worker"] = self._worker
        if record.exc_info:
            told["trace"] = self.formatException(record.exc_info)
        # In ASCII no character can hide or move another.
        return json.dumps(told)


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _escaped(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)
