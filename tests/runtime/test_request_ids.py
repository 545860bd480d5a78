"""The request that brought an order stands in the record of its decision, and nowhere else."""

from typing import Any

import pytest

from ringfence import PolicySet
from ringfence.runtime.asked import MarketData
from ringfence.runtime.guard_settings import GuardSettings
from runtime.desk import NOON, Records, opened, order, policies

pytestmark = pytest.mark.unit

SETTINGS = GuardSettings(in_memory=True)
ASKED = {
    "approved": (order("1"), None),
    "reduced": (order("30"), None),
    "rejected by a gate": (order("1", price="1500"), None),
    "refused": (order("0"), None),
    "of another type": ("no order", None),
    "market data from the future": (order("1"), MarketData(1.0, 1.0, 1.0, 2**62)),
}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> PolicySet:
    more = "\n    - {rule: price-collar@1, limits: {max_deviation: 10%, window: 1m}}\n"
    return policies(tmp_path_factory.mktemp("desk") / "policies", more=more)


class Odd:
    """Can be neither compared nor looked at."""

    def __eq__(self, other: object) -> bool:
        raise ValueError

    __bool__ = __str__ = __len__ = __hash__ = __eq__  # type: ignore[assignment]


class Word(str):
    """A text that may do anything."""

    __slots__ = ()


@pytest.mark.parametrize("case", ASKED)
@pytest.mark.parametrize("is_batch", [False, True])
def test_whatever_is_decided_names_its_request(desk: PolicySet, case: str, is_batch: bool) -> None:
    records = Records()
    with opened(desk, audit=records, settings=SETTINGS) as guard:
        if is_batch:
            guard.evaluate_orders([ASKED[case]], request_id="trace-1")
        else:
            guard.evaluate_order(*ASKED[case], request_id="trace-1")

    (body,) = records.of("decision")
    assert body["request_id"] == "trace-1"


@pytest.mark.parametrize(
    "given",
    ["", None, 5, b"trace", "two words", "é", "x" * 101, 'a"', "a\n", Odd(), Word("trace")],
    ids=str.split("empty none number bytes words accent long quote line odd subclass"),
)
def test_what_is_no_short_word_is_not_recorded_and_changes_nothing(
    desk: PolicySet, given: Any
) -> None:
    records = Records()
    with opened(desk, audit=records, settings=SETTINGS) as guard:
        found = guard.evaluate_order(order("1"), request_id=given)
        (also,) = guard.evaluate_orders([(order("1"), None)], request_id=given)

    assert (found.code, also.code) == ("", "")
    assert not any("request_id" in body for body in records.of("decision"))


def test_an_order_that_is_decided_again_keeps_its_first_record(desk: PolicySet) -> None:
    records = Records()
    with opened(desk, audit=records, settings=SETTINGS) as guard:
        first = guard.evaluate_order(order("1", client_order_id="a"), request_id="first")
        again = guard.evaluate_order(order("1", client_order_id="a"), request_id="second")
        silent = guard.evaluate_order(order("1", client_order_id="a"))

    assert first.id == again.id == silent.id
    told = [(body.get("repeated"), body.get("request_id")) for body in records.of("decision")]
    assert told == [(None, "first"), (True, "second"), (True, None)]


def test_a_record_differs_by_the_name_alone(desk: PolicySet) -> None:
    found = []
    market = MarketData(999.0, 1_001.0, 1_000.0, NOON + 1)
    for name in ("", "trace-1"):
        records = Records()
        with opened(desk, audit=records, settings=SETTINGS) as guard:
            guard.evaluate_order(order("1"), market, request_id=name)
        (body,) = records.of("decision")
        found.append({key: value for key, value in body.items() if key not in ("id", "request_id")})

    assert found[0] == found[1]
