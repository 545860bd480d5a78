"""Kraken's adapter against an independent server: no order twice, none larger, none lost from sight."""

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from urllib3.exceptions import ConnectTimeoutError

from adapters.kraken_server import KrakenServer, running
from ringfence.adapters.exchange_kraken import KrakenClient, KrakenExchange
from ringfence.adapters.exchange_kraken.answers import Effect, failure_of
from ringfence.adapters.exchange_kraken.names import venue_name
from ringfence.adapters.exchange_kraken.sent import Sent, SentOrders
from ringfence.errors import ExchangeError
from ringfence.runtime.credentials import KRAKEN_API_KEY, KRAKEN_SECRET, Secret
from ringfence.runtime.exchanges import ExchangeOrder, OrderState
from ringfence.runtime.ports import FixedClock, SeededRandom

pytestmark = pytest.mark.integration

NOW_NS = 1_767_614_400_000_000_000
SECOND = 1_000_000_000
RANDOM = SeededRandom(5)
KEY, SECRET = KRAKEN_API_KEY.make(RANDOM), KRAKEN_SECRET.make(RANDOM)


class Desk:
    """A server, an adapter, one clock for both, and a list of the waits."""

    def __init__(self, server: KrakenServer) -> None:
        self.server = server
        self.clock = FixedClock(NOW_NS)
        self.waits: list[float] = []
        self.exchange = self.connect()
        server.requests.clear()

    def connect(self, key: str = KEY, secret: str = SECRET) -> KrakenExchange:
        client = KrakenClient(
            Secret(key),
            Secret(secret),
            url=self.server.url,
            timeout_s=0.5,
            pace_s=0,
            wait=self.waits.append,
        )
        return KrakenExchange(client, "main", clock=self.clock)

    def advance(self, seconds: int) -> None:
        self.clock.advance(seconds * SECOND)
        self.server.now_ns += seconds * SECOND


@pytest.fixture
def desk() -> Iterator[Desk]:
    with running(KEY, SECRET, NOW_NS) as server:
        yield Desk(server)


def asked(name: str = "c-1", **changed: Any) -> ExchangeOrder:
    plain = ExchangeOrder(
        "main",
        "BTC/USD",
        "buy",
        "limit",
        Decimal("0.4"),
        Decimal(50_000),
        name,
        NOW_NS + 5 * SECOND,
    )
    return replace(plain, **changed)


def test_steps_and_minima_are_the_exchanges_own(desk: Desk) -> None:
    bitcoin, ether = desk.exchange.instruments["BTC/USD"], desk.exchange.instruments["ETH/USD"]

    assert (bitcoin.lot_step, bitcoin.tick_size) == (Decimal("0.00000001"), Decimal("0.1"))
    assert (ether.lot_step, ether.tick_size) == (Decimal("0.001"), Decimal("0.01"))
    assert (bitcoin.min_size, bitcoin.min_notional, bitcoin.quote) == (
        Decimal("0.0001"),
        0.5,
        "USD",
    )
    # What is not open for trading cannot be sent.
    assert "OLD/USD" not in desk.exchange.instruments


def test_an_order_goes_out_in_the_exchanges_words(desk: Desk) -> None:
    ack = desk.exchange.submit(asked())

    (sent,) = desk.server.asked("AddOrder")
    assert sent.pop("nonce")
    assert sent == {
        "pair": "XXBTZUSD",
        "type": "buy",
        "ordertype": "limit",
        "volume": "0.40000000",
        "price": "50000",
        "cl_ord_id": "c-1",
        "deadline": "2026-01-05T12:00:05.000Z",
        "oflags": "fciq",
    }
    assert (ack.state, ack.size, ack.exchange_order_id) == (
        OrderState.WORKING,
        Decimal("0.4"),
        next(iter(desk.server.orders)),
    )


def test_market_and_stop_orders(desk: Desk) -> None:
    desk.exchange.submit(asked("m", type="market", price=None))
    desk.exchange.submit(asked("s", type="stop", side="sell", price=Decimal("45000.5")))

    market, stop = desk.server.asked("AddOrder")
    assert (market["ordertype"], "price" in market) == ("market", False)
    assert (stop["ordertype"], stop["price"], stop["type"]) == ("stop-loss", "45000.5", "sell")
    assert [each.type for each in desk.exchange.open_orders("main")] == ["market", "stop"]


