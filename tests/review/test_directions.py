"""Directions of changes: proved, and shown by an order that interpreter and kernel confirm."""

import copy
from typing import Any

import pytest

from ringfence.language.decision import RiskDecision
from ringfence.language.gates import to_ns
from ringfence.language.linking import LinkedSet, link
from ringfence.language.policy_tests import read_case
from ringfence.review.directions import Directed, Direction, compare_gates, compare_sets
from strategies import document_of, own_rule

pytestmark = pytest.mark.unit

TOTAL: dict[str, Any] = {"rule": "total-exposure@1", "limits": {"max": "10_000 USD"}}
NOTIONAL: dict[str, Any] = {"rule": "order-notional@1", "limits": {"max": "5_000 USD"}}


def policy(*gates: dict[str, Any], name: str = "desk", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "ringfence/v1",
        "kind": "Policy",
        "metadata": {"name": name, "version": "1.0.0", "owner": "risk", "description": "Test."},
        "spec": {"currency": "USD", **spec, "gates": list(gates)},
    }


def instruments(**more: Any) -> dict[str, Any]:
    coin = {"lot_step": "0.001", "min_size": "0.001", "tick_size": "0.1", "multiplier": 1}
    return {
        "apiVersion": "ringfence/v1",
        "kind": "Instruments",
        "metadata": {"name": "desk", "version": "1.0.0", "description": "Test."},
        "spec": {
            "accounts": ["main"],
            "instruments": {"BTC/USD": {**coin, "base": "BTC", "quote": "USD", **more}},
        },
    }


def linked(*documents: Any) -> LinkedSet:
    return link(
        [
            each if not isinstance(each, dict) else document_of(each, f"{place}.yaml")
            for place, each in enumerate(documents)
        ],
        check_mandatory=False,
    )


def changed(gate: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The gate with other limits (`limits`) or other keys."""
    found = copy.deepcopy(gate)
    for key, value in more.items():
        found[key] = {**found.get(key, {}), **value} if isinstance(value, dict) else value
    return found


def direction(base: LinkedSet, head: LinkedSet) -> Directed:
    """Compared, with every witness looked at again."""
    found = compare_sets(base, head, check_mandatory=False)
    if found.looser is not None:
        assert found.looser.head.size > found.looser.base.size
        read_case(found.looser.given, found.looser.when, head)
    if found.tighter is not None:
        assert found.tighter.head.size < found.tighter.base.size
    assert (found.direction is Direction.UNKNOWN) == bool(found.blame)
    return found


def of(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> Direction:
    """The direction of a change of one policy's gates."""
    return direction(linked(policy(*before)), linked(policy(*after))).direction


@pytest.mark.parametrize(
    ("rule", "limits", "more"),
    [
        ("total-exposure", {"max": "10_000 USD"}, {"max": "10_001 USD"}),
        ("total-exposure", {"max_of_equity": "50%"}, {"max_of_equity": "51%"}),
        ("position-size", {"max": "10_000 USD"}, {"max": "1_000_000 USD"}),
        ("net-exposure", {"max": "10_000 USD"}, {"max": "20_000 USD"}),
        ("leverage", {"max_leverage": "2x"}, {"max_leverage": "3x"}),
        ("correlated-exposure", {"max": "10_000 USD"}, {"max": "20_000 USD"}),
        ("correlated-exposure", {"threshold": 0.7}, {"threshold": 0.9}),
        ("daily-loss", {"max_loss": "100 USD"}, {"max_loss": "101 USD"}),
        ("daily-loss", {"max_loss_ratio": "5%"}, {"max_loss_ratio": "6%"}),
        ("drawdown", {"max_drawdown": "10%"}, {"max_drawdown": "11%"}),
        ("position-count", {"max_positions": 10}, {"max_positions": 11}),
        ("order-notional", {"max": "5_000 USD"}, {"max": "5_001 USD"}),
        ("order-size", {"max_size": 5}, {"max_size": 5.5}),
        ("price-collar", {"max_deviation": "2%"}, {"max_deviation": "3%"}),
        (
            "price-collar",
            {"max_deviation": "2%", "window": "10s"},
            {"max_deviation": "2%", "window": "5s"},
        ),
        ("order-rate", {"max_orders": "10/s"}, {"max_orders": "11/s"}),
        ("order-rate", {"max_per_symbol": "10/s"}, {"max_per_symbol": "11/s"}),
        ("order-rate", {"max_orders": "10/s"}, {"max_orders": "10/s", "counts": "orders"}),
        ("order-rate", {"max_orders": 10, "window": "1s"}, {"max_orders": 10, "window": "500ms"}),
        ("duplicate-order", {"window": "2s"}, {"window": "1s"}),
        ("open-orders", {"max_total": 5}, {"max_total": 6}),
        ("spread", {"max_spread": "1%"}, {"max_spread": "2%"}),
        ("depth", {"max_share": "10%"}, {"max_share": "20%"}),
        ("volume", {"max_share": "10%"}, {"max_share": "20%"}),
        ("data-quality", {"max_age": "5s"}, {"max_age": "6s"}),
        ("data-quality", {"min_completeness": "95%"}, {"min_completeness": "60%"}),
        ("instrument-permission", {"deny": ["XRP/*"]}, {"deny": []}),
    ],
)
def test_a_wider_limit_of_any_rule_is_looser_and_the_way_back_is_tighter(
    rule: str, limits: dict[str, Any], more: dict[str, Any]
) -> None:
    before, after = ({"rule": f"{rule}@1", "limits": each} for each in (limits, more))

    assert of([before], [after]) is Direction.LOOSER
    assert of([after], [before]) is Direction.TIGHTER


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (changed(TOTAL, on_breach="reject"), TOTAL, Direction.LOOSER),
        (changed(TOTAL, mode="shadow"), TOTAL, Direction.TIGHTER),
        (TOTAL, changed(TOTAL, applies_to="all"), Direction.TIGHTER),
        (TOTAL, changed(TOTAL, name="another"), Direction.EQUAL),
        (TOTAL, changed(TOTAL, limits={"max_of_equity": "50%"}), Direction.TIGHTER),
        (changed(TOTAL, limits={"max": "0 USD"}), TOTAL, Direction.LOOSER),
        (
            changed(TOTAL, limits={"max": "5_000 USD", "max_of_equity": "50%"}),
            changed(TOTAL, limits={"max": "10_000 USD", "max_of_equity": "20%"}),
            Direction.INCOMPARABLE,
        ),
        (TOTAL, changed(TOTAL, level="strategy"), Direction.INCOMPARABLE),
    ],
)
def test_what_a_breach_does_and_whom_a_gate_measures_count(
    before: dict[str, Any], after: dict[str, Any], expected: Direction
) -> None:
    assert of([before], [after]) is expected


