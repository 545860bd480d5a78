"""An account against its exchange: what differs is found, and what cannot be known is no difference."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gateway.whole_desk import WholeDesk, whole_desk
from ringfence.gateway import reconcile, take_snapshot
from ringfence.gateway.snapshots import _positions
from ringfence.language.instruments import Instrument
from ringfence.runtime.reconciliation import Difference

pytestmark = pytest.mark.integration


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[WholeDesk]:
    with whole_desk(tmp_path) as made:
        yield made


Found = list[tuple[str, str, Decimal, Decimal]]


def compared(desk: WholeDesk, **settings: object) -> Found:
    waits: list[float] = []
    found = compared_at_all(desk, wait=waits.append, **settings)
    assert len(waits) == (2 if found else 0)
    return found


def compared_at_all(desk: WholeDesk, **settings: Any) -> Found:
    found = reconcile(
        desk.follower,
        desk.policies.linked.desk.instruments,
        **{"clock": desk.clock, "wait": lambda _: None} | settings,
    )
    return [(each.kind, each.subject, each.ours, each.theirs) for each in found]  # type: ignore[misc]


def traded(desk: WholeDesk) -> tuple[str, str]:
    """Three were bought of five, which still works; gives the order's ids here and there."""
    order_id, ack = desk.send("5", "c-1")
    desk.server.fill(ack.exchange_order_id, "3", "1000", "2.5")
    return order_id, ack.exchange_order_id


def test_books_that_agree_with_the_exchange_differ_in_nothing(desk: WholeDesk) -> None:
    traded(desk)
    # Approved, and on its way for all the exchange knows.
    desk.decide("1", "c-2")

    assert compared(desk, currency="USD") == []
    assert desk.guard.unreconciled == frozenset()
    assert desk.held() == 3


def test_a_planted_difference_is_found_and_nothing_else(desk: WholeDesk) -> None:
    _, txid = traded(desk)
    desk.server.move("XXBT", Decimal("0.5"))
    assert compared(desk) == [("position", "BTC/USD", 3, Decimal("3.5"))]
    assert desk.guard.unreconciled == {"main"}

    desk.server.move("XXBT", Decimal("-0.5"))
    assert compared(desk) == []
    assert desk.guard.unreconciled == frozenset()

    desk.server.move("ZUSD", Decimal("-7"))
    assert [each[:2] for each in compared(desk, currency="USD")] == [("cash", "account/main")]
    assert compared(desk, currency="USD", cash_tolerance="7.01") == []

    desk.server.orders[txid]["vol"] = "4"
    (found,) = compared(desk)
    assert (found[0], found[2:]) == ("order", (2, 1))


def test_orders_of_somebody_else_are_differences(desk: WholeDesk) -> None:
    for name in ("theirs", None):
        given = {"pair": "XXBTZUSD", "volume": "1", "price": "900", "type": "buy"}
        named = {"cl_ord_id": name} if name else {}
        desk.server.on_AddOrder({**given, "ordertype": "limit", **named})

    found = compared(desk)
    assert [each[:2] for each in found] == [
        ("order", next(k for k, v in desk.server.orders.items() if not v["cl_ord_id"])),
        ("order", "theirs"),
    ]


def test_an_order_that_vanished_is_found_once_it_cannot_be_on_its_way(desk: WholeDesk) -> None:
    order_id, txid = traded(desk)
    del desk.server.orders[txid]
    desk.server.trades.clear()
    desk.server.balances["XXBT"] = Decimal(0)
    desk.guard.on_fill(order_id, "3", 1_000, 2.5)
    assert [each[0] for each in compared(desk)] == ["position"]

    desk.pass_time(20)
    assert ("order", order_id, 2, None) in compared(desk)


def test_what_is_told_late_is_no_difference(desk: WholeDesk) -> None:
    _, txid = traded(desk)
    desk.follower.catch_up()
    looks = []

    def between(_: float) -> None:
        # The history lags behind the balances, for one look.
        looks.append(desk.held())
        desk.server.trades |= late

    desk.server.now_ns += 1_000_000_000
    desk.server.fill(txid, "1", "1000")
    name = max(desk.server.trades)
    late = {name: desk.server.trades.pop(name)}
    instruments = desk.policies.linked.desk.instruments

    assert reconcile(desk.follower, instruments, clock=desk.clock, wait=between) == ()
    assert (looks, desk.held()) == ([3], 4)


def test_only_a_difference_that_lasts_counts(desk: WholeDesk) -> None:
    _, txid = traded(desk)
    steps = iter(
        [
            lambda: desk.server.move("XXBT", Decimal(-1)),
            lambda: desk.server.orders[txid].update(vol="9"),
        ]
    )
    desk.server.move("XXBT", Decimal(1))
    desk.server.move("XETH", Decimal(7))

    found = reconcile(
        desk.follower,
        desk.policies.linked.desk.instruments,
        clock=desk.clock,
        wait=lambda _: next(steps)(),
    )
    assert [(each.subject, each.theirs) for each in found] == [("ETH/USD", 7)]


