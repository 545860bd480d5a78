"""Whether an invariant holds of one decision, as the reference interpreter has it."""

import math
from typing import Any

import pytest

from ringfence.backends.reference.claims import broken
from ringfence.language.invariant_library import shipped_invariants
from ringfence.language.invariants import Invariant, read_invariant
from ringfence.language.linking import LinkedSet, link
from ringfence.language.policy_tests import merge, read_case
from ringfence.language.source import load

pytestmark = pytest.mark.unit

SHIPPED = {each.name: each for each in shipped_invariants()}
GIVEN: dict[str, Any] = {
    "clock": "2026-01-05T12:00:00Z",
    "instruments": {
        "BTC/USD": {"lot_step": "0.1", "min_size": "0.1", "base": "BTC", "quote": "USD"}
    },
    "market": {
        "BTC/USD": {"bid": 100, "ask": 100, "last": 100, "age": "1s", "completeness": "100%"}
    },
    "books": {
        level: {"currency": "USD", "equity": 1000, "day_start_equity": 1000, "peak_equity": 1000}
        for level in ("account/main", "firm")
    },
}
WHEN = {"account": "main", "symbol": "BTC/USD", "side": "buy", "size": "1", "price": "100"}


def policies(*gates: str, rule: str = "") -> LinkedSet:
    text = (
        "apiVersion: ringfence/v1\nkind: Policy\n"
        "metadata: {name: desk, version: 1.0.0, owner: risk, description: d}\n"
        f"spec: {{currency: USD, gates: [{', '.join(gates)}]}}\n"
    )
    documents = [load(text, "policy.yaml")]
    if rule:
        documents.append(
            load(
                "apiVersion: ringfence/v1\nkind: Rule\nmetadata: {name: own, version: 1.0.0, "
                "title: own, description: d, source: [own]}\n"
                f"spec: {{{rule}}}\n",
                "own.yaml",
            )
        )
    return link(documents, check_mandatory=False)


def claim(spec: str) -> Invariant:
    text = (
        "apiVersion: ringfence/v1\nkind: Invariant\n"
        f"metadata: {{name: own, version: 1.0.0, description: d}}\nspec: {{{spec}}}\n"
    )
    invariant, findings = read_invariant(load(text, "claim.yaml"))
    assert invariant is not None, findings
    return invariant


def found(
    invariant: Invariant,
    linked: LinkedSet,
    *,
    given: Any = None,
    base: LinkedSet | None = None,
    **when: Any,
) -> str:
    case = read_case(merge(GIVEN, given or {}), {**WHEN, **when}, linked)
    return broken(invariant, linked, case, base=base, check_mandatory=False)


NOTIONAL = "{rule: order-notional@1, limits: {max: 500 USD}}"
EXPOSURE = "{rule: total-exposure@1, limits: {max: 500 USD}}"


def test_a_claim_is_read_at_the_size_that_is_approved() -> None:
    most = claim("claim: order.notional <= params.most, parameters: {most: 500 USD}")

    assert found(most, policies(EXPOSURE), size="7") == ""
    assert found(most, policies("{rule: order-notional@1, limits: {max: 900 USD}}"), size="7") == (
        "the claim is false"
    )


def test_what_is_rejected_or_out_of_scope_or_not_as_assumed_breaks_nothing() -> None:
    most = "claim: order.notional <= params.most, parameters: {most: 50 USD}"

    assert found(claim(most), policies(NOTIONAL)) == "the claim is false"
    assert found(claim(most), policies(NOTIONAL), size="6") == ""
    assert found(claim(f"{most}, scope: {{accounts: [other]}}"), policies(NOTIONAL)) == ""
    assert found(claim(f"{most}, assume: [not order.is_buy]"), policies(NOTIONAL)) == ""
    assert (
        found(claim(f"{most}, assume: [market.volume > market.volume]"), policies(NOTIONAL)) == ""
    )
    assert found(claim(most), policies(NOTIONAL), symbol="XRP/USD") == ""


def test_an_unknown_claim_is_broken() -> None:
    assert found(claim("claim: order.size <= market.volume"), policies(NOTIONAL)) == (
        "the claim is unknown"
    )


