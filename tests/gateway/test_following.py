"""Fills and ends reach the books, each once, whatever fails on the way and whenever the process ends."""

from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from adapters.kraken_socket import listening
from gateway.whole_desk import CREDENTIALS, Events, WholeDesk, whole_desk
from ringfence.errors import ExchangeError, InputError, LedgerError, StateError
from ringfence.gateway import FileCursor, Follower, FollowSettings, MemoryCursor, connect_paper
from ringfence.gateway.following import _fee
from ringfence.language.orders import Market
from ringfence.runtime.exchanges import ExchangeFill, ExchangeOrder, OrderAck, OrderState
from ringfence.runtime.guard_settings import GuardSettings
from ringfence.runtime.ports import FixedClock
from ringfence.runtime.used_approvals import MemoryUsedApprovals
from runtime.desk import NOON, SECOND, opened, order, policies

pytestmark = pytest.mark.integration

LONG = "a client order id that is longer than Kraken takes"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[WholeDesk]:
    with whole_desk(tmp_path) as made:
        yield made


def counted(follower: Follower, name: str) -> dict[str, float]:
    (found,) = (each for each in follower.metrics() if each.name == f"ringfence_{name}")
    values: dict[str, float] = {}
    for sample in found.samples:
        assert isinstance(sample.value, int)
        rest = {v for k, v in sample.labels.items() if k not in ("venue", "account")}
        values[rest.pop() if rest else ""] = sample.value
    return values


@pytest.mark.parametrize(
    "faults",
    [
        {},
        {"AddOrder": ["drop after"]},
        {"AddOrder": ["503 after"]},
        {"AddOrder": ["timeout after"]},
        {"AddOrder": ["EAPI:Rate limit exceeded"]},
        {"AddOrder": ["garbage after"], "OpenOrders": ["EAPI:Rate limit exceeded", "drop before"]},
        {"TradesHistory": ["503 before", "EService:Busy"], "QueryOrders": ["drop after"]},
        {"ClosedOrders": ["EAPI:Invalid nonce", "503 before"], "OpenOrders": ["503 after"]},
    ],
    ids=str,
)
def test_partial_fills_and_the_end_of_an_order_reach_the_books(
    faults: dict[str, list[str]], desk: WholeDesk
) -> None:
    for endpoint, kinds in faults.items():
        desk.server.fail(endpoint, *kinds)

    _, ack = desk.send("5", "c-1")
    (txid,) = desk.server.orders
    desk.server.fill(txid, "1.5", "999.5", "2")
    desk.follower.catch_up()
    first = desk.held()
    desk.server.fill(txid, "0.5", "1000", "1")
    desk.server.end(txid, "canceled", "by hand")
    desk.pass_time(20)
    desk.follower.catch_up()

    assert ack.state is OrderState.WORKING
    assert len(desk.server.orders) == 1
    assert (first, desk.held()) == (Decimal("1.5"), 2)
    assert desk.working() == []
    book = desk.guard.book("account/main")
    assert book.cash == pytest.approx(100_000 - 1.5 * 999.5 - 0.5 * 1000 - 3)
    assert counted(desk.follower, "fills") == {"booked": 2}
    assert counted(desk.follower, "ends") == {"cancelled": 1}


def test_an_end_waits_for_the_fills_that_the_exchange_counts(desk: WholeDesk) -> None:
    _, ack = desk.send("5", "c-1")
    desk.follower.catch_up()
    desk.server.fill(ack.exchange_order_id, "2", "1000")
    desk.server.end(ack.exchange_order_id, "expired", "out of time")
    # The trade history lags behind the order's state.
    late, desk.server.trades = desk.server.trades, {}
    desk.follower.catch_up()
    waiting = (desk.working(), counted(desk.follower, "orders_awaiting_fills"))
    desk.server.trades = late
    desk.follower.catch_up()

    assert waiting == (["c-1"], {"": 1})
    assert (desk.held(), desk.working()) == (2, [])
    assert counted(desk.follower, "ends") == {"expired": 1}
    assert desk.guard.book("firm").open_orders == ()


