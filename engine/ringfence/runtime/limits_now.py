"""How much of every limit is used, without an order: for pages, alerts and metrics, and for gates that halt books.

The books are copied under the guard's lock; the compiled kernel that decides orders is then asked about the copy,
at no lots, with the interpreter's lock given back. So no order waits for more than the copy.
"""

import threading
from collections.abc import Collection, Iterable
from itertools import islice
from typing import Any

import numpy as np

from ringfence.backends.numba_kernel.live_entry import read_answers
from ringfence.language.gates import ALWAYS
from ringfence.runtime.evaluator import Found
from ringfence.runtime.guard import CentralRiskGuard
from ringfence.runtime.guard_standing import BooksCopy, Stand
from ringfence.runtime.limit_keys import NOBODY, Codes, LimitKeys
from ringfence.runtime.limit_metrics import limit_metrics
from ringfence.runtime.limit_rows import LimitNames, LimitNow, LimitsNow
from ringfence.runtime.limit_sample import (
    BREACH,
    PASS,
    UNKNOWN,
    Floats,
    Sampled,
    closest,
    first_switches,
    rooms_of,
    worse_side,
)
from ringfence.runtime.metrics import Metric
from ringfence.runtime.standing_gates import standing_gates

__all__ = ["LiveLimits"]

_WORDS = {PASS: "pass", BREACH: "breach", UNKNOWN: "unknown"}
_REDUCED = 1
# Approved orders are looked at in steps of so many, with pauses: on one core a thread that has more to do is not put aside
# for one that has an order for some milliseconds.
_STEP = 200
_PAUSE_SECONDS = 0.0003
_UNBOUNDED = 1e299


