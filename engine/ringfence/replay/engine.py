"""The engine of a dry run: batches of orders through the compiled kernel, with books that follow."""

import math
from collections import Counter

import numpy as np

from ringfence.backends.numba_kernel import layout
from ringfence.backends.numba_kernel.decide import new_detail, results_room
from ringfence.backends.numba_kernel.jit_layout import pack
from ringfence.backends.numba_kernel.jit_replay import MORE_LEFT, MORE_QUOTES
from ringfence.backends.numba_kernel.kernel import kernel_for
from ringfence.backends.numba_kernel.layout import Books, Codes, Orders, Results
from ringfence.backends.numba_kernel.limits import Limits
from ringfence.backends.numba_kernel.rings import grow_left, grow_quotes, needs_of
from ringfence.backends.numba_kernel.steps import Course
from ringfence.language.linking import LinkedSet
from ringfence.replay.batches import Flags, Floats, OrderBatch
from ringfence.replay.decided import DecidedBatch, Halt
from ringfence.replay.engine_assumptions import Assumptions
from ringfence.replay.engine_books import Names, opened_books
from ringfence.replay.engine_columns import codes_of, columns_of
from ringfence.replay.engine_events import Feed
from ringfence.replay.engine_money import Money
from ringfence.replay.sources import Inputs
from ringfence.replay.trading_days import DEFAULT_DAY

__all__ = ["HALTS_UNTIL", "Engine"]

_QUANTA = 1e6
_FOREVER = 2**63 - 1
#: How long a book may stay halted, and what the kernel calls it.
HALTS_UNTIL = {"day": 1, "end": 2}
# So many are told one by one; all are counted.
_MOST_HALTS = 1_000
# Columns of gates lie one after the other. Batches have a power of two of rows: without these rows between them the same
# row of all columns would fall into one set of the cache, which holds eight lines.
_APART = 520


