"""Order states over Kraken's websocket, against a local one: told at once, and nothing lost by a break."""

import threading
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest

from adapters.kraken_server import KrakenServer, running
from adapters.kraken_socket import KrakenSocket, listening
from adapters.test_exchange_kraken import KEY, NOW_NS, SECRET, asked
from ringfence.adapters.exchange_kraken import KrakenClient, KrakenExchange
from ringfence.adapters.exchange_kraken.stream import KrakenStream
from ringfence.runtime.credentials import Secret
from ringfence.runtime.exchanges import OrderAck, OrderState
from ringfence.runtime.ports import FixedClock

pytestmark = pytest.mark.integration


class Told:
    """What a stream told, and a way to wait for it."""

    def __init__(self) -> None:
        self.answers: list[OrderAck | None] = []
        self._changed = threading.Condition()

    def __call__(self, answer: OrderAck | None) -> None:
        with self._changed:
            self.answers.append(answer)
            self._changed.notify_all()

    def wait(self, holds: Callable[[list[OrderAck | None]], Any]) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: holds(self.answers), 60), self.answers

    def states(self, name: str = "c-1") -> list[OrderState]:
        return [each.state for each in self.answers if each and each.client_order_id == name]


class Following:
    """A server, its websocket, an adapter and a stream."""

    def __init__(self, server: KrakenServer, socket: KrakenSocket) -> None:
        self.server, self.socket, self.told = server, socket, Told()
        client = KrakenClient(
            Secret(KEY), Secret(SECRET), url=server.url, timeout_s=5, pace_s=0, wait=lambda _: None
        )
        self.exchange = KrakenExchange(client, "main", clock=FixedClock(NOW_NS))
        self.client = client
        self.stream = self.connect()

    def connect(self, **changed: Any) -> KrakenStream:
        return KrakenStream(
            self.socket.url,
            lambda: str(self.client.ask("GetWebSocketsToken")["token"]),
            self.exchange._our_name,
            self.told,
            first_wait_s=0.001,
            **changed,
        )


@pytest.fixture
def following() -> Iterator[Following]:
    with running(KEY, SECRET, NOW_NS) as server, listening(server) as socket:
        made = Following(server, socket)
        made.told.wait(lambda told: None in told)
        yield made
        made.stream.close()


def test_states_of_orders_are_told_as_they_happen(following: Following) -> None:
    ack = following.exchange.submit(asked("a name that is longer than Kraken takes"))
    following.server.fill(ack.exchange_order_id, "0.1", "50000")
    following.exchange.cancel("main", "a name that is longer than Kraken takes")
    following.told.wait(lambda told: told[-1] and told[-1].state is OrderState.CANCELLED)

    named = [each for each in following.told.answers if each is not None]
    # Kraken's last word on an order leaves out its client order id.
    assert {each.client_order_id for each in named} == {"a name that is longer than Kraken takes"}
    assert [(each.state, each.filled) for each in named] == [
        (OrderState.WORKING, 0),
        (OrderState.WORKING, Decimal("0.1")),
        (OrderState.CANCELLED, Decimal("0.1")),
    ]
    assert following.stream.is_up
    assert following.socket.subscriptions == [{"channel": "executions", "snap_orders": True}]


def test_a_filled_order_is_told_with_its_size(following: Following) -> None:
    ack = following.exchange.submit(asked())
    following.server.fill(ack.exchange_order_id, "0.4", "50000")
    following.told.wait(lambda _: OrderState.FILLED in following.told.states())

    filled = following.told.answers[-1]
    assert filled is not None
    assert (filled.size, filled.filled, filled.exchange_order_id) == (
        Decimal("0.4"),
        Decimal("0.4"),
        ack.exchange_order_id,
    )


