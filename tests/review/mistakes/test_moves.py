"""Limits that move far from what they were, and what was said of it."""

import re

import pytest

from review.mistakes.mistaken_sets import acknowledged, codes, linked, notional, policy
from ringfence.language.gates import to_ns
from ringfence.review.mistakes import Context, Settings, find_mistakes

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("was", "now", "found"),
    [
        ("200_000 USD", "1_000_000 USD", []),
        ("200_000 USD", "1_000_001 USD", ["E400"]),
        ("200_000 USD", "2_000_000 USD", ["E400"]),
        ("200_000 USD", "20_000 USD", ["E400"]),
        ("200_000 USD", "40_000 USD", []),
        ("200_000 USD", "200_000 EUR", []),
        ("200_000 USD", "1_000_000 EUR", ["E400"]),
        ("200_000 USD", "0 USD", ["E400", "E424w"]),
        ("0 USD", "200_000 USD", ["E400"]),
        ("200_000 USD", "200000 USD", []),
    ],
)
def test_a_limit_that_moves_too_far_in_either_direction_is_found(
    was: str, now: str, found: list[str]
) -> None:
    assert codes(notional(now, version="1.1.0"), before=notional(was)) == found


def test_an_acknowledgement_covers_the_move_that_it_names() -> None:
    head = notional("2e6 USD", acknowledged("max", "200_000 USD", "2_000_000 USD"), "1.1.0")

    assert codes(head, before=notional("200_000 USD")) == []


@pytest.mark.parametrize(
    ("name", "was", "now"),
    [
        ("max", "20_000 USD", "2_000_000 USD"),
        ("max", "200_000 USD", "3_000_000 USD"),
        ("max", "200_000 EUR", "2_000_000 USD"),
        ("max", "200_000", "2_000_000 USD"),
        ("maximum", "200_000 USD", "2_000_000 USD"),
    ],
)
def test_an_acknowledgement_of_another_move_covers_nothing_and_is_told(
    name: str, was: str, now: str
) -> None:
    head = notional("2_000_000 USD", acknowledged(name, was, now), "1.1.0")

    assert codes(head, before=notional("200_000 USD")) == ["E400", "E401w"]


def test_what_was_acknowledged_before_is_a_memory_and_does_not_cover_the_next_move() -> None:
    told = acknowledged("max", "200_000 USD", "2_000_000 USD")
    raised = notional("2_000_000 USD", told, "1.1.0")
    lowered = notional("200_000 USD", told, "1.2.0")

    assert codes(raised, before=raised) == []
    assert codes(raised) == []
    assert codes(notional("2_100_000 USD", told, "1.2.0"), before=raised) == ["E401w"]
    assert codes(lowered, before=raised) == ["E400", "E401w"]
    assert codes(notional("2_000_000 USD", told, "1.3.0"), before=lowered) == ["E400"]


def test_an_acknowledgement_names_a_ticket_where_the_desk_has_settled_what_one_is() -> None:
    settings = Settings(ticket_pattern=re.compile("RISK-[0-9]+"))
    told = acknowledged("max", "200_000 USD", "2_000_000 USD")
    before = notional("200_000 USD")

    def head(ticket: str) -> str:
        return notional("2e6 USD", told.replace(", reason", f"{ticket}, reason"), "1.1.0")

    assert codes(head(", ticket: RISK-9"), before=before, settings=settings) == []
    for wrong in ("", ", ticket: soon"):
        assert codes(head(wrong), before=before, settings=settings) == ["E400", "E401w"]
        assert codes(head(wrong), before=before) == []


def test_an_acknowledgement_in_a_new_gate_fits_no_move() -> None:
    told = acknowledged("max", "200_000 USD", "2_000_000 USD")
    before = policy("    - {rule: drawdown@1}\n")

    assert codes(notional("2_000_000 USD", told, "1.1.0"), before=before) == ["E401w"]


def test_a_gate_that_is_renamed_is_still_the_one_of_its_rule() -> None:
    head = notional("2_000_000 USD", "      name: block-trades\n", "1.1.0")

    assert codes(head, before=notional("200_000 USD")) == ["E400"]


def test_a_policy_that_is_renamed_is_still_the_one_of_its_scope() -> None:
    def named(name: str, limit: str, scope: str = "{accounts: [alpha]}") -> str:
        gate = f"    - {{rule: order-notional@1, limits: {{max: {limit}}}}}\n"
        return policy(gate, scope, name=name)

    before = named("desk", "200_000 USD")
    assert codes(named("desk-alpha", "2_000_000 USD"), before=before) == ["E400"]
    assert codes(named("desk-alpha", "300_000 USD"), before=before) == []
    assert codes(named("other", "2_000_000 USD", "{accounts: [beta]}"), before=before) == []


