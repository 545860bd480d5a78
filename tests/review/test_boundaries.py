"""Boundary cases: at each limit and one step to either side, as the interpreter decides them."""

from typing import Any

import pytest

from ringfence.backends.reference import decide
from ringfence.language import schema
from ringfence.language.linking import LinkedSet, link
from ringfence.language.policy_tests import read_case
from ringfence.review.boundaries import Boundaries, BoundaryCase, boundaries, boundary_cases
from strategies import document_of, own_rule

pytestmark = pytest.mark.unit

DESK = {
    "apiVersion": "ringfence/v1",
    "kind": "Instruments",
    "metadata": {"name": "desk", "version": "1.0.0", "description": "Test."},
    "spec": {
        "accounts": ["alpha", "beta"],
        "instruments": {
            "BTC/USD": {
                "lot_step": "0.001",
                "min_size": "0.002",
                "max_size": "100",
                "tick_size": "0.1",
                "multiplier": 1,
                "base": "BTC",
                "quote": "USD",
                "min_notional": 10,
            }
        },
    },
}


def linked(*gates: dict[str, Any], rule: dict[str, Any] | None = None, **scope: Any) -> LinkedSet:
    policy = {
        "apiVersion": "ringfence/v1",
        "kind": "Policy",
        "metadata": {"name": "desk", "version": "1.0.0", "owner": "risk", "description": "Test."},
        "spec": {"currency": "USD", "scope": scope or {"accounts": ["*"]}, "gates": list(gates)},
    }
    documents = [document_of(DESK, "desk.yaml"), document_of(policy, "policy.yaml")]
    return link([*documents, *([own_rule(rule)] if rule else [])], check_mandatory=False)


def found_for(policies: LinkedSet, row: int = 0) -> Boundaries:
    gate = policies.gates[0]
    found = boundaries(policies, gate, gate.rows[row], check_mandatory=False)
    for case in found.cases:
        _is_a_case(policies, case)
    return found


def _is_a_case(policies: LinkedSet, case: BoundaryCase) -> None:
    """It reads as a policy test, and comes out as it says."""
    test = {
        "apiVersion": "ringfence/v1",
        "kind": "PolicyTest",
        "metadata": {"name": "made", "version": "1.0.0", "description": "Made."},
        "cases": [
            {"name": case.name, "given": case.given, "when": case.when, "then": case.then},
        ],
    }
    assert not schema.check(document_of(test, "test.yaml"), "PolicyTest")
    decision = decide(policies, read_case(case.given, case.when, policies), check_mandatory=False)
    assert decision.decision == case.then["decision"]


def places(found: Boundaries, check: str) -> dict[str, str]:
    """Decision by place, of one check."""
    named = {case.name: case.then["decision"] for case in found.cases}
    return {
        name.rpartition(", ")[2]: decision
        for name, decision in named.items()
        if f", {check}," in name
    }


EDGES = {
    "one step inside": "APPROVE",
    "at the limit": "APPROVE",
    "one step outside": "REJECT",
}


@pytest.mark.parametrize(
    ("rule", "limits", "check"),
    [
        ("order-notional", {"max": "5_000 USD"}, "value"),
        ("order-size", {"max_size": 2.5}, "size"),
        ("daily-loss", {"max_loss": "1_000 USD"}, "money"),
        ("daily-loss", {"max_loss_ratio": "5%"}, "ratio"),
        ("drawdown", {"max_drawdown": "10%"}, "from-peak"),
        ("position-count", {"max_positions": 3}, "symbols"),
        ("open-orders", {"max_total": 5}, "total"),
        ("order-rate", {"max_orders": "10/s"}, "rate"),
        ("order-rate", {"max_per_symbol": "10/s"}, "per-symbol"),
        ("price-collar", {"max_deviation": "2%"}, "deviation"),
        ("data-quality", {"max_age": "5s"}, "age"),
        ("data-quality", {"min_completeness": "95%"}, "completeness"),
        ("venue-rules", {}, "min-size"),
        ("depth", {"max_share": "10%"}, "share"),
    ],
)
def test_a_gate_is_shown_at_its_limit_and_one_step_to_either_side(
    rule: str, limits: dict[str, Any], check: str
) -> None:
    found = found_for(linked({"rule": f"{rule}@1", "limits": limits}))

    assert places(found, check) == EDGES


@pytest.mark.parametrize("rule", ["total-exposure", "position-size", "net-exposure"])
def test_a_gate_that_reduces_leaves_what_fits_at_one_lot_more(rule: str) -> None:
    found = found_for(linked({"rule": f"{rule}@1", "limits": {"max": "10_000 USD"}}))

    assert places(found, "money") == {**EDGES, "one step outside": "REDUCE_SIZE"}
    assert any(case.name.endswith("only reducing risk") for case in found.cases)


def test_a_gate_without_numbers_passes_and_breaches() -> None:
    found = found_for(linked({"rule": "kill-switch@1"}))

    assert [case.name for case in found.cases] == [
        "desk/kill-switch, passing",
        "desk/kill-switch, breaching",
    ]


def test_an_override_is_shown_in_force_before_after_and_for_another_account() -> None:
    override = {
        "limits": {"max": "9_000 USD"},
        "scope": {"accounts": ["beta"]},
        "from": "2026-02-02T08:00:00Z",
        "until": "2026-02-06T20:00:00Z",
        "ticket": "RISK-1",
    }
    policies = linked(
        {"rule": "order-notional@1", "limits": {"max": "5_000 USD"}, "overrides": [override]}
    )
    found = found_for(policies, row=1)
    clocks = {case.name: case.given["clock"] for case in found.cases}

    assert places(found, "value") == EDGES
    assert clocks["desk/order-notional, override 1, just before it starts"] < "2026-02-02T08"
    assert clocks["desk/order-notional, override 1, as it ends"] == "2026-02-06T20:00:00Z"
    (other,) = (case for case in found.cases if case.name.endswith("with another account"))
    assert other.when["account"] == "alpha"
    assert other.then["decision"] == "REJECT"


def test_what_cannot_be_found_is_named() -> None:
    rule = {
        "parameters": {
            "most": {"type": "count", "limit": True, "window": "window"},
            "window": {"type": "duration", "default": "1s"},
        },
        "checks": [{"name": "few", "measure": "order.rate * 0", "limit": "params.most"}],
        "applies_to": "all",
    }
    policies = linked({"rule": "own@1", "limits": {"most": 5}}, rule=rule)
    found = found_for(policies)

    assert "desk/own, few, at the limit" in found.missing
    assert "desk/own, few, one step outside" in found.missing


def test_without_its_mandatory_gates_a_set_has_no_case_that_passes() -> None:
    policies = linked({"rule": "order-notional@1", "limits": {"max": "5_000 USD"}})

    found = boundary_cases(policies, policies.gates[0], policies.gates[0].rows[0])

    assert {case.then["decision"] for case in found} <= {"REJECT"}


def test_a_gate_that_binds_no_order_has_no_cases() -> None:
    narrow = linked({"rule": "order-notional@1", "limits": {"max": "1 USD"}}, symbols=["NONE/*"])

    found = found_for(narrow)

    assert (found.cases, found.missing) == (
        [],
        ["desk@1.0.0/order-notional: no order is bound by these limits"],
    )
