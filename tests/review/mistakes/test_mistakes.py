"""What is taken for a mistake, and what is not: one small policy set each, with the codes that it earns."""

import re
from collections.abc import Mapping

import pytest

from ringfence.language.gates import to_ns
from ringfence.language.linking import LinkedSet, link
from ringfence.language.source import load
from ringfence.review.mistakes import Context, Settings, containment, find_mistakes

pytestmark = pytest.mark.unit

DESK = """\
apiVersion: ringfence/v1
kind: Instruments
metadata: {name: venue, version: 1.0.0}
spec:
  accounts: [alpha, beta]
  strategies: [taker, maker]
  fx: {EUR/USD: 1.25}
  instruments:
    BTC/USD: {lot_step: "0.1", min_size: "0.1", tick_size: "0.1", multiplier: 1, base: BTC, quote: USD}
    ETH/USD: {lot_step: "0.1", min_size: "0.1", tick_size: "0.1", multiplier: 1, base: ETH, quote: USD}
"""


def policy(gates: str, scope: str = "", version: str = "1.0.0", name: str = "desk") -> str:
    metadata = f"name: {name}, version: {version}, owner: risk, description: a policy"
    given = f"  scope: {scope}\n" if scope else ""
    return (
        f"apiVersion: ringfence/v1\nkind: Policy\nmetadata: {{{metadata}}}\n"
        f"spec:\n  currency: USD\n{given}  gates:\n{gates}"
    )


def linked(*texts: str) -> LinkedSet:
    documents = [load(text, f"{number}.yaml") for number, text in enumerate((DESK, *texts))]
    return link(documents, check_mandatory=False)


def codes(
    *texts: str,
    before: str | None = None,
    now: str = "2026-01-15T12:00:00Z",
    settings: Settings | None = None,
) -> list[str]:
    """The codes found, in order; warnings with a `w`."""
    previous = linked(before) if before is not None else None
    context = Context(linked(*texts), to_ns(now), previous, settings or Settings())
    return [f"{each.code}{'w' * (each.severity == 'warning')}" for each in find_mistakes(context)]


def notional(limit: str, more: str = "", version: str = "1.0.0") -> str:
    return policy(
        f"    - rule: order-notional@1\n      limits: {{max: {limit}}}\n{more}", version=version
    )


def acknowledged(name: str, was: str, now: str, reason: str = "so agreed") -> str:
    return (
        "      acknowledge:\n"
        f"        - {{limit: {name}, from: {was}, to: {now}, reason: {reason}}}\n"
    )


# Moves against the revision before


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


# Versions


def test_content_that_changes_needs_a_version_and_a_version_only_rises() -> None:
    before = notional("200_000 USD", version="1.10.0")

    assert codes(notional("250_000 USD", version="1.10.0"), before=before) == ["E402"]
    assert codes(notional("250_000 USD", version="1.10.1"), before=before) == []
    assert codes(notional("250_000 USD", version="1.9.0"), before=before) == ["E403"]
    assert codes(notional("200_000 USD", version="1.9.0"), before=before) == ["E403"]


def test_comments_spelling_and_descriptions_are_no_change() -> None:
    before = notional("200_000 USD")
    head = (
        before.replace("a policy", "another text").replace("200_000 USD", "200000 USD") + "# so\n"
    )

    assert codes(head, before=before) == []


def test_a_policy_that_is_new_has_nothing_before_it() -> None:
    assert (
        codes(notional("200_000 USD"), before=policy("    - {rule: drawdown@1}\n", name="x")) == []
    )


RULE = """\
apiVersion: ringfence/v1
kind: Rule
metadata: {name: worth, version: 1.0.0, title: worth, description: A rule., source: [own]}
spec:
  parameters: {max: {type: money, limit: true, description: Most.}}
  checks: [{name: worth, measure: order.notional, limit: params.max, explain: Too much.}]
  docs: The value of an order.
"""


def test_a_rule_of_the_set_needs_a_version_for_its_change_too() -> None:
    bound = policy("    - {rule: worth@1, limits: {max: 200_000 USD}}\n")
    changed = RULE.replace("limit: params.max", "limit: params.max * 2")
    before = linked(RULE, bound)

    for rule, expected in (
        (RULE, []),
        (changed, ["E402"]),
        (changed.replace("1.0.0", "1.0.1"), []),
    ):
        context = Context(linked(rule, bound), 0, before)
        assert [each.code for each in find_mistakes(context)] == expected


