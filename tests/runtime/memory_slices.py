"""The firm's slices in memory, which can fail before a request and after it, and forget."""

import threading
from collections.abc import Iterable, Mapping
from decimal import Decimal

from ringfence.errors import InputError, StateError
from ringfence.runtime.firm_slices import (
    NO_SLICE,
    PARTS,
    FirmState,
    FirmSwitch,
    GroupState,
    Slice,
)
from ringfence.runtime.ports import FixedClock
from ringfence.runtime.shared_log import StateUnavailableError
from runtime.memory_log import MemoryLog, Store

_WANTED_NS = 2_000_000_000
_MS = 1_000_000


class MemorySlices:
    """One firm; `broken` is `before` or `after` a request that changes something, or `down` for every one.

    `stores` are the groups' logs, `logs` the ways to them that were asked for.
    """

    def __init__(self, clock: FixedClock) -> None:
        self.clock, self.broken = clock, ""
        self.stores: dict[str, Store] = {}
        self.logs: list[MemoryLog] = []
        self.lock = threading.RLock()
        self.forget()

    def forget(self) -> None:
        """As a server without a disk that was restarted."""
        self.groups: dict[str, Slice | None] = {}
        self.books: dict[str, frozenset[str]] = {}
        self.leases: dict[str, int] = {}
        self.over: dict[str, bool] = {}
        self.unit, self.wanted_ns = 0, 0
        self.switch: FirmSwitch | None = None

    def found(self, capital: Decimal | int | str, groups: Mapping[str, Iterable[str]]) -> FirmState:
        self.unit = int(Decimal(capital).scaleb(6)) // PARTS
        self.groups = {name: self.groups.get(name) for name in groups}
        self.books = {name: frozenset(books) for name, books in groups.items()}
        return self._state()

    def state(self) -> FirmState:
        self._before()
        return self._state()

    def renew(
        self,
        group: str,
        held: Slice,
        *,
        lease_ms: int,
        is_over: bool | None = None,
        switch: FirmSwitch | None = None,
    ) -> FirmState:
        self._before(group)
        with self.lock:
            self.groups[group] = (self.groups[group] or NO_SLICE).joined(held)
            if lease_ms:
                self.leases[group] = self.clock.now_ns() + lease_ms * _MS
            if is_over is not None:
                self.over[group] = is_over
            known = 0 if self.switch is None else self.switch.version
            if switch is not None and switch.version > known:
                self.switch = switch
            return self._after()

    def take(self, group: str, held: Slice, capital: int, share: int) -> FirmState:
        self._before(group)
        with self.lock:
            known = (self.groups[group] or NO_SLICE).joined(held)
            self.groups[group] = known
            if known[:2] != held[:2] or None in self.groups.values():
                return self._after()
            all_held = [each for each in self.groups.values() if each is not None]
            free = (
                PARTS - sum(each.capital for each in all_held),
                PARTS - sum(each.share for each in all_held),
            )
            given = [
                max(0, min(asked, left)) for asked, left in zip((capital, share), free, strict=True)
            ]
            if given != [capital, share]:
                self.wanted_ns = self.clock.now_ns() + _WANTED_NS
            self.groups[group] = known._replace(
                taken_capital=known.taken_capital + given[0],
                taken_share=known.taken_share + given[1],
            )
            return self._after()

    def set_switch(self, state: str, by: str, reason: str) -> FirmState:
        self._before()
        with self.lock:
            version = 1 if self.switch is None else self.switch.version + 1
            self.switch = FirmSwitch(version, state, by, reason)
            return self._after()

    def log(self, group: str, origin: str) -> MemoryLog:
        self.logs.append(MemoryLog(self.stores.setdefault(group, Store()), origin))
        return self.logs[-1]

    def close(self) -> None:
        self.broken = "down"

    def _before(self, group: str = "") -> None:
        if self.broken in ("down", "before"):
            raise StateUnavailableError("nobody answers")
        if not self.unit:
            raise StateError("the firm's slices were not founded")
        if group and group not in self.groups:
            raise InputError(f"no group `{group}`")

    def _after(self) -> FirmState:
        if self.broken == "after":
            raise StateUnavailableError("the answer was lost", sent=True)
        return self._state()

    def _state(self) -> FirmState:
        now = self.clock.now_ns()
        groups = {
            name: GroupState(
                self.books[name], held, self.leases.get(name, 0) > now, self.over.get(name, False)
            )
            for name, held in self.groups.items()
        }
        return FirmState(PARTS, self.unit, self.wanted_ns > now, self.switch, groups)