def test_a_restart_in_the_middle_misses_no_fill_and_doubles_none(desk: WholeDesk) -> None:
    sent = {}
    for name in ("c-1", "c-2", LONG):
        _, ack = desk.send("2", name)
        sent[name] = ack.exchange_order_id
    desk.server.fill(sent["c-1"], "0.5", "1000")
    desk.follower.catch_up()
    before = (desk.folder / "cursor").read_bytes()
    desk.server.now_ns += SECOND
    desk.server.fill(sent["c-1"], "1.5", "1000")
    desk.server.fill(sent[LONG], "1", "1000")
    desk.follower.catch_up()
    # The process ends before the cursor is kept.
    (desk.folder / "cursor").write_bytes(before)
    desk.server.fill(sent[LONG], "0.5", "1000")
    desk.server.end(sent[LONG], "canceled", "while nobody looked")
    desk.pass_time(120)

    following = desk.again()
    try:
        following.follower.catch_up()
        assert following.held() == Decimal("3.5")
        # A name that Kraken keeps as a hash is known again.
        assert following.working() == ["c-2"]
        assert counted(following.follower, "fills") == {"booked": 1, "known": 2}
        assert following.guard.book("account/main").cash == pytest.approx(100_000 - 3_500 - 0.4)
        assert following.records("foreign-fill") == []
        following.follower.catch_up()
        assert counted(following.follower, "fills") == {"booked": 1, "known": 2}
    finally:
        following.stop()


def test_without_a_cursor_it_begins_where_the_oldest_order_began(desk: WholeDesk) -> None:
    _, old = desk.send("1", "c-0")
    desk.server.fill(old.exchange_order_id, "1", "1000")
    desk.follower.catch_up()
    desk.pass_time(3_600)
    _, ack = desk.send("2", "c-1")
    desk.server.fill(ack.exchange_order_id, "2", "1000")
    (desk.folder / "cursor").unlink()

    desk.server.requests.clear()
    follower = Follower(desk.guard, desk.gateway, "main", MemoryCursor(), clock=desk.clock)
    follower.catch_up()

    assert desk.held() == 3
    # The older fill lies before that, and is not read again.
    assert counted(follower, "fills") == {"booked": 1}
    assert float(desk.server.asked("TradesHistory")[0]["start"]) >= NOON / 1e9 + 3_500


def test_an_order_that_was_refused_counts_no_more(desk: WholeDesk) -> None:
    desk.server.fail("AddOrder", "EOrder:Insufficient funds")
    _, ack = desk.send("5", "c-1")
    desk.follower.catch_up()

    assert ack.state is OrderState.REJECTED
    assert desk.working() == []
    assert counted(desk.follower, "ends") == {"rejected": 1}
    # No cancel left: it is told as an end of its own.
    assert [each["end"] for each in desk.records("end") if each] == ["expire"]


def test_an_order_that_was_certainly_not_sent_counts_no_more(desk: WholeDesk) -> None:
    answer = desk.decide("5", "c-1")
    desk.clock.advance(4 * SECOND)
    with pytest.raises(ExchangeError, match="TOO_LATE"):
        desk.gateway.submit(answer.approval, order("5", venue="kraken", client_order_id="c-1"))
    desk.follower.catch_up()

    assert desk.working() == []


def test_an_order_that_has_no_name_to_be_sent_under_counts_no_more(desk: WholeDesk) -> None:
    answer = desk.decide("5", "")
    with pytest.raises(ExchangeError, match="NAME"):
        desk.gateway.submit(answer.approval, order("5", venue="kraken"))
    desk.follower.catch_up()

    assert desk.working() == []


def test_an_approval_that_nobody_sends_counts_until_it_cannot_be_sent(desk: WholeDesk) -> None:
    desk.decide("5", "c-1")
    seen = []
    for _ in range(4):
        desk.follower.catch_up()
        seen.append(desk.working())
        desk.pass_time(5)
    # What an earlier process may have sent can arrive for a minute after the start.
    desk.pass_time(60)
    desk.follower.catch_up()

    assert seen == [["c-1"]] * 4
    assert desk.working() == []


def test_an_unknown_outcome_counts_until_the_exchange_has_answered(desk: WholeDesk) -> None:
    desk.server.fail("AddOrder", "hold", "hold")
    _, first = desk.send("2", "c-1")
    _, second = desk.send("2", "c-2")
    desk.follower.catch_up()
    unknown = desk.working()
    desk.server.held.pop()
    desk.server.let_in()
    desk.pass_time(30)
    desk.follower.catch_up()

    assert [first.state, second.state] == [OrderState.UNKNOWN] * 2
    assert unknown == ["c-1", "c-2"]
    # One arrived after all, the other never will.
    assert desk.working() == ["c-1"]


def test_a_fill_of_no_order_is_told_and_not_booked(desk: WholeDesk) -> None:
    desk.follower.catch_up()
    desk.server.on_AddOrder(
        {"pair": "XXBTZUSD", "volume": "1", "price": "1000", "type": "buy", "ordertype": "limit"}
    )
    desk.server.fill(next(iter(desk.server.orders)), "1", "1000")
    desk.follower.catch_up()
    desk.follower.catch_up()

    assert desk.held() == 0
    (record,) = desk.records("foreign-fill")
    assert (record["symbol"], record["size"], record["client_order_id"]) == ("BTC/USD", "1", "")
    assert counted(desk.follower, "fills") == {"foreign": 1}


