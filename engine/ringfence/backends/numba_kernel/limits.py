"""A policy set's limits as arrays: which gates bind which names, and each gate's parameters."""

import math
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from ringfence.backends.numba_kernel.layout import (
    COVERED_ALL,
    COVERED_NOT,
    COVERED_PARTLY,
    ENFORCE,
    ENTRY_WIDTH,
    EXEMPTS,
    HALTS,
    LISTS_WIDTH,
    REDUCES,
    Bindings,
    Floats,
    Ints,
)
from ringfence.backends.numba_kernel.slots import LEVELS, Slot, slots_of
from ringfence.backends.numba_kernel.steps import Step
from ringfence.language.fields import COUNTS
from ringfence.language.gates import Gate, LimitRow
from ringfence.language.instruments import convert
from ringfence.language.linking import MANDATORY, Bound, LinkedSet
from ringfence.language.parameters import Money

__all__ = ["Limits", "moving_together"]

NAN = float("nan")
_QUOTES = {"bid": 1, "ask": 2, "last": 4, "mark": 8}
_CHOICES = {
    ("basis",): ("equity", "balance", "max"),
    ("counts",): COUNTS,
    ("reference",): ("mid", "last", "mark"),
    ("working",): ("worst-case", "gross"),
}
Names = Sequence[str]


