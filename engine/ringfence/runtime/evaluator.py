"""Asks the compiled kernel about one order on a ledger's arrays."""

import math
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np

from ringfence.backends.numba_kernel import layout
from ringfence.backends.numba_kernel.decide import answer_of, columns_of, new_detail, new_results
from ringfence.backends.numba_kernel.jit_layout import pack
from ringfence.backends.numba_kernel.kernel import kernel_of
from ringfence.backends.numba_kernel.limits import Limits
from ringfence.backends.numba_kernel.rings import Needs, needs_of
from ringfence.language.decision import Decision
from ringfence.language.linking import Bound, LinkedSet
from ringfence.language.orders import COUNTABLE, Instrument, Market, step_digits
from ringfence.language.tickets import Refusal, Ticket
from ringfence.runtime.asked import Asked
from ringfence.runtime.book_arrays import NO_BOOK, BookArrays
from ringfence.runtime.evidence import Evidence

__all__ = ["Evaluator", "Found", "Route", "gate_needs", "gates_of", "halted_by"]

_STOP = 2
_ON_HALT = "halt"
_NOTHING = [0.0] * 5
# By the code of `Results.outcome`.
_OUTCOMES = ("unknown", "pass", "reduce", "breach", "exempt", "unknown")
_BREACH = 3
_REFUSED = {
    layout.REFUSALS.index(code): Refusal(code, message)
    for code, message in (
        ("NO_POLICY", "no policy covers this order"),
        ("MANDATORY_GATE_MISSING", "a mandatory gate is not enforced for this order"),
    )
}


@dataclass(frozen=True, slots=True)
class Route:
    """What orders of one account, strategy, venue and symbol (its `key`) have in common."""

    key: tuple[str, str, str, str]
    account: int
    strategy: int
    venue: int
    symbol: int
    books: tuple[int, int, int]
    instrument: Instrument
    bounds: tuple[Bound, ...]
    columns: tuple[int, ...]
    names: tuple[str, ...]
    halting: tuple[int, ...]
    most: Decimal


@dataclass(slots=True)
class Found:
    """What the kernel found for one order, taken out of its arrays."""

    route: Route
    asked: Asked
    asked_lots: int
    value: float
    now_ns: int
    decision: int
    lots: int
    code: int
    gate: int
    stage: int
    outcomes: bytes
    numbers: list[float]
    checks: list[int]
    again: list[float]


def gate_needs(linked: LinkedSet) -> Needs:
    """What the gates of a policy set look at beside the books."""
    return needs_of(linked, Limits(linked, [], [], [], []))