# Overrides and days


def override(lines: str, limit: str = "300_000 USD") -> str:
    rest = "".join(f"          {line}\n" for line in lines.split("; ") if line)
    return notional(
        "200_000 USD", f"      overrides:\n        - limits: {{max: {limit}}}\n{rest}", "1.1.0"
    )


WEEK = "from: 2026-02-02; until: 2026-02-06"


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


# Names


@pytest.mark.parametrize(
    ("scope", "found"),
    [
        ('{accounts: [alpha, "*"], symbols: ["BTC/*"]}', []),
        ("{accounts: [alpah]}", ["E420"]),
        ('{symbols: ["*/EUR"]}', ["E420"]),
        ("{exclude: {symbols: [BTC/USDT]}}", ["E420"]),
        ("{venues: [anywhere]}", []),
        ("{strategies: [take]}", ["E420"]),
        ("{exclude: {strategies: [taker, maker]}}", []),
        ("{exclude: {accounts: [alpha, beta]}}", ["E421"]),
        ('{accounts: [alpha], exclude: {accounts: ["a*"]}}', ["E421"]),
    ],
)
def test_names_of_a_scope_are_those_that_are_declared(scope: str, found: list[str]) -> None:
    gates = "    - {rule: order-notional@1, limits: {max: 200_000 USD}}\n"

    assert codes(policy(gates, scope)) == found


def test_without_declarations_no_name_is_wrong() -> None:
    text = policy("    - {rule: drawdown@1}\n", "{accounts: [anybody]}")
    alone = link([load(text, "policy.yaml")], check_mandatory=False)

    assert find_mistakes(Context(alone, 0)) == []


@pytest.mark.parametrize(
    ("symbols", "fx", "found"),
    [
        ("[SOL/GBP]", "", ["E425w"]),
        ('["SOL/*"]', "", ["E425w"]),
        ('["*"]', "", []),
        ("[BTC/USD]", "", []),
        ("[SOL/GBP]", "GBP/USD: 1.3, ", []),
    ],
)
def test_a_symbol_that_a_scope_names_can_be_valued(symbols: str, fx: str, found: list[str]) -> None:
    sol = DESK.splitlines()[-1].replace("ETH/USD", "SOL/GBP").replace("quote: USD", "quote: GBP")
    desk = f"{DESK}{sol}\n".replace("fx: {", f"fx: {{{fx}").replace("name: venue", "name: other")
    text = policy("    - {rule: kill-switch@1}\n", f"{{symbols: {symbols}}}")
    documents = [load(desk, "desk.yaml"), load(text, "policy.yaml")]

    mistakes = find_mistakes(Context(link(documents, check_mandatory=False), 0))

    assert [f"{each.code}{'w' * (each.severity == 'warning')}" for each in mistakes] == found


def test_scopes_that_lie_apart_are_not_compared_with_one_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared = []
    within = containment.within
    monkeypatch.setattr(
        containment, "within", lambda *given: compared.append(given) or within(*given)
    )
    gate = "    - {rule: total-exposure@1, limits: {max: 1e6 USD}}\n"
    texts = [policy(gate, f"{{venues: [v{each}]}}", name=f"p-{each}") for each in range(60)]

    assert codes(*texts) == []
    assert len(compared) <= 60


# Values


