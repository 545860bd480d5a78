"""Holds what guards told their traders against one reference ledger that saw the same events in the log's order."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from ringfence import OrderRequest, PolicySet
from ringfence.backends.reference import decide
from ringfence.language.orders import Case, Market
from ringfence.runtime.ledger import Ledger
from ringfence.runtime.shared_log import Entry

DECISIONS = ("APPROVE", "REDUCE_SIZE", "REJECT")


@dataclass
class History:
    """What the log holds, replayed: each order's place, its id and size, and who still works."""

    ledger: Ledger
    places: dict[str, int] = field(default_factory=dict)
    answers: dict[str, tuple[str, Decimal]] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    filled: set[str] = field(default_factory=set)
    market: dict[str, Market] = field(default_factory=dict)
    marked: dict[str, int] = field(default_factory=dict)


def replayed(desk: PolicySet, entries: Iterable[Entry]) -> History:
    """Replay a log with the reference interpreter; every decision in it is the reference's own."""
    history = History(Ledger.of(desk.linked))
    for place, entry in enumerate(entries):
        kind, now, *rest = entry.event
        history.ledger.advance(now)
        if kind == "order":
            _order(desk, history, place, now, rest)
        else:
            _MOVES[kind](history, *rest)
        assert_no_limit_is_passed(history)
    return history


def _order(desk: PolicySet, history: History, place: int, now: int, rest: Sequence[Any]) -> None:
    client, _, content, order_id, decision, lots, *_ = rest
    account, strategy, _, symbol, side, kind, asked, price, reduce_only = content
    step = history.ledger.arrays.lot_step(symbol)
    request = OrderRequest(
        account,
        symbol,
        side,
        asked * step,
        None if price is None else str(price),
        strategy=strategy,
        type=kind,
        reduce_only=reduce_only,
    )
    market = {
        name: Market(each.bid, each.ask, each.last, age=(now - history.marked[name]) * 1e-9)
        for name, each in history.market.items()
    }
    books = {name: history.ledger.as_case_book(name) for name in ("firm", f"account/{account}")}
    expected = decide(desk.linked, Case(request, now, desk.linked.desk.instruments, market, books))
    assert (expected.decision.value, expected.size) == (DECISIONS[decision], lots * step)
    assert client not in history.places, f"two answers for {client}"
    history.places[client] = place
    history.answers[client] = (order_id, lots * step)
    if lots:
        history.ledger.reserve(order_id, account, strategy, symbol, side, lots * step)


def _mark(history: History, symbol: str, ts: int, *prices: float) -> None:
    bid, ask, last = prices[:3]
    history.ledger.mark(symbol, ts, bid, ask, last)
    history.market[symbol], history.marked[symbol] = Market(bid, ask, last), ts


def _end(history: History, order_id: str, how: str = "") -> None:
    del how  # no gate counts messages here
    history.ledger.cancel(order_id)
    history.ended.add(order_id)


def _fill(history: History, order_id: str, size: str, price: float, fee: float) -> None:
    history.ledger.fill(order_id, size, price, fee)
    history.filled.add(order_id)
    if order_id not in history.ledger.orders.working:
        history.ended.add(order_id)


def _undo(history: History, order_id: str, client: str) -> None:
    if order_id in history.ledger.orders.working:
        _end(history, order_id)
    if history.answers.get(client, ("",))[0] == order_id:
        # It was never told.
        del history.answers[client], history.places[client]


def _money(history: History, book: str, kind: str, amount: str) -> None:
    assert kind == "opening"
    history.ledger.open(book, amount)


def _nothing(history: History, *rest: Any) -> None:
    del history, rest


_MOVES = {
    "mark": _mark,
    "end": _end,
    "fill": _fill,
    "undo": _undo,
    "money": _money,
    "time": _nothing,
    "repeat": _nothing,
}


def assert_no_limit_is_passed(history: History, most: Decimal = Decimal(10)) -> None:
    """Of 10,000 at 1,000 each: never more than ten may be held in the worst case."""
    for name in history.ledger.books:
        if name != "account/main":
            continue
        position = history.ledger.book(name).positions.get("BTC/USD")
        if position is not None:
            worst = max(position.size + position.buys, position.sells - position.size)
            assert worst <= most, f"{worst} reserved"


def assert_told_as_it_was(history: History, told: Iterable[Mapping[str, Any]]) -> None:
    """Each answer is that of the log, and who had an answer before another asked comes before him."""
    answers = [each for each in told if each["kind"] == "answer" and each["code"] not in _UNKEPT]
    for each in answers:
        assert history.answers[each["client"]] == (each["id"], Decimal(each["size"]))
    latest = 0
    for each in sorted(answers, key=lambda each: history.places[each["client"]]):
        assert each["done"] >= latest, f"{each['client']} was answered before it could be"
        latest = max(latest, each["begun"])


# Nothing is kept of these.
_UNKEPT = ("STATE_UNAVAILABLE", "STATE_CONTENDED")