class Evaluator:
    """The limits of one policy set, bound to the names of a ledger; one caller at a time.

    `evidence` shows what the gates look at; `arrays` are those it was made for.
    """

    def __init__(self, linked: LinkedSet, arrays: BookArrays) -> None:
        self.linked = linked
        self._arrays = self.arrays = arrays
        self._bind()

    def _bind(self) -> None:
        """Bind names anew: new ones came, or the arrays have grown."""
        arrays = self._arrays
        self._pack = arrays.pack
        self._names = self._count()
        symbols = list(arrays.symbols)
        self.evidence = Evidence(arrays.books, symbols)
        self._limits = limits = Limits(
            self.linked,
            list(arrays.accounts),
            list(arrays.strategies),
            list(arrays.venues),
            symbols,
        )
        gates = len(limits.columns)
        self._gates = gates
        # Measures, limits and headrooms in one row, so that they are read in one go.
        self._numbers = np.full(3 * gates, math.nan)
        parts = [self._numbers[k * gates : (k + 1) * gates] for k in range(3)]
        self._results = new_results(gates, 1)._replace(
            measure=parts[0].reshape(gates, 1), limit=parts[1].reshape(gates, 1)
        )
        self._detail = new_detail(gates)._replace(headroom=parts[2])
        self._packs = [pack(each) for each in (limits.bindings, self._results, self._detail)]
        self._addresses = tuple(each.address for each in self._packs)
        self._evaluate = kernel_of(limits.slots).evaluate_at
        self._decision = self._results.decision.data
        self._size = self._results.size.data
        self._code = self._results.code.data
        self._cause = self._results.gate.data
        self._stage = self._detail.stage.data
        self._sym = arrays.books.sym.data
        self._routes: dict[tuple[str, str, str, str], Route] = {}

    def _count(self) -> tuple[int, int, int, int]:
        arrays = self._arrays
        return (
            len(arrays.accounts),
            len(arrays.strategies),
            len(arrays.venues),
            len(arrays.symbols),
        )

    def route(self, asked: Asked) -> Route | Refusal:
        """Codes and gates for the names of an order, or why there are none."""
        if self._arrays.pack is not self._pack or self._count() != self._names:
            self._bind()
        key = asked[:4]
        found = self._routes.get(key)
        if found is None:
            made = self._new_route(*key)
            if isinstance(made, Refusal):
                return made
            found = self._routes[key] = made
        return found

    def _new_route(self, account: str, strategy: str, venue: str, symbol: str) -> Route | Refusal:
        arrays = self._arrays
        instrument = arrays.instruments.get(symbol)
        if instrument is None:
            return Refusal("UNKNOWN_INSTRUMENT", "the symbol is no known instrument")
        codes = (arrays.accounts.get(account), arrays.strategies.get(strategy))
        code = arrays.venues.get(venue)
        if not account or codes[0] is None:
            return Refusal("UNKNOWN_ACCOUNT", "the account is neither declared nor opened")
        if codes[1] is None:
            return Refusal("UNKNOWN_STRATEGY", "the strategy is not declared")
        if code is None:
            return Refusal("UNKNOWN_VENUE", "the venue is not declared")
        bounds = self.linked.bind(account, strategy, venue, symbol)
        books = arrays.books
        return Route(
            key=(account, strategy, venue, symbol),
            account=codes[0],
            strategy=codes[1],
            venue=code,
            symbol=arrays.symbols[symbol],
            books=(
                0,
                int(books.account_book[codes[0]]),
                int(books.strategy_book[codes[1]]) if strategy else NO_BOOK,
            ),
            instrument=instrument,
            bounds=bounds,
            columns=tuple(columns_of(bounds, self._limits.columns)),
            names=tuple(bound.gate.name for bound in bounds),
            halting=tuple(
                k
                for k, bound in enumerate(bounds)
                if bound.gate.on_breach == _ON_HALT and bound.gate.mode == "enforce"
            ),
            most=Decimal(COUNTABLE).scaleb(-step_digits(instrument.lot_step)[1]),
        )

    def lots(self, route: Route, asked: Asked) -> int | Refusal:
        """The order's size in whole lots, or why it has none."""
        instrument = route.instrument
        step, size, lots = instrument.lot_step, asked.size, 0
        # As `whole_lots`, with its bound worked out beforehand.
        if size <= route.most:
            lots = int((size / step).to_integral_value())
        if lots <= 0 or lots * step != size:
            return Refusal(
                "SIZE_OFF_STEP", f"the size is no multiple of the lot step {instrument.lot_step}"
            )
        if instrument.fx != instrument.fx:
            return Refusal(
                "NO_FX_RATE",
                f"no FX rate between {instrument.quote} and {self.linked.currency}",
            )
        return lots

    def ask(self, route: Route, asked: Asked, lots: int, now_ns: int) -> Found | Refusal:
        """Ask every gate about an order; books stay as they are."""
        value = self._value(route.symbol, asked)
        if not 0.0 < value < math.inf:
            return Refusal("NO_PRICE", "there is no price to value the order at")
        self._stage[0] = 0
        bindings, results, detail = self._addresses
        self._evaluate(
            self._pack.address,
            bindings,
            results,
            detail,
            now_ns,
            route.account,
            route.strategy,
            route.venue,
            route.symbol,
            asked.side,
            asked.kind,
            float(lots),
            0,
            asked.price,
            value,
            1 if asked.reduce_only else 0,
        )
        return Found(
            route,
            asked,
            lots,
            value,
            now_ns,
            self._decision[0],
            int(self._size[0]),
            self._code[0],
            self._cause[0],
            self._stage[0],
            self._results.outcome.tobytes(),
            self._numbers.tolist(),
            self._detail.check.tolist(),
            self._detail.again.tolist() if self._stage[0] == 3 else _NOTHING,
        )

    def _value(self, symbol: int, asked: Asked) -> float:
        """Buys max(limit, ask), sells max(limit, bid); without bid and ask the mark; a stop's trigger."""
        price, sym = asked.price, self._sym
        good = 0.0 < price < math.inf
        if asked.kind >= _STOP and good:
            return price
        quote = sym[symbol, layout.ASK if asked.side > 0 else layout.BID]
        if not 0.0 < quote < math.inf:
            quote = sym[symbol, layout.SYM_MARK]
        if not 0.0 < quote < math.inf:
            return price if good else math.nan
        return max(price, quote) if good else quote

    def in_words(self, found: Found) -> Decision:
        """The decision with its reason and every gate's result."""
        gates = len(found.checks)
        results, detail = new_results(gates, 1), new_detail(gates)
        results.decision[0], results.size[0] = found.decision, found.lots
        results.code[0], results.gate[0] = found.code, found.gate
        results.outcome[:, 0] = np.frombuffer(found.outcomes, np.uint8)
        results.measure[:, 0] = found.numbers[:gates]
        results.limit[:, 0] = found.numbers[gates : 2 * gates]
        detail.headroom[:] = found.numbers[2 * gates :]
        detail.check[:] = found.checks
        detail.again[:], detail.stage[0] = found.again, found.stage
        route, asked = found.route, found.asked
        ticket = Ticket(
            asked.side,
            found.asked_lots,
            asked.type,
            asked.price,
            found.value,
            asked.reduce_only,
            route.instrument,
            Market(),
        )
        return answer_of(
            self.linked,
            route.bounds,
            route.columns,
            ticket,
            _REFUSED.get(found.code) if found.decision == 2 else None,
            found.now_ns,
            results,
            detail,
        )


def halted_by(found: Found) -> list[Bound]:
    """Gates whose breach halts the book that they measure."""
    columns, bounds = found.route.columns, found.route.bounds
    return [bounds[k] for k in found.route.halting if found.outcomes[columns[k]] == _BREACH]


def gates_of(found: Found) -> list[list[Any]]:
    """Name, outcome, measure and limit of each gate, for an audit record."""
    numbers, outcomes, gates = found.numbers, found.outcomes, len(found.checks)
    return [
        [name, _OUTCOMES[outcomes[g]], numbers[g], numbers[gates + g]]
        for name, g in zip(found.route.names, found.route.columns, strict=True)
    ]
