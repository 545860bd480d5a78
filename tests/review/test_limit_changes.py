"""What differs between two policy sets: every difference in meaning is told once, with its place on both sides."""

import json
import random
import re
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from review.plans import ROOT, SHIPPED
from ringfence.errors import PolicyError
from ringfence.language.canonical import canonical_rule
from ringfence.language.gates import ALWAYS, canonical_value
from ringfence.language.linking import LinkedSet, link, link_path
from ringfence.language.source import Document, load
from ringfence.review.limit_changes import Change, limit_changes

pytestmark = pytest.mark.unit


def linked(files: dict[str, str]) -> LinkedSet:
    return link([loaded(text, name) for name, text in files.items()], check_mandatory=False)


@cache
def loaded(text: str, name: str) -> Document:
    return load(text, name)


def changed(name: str, *edits: tuple[str, str]) -> dict[str, str]:
    text = SHIPPED[name]
    for old, new in edits:
        assert old in text
        text = text.replace(old, new, 1)
    return {**SHIPPED, name: text}


def told(head: dict[str, str], base: dict[str, str] = SHIPPED) -> list[tuple[Any, ...]]:
    return [
        (each.kind, each.policy, each.gate, move.what, move.name, move.old, move.new)
        for each in limit_changes(linked(base), linked(head))
        for move in each.moves
    ]


def only(head: dict[str, str]) -> Change:
    (found,) = limit_changes(linked(SHIPPED), linked(head))
    return found


def test_equal_sets_do_not_differ_whatever_their_layout() -> None:
    spaced = {
        name: text.replace("{max: ", "{ max:   ") + "# a remark\n" for name, text in SHIPPED.items()
    }

    assert told(spaced) == []


def test_a_limit_that_moved_has_both_values_a_factor_and_both_places() -> None:
    found = only(changed("desk.yaml", ("{max: 1_500_000 USDT", "{max: 2_250_000 USDT")))

    assert (found.kind, found.policy, found.gate, found.levels) == (
        "moved",
        "desk",
        "position-size",
        ("account",),
    )
    (move,) = found.moves
    assert (move.what, move.name, move.where) == ("limit", "max", "")
    assert (move.old, move.new, move.factor) == ("1,500,000 USDT", "2,250,000 USDT", 1.5)
    assert (str(move.base), str(move.head)) == ("desk.yaml:35:21", "desk.yaml:35:21")
    assert found.decides


@pytest.mark.parametrize(
    ("edit", "move"),
    [
        (("max_age: 5s", "max_age: 8s"), ("limit", "max_age", "5 s", "8 s")),
        (("max_loss_ratio: 5%", "max_loss_ratio: 5.125%"), ("limit", "max_loss_ratio", "5 %", "5.125 %")),
        (("max_positions: 10", "max_positions: 12"), ("limit", "max_positions", "10", "12")),
        (("reference: mid", "reference: last"), ("limit", "reference", "mid", "last")),
        (("limits: {max: 4_000_000 USDT, max_of_equity: 95%}", "limits: {max: 4_000_000 USDT}"), ("limit", "max_of_equity", "95 %", None)),
        (("max: 4_500_000 USDT", "max: 5_000_000 USDT"), ("override", "max", "4,500,000 USDT", "5,000,000 USDT")),
        (("ticket: RISK-142", "ticket: RISK-143"), ("ticket", "", "RISK-142", "RISK-143")),
        (("scope: {accounts: [alpha]}", "scope: {accounts: [beta]}"), ("scope", "", "accounts alpha", "accounts beta")),
        (("- rule: price-collar@1", "- rule: price-collar@1\n      mode: shadow"), ("mode", "", "enforce", "shadow")),
        (("- rule: drawdown@1", "- rule: drawdown@1\n      on_breach: halt"), ("on_breach", "", "reject", "halt")),
        (("- rule: drawdown@1", "- rule: drawdown@1\n      applies_to: all"), ("applies_to", "", "risk_increasing", "all")),
        (("- rule: drawdown@1", "- rule: drawdown@1\n      level: strategy"), ("level", "", "account", "strategy")),
        (("- rule: venue-rules@1", "- rule: venue-rules@1\n      name: venue"), ("name", "", "venue-rules", "venue")),
        (("accounts: [alpha, beta]", "accounts: [alpha]"), ("scope", "", "accounts alpha, beta", "accounts alpha")),
        (("version: 1.0.1", "version: 1.0.2"), ("version", "", "1.0.1", "1.0.2")),
    ],
)  # fmt: skip
def test_each_part_of_a_policy_is_told_by_its_name(
    edit: tuple[str, str], move: tuple[str, str, str | None, str | None]
) -> None:
    found = only(changed("desk.yaml", edit))

    assert [(each.what, each.name, each.old, each.new) for each in found.moves] == [move]
    assert found.decides == (move[0] not in ("version", "name", "ticket"))


