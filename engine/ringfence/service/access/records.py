"""What happened at the door, in the audit log: who came in, who was turned away, who changed what others may do.

No record ever holds a secret, nor what somebody typed who is not known: people type passwords into the wrong field.
What anybody can cause without being let in is recorded a limited number of times a minute, and counted beyond: nobody
fills the log from outside, for a full log rejects orders.
"""

import threading
from collections.abc import Mapping
from typing import Any

from ringfence.errors import AuditError
from ringfence.runtime.audit_log import AuditLog
from ringfence.runtime.ports import Clock

__all__ = ["MOST_REFUSALS", "Records"]

MOST_REFUSALS = 60
"""Of one kind, a minute."""
_MINUTE_NS = 60_000_000_000


class Records:
    """Appends records of the kinds `access-...`; thread-safe."""

    def __init__(self, log: AuditLog, clock: Clock) -> None:
        self._log, self._clock = log, clock
        self._lock = threading.Lock()
        self._windows: dict[str, tuple[int, int]] = {}  # kind: minute, refusals in it

    def changed(self, kind: str, by: str, body: Mapping[str, Any]) -> None:
        """Record that rights were changed, and return once that is durable.

        Raises:
            AuditError: it cannot be recorded; what is not recorded does not happen.
        """
        self._log.wait(self._log.append(f"access-{kind}", {"by": by, **body}))

    def came(self, kind: str, by: str, body: Mapping[str, Any]) -> None:
        """Record that somebody came or went.

        People come in while the log is out of order, too: they are needed most then, and whatever they change has a
        record of its own or does not happen.
        """
        try:
            self._log.append(f"access-{kind}", {"by": by, **body})
        except AuditError:
            return

    def refused(self, kind: str, by: str, body: Mapping[str, Any]) -> None:
        """Record that somebody was turned away; at most `MOST_REFUSALS` of a kind a minute."""
        minute = self._clock.now_ns() // _MINUTE_NS
        with self._lock:
            at, count = self._windows.get(kind, (minute, 0))
            unrecorded = 0
            if at != minute:
                unrecorded, count = max(0, count - MOST_REFUSALS), 0
            self._windows[kind] = (minute, count + 1)
            if count >= MOST_REFUSALS:
                return
        self.came(kind, by, {**body, "unrecorded_before": unrecorded} if unrecorded else body)
