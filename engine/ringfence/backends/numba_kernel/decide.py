"""One decision by the kernel, for a `Case`; in the words of the reference interpreter."""

import math
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import NamedTuple

import numpy as np

from ringfence.backends.numba_kernel import layout
from ringfence.backends.numba_kernel.case_books import CaseBooks, case_books
from ringfence.backends.numba_kernel.jit_layout import pack
from ringfence.backends.numba_kernel.kernel import kernel_of
from ringfence.backends.numba_kernel.layout import Detail, Results
from ringfence.backends.numba_kernel.limits import Limits
from ringfence.backends.numba_kernel.slots import Slot, slots_of
from ringfence.language.answers import (
    approved,
    denied,
    gate_result,
    not_evaluated,
    reduced,
    refused,
    too_small,
)
from ringfence.language.decision import Decision, GateResult, Outcome
from ringfence.language.fields import ORDER_TYPES
from ringfence.language.linking import Bound, LinkedSet
from ringfence.language.orders import Case
from ringfence.language.tickets import (
    REDUCE_ONLY_UNTRUE,
    Refusal,
    Ticket,
    not_covered,
    read_ticket,
)

__all__ = [
    "GateFound",
    "Head",
    "JudgedOrder",
    "answer_of",
    "columns_of",
    "decide",
    "new_detail",
    "new_results",
    "results_room",
    "words_of",
]

NAN = math.nan
# By the code of `Results.outcome`; 0 is no gate.
_OUTCOMES = (
    Outcome.UNKNOWN,
    Outcome.PASS,
    Outcome.REDUCE,
    Outcome.BREACH,
    Outcome.EXEMPT,
    Outcome.UNKNOWN,
)


def new_results(gates: int, orders: int) -> Results:
    """Room for the decisions of `orders` orders, and for `gates` columns of what gates found: nothing so far."""
    room = results_room(gates, orders)
    for array in room:
        array.fill(NAN if array is room.measure or array is room.limit else 0)
    return room


def results_room(gates: int, orders: int) -> Results:
    """As `new_results`, but with anything in it: for whoever sets all of it."""
    return Results(
        decision=np.empty(orders, np.int8),
        size=np.empty(orders),
        code=np.empty(orders, np.int16),
        gate=np.empty(orders, np.int16),
        notional=np.empty(orders),
        outcome=np.empty((gates, orders), np.uint8),
        measure=np.empty((gates, orders)),
        limit=np.empty((gates, orders)),
        equity=np.empty(orders),
        drawdown=np.empty(orders),
    )


def new_detail(gates: int) -> Detail:
    """Room for what a single decision tells beyond its results."""
    return Detail(
        headroom=np.full(gates, -1.0),
        check=np.full(gates, -1, np.int32),
        again=np.zeros(5),
        stage=np.zeros(1, np.int32),
    )


def decide(
    linked: LinkedSet,
    case: Case,
    *,
    check_mandatory: bool = True,
    slots: Sequence[Slot] | None = None,
) -> Decision:
    """Decide one order.

    Args:
        linked: The policy set.
        case: The order and everything the decision depends on.
        check_mandatory: Refuse an order that lacks a mandatory gate (off for lone test policies).
        slots: What to compile, where more than the set's own rules is to share one kernel.

    Returns:
        The decision, with one result for every gate that binds the order.
    """
    order = case.order
    bounds = linked.bind(order.account, order.strategy, order.venue, order.symbol)
    ticket, refusal = read_ticket(case, linked)
    if refusal is None:
        refusal = not_covered(bounds, check_mandatory)
    if ticket is None:
        refusal = refusal or Refusal("INVALID_ORDER", "the order cannot be read")
        return refused(linked, refusal, [not_evaluated(bound, case.clock_ns) for bound in bounds])
    books = case_books(linked, case)
    limits = Limits(
        linked,
        [order.account],
        [order.strategy],
        [order.venue],
        books.symbols,
        check_mandatory=check_mandatory,
        correlations=case.correlations,
        slots=slots_of(linked) if slots is None else slots,
    )
    results, detail = new_results(len(limits.columns), 1), new_detail(len(limits.columns))
    _ask(limits, books, ticket, refusal, case.clock_ns, results, detail)
    return answer_of(
        linked,
        bounds,
        columns_of(bounds, limits.columns),
        ticket,
        refusal,
        case.clock_ns,
        results,
        detail,
    )


def answer_of(
    linked: LinkedSet,
    bounds: Sequence[Bound],
    columns: Sequence[int],
    ticket: Ticket,
    refusal: Refusal | None,
    now: int,
    results: Results,
    detail: Detail,
) -> Decision:
    """Put what the kernel found for one order into words.

    Args:
        linked: The policy set.
        bounds: The gates that bind the order.
        columns: Column of each of them, from `columns_of`.
        ticket: The order, read.
        refusal: Why it is refused whatever its gates say; None for no reason known before.
        now: The time it was decided at, ns since 1970, UTC.
        results, detail: What `Kernel.evaluate_one` wrote.
    """
    found = [GateFound.at(g, results, detail) for g in columns]
    head = Head(
        int(results.decision[0]),
        int(results.size[0]),
        int(results.code[0]),
        int(results.gate[0]),
        int(detail.stage[0]),
        detail.again.tolist(),
    )
    asked = JudgedOrder(linked, bounds, columns, ticket, refusal, now)
    gates = [asked.result(k, each) for k, each in enumerate(found)]
    return words_of(asked, head, found.__getitem__, gates)


