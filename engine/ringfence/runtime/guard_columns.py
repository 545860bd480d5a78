"""What a guard would decide of very many orders, held in columns: nothing is reserved, recorded or counted.

Names, sizes and prices are looked up once for all rows that share them, and compiled code goes through the rows:
so many at a time that others wait a fraction of a millisecond.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ringfence.backends.numba_kernel import layout
from ringfence.backends.numba_kernel.live_columns import AskedColumns, ColumnsPack
from ringfence.language.tickets import Refusal
from ringfence.runtime.asked import KINDS, SIDES, read_known, read_number
from ringfence.runtime.evaluator import Evaluator, Route
from ringfence.runtime.guard_preview import GuardPreview
from ringfence.runtime.order_columns import (
    Coded,
    OrderColumns,
    PreviewedColumns,
    Size,
    coded,
    recoded,
)

__all__ = ["GuardColumns"]

# Rows that are asked about, and routes that are looked up, while others wait.
_ROWS = 512
_ROUTES = 64
_APPROVE, _REDUCE, _REJECT = range(3)
_WORDS = ["APPROVE", "REDUCE_SIZE", "REJECT"]
_INFINITE = float("inf")
_WHOLE = 2**62
Longs = npt.NDArray[np.int64]


class GuardColumns(GuardPreview):
    """The previews of `CentralRiskGuard` by columns."""

    def preview_columns(self, orders: OrderColumns) -> PreviewedColumns:
        """What would be decided of each order, were it the only one: none sees the others.

        The same as `preview_orders`. The guard decides others' orders in between; some hundreds are looked at
        together.
        """
        found = _Found(orders)
        while found.first < orders.rows:
            with self._lock:
                now = self._now_for_look()
                if isinstance(now, Refusal):
                    found.refuse_rest(now)
                    break
                if self._slices is not None or self._is_lease_over(now) or self._held_off(now):
                    break
                bound = found.bind(self.evaluator)
                if bound.is_ready and bound.holds(self._gone):
                    break
                if bound.is_ready:
                    found.ask(self.evaluator, now)
            if not bound.is_ready and bound.knows_all_routes:
                found.make_ready()
        else:
            return found.told()
        # What a guard that is held off decides otherwise is asked order by order.
        return found.told() if found.first == orders.rows else self._row_by_row(orders)

    def _row_by_row(self, orders: OrderColumns) -> PreviewedColumns:
        rows = zip(*(each.rows() for each in orders), strict=True)
        told = self.preview_orders(
            read_known(
                (account, strategy, venue, symbol), side, kind, size, price, reduce_only=reduce_only
            )
            for account, symbol, side, size, price, kind, strategy, venue, reduce_only in rows
        )
        decision, size, code, gate = zip(*told, strict=True)
        return PreviewedColumns(
            coded(decision), coded([f"{each:f}" for each in size]), coded(code), coded(gate)
        )


class _Bound:
    """The routes and lots of all rows, by the names of one evaluator as it is bound now."""

    def __init__(self, evaluator: Evaluator) -> None:
        self.evaluator, self.version = evaluator, evaluator.version
        self.denials = evaluator.denials
        self.routes: list[Route | Refusal] = []
        self.knows_all_routes = self.is_ready = False
        self._holds: bool | None = None

    def holds(self, gone: Callable[[Route], str]) -> bool:
        """Whether any route, once all are there, is of something that the policies know no more."""
        if self._holds is None:
            self._holds = any(isinstance(each, Route) and gone(each) for each in self.routes)
        return self._holds

    def is_of(self, evaluator: Evaluator) -> bool:
        return (
            self.evaluator is evaluator
            and self.version == evaluator.version == evaluator.arrays.version
        )


class _Found:
    """What is known of the rows so far; those before `first` are done."""

    def __init__(self, orders: OrderColumns) -> None:
        self._orders, self.first = orders, 0
        self._codes: dict[str, int] = {"": 0}
        self._bound: _Bound | None = None
        count = orders.rows
        self._since = 0
        self._names, self._route_of = _distinct(
            [orders.account, orders.strategy, orders.venue, orders.symbol]
        )
        self._sizes = [read_number(text) for text in orders.size.values]
        prices = [read_number(text)[1] for text in orders.price.values]
        columns = self._columns = AskedColumns.room(count)
        self._pack = ColumnsPack(columns)
        sides = [SIDES.get(each, 0) for each in orders.side.values]
        kinds = [KINDS.get(each, -1) for each in orders.type.values]
        columns.side[:] = np.array(sides, np.int8)[orders.side.places]
        columns.kind[:] = np.array(kinds, np.int8)[orders.type.places]
        columns.price[:] = np.array(prices, np.float64)[orders.price.places]
        columns.reduce_only[:] = np.array(orders.reduce_only.values, np.int8)[
            orders.reduce_only.places
        ]
        # Why a row is refused unasked: a place in `_codes`, 0 for none. The first reason that holds is put last.
        self._refused = np.zeros(count, np.int32)
        is_none = np.array([each is None for each in orders.price.values])[orders.price.places]
        is_price = (columns.price > 0.0) & (columns.price < _INFINITE)
        has_price = is_price | (is_none & (columns.kind == layout.MARKET))
        self._refuse(~has_price, "INVALID_PRICE")
        is_size = np.array([exact is not None for exact, _ in self._sizes])[orders.size.places]
        self._refuse(~is_size, "INVALID_SIZE")
        self._refuse(columns.kind < 0, "INVALID_TYPE")
        self._refuse(columns.side == 0, "INVALID_SIDE")
        self._unread = self._refused.copy()
        self._code = np.zeros(count, np.int32)
        self._gates: dict[str, int] = {"": 0}
        self._gate = np.zeros(count, np.int32)
        # Sizes that were asked, then none, then those that are made.
        self._texts = ["" if exact is None else f"{exact:f}" for exact, _ in self._sizes]
        self._texts.append("0")
        self._size = np.full(count, len(self._texts) - 1, np.int32)

    def _refuse(self, rows: npt.NDArray[np.bool_], code: str) -> None:
        self._refused[rows] = self._place(code)

    def _place(self, code: str) -> int:
        return self._codes.setdefault(code, len(self._codes))

    # Under the guard's lock

    def bind(self, evaluator: Evaluator) -> _Bound:
        """Routes of this evaluator, some at a time."""
        bound = self._bound
        if bound is None or not bound.is_of(evaluator):
            if bound is not None and bound.is_ready:
                self._settle(bound)
            self._since = self.first
            bound = self._bound = None
        names = self._names
        begin = 0 if bound is None else len(bound.routes)
        some = [evaluator.route(each) for each in names[begin : begin + _ROUTES]]
        if bound is None:
            # The first name may have bound the evaluator anew.
            bound = self._bound = _Bound(evaluator)
        bound.routes += some
        bound.knows_all_routes = len(bound.routes) == len(names)
        return bound

    def ask(self, evaluator: Evaluator, now: int) -> None:
        """Ask about the next rows."""
        last = min(self.first + _ROWS, self._orders.rows)
        evaluator.ask_columns(self._pack, now, self.first, last)
        self.first = last

    # Without the lock

    def make_ready(self) -> None:
        """Work out routes and lots of all rows."""
        bound = self._bound
        assert bound is not None  # nosec B101  # `bind` comes first
        orders, columns, routes = self._orders, self._columns, bound.routes
        by_symbol: dict[str, Route] = {}
        codes = np.zeros((len(routes), 4), np.int32)
        refused = np.zeros(len(routes), np.int32)
        for k, route in enumerate(routes):
            if isinstance(route, Refusal):
                refused[k] = self._place(route.code)
            else:
                codes[k] = route.codes
                by_symbol[route.key[3]] = route
        for k, column in enumerate(
            (columns.account, columns.strategy, columns.venue, columns.symbol)
        ):
            column[:] = codes[:, k][self._route_of]
        pairs, pair_of = _distinct([orders.symbol, Coded(self._sizes, orders.size.places)])
        lots, off = np.zeros(len(pairs)), np.zeros(len(pairs), np.int32)
        for k, (symbol, (exact, _)) in enumerate(pairs):
            known = by_symbol.get(symbol)
            if known is None or exact is None:
                continue
            found = bound.evaluator.lots(known, Size(exact))
            if isinstance(found, Refusal):
                off[k] = self._place(found.code)
            else:
                lots[k] = found
        # As an order alone is refused: for what it says, then for its names, then for its lots.
        refusals = off[pair_of]
        of_route = refused[self._route_of]
        np.copyto(refusals, of_route, where=of_route > 0)
        np.copyto(refusals, self._unread, where=self._unread > 0)
        self._refused = refusals
        columns.lots[:] = lots[pair_of]
        columns.lots[refusals > 0] = 0.0
        bound.is_ready = True

    def refuse_rest(self, refusal: Refusal) -> None:
        """The guard cannot say: all rows that are left are refused."""
        if self._bound is not None and self._bound.is_ready:
            self._settle(self._bound)
        rest = slice(self.first, self._orders.rows)
        self._columns.decision[rest] = _REJECT
        self._code[rest] = self._place(refusal.code)
        self.first = self._since = self._orders.rows

    def told(self) -> PreviewedColumns:
        """All of it, once every row is done."""
        if self._bound is not None and self._since < self.first:
            self._settle(self._bound)
        return PreviewedColumns(
            Coded(_WORDS, self._columns.decision.astype(np.int32)),
            recoded(self._texts, self._size),
            Coded(list(self._codes), self._code),
            Coded(list(self._gates), self._gate),
        )

    def _settle(self, bound: _Bound) -> None:
        """Put into words what was found from row `_since` on, by names as they were bound then."""
        rows = slice(self._since, self.first)
        decision, size = self._columns.decision[rows], self._size[rows]
        code, refused = self._code[rows], self._refused[rows]
        by_kernel = [self._place(each) for each in (*layout.REFUSALS, *bound.denials)]
        code[:] = np.array(by_kernel, np.int32)[self._columns.code[rows]]
        np.copyto(code, refused, where=refused > 0)
        decision[refused > 0] = _REJECT
        np.copyto(size, self._orders.size.places[rows], where=decision == _APPROVE)
        code[decision == _APPROVE] = 0
        self._name_gates(bound, self._since)
        self._write_sizes(bound, self._since)
        self._since = self.first

    def _name_gates(self, bound: _Bound, since: int) -> None:
        columns = self._columns
        rows = np.flatnonzero(
            (columns.decision[since : self.first] != _APPROVE)
            & (self._refused[since : self.first] == 0)
        )
        rows += since
        rows = rows[columns.code[rows] >= layout.REFUSAL_COUNT]
        # It passed at the size asked, and not at the reduced one: then that gate decided.
        again = np.where(columns.decision[rows] == _REJECT, columns.again[rows], -1)
        kinds, of = np.unique(
            np.stack([self._route_of[rows], columns.gate[rows], again]), axis=1, return_inverse=True
        )
        names = []
        for at, gate, later in kinds.T.tolist():
            route: Any = bound.routes[at]
            place = route.columns.index(gate) if later < 0 else later
            names.append(self._gates.setdefault(route.bounds[place].gate.name, len(self._gates)))
        self._gate[rows] = np.array(names, np.int32)[of.reshape(-1)]

    def _write_sizes(self, bound: _Bound, since: int) -> None:
        columns = self._columns
        rows = np.flatnonzero(columns.decision[since : self.first] == _REDUCE) + since
        kinds, of = np.unique(
            np.stack([self._route_of[rows], columns.allowed[rows].astype(np.int64)]),
            axis=1,
            return_inverse=True,
        )
        first = len(self._texts)
        for at, lots in kinds.T.tolist():
            route: Any = bound.routes[at]
            self._texts.append(f"{lots * route.instrument.lot_step:f}")
        self._size[rows] = first + of.reshape(-1)


def _distinct(columns: list[Coded]) -> tuple[list[Any], Longs]:
    """Rows that differ, as tuples, and for each row the place of its own among them."""
    key, most = np.zeros(len(columns[0].places), np.int64), 1
    for values, places in columns:
        if most * len(values) > _WHOLE:
            kinds, key = np.unique(key, return_inverse=True)
            most = len(kinds)
        key, most = key * len(values) + places, most * len(values)
    _, at, of = np.unique(key, return_index=True, return_inverse=True)
    found = zip(*(Coded(values, places[at]).rows() for values, places in columns), strict=True)
    return list(found), of