@pytest.mark.parametrize(
    ("size", "sent"),
    [
        ("0.123456789", "0.12345678"),
        ("0.3", "0.30000000"),
        ("0.00019999999", "0.00019999"),
        ("7", "7.00000000"),
    ],
)
def test_a_size_is_cut_down_to_the_step(desk: Desk, size: str, sent: str) -> None:
    ack = desk.exchange.submit(asked(size=Decimal(size)))

    assert desk.server.asked("AddOrder")[0]["volume"] == sent
    assert ack.size == Decimal(sent) <= Decimal(size)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"size": Decimal("0.00009")}, "below the minimum size"),
        ({"size": Decimal("0.000000001")}, "below the minimum size"),
        ({"price": Decimal("50000.01")}, "no multiple of 0.1"),
        ({"price": Decimal("1000"), "size": Decimal("0.0004")}, "below the minimum notional"),
        ({"type": "market"}, "a market order has no price"),
        ({"type": "iceberg"}, "is no order"),
        ({"side": "hold"}, "is no order"),
    ],
)
def test_what_does_not_fit_is_rejected_and_not_sent(
    desk: Desk, changed: dict[str, Any], reason: str
) -> None:
    ack = desk.exchange.submit(asked(**changed))

    assert (ack.state, ack.size) == (OrderState.REJECTED, 0)
    assert reason in ack.reason
    assert desk.server.requests == []


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"symbol": "OLD/USD"}, "SYMBOL"),
        ({"account": "theirs"}, "ACCOUNT"),
        ({"client_order_id": ""}, "NAME"),
        ({"deadline_ns": NOW_NS + 2 * SECOND - 1}, "TOO_LATE"),
        ({"deadline_ns": NOW_NS - 1}, "TOO_LATE"),
    ],
)
def test_what_cannot_be_sent_is_an_error(desk: Desk, changed: dict[str, Any], code: str) -> None:
    with pytest.raises(ExchangeError) as caught:
        desk.exchange.submit(asked(**changed))

    assert caught.value.code == code
    assert desk.server.requests == []


ARRIVED = ["drop after", "503 after", "timeout after", "garbage after"]


@pytest.mark.parametrize("fault", ARRIVED)
def test_an_order_that_arrived_without_an_answer_is_found_and_not_sent_again(
    desk: Desk, fault: str
) -> None:
    desk.server.fail("AddOrder", fault)

    ack = desk.exchange.submit(asked())

    assert (ack.state, ack.exchange_order_id) == (OrderState.WORKING, "O00000-CCCCC-DDDDDD")
    assert len(desk.server.asked("AddOrder")) == 1
    assert len(desk.server.orders) == 1


LOST = ["drop before", "503 before", "timeout before", "EService:Unavailable", "redirect"]


@pytest.mark.parametrize("fault", [*LOST, "EGeneral:Internal error", "EOdd:never heard of"])
def test_an_order_that_may_have_arrived_is_unknown_until_its_deadline_has_passed(
    desk: Desk, fault: str
) -> None:
    desk.server.fail("AddOrder", fault)

    ack = desk.exchange.submit(asked())
    assert (ack.state, ack.size) == (OrderState.UNKNOWN, Decimal("0.4"))
    desk.advance(5)
    assert desk.exchange.find("main", "c-1").state is OrderState.UNKNOWN
    desk.advance(2)
    ended = desk.exchange.find("main", "c-1")

    assert (ended.state, ended.size) == (OrderState.REJECTED, 0)
    assert len(desk.server.asked("AddOrder")) == 1
    assert desk.server.orders == {}


def test_an_order_that_arrives_late_is_found(desk: Desk) -> None:
    desk.server.fail("AddOrder", "hold")
    assert desk.exchange.submit(asked()).state is OrderState.UNKNOWN
    # Handed in again it is asked for, and not sent.
    assert desk.exchange.submit(asked()).state is OrderState.UNKNOWN
    desk.advance(3)
    desk.server.let_in()

    assert desk.exchange.find("main", "c-1").state is OrderState.WORKING
    assert desk.exchange.submit(asked(deadline_ns=NOW_NS + 9 * SECOND)).state is OrderState.WORKING
    assert len(desk.server.orders) == len(desk.server.asked("AddOrder")) == 1


def test_after_its_deadline_a_held_order_is_refused_by_the_exchange(desk: Desk) -> None:
    desk.server.fail("AddOrder", "hold")
    desk.exchange.submit(asked())
    desk.advance(7)

    assert desk.exchange.find("main", "c-1").state is OrderState.REJECTED
    assert desk.server.let_in() == [{"error": ["EService:Deadline elapsed"]}]


