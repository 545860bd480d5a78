"""Whatever is passed in, the guard answers; and what it approves is an order it could read."""

import decimal
import math
import os
import random
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence import OrderRequest, PolicySet, RiskDecision
from ringfence.runtime.asked import MarketData
from ringfence.runtime.guard import CentralRiskGuard
from runtime.desk import NOON, opened, order, policies

pytestmark = pytest.mark.security

CASES = 100_000 if os.environ.get("RINGFENCE_HYPOTHESIS_PROFILE") == "nightly" else 20_000
FIELDS = [
    "account",
    "symbol",
    "side",
    "size",
    "price",
    "type",
    "strategy",
    "venue",
    "reduce_only",
    "client_order_id",
    "timestamp",
]
DATA = ["bid", "ask", "last", "timestamp", "bid_depth", "ask_depth", "volume"]


class Raises:
    """Raises whatever is done with it."""

    def _fail(self, *arguments: object, **named: object) -> Any:
        raise RuntimeError("hostile", arguments, named)

    __str__ = __repr__ = __bool__ = __eq__ = __hash__ = __len__ = __iter__ = _fail  # type: ignore[assignment]
    __float__ = __int__ = __index__ = __lt__ = __gt__ = __le__ = __ge__ = __format__ = _fail  # type: ignore[assignment]

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError("hostile")


class Exits:
    def __getattribute__(self, name: str) -> Any:
        raise SystemExit(1)


class Meta(type):
    @property
    def __name__(cls) -> str:  # type: ignore[override]
        raise RuntimeError("hostile")


class Nameless(metaclass=Meta):
    pass