def test_a_choice_is_read_by_its_name() -> None:
    gross = "claim: book.position_after <= params.most, parameters: {most: 150 USD, working: gross}"
    works = [{"order_id": "a", "symbol": "BTC/USD", "side": "sell", "size": "1", "price": 100}]
    given = {"books": {"account/main": {"working": works}}}

    assert found(claim(gross), policies(NOTIONAL), given=given) == ""
    assert found(claim(gross), policies(NOTIONAL), given=given, side="sell") == "the claim is false"


def test_the_kill_switch_in_the_shadow_does_not_dominate() -> None:
    given = {"control": {"kill_switch": {"firm": "halted"}}}
    kill = SHIPPED["kill-switch-dominates"]

    assert found(kill, policies("{rule: kill-switch@1}"), given=given) == ""
    shadow = policies("{rule: kill-switch@1, mode: shadow}")
    assert found(kill, shadow, given=given) == "the claim is false"


HOLE = "checks: [{name: spread, measure: 0 if order.notional >= order.notional else market.spread, limit: 0}]"


def test_a_field_that_a_gate_names_and_does_not_look_at_has_to_be_known() -> None:
    linked = policies("{rule: own@1}", rule=HOLE)
    given = {"market": {"BTC/USD": {"bid": math.nan}}}

    assert found(SHIPPED["known-inputs"], linked) == ""
    assert found(SHIPPED["known-inputs"], linked, given=given) == (
        "`market.spread` is unknown, which gate `own` names"
    )
    spread = policies("{rule: spread@1, limits: {max_spread: 1%}}")
    assert found(SHIPPED["known-inputs"], spread, given=given) == ""


def test_exposure_is_held_against_the_limits_that_the_gate_is_given() -> None:
    exposure = SHIPPED["exposure-within-limits"]

    assert found(exposure, policies(EXPOSURE), size="7") == ""
    assert found(exposure, policies(NOTIONAL), size="4") == ""


def test_a_rule_named_total_exposure_that_lets_more_through_is_found() -> None:
    text = (
        "apiVersion: ringfence/v1\nkind: Rule\nmetadata: {name: total-exposure, version: 9.0.0, "
        "title: t, description: d, source: [own]}\nspec: {parameters: {max: {type: money, limit: true}, "
        "working: {type: choice, allowed: [worst-case, gross], default: worst-case}}, "
        "checks: [{name: c, measure: book.exposure_after, limit: params.max * 2}]}\n"
    )
    policy = load(
        "apiVersion: ringfence/v1\nkind: Policy\n"
        "metadata: {name: desk, version: 1.0.0, owner: risk, description: d}\n"
        "spec: {currency: USD, gates: [{rule: total-exposure@9, limits: {max: 500 USD}}]}\n",
        "policy.yaml",
    )
    linked = link([policy, load(text, "rule.yaml")], check_mandatory=False)

    assert found(SHIPPED["exposure-within-limits"], linked, size="7") == (
        "the account's exposure is 700, its limit 500"
    )
    assert found(SHIPPED["exposure-within-limits"], linked, size="5") == ""


def test_head_is_held_against_base() -> None:
    strict = SHIPPED["as-strict-as-base"]
    wide = policies("{rule: total-exposure@1, limits: {max: 900 USD}}")

    assert found(strict, policies(EXPOSURE), base=wide, size="7") == ""
    assert found(strict, wide, base=policies(EXPOSURE), size="7") == (
        "APPROVE of 7.0, where the base says REDUCE_SIZE of 5.0"
    )
    assert found(strict, wide, base=policies(NOTIONAL), size="7") == (
        "APPROVE of 7.0, where the base says REJECT"
    )
    assert found(strict, wide, size="7") == ""


@pytest.mark.parametrize("name", ["limits-hold", "size-never-grows", "closing-orders-pass"])
@pytest.mark.parametrize("size", ["1", "7", "70"])
def test_what_holds_of_every_decision_holds(name: str, size: str) -> None:
    assert found(SHIPPED[name], policies(EXPOSURE, "{rule: data-quality@1}"), size=size) == ""