class LiveLimits:
    """The limits of a guard as they stand, and the peaks of the trading day.

    It is a `Source` of metrics. All methods may be called from any thread.

    Args:
        guard: The guard.
        every_seconds: How often they are looked at while it is started; a look is good for so long.
        most_series: So many pairs of gate and book have a metric of their own; of the rest the closest of each
            gate is told as that of the book `other`.
        most_noted: So many approvals between two looks count for the peaks; of more, the latest.
        halts: Whether, while it is started, each look also halts the books whose gates say so, see `halt_breached`.
    """

    def __init__(
        self,
        guard: CentralRiskGuard,
        *,
        every_seconds: float = 1.0,
        most_series: int = 500,
        most_noted: int = 10_000,
        halts: bool = True,
    ) -> None:
        self._halts = halts
        self._guard, self._every_seconds, self._most_series = guard, every_seconds, most_series
        self._room = BooksCopy()
        self._lock = threading.RLock()
        self._sampled: Sampled | None = None
        self._peak, self._peak_ns = np.empty(0), np.empty(0, np.int64)
        self._since_ns = self._day_ends_ns = 0
        self._tables: dict[tuple[str, str, str, str], Codes] = {}
        self._failed = 0
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None
        guard.note_decisions(most_noted)

    # Looking

    def sample(self) -> Sampled:
        """Look at all limits, and take over what was approved since, for the peaks."""
        with self._lock:
            stand = self._guard.stand(self._room)
            keys = self._keys_for(stand)
            if stand.now_ns >= self._day_ends_ns:
                self._peak[:], self._peak_ns[:] = np.nan, 0
                self._since_ns, self._day_ends_ns = stand.now_ns, stand.day_ends_ns
            decided = iter(stand.decided)
            while some := tuple(islice(decided, _STEP)):
                self._take_decided(keys, some)
                if threading.current_thread() is self._thread:
                    self._ending.wait(_PAUSE_SECONDS)
            found = keys.standing.ask(stand.books, keys.questions, stand.now_ns)
            self._sampled = sampled = worse_side(keys, stand, found)
            now = np.broadcast_to(np.int64(stand.now_ns), sampled.used.shape)
            self._raise_peaks(np.arange(len(sampled.used)), sampled.used, now)
            return sampled

    def halt_breached(self) -> tuple[str, ...]:
        """Look at all limits, and halt the books whose gates say so (`on_breach: halt`), though no order meets the breach.

        Returns:
            The switches that were set.

        Raises:
            StateError, AuditError: a book was halted, which could not be kept or recorded.
        """
        with self._lock:
            sampled = self.sample()
            found, stand = standing_gates(sampled), sampled.stand
        return self._guard.halt_standing(found, stand.linked, stand.now_ns) if found else ()

    def _keys_for(self, stand: Stand) -> LimitKeys:
        before = self._sampled.keys if self._sampled is not None else None
        if (
            before is not None
            and before.linked is stand.linked
            and before.names.owner is stand.names.owner
            and before.names.version == stand.names.version
        ):
            return before
        keys = LimitKeys(stand.linked, stand.names, stand.books)
        peak, peak_ns = np.full(len(keys.kind), np.nan), np.zeros(len(keys.kind), np.int64)
        if before is not None:
            known = {name: at for at, name in enumerate(_names_of(before)) if self._peak[at] > 0}
            for at, name in enumerate(_names_of(keys)):
                if name in known:
                    peak[at], peak_ns[at] = self._peak[known[name]], self._peak_ns[known[name]]
        self._peak, self._peak_ns = peak, peak_ns
        self._tables.clear()
        return keys

    def _raise_peaks(self, at: Codes, used: Floats, times: Any) -> None:
        higher = (used > self._peak[at]) | (np.isnan(self._peak[at]) & ~np.isnan(used))
        self._peak[at[higher]], self._peak_ns[at[higher]] = used[higher], times[higher]

    def _take_decided(self, keys: LimitKeys, decided: Iterable[Found]) -> None:
        """What approved orders led to: their measures, if approved as asked; the whole limit of what reduced one."""
        widths: dict[int, list[Found]] = {}
        for each in decided:
            widths.setdefault(each.columns, []).append(each)
        for columns, each_found in widths.items():
            most = max((len(slot.rule.checks) for slot in keys.limits.slots), default=0)
            table = np.stack([self._table_of(keys, each, columns, most) for each in each_found])
            answers = read_answers([each.content for each in each_found], columns)
            reduced = np.array([each.decision == _REDUCED for each in each_found])
            with np.errstate(all="ignore"):
                used = np.where(answers.limits > 0, answers.measures / answers.limits, np.nan)
            cause = np.arange(columns) == answers.gates[:, None]
            used[reduced] = np.where(cause[reduced], 1.0, np.nan)
            checks = np.minimum(answers.checks, most - 1)
            place = np.take_along_axis(table, np.maximum(checks, 0)[:, :, None], axis=2)[:, :, 0]
            place[(checks < 0) | ~np.isfinite(used)] = NOBODY
            times = np.array([each.now_ns for each in each_found])
            place[times < self._since_ns] = NOBODY
            self._raise_peaks(*_most_of(place, used, times))

    def _table_of(self, keys: LimitKeys, found: Found, columns: int, checks: int) -> Codes:
        key = found.route.key
        table = self._tables.get(key)
        if table is None or table.shape[0] != columns:
            table = self._tables[key] = keys.of_route(found.route, columns, checks)
            table[:, :] = np.where(_counts(keys, table), table, NOBODY)
        return table

    # Telling

    def now(
        self,
        *,
        account: str = "",
        symbol: str = "",
        gate: str = "",
        seen: Collection[str] | None = None,
        each_order: bool = True,
        switches: bool = True,
        most_switches: int | None = None,
        most: int | None = None,
        largest: bool = False,
    ) -> LimitsNow:
        """The limits as they stand, the closest first; while it looks by itself, as they stood when it looked last.

        Args:
            account, symbol, gate: Only what binds that account and symbol, and gates of that name; empty for all.
            seen: Of accounts only these; what belongs to no account is told all the same. None for all accounts.
            each_order: Also limits of single orders alone.
            switches: Also kill switches.
            most_switches: Of kill switches that are beyond so many at most.
            most: So many at most.
            largest: Also find the largest orders that pass.
        """
        with self._lock:
            sampled = self._recent()
            keys = sampled.keys
            kept = sampled.outcome != 0
            kept &= np.isin(keys.kind, list(keys.binding(account, symbol)))
            names = keys.names
            if account in names.accounts:
                kept &= _of_accounts(keys, {account})
            if seen is not None:
                kept &= _of_accounts(keys, seen)
            if not each_order:
                kept &= ~keys.each("of_order")
            if not switches:
                kept &= ~keys.each("is_switch")
            if symbol in names.symbols:
                kept &= np.isin(keys.symbol, [NOBODY, names.symbols.index(symbol)])
            if gate:
                wanted = [n for n, kind in enumerate(keys.kinds) if kind.gate.name == gate]
                kept &= np.isin(keys.kind, wanted)
            places = closest(sampled, np.flatnonzero(kept))
            chosen = first_switches(sampled, places, most_switches)
            shown = chosen[:most]
            rooms = rooms_of(sampled, shown) if largest else {}
            return LimitsNow(
                tuple(self._row(sampled, int(at), rooms) for at in shown),
                len(places),
                len(places) - len(chosen),
                keys.linked.sha256,
                keys.linked.currency,
                sampled.stand.now_ns,
                self._since_ns,
                self._day_ends_ns,
            )

    def names(self) -> LimitNames:
        """What limits can be asked for by."""
        with self._lock:
            keys = self._recent().keys
        known = keys.names
        return LimitNames(
            known.accounts,
            tuple(sorted(known.symbols[code] for code in known.tradable)),
            tuple(sorted({kind.gate.name for kind in keys.kinds})),
        )

    def _row(self, sampled: Sampled, at: int, rooms: dict[int, tuple[Any, Any]]) -> LimitNow:
        keys, now = sampled.keys, sampled.stand.now_ns
        kind, names = keys.kinds[keys.kind[at]], keys.names
        gate, check = kind.gate, kind.check
        row = kind.bound.row_at(now)
        span, override = kind.place(row)
        measure, limit = float(sampled.measure[at]), float(sampled.limit[at])
        left = limit - measure if check.compare == "<=" else measure - limit
        buy, sell = rooms.get(at, (None, None))
        symbol = int(keys.symbol[at])
        return LimitNow(
            policy=gate.policy.label,
            gate=gate.name,
            rule=gate.rule.key,
            level=gate.level,
            mode=gate.mode,
            check=check.name,
            measured=check.measure_text,
            compared=check.limit_text,
            parameters=kind.parameters,
            book=names.books[keys.book[at]],
            account=_account_of(keys, at),
            symbol=_named(names.symbols, symbol),
            unit=check.unit.kind,
            compare=check.compare,
            outcome="each-order" if kind.of_order else _WORDS[int(sampled.outcome[at])],
            measure=_known(measure),
            limit=_known(limit),
            utilisation=_known(float(sampled.used[at])),
            headroom=_known(left),
            peak=_known(float(self._peak[at])),
            peak_ns=int(self._peak_ns[at]) or None,
            largest_buy=buy,
            largest_sell=sell,
            base=_named(names.bases, symbol),
            file=span.path,
            line=span.line,
            column=span.column,
            override=override,
            ticket=row.ticket if override else "",
            until_ns=row.until_ns if override and row.until_ns != ALWAYS[1] else None,
        )

    # A source of metrics, looked at by itself

    def metrics(self) -> Iterable[Metric]:
        """The closest limits by gate and book, drawdowns, and how many limits stand how."""
        with self._lock:
            return limit_metrics(self._recent(), self._most_series, self._failed)

    def _recent(self) -> Sampled:
        """What was found last, while it looks by itself; else what is found now."""
        sampled = self._sampled
        return self.sample() if sampled is None or self._thread is None else sampled

    def start(self) -> None:
        """Look again and again, until `stop`."""
        self._ending.clear()
        self._thread = threading.Thread(target=self._run, name="ringfence-limits", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._ending.set()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join()

    def __enter__(self) -> "LiveLimits":
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def _run(self) -> None:
        while not self._ending.wait(self._every_seconds):
            try:
                if self._halts:
                    self.halt_breached()
                else:
                    self.sample()
            except Exception:
                # The next look may fare better; that it failed is counted, and the sample's age shows it.
                self._failed += 1


def _counts(keys: LimitKeys, table: Codes) -> Any:
    """Whether what a decision found counts for a peak: not of limits on single orders, and of no floor."""
    known = table != NOBODY
    if not len(keys.kind):
        return known
    good = ~keys.each("of_order") & ~keys.each("is_floor")
    return known & good[np.where(known, table, 0)]


def _most_of(place: Codes, used: Floats, times: Any) -> tuple[Codes, Floats, Any]:
    """Of every place that orders led to the most that was used, and when it first was.

    Args:
        place, used: (orders, columns); `NOBODY` where there is no place.
        times: Of each order, ns.
    """
    known = place != NOBODY
    places, most = place[known], used[known]
    when = np.broadcast_to(times[:, None], place.shape)[known]
    order = np.lexsort((when, -most, places))
    found, first = np.unique(places[order], return_index=True)
    return found, most[order][first], when[order][first]


def _names_of(keys: LimitKeys) -> list[tuple[Any, ...]]:
    """What keys are called, the same through all versions of their policies and of the books."""
    names = keys.names
    return [
        (
            *keys.kinds[kind].label,
            names.books[book],
            _named(names.symbols, symbol),
            _named(names.accounts, account),
        )
        for kind, book, symbol, account in zip(
            *(part.tolist() for part in (keys.kind, keys.book, keys.symbol, keys.account)),
            strict=True,
        )
    ]


def _of_accounts(keys: LimitKeys, accounts: Collection[str]) -> Any:
    """Which keys belong to one of these accounts, or to none at all."""
    names = keys.names
    mine = {f"account/{each}" for each in accounts}
    books = [at for at, name in enumerate(names.books) if name in mine]
    codes = [names.accounts.index(each) for each in accounts if each in names.accounts]
    of_book = (keys.each("level") != 1) | np.isin(keys.book, books)
    return of_book & np.isin(keys.account, [NOBODY, *codes])


def _account_of(keys: LimitKeys, at: int) -> str:
    """The account of a key: of its book, or the one that it differs by."""
    level, _, name = keys.names.books[keys.book[at]].partition("/")
    return name if level == "account" else _named(keys.names.accounts, int(keys.account[at]))


def _named(names: tuple[str, ...], code: int) -> str:
    return "" if code == NOBODY else names[code]


def _known(value: float) -> float | None:
    # What has no maximum has one that nothing reaches.
    return value if abs(value) < _UNBOUNDED else None
