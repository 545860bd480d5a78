"""Compares the books with the exchanges, at the start and from time to time."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

from ringfence.errors import RingfenceError
from ringfence.gateway import Follower, reconcile
from ringfence.runtime.guard import CentralRiskGuard
from ringfence.runtime.ports import Clock
from ringfence.runtime.reconciliation import Difference
from ringfence.service.opening.venues import Venues
from ringfence.service.settings import VenueSettings

__all__ = ["Compared", "Reconciling"]

_log = logging.getLogger(__name__)
_RETRY_S = 10.0


@dataclass(frozen=True, slots=True)
class Compared:
    """What a comparison found: `at_ns` when (0: not yet), `error` why it could not be made."""

    venue: str
    account: str
    at_ns: int = 0
    differences: tuple[Difference, ...] = ()
    error: str = ""


class Reconciling:
    """A thread that compares each account of each venue but paper, whose books are ours.

    What differs keeps the account to orders that reduce risk, until it is mended or accepted.
    """

    def __init__(
        self,
        guard: CentralRiskGuard,
        venues: Venues,
        settings: Mapping[str, VenueSettings],
        clock: Clock,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._guard, self._clock, self._monotonic = guard, clock, monotonic
        self._settings = settings
        self._due: dict[tuple[str, str], float] = {}
        self._followers: dict[tuple[str, str], Follower] = {}
        self._found: dict[tuple[str, str], Compared] = {}
        for each in venues.followers:
            about = settings[each.gateway.venue]
            key = each.gateway.venue, each.account
            if about.kind != "paper" and about.reconcile is not None:
                self._followers[key], self._due[key] = each, monotonic()
                self._found[key] = Compared(*key)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ringfence-reconcile", daemon=True)

    @property
    def found(self) -> tuple[Compared, ...]:
        """The latest comparison of each account."""
        return tuple(self._found.values())

    def compare(self) -> None:
        """Compare what is due."""
        for key, follower in self._followers.items():
            if self._stopping.is_set() or self._monotonic() < self._due[key]:
                continue
            about = self._settings[key[0]]
            wait_s = (about.reconcile or 0) / 1e9
            try:
                differences = reconcile(
                    follower,
                    self._guard.linked.desk.instruments,
                    currency=about.cash_currency,
                    cash_tolerance=about.cash_tolerance,
                    clock=self._clock,
                    wait=self._wait,
                )
                self._found[key] = Compared(*key, self._clock.now_ns(), differences)
                if differences:
                    _log.warning("account %s differs from venue %s", key[1], key[0])
            except (RingfenceError, OSError) as error:
                known = self._found[key]
                self._found[key] = Compared(*key, known.at_ns, known.differences, str(error))
                wait_s = min(wait_s, _RETRY_S)
            self._due[key] = self._monotonic() + wait_s

    def __enter__(self) -> Self:
        if self._followers:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _wait(self, seconds: float) -> None:
        self._stopping.wait(seconds)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.compare()
            next_due = min(self._due.values())
            self._stopping.wait(max(0.1, next_due - self._monotonic()))