class Limits:
    """The limits of one policy set for given names; `bindings` is what the kernel reads.

    Attributes:
        slots: What the set is compiled from.
        columns: For each column of results: gate name, level, and how many came before it in one list.
        lists: The gates of each list, in the order of their entries.
        confirmed: Of each gate whose breach halts a book after several ticks alone, by its label: where they are counted.
    """

    def __init__(
        self,
        linked: LinkedSet,
        accounts: Names,
        strategies: Names,
        venues: Names,
        symbols: Names,
        *,
        check_mandatory: bool = True,
        correlations: Mapping[tuple[str, str], tuple[float, float]] | None = None,
        slots: Sequence[Slot] | None = None,
    ) -> None:
        self.linked = linked
        self.slots = slots_of(linked) if slots is None else tuple(slots)
        self._slot_at = {slot.rule.key: k for k, slot in enumerate(self.slots)}
        self._check_mandatory = check_mandatory
        self._symbols = symbols
        self._correlations = linked.desk.correlations if correlations is None else correlations
        self._width = 1 + max((len(slot.columns) for slot in self.slots), default=0)
        self._rows: list[tuple[float, ...]] = []
        self._windows: list[tuple[int, int]] = []
        self._freshness: list[float] = []
        self._row_of: dict[tuple[Any, ...], int] = {}
        self._start_of: dict[tuple[tuple[int, ...], ...], int] = {}
        self._permits: dict[tuple[tuple[str, ...], tuple[str, ...]], int] = {}
        self._moves: dict[tuple[float, float], int] = {}
        self.columns: list[tuple[str, str, int]] = []
        self._column_of: dict[tuple[str, str, int], int] = {}
        self.confirmed: dict[str, int] = {}
        self.lists: list[tuple[Bound, ...]] = []
        self._way_of: dict[tuple[Step, ...], int] = {}
        self.bindings = self._bind((accounts, strategies, venues, symbols))

    def _bind(self, names: tuple[Names, Names, Names, Names]) -> Bindings:
        masks: list[list[int]] = []
        classes: list[Ints] = []
        for dimension, known in enumerate(names):
            places: dict[int, int] = {}
            found = [
                places.setdefault(self.linked.mask(dimension, name), len(places)) for name in known
            ]
            masks.append(list(places) or [0])
            classes.append(np.array(found or [0], np.int32))
        counts = [len(each) for each in masks]
        bind = np.zeros(math.prod(counts), np.int32)
        entries: list[list[int]] = []
        lists: list[list[int]] = []
        ages: list[float] = []
        known_lists: dict[int, int] = {}
        place = 0
        for first in masks[0]:
            for second in masks[1]:
                for third in masks[2]:
                    for fourth in masks[3]:
                        mask = first & second & third & fourth
                        if mask not in known_lists:
                            known_lists[mask] = len(lists)
                            bound = self.linked.bind_masks((first, second, third, fourth))
                            self._add_list(bound, entries, lists, ages)
                        bind[place] = known_lists[mask]
                        place += 1
        strides = [counts[1] * counts[2] * counts[3], counts[2] * counts[3], counts[3]]
        return Bindings(
            account_class=classes[0],
            strategy_class=classes[1],
            venue_class=classes[2],
            symbol_class=classes[3],
            strides=np.array(strides, np.int64),
            bind=bind,
            lists=np.array(lists, np.int32).reshape(-1, LISTS_WIDTH),
            max_age=np.array(ages, np.float64),
            entry=np.array(entries, np.int32).reshape(-1, ENTRY_WIDTH),
            params=np.array(self._rows, np.float64).reshape(-1, self._width),
            by_list=self._by_list(lists, entries),
            window=np.array(self._windows, np.int64).reshape(-1, 2),
            freshness=np.array(self._freshness, np.float64),
            permits=self._permit_table(),
            moves=self._move_table(),
        )

    def _by_list(self, lists: list[list[int]], entries: list[list[int]]) -> Floats:
        """`Bindings.by_list`: NaN instead of the 1 where a limit is not what the clear way takes it for."""
        found = []
        for start, end, *_ in lists:
            numbers = [1.0]
            for slot, row, rows, *_ in entries[start:end]:
                columns = self.slots[slot].columns
                numbers += self._rows[row][1 : 1 + len(columns)]
                gross = columns.get(("working",))
                if rows > 1 or (gross is not None and self._rows[row][gross] != 0.0):
                    numbers[0] = NAN
            found.append(numbers)
        table = np.full((len(found), max(map(len, found), default=1)), NAN)
        for row_of, numbers in zip(table, found, strict=True):
            row_of[: len(numbers)] = numbers
        return table

    def _add_list(
        self,
        bound: tuple[Bound, ...],
        entries: list[list[int]],
        lists: list[list[int]],
        ages: list[float],
    ) -> None:
        seen: dict[tuple[str, str], int] = {}
        own: list[list[int]] = []
        age, timed = math.inf, 0
        for each in bound:
            gate = each.gate
            key = (gate.name, gate.level)
            seen[key] = seen.get(key, -1) + 1
            row = self._rows_of(gate, each.rows)
            flags = (
                (ENFORCE if gate.mode == "enforce" else 0)
                | (REDUCES if gate.on_breach == "reduce" else 0)
                | (EXEMPTS if gate.applies_to == "risk_increasing" else 0)
                | (HALTS if gate.halts else 0)
            )
            column = self._column((*key, seen[key]))
            level = LEVELS.index(gate.level)
            ticks = gate.confirm_ticks
            waits = self.confirmed.setdefault(gate.label, len(self.confirmed)) if ticks > 1 else 0
            own.append([self._slot(gate), row, len(each.rows), column, flags, level, ticks, waits])
            fresh = self._freshness[row : row + len(each.rows)]
            age = min(age, fresh[-1])
            timed |= int(any(value != fresh[-1] for value in fresh))
        # Lists with equal entries share them, too.
        start = self._start_of.setdefault(tuple(map(tuple, own)), len(entries))
        if start == len(entries):
            entries += own
        way = tuple(map(self._step, own))
        straight = self._way_of.setdefault(way, len(self._way_of))
        lists.append([start, start + len(own), self._coverage(bound), timed, straight])
        ages.append(age)
        self.lists.append(bound)

    @property
    def ways(self) -> tuple[tuple[Step, ...], ...]:
        """The different sequences of gates, by the number that `lists` gives them."""
        return tuple(self._way_of)

    def _step(self, entry: list[int]) -> Step:
        slot, row, rows, column, flags, level, *_ = entry
        bits = {int(numbers[0]) for numbers in self._rows[row : row + rows]}
        return Step(
            slot,
            column,
            level,
            enforces=bool(flags & ENFORCE),
            reduces=bool(flags & REDUCES),
            exempts=bool(flags & EXEMPTS),
            windows=rows > 1,
            bits=bits.pop() if len(bits) == 1 else None,
        )

    def _coverage(self, bound: tuple[Bound, ...]) -> int:
        if not bound:
            return COVERED_NOT
        enforced = {each.gate.rule.name for each in bound if each.gate.mode == "enforce"}
        lacks = self._check_mandatory and any(name not in enforced for name in MANDATORY)
        return COVERED_PARTLY if lacks else COVERED_ALL

    def _slot(self, gate: Gate) -> int:
        return self._slot_at[gate.rule.key]

    def _column(self, key: tuple[str, str, int]) -> int:
        if key not in self._column_of:
            self._column_of[key] = len(self.columns)
            self.columns.append(key)
        return self._column_of[key]

    def _rows_of(self, gate: Gate, rows: tuple[LimitRow, ...]) -> int:
        """The first of a gate's rows: overrides that may hold, then its own limits.

        Gates with equal limits share theirs, so that what orders look up stays small.
        """
        slot = self.slots[self._slot(gate)]
        found = []
        for row in rows:
            fresh = row.values.get(gate.rule.freshness)
            age = math.inf if fresh is None else float(fresh)  # type: ignore[arg-type]
            found.append((tuple(self._numbers(slot, row)), (row.from_ns, row.until_ns), age))
        key = tuple(found)
        if key not in self._row_of:
            self._row_of[key] = len(self._rows)
            for numbers, window, age in found:
                self._rows.append(numbers)
                self._windows.append(window)
                self._freshness.append(age)
        return self._row_of[key]

    def _numbers(self, slot: Slot, row: LimitRow) -> list[float]:
        bits = sum(
            1 << c
            for c, check in enumerate(slot.rule.checks)
            if all(name in row.values for name in check.when)
        )
        numbers = [NAN] * self._width
        numbers[0] = float(bits)
        for key, column in slot.columns.items():
            if isinstance(key, str):
                numbers[column] = self._value(slot, key, row.values.get(key))
            else:
                numbers[column] = self._field_value(key, [row.values.get(name) for name in key])
        return numbers

    def _value(self, slot: Slot, name: str, value: Any) -> float:
        if isinstance(value, Money):
            rate = convert(self.linked.desk.fx, value.currency, self.linked.currency)
            return NAN if rate is None else value.amount * rate
        if isinstance(value, str):
            return float(slot.rule.parameters.parameters[name].allowed.index(value))
        return float(value) if isinstance(value, int | float) else NAN

    def _field_value(self, names: tuple[str, ...], values: list[Any]) -> float:
        """What a field makes of the parameters it is computed with."""
        if any(value is None for value in values):
            return NAN
        if names == ("required",):
            return float(sum(_QUOTES[name] for name in values[0]))
        if names == ("allow", "deny"):
            return float(self._permits.setdefault((values[0], values[1]), len(self._permits)))
        if names == ("threshold", "min_observations"):
            return float(self._moves.setdefault((values[0], values[1]), len(self._moves)))
        if names in _CHOICES:
            return float(_CHOICES[names].index(values[0]))
        return float(values[0])

    def _permit_table(self) -> np.ndarray[Any, np.dtype[np.uint8]]:
        table = np.zeros((max(1, len(self._permits)), max(1, len(self._symbols))), np.uint8)
        for (allow, deny), k in self._permits.items():
            for s, symbol in enumerate(self._symbols):
                table[k, s] = any(fnmatchcase(symbol, each) for each in allow) and not any(
                    fnmatchcase(symbol, each) for each in deny
                )
        return table

    def _move_table(self) -> np.ndarray[Any, np.dtype[np.int8]]:
        count = max(1, len(self._symbols))
        table = np.zeros((max(1, len(self._moves)), count, count), np.int8)
        for (threshold, least), k in self._moves.items():
            table[k] = moving_together(self._symbols, self._correlations, threshold, least)
        return table


def moving_together(
    symbols: Names,
    correlations: Mapping[tuple[str, str], tuple[float, float]],
    threshold: float,
    least: float,
) -> np.ndarray[Any, np.dtype[np.int8]]:
    """For each pair of symbols 1 where they move together, -1 against each other, 0 neither.

    Args:
        symbols: In the order of rows and columns.
        correlations: Of a pair, and from how many observations.
        threshold: From which correlation on they move together.
        least: With fewer observations than this a pair counts as fully correlated.
    """
    count = max(1, len(symbols))
    # A pair of which nothing is known moves together.
    table = np.full((count, count), 1 if threshold <= 1.0 else 0, np.int8)
    place = {symbol: s for s, symbol in enumerate(symbols)}
    for (one, other), (rho, observations) in correlations.items():
        if one not in place or other not in place:
            continue
        if not observations >= least or not math.isfinite(rho):
            rho = 1.0
        way = 1 if rho >= threshold else -1 if -rho >= threshold else 0
        table[place[one], place[other]] = table[place[other], place[one]] = way
    # What an order adds to its own symbol is measured apart.
    np.fill_diagonal(table, 0)
    return table
