"""Faults of ours, or of what we stand on, in answering a request: logged once, without what the request held."""

import logging

from litestar.types import Scope

from ringfence.service.api.problems import status_of

__all__ = ["log_fault"]

_log = logging.getLogger(__name__)
_INTERNAL = 500


async def log_fault(error: Exception, scope: Scope) -> None:
    """Log what is no answer to a client's mistake; a Litestar `after_exception` hook."""
    status = status_of(error)
    if status < 500:
        return
    method, path = scope.get("method", ""), scope.get("path", "")
    if status != _INTERNAL:
        # Something that we stand on is away, as the answer says: a trace for each request would fill the disk as well.
        _log.warning("%s %s failed: %s", method, path, error)
        return
    trace = (type(error), error, error.__traceback__)
    _log.error("%s %s failed: %s", method, path, type(error).__name__, exc_info=trace)