def test_all_numbers_that_a_policy_gives_are_looked_at() -> None:
    def gates(age: str, rate: str) -> str:
        return (
            f"    - {{rule: data-quality@1, limits: {{max_age: {age}}}}}\n"
            f"    - {{rule: order-rate@1, limits: {{max_orders: {rate}}}}}\n"
        )

    head = policy(gates("50s", "100/s"), version="1.1.0")

    assert codes(head, before=policy(gates("5s", "10/s"))) == ["E400", "E400"]
    told = acknowledged("max_orders", "10/s", "100/s").replace("      acknowledge:\n        - ", "")
    both = head.replace(
        "{max_orders: 100/s}", f"{{max_orders: 100/s}}, acknowledge: [{told.strip()}]"
    )
    assert codes(both, before=policy(gates("5s", "10/s"))) == ["E400"]


@pytest.mark.parametrize(
    ("was", "now", "found"),
    [
        ("10/s", "40/s", []),
        ("10/s", "600/min", []),
        ("10/s", "10/min", ["E400"]),
        ("100/min", "100/s", ["E400"]),
    ],
)
def test_a_rate_moves_with_its_window_too(was: str, now: str, found: list[str]) -> None:
    def rate(text: str, version: str, more: str = "") -> str:
        gate = f"    - rule: order-rate@1\n      limits: {{max_orders: {text}}}\n"
        return policy(gate + more, version=version)

    assert codes(rate(now, "1.1.0"), before=rate(was, "1.0.0")) == found
    told = acknowledged("max_orders", was, now)
    assert codes(rate(now, "1.1.0", told), before=rate(was, "1.0.0")) == []
    other = acknowledged("max_orders", was.replace("0/", "0/2"), now)
    assert codes(rate(now, "1.1.0", other), before=rate(was, "1.0.0")) == [*found, "E401w"]


OVERRIDE = """\
      overrides:
        - limits: {max: %s}
          scope: {accounts: [alpha]}
          until: 2026-02-06T20:00:00Z
          ticket: RISK-1
"""


def test_an_override_is_held_against_what_it_was_and_a_new_one_against_the_gate() -> None:
    plain = notional("200_000 USD")
    small, large = (
        notional("200_000 USD", OVERRIDE % limit, "1.1.0") for limit in ("300_000 USD", "3e6 USD")
    )

    assert codes(small, before=plain) == []
    assert codes(large, before=plain) == ["E400"]
    assert codes(large.replace("1.1.0", "1.2.0"), before=small) == ["E400"]
    covered = OVERRIDE % "3e6 USD" + acknowledged("max", "300_000 USD", "3e6 USD").replace(
        "      ", "          "
    )
    assert codes(notional("200_000 USD", covered, "1.2.0"), before=small) == []


def test_another_factor_may_be_settled() -> None:
    head, before = notional("450_000 USD", version="1.1.0"), notional("200_000 USD")

    assert codes(head, before=before, settings=Settings(limit_factor=2)) == ["E400"]
    assert codes(head, before=before) == []


ALPHA = "{accounts: [alpha]}"


def sized(name: str, limit: str, scope: str = ALPHA, more: str = "") -> str:
    gate = f"    - {{rule: order-notional@1, limits: {{max: {limit}}}{more}}}\n"
    return policy(gate, scope, name=name)


@pytest.mark.parametrize(
    ("head", "found"),
    [
        (sized("other", "2_000_000 USD", "{accounts: [alpha, beta]}"), ["E400"]),
        (sized("other", "2_000_000 USD", "{accounts: [a*], symbols: [BTC/*]}"), ["E400"]),
        (sized("other", "2_000_000 USD", "{exclude: {accounts: [beta]}}"), ["E400"]),
        (sized("other", "300_000 USD", "{accounts: [alpha, beta]}"), []),
        # For none of its orders, or for other books.
        (sized("other", "2_000_000 USD", "{accounts: [b*]}"), []),
        (sized("other", "2_000_000 USD", "{exclude: {accounts: [a*]}}"), []),
        (sized("other", "2_000_000 USD", "{accounts: [alpha, beta]}", ", level: firm"), []),
    ],
)
def test_a_new_name_and_another_scope_at_once_hide_no_move(head: str, found: list[str]) -> None:
    assert codes(head, before=sized("desk", "200_000 USD")) == found


def test_a_gate_that_goes_to_another_policy_takes_its_limit_along() -> None:
    rate = "    - {rule: order-rate@1, limits: {max_orders: 10/s}}\n"
    base = linked(sized("desk", "200_000 USD"), policy(rate, name="rates"))
    moved = f"{rate}    - {{rule: order-notional@1, limits: {{max: 2_000_000 USD}}}}\n"
    head = linked(policy(rate, ALPHA, "1.1.0"), policy(moved, version="1.1.0", name="rates"))

    found = find_mistakes(Context(head, to_ns("2026-01-15"), base, Settings()))

    assert [each.code for each in found] == ["E400"]
    assert "from 200_000 USD to 2_000_000 USD" in found[0].message


def test_of_several_that_went_the_nearest_is_the_one_that_came() -> None:
    base = linked(sized("desk", "200_000 USD"), sized("desk-2", "1_900_000 USD", "{}"))

    head = linked(sized("other", "2_000_000 USD", "{accounts: [alpha, beta]}"))

    assert find_mistakes(Context(head, to_ns("2026-01-15"), base, Settings())) == []
