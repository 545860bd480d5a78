"""Random desks and what happens at them: policies as text, orders, marks, fills, money, switches, time."""

from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from ringfence.errors import RingfenceError
from ringfence.language.orders import OrderRequest
from ringfence.runtime.asked import MarketData
from ringfence.runtime.audit_log import AuditLog
from ringfence.runtime.guard import CentralRiskGuard
from ringfence.runtime.guard_settings import GuardSettings
from ringfence.runtime.policy_set import PolicySet
from ringfence.runtime.ports import FixedClock, SeededRandom
from runtime.desk import NOON, SECOND

INSTRUMENTS = """
apiVersion: ringfence/v1
kind: Instruments
metadata: {name: desk-instruments, version: 1.0.0, description: what is traded}
spec:
  accounts: [main, other]
  strategies: [trend, "maker"]
  venues: [paper]
  fx: {EUR/USD: "1.25"}
  instruments:
    BTC/USD:
      {lot_step: "0.1", min_size: "0.3", tick_size: "0.5", multiplier: 1, base: BTC, quote: USD, min_notional: 20}
    ETH/USD: {lot_step: "1", min_size: "1", tick_size: "0.01", multiplier: 10, base: ETH, quote: USD}
    SOL/EUR:
      {lot_step: "0.25", min_size: "0.5", max_size: "1000", tick_size: "0.1", multiplier: 1, base: SOL,
       quote: EUR, full_close_exempt: true}
    XRP/JPY: {lot_step: "1", min_size: "1", tick_size: "1", multiplier: 1, base: XRP, quote: JPY}
  correlations: {"BTC/USD|ETH/USD": 0.9, "BTC/USD|SOL/EUR": {rho: -0.8, observations: 100}}
"""
HEAD = """
apiVersion: ringfence/v1
kind: Policy
metadata: {{name: {name}, version: 1.0.0, owner: risk@example.com, description: the desk}}
spec:
  level: {level}
  currency: USD
  gates:
"""
MANDATORY = (
    "{{rule: kill-switch@1}}",
    "{{rule: data-quality@1, limits: {{max_age: {age}, min_completeness: 60%, max_skew: 1s}}}}",
    "{{rule: daily-loss@1, limits: {{max_loss_ratio: {ratio}}}, on_breach: {halts}}}",
    "{{rule: drawdown@1, limits: {{max_drawdown: {ratio}}}}}",
    "{{rule: position-count@1, limits: {{max_positions: {count}}}}}",
    "{{rule: total-exposure@1, limits: {{max: {money} USD, working: {working}}}}}",
    "{{rule: position-size@1, limits: {{max: {money} USD}}, on_breach: {reduces}}}",
    "{{rule: correlated-exposure@1, limits: {{threshold: 0.7, max: {money} USD}}, on_breach: {reduces}}}",
)
MORE = (
    "{{rule: order-rate@1, name: rate-a, limits: {{max_orders: {count}, window: {window}}}}}",
    "{{rule: order-rate@1, name: rate-b, level: firm, mode: shadow, limits: {{max_orders: 2/s}}}}",
    "{{rule: order-rate@1, name: rate-c, level: strategy, limits: {{max_orders: 5, window: {window}}}}}",
    "{{rule: order-rate@1, name: rate-d, mode: shadow, limits: {{max_per_symbol: {count}, window: {window}}}}}",
    "{{rule: order-rate@1, name: rate-e, level: firm, mode: shadow, limits: {{max_orders: 4/s, counts: orders}}}}",
    "{{rule: duplicate-order@1, name: twice, limits: {{window: {window}}}}}",
    "{{rule: price-collar@1, name: collar, limits: {{max_deviation: {ratio}, window: {window}, reference: {price}}}}}",
    "{{rule: price-collar@1, name: now, mode: shadow, limits: {{max_deviation: 5%, reference: {price}}}}}",
    "{{rule: net-exposure@1, name: net, limits: {{max: {money} USD, working: {working}}}}}",
    "{{rule: leverage@1, name: lever, limits: {{max_leverage: 2x, working: {working}}}}}",
    "{{rule: open-orders@1, name: open, limits: {{max_per_symbol: {count}, max_total: 6}}}}",
    "{{rule: total-exposure@1, name: firm-total, level: firm, limits: {{max: {money} USD}}, on_breach: {reduces}}}",
    "{{rule: position-size@1, name: of-strategy, level: strategy, limits: {{max: {money} USD}}}}",
    "{{rule: venue-rules@1, name: venue}}",
    "{{rule: order-notional@1, name: notional, limits: {{max: {money} USD}}, on_breach: {reduces}}}",
    "{{rule: depth@1, name: depth, mode: shadow, limits: {{max_share: {ratio}}}}}",
    "{{rule: volume@1, name: volume, mode: shadow, limits: {{max_share: {ratio}}}}}",
    "{{rule: spread@1, name: spread, mode: shadow, limits: {{max_spread: {ratio}}}}}",
    '{{rule: instrument-permission@1, name: permitted, limits: {{deny: ["XRP/*"]}}}}',
)
SYMBOLS = ("BTC/USD", "ETH/USD", "SOL/EUR", "XRP/JPY")
TARGETS = ("firm", "account/main", "strategy/trend", "venue/paper", "symbol/BTC/USD")
_pick = st.sampled_from


