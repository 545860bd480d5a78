"""What is remembered of orders and answers is small, bounded, and the same after a restart."""

import json
from decimal import Decimal

import pytest

from ringfence.errors import LedgerError
from ringfence.language.orders import Instrument
from ringfence.runtime import shared_names
from ringfence.runtime.known_orders import KnownOrder, KnownOrders
from ringfence.runtime.ledger import Ledger
from ringfence.runtime.shared_names import SharedNames

pytestmark = pytest.mark.unit


def _anew(text: str) -> str:
    """A copy of a text, as each order brings one from JSON."""
    copy: str = json.loads(json.dumps(text))
    return copy


def _order(name: str, lots: int = 7) -> KnownOrder:
    return KnownOrder(name, _anew("main"), _anew("trend"), _anew("BTC/USD"), _anew("sell"), lots)


def _ended(known: KnownOrders, *names: str) -> None:
    for name in names:
        order = _order(name)
        known.add(order)
        known.end(order)


def test_of_ended_orders_the_latest_are_known_and_no_others() -> None:
    known = KnownOrders(remembered=3)

    _ended(known, "a", "b", "c", "d")

    assert len(known) == 3
    assert known.find("b") == _order("b")
    with pytest.raises(LedgerError, match="no order `a` is known"):
        known.find("a")


def test_an_order_without_a_fill_has_no_dictionary_of_its_own() -> None:
    known = KnownOrders()
    order = _order("a")
    known.add(order)

    assert order.reports is None
    known.end(order)

    assert known.dump()["ended"] == [("a", 0, 1, 2, 3, 7, 0, 0)]


def test_names_of_ended_orders_are_there_once() -> None:
    known = KnownOrders()

    _ended(known, *map(str, range(100)))

    assert known.dump()["names"] == ["main", "trend", "BTC/USD", "sell"]
    assert known.find("1").account is known.find("2").account


def test_a_snapshot_takes_the_rows_as_they_are() -> None:
    known = KnownOrders()
    _ended(known, "a", "b")

    first, second = known.dump()["ended"], known.dump()["ended"]

    assert [id(row) for row in first] == [id(row) for row in second]


def test_orders_are_the_same_after_a_snapshot() -> None:
    known, again = KnownOrders(remembered=3), KnownOrders(remembered=3)
    _ended(known, "a", "b", "c")
    filled = known.find("b")
    filled.filled = 2
    filled.report(Decimal("0.2"), (100.0, 0.1))
    known.keep(filled)
    known.add(_order("w"))

    again.load(json.loads(json.dumps(known.dump())))
    _ended(again, "d")

    assert again.working == {"w": _order("w")}
    assert again.find("b").reported(Decimal("0.20")) == (100.0, 0.1)
    assert again.find("b").filled == 2
    with pytest.raises(LedgerError):
        again.find("a")


def test_a_fill_that_comes_late_is_counted_once() -> None:
    books = Ledger({"BTC/USD": Instrument("BTC/USD", Decimal("0.1"), quote="USD")}, "USD")
    books.reserve("a", "main", "trend", "BTC/USD", "buy", "1")
    books.cancel("a")

    assert books.fill("a", "0.4", 100, 1) == Decimal("0.4")
    assert books.fill("a", "0.4", 100, 1) == 0
    assert books.fill("a", "0.5", 100, 1) == Decimal("0.1")

    with pytest.raises(LedgerError, match="was reported at"):
        books.fill("a", "0.5", 101, 1)
    assert books.counts["FILL_AFTER_END"] == 2


def test_texts_that_many_hold_are_there_once_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_names, "_MOST", 3)
    names = SharedNames()
    first = names[_anew("main")]

    assert names[_anew("main")] is first
    for number in range(10):
        assert names[f"other {number}"] == f"other {number}"
    assert len(names) <= 3