def test_an_order_of_an_earlier_process_is_found_or_rejected_in_time(desk: Desk) -> None:
    desk.exchange.submit(asked("before"))
    restarted = desk.connect()

    assert restarted.find("main", "before").state is OrderState.WORKING
    assert restarted.find("main", "never").state is OrderState.UNKNOWN
    desk.advance(62)
    assert restarted.find("main", "never").state is OrderState.REJECTED


@pytest.mark.parametrize(
    "fault", ["EAPI:Rate limit exceeded", "EOrder:Rate limit exceeded", "EAPI:Invalid nonce"]
)
def test_what_was_surely_not_taken_is_sent_again_after_a_wait(desk: Desk, fault: str) -> None:
    desk.server.fail("AddOrder", fault, fault)

    assert desk.exchange.submit(asked()).state is OrderState.WORKING
    assert desk.waits == [1.0, 2.0]
    assert len(desk.server.orders) == 1


def test_it_is_not_sent_again_without_end_nor_after_its_deadline(desk: Desk) -> None:
    desk.server.fail("AddOrder", *["EAPI:Rate limit exceeded"] * 5)
    ack = desk.exchange.submit(asked())

    assert (ack.state, ack.reason) == (OrderState.REJECTED, "EAPI:Rate limit exceeded")
    assert len(desk.server.asked("AddOrder")) == 4
    desk.exchange._client._wait = lambda _: desk.clock.advance(6 * SECOND)
    assert desk.exchange.submit(asked("c-2")).state is OrderState.REJECTED
    assert len(desk.server.asked("AddOrder")) == 5


@pytest.mark.parametrize("fault", ["EOrder:Insufficient funds", "EGeneral:Permission denied"])
def test_a_refusal_is_final(desk: Desk, fault: str) -> None:
    desk.server.fail("AddOrder", fault)
    ack = desk.exchange.submit(asked())

    assert (ack.state, ack.size, ack.reason) == (OrderState.REJECTED, 0, fault)
    assert desk.exchange.find("main", "c-1").reason == fault
    assert [name for name, _ in desk.server.requests] == ["AddOrder"]


def test_without_a_server_nothing_was_sent(desk: Desk) -> None:
    desk.exchange._client._ccxt.urls["api"]["private"] = "http://127.0.0.1:1"
    ack = desk.exchange.submit(asked())

    assert (ack.state, ack.reason) == (OrderState.REJECTED, "no connection")
    with pytest.raises(ExchangeError, match="UNREACHABLE: no answer after 4 requests"):
        desk.exchange.open_orders("main")


def test_a_failure_that_its_caller_handles_says_nothing_about_an_order(desk: Desk) -> None:
    desk.server.fail("AddOrder", "timeout after")
    try:
        raise ConnectTimeoutError("of something else")
    except ConnectTimeoutError:
        ack = desk.exchange.submit(asked("c-1", type="market", price=None))

    assert ack.state is OrderState.WORKING
    assert len(desk.server.asked("AddOrder")) == len(desk.server.orders) == 1


def test_where_asking_fails_too_the_order_stays_unknown(desk: Desk) -> None:
    desk.server.fail("AddOrder", "drop after")
    desk.server.fail("OpenOrders", *["EService:Busy"] * 4)

    ack = desk.exchange.submit(asked())
    assert (ack.state, ack.size) == (OrderState.UNKNOWN, Decimal("0.4"))
    assert "EService:Busy" in ack.reason
    assert desk.exchange.find("main", "c-1").state is OrderState.WORKING


def test_a_client_order_id_stands_for_one_order(desk: Desk) -> None:
    first = desk.exchange.submit(asked())

    assert desk.exchange.submit(asked()).exchange_order_id == first.exchange_order_id
    other = desk.exchange.submit(asked(size=Decimal("0.5")))
    assert (other.state, other.size) == (OrderState.REJECTED, 0)
    assert len(desk.server.asked("AddOrder")) == 1