class Text(str):
    """Equal to everything, and another text each time."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return hash("main")

    def __str__(self) -> str:
        return random.choice(("main", "other"))


class Number(float):
    __slots__ = ()

    def __gt__(self, other: object) -> bool:
        return True

    __lt__ = __gt__  # type: ignore[assignment]


class Exact(Decimal):
    def is_finite(self) -> bool:
        raise RuntimeError("hostile")


class Changing(OrderRequest):
    def __getattribute__(self, name: str) -> Any:
        if name == "size":
            return random.choice(("1", "1000000", None))
        return super().__getattribute__(name)


HOSTILE: list[Any] = [
    *(None, True, False, 0, -1, 1, 2**63, -(2**200), 10**6_000, 0.0, -0.0, 1.5, 1e308, 5e-324),
    *(
        math.nan,
        math.inf,
        -math.inf,
        1j,
        "",
        " ",
        "main",
        "other",
        "buy",
        "sell",
        "BTC/USD",
        "limit",
    ),
    *(
        "nan",
        "inf",
        "-1",
        "1e999999",
        "1e-999999",
        "0x10",
        "１",
        "\ud800",
        "\0",
        "x" * 100_000,
        "9" * 5_000,
    ),
    *(
        Decimal("NaN"),
        Decimal("sNaN"),
        Decimal("Infinity"),
        Decimal("1E+999999"),
        Decimal("1E-999999"),
    ),
    *(
        Decimal(1),
        Decimal("0.1"),
        Decimal("1" * 3_000),
        b"buy",
        bytearray(b"1"),
        [],
        {},
        set(),
        (),
        object(),
    ),
    *(
        Raises(),
        Exits(),
        Nameless(),
        Text("main"),
        Text("buy"),
        Number(1.0),
        Exact(1),
        Raises,
        Meta,
        print,
    ),
    *(order(), MarketData(1.0, 1.0, 1.0, NOON)),
]
USUAL: dict[str, list[Any]] = {
    "account": ["main"],
    "symbol": ["BTC/USD", "ETH/USD"],
    "side": ["buy", "sell"],
    "size": ["1", 2, 0.5, Decimal("0.3")],
    "price": ["1000", 10.0],
    "type": ["limit", "stop"],
    "strategy": ["", "trend"],
    "venue": ["", "paper"],
    "reduce_only": [False, True],
    "client_order_id": ["", "a", "b"],
    "timestamp": [None, NOON],
}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> PolicySet:
    return policies(tmp_path_factory.mktemp("desk") / "policies")


@pytest.fixture(scope="module")
def guard(desk: PolicySet) -> CentralRiskGuard:
    return opened(desk)


def hold(guard: CentralRiskGuard, asked: Any, data: Any) -> bool:
    """Ask; what comes back is a decision that can be read, and what is approved is undone."""
    found = guard.evaluate_order(asked, data)
    decision, reason, size = found
    assert isinstance(decision, RiskDecision)
    assert (decision is RiskDecision.REJECT) == (size == 0)
    assert (decision is RiskDecision.APPROVE) == (found.code == "")
    assert reason.startswith(found.code)
    assert reason.isprintable()
    assert found.code != "INTERNAL_ERROR", reason
    assert repr(found)
    if size:
        assert type(asked) is OrderRequest
        guard.on_cancel(found.id)
    return bool(size)


def test_random_hostile_orders_and_market_data(guard: CentralRiskGuard) -> None:
    source = random.Random(20260105)
    approved = 0
    for _ in range(CASES):
        asked: Any = OrderRequest("main", "BTC/USD", "buy", "1", "1000")
        for name in FIELDS:
            hostile = source.random() < 0.06
            setattr(asked, name, source.choice(HOSTILE if hostile else USUAL[name]))
        data: Any = None
        if source.random() < 0.4:
            data = MarketData(1_000.0, 1_000.0, 1_000.0, NOON)
            for name in DATA:
                if source.random() < 0.2:
                    setattr(data, name, source.choice(HOSTILE))
        if source.random() < 0.05:
            asked = source.choice(HOSTILE)
        if source.random() < 0.05:
            data = source.choice(HOSTILE)
        approved += hold(guard, asked, data)

    assert approved > CASES / 100
    assert guard.book("account/main").open_orders == ()


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_each_hostile_object_in_each_place(guard: CentralRiskGuard, number: int) -> None:
    hostile = HOSTILE[number]
    hold(guard, hostile, None)
    hold(guard, order(), hostile)
    for name in FIELDS:
        asked = order()
        setattr(asked, name, hostile)
        hold(guard, asked, None)
    for name in DATA:
        data = MarketData(1_000.0, 1_000.0, 1_000.0, NOON)
        setattr(data, name, hostile)
        hold(guard, order(), data)


def hostile_object(number: int) -> Any:
    """By its number: hypothesis shows what it chooses from."""
    return HOSTILE[number]


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.decimals(allow_nan=None, allow_infinity=None)
    | st.integers(0, len(HOSTILE) - 1).map(hostile_object),
    lambda inner: st.lists(inner, max_size=2),
    max_leaves=3,
)


@given(
    values=st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, anything)),
    data=st.none() | st.builds(MarketData, *[anything] * len(DATA)),  # type: ignore[arg-type]
)
def test_any_values(guard: CentralRiskGuard, values: dict[str, Any], data: Any) -> None:
    asked = order()
    for name, value in values.items():
        setattr(asked, name, value)

    hold(guard, asked, data)


def test_objects_that_lack_fields_or_change(guard: CentralRiskGuard) -> None:
    bare = OrderRequest.__new__(OrderRequest)
    empty = MarketData.__new__(MarketData)

    assert guard.evaluate_order(bare).code == "INVALID_ORDER"
    assert guard.evaluate_order(order(), empty).code == "INVALID_ORDER"
    assert (
        guard.evaluate_order(Changing("main", "BTC/USD", "buy", "1", "1")).code == "INVALID_ORDER"
    )
    with pytest.raises(TypeError):
        guard.evaluate_order()  # type: ignore[call-arg]


@pytest.mark.parametrize(
    "change",
    [
        lambda context: setattr(context, "prec", 1),
        lambda context: setattr(context, "Emax", 2),
        lambda context: context.traps.update(dict.fromkeys(context.traps, True)),
    ],
    ids=["precision", "range", "traps"],
)
def test_a_callers_decimal_context_approves_no_other_size(
    guard: CentralRiskGuard, change: Callable[[decimal.Context], None]
) -> None:
    for size in ("1.2", "1.25", "7.3"):
        with decimal.localcontext() as context:
            change(context)
            found = guard.evaluate_order(order(size))
        if found.size:
            assert found.size == Decimal(size)
            guard.on_cancel(found.id)