def test_a_window_that_moved_is_told_and_the_override_is_the_same_one() -> None:
    (move,) = only(changed("desk.yaml", ("2026-02-06T20:00:00Z", "2026-02-09T20:00:00Z"))).moves

    assert (move.what, move.where) == (
        "window",
        "accounts alpha, from 2026-02-02 08:00:00 UTC until 2026-02-09 20:00:00 UTC",
    )


def test_gates_and_policies_come_and_go_with_all_their_limits() -> None:
    without = changed(
        "desk.yaml", ("    - rule: order-notional@1\n      limits: {max: 200_000 USDT}\n", "")
    )
    gone = {name: text for name, text in SHIPPED.items() if name != "strategy-taker.yaml"}

    assert told(without) == [
        ("removed", "desk", "order-notional", "gate", "", "order-notional@1.0.0, reject", None),
        ("removed", "desk", "order-notional", "limit", "max", "200,000 USDT", None),
    ]
    assert ("added", "desk", "order-notional", "limit", "max", None, "200,000 USDT") in told(
        SHIPPED, without
    )
    assert (
        "removed",
        "strategy-taker",
        "",
        "policy",
        "",
        "strategy-taker@1.0.0: strategies taker",
        None,
    ) in told(gone)
    assert (
        "added",
        "strategy-taker",
        "total-exposure",
        "limit",
        "max",
        None,
        "2,500,000 USDT",
    ) in told(SHIPPED, gone)


def test_a_renamed_policy_is_the_same_one_only_where_that_is_beyond_doubt() -> None:
    renamed = changed(
        "strategy-taker.yaml", ("name: strategy-taker", "name: taker"), ("2_500_000", "2_600_000")
    )
    twin = SHIPPED["strategy-taker.yaml"].replace("name: strategy-taker", "name: other")
    twin = twin.replace("2_500_000", "2_700_000")

    assert told(renamed) == [
        ("moved", "taker", "", "name", "", "strategy-taker", "taker"),
        ("moved", "taker", "total-exposure", "limit", "max", "2,500,000 USDT", "2,600,000 USDT"),
    ]
    kinds = {(kind, policy) for kind, policy, *_ in told({**renamed, "other.yaml": twin})}
    assert kinds == {("added", "taker"), ("added", "other"), ("removed", "strategy-taker")}


def test_what_is_declared_beside_policies_is_told_with_its_place() -> None:
    found = only(
        changed(
            "instruments.yaml",
            ('lot_step: "0.00001"', 'lot_step: "0.0001"'),
            ("accounts: [alpha, beta]", "accounts: [alpha, beta, gamma]"),
            (
                "  instruments:\n",
                '  correlations: {"BTC/USDT|ETH/USDT": 0.8}\n  fx: {EUR/USDT: 1.1}\n  instruments:\n',
            ),
        )
    )

    assert (found.policy, found.gate, found.levels) == ("", "", ("firm",))
    moves = {(each.what, each.name): (each.old, each.new, each.factor) for each in found.moves}
    assert moves == {
        ("instrument", "BTC/USDT lot_step"): ("0.00001", "0.0001", pytest.approx(10.0)),
        ("rate", "EUR/USDT"): (None, "1.1", None),
        ("correlation", "BTC/USDT|ETH/USDT"): (None, "0.8", None),
        ("universe", "accounts"): ("alpha, beta", "alpha, beta, gamma", None),
    }
    assert [str(each.head).partition(":")[0] for each in found.moves] == ["instruments.yaml"] * 4


