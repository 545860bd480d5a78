"""Linking: a fault in one place leaves what is sound to be read, and nothing is told that only follows from it."""

import pytest

from ringfence.errors import PolicyError
from ringfence.language.linking import link
from ringfence.language.source import load

pytestmark = pytest.mark.unit

HEAD = """\
apiVersion: ringfence/v1
kind: Policy
metadata: {name: desk, version: 1.0.0, owner: risk@example.com, description: limits of the desk}
"""
NOTIONAL = "    - {rule: order-notional@1, limits: {max: 3 EUR}}\n"
RULE = """\
apiVersion: ringfence/v1
kind: Rule
metadata: {name: own-rule, version: 1.0.0, title: Own, description: of this desk, source: [here]}
spec:
  code: OWN
  parameters: {max: {type: money, limit: true, description: the most}}
  checks: [{name: value, measure: order.notional, limit: params.max, explain: too much}]
"""
INSTRUMENTS = """\
apiVersion: ringfence/v1
kind: Instruments
metadata: {name: desk, version: 1.0.0}
spec: {fx: {EUR/USD: 1.1}}
"""


def told(*texts: str) -> list[tuple[str, int, int]]:
    """Code, line and column of every finding of a set."""
    documents = [load(text, f"{number}.yaml") for number, text in enumerate(texts)]
    with pytest.raises(PolicyError) as refused:
        link(documents, check_mandatory=False)
    return [
        (each.code, each.span.line, each.span.column)
        for each in refused.value.diagnostics
        if each.span is not None
    ]


def codes(*texts: str) -> list[str]:
    return [code for code, _, _ in told(*texts)]


@pytest.mark.parametrize(
    ("before", "after", "fault"),
    [
        ("name: desk", "nam: desk", ["E152", "E151"]),
        ("version: 1.0.0", "version: 1", ["E153"]),
        ("metadata: {", "metadata: [{", ["E153"]),
        ("spec:", "spec:\n  scope: all", ["E153"]),
        ("spec:", "spec:\n  day: {time: 3}", ["E153"]),
        ("spec:", "spec:\n  curency: EUR", ["E151"]),
    ],
)
def test_a_fault_outside_of_the_gates_hides_nothing_in_them(
    before: str, after: str, fault: list[str]
) -> None:
    text = (
        HEAD + "spec:\n  gates:\n"
        "    - {rule: daily-loss@1, limits: {max_loss_ratio: 3}}\n"
        "    - {rule: nonsense@1, limits: {max: 3 USD}}\n"
    ).replace(before, after)
    if after.endswith("[{"):
        text = text.replace("desk}", "desk}]")

    assert codes(text) == [*fault, "E211", "E214"]


def test_a_fault_of_a_gate_hides_nothing_in_its_other_parts() -> None:
    gates = """\
spec:
  gates:
    - rule: order-notional@1
      on_breach: halt
      limits: {max: 3}
      modus: shadow
      overrides:
        - {limits: {max: 4}, until: 2026-01-09, ticket: RISK-1}
        - {limits: {max: 4}, until: 2026-01-09, tikcet: RISK-1}
    - {rule: nonsense@1, limits: {max: 3 USD}, modus: shadow}
"""

    assert told(HEAD + gates) == [
        ("E208", 7, 18),
        ("E211", 8, 21),
        ("E151", 9, 7),
        ("E211", 11, 26),
        ("E151", 12, 49),
        ("E214", 13, 14),
        ("E151", 13, 48),
    ]


@pytest.mark.parametrize(
    ("gate", "fault"),
    [
        ("{rule: order-notional@1, limit: {max: 3 USD}}", ["E151"]),
        ("{rule: order-notional@1, limits: [max]}", ["E153"]),
        ("{rule: order-notional@1, limits: {max: .inf}}", ["E159"]),
        ("{rule: [order-notional@1], limits: {max: 3}}", ["E153"]),
        ("{rul: order-notional@1, limits: {max: 3}}", ["E152", "E151"]),
        ("order-notional@1", ["E153"]),
        ("{rule: order-notional@1, limits: {max: 3 USD}, overrides: 3}", ["E153"]),
        ("{rule: order-notional@1, limits: {max: 3 USD}, on_breach: reduse}", ["E154"]),
    ],
)
def test_nothing_is_told_of_a_gate_that_only_follows_from_its_fault(
    gate: str, fault: list[str]
) -> None:
    assert codes(f"{HEAD}spec:\n  gates:\n    - {gate}\n") == fault


def test_a_gate_before_a_misspelt_key_of_the_policy_is_read() -> None:
    text = HEAD + (
        "spec:\n  gates:\n    - rule: daily-loss@1\n      limits: {max_loss_ratio: 3}\n  levl: firm\n"
    )

    assert codes(text) == ["E211", "E151"]


def test_more_faults_than_are_told_end_the_reading() -> None:
    text = HEAD + "spec:\n  gates:\n" + "    - daily-loss\n" * 150

    assert set(codes(text)) == {"E153", "E117"}


@pytest.mark.parametrize(
    ("right", "wrong", "fault"),
    [("code:", "codes:", "E151"), ("order.notional", "order.notionl", "E204")],
)
def test_a_rule_with_a_fault_is_not_unknown_to_the_policies_that_name_it(
    right: str, wrong: str, fault: str
) -> None:
    policy = HEAD + "spec:\n  gates:\n    - {rule: own-rule@1, limits: {max: 3 USD}}\n"

    assert codes(policy, RULE.replace(right, wrong)) == [fault]


def test_two_policies_that_lack_their_names_are_not_of_one_name() -> None:
    text = (HEAD + "spec:\n  gates:\n" + NOTIONAL).replace("name: desk, ", "")

    assert codes(text, text) == ["E152", "E152"]


@pytest.mark.parametrize(
    ("policy", "instruments", "fault"),
    [
        ("currency: USD", INSTRUMENTS.replace("1.1", "{}"), "E153"),
        ("currency: USD", INSTRUMENTS.replace("EUR/USD", "EUR"), "E155"),
        ("currncy: USD", INSTRUMENTS, "E151"),
        ("currency: [USD]", INSTRUMENTS, "E153"),
    ],
)
def test_what_a_faulty_file_says_of_currencies_is_not_held_against_others(
    policy: str, instruments: str, fault: str
) -> None:
    first = HEAD + f"spec:\n  {policy}\n  gates:\n{NOTIONAL}"
    second = (HEAD + f"spec:\n  gates:\n{NOTIONAL}").replace("desk,", "other,")

    assert codes(first, second.replace("EUR", "JPY"), instruments) == [fault]


def test_a_currency_without_a_rate_is_told_beside_a_fault_of_a_gate() -> None:
    text = (
        HEAD
        + f"spec:\n  currency: USD\n  gates:\n{NOTIONAL}    - {{rule: daily-loss@1, limt: {{}}}}\n"
    )

    assert codes(text) == ["E213", "E151"]
