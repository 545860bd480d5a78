"""Sizes and prices that are known by their text are read as others are."""

import gc
import math
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence import OrderRequest, PolicySet
from ringfence.language.orders import whole_lots
from ringfence.language.tickets import Refusal
from ringfence.runtime import asked as module
from ringfence.runtime import evaluator as evaluator_module
from ringfence.runtime.asked import Asked, MarketData, read_market, read_order, without_nan
from ringfence.runtime.evaluator import Evaluator
from ringfence.runtime.ledger import Ledger
from runtime.desk import policies

pytestmark = pytest.mark.unit

numbers = (
    st.decimals().map(str)
    | st.text("0123456789.eE+-_ ", max_size=12)
    | st.sampled_from(
        ["1e999999", "1e-999999", "NaN", "sNaN", "Infinity", "-0", "0", "1_000", "", "٣"]
    )
)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> PolicySet:
    return policies(tmp_path_factory.mktemp("desk"))


def read(size: Any, price: Any, kind: str = "limit") -> Asked | Refusal:
    return read_order(OrderRequest("main", "BTC/USD", "buy", size, price, kind))


def exact(text: str) -> Decimal | None:
    """The number above zero that a text stands for."""
    try:
        found = Decimal(text)
    except InvalidOperation:
        return None
    return found if found.is_finite() and found > 0 else None


@given(size=numbers, price=numbers)
def test_a_text_is_read_alike_the_first_time_and_later(size: str, price: str) -> None:
    first, later = read(size, price), read(size, price)

    assert first == later
    if exact(size) is None or len(size) > module.LONGEST_NUMBER:
        assert isinstance(first, Refusal)
        assert first.code == "INVALID_SIZE"
    elif (limit := exact(price)) is None or not 0.0 < float(limit) < math.inf:
        assert isinstance(first, Refusal)
        assert first.code == "INVALID_PRICE"
    else:
        assert isinstance(first, Asked)
        # Digits as given: an approval signs them.
        assert str(first.size) == str(Decimal(size))
        assert (str(first.exact_price), first.price) == (str(limit), float(limit))


def test_a_market_order_has_no_price_or_a_sound_one() -> None:
    found = read("1", None, "market")
    assert isinstance(found, Asked)
    assert math.isnan(found.price)
    assert found.exact_price is None
    assert isinstance(read("1", "0", "market"), Refusal)
    assert isinstance(read("1", None), Refusal)


def test_not_more_texts_are_remembered_than_the_bound_allows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_KNOWN_NUMBERS", 3)
    monkeypatch.setattr(module, "_known", {})

    for number in range(1, 20):
        found = read(str(number), "1")
        assert isinstance(found, Asked)
        assert found.size == number
        assert len(module._known) <= 3


@given(
    sizes=st.lists(st.decimals("0.0001", "100000", places=4) | st.decimals("1", "9"), max_size=8)
)
def test_a_size_has_as_many_lots_as_decimals_say(sizes: list[Decimal], desk: PolicySet) -> None:
    linked = desk.linked
    ledger = Ledger.of(linked)
    ledger.arrays.no_strategy()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluator_module, "_KNOWN_SIZES", 4)
        evaluator = Evaluator(linked, ledger.arrays)
        for size in [*sizes, *sizes]:
            order = read(size, "1000")
            assert isinstance(order, Asked)
            route = evaluator.route(order)
            assert not isinstance(route, Refusal)

            lots = evaluator.lots(route, order)

            assert len(route.known_lots) <= 4
            want = whole_lots(size, route.instrument.lot_step)
            assert lots == want if want else isinstance(lots, Refusal)


def test_missing_numbers_of_market_data_are_none_in_an_event() -> None:
    found = read_market(MarketData(1.0, None, math.nan, 5))
    assert isinstance(found, tuple)
    assert without_nan(found[1]) == [1.0, None, None, None, None, None]


def test_arrays_that_were_replaced_stay_while_an_evaluator_asks_about_them(desk: PolicySet) -> None:
    linked = desk.linked
    ledger = Ledger.of(linked)
    ledger.arrays.no_strategy()
    ledger.open("account/main", "100000")
    ledger.mark("BTC/USD", 5, 1_000.0, 1_000.0, 1_000.0)
    evaluator = Evaluator(linked, ledger.arrays)
    order = read("1", "1000")
    assert isinstance(order, Asked)
    route = evaluator.route(order)
    assert not isinstance(route, Refusal)
    before = evaluator.ask(route, order, 1, 10)

    for number in range(100):
        ledger.arrays.account(f"more-{number}")
    gc.collect()
    # What was given back is written over.
    kept = [np.full(size, -1, np.int64) for size in range(1, 300)]

    assert evaluator.ask(route, order, 1, 10) == before
    assert len(kept) == 299