@pytest.mark.parametrize("planted", [False, True])
def test_an_order_that_came_or_ended_since_the_last_look_is_no_difference(
    desk: WholeDesk, monkeypatch: pytest.MonkeyPatch, planted: bool
) -> None:
    traded(desk)
    ending = desk.decide("1", "c-2")
    if planted:
        desk.server.move("XETH", Decimal(7))
    compare = desk.guard.reconcile

    def while_trading(*given: Any, **among: Any) -> tuple[Difference, ...]:
        desk.guard.on_cancel(ending.id)
        desk.decide("1", "c-3")
        return compare(*given, **among)

    monkeypatch.setattr(desk.guard, "reconcile", while_trading)

    assert [each[1] for each in compared(desk)] == (["ETH/USD"] if planted else [])
    assert desk.guard.unreconciled == ({"main"} if planted else set())


@pytest.mark.parametrize("planted", ["0", "0.5"])
def test_a_fill_between_two_questions_is_no_difference(
    desk: WholeDesk, monkeypatch: pytest.MonkeyPatch, planted: str
) -> None:
    txid = desk.send("8", "c-1")[1].exchange_order_id
    desk.server.move("XXBT", Decimal(planted))
    filling(desk, monkeypatch, txid, "1", looks=3)
    found = compared_at_all(desk)

    assert [each[:2] for each in found] == ([("position", "BTC/USD")] if planted != "0" else [])


@pytest.mark.parametrize("waits", [False, True])
def test_where_every_look_is_unclear_the_account_stays_as_it_is(
    desk: WholeDesk, monkeypatch: pytest.MonkeyPatch, waits: bool
) -> None:
    txid = desk.send("8", "c-1")[1].exchange_order_id
    desk.server.move("XXBT", Decimal("0.1"))
    if waits:
        assert compared(desk)
    filling(desk, monkeypatch, txid, "0.2", looks=20)
    found = compared_at_all(desk)

    assert [each[:2] for each in found] == ([("position", "BTC/USD")] if waits else [])
    assert desk.guard.unreconciled == ({"main"} if waits else set())


def filling(
    desk: WholeDesk, monkeypatch: pytest.MonkeyPatch, txid: str, size: str, *, looks: int
) -> None:
    """Let the order be filled right before and after the balances are told, for so many looks."""
    ask, left = desk.gateway.balances, iter(range(looks))

    def while_filled(account: str) -> Mapping[str, Decimal]:
        desk.server.now_ns += 1_000_000_000
        is_filled = next(left, None) is not None
        if is_filled:
            desk.server.fill(txid, size, "1000")
        found = ask(account)
        if is_filled:
            desk.server.fill(txid, size, "1000")
        return found

    monkeypatch.setattr(desk.gateway, "balances", while_filled)


def test_rewards_count_and_what_is_staked_does_not(desk: WholeDesk) -> None:
    desk.server.balances |= {"XBT.F": Decimal("0.25"), "XBT.S": Decimal(9), "XXBT": Decimal(1)}
    owned = desk.gateway.balances("main")

    assert (owned["BTC"], owned["BTC.S"], owned["USD"]) == (Decimal("1.25"), 9, 100_000)


INSTRUMENTS = {
    symbol: Instrument(symbol, lot_step=Decimal(step))
    for symbol, step in (
        ("BTC/EUR", "0.1"),
        ("BTC/USD", "0.1"),
        ("ETH/BTC", "1"),
        ("ETH/USD", "1"),
        ("SOL/EUR", "1"),
        ("SOL/USD", "1"),
    )
}


@pytest.mark.parametrize(
    ("held", "owned", "shown"),
    [
        # Two symbols of one base agree as a sum, however the exchange would split it.
        ({"SOL/USD": 5, "SOL/EUR": -2}, {"SOL": 3}, {"SOL/USD": 5, "SOL/EUR": -2}),
        # A difference is shown once, where most is held.
        ({"SOL/USD": 5, "SOL/EUR": 2}, {"SOL": 10}, {"SOL/USD": 8, "SOL/EUR": 2}),
        ({}, {"SOL": 10}, {"SOL/EUR": 10}),
        ({"SOL/USD": 5}, {}, {"SOL/USD": 0}),
        # Bitcoin pays for ether too: what it should be is not known.
        ({"BTC/USD": 1}, {"BTC": 4}, {"BTC/USD": 1}),
        # Less than a lot, and what has no instrument.
        ({"ETH/USD": 2}, {"ETH": Decimal("2.7"), "DOGE": 100}, {"ETH/USD": 2}),
    ],
)
def test_positions_from_balances(
    held: dict[str, int], owned: dict[str, Decimal], shown: dict[str, int]
) -> None:
    ours = {symbol: Decimal(size) for symbol, size in held.items()}
    positions, not_compared = _positions(owned, ours, INSTRUMENTS)

    assert positions == shown
    assert not_compared == ("BTC",)


def test_a_snapshot_says_what_it_could_not_compare(desk: WholeDesk) -> None:
    traded(desk)
    view = take_snapshot(desk.follower, INSTRUMENTS, clock=desk.clock)

    assert view.not_compared == ("BTC",)
    assert view.snapshot.account == "main"
    assert view.snapshot.cash is None
