"""A case is made plainer as long as it shows the same, and never otherwise."""

from copy import deepcopy
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st

from ringfence.review.plainer import plainer

pytestmark = pytest.mark.unit

GIVEN: dict[str, Any] = {
    "clock": "2026-01-05T12:00:00Z",
    "market": {
        "BTC/USD": {"bid": 100.0, "ask": 100.0, "age": "0.003s", "completeness": 1.0},
        "OTHER1/USD": {"age": "4s"},
    },
    "books": {
        "account/alpha": {
            "equity": 9_999_999.97,
            "day_start_equity": 10_000_000.0,
            "day_flow": -12.0,
            "positions": {
                "BTC/USD": {"size": "1.97", "mark": 100.0},
                "OTHER1/USD": {"size": "-3.33", "mark": 100.0},
            },
            "working": [
                {
                    "order_id": f"w{place}",
                    "symbol": "OTHER1/USD",
                    "side": "sell",
                    "size": "0.5",
                    "price": 100.0,
                }
                for place in range(9)
            ],
        },
        "strategy/x": {"equity": 1.0, "positions": {}, "working": []},
        "firm": {"equity": 77.0, "positions": {"OTHER1/USD": {"size": "8"}}, "working": []},
    },
    "correlations": {"BTC/USD|OTHER1/USD": 0.7},
    "control": {"kill_switch": {"firm": "reducing"}},
    "recent_orders": [{"age": "1s"}],
}
WHEN: dict[str, Any] = {
    "account": "alpha",
    "strategy": "x",
    "venue": "x",
    "symbol": "BTC/USD",
    "side": "sell",
    "size": "1.2345",
    "price": "100",
    "reduce_only": True,
}


def test_what_does_not_matter_goes() -> None:
    given, when = plainer(GIVEN, WHEN, lambda *_: True)

    account = given["books"]["account/alpha"]
    assert when == {
        "account": "alpha",
        "symbol": "BTC/USD",
        "side": "buy",
        "size": "0.0001",
        "price": "100",
    }
    assert account["positions"] == {}
    assert account["working"] == []
    assert account["equity"] == account["day_start_equity"] == account["peak_equity"] == 100_000
    assert "day_flow" not in account
    assert given["market"] == {"BTC/USD": {"bid": 100.0, "ask": 100.0, "age": "1s"}}
    assert not {"correlations", "control", "recent_orders"} & set(given)
    assert set(given["books"]) == {"account/alpha", "firm"}


def test_what_matters_stays() -> None:
    def shows(given: dict[str, Any], when: dict[str, Any]) -> bool:
        held = given["books"]["account/alpha"]["positions"].get("OTHER1/USD", {"size": "0"})
        return (
            Decimal(held["size"]) < -3
            and when["side"] == "sell"
            and Decimal(when["size"]) > Decimal("1.2")
            and "control" in given
            and "correlations" in given
        )

    given, when = plainer(GIVEN, WHEN, shows)

    assert shows(given, when)
    assert when["size"] == "2"
    assert list(given["books"]["account/alpha"]["positions"]) == ["OTHER1/USD"]
    assert given["books"]["account/alpha"]["working"] == []
    assert given["correlations"] == {"BTC/USD|OTHER1/USD": 0.7}


def test_one_of_many_working_orders_stays() -> None:
    given, _ = plainer(
        GIVEN,
        WHEN,
        lambda state, _: any(
            each["order_id"] == "w4" for each in state["books"]["account/alpha"]["working"]
        ),
    )

    assert [each["order_id"] for each in given["books"]["account/alpha"]["working"]] == ["w4"]


def test_a_case_that_nothing_may_be_changed_in_stays_as_it_is() -> None:
    before = deepcopy((GIVEN, WHEN))

    assert plainer(GIVEN, WHEN, lambda *_: False) == (GIVEN, WHEN)
    assert before == (GIVEN, WHEN)


@settings(max_examples=25)
@drawn(st.integers(0, 255))
def test_whatever_is_asked_for_holds_in_the_end(seed: int) -> None:
    asked = 0

    def shows(given: dict[str, Any], when: dict[str, Any]) -> bool:
        nonlocal asked
        asked += 1
        text = repr((given, when))
        return all(word in text for word in wanted)

    words = ("w4", "1.97", "control", "reduce_only", "'venue'", "0.003s", "firm", "day_flow")
    wanted = [word for place, word in enumerate(words) if seed >> place & 1]
    given, when = plainer(GIVEN, WHEN, shows)

    assert all(word in repr((given, when)) for word in wanted)
    assert asked <= 300
