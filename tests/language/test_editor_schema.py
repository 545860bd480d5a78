"""Schemas for editors: they take what the language takes, and refuse what an editor can know is wrong."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.language.editor_schema import EDITOR_KINDS, editor_schema
from ringfence.language.parameters import DURATIONS, RATES, TYPES
from ringfence.language.rule_library import load_rule_library
from ringfence.language.rules import Rule, read_rule
from ringfence.language.schema import KINDS, schema_of
from ringfence.language.source import load, load_file

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[2]
COMMENT = re.compile(r"# yaml-language-server: \$schema=(\S+)\n")
FOLDERS = ("policies", "rules", "engine/ringfence/language/shipped_invariants")
SHIPPED = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.yaml"))
NUMBERS = st.one_of(
    st.integers(-2, 10**9).map(str),
    st.floats(0, 1e6).map("{:.4f}".format),
    st.sampled_from(["1_000", ".5", "1e3", "2.5e-3", "+4", "0.1_5"]),
)
UNITS = st.sampled_from(["", " ", "%", " bps", "bp", "x", " USD", "USDT", *DURATIONS, "/", "/ 2"])
VALUES = st.one_of(
    st.integers(-2, 10**6),
    st.floats(-1, 2),
    st.tuples(NUMBERS, UNITS, st.sampled_from(["", *RATES])).map("".join),
    st.sampled_from(["mid", "a", ["a"], ["a", "b"], ["c"], "BTC/*", ["BTC/*"], "", True]),
)


@cache
def validator(kind: str) -> jsonschema.Draft202012Validator:
    whole = editor_schema(kind, load_rule_library())
    jsonschema.Draft202012Validator.check_schema(whole)
    return jsonschema.Draft202012Validator(whole)


def policy(gate: str) -> Any:
    text = (
        "apiVersion: ringfence/v1\nkind: Policy\n"
        "metadata: {name: desk, version: 1.0.0, owner: risk, description: The desk.}\n"
        f"spec: {{gates: [{gate}]}}\n"
    )
    return load(text.encode(), "policy.yaml").data


def accepts(gate: str) -> bool:
    return validator("Policy").is_valid(policy(gate))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_a_shipped_file_names_the_schema_of_its_kind_and_fits_it(path: Path) -> None:
    document = load_file(path)
    kind = document.data["kind"]
    named = COMMENT.match(path.read_text(encoding="utf-8"))

    assert named
    assert (path.parent / named[1]).resolve() == (
        ROOT / "schemas" / EDITOR_KINDS.get(kind, KINDS[kind])
    )
    assert [error.message for error in validator(kind).iter_errors(document.data)] == []


@pytest.mark.parametrize(
    "gate",
    [
        "{rule: daily-loss@1, limits: {max_los: 1%}}",
        "{rule: daily-loss@1.0.0, limits: {max_los: 1%}}",
        "{rule: daily-loss@1, limits: {max_loss_ratio: 3}}",
        "{rule: daily-loss@1, limits: {max_loss_ratio: 3 percent}}",
        "{rule: daily-loss@1, limits: {max_loss: 3}}",
        "{rule: daily-loss@1, limits: {max_loss: '3'}}",
        "{rule: daily-loss@1, limits: {basis: cash}}",
        "{rule: data-quality@1, limits: {max_age: 5}}",
        "{rule: data-quality@1, limits: {max_age: 5 lightyears}}",
        "{rule: data-quality@1, limits: {required: [bid, size]}}",
        "{rule: position-count@1, limits: {max_positions: 1.5}}",
        "{rule: kill-switch@1, limits: {max: 1 USD}}",
        "{rule: total-exposure@1, overrides: [{limits: {max_size: 1}}]}",
        "{rule: Total-Exposure@1}",
    ],
)
def test_a_parameter_that_is_wrong_is_refused(gate: str) -> None:
    assert not accepts(gate)


@pytest.mark.parametrize(
    "gate",
    [
        "{rule: daily-loss@1, limits: {max_loss: 50_000 USD, max_loss_ratio: 250 bps, basis: max}}",
        "{rule: daily-loss@1, limits: {max_loss_ratio: 0.03}}",
        "{rule: order-rate@1, limits: {max_orders: 10/s}}",
        "{rule: order-rate@1, limits: {max_orders: 10, window: 1m}}",
        "{rule: leverage@1, limits: {max_leverage: 3x}}",
        "{rule: instrument-permission@1, limits: {allow: BTC/*, deny: []}}",
        "{rule: a-rule-of-ones-own@1, limits: {max_moon_phase: 3}}",
    ],
)
def test_values_with_their_units_and_rules_of_ones_own_are_taken(gate: str) -> None:
    assert accepts(gate)


@cache
def own_rule(parameter: str) -> tuple[Rule, jsonschema.Draft202012Validator]:
    """A rule with one parameter `limit` of that form, and the editor schema of policies with it."""
    text = (
        "apiVersion: ringfence/v1\nkind: Rule\n"
        "metadata: {name: own, version: 2.0.0, title: t, description: d, source: [s]}\n"
        f"spec:\n  parameters: {{limit: {{{parameter}}}, window: {{type: duration}}}}\n"
        "  checks: [{measure: order.duplicates, limit: '0', when: [limit]}]\n"
    )
    rule, findings = read_rule(load(text.encode(), "own.yaml"))
    assert rule, findings
    return rule, jsonschema.Draft202012Validator(editor_schema("Policy", [rule]))


@given(kind=st.sampled_from(TYPES), rate=st.booleans(), value=VALUES)
def test_whatever_the_language_takes_the_editor_takes(kind: str, rate: bool, value: Any) -> None:
    listed = ", allowed: [a, b, mid]" if kind in ("choice", "choices") else ""
    rule, editor = own_rule(
        f"type: {kind}, limit: true{listed}" + (", window: window" if rate else "")
    )
    written = policy("{rule: own@2, limits: {limit: 1}}")
    written["spec"]["gates"][0]["limits"]["limit"] = value
    _, wrong = rule.parameters.read({"limit": value})

    assert wrong or editor.is_valid(written)


def test_a_required_parameter_is_asked_for() -> None:
    _, own = own_rule("type: count, required: true")

    assert own.is_valid(policy("{rule: own@2, limits: {limit: 1}}"))
    assert not own.is_valid(policy("{rule: own@2, limits: {}}"))
    assert not own.is_valid(policy("{rule: own@2}"))
    assert own.is_valid(policy("{rule: own@1}"))


def test_kinds_that_bind_no_rule_are_as_published() -> None:
    assert editor_schema("Instruments", load_rule_library()) == schema_of("Instruments")