class Engine:
    """One policy set in one mode: decides orders in time order, and keeps the books that they move.

    Results depend on the inputs alone, not on how orders, marks, fills or balances are cut into batches.

    Attributes:
        columns: What the rows of `DecidedBatch.outcome`, `measure` and `limit` are of.
        codes: What `DecidedBatch.code` is a place in.
        sha256, currency: Of the policy set.
        names: Of books and symbols, by their places in `books`.
        halts: The first books that a gate halted, in time order; `halted` counts all, by place in `columns`.

    Args:
        linked: The policy set.
        inputs: The sources, their tables of names complete.
        mode: `propagated`: the books follow the decisions; `frozen`: they are as they really were.
        equity: What each account opens with where no balance says so, in the policy set's currency;
            None where that is unknown.
        halts_until: How long a book that a gate halts stays halted, where the books follow the decisions: `day`, to
            the start of the next trading day, or `end`.
        standing: How many decided batches stand at a time.
    """

    def __init__(
        self,
        linked: LinkedSet,
        inputs: Inputs,
        *,
        mode: str,
        equity: float | None,
        halts_until: str = "day",
        standing: int = 1,
    ) -> None:
        orders = inputs.orders
        self.sha256, self.currency = linked.sha256, linked.currency
        money = Money(inputs.balances, equity)
        accounts = list(orders.accounts)
        names = Names(
            [*accounts, *money.accounts_without_orders(accounts)],
            list(orders.strategies),
            list(orders.venues),
            list(inputs.symbols),
        )
        self.names = names
        limits = Limits(linked, names.accounts, names.strategies, names.venues, names.symbols)
        self.columns = columns_of(limits)
        self.codes, self._places = codes_of(limits.slots)
        self._partial = _partly_bound(limits)
        self._needs = needs = needs_of(linked, limits)
        timed = inputs.marks is not None
        # Books that are as they really were are halted as they really were, which the history does not say.
        halting = mode != "frozen" and any(gate.halts for gate in linked.gates)
        course = None
        if inputs.fills is None and not needs.looks_back:
            course = Course(not timed, mode == "frozen", needs.firm, needs.strategy, halting)
        self._kernel = kernel_for(limits, course, orders.rows)
        self._books = opened_books(linked, names, needs, timed=timed)
        self._said = Assumptions(
            linked,
            inputs,
            money,
            accounts,
            needs,
            frozen=mode == "frozen",
            halts_until=halts_until if halting else "",
        )
        self._feed = Feed(
            marks=iter(inputs.marks) if inputs.marks is not None else None,
            fills=iter(inputs.fills) if inputs.fills is not None else None,
            money=money.batches(names.books(), accounts, with_firm=self._said.firm_follows),
            day=next((policy.day for policy in linked.policies if policy.day), DEFAULT_DAY),
            waits=(len(limits.confirmed), self._books.book.shape[0]),
        )
        self.halts: list[Halt] = []
        self.halted: Counter[int] = Counter()
        cursor = self._feed.events.cursor
        cursor[layout.FROZEN] = mode == "frozen"
        cursor[layout.OWN_PRICES] = not timed
        cursor[layout.USES_FIRM] = needs.firm
        cursor[layout.USES_STRATEGY] = needs.strategy
        cursor[layout.USES_LEFT] = needs.left_ns > 0
        cursor[layout.USES_RATES] = needs.rates
        cursor[layout.USES_QUOTES] = needs.quotes_ns > 0
        cursor[layout.HALTING] = HALTS_UNTIL[halts_until] if halting else 0
        self._rooms = [self._room(0) for _ in range(standing)]
        self._turn = 0
        self._equity_first = math.nan
        self._begun = False
        self._bindings = pack(limits.bindings)
        self._detail = pack(new_detail(len(self.columns)))
        self._packed_books = pack(self._books)

    @property
    def books(self) -> Books:
        """The arrays as they are now; the next decision moves them."""
        return self._books

    @property
    def assumptions(self) -> list[str]:
        """What had to be taken for granted so far, in sentences."""
        return self._said.sentences()

    def decide(self, batch: OrderBatch) -> DecidedBatch:
        """Decide the next orders; the result is overwritten by the `standing`-th call after this one."""
        rows = len(batch)
        if rows > len(self._rooms[self._turn][1]):
            self._rooms[self._turn] = self._room(rows)
        results, codes = self._rooms[self._turn]
        self._turn = (self._turn + 1) % len(self._rooms)
        for g in self._partial:
            results.outcome[g, :rows] = 0
            results.measure[g, :rows] = math.nan
            results.limit[g, :rows] = math.nan
        if rows:
            self._replay(batch, results)
        code, outcome = codes[:rows], results.outcome[:, :rows]
        np.take(self._places, results.code[:rows], out=code, mode="wrap")
        return DecidedBatch(
            orders=batch,
            decision=results.decision[:rows],
            size=results.size[:rows],
            code=code,
            gate=results.gate[:rows],
            notional=results.notional[:rows],
            outcome=outcome,
            measure=results.measure[:, :rows],
            limit=results.limit[:, :rows],
            equity=results.equity[:rows],
            drawdown=results.drawdown[:rows],
        )

    def _room(self, rows: int) -> tuple[Results, Codes]:
        # The kernel sets what it decides; columns that not all orders have are cleared before.
        return results_room(len(self.columns), rows + _APART), np.zeros(rows, np.int16)

    def _replay(self, batch: OrderBatch, results: Results) -> None:
        self._feed.start(int(batch.ts[0]))
        cursor = self._feed.events.cursor
        cursor[layout.ORDER_AT], cursor[layout.FIRST_ORDER] = 0, batch.start
        if cursor[layout.HALTING]:
            self._feed.room_for_halts(len(batch))
        orders = pack(self._orders(batch))
        packed = pack(results)
        status = -1
        while status:
            if status > 0:
                self._more(status)
            status = self._kernel.replay(
                self._packed_books,
                self._bindings,
                packed,
                self._detail,
                orders,
                pack(self._feed.events),
            )
        self._note_halts()
        if not self._begun:
            self._begun, self._equity_first = True, float(results.equity[0])
        self._said.count(results.code[: len(batch)], batch.symbol)

    def _note_halts(self) -> None:
        events = self._feed.events
        for row in events.halts[: events.cursor[layout.HALTS_AT]].tolist():
            halt = Halt(*row)
            self.halted[halt.column] += 1
            if len(self.halts) < _MOST_HALTS:
                self.halts.append(halt)

    def _orders(self, batch: OrderBatch) -> Orders:
        end_ts = batch.end_ts
        if self._feed.has_fills:
            # It would else reserve its size for ever.
            endless = (batch.n_fills == 0) & (end_ts == 0)
            self._said.endless += int(np.count_nonzero(endless))
            end_ts = np.where(endless, batch.ts, end_ts)
        return Orders(
            ts=batch.ts,
            account=batch.account,
            strategy=batch.strategy,
            venue=batch.venue,
            symbol=batch.symbol,
            side=batch.side,
            kind=batch.type,
            size=batch.size,
            price=batch.price,
            reduce_only=batch.reduce_only,
            end_ts=end_ts,
            n_fills=batch.n_fills,
            cancelled=self._cancelled(batch),
        )

    def _cancelled(self, batch: OrderBatch) -> Flags:
        """Which orders end by a cancel, as far as a gate counts these."""
        if not self._needs.rates or not self._feed.has_fills:
            return np.zeros(len(batch), np.uint8)
        cancelled = (batch.end_ts != 0) & (batch.expired == 0)
        self._said.cancelled += int(np.count_nonzero(cancelled))
        return np.array(cancelled, np.uint8)

    def _more(self, status: int) -> None:
        """Give the kernel what it stopped for."""
        if status == MORE_LEFT:
            self._books = grow_left(self._books)
        elif status == MORE_QUOTES:
            self._books = grow_quotes(self._books)
        else:
            self._feed.more(status)
            return
        self._packed_books = pack(self._books)

    def finish(self) -> None:
        """Apply what comes after the last order."""
        self._feed.end()
        status = -1
        while status:
            if status > 0:
                self._more(status)
            status = self._kernel.advance(
                self._packed_books, pack(self._feed.events), _FOREVER, _FOREVER
            )

    def last_marks(self) -> Floats:
        """Each symbol's mark as it is now, shape (symbols,); NaN where there is none."""
        return np.array(self._books.sym[:, layout.SYM_MARK])

    def money_per_price(self) -> Floats:
        """Money of one unit of size per unit of price, shape (symbols,); NaN where unknown."""
        sym = self._books.sym
        known = sym[:, layout.STATUS] == layout.TRADABLE
        return np.where(known, sym[:, layout.MULTIPLIER] * sym[:, layout.FX], math.nan)

    def totals(self) -> dict[str, float]:
        """Of all accounts together, NaN where unknown.

        Equity when the first order was decided and as it is now; fees paid; deepest fall of the equity
        from its peak, a ratio.
        """
        total, book = self._books.total, self._books.book
        accounts = self._books.book_level == 1
        known = bool(total[layout.TOTAL_UNKNOWN] == 0.0) and bool(accounts.any())
        unvalued = book[accounts][:, [layout.UNMARKED, layout.UNCOUNTED]].any()
        return {
            "equity_first": self._equity_first,
            "equity_last": (
                float(total[layout.TOTAL_QUANTA]) / _QUANTA if known and not unvalued else math.nan
            ),
            "fees": float(book[accounts, layout.FEES].sum()) / _QUANTA,
            "max_drawdown": float(total[layout.TOTAL_MAX_DRAWDOWN]) if known else math.nan,
        }


def _partly_bound(limits: Limits) -> list[int]:
    """Columns that some order may leave as they are: those that are not in every list of gates."""
    entry = limits.bindings.entry
    lists = [set(entry[a:b, layout.COLUMN].tolist()) for a, b, *_ in limits.bindings.lists.tolist()]
    always = set.intersection(*lists) if lists else set()
    return [g for g in range(len(limits.columns)) if g not in always]
