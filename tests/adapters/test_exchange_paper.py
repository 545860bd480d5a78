"""The paper exchange: fills that were worked out by hand, and the same again for the same seed."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.adapters.exchange_paper import PaperExchange, PaperSettings
from ringfence.errors import ExchangeError, InputError
from ringfence.language.instruments import Instrument
from ringfence.language.orders import Market
from ringfence.runtime.exchanges import ExchangeOrder, OrderState, cut_to_step
from ringfence.runtime.ports import FixedClock

pytestmark = pytest.mark.unit

START = 1_000
BTC = Instrument(
    "BTC/USD",
    lot_step=Decimal("0.01"),
    min_size=Decimal("0.02"),
    max_size=Decimal(50),
    tick_size=Decimal("0.5"),
    quote="USD",
)


def paper(seed: int = 0, **settings: Any) -> PaperExchange:
    return PaperExchange(
        {"BTC/USD": BTC},
        frozenset({"main", "other"}),
        seed,
        settings=PaperSettings(**settings),
        clock=FixedClock(START),
    )


def asked(name: str = "c-1", **changed: Any) -> ExchangeOrder:
    plain = ExchangeOrder(
        "main", "BTC/USD", "buy", "limit", Decimal(2), Decimal(100), name, START + 10**12
    )
    return replace(plain, **changed)


def book(bid: float, ask: float, **depth: float) -> Market:
    return Market(bid=bid, ask=ask, last=bid, mark=(bid + ask) / 2, **depth)


def fills(exchange: PaperExchange, after: str = "") -> list[tuple[str, str, str, str]]:
    return [
        (f.client_order_id, str(f.size), str(f.price), str(f.cumulative_size))
        for f in exchange.fills_after("main", after)
    ]


def test_an_order_that_crosses_takes_and_pays_what_it_finds() -> None:
    exchange = paper()
    exchange.on_market("BTC/USD", book(98, 99))

    ack = exchange.submit(asked())

    assert (ack.state, ack.size, ack.filled) == (OrderState.FILLED, Decimal(2), Decimal(2))
    (fill,) = exchange.fills_after("main", "")
    assert (fill.price, fill.fee) == (Decimal("99.0"), Decimal(2) * 99 * Decimal("0.0026"))
    assert (fill.timestamp, fill.fee_currency, fill.side) == (START, "USD", "buy")


def test_an_order_that_waits_trades_at_its_own_price_as_maker() -> None:
    exchange = paper()
    exchange.on_market("BTC/USD", book(101, 102))
    assert exchange.submit(asked()).state is OrderState.WORKING
    assert [o.client_order_id for o in exchange.open_orders("main")] == ["c-1"]

    exchange.on_market("BTC/USD", book(98, 99))

    (fill,) = exchange.fills_after("main", "")
    assert (fill.price, fill.fee) == (Decimal(100), Decimal(200) * Decimal("0.0016"))
    assert exchange.open_orders("main") == ()
    assert exchange.find("main", "c-1").state is OrderState.FILLED


def test_the_depth_bounds_a_fill_and_is_used_up_until_the_next_quote() -> None:
    exchange = paper()
    exchange.on_market("BTC/USD", book(99, 100, ask_depth=1.505))
    first = exchange.submit(asked("c-1"))
    second = exchange.submit(asked("c-2"))

    assert (first.state, first.filled, second.filled) == (OrderState.WORKING, Decimal("1.5"), 0)
    # Asking does not move the market.
    assert exchange.find("main", "c-1").filled == Decimal("1.5")
    exchange.on_market("BTC/USD", book(99, 100, ask_depth=1))
    assert fills(exchange) == [
        ("c-1", "1.50", "100", "1.50"),
        ("c-1", "0.50", "100", "2.00"),
        ("c-2", "0.50", "100", "0.50"),
    ]
    assert fills(exchange, after="2") == [("c-2", "0.50", "100", "0.50")]


def test_sells_meet_the_bid() -> None:
    exchange = paper()
    exchange.on_market("BTC/USD", book(101, 102, bid_depth=1))

    assert exchange.submit(asked(side="sell")).filled == 1
    assert exchange.submit(asked("c-2", side="sell", type="market", price=None)).filled == 0
    exchange.on_market("BTC/USD", book(90, 91))
    assert fills(exchange)[1:] == [("c-2", "2.00", "90", "2.00")]


def test_by_mark_all_is_filled_at_the_mark() -> None:
    exchange = paper(fill_by="mark")
    exchange.on_market("BTC/USD", Market(mark=99.5, ask_depth=0.1))
    assert exchange.submit(asked()).state is OrderState.FILLED
    exchange.on_market("BTC/USD", Market(last=100.5))
    assert exchange.submit(asked("c-2")).state is OrderState.WORKING

    assert fills(exchange) == [("c-1", "2.00", "99.5", "2.00")]


@pytest.mark.parametrize("market", [Market(), Market(bid=-1, ask=0), Market(ask=float("inf"))])
def test_without_a_price_nothing_is_filled(market: Market) -> None:
    exchange = paper()
    exchange.on_market("BTC/USD", market)

    assert exchange.submit(asked(type="market", price=None)).state is OrderState.WORKING


def test_a_stop_waits_for_its_trigger() -> None:
    exchange = paper()
    exchange.on_market("BTC/USD", book(98, 99, ask_depth=10))
    assert exchange.submit(asked(type="stop")).state is OrderState.WORKING
    exchange.on_market("BTC/USD", book(99, 100, ask_depth=1))
    exchange.on_market("BTC/USD", book(97, 98))

    # Once touched it is a market order, also when the price comes back.
    assert fills(exchange) == [
        ("c-1", "1.00", "100", "1.00"),
        ("c-1", "1.00", "98", "2.00"),
    ]


def test_latency_is_counted_from_submission_whoever_asks_and_when() -> None:
    for polls in (0, 3):
        exchange = paper(latency_ns=10)
        clock = exchange.clock
        assert isinstance(clock, FixedClock)
        exchange.on_market("BTC/USD", book(98, 99))
        exchange.submit(asked())
        for _ in range(polls):
            clock.advance(3)
            assert fills(exchange) == []
        clock.advance(50)
        # It met the market that was there when it arrived, not the one that came after.
        exchange.on_market("BTC/USD", book(50, 51))
        (fill,) = exchange.fills_after("main", "")
        assert (fill.price, fill.timestamp) == (Decimal("99.0"), START + 10)


def test_a_client_order_id_stands_for_one_order() -> None:
    exchange = paper()
    first = exchange.submit(asked())

    assert exchange.submit(asked(size=Decimal("2.001"))) == first
    other = exchange.submit(asked(size=Decimal(3)))
    assert (other.state, other.size) == (OrderState.REJECTED, 0)
    assert "stands for another order" in other.reason
    assert exchange.submit(asked(account="other")).state is OrderState.WORKING
    assert len(exchange.open_orders("main")) == 1


def test_a_cancelled_order_keeps_what_it_filled() -> None:
    exchange = paper()
    exchange.on_market("BTC/USD", book(99, 100, ask_depth=1))
    exchange.submit(asked())

    assert [exchange.cancel("main", "c-1"), exchange.cancel("main", "c-1")] == [True, False]
    ack = exchange.find("main", "c-1")
    assert (ack.state, ack.filled) == (OrderState.CANCELLED, Decimal(1))
    exchange.on_market("BTC/USD", book(99, 100))
    assert len(fills(exchange)) == 1


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"symbol": "DOGE/USD"}, "unknown symbol"),
        ({"size": Decimal("0.019")}, "below the minimum size"),
        ({"size": Decimal(51)}, "above the maximum size"),
        ({"price": Decimal("100.1")}, "no multiple of the tick"),
        ({"price": None}, "a market order has no price"),
        ({"type": "market"}, "a market order has no price"),
        ({"type": "iceberg"}, "is no order"),
        ({"side": "hold"}, "is no order"),
    ],
)
def test_an_order_that_does_not_fit_is_rejected(changed: dict[str, Any], reason: str) -> None:
    exchange = paper()
    ack = exchange.submit(asked(**changed))

    assert (ack.state, ack.size) == (OrderState.REJECTED, 0)
    assert reason in ack.reason
    assert exchange.open_orders("main") == ()


def test_what_is_not_its_own_is_an_error() -> None:
    exchange = paper()
    for ask in (
        lambda: exchange.submit(asked(account="theirs")),
        lambda: exchange.open_orders("theirs"),
        lambda: exchange.submit(asked(deadline_ns=START)),
        lambda: exchange.fills_after("main", "x"),
        lambda: exchange.submit(asked(size=Decimal("1e60"))),
    ):
        with pytest.raises(ExchangeError):
            ask()
    assert exchange.find("main", "c-1").state is OrderState.REJECTED


def test_settings_that_do_not_fit_are_refused() -> None:
    for settings in ({"fill_by": "luck"}, {"partial_share": 1.1}, {"latency_ns": -1}):
        with pytest.raises(InputError, match="do not fit"):
            PaperSettings(**settings)  # type: ignore[arg-type]


def a_day(seed: int) -> list[Any]:
    exchange = paper(seed, partial_share=0.5, reject_share=0.2)
    seen: list[Any] = []
    for step in range(30):
        exchange.on_market("BTC/USD", book(99 + step % 3, 100 + step % 3, ask_depth=3))
        seen.append(exchange.submit(asked(f"c-{step}")))
    return [*seen, *exchange.fills_after("main", "")]


def test_one_seed_gives_one_day() -> None:
    assert a_day(7) == a_day(7)
    assert a_day(7) != a_day(8)
    states = {each.state for each in a_day(7)[:30]}
    assert states >= {OrderState.REJECTED, OrderState.WORKING}


@given(
    size=st.decimals("0.00000001", "1e9", places=8),
    step=st.decimals("0.00000001", "1000", places=8),
)
def test_a_size_is_cut_down_exactly_and_never_raised(size: Decimal, step: Decimal) -> None:
    cut = cut_to_step(size, step)

    assert cut <= size
    assert size - cut < step
    assert int(cut * 10**8) % int(step * 10**8) == 0


@given(seed=st.integers(0, 99), depths=st.lists(st.floats(0, 3), min_size=1, max_size=8))
def test_no_more_is_filled_than_was_sent(seed: int, depths: list[float]) -> None:
    exchange = paper(seed, partial_share=0.4)
    exchange.submit(asked())
    for depth in depths:
        exchange.on_market("BTC/USD", book(99, 100, ask_depth=depth))

    seen = exchange.fills_after("main", "")
    total = sum((fill.size for fill in seen), Decimal(0))
    assert total == exchange.find("main", "c-1").filled <= Decimal(2)
    assert total <= sum(Decimal(repr(depth)) for depth in depths)
    assert [fill.cumulative_size for fill in seen] == [
        sum((f.size for f in seen[: n + 1]), Decimal(0)) for n in range(len(seen))
    ]


def test_what_an_account_owns_follows_its_fills_and_fees() -> None:
    exchange = paper(owned={"main": {"USD": Decimal(1_000)}}, taker_fee=Decimal("0.001"))
    exchange.submit(asked())
    exchange.submit(asked("c-2", side="sell", size=Decimal("0.5"), type="market", price=None))
    exchange.on_market("BTC/USD", book(99, 100))

    owned = {
        "BTC": Decimal("1.5"),
        "USD": 1_000 - 200 - Decimal("0.2") + Decimal("49.5") * (1 - Decimal("0.001")),
    }
    assert exchange.balances("main") == owned
    assert exchange.balances("other") == {}


def test_a_cursor_of_a_moment_lies_before_every_fill_from_then_on() -> None:
    exchange = paper()
    clock = exchange.clock
    assert isinstance(clock, FixedClock)
    cursors = []
    for name in ("c-1", "c-2", "c-3"):
        exchange.submit(asked(name))
        exchange.on_market("BTC/USD", book(99, 100))
        cursors.append(exchange.cursor_at("main", clock.now_ns()))
        clock.advance(10)

    assert [len(fills(exchange, cursor)) for cursor in cursors] == [3, 2, 1]
    assert fills(exchange, exchange.cursor_at("main", clock.now_ns())) == []


def test_it_has_no_connection_and_keeps_every_name() -> None:
    exchange = paper()
    exchange.know(["a name"])

    assert exchange.watch("main", lambda _: None) is None


def test_what_has_ended_is_forgotten_in_time_and_what_works_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ringfence.adapters.exchange_paper.exchange._REMEMBERED", 3)
    exchange = paper()
    exchange.on_market("BTC/USD", book(98, 99))
    assert exchange.submit(asked("waits", price=Decimal(90))).state is OrderState.WORKING

    acks = [exchange.submit(asked(f"c-{number}")) for number in range(6)]

    assert len({each.exchange_order_id for each in acks}) == 6
    assert [name for name, *_ in fills(exchange)] == ["c-3", "c-4", "c-5"]
    assert [name for name, *_ in fills(exchange, "5")] == ["c-5"]
    assert fills(exchange, "6") == []
    assert exchange.cursor_at("main", START) == "3"
    assert exchange.find("main", "c-0").state is OrderState.REJECTED
    assert exchange.find("main", "c-5").state is OrderState.FILLED
    assert exchange.find("main", "waits").state is OrderState.WORKING
    assert exchange.cancel("main", "waits")