@pytest.mark.parametrize(
    ("gate", "found"),
    [
        ("{rule: drawdown@1, limits: {max_drawdown: 10%}}", []),
        ("{rule: drawdown@1, limits: {max_drawdown: 0.1%}}", ["E423"]),
        ("{rule: drawdown@1, limits: {max_drawdown: 0.1 %}}", ["E423"]),
        ("{rule: drawdown@1, limits: {max_drawdown: 10 bps}}", []),
        ("{rule: drawdown@1, limits: {max_drawdown: 0.1}}", []),
        ("{rule: drawdown@1, limits: {max_drawdown: 0.5%}}", []),
        ("{rule: drawdown@1, limits: {max_drawdown: 2%}}", []),
        ("{rule: daily-loss@1, limits: {max_loss_ratio: 0.03%}}", ["E423"]),
        ("{rule: daily-loss@1, limits: {max_loss_ratio: 0.5%}}", []),
        ("{rule: price-collar@1, limits: {max_deviation: 0.5%}}", []),
        ("{rule: spread@1, limits: {max_spread: 0.05%}}", []),
        ("{rule: correlated-exposure@1, limits: {threshold: 0.7%, max_of_equity: 30%}}", ["E423"]),
        ("{rule: drawdown@1, limits: {max_drawdown: 99.9%}}", []),
        ("{rule: drawdown@1, limits: {max_drawdown: 100%}}", ["E434"]),
        ("{rule: daily-loss@1, limits: {max_loss_ratio: 300%}}", ["E434"]),
        ("{rule: spread@1, limits: {max_spread: 200%}}", ["E433"]),
        ("{rule: spread@1, limits: {max_spread: 199%}}", []),
        ("{rule: data-quality@1, limits: {min_completeness: 0%}}", ["E433"]),
        ("{rule: data-quality@1, limits: {min_completeness: 100%}}", []),
        ("{rule: total-exposure@1, limits: {max: 0 USD}}", ["E424w"]),
        ("{rule: total-exposure@1, limits: {max_of_equity: 0%}}", ["E424w"]),
        ("{rule: position-count@1, limits: {max_positions: 0}}", ["E424w"]),
        ("{rule: order-rate@1, limits: {max_orders: 0, window: 1s}}", ["E424w"]),
        ("{rule: daily-loss@1, limits: {max_loss: 0 USD}}", []),
        ("{rule: price-collar@1, limits: {max_deviation: 0%}}", []),
        ("{rule: order-notional@1}", ["E424w"]),
        ("{rule: open-orders@1}", ["E424w"]),
        ("{rule: kill-switch@1}", []),
        ("{rule: venue-rules@1}", []),
        ("{rule: leverage@1, limits: {max_leverage: 3x}}", []),
    ],
)
def test_values_that_cannot_be_meant(gate: str, found: list[str]) -> None:
    assert codes(policy(f"    - {gate}\n")) == found


def test_a_freeze_that_gives_its_reason_is_meant() -> None:
    frozen = f"{WEEK}; ticket: R-1"

    assert codes(override(frozen, "0 USD")) == ["E424w"]
    assert codes(override(f"{frozen}; reason: under investigation", "0 USD")) == []


BAND = """\
apiVersion: ringfence/v1
kind: Rule
metadata: {name: band, version: 1.0.0, title: band, description: A rule., source: [own]}
spec:
  parameters:
    least: {type: money, limit: true, description: Least.}
    most: {type: money, limit: true, description: Most.}
  checks:
    - {name: least, measure: order.notional, compare: ">=", limit: params.least, explain: Too little.}
    - {name: most, measure: order.notional, limit: params.most, explain: Too much.}
  docs: A band.
"""


def test_a_floor_above_a_ceiling_of_one_measure_is_found_whatever_they_are_called() -> None:
    def bound(least: str, most: str) -> str:
        return policy(f"    - {{rule: band@1, limits: {{least: {least}, most: {most}}}}}\n")

    assert codes(BAND, bound("100 USD", "200 USD")) == []
    assert codes(BAND, bound("200 USD", "200 USD")) == []
    assert codes(BAND, bound("200 USD", "100 USD")) == ["E422"]
    assert codes(BAND, bound("160 EUR", "190 USD")) == ["E422"]


@pytest.mark.parametrize(
    ("sizes", "found"),
    [
        ('min_size: "1", max_size: "1"', []),
        ('min_size: "2", max_size: "1"', ["E422"]),
        ('min_size: "0.1", max_size: "0.05"', ["E422"]),
    ],
)
def test_an_instrument_that_no_size_fits(sizes: str, found: list[str]) -> None:
    desk = DESK.replace('min_size: "0.1"', sizes, 1).replace("name: venue", "name: other")
    documents = [load(desk, "desk.yaml"), load(notional("1e6 USD"), "policy.yaml")]

    mistakes = find_mistakes(Context(link(documents, check_mandatory=False), 0))

    assert [each.code for each in mistakes] == found


# Limits beside one another


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


# Trials, old rules, acceptances


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
