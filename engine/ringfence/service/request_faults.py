"""Faults of ours in answering a request: logged once, without what the request held."""

import logging

from litestar.types import Scope

from ringfence.service.api.problems import status_of

__all__ = ["log_fault"]

_log = logging.getLogger(__name__)


async def log_fault(error: Exception, scope: Scope) -> None:
    """Log what is no answer to a client's mistake; a Litestar `after_exception` hook."""
    if status_of(error) < 500:
        return
    method, path = scope.get("method", ""), scope.get("path", "")
    trace = (type(error), error, error.__traceback__)
    _log.error("%s %s failed: %s", method, path, type(error).__name__, exc_info=trace)