def test_a_new_gate_is_tighter_and_a_gate_that_another_hides_is_equal() -> None:
    wide = changed(TOTAL, limits={"max": "20_000 USD"}, name="wide")

    assert of([TOTAL], [TOTAL, NOTIONAL]) is Direction.TIGHTER
    assert of([TOTAL], [TOTAL, wide]) is Direction.EQUAL


def test_a_raise_behind_a_tighter_firm_limit_is_looser_alone_and_equal_as_a_whole() -> None:
    # The same book: an account's total against the same account's total of another policy.
    outer = policy(TOTAL, name="outer")
    low, high = (changed(TOTAL, limits={"max": f"{each} USD"}) for each in ("20_000", "30_000"))
    base, head = (linked(outer, policy(each)) for each in (low, high))
    gates = [next(g for g in each.gates if g.policy.name == "desk") for each in (base, head)]

    assert compare_gates(gates[0], gates[1], base, head).direction is Direction.LOOSER
    assert direction(base, head).direction is Direction.EQUAL


def test_a_gate_that_is_new_or_gone_is_compared_with_nothing() -> None:
    base = linked(policy(NOTIONAL))
    gate = base.gates[0]

    found = compare_gates(None, gate, base, base, kernel=True)
    assert found.direction is Direction.TIGHTER
    assert found.tighter is not None
    assert found.tighter.base.decision is RiskDecision.APPROVE
    assert compare_gates(gate, None, base, base).direction is Direction.LOOSER


def test_an_override_that_has_ended_makes_no_difference_to_an_order_that_is_still_to_come() -> None:
    raised = {"limits": {"max": "9_000 USD"}, "from": "2026-02-02", "until": "2026-02-06"}
    base = linked(instruments(), policy({**NOTIONAL, "overrides": [raised]}))
    head = linked(instruments(), policy(NOTIONAL))
    ended = to_ns("2026-02-06")

    since = compare_sets(base, head, since_ns=ended, check_mandatory=False)

    assert since.direction is Direction.EQUAL
    assert direction(base, head).direction is Direction.TIGHTER


def test_an_override_counts_in_its_window_and_scope() -> None:
    raised = {
        "limits": {"max": "20_000 USD"},
        "from": "2026-02-02T08:00:00Z",
        "until": "2026-02-06T20:00:00Z",
        "scope": {"accounts": ["alpha"]},
        "ticket": "RISK-1",
    }
    base, head = linked(policy(TOTAL)), linked(policy(changed(TOTAL, overrides=[raised])))

    found = direction(base, head)

    assert found.direction is Direction.LOOSER
    assert found.looser is not None
    assert found.looser.when["account"] == "alpha"
    assert "2026-02-02" <= found.looser.given["clock"] < "2026-02-06T20"


def test_a_narrower_scope_is_looser_and_a_wider_one_is_tighter() -> None:
    one = policy(NOTIONAL, scope={"symbols": ["BTC/*"]}, name="limits")
    two = policy(NOTIONAL, scope={"symbols": ["BTC/USD"]}, name="limits")
    whole = policy(TOTAL)

    assert direction(linked(whole, one), linked(whole, two)).direction is Direction.LOOSER
    assert direction(linked(whole, two), linked(whole, one)).direction is Direction.TIGHTER


