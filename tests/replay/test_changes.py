"""What changes between base and head, against plain sums; the same for any size of batch."""

from dataclasses import replace

import numpy as np
import pytest

from replay.decided_batches import COLUMNS, NAMES, decided, parts
from ringfence.replay import changes as module
from ringfence.replay.changes import Changes

pytestmark = pytest.mark.unit

MARKS, WORTH = np.array([101.0, 99.0, 100.5]), np.array([1.0, 10.0, 1.0])


def compared(base, head, size=10**9, marks=MARKS):
    found = Changes("propagated", COLUMNS, COLUMNS, 3)
    for before, after in zip(parts(base, size), parts(head, size), strict=True):
        found.add(before, after)
    return found.result(
        currency="USDT",
        last_marks=marks,
        money_per_price=WORTH,
        accounts=NAMES["account"],
        strategies=NAMES["strategy"],
        symbols=NAMES["symbol"],
    )


def two_sides(rows=2000):
    """A base, and a head over the same orders that decides otherwise; notional fits `WORTH`."""
    base, other = decided(rows, seed=1), decided(rows, seed=2)
    asked = base.orders.size
    notional = asked * base.orders.price * WORTH[base.orders.symbol]
    made = other.decision
    size = np.where(made == 2, 0.0, np.where(made == 1, asked / 4, asked))
    head = replace(other, orders=base.orders, size=size, notional=notional)
    return replace(base, notional=notional), head


def test_nothing_changes_between_equal_sides():
    base = decided(500)
    found = compared(base, base)

    assert found["orders"] == found["truncated"] == 0
    assert found["examples"] == found["by_gate"] == []
    assert found["pnl_at_stake"] == found["notional_at_stake"] == 0.0


def test_kinds_stakes_and_gates_are_those_of_the_rows():
    base, head = two_sides()
    found = compared(base, head)
    changed = (base.decision != head.decision) | (base.size != head.size)
    delta = head.size - base.size
    worth, orders = head.notional, base.orders
    known = worth == worth
    pnl = delta * orders.side * (MARKS[orders.symbol] - orders.price) * WORTH[orders.symbol]

    assert found["orders"] == changed.sum()
    assert found["newly_rejected"] == (changed & (head.decision == 2)).sum()
    assert found["newly_approved"] == (changed & (head.decision == 0)).sum()
    assert found["resized"] == (changed & (head.decision == 1) & (base.decision == 1)).sum()
    moved = np.abs(delta) / orders.size * worth
    assert found["notional_at_stake"] == pytest.approx(moved[changed & known].sum())
    assert found["pnl_at_stake"] == pytest.approx(pnl[changed & known].sum())
    assert sum(row["orders"] for row in found["by_gate"]) == changed.sum()
    assert found["truncated"] == changed.sum() - len(found["examples"])


def test_pnl_at_stake_is_reckoned_from_the_orders_own_price_and_not_from_its_valuation():
    # A buy far below the market is valued at the ask, yet would have filled at its limit.
    base, head = two_sides()
    dearer = 2.0 * base.notional
    found = compared(replace(base, notional=dearer), replace(head, notional=dearer))

    assert found["pnl_at_stake"] == pytest.approx(compared(base, head)["pnl_at_stake"])
    assert found["notional_at_stake"] == pytest.approx(
        2.0 * compared(base, head)["notional_at_stake"]
    )


def test_orders_without_a_price_count_at_their_valuation_price():
    base, head = two_sides(300)
    priced = base.orders.price == base.orders.price
    price = np.where(priced, base.orders.price, 98.0)
    notional = base.orders.size * price * WORTH[base.orders.symbol]
    found = compared(replace(base, notional=notional), replace(head, notional=notional))
    delta = (head.size - base.size) * base.orders.side
    symbol = base.orders.symbol

    assert not priced.all()
    assert found["pnl_at_stake"] == pytest.approx(
        (delta * (MARKS[symbol] - price) * WORTH[symbol]).sum()
    )


def test_examples_are_those_that_move_most_in_order_of_time(monkeypatch):
    monkeypatch.setattr(module, "EXAMPLES", 20)
    base, head = two_sides()
    found = compared(base, head)["examples"]
    moved = np.nan_to_num(np.abs(head.size - base.size) / base.orders.size * head.notional)

    assert len(found) == 20
    best = sorted(np.argsort(-moved, kind="stable")[:20].tolist())
    assert [each["order_id"] for each in found] == [f"order-{row}" for row in best]
    for each in found:
        row = int(each["order_id"].removeprefix("order-"))
        assert each["notional"] == pytest.approx(moved[row])
        assert each["gate"] == "total-exposure"
        assert each["unit"] == "money"
        stricter = head if head.size[row] <= base.size[row] and head.gate[row] >= 0 else base
        assert each["measure"] == stricter.measure[0, row]
        assert each["account"] in ("alpha", "beta")
        assert each["strategy"] in ("taker", None)


@pytest.mark.parametrize("size", [1, 7, 300])
def test_the_same_for_any_size_of_batch(size, monkeypatch):
    monkeypatch.setattr(module, "EXAMPLES", 20)
    base, head = two_sides(700)

    assert compared(base, head, size) == compared(base, head)


def test_pnl_without_a_mark_is_unknown():
    base, head = two_sides(100)

    assert compared(base, head, marks=np.array([np.nan] * 3))["pnl_at_stake"] is None
    assert compared(base, head, marks=np.array([100.0]))["pnl_at_stake"] is None


@pytest.mark.parametrize("size", [10**9, 7])
def test_parts_add_up_to_the_whole(size):
    base, head = two_sides()
    found = compared(base, head, size)
    changed = (base.decision != head.decision) | (base.size != head.size)

    for name in ("strategy", "symbol"):
        rows = found[f"by_{name}"]
        for kind in ("orders", "newly_rejected", "newly_reduced", "newly_approved", "resized"):
            assert sum(row[kind] for row in rows) == found[kind]
        for row in rows:
            code = list(NAMES[name]).index(row["name"])
            assert row["orders"] == (changed & (getattr(head.orders, name) == code)).sum()
