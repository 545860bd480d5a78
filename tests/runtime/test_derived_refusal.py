"""Refusals without a gate: what the record shows to be right, what it contradicts, and what only state could show."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ringfence.language.linking import LinkedSet
from ringfence.runtime.asked import MarketData
from ringfence.runtime.audit_codec import decode, encode
from ringfence.runtime.derived_refusal import OF_STATE, derived_refusal
from ringfence.runtime.guard_settings import GuardSettings
from ringfence.runtime.policy_set import PolicySet
from runtime.desk import Records, opened, order, policies

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def linked(tmp_path_factory: pytest.TempPathFactory) -> LinkedSet:
    return policies(tmp_path_factory.mktemp("desk")).linked


class Odd(str):
    """Text of another type."""


GIVEN: list[tuple[Any, Any]] = [
    (None, None),
    ("no order", None),
    (order(account=5), None),
    (order(account=Odd("main")), None),
    (order(reduce_only=1), None),
    (order(timestamp="noon"), None),
    (order(client_order_id="é"), None),
    (order(client_order_id="x" * 300), None),
    (order(side="hold"), None),
    (order(side='\x1b[2J"é'), None),
    (order(type="iceberg"), None),
    (order(size=float("nan")), None),
    (order(size=Decimal("NaN")), None),
    (order(size=Decimal("-1e-400")), None),
    (order(size="é"), None),
    (order(size=object()), None),
    (order(size=10**300), None),
    (order(size="9" * 2_000), None),
    (order(size=None), None),
    (order(size=True), None),
    (order(price=None), None),
    (order(price=float("inf")), None),
    (order(price=object()), None),
    (order(price="\\xff"), None),
    (order(), "no market data"),
    (order(), MarketData(bid=object())),  # type: ignore[arg-type]
    (order(), MarketData(timestamp=-1)),
    (order(), MarketData(timestamp="noon")),  # type: ignore[arg-type]
    (order(symbol="DOGE/USD"), None),
    (order("0.05"), None),
    (order("1e-9999"), None),
    (order(Decimal("0.05")), None),
]


@pytest.mark.parametrize("given", GIVEN, ids=lambda given: repr(given)[:60])
def test_the_reason_comes_out_of_the_record(given: tuple[Any, Any], linked: LinkedSet) -> None:
    records = Records()
    guard = opened(PolicySet(linked), audit=records, settings=GuardSettings(in_memory=True))

    answer = guard.evaluate_order(*given)

    body = decode(encode(records.of("decision")[-1]))
    assert body["reason"] == answer.reason
    assert derived_refusal(body, linked) == answer.reason


def recorded(code: str, **order_fields: Any) -> dict[str, Any]:
    given = {
        "account": "main", "strategy": "trend", "venue": "paper", "symbol": "BTC/USD", "side": "buy",
        "type": "limit", "size": "1", "price": "1000", "reduce_only": False, "client_order_id": "",
        "timestamp": None,
    }  # fmt: skip
    return {
        "code": code,
        "reason": f"{code} it is said",
        "inputs": {"order": {**given, **order_fields}, "market": None},
    }


@pytest.mark.parametrize(
    ("code", "fields", "derived"),
    [
        # A sound order gives no reason of this kind.
        ("INVALID_SIZE", {}, None),
        ("INVALID_MARKET_DATA", {}, None),
        ("UNKNOWN_INSTRUMENT", {}, None),
        ("UNKNOWN_ACCOUNT", {}, None),
        ("UNKNOWN_STRATEGY", {"strategy": ""}, None),
        ("UNKNOWN_VENUE", {"venue": ""}, None),
        ("SIZE_OFF_STEP", {}, None),
        ("NO_FX_RATE", {}, None),
        # Names that the set does not declare may have been given to the guard.
        ("UNKNOWN_ACCOUNT", {"account": "x"}, OF_STATE),
        ("UNKNOWN_STRATEGY", {"strategy": "x"}, OF_STATE),
        ("UNKNOWN_VENUE", {"venue": "x"}, OF_STATE),
        ("NO_PRICE", {"symbol": "DOGE/USD"}, OF_STATE),
        ("DUPLICATE_ORDER", {}, OF_STATE),
        ("STATE_CONTENDED", {}, OF_STATE),
        ("STATE_UNAVAILABLE", {"side": "hold"}, OF_STATE),
        ("A_CODE_OF_LATER", {}, OF_STATE),
        # The guard would have said something else.
        ("DUPLICATE_ORDER", {"side": "hold"}, "INVALID_SIDE side `hold` is neither buy nor sell"),
        (
            "NO_PRICE",
            {"size": "0.05"},
            "SIZE_OFF_STEP size `0.05` is no multiple of the lot step 0.1",
        ),
    ],
)
def test_what_contradicts_the_order_or_the_set_shows(
    code: str, fields: dict[str, Any], derived: str | None, linked: LinkedSet
) -> None:
    assert derived_refusal(recorded(code, **fields), linked) == derived


@pytest.mark.parametrize(
    ("reason", "fields"),
    [
        ("UNKNOWN_INSTRUMENT the symbol is no known instrument", {"symbol": "DOGE/USD"}),
        ("SIZE_OFF_STEP the size is no multiple of the lot step 0.1", {"size": "0.05"}),
    ],
)
def test_a_record_of_an_older_version_is_derived_in_its_words(
    reason: str, fields: dict[str, Any], linked: LinkedSet
) -> None:
    body = {**recorded(reason.split()[0], **fields), "reason": reason}
    assert derived_refusal(body, linked) == reason


def test_a_rate_that_is_missing_is_the_reason(tmp_path: Path) -> None:
    policies(tmp_path)
    file = tmp_path / "instruments.yaml"
    file.write_text(file.read_text().replace("base: ETH, quote: USD", "base: ETH, quote: JPY"))
    linked = PolicySet.load(tmp_path).linked
    body = recorded("NO_FX_RATE", symbol="ETH/USD")

    assert derived_refusal(body, linked) == "NO_FX_RATE no FX rate between JPY and USD"


@pytest.mark.parametrize("inputs", [None, 5, {}, {"order": []}, {"order": {"account": 1}}])
def test_a_record_without_an_order_is_of_no_order(inputs: Any, linked: LinkedSet) -> None:
    body = {"code": "DUPLICATE_ORDER", "reason": "x", "inputs": inputs}

    assert str(derived_refusal(body, linked)).startswith("INVALID_ORDER ")