class Head(NamedTuple):
    """What the kernel says of an order as a whole: as in `Results` and `Detail`, `size` in lots."""

    decision: int
    size: int
    code: int
    gate: int
    stage: int
    again: Sequence[float]


class JudgedOrder(NamedTuple):
    """An order with what was asked about it; see `answer_of`."""

    linked: LinkedSet
    bounds: Sequence[Bound]
    columns: Sequence[int]
    ticket: Ticket
    refusal: Refusal | None
    now: int

    def result(self, k: int, found: "GateFound") -> GateResult:
        """What the gate `bounds[k]` says."""
        return _gate_result(self.bounds[k], self.now, self.ticket, found)


def words_of(
    asked: JudgedOrder,
    head: Head,
    found: Callable[[int], "GateFound"],
    gates: Sequence[GateResult] = (),
) -> Decision:
    """The decision with its reason.

    Args:
        asked: The order.
        head: What was found of it.
        found: What was found of the gate `bounds[k]`; only those are asked for that the reason names.
        gates: Every gate's result, for whoever wants them.
    """
    linked, columns, ticket = asked.linked, asked.columns, asked.ticket
    refusal = asked.refusal
    if refusal is None and 0 < head.code < layout.REFUSAL_COUNT:
        # The only one that the kernel finds by itself.
        refusal = REDUCE_ONLY_UNTRUE
    if refusal is not None:
        return refused(linked, refusal, gates)
    step = ticket.instrument.lot_step
    if head.decision == 0:
        return approved(linked, ticket.lots * step, gates)
    at = columns.index(head.gate)
    if head.decision == 1:
        return reduced(linked, asked.result(at, found(at)), head.size * step, gates)
    if head.stage == 0:
        return denied(linked, asked.result(at, found(at)), gates)
    size = _least(asked.bounds, found) * step or Decimal(0)
    if head.stage < 3:
        note = too_small(ticket.instrument, size, ticket.valuation_price)
        return denied(linked, asked.result(at, found(at)), gates, note)
    failed = asked.result(int(head.again[layout.AGAIN_ENTRY]), GateFound.again(head.again))
    return denied(linked, failed, gates, f"at the reduced size {size}")


def _least(bounds: Sequence[Bound], found: Callable[[int], "GateFound"]) -> int:
    """The least lots that a gate leaves."""
    leaves = (
        each.headroom
        for k, bound in enumerate(bounds)
        if bound.gate.mode == "enforce" and (each := found(k)).outcome is Outcome.REDUCE
    )
    return max(0, int(min(leaves)))


def _ask(
    limits: Limits,
    books: CaseBooks,
    ticket: Ticket,
    refusal: Refusal | None,
    now: int,
    results: Results,
    detail: Detail,
) -> None:
    refused_as = 0
    if refusal is not None and refusal.code in layout.REFUSALS:
        refused_as = layout.REFUSALS.index(refusal.code)
    kernel_of(limits.slots).evaluate_one(
        pack(books.arrays),
        pack(limits.bindings),
        pack(results),
        pack(detail),
        *(now, 0, 0, 0, books.symbol, ticket.side, ORDER_TYPES.index(ticket.type)),
        *(float(ticket.lots), refused_as, ticket.price, ticket.valuation_price),
        int(ticket.reduce_only),
    )


def columns_of(bounds: Sequence[Bound], columns: Sequence[tuple[str, str, int]]) -> list[int]:
    """The column of each gate, where `columns` are those of `Limits`."""
    places = {key: g for g, key in enumerate(columns)}
    seen: dict[tuple[str, str], int] = {}
    found = []
    for bound in bounds:
        name, level = bound.gate.name, bound.gate.level
        seen[name, level] = seen.get((name, level), -1) + 1
        found.append(places[name, level, seen[name, level]])
    return found


class GateFound(NamedTuple):
    """What the kernel says of one gate; headroom in lots, below zero where it was not looked for."""

    outcome: Outcome
    measure: float
    limit: float
    check: int
    headroom: float

    @classmethod
    def at(cls, g: int, results: Results, detail: Detail) -> "GateFound":
        """Of the column `g`, for one order."""
        return cls(
            _OUTCOMES[int(results.outcome[g, 0])],
            float(results.measure[g, 0]),
            float(results.limit[g, 0]),
            int(detail.check[g]),
            float(detail.headroom[g]),
        )

    @classmethod
    def of(
        cls, outcome: int, measure: float, limit: float, check: int, headroom: float
    ) -> "GateFound":
        """Of the numbers that the kernel wrote."""
        return cls(_OUTCOMES[outcome], measure, limit, check, headroom)

    @classmethod
    def again(cls, told: Sequence[float]) -> "GateFound":
        """Of the gate that did not let the reduced size pass."""
        _, outcome, measure, limit, check = told
        return cls(_OUTCOMES[int(outcome)], measure, limit, int(check), -1.0)


def _gate_result(bound: Bound, now: int, ticket: Ticket, found: GateFound) -> GateResult:
    gate, row = bound.gate, bound.row_at(now)
    reason = ""
    if found.outcome is Outcome.EXEMPT:
        reason = "the order only reduces risk"
    elif found.check < 0:
        reason = "no limit is set"
    elif found.outcome is Outcome.UNKNOWN:
        reason = "an input is missing or stale"
    shown = gate.rule.checks[found.check] if found.check >= 0 else None
    return gate_result(
        gate,
        found.outcome,
        check=shown.name if shown else "",
        measure=found.measure,
        limit=found.limit,
        unit=shown.unit.kind if shown else "",
        headroom=int(found.headroom) * ticket.instrument.lot_step if found.headroom >= 0 else None,
        reason=reason,
        source=row.span,
    )