def test_states_come_from_asking(desk: Desk) -> None:
    txid = desk.exchange.submit(asked()).exchange_order_id
    desk.server.fill(txid, "0.1", "50000")
    part = desk.exchange.find("main", "c-1")
    desk.server.fail("CancelOrder", "drop after")
    # The first cancel arrived, so the second finds nothing; the order's state tells which it was.
    assert desk.exchange.cancel("main", "c-1") is False
    ended = desk.exchange.find("main", "c-1")

    assert (part.state, part.filled) == (OrderState.WORKING, Decimal("0.1"))
    assert (ended.state, ended.filled) == (OrderState.CANCELLED, Decimal("0.1"))
    assert desk.exchange.open_orders("main") == ()
    desk.exchange.submit(asked("c-2"))
    assert [desk.exchange.cancel("main", name) for name in ("c-2", "c-3")] == [True, False]
    desk.server.orders[txid]["status"] = "odd"
    with pytest.raises(ExchangeError, match="state is `odd`"):
        desk.exchange.find("main", "c-1")


def test_a_cancel_that_is_refused_is_an_error(desk: Desk) -> None:
    desk.server.fail("CancelOrder", "EGeneral:Permission denied")

    with pytest.raises(ExchangeError, match="Permission denied"):
        desk.exchange.cancel("main", "c-1")


def test_fills_come_in_order_each_once_with_what_was_filled_until_then(desk: Desk) -> None:
    first = desk.exchange.submit(asked("c-1")).exchange_order_id
    second = desk.exchange.submit(asked("c-2", symbol="ETH/USD", size=Decimal(2))).exchange_order_id
    desk.server.fill(first, "0.1", "50000", "0.2")
    desk.server.fill(second, "1.5", "2000")
    desk.advance(1)
    one, two = desk.exchange.fills_after("main", "")
    desk.server.fill(first, "0.3", "49999.9")
    # Another process goes on from the cursor, in the same second.
    later = desk.connect().fills_after("main", two.cursor)

    assert (one.client_order_id, one.size, one.price, one.fee, one.fee_currency) == (
        ("c-1", Decimal("0.1"), Decimal(50_000), Decimal("0.2"), "USD")
    )
    assert (two.symbol, two.side, two.timestamp) == ("ETH/USD", "buy", NOW_NS)
    assert [(each.client_order_id, each.cumulative_size) for each in later] == [
        ("c-1", Decimal("0.4"))
    ]
    assert desk.exchange.fills_after("main", later[0].cursor) == ()
    with pytest.raises(ExchangeError, match="no cursor"):
        desk.exchange.fills_after("main", "yesterday")


