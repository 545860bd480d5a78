"""Overrides that never hold, never end or lack a ticket; days that the clocks move."""

import re

import pytest

from review.mistakes.mistaken_sets import WEEK, codes, linked, notional, override, policy
from ringfence.language.gates import to_ns
from ringfence.review.mistakes import Context, Settings, find_mistakes

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("lines", "limit", "found"),
    [
        (f"{WEEK}; ticket: R-1", "300_000 USD", []),
        (WEEK, "300_000 USD", ["E412"]),
        ("until: 2026-02-06; ticket: R-1", "300_000 USD", []),
        ("from: 2026-02-02; ticket: R-1", "300_000 USD", ["E411"]),
        ("ticket: R-1", "300_000 USD", ["E411"]),
        ("scope: {accounts: [alpha]}", "150_000 USD", []),
        ("scope: {accounts: [alpha]}", "300_000 USD", ["E412"]),
        ("scope: {accounts: [alpha]}; ticket: R-1", "300_000 USD", []),
        ("scope: {accounts: [alpha]}; from: 2026-02-02; ticket: R-1", "300_000 USD", ["E411"]),
        ("until: 2026-01-15; ticket: R-1", "300_000 USD", ["E410w"]),
    ],
)
def test_windows_and_tickets_of_overrides(lines: str, limit: str, found: list[str]) -> None:
    assert codes(override(lines, limit)) == found


def test_an_override_without_a_limit_that_the_gate_has_by_default_needs_a_ticket() -> None:
    lines = "    - rule: position-size@1\n      overrides:\n        - scope: {accounts: [alpha]}\n"
    other = f"{lines}          limits: {{max: 1_000_000 USD}}\n"
    tighter = f"{lines}          limits: {{max_of_equity: 5%}}\n"

    assert codes(policy(other)) == ["E412"]
    assert codes(policy(f"{other}          ticket: R-1\n")) == []
    assert codes(policy(tighter)) == []


def test_a_ticket_looks_as_the_desk_has_settled() -> None:
    settings = Settings(ticket_pattern=re.compile("RISK-[0-9]+"))

    assert codes(override(f"{WEEK}; ticket: RISK-12"), settings=settings) == []
    assert codes(override(f"{WEEK}; ticket: RISK-12a"), settings=settings) == ["E412"]


def test_an_override_ends_at_the_very_moment_it_says() -> None:
    text = override(f"{WEEK}; ticket: R-1")

    assert codes(text, now="2026-02-05T23:59:59Z") == []
    assert codes(text, now="2026-02-06T00:00:00Z") == ["E410w"]


def test_a_new_override_must_not_have_ended_and_should_not_have_started() -> None:
    text, before = override(f"{WEEK}; ticket: R-1"), notional("200_000 USD")

    assert codes(text, before=before) == []
    assert codes(text, before=before, now="2026-02-03") == ["E413w"]
    assert codes(text, before=before, now="2026-03-01") == ["E410"]
    assert codes(text, before=text, now="2026-03-01") == ["E410w"]
    longer = text.replace("until: 2026-02-06", "until: 2026-02-09").replace("1.1.0", "1.2.0")
    assert codes(longer, before=text, now="2026-02-03") == []


def two(first: str, second: str) -> str:
    listed = "".join(f"        - {{limits: {{max: 3e5 USD}}, ticket: R-1, {each}}}\n" for each in (first, second))  # fmt: skip
    return notional("200_000 USD", f"      overrides:\n{listed}")


@pytest.mark.parametrize(
    ("first", "second", "found"),
    [
        ("from: 2026-02-02, until: 2026-02-06", "from: 2026-02-01, until: 2026-02-07", ["E414"]),
        ("from: 2026-02-02, until: 2026-02-06", "from: 2026-02-03, until: 2026-02-07", []),
        ("from: 2026-02-01, until: 2026-02-07", "from: 2026-02-02, until: 2026-02-06", []),
        ("until: 2026-02-06, scope: {accounts: [alpha]}", "until: 2026-02-07", ["E414"]),
        ("until: 2026-02-06", "until: 2026-02-07, scope: {accounts: [alpha]}", []),
        (
            "until: 2026-02-06, scope: {accounts: [alpha]}",
            'until: 2026-02-07, scope: {accounts: ["al*"]}',
            ["E414"],
        ),
    ],
)
def test_an_override_that_later_ones_replace_never_holds(
    first: str, second: str, found: list[str]
) -> None:
    assert codes(two(first, second)) == found