def test_an_expression_is_compared_by_what_it_means() -> None:
    def own(limit: str, measure: str = "order.notional") -> Any:
        return own_rule(
            {
                "parameters": {"most": {"type": "money", "limit": True}},
                "checks": [{"name": "value", "measure": measure, "limit": limit}],
                "applies_to": "all",
            }
        )

    gate = policy({"rule": "own@1", "limits": {"most": "100 USD"}})
    plain = linked(gate, own("params.most"))

    assert direction(plain, linked(gate, own("params.most * 2 / 2"))).direction is Direction.EQUAL
    doubled = linked(gate, own("params.most", "order.notional * 2"))
    assert direction(plain, doubled).direction is Direction.TIGHTER
    sides = own("params.most if order.is_buy else params.most * 2")
    assert direction(plain, linked(gate, sides)).direction is Direction.LOOSER


def test_a_product_of_fields_is_unknown_and_named() -> None:
    def own(limit: str) -> Any:
        return own_rule(
            {
                "parameters": {
                    "basis": {"type": "choice", "allowed": ["equity"], "default": "equity"}
                },
                "checks": [
                    {
                        "name": "square",
                        "measure": "book.drawdown * book.day_loss_ratio",
                        "limit": limit,
                    }
                ],
                "applies_to": "all",
            }
        )

    gate = policy({"rule": "own@1"})
    found = direction(
        linked(gate, own("book.drawdown * book.drawdown * book.drawdown")),
        linked(gate, own("book.day_loss_ratio * book.drawdown * book.drawdown")),
    )

    if found.direction is Direction.UNKNOWN:
        assert "book.drawdown" in found.blame


def test_a_set_that_loses_a_mandatory_gate_lets_nothing_through() -> None:
    with_all = linked(policy(TOTAL))

    assert compare_sets(with_all, linked(policy(NOTIONAL))).direction is Direction.EQUAL


def test_a_set_that_loses_a_mandatory_gate_takes_no_order() -> None:
    names = ("kill-switch", "data-quality", "daily-loss", "drawdown", "position-count")
    more = ("total-exposure", "position-size", "correlated-exposure")
    gates = [{"rule": f"{name}@1"} for name in (*names, *more)]
    base, head = linked(policy(*gates)), linked(policy(*gates[1:]))

    found = compare_sets(base, head)

    assert found.direction is Direction.TIGHTER
    assert found.tighter is not None
    assert found.tighter.head.code == "MANDATORY_GATE_MISSING"
    assert compare_sets(head, base).direction is Direction.LOOSER


def test_changed_trading_rules_are_unknown_and_a_new_symbol_is_looser() -> None:
    gates = policy(TOTAL)
    base = linked(instruments(), gates)
    more = instruments()
    more["spec"]["instruments"]["ETH/USD"] = more["spec"]["instruments"]["BTC/USD"]
    wider = linked(more, gates)

    moved = direction(base, linked(instruments(min_size="1"), gates))
    assert "trading rules of `BTC/USD`" in moved.blame
    assert not moved.never_looser
    found = direction(base, wider)
    assert found.direction is Direction.LOOSER
    assert found.looser is not None
    assert found.looser.base.code == "UNKNOWN_INSTRUMENT"
    assert direction(wider, base).direction is Direction.TIGHTER
    raised = linked(more, policy(changed(TOTAL, limits={"max": "20_000 USD"})))
    alone = compare_gates(base.gates[0], raised.gates[0], base, raised)
    assert alone.direction is Direction.LOOSER


@pytest.mark.parametrize(
    ("spec", "blame"),
    [
        ({"fx": {"EUR/USD": "1.25"}}, "FX rates"),
        ({"correlations": {"BTC/USD|ETH/USD": 0.5}}, "correlations"),
    ],
)
def test_other_rates_and_correlations_are_not_compared(spec: dict[str, Any], blame: str) -> None:
    before, after = instruments(), instruments()
    after["spec"].update(spec)
    gates = policy(TOTAL)

    found = direction(linked(before, gates), linked(after, gates))

    assert found.direction is Direction.UNKNOWN
    assert blame in found.blame


def test_another_start_of_the_day_and_another_currency_are_not_compared() -> None:
    base = linked(policy(TOTAL))
    day = linked(policy(TOTAL, day={"time": "08:00", "zone": "UTC"}))
    euros = linked(policy(changed(TOTAL, limits={"max": "10_000 EUR"}), currency="EUR"))

    assert "trading day" in direction(base, day).blame
    assert "kept in EUR" in direction(base, euros).blame


def test_prices_and_quotes_of_own_rules_are_compared_too() -> None:
    def own(measure: str, most: str) -> Any:
        checks = [{"name": "price", "measure": measure, "limit": "params.most"}]
        kinds = {"most": {"type": most, "limit": True}}
        return own_rule({"parameters": kinds, "checks": checks, "applies_to": "all"})

    def at(limit: Any) -> dict[str, Any]:
        return policy({"rule": "own@1", "limits": {"most": limit}})

    price, skew = own("order.price", "price"), own("market.skew", "duration")
    assert direction(linked(at(900), price), linked(at(950), price)).direction is Direction.LOOSER
    assert direction(linked(at("2s"), skew), linked(at("1s"), skew)).direction is Direction.TIGHTER