def test_a_rule_that_was_rewritten_under_its_version_is_told() -> None:
    rule = (
        (ROOT / "rules" / "order-notional.yaml").read_text("utf-8").partition("  case_defaults:")[0]
    )
    own = {**SHIPPED, "rule.yaml": rule}
    other = {
        **SHIPPED,
        "rule.yaml": rule.replace("measure: order.notional", "measure: order.notional * 2"),
    }

    assert told(other, own) == [
        (
            "moved",
            "desk",
            "order-notional",
            "rule",
            "",
            "order-notional@1.0.0",
            "order-notional@1.0.0, rewritten",
        )
    ]


def test_gates_in_another_order_are_told() -> None:
    lines = SHIPPED["firm.yaml"].splitlines(keepends=True)
    at = next(k for k, line in enumerate(lines) if "kill-switch" in line)
    lines.append(lines.pop(at))

    assert [each[3] for each in told({**SHIPPED, "firm.yaml": "".join(lines)})] == ["order"]


def test_a_diff_of_the_shipped_example_names_the_three_limits() -> None:
    sets = [link_path(ROOT / place) for place in ("policies", "examples/tightened")]

    limits = [move for each in limit_changes(*sets) for move in each.moves if move.what == "limit"]
    assert [round(each.factor or 0, 2) for each in limits] == [0.67, 0.5, 0.48]


def flat(found: LinkedSet) -> dict[str, str]:
    """Every leaf of the meaning of a set, without an own notion of what a change is."""
    leaves: dict[str, str] = {}
    for policy in found.policies:
        at = policy.name
        leaves |= {
            f"{at} {key}": str(getattr(policy, key))
            for key in ("version", "owner", "currency", "day")
        }
        leaves[f"{at} scope"] = json.dumps(policy.scope.canonical())
        for gate in policy.gates:
            place = f"{at}/{gate.name}"
            leaves |= {
                f"{place} {key}": str(getattr(gate, key))
                for key in ("level", "mode", "on_breach", "applies_to")
            }
            leaves[f"{place} rule"] = json.dumps(
                [gate.rule.key, canonical_rule(gate.rule)], default=str
            )
            for name, value in gate.rows[0].values.items():
                leaves[f"{place} limit {name}"] = str(canonical_value(value))
            for number, row in enumerate(gate.rows[1:]):
                window = (
                    None if (row.from_ns, row.until_ns) == ALWAYS else (row.from_ns, row.until_ns)
                )
                given = {name: canonical_value(row.values[name]) for name in row.given}
                scope = row.scope.canonical() if row.scope else None
                leaves[f"{place} override {number}"] = json.dumps(
                    [scope, window, row.ticket, given]
                )
    return leaves


NUMBERS = re.compile(r"(?<=[ {:])(\d[\d_]*)(?= USDT|%|s\b|\})")


@settings(max_examples=40)
@given(st.integers(0, 10**9))
def test_the_table_of_limits_is_what_differs_leaf_by_leaf(seed: int) -> None:
    """Some numbers, lines and words of the shipped policies are edited; the brute difference is the oracle."""
    rng = random.Random(seed)
    files = {}
    for name, text in SHIPPED.items():
        if name == "instruments.yaml":
            files[name] = text
            continue
        body, _, gates = text.partition("  gates:\n")
        gates = NUMBERS.sub(
            lambda found: (
                str(int(found[1].replace("_", "")) + rng.randint(1, 3))
                if rng.random() < 0.15
                else found[1]
            ),
            gates,
        )
        parts = re.split(r"(?m)^(?=    - rule)", gates)
        kept = [part for part in parts if len(parts) < 3 or rng.random() > 0.05]
        files[name] = body + "  gates:\n" + "".join(kept or parts)
    try:
        base, head = linked(SHIPPED), linked(files)
    except PolicyError:
        return
    before, now = flat(base), flat(head)
    differing = {name for name in before.keys() | now.keys() if before.get(name) != now.get(name)}

    found = limit_changes(base, head)

    assert bool(found) == (base.sha256 != head.sha256) == bool(differing)
    limits = {
        f"{each.policy}/{each.gate} limit {move.name}"
        for each in found
        for move in each.moves
        if move.what == "limit"
    }
    assert limits == {name for name in differing if " limit " in name}
    gates = {f"{each.policy}/{each.gate}" for each in found if each.gate}
    assert gates == {name.partition(" ")[0] for name in differing if "/" in name.partition(" ")[0]}
