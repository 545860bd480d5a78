"""The benchmarks measure what they say: same orders every time, same decisions as the plain loop's."""

from decimal import Decimal
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from benchmarks.generate import COLUMNS, Workload, orders_file
from benchmarks.loop_setup import orders_of, plain_loop
from benchmarks.plain_loop import GATES, Order, PlainLoop
from benchmarks.policy_files import policy_directory
from ringfence import PolicySet
from ringfence.language.orders import Book, Case, Market, OrderRequest, Position
from ringfence.replay.sources import open_inputs

pytestmark = pytest.mark.performance

ROOT = Path(__file__).parents[1]
NAN = float("nan")
WORDS = ("absent", "pass", "reduce", "breach", "exempt", "unknown")
DECISIONS = ("APPROVE", "REDUCE_SIZE", "REJECT")


def test_a_shorter_file_is_the_beginning_of_a_longer_one(tmp_path: Path) -> None:
    short = pq.read_table(orders_file(Workload(500, 10), tmp_path))
    long = pq.read_table(orders_file(Workload(2000, 10), tmp_path))

    assert tuple(short.column_names) == COLUMNS
    assert long.slice(0, 500).equals(short)


def test_orders_are_streamed_as_they_lie(tmp_path: Path) -> None:
    with open_inputs(str(orders_file(Workload(2000, 10), tmp_path)), survey=True) as inputs:
        assert inputs.orders.direct
        assert sum(map(len, inputs.orders)) == 2000
        assert inputs.orders.rejects.total == 0


def test_plain_loop_agrees_with_the_reference(tmp_path: Path) -> None:
    policies = PolicySet.load(policy_directory(tmp_path, 3))
    with open_inputs(str(orders_file(Workload(400, 3), tmp_path)), survey=True) as inputs:
        orders = orders_of(inputs.orders, inputs, 400)
    loop = plain_loop(policies.linked)
    seen = set()

    for order in orders:
        case = _case(policies, loop, order)
        (answer,) = loop.decide([order])
        decision = policies.evaluate(case)
        assert (DECISIONS[answer.decision], answer.code) == (decision.decision, decision.code or "")
        assert Decimal(str(answer.size)) == (decision.size or 0)
        for gate, found, result in zip(GATES, answer.found, decision.gates, strict=True):
            assert (gate, WORDS[found[0]]) == (result.gate, result.outcome)
            assert repr(found[1:]) == repr((result.measure, result.limit))
            seen.add((gate, result.outcome))

    assert {"pass", "exempt", "reduce", "breach"} <= {str(outcome) for _, outcome in seen}


def _case(policies: PolicySet, loop: PlainLoop, order: Order) -> Case:
    """The question that the loop is about to answer: its books, and the order's price as the market."""
    loop.start_day(order.ts)
    book = loop.books[order.account]
    loop.mark(book, order.symbol, order.price)
    price = order.price
    positions = {
        symbol: Position(
            Decimal(int(held.lots)) * policies.linked.desk.instruments[symbol].lot_step,
            mark=held.mark,
        )
        for symbol, held in book.held.items()
    }
    market = {order.symbol: Market(bid=price, ask=price, last=price, mark=price, age=0.0)}
    request = OrderRequest(
        account=order.account, symbol=order.symbol, side="buy" if order.side > 0 else "sell",
        size=order.size, price=price, strategy="maker", venue="north", reduce_only=order.reduce_only,
    )  # fmt: skip
    mine = Book(
        equity=book.equity, day_start_equity=book.day_start, day_start_balance=book.day_start,
        peak_equity=book.peak, positions=positions,
    )  # fmt: skip
    desk = policies.linked.desk
    return Case(
        request, order.ts, desk.instruments, market | {
            symbol: Market(age=0.0) for symbol in positions if symbol != order.symbol
        }, {f"account/{order.account}": mine}, correlations=desk.correlations,
    )  # fmt: skip