def test_a_fill_that_the_guard_refuses_is_told_and_holds_up_nothing(desk: WholeDesk) -> None:
    order_id, ack = desk.send("2", "c-1")
    desk.guard.on_fill(order_id, "1", 999, 5)
    desk.server.fill(ack.exchange_order_id, "1", "1000")
    desk.server.fill(ack.exchange_order_id, "1", "1000")
    desk.follower.catch_up()

    assert desk.held() == 2
    (record,) = desk.records("fill-refused")
    assert "was reported at" in record["reason"]
    assert counted(desk.follower, "fills") == {"refused": 1, "booked": 1}


def test_a_fill_that_could_not_be_kept_is_told_again(
    desk: WholeDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, ack = desk.send("2", "c-1")
    desk.server.fill(ack.exchange_order_id, "1", "1000")
    desk.follower.catch_up()
    kept = (desk.folder / "cursor").read_bytes()
    desk.server.now_ns += SECOND
    desk.server.fill(ack.exchange_order_id, "1", "1000")

    def fail(*_: Any) -> Any:
        raise StateError("booked, but not kept")

    with monkeypatch.context() as patch:
        patch.setattr(desk.guard, "on_fill", fail)
        with pytest.raises(StateError):
            desk.follower.catch_up()
    assert (desk.folder / "cursor").read_bytes() == kept
    desk.follower.catch_up()

    assert desk.held() == 2


def test_one_order_that_cannot_be_found_out_about_holds_up_no_other(
    desk: WholeDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("c-1", "c-2"):
        _, ack = desk.send("1", name)
        desk.server.end(ack.exchange_order_id, "canceled", "by hand")
    find = desk.gateway.find

    def broken(account: str, name: str) -> Any:
        if name == "c-1":
            raise ExchangeError("ANSWER", "an order's state is `odd`")
        return find(account, name)

    with monkeypatch.context() as patch:
        patch.setattr(desk.gateway, "find", broken)
        desk.follower.catch_up()
    assert desk.working() == ["c-1"]
    assert counted(desk.follower, "follow_failures") == {"ANSWER": 1}
    desk.follower.catch_up()

    assert desk.working() == []


def test_an_end_of_an_order_that_the_guard_forgot_is_no_failure(
    desk: WholeDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, ack = desk.send("1", "c-1")
    desk.server.end(ack.exchange_order_id, "canceled", "by hand")

    def forgotten(_: str) -> bool:
        raise LedgerError("no order is known")

    monkeypatch.setattr(desk.guard, "on_cancel", forgotten)
    assert desk.follower.catch_up() == 0


def test_a_cursor_that_is_damaged_is_an_error_and_no_new_beginning(desk: WholeDesk) -> None:
    path = desk.folder / "cursor"
    for text in ("", "[]", '{"format": "other", "cursor": "1"}', '{"cursor": 3}'):
        path.write_text(text)
        with pytest.raises(InputError, match="holds no cursor"):
            desk.follower.catch_up()
    path.unlink()
    assert FileCursor(path).load() is None


def test_no_change_of_a_byte_gives_another_cursor(tmp_path: Path) -> None:
    path = tmp_path / "cursor"
    FileCursor(path).save("1767614400.123:T-42")
    content = path.read_bytes()
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 1 << place % 7
        path.write_bytes(changed)
        with suppress(InputError):
            assert FileCursor(path).load() == "1767614400.123:T-42"

    path.write_text('{"format": "ringfence-cursor/1", "cursor": "7"}')
    assert FileCursor(path).load() == "7"


# In a thread


QUIET = FollowSettings(poll_s=3_600, told_poll_s=3_600)


def test_in_a_thread_it_hears_of_fills_and_ends_and_asks_for_what_a_break_hid(
    tmp_path: Path,
) -> None:
    with whole_desk(tmp_path, follow=QUIET) as first, listening(first.server) as socket:
        first.stop()
        desk = WholeDesk(tmp_path, first.server, first.clock, follow=QUIET, stream_url=socket.url)
        events = Events(desk.guard)
        with desk.follower:
            sent = [desk.send("2", name)[1].exchange_order_id for name in ("c-1", LONG, "c-3")]
            desk.server.fill(sent[0], "2", "1000")
            events.wait(lambda: desk.held() == 2)
            assert counted(desk.follower, "stream_up") == {"": 1}
            desk.server.end(sent[1], "canceled", "by hand")
            events.wait(lambda: desk.working() == ["c-3"])
            # While the line is down an order trades and ends.
            socket.refuses = True
            socket.drop()
            desk.server.fill(sent[2], "1.5", "1000")
            desk.server.end(sent[2], "canceled", "by hand")
            socket.refuses = False
            events.wait(lambda: desk.working() == [])
            assert desk.held() == Decimal("3.5")
        assert counted(desk.follower, "stream_up") == {"": 0}
        desk.stop()


def test_in_a_thread_it_asks_again_after_a_failure(tmp_path: Path) -> None:
    often = FollowSettings(poll_s=0.01, longest_retry_s=0.02)
    with whole_desk(tmp_path, follow=often) as desk:
        events = Events(desk.guard)
        _, ack = desk.send("2", "c-1")
        desk.server.fail("TradesHistory", *["503 before"] * 12)
        desk.server.fill(ack.exchange_order_id, "2", "1000")
        with desk.follower:
            desk.follower.start()
            events.wait(lambda: desk.held() == 2)

        assert counted(desk.follower, "follow_failures") == {"UNREACHABLE": 3}


def test_a_fill_that_is_told_before_the_answer_to_its_order_is_not_forgotten(
    tmp_path: Path,
) -> None:
    with whole_desk(tmp_path, follow=QUIET) as desk:
        follower, exchange = desk.follower, desk.gateway._exchange
        follower._look()
        send = exchange.submit

        def filled_at_once(outgoing: ExchangeOrder) -> OrderAck:
            answer = send(outgoing)
            desk.server.fill(answer.exchange_order_id, "2", "1000")
            follower._told(exchange.find("main", outgoing.client_order_id))
            return answer

        exchange.submit = filled_at_once  # type: ignore[method-assign]
        assert desk.send("2", "c-1")[1].state is OrderState.WORKING
        # No look at everything: only what was told.
        follower._look()

        assert (desk.held(), desk.working()) == (2, [])


def test_a_partial_fill_that_the_history_lacks_yet_is_asked_for_again(tmp_path: Path) -> None:
    with whole_desk(tmp_path, follow=QUIET) as desk:
        follower, server = desk.follower, desk.server
        follower._look()
        _, ack = desk.send("2", "c-1")
        late = server.trades
        server.fill(ack.exchange_order_id, "0.5", "1000")
        told = desk.gateway.find("main", "c-1")
        server.trades = {}
        follower._told(told)
        follower._look()
        assert desk.held() == 0
        server.trades = late

        # Nothing more is told, and everything is looked at in an hour.
        follower._look()

        assert desk.held() == Decimal("0.5")
        assert follower._behind == {}


def test_it_may_stop_and_start_again(tmp_path: Path) -> None:
    with whole_desk(tmp_path, follow=QUIET) as desk:
        events = Events(desk.guard)
        with desk.follower:
            _, ack = desk.send("2", "c-1")
        desk.server.fill(ack.exchange_order_id, "2", "1000")
        desk.follower.stop()
        with desk.follower:
            events.wait(lambda: desk.held() == 2)


def test_on_paper_a_fill_at_once_needs_no_waiting(tmp_path: Path) -> None:
    clock, signer = FixedClock(NOON), None
    desk = policies(tmp_path / "policies")
    from ringfence.gateway import signer_of

    signer = signer_of(CREDENTIALS)
    settings = GuardSettings(in_memory=True, without_audit=True, signer=signer)
    guard = opened(desk, clock=clock, settings=settings)
    gateway, on_market = connect_paper(
        CREDENTIALS,
        MemoryUsedApprovals(clock),
        instruments=desk.linked.desk.instruments,
        accounts=frozenset({"main"}),
        clock=clock,
    )
    on_market("BTC/USD", Market(bid=999.0, ask=1_000.0))
    events = Events(guard)
    with Follower(guard, gateway, "main", MemoryCursor(), settings=QUIET, clock=clock):
        asked = order("2", venue="paper", client_order_id="c-1")
        answer = guard.evaluate_order(asked)
        gateway.submit(answer.approval, asked)
        events.wait(lambda: guard.working_orders() == ())

    assert guard.book("account/main").positions["BTC/USD"].size == 2


@pytest.mark.parametrize(
    ("symbol", "currency", "fee"),
    [
        ("BTC/USD", "USD", "0.5"),
        ("BTC/USD", "", "0.5"),
        ("BTC/USD", "BTC", "500"),
        ("PERP", "USD", "0.5"),
        ("BTC/USD", "KFEE", "NaN"),
    ],
)
def test_a_fee_counts_in_the_quote_currency(symbol: str, currency: str, fee: str) -> None:
    one = Decimal(1)
    fill = ExchangeFill(
        "f", "c", "c-1", "x", symbol, "buy", one, one, Decimal(1000), Decimal("0.5"), currency, NOON
    )
    assert str(_fee(fill).normalize()) in (fee, str(Decimal(fee).normalize()))
