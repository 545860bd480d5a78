"""What is proved holds, what is refuted is broken by an order that shows it, and what is neither is said."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ringfence.backends.reference import decide
from ringfence.backends.reference.claims import broken
from ringfence.language.invariant_library import invariants_for
from ringfence.language.linking import LinkedSet, link, link_path
from ringfence.language.policy_tests import read_case
from ringfence.language.source import Document, load
from ringfence.review.proof_cache import ProofCache
from ringfence.review.proof_search import Search
from ringfence.review.proofs import Proof, Question, prove

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[2]
DESK = """\
apiVersion: ringfence/v1
kind: Instruments
metadata: {name: desk, version: 1.0.0, description: What is traded.}
spec:
  accounts: [alpha, beta]
  strategies: [taker]
  instruments:
    BTC/USD: {lot_step: "0.01", min_size: "0.01", tick_size: "0.01", multiplier: 1, base: BTC, quote: USD}
    ETH/USD: {lot_step: "0.1", min_size: "0.1", tick_size: "0.01", multiplier: 1, base: ETH, quote: USD}
"""
MANDATORY = (
    "{rule: kill-switch@1}",
    "{rule: data-quality@1}",
    "{rule: daily-loss@1}",
    "{rule: drawdown@1}",
    "{rule: position-count@1}",
    "{rule: total-exposure@1, limits: {max: 500_000 USD}}",
    "{rule: position-size@1, limits: {max: 200_000 USD}}",
    "{rule: correlated-exposure@1}",
)


def policy(*gates: str, more: str = "") -> Document:
    text = (
        "apiVersion: ringfence/v1\nkind: Policy\n"
        "metadata: {name: desk, version: 1.0.0, owner: risk, description: The desk.}\n"
        f"spec:\n  currency: USD\n{more}  gates:\n" + "".join(f"    - {gate}\n" for gate in gates)
    )
    return load(text, "policies/desk.yaml")


def rule(spec: str) -> Document:
    text = (
        "apiVersion: ringfence/v1\nkind: Rule\nmetadata: {name: own, version: 1.0.0, title: own, "
        f"description: A rule., source: [own]}}\nspec:\n{spec}"
    )
    return load(text, "policies/rules/own.yaml")


def claim(spec: str, name: str = "own-claim") -> Document:
    text = (
        "apiVersion: ringfence/v1\nkind: Invariant\n"
        f"metadata: {{name: {name}, version: 1.0.0, description: d}}\nspec: {{{spec}}}\n"
    )
    return load(text, f"policies/invariants/{name}.yaml")


def desk(*documents: Document, mandatory: bool = True) -> LinkedSet:
    return link([load(DESK, "policies/instruments.yaml"), *documents], check_mandatory=mandatory)


def proofs_of(
    linked: LinkedSet, *, base: LinkedSet | None = None, mandatory: bool = True, **more: Any
) -> dict[str, Proof]:
    invariants, findings = invariants_for(linked, strict=base is not None)
    assert findings == []
    question = Question(linked, invariants, base, check_mandatory=mandatory, **more)
    found = {each.invariant.name: each for each in prove(question)}
    for proof in found.values():
        _check(proof, linked, base, mandatory)
    return found


def _check(proof: Proof, linked: LinkedSet, base: LinkedSet | None, mandatory: bool) -> None:
    """An order that refutes breaks the claim, and its test case fails as long as it does."""
    if proof.status != "refuted":
        assert proof.counterexample is None
        return
    example = proof.counterexample
    assert example is not None
    case = read_case(example.given, example.when, linked)
    assert broken(proof.invariant, linked, case, base=base, check_mandatory=mandatory)
    decision = decide(linked, case, check_mandatory=mandatory)
    assert decision.decision != example.test.then["decision"] or (
        str(decision.size) != example.test.then.get("size")
    )


def statuses(proofs: dict[str, Proof]) -> dict[str, str]:
    return {name: each.status for name, each in proofs.items() if each.status != "proved"}


def test_the_shipped_desk_proves() -> None:
    linked = link_path(ROOT / "policies")

    found = proofs_of(linked)

    assert statuses(found) == {}
    assert all(each.cells for each in found.values())
    assert {"alpha-orders", "firm-exposure", "kill-switch-dominates"} <= set(found)


def test_a_plain_desk_proves() -> None:
    assert statuses(proofs_of(desk(policy(*MANDATORY)))) == {}


@pytest.mark.parametrize(
    ("spec", "status"),
    [
        ("claim: order.notional <= params.most, parameters: {most: 200_000 USD}", "proved"),
        ("claim: order.notional <= params.most, parameters: {most: 199_999 USD}", "refuted"),
        ("claim: order.risk_reducing or book.drawdown <= params.most, parameters: {most: 10%}", "proved"),
        ("claim: book.drawdown <= params.most, parameters: {most: 10%}", "refuted"),
        ("claim: order.size <= market.volume", "refuted"),
        ("claim: order.size > order.size or not order.reduce_only or order.risk_reducing", "proved"),
        ("claim: market.age <= params.most, parameters: {most: 5s}, assume: [not order.risk_reducing]", "proved"),
        ("claim: market.age <= params.most, parameters: {most: 4s}, assume: [not order.risk_reducing]", "refuted"),
        ("claim: book.positions_after <= 10, assume: [not order.risk_reducing]", "proved"),
        ("claim: book.positions_after <= 9, assume: [not order.risk_reducing]", "refuted"),
        ("claim: order.notional <= params.most, parameters: {most: 1 USD}, scope: {symbols: [ETH/USD]}", "refuted"),
        ("claim: order.notional <= params.most, parameters: {most: 1 USD}, scope: {symbols: [DOGE/USD]}", "empty"),
        ("claim: order.is_buy, assume: [order.is_buy, not order.is_buy]", "empty"),
        ("claim: market.crossed == False, assume: [not order.risk_reducing]", "proved"),
        ("claim: market.bid <= market.ask, assume: [not order.risk_reducing]", "proved"),
        ("claim: market.bid <= market.mid and market.mid <= market.ask and market.spread >= 0 and market.mark "
         "> market.mid - market.mid, assume: [not order.risk_reducing]", "proved"),
        ("claim: order.messages <= 5, parameters: {window: 1s, counts: messages}", "proved"),
        ("claim: order.rate <= 5, parameters: {window: 500ms}", "proved"),
        ("claim: order.symbol_messages <= 5, parameters: {window: 1s, counts: orders}", "proved"),
        ("claim: order.messages <= 5, parameters: {window: 2s, counts: messages}", "refuted"),
        ("claim: order.messages <= 3, parameters: {window: 1m, counts: orders}", "proved"),
        ("claim: order.messages <= 3, parameters: {window: 1m, counts: messages}, scope: {symbols: [ETH/USD]}", "refuted"),
        ("claim: order.symbol_messages <= 2, parameters: {window: 1h, counts: messages}", "proved"),
        ("claim: order.messages <= 2, parameters: {window: 1h, counts: messages}", "refuted"),
    ],
)  # fmt: skip
def test_claims_about_a_desk(spec: str, status: str) -> None:
    linked = desk(
        policy(
            *MANDATORY,
            "{rule: order-notional@1, limits: {max: 200_000 USD}}",
            "{rule: order-rate@1, name: all, limits: {max_orders: 5/s}}",
            "{rule: order-rate@1, name: orders, limits: {max_orders: 3/m, counts: orders}}",
            "{rule: order-rate@1, name: symbol, limits: {max_per_symbol: 2/h}}",
        ),
        claim(spec),
    )
    (invariant,) = [each for each in invariants_for(linked)[0] if each.name == "own-claim"]

    (proof,) = prove(Question(linked, [invariant]))

    _check(proof, linked, None, True)
    assert proof.status == status, proof.reason


def without(*names: str) -> list[str]:
    return [each for each in MANDATORY if not any(f"rule: {name}@" in each for name in names)]


def shadow(name: str) -> list[str]:
    (gate,) = set(MANDATORY) - set(without(name))
    return [*without(name), gate[:-1] + ", mode: shadow}"]


SAFE = claim(
    "claim: book.position_after <= params.most, assume: [not order.risk_reducing], "
    "parameters: {most: 200_000 USD, working: worst-case}"
)


@pytest.mark.parametrize(
    ("gates", "broken_ones"),
    [
        (MANDATORY, set()),
        (shadow("kill-switch"), {"kill-switch-dominates"}),
        (without("kill-switch"), {"kill-switch-dominates"}),
        (shadow("position-size"), {"own-claim"}),
        (without("position-size"), {"own-claim"}),
    ],
)
def test_a_gate_that_does_not_decide_any_more_is_missed(
    gates: Sequence[str], broken_ones: set[str]
) -> None:
    linked = desk(policy(*gates), SAFE, mandatory=False)

    found = proofs_of(linked, mandatory=False)

    assert statuses(found) == dict.fromkeys(broken_ones, "refuted")


def test_a_kill_switch_that_looks_at_another_book_does_not_dominate() -> None:
    gates = ["{rule: kill-switch@1, level: firm}", *without("kill-switch")]

    found = proofs_of(desk(policy(*gates)))

    assert statuses(found) == {"kill-switch-dominates": "refuted"}
    example = found["kill-switch-dominates"].counterexample
    assert example is not None
    assert "reducing" in str(example.given["control"])


HOLE = (
    "  parameters: {{most: {{type: ratio, limit: true}}}}\n"
    "  checks:\n"
    "    - {{name: hole, measure: {field} if order.notional > order.notional else 0, limit: params.most}}\n"
)


@pytest.mark.parametrize(
    ("field", "applies_to", "status"),
    [
        ("market.spread", "all", "refuted"),
        # Whatever adds risk has both quotes, or the gate of data quality blocks it.
        ("market.spread", "risk_increasing", "proved"),
        ("market.volume / market.volume", "risk_increasing", "refuted"),
    ],
)
def test_a_rule_with_a_hole_is_found(field: str, applies_to: str, status: str) -> None:
    gate = f"{{rule: own@1, limits: {{most: 1%}}, applies_to: {applies_to}}}"
    linked = desk(policy(*MANDATORY, gate), rule(HOLE.format(field=field)))

    assert proofs_of(linked)["known-inputs"].status == status


def test_a_limit_that_nothing_reaches_is_found() -> None:
    own = rule(
        "  checks: [{name: value, measure: order.notional / order.notional, limit: '1e300'}]\n"
    )
    most = claim("claim: order.notional <= params.most, parameters: {most: 200_000 USD}")
    linked = desk(policy(*MANDATORY, "{rule: own@1}"), own, most)

    (invariant,) = [each for each in invariants_for(linked)[0] if each.name == "own-claim"]
    (proof,) = prove(Question(linked, [invariant]))

    _check(proof, linked, None, True)
    assert proof.status == "refuted"


def test_a_product_of_fields_is_named_with_its_line() -> None:
    own = rule(
        "  parameters: {most: {type: money, limit: true}}\n"
        "  checks:\n"
        "    - name: worth\n"
        "      measure: order.size * order.valuation_price\n"
        "      limit: params.most\n"
    )
    most = claim("claim: order.notional <= params.most, parameters: {most: 210_000 USD}")
    linked = desk(
        policy(*MANDATORY, "{rule: own@1, limits: {most: 200_000 USD}, applies_to: all}"), own, most
    )
    (invariant,) = [each for each in invariants_for(linked)[0] if each.name == "own-claim"]

    (proof,) = prove(Question(linked, [invariant], timeout_s=0.5))

    assert proof.status == "unknown"
    assert "no order was found" in proof.reason
    assert [(each.text, each.gate, str(each.span)) for each in proof.blame] == [
        ("(order.size * order.valuation_price)", "own", "policies/rules/own.yaml:8:16")
    ]


def test_strictness_is_skipped_without_a_base_and_held_against_one_with() -> None:
    wide, narrow = (
        desk(policy(*MANDATORY, f"{{rule: order-notional@1, limits: {{max: {most} USD}}}}"))
        for most in ("200_000", "100_000")
    )
    strict = [each for each in invariants_for(wide, strict=True)[0] if each.name.startswith("as-")]

    (skipped,) = prove(Question(wide, strict))
    assert (skipped.status, bool(skipped.reason)) == ("skipped", True)
    assert statuses(proofs_of(narrow, base=wide)) == {}
    assert statuses(proofs_of(wide, base=narrow)) == {"as-strict-as-base": "refuted"}
    assert statuses(proofs_of(wide, base=wide)) == {}


def test_strictness_is_not_known_where_a_book_is_halted_less() -> None:
    def halting(ticks: int, first: str = "") -> LinkedSet:
        gate = f"{{rule: drawdown@1, name: stop, on_breach: halt, confirm_ticks: {ticks}}}"
        return desk(policy(*MANDATORY, first or gate, *([gate] if first else [])))

    gone = desk(policy(*MANDATORY, "{rule: drawdown@1, name: stop}"))
    strict = [each for each in invariants_for(gone, strict=True)[0] if each.name.startswith("as-")]

    def asked(now: LinkedSet, before: LinkedSet) -> Proof:
        (proof,) = prove(Question(now, strict, before))
        return proof

    for now, told in (
        (gone, "`stop` halts its book no more"),
        (halting(3), "at tick 3, and did at 2"),
    ):
        proof = asked(now, halting(2))
        assert proof.status == "unknown"
        assert told in proof.reason
    # More halts, and the same ones in another place.
    assert asked(halting(2), gone).status == "proved"
    assert (
        asked(halting(2, "{rule: spread@1, limits: {max_spread: 1%}}"), halting(2)).status
        == "proved"
    )


def test_strictness_is_not_known_where_the_trading_day_starts_at_another_time() -> None:
    now, before = (
        desk(policy(*MANDATORY, more=f"  day: {{time: '{each}', zone: UTC}}\n"))
        for each in ("12:00", "00:00")
    )
    strict = [each for each in invariants_for(now, strict=True)[0] if each.name.startswith("as-")]

    (proof,) = prove(Question(now, strict, before, timeout_s=0.5))

    assert proof.status == "unknown"
    assert "the trading day" in proof.reason
    assert statuses(proofs_of(now, base=now)) == {}


@pytest.mark.parametrize(
    ("head", "base", "status"),
    [
        ("{max: 200_000 USD}", "{max: 200_000 USD, max_of_equity: 50%}", "refuted"),
        ("{max: 200_000 USD, max_of_equity: 50%}", "{max: 200_000 USD}", "proved"),
        ("{max: 200_000 USD}", "{max: 200_000 USD, working: gross}", "refuted"),
    ],
)
def test_strictness_of_limits_that_reduce(head: str, base: str, status: str) -> None:
    now, before = (
        desk(policy(*MANDATORY, f"{{rule: total-exposure@1, name: more, limits: {each}}}"))
        for each in (head, base)
    )
    strict = [each for each in invariants_for(now, strict=True)[0] if each.name.startswith("as-")]

    (proof,) = prove(Question(now, strict, before))

    _check(proof, now, before, True)
    assert proof.status == status, proof.reason


def test_what_was_answered_is_known_again(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    linked = desk(policy(*shadow("position-size")), SAFE, mandatory=False)
    question = Question(linked, invariants_for(linked)[0], check_mandatory=False)

    first = prove(question, cache=ProofCache("a", tmp_path))
    again = prove(question, cache=ProofCache("a", tmp_path))

    assert [each.status for each in again] == [each.status for each in first]
    assert not any(each.kept for each in first)
    assert all(each.kept for each in again)


def test_only_the_parts_that_changed_are_asked_about_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0o700)
    asked: list[str] = []
    solved = Search._answer

    def answer(search: Search, axioms: Any, formula: Any) -> str:
        asked.append("asked")
        return solved(search, axioms, formula)

    monkeypatch.setattr(Search, "_answer", answer)
    counts = []
    for most in ("50_000", "60_000", "50_000"):
        eth = "  scope: {symbols: [ETH/USD]}\n"
        only = load(
            policy(f"{{rule: order-notional@1, limits: {{max: {most} USD}}}}", more=eth)
            .content.decode()
            .replace("name: desk", "name: ether"),
            "policies/ether.yaml",
        )
        linked = desk(policy(*MANDATORY), only)
        question = Question(linked, invariants_for(linked)[0])
        asked.clear()
        proofs = prove(question, cache=ProofCache(linked.sha256[:9], tmp_path))
        counts.append(len(asked))
        assert {each.status for each in proofs} == {"proved"}
        assert len({each.cells for each in proofs}) == 1

    # Two kinds of parts at first; the one that changed; and none, for all is known.
    assert counts[1] == counts[0] // 2
    assert counts[2] == 0


def test_every_part_is_told_of() -> None:
    told: list[tuple[int, int]] = []
    linked = desk(policy(*MANDATORY))

    prove(
        Question(linked, invariants_for(linked)[0]),
        progress=lambda done, total: told.append((done, total)),
    )

    assert told == [(number + 1, len(told)) for number in range(len(told))]