def test_several_later_overrides_may_replace_one_together() -> None:
    rows = ("until: 2026-02-06", "until: 2026-02-03", "from: 2026-02-03, until: 2026-02-06")
    listed = "".join(f"        - {{limits: {{max: 3e5 USD}}, ticket: R-1, {each}}}\n" for each in rows)  # fmt: skip

    assert codes(notional("200_000 USD", f"      overrides:\n{listed}")) == ["E414"]


@pytest.mark.parametrize(
    ("policy_scope", "own", "found"),
    [
        ("{accounts: [alpha]}", "{accounts: [beta]}", ["E414"]),
        ("{accounts: [alpha]}", "{accounts: [alpha, beta]}", []),
        ("{exclude: {accounts: [beta]}}", "{accounts: [beta]}", ["E414"]),
        ("{venues: [kraken]}", "{venues: [binance]}", ["E414"]),
        ("{venues: [kraken]}", '{venues: ["k*"]}', []),
        ("{exclude: {venues: [kraken]}}", "{venues: [kraken]}", ["E414"]),
    ],
)
def test_an_override_outside_its_policy_never_holds(
    policy_scope: str, own: str, found: list[str]
) -> None:
    more = f"      overrides:\n        - {{limits: {{max: 1e5 USD}}, scope: {own}}}\n"
    gates = f"    - rule: order-notional@1\n      limits: {{max: 2e5 USD}}\n{more}"

    assert codes(policy(gates, policy_scope)) == found


@pytest.mark.parametrize(
    ("day", "found"),
    [
        ('{time: "02:30", zone: America/New_York}', ["E415w"]),
        ('{time: "01:30", zone: America/New_York}', ["E415w"]),
        ('{time: "17:00", zone: America/New_York}', []),
        ('{time: "02:30", zone: Asia/Tokyo}', []),
        ('{time: "02:30"}', []),
    ],
)
def test_a_day_starts_best_where_the_clocks_are_never_moved(day: str, found: list[str]) -> None:
    text = notional("200_000 USD").replace("  currency: USD\n", f"  currency: USD\n  day: {day}\n")

    assert codes(text) == found


@pytest.mark.parametrize(
    ("rule", "own", "override", "found"),
    [
        ("instrument-permission", "deny: [XRP/*, BTC/*]", "deny: [XRP/*]", "`deny`"),
        ("instrument-permission", "deny: [XRP/*]", "deny: [XRP/*, BTC/USD]", ""),
        ("instrument-permission", "allow: [BTC/USD]", 'allow: ["*"]', "`allow`"),
        ("instrument-permission", "allow: [BTC/*, ETH/*]", "allow: [BTC/USD]", ""),
        ("order-rate", "max_orders: 600/min", "max_orders: 100/s", "`window`"),
        ("order-rate", "max_orders: 10/s", "max_orders: 10/min", ""),
        ("order-rate", "max_orders: 10/s", "counts: orders", "`counts`"),
        ("order-rate", "max_orders: 10/s, counts: orders", "counts: messages", ""),
        ("duplicate-order", "window: 5s", "window: 1s", "`window`"),
        ("duplicate-order", "window: 5s", "window: 10s", ""),
        ("data-quality", "max_age: 5s", "required: [bid]", "`required`"),
        ("data-quality", "required: [bid]", "required: [bid, ask]", ""),
        ("correlated-exposure", "threshold: 70%", "threshold: 90%", "`threshold`"),
        ("correlated-exposure", "threshold: 70%", "threshold: 50%", ""),
        ("correlated-exposure", "max: 100 USD", "min_observations: 60", "`min_observations`"),
        ("leverage", "max_leverage: 3x, working: gross", "working: worst-case", "`working`"),
        ("leverage", "max_leverage: 3x", "working: gross", ""),
        ("price-collar", "max_deviation: 5%", "reference: last", "`reference`"),
    ],
)
def test_what_a_gate_measures_by_is_not_turned_without_a_ticket(
    rule: str, own: str, override: str, found: str
) -> None:
    def text(ticket: str = "") -> str:
        return policy(
            f"    - rule: {rule}@1\n      limits: {{{own}}}\n"
            f"      overrides:\n        - scope: {{accounts: [alpha]}}\n"
            f"          limits: {{{override}}}\n{ticket}"
        )

    told = [
        each.message
        for each in find_mistakes(Context(linked(text()), to_ns("2026-01-15"), None, Settings()))
        if each.code == "E412"
    ]

    assert [found in each for each in told] == [True] * bool(found)
    assert "E412" not in codes(text("          ticket: R-1\n"))