@st.composite
def policy_texts(draw: Any) -> dict[str, str]:
    """Files of a policy set that links: the eight mandatory gates, and more of any rule."""
    words = st.fixed_dictionaries(
        {
            "age": _pick(("1s", "5s", "60s", "1h")),
            "ratio": _pick(("3%", "20%", "50%")),
            "count": _pick((2, 5, 100)),
            "money": _pick(("2_000", "10_000", "50_000", "500_000")),
            "window": _pick(("500ms", "1s", "3s", "1m")),
            "working": _pick(("worst-case", "gross")),
            "price": _pick(("mid", "last", "mark")),
            "reduces": _pick(("reduce", "reduce", "reject")),
            "halts": _pick(("reject", "halt")),
        }
    )
    gates = [*MANDATORY, *draw(st.lists(_pick(MORE), unique=True, max_size=6))]
    lines = [f"    - {gate.format(**draw(words))}" for gate in gates]
    level = draw(_pick(("account", "account", "firm")))
    instruments = INSTRUMENTS
    if draw(_pick((False, False, True))):
        # Books may hold it from a set that declared it.
        before, _, rest = INSTRUMENTS.partition("    SOL/EUR:")
        instruments = before + "    XRP" + rest.partition("    XRP")[2]
    return {
        "instruments.yaml": instruments,
        "desk.yaml": HEAD.format(name="desk", level=level) + "\n".join(lines) + "\n",
    }


