"""Limits that are never reached, for another one decides first."""

import pytest

from review.mistakes.mistaken_sets import codes, policy

pytestmark = pytest.mark.unit


def pair(
    first: str, second: str, *, scopes: tuple[str, str] = ("", "{accounts: [alpha]}")
) -> tuple[str, str]:
    return (
        policy(f"    - {first}\n", scopes[0], name="wide"),
        policy(f"    - {second}\n", scopes[1], name="narrow"),
    )


EXPOSURE = "{rule: total-exposure@1, limits: {max: %s}%s}"


@pytest.mark.parametrize(
    ("wide", "narrow", "found"),
    [
        (EXPOSURE % ("1e6 USD", ""), EXPOSURE % ("2e6 USD", ""), ["E431w"]),
        (EXPOSURE % ("2e6 USD", ""), EXPOSURE % ("1e6 USD", ""), []),
        (EXPOSURE % ("1e6 USD", ""), EXPOSURE % ("1e6 USD", ""), []),
        (EXPOSURE % ("1e6 USD", ", level: firm"), EXPOSURE % ("2e6 USD", ""), []),
        (EXPOSURE % ("1e6 EUR", ""), EXPOSURE % ("2e6 USD", ""), []),
        (EXPOSURE % ("1e6 USD, working: gross", ""), EXPOSURE % ("2e6 USD", ""), []),
        (EXPOSURE % ("1e6 USD", ""), EXPOSURE % ("2e6 USD", ", on_breach: reject"), []),
        (EXPOSURE % ("1e6 USD", ", on_breach: reject"), EXPOSURE % ("2e6 USD", ""), ["E431w"]),
        (EXPOSURE % ("1e6 USD", ""), EXPOSURE % ("2e6 USD", ", applies_to: all"), []),
        (
            EXPOSURE % ("1e6 USD", ", mode: shadow, review_by: 2027-01-01"),
            EXPOSURE % ("2e6 USD", ""),
            [],
        ),
        (
            EXPOSURE % ("1e6 USD", ""),
            EXPOSURE % ("2e6 USD", ", mode: shadow, review_by: 2027-01-01"),
            ["E432"],
        ),
        (
            EXPOSURE % ("1e6 USD", ""),
            "{rule: total-exposure@1, limits: {max: 2e6 USD, max_of_equity: 10%}}",
            ["E431w"],
        ),
        (
            "{rule: data-quality@1, limits: {min_completeness: 99%}}",
            "{rule: data-quality@1, limits: {min_completeness: 90%}}",
            ["E431w"],
        ),
        (
            "{rule: order-rate@1, limits: {max_orders: 10/s}}",
            "{rule: order-rate@1, limits: {max_orders: 100/min}}",
            [],
        ),
    ],
)
def test_a_limit_behind_a_wider_one(wide: str, narrow: str, found: list[str]) -> None:
    assert codes(*pair(wide, narrow)) == found


@pytest.mark.parametrize(
    ("wide", "narrow", "within"),
    [
        ("{accounts: [alpha, beta]}", "{accounts: [alpha]}", True),
        ('{accounts: ["a*"]}', "{accounts: [alpha]}", True),
        ('{accounts: ["a*"]}', '{accounts: ["al*"]}', True),
        ('{accounts: ["al*"]}', '{accounts: ["a*"]}', False),
        ("{accounts: [beta]}", "{accounts: [alpha]}", False),
        ("{accounts: [alpha]}", "", False),
        ('{symbols: ["BTC/*"]}', "{accounts: [alpha], symbols: [BTC/USD]}", True),
        ("{exclude: {accounts: [alpha]}}", "{accounts: [alpha]}", False),
        ("{exclude: {accounts: [beta]}}", "{accounts: [alpha]}", True),
        ("{exclude: {symbols: [ETH/USD]}}", "{accounts: [alpha]}", False),
        (
            "{exclude: {symbols: [ETH/USD]}}",
            "{accounts: [alpha], exclude: {symbols: [ETH/USD]}}",
            True,
        ),
    ],
)
def test_a_wider_scope_holds_the_narrower_one_whole(wide: str, narrow: str, within: bool) -> None:
    one, other = EXPOSURE % ("1e6 USD", ""), EXPOSURE % ("2e6 USD", "")

    assert codes(*pair(one, other, scopes=(wide, narrow))) == ["E431w"] * within


def test_two_limits_in_one_scope_are_told_once_at_the_looser_one() -> None:
    one, other = EXPOSURE % ("1e6 USD", ""), EXPOSURE % ("2e6 USD", "")

    assert codes(*pair(one, other, scopes=("", ""))) == ["E430"]
    assert codes(*pair(other, one, scopes=("", ""))) == ["E430"]


def test_a_halt_after_a_rejection_is_no_second_limit() -> None:
    def losses(reject: str, halt: str) -> str:
        return policy(
            f"    - {{rule: daily-loss@1, limits: {{max_loss_ratio: {reject}}}}}\n"
            f"    - {{rule: daily-loss@1, name: halt, on_breach: halt, limits: {{max_loss_ratio: {halt}}}}}\n"
        )

    assert codes(losses("4%", "5%")) == []
    assert codes(losses("5%", "4%")) == ["E430"]


def test_a_raise_above_a_cap_is_never_reached_and_a_cap_above_a_limit_is_no_second_one() -> None:
    raised = (
        "    - rule: total-exposure@1\n      limits: {max: 1e6 USD}\n      overrides:\n"
        "        - {limits: {max: %s}, from: 2026-02-02, until: 2026-02-06, ticket: R-1}\n"
        "    - {rule: total-exposure@1, name: cap, limits: {max: 2e6 USD}}\n"
    )

    assert codes(policy(raised % "1_500_000 USD")) == ["E430"]
    assert codes(policy(raised % "2_000_000 USD")) == []
    assert codes(policy(raised % "3_000_000 USD")) == ["E431w"]
