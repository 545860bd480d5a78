"""Questions to the solver: proofs over all orders, and concrete orders that the interpreter confirms."""

from typing import Any

import pytest

from ringfence.backends.reference import decide
from ringfence.backends.smt import (
    Found,
    GateSet,
    Proved,
    Question,
    Setting,
    Size,
    Unsure,
    both,
    bound_gates,
    opposite,
    search,
)
from ringfence.language.decision import RiskDecision
from ringfence.language.gates import to_ns
from ringfence.language.linking import LinkedSet, link
from ringfence.language.policy_tests import read_case
from strategies import document_of, own_rule

pytestmark = pytest.mark.unit

NOON = to_ns("2026-01-05T12:00:00Z")
WHO = ("main", "", "", "BTC/USD")


def policies(*gates: dict[str, Any], rule: dict[str, Any] | None = None) -> LinkedSet:
    policy = {
        "apiVersion": "ringfence/v1",
        "kind": "Policy",
        "metadata": {"name": "desk", "version": "1.0.0", "owner": "risk", "description": "Test."},
        "spec": {"currency": "USD", "gates": list(gates)},
    }
    own = [own_rule(rule)] if rule else []
    return link([document_of(policy, "desk.yaml"), *own], check_mandatory=False)


def bound(linked: LinkedSet) -> GateSet:
    pairs = [(each, each.row_at(NOON)) for each in linked.bind(*WHO)]
    return bound_gates(linked, pairs, check_mandatory=False)


def total(limit: str, **more: Any) -> dict[str, Any]:
    return {"rule": "total-exposure@1", "limits": {"max": limit}, **more}


def ask(linked: LinkedSet, claim: Any, wanted: RiskDecision) -> Any:
    """Search for an order that `linked` decides as wanted."""

    def confirm(given: dict[str, Any], when: dict[str, Any]) -> bool:
        found = decide(linked, read_case(given, when, linked), check_mandatory=False)
        return found.decision is wanted

    gates = bound(linked).gates
    question = Question(Setting(*WHO, NOON, linked), claim, gates, bound(linked).products)
    return search(question, confirm)


def test_an_order_that_is_approved_is_found_with_its_book() -> None:
    linked = policies(total("10_000 USD"))
    gates = bound(linked)

    found = ask(linked, lambda inputs: gates.approves(inputs), RiskDecision.APPROVE)

    assert isinstance(found, Found)
    assert found.when["symbol"] == "BTC/USD"


def test_an_order_that_is_reduced_is_found() -> None:
    linked = policies(total("10_000 USD"))
    gates = bound(linked)

    found = ask(linked, lambda inputs: gates.reduces(inputs), RiskDecision.REDUCE_SIZE)

    assert isinstance(found, Found)


def test_what_one_limit_passes_a_higher_one_does_not_stop() -> None:
    low, high = bound(policies(total("10_000 USD"))), bound(policies(total("20_000 USD")))
    linked = policies(total("10_000 USD"))

    found = ask(
        linked,
        lambda inputs: both(low.approves(inputs), opposite(high.approves(inputs))),
        RiskDecision.APPROVE,
    )

    assert found == Proved()


@pytest.mark.parametrize("rule", ["total-exposure", "position-size", "net-exposure", "leverage"])
def test_no_order_is_passed_whose_equity_is_unknown(rule: str) -> None:
    limits = {"max_leverage": "2x"} if rule == "leverage" else {"max_of_equity": "50%"}
    linked = policies({"rule": f"{rule}@1", "limits": limits, "applies_to": "all"})
    gates = bound(linked)
    gate = gates.gates[0]

    def claim(inputs: Any) -> Any:
        equity = inputs.read("book.equity", gate.reading(Size.ASKED))
        return both(gates.approves(inputs), opposite(equity.known))

    assert ask(linked, claim, RiskDecision.APPROVE) == Proved()


def test_a_product_of_fields_that_nobody_can_decide_is_named() -> None:
    rule = {
        "checks": [
            {
                "name": "square",
                "measure": "book.drawdown * book.day_loss_ratio * book.drawdown",
                "limit": "0.5",
            }
        ],
        "parameters": {"basis": {"type": "choice", "allowed": ["equity"], "default": "equity"}},
        "applies_to": "all",
    }
    linked = policies({"rule": "own@1"}, rule=rule)
    gates = bound(linked)

    found = ask(linked, lambda inputs: opposite(gates.approves(inputs)), RiskDecision.REDUCE_SIZE)

    assert isinstance(found, Unsure)
    assert "book.drawdown * book.day_loss_ratio" in found.blame