def test_a_trade_that_comes_while_asking_counts_in_the_next_answer_only(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    txid = desk.exchange.submit(asked()).exchange_order_id
    history = desk.server.on_TradesHistory

    def and_then_a_trade(given: dict[str, str]) -> Any:
        answer = history(given)
        if len(desk.server.trades) == 1:
            desk.advance(1)
            desk.server.fill(txid, "0.2", "50000")
        return answer

    desk.server.fill(txid, "0.1", "50000")
    monkeypatch.setattr(desk.server, "on_TradesHistory", and_then_a_trade)
    (first,) = desk.exchange.fills_after("main", "")
    desk.advance(1)
    (second,) = desk.exchange.fills_after("main", first.cursor)

    assert [first.cumulative_size, second.cumulative_size] == [Decimal("0.1"), Decimal("0.3")]


def test_a_long_history_is_read_to_its_end(desk: Desk) -> None:
    txid = desk.exchange.submit(asked(size=Decimal(1))).exchange_order_id
    names = []
    for _ in range(130):
        desk.advance(1)
        names.append(desk.server.fill(txid, "0.001", "50000"))

    fills = desk.exchange.fills_after("main", "")
    assert [each.fill_id for each in fills] == names
    assert [each.cumulative_size for each in fills] == [Decimal(n) / 1000 for n in range(1, 131)]
    rest = desk.connect().fills_after("main", fills[99].cursor)
    assert rest == fills[100:]


def test_an_order_and_a_fill_that_are_not_ours_have_no_name(desk: Desk) -> None:
    desk.server.on_AddOrder(
        {"pair": "XXBTZUSD", "type": "sell", "ordertype": "limit", "volume": "1", "price": "60000"}
    )
    (txid,) = desk.server.orders
    desk.server.fill(txid, "0.5", "60000")

    assert [each.client_order_id for each in desk.exchange.open_orders("main")] == [""]
    assert [each.client_order_id for each in desk.exchange.fills_after("main", "")] == [""]


def test_a_long_name_goes_out_as_a_hash_and_comes_back_as_itself(desk: Desk) -> None:
    name = "desk/strategy/2026-01-05/000000001"
    txid = desk.exchange.submit(asked(name)).exchange_order_id
    desk.server.fill(txid, "0.1", "50000")

    assert desk.server.asked("AddOrder")[0]["cl_ord_id"] == venue_name(name) != name
    assert desk.exchange.open_orders("main")[0].client_order_id == name
    assert desk.exchange.fills_after("main", "")[0].client_order_id == name
    assert desk.connect().find("main", name).exchange_order_id == txid


def test_names_of_earlier_processes_are_known_up_to_a_bound(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ringfence.adapters.exchange_kraken.exchange.NAMES", 2)
    names = [f"desk/strategy/2026-01-05/{number:09}" for number in range(3)]
    for each in names:
        desk.exchange.submit(asked(each))
    later = desk.connect()
    later.know([*names, names[1]])

    shown = {each.client_order_id for each in later.open_orders("main")}
    assert shown == {venue_name(names[0]), *names[1:]}


def test_an_order_of_long_ago_is_asked_for_and_not_sent_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk.exchange, "_sent", SentOrders(latest=2, names=5))
    first = desk.exchange.submit(asked("c-0"))
    for number in range(1, 5):
        desk.exchange.submit(asked(f"c-{number}"))

    again = desk.exchange.submit(asked("c-0"))
    assert (again.exchange_order_id, again.state) == (first.exchange_order_id, OrderState.WORKING)
    assert len(desk.server.orders) == 5

    desk.exchange.submit(asked("c-5"))
    # Names are remembered up to a bound as well.
    sent = desk.exchange._sent
    assert [sent.add(each, Sent(each, "1", "", 0)) for each in ("c-1", "c-0", "c-2")] == [
        False,
        True,
        False,
    ]


@given(name=st.text(st.characters(exclude_categories=()), min_size=1, max_size=50))
def test_every_name_becomes_one_that_the_exchange_takes(name: str) -> None:
    sent = venue_name(name)

    assert sent.isascii()
    assert len(sent) in {*range(1, 19), 32, 36}
    assert sent == name or len(sent) == 32


def test_questions_keep_the_pace_and_orders_do_not_wait(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    costs: list[int] = []
    monkeypatch.setattr(desk.exchange._client._ccxt, "throttle", costs.append)

    desk.exchange.submit(asked())
    desk.exchange.cancel("main", "c-1")
    assert costs == []
    desk.exchange.open_orders("main")
    desk.exchange.fills_after("main", "")
    assert costs == [3, 6]


def test_orders_of_many_threads_all_arrive_with_growing_nonces(desk: Desk) -> None:
    names = [f"c-{number}" for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        acks = list(pool.map(lambda name: desk.exchange.submit(asked(name)), names))

    assert {ack.state for ack in acks} == {OrderState.WORKING}
    assert sorted(each["cl_ord_id"] for each in desk.server.orders.values()) == sorted(names)
    assert desk.waits == []


@pytest.mark.security
def test_a_wrong_key_or_secret_is_an_error_that_shows_neither(desk: Desk) -> None:
    for key, secret, told in (
        (KEY[::-1], SECRET, "Invalid key"),
        (KEY, KRAKEN_SECRET.make(RANDOM), "Invalid signature"),
    ):
        with pytest.raises(ExchangeError, match=told) as caught:
            desk.connect(key, secret).open_orders("main")
        assert key not in str(caught.value)
        assert caught.value.__cause__ is None


@pytest.mark.security
def test_no_secret_is_logged_or_shown(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        desk.server.fail("AddOrder", "503 after")
        desk.exchange.submit(asked())
        desk.server.fail("OpenOrders", "EAPI:Invalid key")
        with pytest.raises(ExchangeError):
            desk.exchange.open_orders("main")

    signatures = [each["API-Sign"] for each in desk.server.headers if "API-Sign" in each]
    assert signatures
    shown = caplog.text + repr(desk.exchange) + repr(desk.exchange._client)
    assert not any(secret in shown for secret in (KEY, SECRET, *signatures))


def test_what_is_not_documented_as_a_refusal_may_have_arrived() -> None:
    for text in ("kraken {", "kraken []", 'kraken {"error": "x"}', 'kraken {"error": []}', ""):
        assert failure_of(ValueError(text)).effect is Effect.UNKNOWN
    mixed = 'kraken {"error": ["EOrder:Insufficient funds", "EService:Busy"]}'
    assert failure_of(ValueError(mixed)).effect is Effect.UNKNOWN
