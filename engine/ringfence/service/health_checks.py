"""Looks at each part of a desk again and again, each in a thread of its own: one that hangs holds up none."""

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from ringfence.errors import RingfenceError
from ringfence.runtime.metric_table import metric
from ringfence.runtime.metrics import Metric, Sample
from ringfence.runtime.ports import SYSTEM_CLOCK, Clock

__all__ = ["Check", "Checks", "Look", "Status"]

Status = Literal["ok", "failing"]
Look = Callable[[], str]
"""Looks at a part, and gives what it found out; raises `RingfenceError` or `OSError` where the part fails."""


@dataclass(frozen=True, slots=True)
class Check:
    """How a part is.

    Attributes:
        name: As in `/health/NAME`.
        detail: What was found out, or what fails.
        since_ns: Since when it is so, ns since 1970, UTC.
        checked_ns: When it was found out; 0 where there was no answer yet.
        took_s: How long the look took.
        needed: Whether no order can be decided without it.
    """

    name: str
    status: Status
    detail: str
    since_ns: int
    checked_ns: int
    took_s: float
    needed: bool

    @property
    def ok(self) -> bool:
        """Whether it passes."""
        return self.status == "ok"


class Checks:
    """Looks at parts until it is closed; what they say is there at any time, without waiting.

    Args:
        clock: Tells the time.
        every_s: Seconds between two looks.
        patience_s: A look that takes longer counts as failed.
    """

    def __init__(
        self,
        clock: Clock = SYSTEM_CLOCK,
        *,
        every_s: float = 2.0,
        patience_s: float = 5.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock, self._monotonic = clock, monotonic
        self._every_s, self._patience_s = every_s, patience_s
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._found: dict[str, Check] = {}
        self._begun: dict[str, float] = {}

    def add(self, name: str, look: Look, *, needed: bool = False) -> None:
        """Look at a part from now on; the first look is made before this returns, unless it takes long."""
        now = self._clock.now_ns()
        with self._lock:
            self._found[name] = Check(name, "failing", "not looked at yet", now, 0, 0.0, needed)
        first = threading.Event()
        threading.Thread(
            target=self._keep_looking,
            args=(name, look, first),
            name=f"ringfence-health-{name}",
            daemon=True,
        ).start()
        first.wait(self._patience_s)

    @property
    def all(self) -> tuple[Check, ...]:
        """How each part is now."""
        with self._lock:
            found, begun = tuple(self._found.values()), dict(self._begun)
        now = self._monotonic()
        return tuple(self._in_time(each, now - begun.get(each.name, now)) for each in found)

    def metrics(self) -> Iterable[Metric]:
        """1 or 0 for each check; see `runtime.metrics.Source`."""
        yield metric(
            "ringfence_health",
            (Sample({"check": each.name}, int(each.ok)) for each in self.all),
        )

    def close(self) -> None:
        """Look no more; a look that hangs is left to itself."""
        self._stopping.set()

    def _in_time(self, check: Check, under_way_s: float) -> Check:
        if under_way_s <= self._patience_s:
            return check
        since = check.since_ns if not check.ok else self._clock.now_ns() - int(under_way_s * 1e9)
        return Check(
            check.name,
            "failing",
            f"no answer within {self._patience_s:g} s",
            since,
            check.checked_ns,
            under_way_s,
            check.needed,
        )

    def _keep_looking(self, name: str, look: Look, first: threading.Event) -> None:
        while not self._stopping.is_set():
            started = self._monotonic()
            with self._lock:
                self._begun[name] = started
            status, detail = _looked(look)
            took_s, now = self._monotonic() - started, self._clock.now_ns()
            with self._lock:
                self._begun.pop(name, None)
                known = self._found[name]
                same = known.checked_ns and known.status == status
                since = known.since_ns if same else now
                self._found[name] = Check(name, status, detail, since, now, took_s, known.needed)
            first.set()
            self._stopping.wait(self._every_s)


def _looked(look: Look) -> tuple[Status, str]:
    try:
        return "ok", look()
    except (RingfenceError, OSError) as error:
        return "failing", getattr(error, "message", "") or str(error) or type(error).__name__
    except Exception as error:
        # Its text may hold anything; the kind says enough to look further.
        return "failing", type(error).__name__