def test_a_break_is_told_and_the_connection_made_again_with_a_new_token(
    following: Following,
) -> None:
    ack = following.exchange.submit(asked())
    following.told.wait(lambda _: following.told.states())
    for count in range(2, 5):
        following.told.answers.clear()
        following.socket.drop()
        # Once for the break, once for what was missed when it is up again.
        following.told.wait(lambda told: told.count(None) >= 2 and following.told.states())
        assert len(following.socket.used_tokens) == count
    following.server.fill(ack.exchange_order_id, "0.4", "50000")
    following.told.wait(lambda _: OrderState.FILLED in following.told.states())

    assert len(set(following.socket.used_tokens)) == 4


def test_it_tries_until_kraken_takes_the_subscription(following: Following) -> None:
    following.socket.refuses = True
    following.told.answers.clear()
    following.socket.drop()
    following.socket.wait_for_subscriptions(4)
    assert not following.stream.is_up
    following.socket.refuses = False
    following.told.wait(lambda told: told.count(None) >= 2)

    assert following.stream.is_up


def test_a_line_that_answers_nothing_is_broken(following: Following) -> None:
    following.stream.close()
    following.socket.is_silent = True
    following.told.answers.clear()
    following.stream = following.connect(ping_ms=20)

    # Up, broken for want of an answer to pings, and up again.
    following.told.wait(lambda told: told.count(None) >= 3)
    assert following.socket.pings >= 2


def test_what_says_too_little_asks_for_a_look_at_everything(following: Following) -> None:
    following.told.answers.clear()
    for report in (
        {"order_id": "OX", "exec_type": "amended", "order_status": "new", "cl_ord_id": "c-9"},
        {"order_id": "OY", "exec_type": "canceled", "order_status": "canceled", "cum_qty": 0},
        {
            "order_id": "OZ",
            "exec_type": "odd",
            "order_status": "odd",
            "cl_ord_id": "c-8",
            "cum_qty": 1,
        },
    ):
        following.socket.send({"channel": "executions", "type": "update", "data": [report]})
    following.told.wait(lambda told: len(told) == 3)
    # All reports of one message count, whatever the first one is.
    rest = {"order_status": "canceled", "cum_qty": 0, "order_id": "OX", "exec_type": "canceled"}
    trade = {"order_id": "OY", "exec_type": "trade", "order_status": "new", "symbol": "BTC/USD"}
    following.socket.send({"channel": "executions", "type": "update", "data": [trade, rest]})
    following.told.wait(lambda told: len(told) == 5)

    assert following.told.answers[:4] == [None] * 4
    assert following.told.states("c-9") == [OrderState.CANCELLED]


def test_what_cannot_be_read_breaks_nothing(following: Following) -> None:
    following.told.answers.clear()
    base = {"order_id": "OX", "order_status": "new", "cl_ord_id": "c-1"}
    reports = [None, "?", {**base, "cum_qty": "many"}, {**base, "cum_qty": None}, {}]
    following.socket.send({"channel": "executions", "type": "update", "data": reports})
    following.socket.send({"channel": "executions"})
    following.socket.send({"channel": "executions", "data": [{**base, "cum_qty": 0.25}]})
    following.told.wait(lambda told: len(told) == 6)

    assert following.told.answers[:5] == [None] * 5
    last = following.told.answers[5]
    assert last is not None
    assert (last.filled, last.size) == (Decimal("0.25"), Decimal("0.25"))


def test_it_closes_at_any_moment(following: Following) -> None:
    for _ in range(5):
        following.connect().close()
    following.socket.drops_at_once = True
    following.connect().close()
    following.stream.close()
    following.stream.close()

    assert not following.stream.is_up


def test_an_adapter_without_an_address_only_asks(following: Following) -> None:
    assert following.exchange.watch("main", following.told) is None


def test_the_adapter_watches_over_the_address_it_was_given(following: Following) -> None:
    exchange = KrakenExchange(
        following.client, "main", stream_url=following.socket.url, clock=FixedClock(NOW_NS)
    )
    told = Told()
    watch = exchange.watch("main", told)
    told.wait(lambda answers: None in answers)

    assert watch is not None
    assert watch.is_up
    watch.close()
