"""Trials and their reviews, and findings that are accepted."""

from collections.abc import Mapping

import pytest

from review.mistakes.mistaken_sets import WEEK, codes, notional, override, policy
from ringfence.review.mistakes import Settings

pytestmark = pytest.mark.unit


def test_a_shadow_gate_has_a_review_and_the_whole_day_for_it() -> None:
    shadow = "    - {rule: spread@1, mode: shadow, limits: {max_spread: 1%%}%s}\n"
    dated = policy(shadow % ", review_by: 2026-03-31")

    assert codes(policy(shadow % "")) == ["E440"]
    assert codes(dated, now="2026-03-31T23:59:59Z") == []
    assert codes(dated, now="2026-04-01T00:00:00Z") == ["E441w"]


def accepted(codes_given: Mapping[str, str], indent: int) -> str:
    listed = ", ".join(f"{{code: {code}, reason: {why}}}" for code, why in codes_given.items())
    return f"{' ' * indent}accept: [{listed}]\n"


def test_a_finding_is_accepted_in_its_gate_and_nowhere_else() -> None:
    def gates(first: str, second: str) -> str:
        return policy(
            f"    - rule: total-exposure@1\n      limits: {{max: 0 USD}}\n{first}"
            f"    - rule: position-size@1\n      limits: {{max: 0 USD}}\n{second}"
        )

    meant = accepted({"E424": "closing only"}, 6)
    assert codes(gates("", "")) == ["E424w", "E424w"]
    assert codes(gates(meant, "")) == ["E424w"]
    assert codes(gates(meant, meant)) == []


def test_a_finding_is_accepted_in_its_policy_or_its_override() -> None:
    text = policy("    - {rule: total-exposure@1, limits: {max: 0 USD}}\n")
    row = f"{WEEK}; ticket: R-1"

    assert codes(text.replace("  gates:", accepted({"E424": "so"}, 2) + "  gates:")) == []
    assert codes(override(f"{row}; {accepted({'E424': 'so'}, 0).strip()}", "0 USD")) == []


def test_what_is_accepted_in_vain_is_told_unless_it_may_come_with_time() -> None:
    def text(code: str) -> str:
        return notional("200_000 USD", accepted({code: "so"}, 6))

    assert codes(text("E431")) == ["E449w"]
    assert codes(text("E410")) == []
    assert codes(text("E400")) == ["E449w"]
    assert codes(text("E460")) == []
    assert codes(text("E431"), settings=Settings(off={"E449": "no"})) == []


def test_what_cannot_be_accepted_is_found_all_the_same() -> None:
    text = policy(
        "    - rule: spread@1\n      mode: shadow\n      limits: {max_spread: 1%}\n"
        + accepted({"E440": "so"}, 6)
    )

    assert codes(text) == ["E440", "E449w"]


def test_a_code_may_be_switched_off() -> None:
    text = policy("    - {rule: total-exposure@1, limits: {max: 0 USD}}\n")

    assert codes(text, settings=Settings(off={"E424": "frozen"})) == []