_prices = _pick((None, 0.0, 1.0, 9.0, 10.0, 11.0, 99.5, 100.0, 100.5, 101.0, 1e12))
_sizes = _pick(("0.1", "0.3", "1", "1", "2", "3", "7.5", "12", "100", "0.05", "1e15", "NaN", "-1"))
_orders = st.builds(
    OrderRequest,
    account=_pick(("main", "main", "main", "other", "new", "nobody")),
    symbol=_pick((*SYMBOLS[:2], *SYMBOLS, "DOGE/USD")),
    side=_pick(("buy", "buy", "sell", "sell", "hold")),
    size=st.one_of(_sizes, st.integers(1, 20), st.decimals("0.1", "20", places=1)),
    price=st.one_of(st.none(), _prices, st.sampled_from(("10", "100", "99.7"))),
    type=_pick(("limit", "limit", "market", "stop", "stop_limit", "iceberg")),
    strategy=_pick(("", "trend", "trend", "maker", "unknown")),
    venue=_pick(("", "paper", "moon")),
    reduce_only=_pick((False, False, False, True)),
    client_order_id=_pick(("", "", "a", "b", "c", "é")),
)
_plain_orders = st.builds(
    OrderRequest,
    account=_pick(("main", "other")),
    symbol=_pick(SYMBOLS[:3]),
    side=_pick(("buy", "buy", "sell")),
    size=_pick(("1", "1", "2", "3", "12", "100")),
    price=_pick((10, 10, 100, 100.5)),
    strategy=_pick(("", "trend")),
    venue=_pick(("", "paper")),
    client_order_id=_pick(("", "", "a", "b")),
)
_markets = st.builds(
    MarketData,
    bid=_prices,
    ask=_prices,
    last=_prices,
    timestamp=st.integers(-3, 1).map(lambda n: n * SECOND // 2),
    bid_depth=_pick((None, 5.0)),
    ask_depth=_pick((None, 5.0)),
    volume=_pick((None, 1_000.0)),
)
_sound_markets = st.builds(
    lambda price, spread: MarketData(price, price + spread, price, 0),
    _pick((9.5, 10.0, 99.5, 100.0)),
    _pick((0.0, 0.5)),
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("order"), _plain_orders, st.none()),
        st.tuples(st.just("order"), _plain_orders, st.one_of(st.none(), _sound_markets)),
        st.tuples(st.just("order"), _orders, st.one_of(st.none(), _markets)),
        st.tuples(st.just("mark"), _pick(SYMBOLS), st.one_of(_markets, _sound_markets)),
        st.tuples(st.just("mark"), _pick(SYMBOLS), _sound_markets),
        st.tuples(st.just("fill"), st.integers(0, 9), _pick(("0.5", "1", "2", "12"))),
        st.tuples(_pick(("cancel", "cancel", "expire")), st.integers(0, 9)),
        st.tuples(st.just("direct"), _pick(("main", "new")), _pick((*SYMBOLS, "DOGE/USD"))),
        st.tuples(st.just("switch"), _pick(TARGETS), _pick(("active", "reducing", "halted"))),
        st.tuples(st.just("money"), _pick(("deposit", "withdrawal")), st.integers(1, 90_000)),
        st.tuples(st.just("time"), _pick((1, SECOND // 2, SECOND, 2 * SECOND, 86_400 * SECOND))),
        st.tuples(st.just("confirm")),
        st.tuples(st.just("use")),
    ),
    min_size=10,
    max_size=60,
)


def loaded(folder: Path, texts: dict[str, str]) -> PolicySet:
    """The set of these files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text)
    return PolicySet.load(folder)


def live_through(folder: Path, sets: list[PolicySet], history: Any, **settings: Any) -> None:
    """Let all of this happen to a guard, whose audit log is in the folder."""
    clock = FixedClock(NOON)
    given = GuardSettings(in_memory=True, **settings)
    current = 0
    with AuditLog.open(
        folder, durability="process", clock=clock, random=SeededRandom(1), segment_bytes=50_000
    ) as log:
        guard = CentralRiskGuard.open(
            sets[0], audit=log, clock=clock, settings=given, random=SeededRandom(2)
        )
        for account in ("main", "other"):
            guard.on_balance(f"account/{account}", "opening", 100_000)
        for symbol, price in (("BTC/USD", 100.0), ("ETH/USD", 10.0), ("SOL/EUR", 10.0)):
            _try(guard.on_mark, symbol, MarketData(price, price, price, NOON))
        orders: list[str] = []
        for kind, *about in history:
            clock.advance(SECOND // 1_000)
            if kind == "time":
                clock.advance(about[0])
            elif kind == "use":
                current = (current + 1) % len(sets)
                _try(guard.use, sets[current], by="test")
            else:
                happen(guard, clock, orders, kind, about)
        guard.close()


def happen(
    guard: CentralRiskGuard, clock: FixedClock, orders: list[str], kind: str, about: list[Any]
) -> None:
    """One thing; what cannot happen does not."""
    if kind == "order":
        order, market = about
        answer = guard.evaluate_order(order, _at(market, clock))
        if answer.size:
            orders.append(answer.id)
    elif kind == "mark":
        _try(guard.on_mark, about[0], _at(about[1], clock))
    elif kind in ("fill", "cancel", "expire") and orders:
        name = orders[about[0] % len(orders)]
        if kind == "fill":
            _try(guard.on_fill, name, about[1], 10.5, "0.1")
        else:
            _try(guard.on_cancel if kind == "cancel" else guard.on_expire, name)
    elif kind == "direct":
        _try(guard.on_direct_fill, about[0], "trend", about[1], "buy", "1", 20.0)
    elif kind == "switch":
        _try(guard.set_kill_switch, *about, by="me", reason="a test")
    elif kind == "money":
        _try(guard.on_balance, "account/main", *about)
    elif kind == "confirm":
        guard.confirm_policies()


def _at(market: MarketData | None, clock: FixedClock) -> MarketData | None:
    if market is None:
        return None
    parts = {name: getattr(market, name) for name in MarketData.__slots__}
    return MarketData(**{**parts, "timestamp": clock.now_ns() + market.timestamp})


def _try(act: Any, *given: Any, **named: Any) -> None:
    try:
        act(*given, **named)
    except RingfenceError:
        return
