"""Coverage of policy tests: what cases show of gates, limits, overrides, scopes and expressions."""

from pathlib import Path

import pytest

from review.small_desks import covered, ran, uncovered, write_desk
from ringfence.language.rule_library import load_rule_library
from ringfence.review.test_runner import run_case
from ringfence.review.testing.cases import cases_of_rule
from ringfence.review.testing.coverage import coverage_of
from ringfence.review.testing.run import read_suite

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
NOTIONAL = "    - {rule: order-notional@1, limits: {max: 100 USD}}\n"
AGE = "    - {rule: data-quality@1, limits: {max_age: 5s}}\n"


def case(name: str, then: str, when: str = "{}", given: str = "{}") -> str:
    return f"  - {{name: {name}, given: {given}, when: {when}, then: {then}}}\n"


def sized(size: str, decision: str) -> str:
    return case(f"size {size}", f"{{decision: {decision}}}", f'{{size: "{size}"}}')


def test_a_limit_is_seen_at_equality_and_one_lot_to_either_side(tmp_path: Path) -> None:
    desk = write_desk(tmp_path, NOTIONAL, sized("0.9", "APPROVE"))

    assert uncovered(desk) == [
        "breaching",
        "`max: 100 USD` deciding",
        "`max: 100 USD`, at the limit",
        "`max: 100 USD`, one step outside",
    ]

    write_desk(tmp_path, NOTIONAL, sized("1", "APPROVE") + sized("1.1", "REJECT"))
    assert uncovered(desk) == ["`max: 100 USD`, one step inside"]


def test_two_lots_from_the_limit_are_not_one_step(tmp_path: Path) -> None:
    desk = write_desk(tmp_path, NOTIONAL, sized("0.8", "APPROVE") + sized("1.2", "REJECT"))

    assert uncovered(desk) == [
        "`max: 100 USD`, one step inside",
        "`max: 100 USD`, at the limit",
        "`max: 100 USD`, one step outside",
    ]


@pytest.mark.parametrize(
    ("age", "decision", "left"),
    [
        ("4s", "APPROVE", {"at the limit", "one step outside"}),
        ("5s", "APPROVE", {"one step inside", "one step outside"}),
        ("5.5s", "REJECT", {"one step inside", "at the limit"}),
        ("6s", "REJECT", {"one step inside", "at the limit"}),
        ("6.5s", "REJECT", {"one step inside", "at the limit", "one step outside"}),
    ],
)
def test_one_step_is_a_unit_of_the_last_digit_where_a_lot_moves_nothing(
    age: str, decision: str, left: set[str], tmp_path: Path
) -> None:
    given = f"{{market: {{BTC/USD: {{age: {age}}}}}}}"
    desk = write_desk(tmp_path, AGE, case("old", f"{{decision: {decision}}}", given=given))

    near = {each.partition(", ")[2] for each in uncovered(desk) if ", " in each}
    assert near == left


def test_a_share_of_the_equity_is_seen_by_the_lot_and_not_by_the_percent(tmp_path: Path) -> None:
    gate = "    - {rule: position-size@1, limits: {max_of_equity: 1%}}\n"
    desk = write_desk(tmp_path, gate, sized("9.8", "APPROVE"))
    assert "`max_of_equity: 1%`, one step inside" in uncovered(desk)

    write_desk(tmp_path, gate, sized("9.9", "APPROVE"))
    assert "`max_of_equity: 1%`, one step inside" not in uncovered(desk)


def test_a_reduction_whose_size_is_expected_shows_both_sides_of_the_limit(tmp_path: Path) -> None:
    gate = "    - {rule: position-size@1, limits: {max: 100 USD}}\n"
    reduced = case("reduced", '{decision: REDUCE_SIZE, size: "1"}', '{size: "5"}')
    desk = write_desk(tmp_path, gate, reduced)
    assert uncovered(desk) == [
        "with an order that only reduces risk",
        "`max: 100 USD`, one step inside",
    ]

    unsaid = case("reduced", "{decision: REDUCE_SIZE}", '{size: "5"}')
    write_desk(tmp_path, gate, unsaid)
    assert "`max: 100 USD`, at the limit" in uncovered(desk)
    assert "`max: 100 USD`, one step outside" in uncovered(desk)


def test_a_case_that_fails_shows_nothing(tmp_path: Path) -> None:
    desk = write_desk(tmp_path, NOTIONAL, sized("1", "REJECT"))

    assert covered(desk).covered == 0


def test_an_order_that_is_refused_shows_no_gate(tmp_path: Path) -> None:
    refused = case("off the step", "{decision: REJECT, code: SIZE_OFF_STEP}", '{size: "1.05"}')
    desk = write_desk(tmp_path, NOTIONAL, refused)

    assert "passing" in uncovered(desk)


@pytest.mark.parametrize(
    ("gate", "impossible"),
    [
        ("{rule: position-count@1, limits: {max_positions: 1}}", "`max_positions: 1`"),
        ("{rule: data-quality@1, limits: {min_completeness: 100%}}", "`min_completeness: 100%`"),
        ("{rule: drawdown@1, limits: {max_drawdown: 0%}}", "`max_drawdown: 0%`"),
    ],
)
def test_nothing_inside_a_limit_that_is_the_least_or_most_is_wanted(
    gate: str, impossible: str, tmp_path: Path
) -> None:
    desk = write_desk(
        tmp_path, f"    - {gate}\n", case("no order", "{decision: REJECT}", "{size: 0}")
    )

    wanted = [each for each in uncovered(desk) if each.startswith(impossible)]
    assert wanted == [
        f"{impossible} deciding",
        f"{impossible}, at the limit",
        f"{impossible}, one step outside",
    ]


def test_a_gate_without_a_limit_of_its_own_is_seen_passing_and_breaching(tmp_path: Path) -> None:
    desk = write_desk(tmp_path, "    - rule: kill-switch@1\n", sized("1", "APPROVE"))

    assert uncovered(desk) == ["breaching"]


def test_an_override_is_seen_in_force_and_outside_its_window_and_scope(tmp_path: Path) -> None:
    gate = """    - rule: order-notional@1
      limits: {max: 100 USD}
      overrides:
        - limits: {max: 200 USD}
          scope: {accounts: [main]}
          from: 2026-02-02T08:00:00Z
          until: 2026-02-06T20:00:00Z
          ticket: RISK-1
"""
    shown = {
        "override 1 (RISK-1) before it starts": case("before", "{decision: APPROVE}"),
        "override 1 (RISK-1) in force": case(
            "within", "{decision: APPROVE}", given="{clock: 2026-02-03T00:00:00Z}"
        ),
        "override 1 (RISK-1) after it ends": case(
            "after", "{decision: APPROVE}", given="{clock: 2026-02-06T20:00:00Z}"
        ),
        "override 1 (RISK-1) with an order outside its scope": case(
            "elsewhere", "{decision: APPROVE}", "{account: other}"
        ),
    }
    for label, text in shown.items():
        desk = write_desk(tmp_path, gate, text)
        left = [each for each in uncovered(desk) if each.startswith("override")]
        assert sorted(left) == sorted(set(shown) - {label})

    near = [each for each in uncovered(desk) if each.startswith("`max: 200 USD` of override 1")]
    assert len(near) == 4


def test_a_rate_is_seen_one_order_to_either_side(tmp_path: Path) -> None:
    past = "{account: main, symbol: BTC/USD, side: buy, size: '1', price: 100, age: 100ms}"
    cases = "".join(
        case(
            f"{count} before",
            f"{{decision: {decision}}}",
            given=f"{{recent_orders: [{', '.join([past] * count)}]}}",
        )
        for count, decision in ((1, "APPROVE"), (2, "APPROVE"), (3, "REJECT"))
    )
    gate = "    - {rule: order-rate@1, limits: {max_orders: 3/s}}\n"

    assert uncovered(write_desk(tmp_path, gate, cases)) == []


def test_a_step_is_read_with_the_other_limits_of_its_row(tmp_path: Path) -> None:
    rule = RULE.replace("    max:", "    share: {type: ratio, required: true}\n    max:")
    rule = rule.replace("min(params.max, 2 * params.max, book.equity)", "params.share * params.max")
    rule = rule.replace("order.notional if", "market.mid * order.size if").replace(
        "{max: 100 USD}", "{share: 50%, max: 200 USD}"
    )
    gate = """    - rule: odd@1
      limits: {share: 50%, max: 190 USD}
      overrides: [{limits: {max: 200 USD}, until: 2026-02-06T20:00:00Z, ticket: RISK-1}]
"""
    desk = write_desk(tmp_path, gate, sized("1", "APPROVE") + sized("1.1", "REJECT"))
    (desk / "odd.yaml").write_text(rule)

    near = [each for each in uncovered(desk) if each.startswith("`max: 200 USD` of override 1")]
    assert near == ["`max: 200 USD` of override 1, one step inside"]


def test_each_name_of_a_scope_is_seen_and_an_order_outside_it(tmp_path: Path) -> None:
    scope = "{symbols: ['BTC/*', XRP/USD], exclude: {accounts: [other]}}"
    desk = write_desk(tmp_path, NOTIONAL, sized("1", "APPROVE"), scope=scope)

    assert [each for each in uncovered(desk) if each.startswith("scope")] == [
        "scope: an order taken out by accounts `other`",
        "scope: an order outside its accounts",
        "scope: an order of symbols `XRP/USD`",
        "scope: an order outside its symbols",
    ]

    other = case("other", "{decision: APPROVE}", "{account: other, symbol: ETH/USD, price: '10'}")
    write_desk(tmp_path, NOTIONAL, other, scope=scope)
    assert [each for each in uncovered(desk) if each.startswith("scope")] == [
        "scope: an order of symbols `BTC/*`",
        "scope: an order of symbols `XRP/USD`",
    ]


RULE = """apiVersion: ringfence/v1
kind: Rule
metadata: {name: odd, version: 1.0.0, title: Odd, description: An odd rule., source: [Own choice]}
spec:
  parameters:
    max: {type: money, limit: true}
  checks:
    - name: value
      measure: order.notional if order.is_buy and market.bid > market.last or order.reduce_only else abs(-order.notional)
      limit: min(params.max, 2 * params.max, book.equity)
  case_defaults:
    given:
      instruments: {BTC/USD: {lot_step: "0.1", base: BTC, quote: USD}}
      market: {BTC/USD: {bid: 100, ask: 100, last: 90, age: 1s}}
      books: {account/main: {currency: USD, equity: 1000, positions: {}, working: []}}
    when: {account: main, symbol: BTC/USD, side: buy, type: limit, size: "1", price: "100"}
    limits: {max: 100 USD}
  cases:
    - name: at the limit
      then: {decision: APPROVE}
"""


def test_every_branch_of_a_rules_expressions_is_an_item(tmp_path: Path) -> None:
    (tmp_path / "odd.yaml").write_text(RULE)

    whole = "order.notional if order.is_buy and market.bid > market.last or order.reduce_only else abs(-order.notional)"
    parts = "order.is_buy and market.bid > market.last"
    found = covered(tmp_path)
    assert [each.label for each in found.uncovered] == [
        "`value` failing",
        f"`{whole}` of `value`: false",
        f"`{parts} or order.reduce_only` of `value`: part 2 settles it",
        f"`{parts} or order.reduce_only` of `value`: no part holds",
        f"`{parts}` of `value`: part 1 settles it",
        f"`{parts}` of `value`: part 2 settles it",
        "`market.bid > market.last` of `value`: false",
        "`min(params.max, 2 * params.max, book.equity)` of `value`: part 2 is the min",
        "`min(params.max, 2 * params.max, book.equity)` of `value`: part 3 is the min",
    ]
    place = next(
        each.span
        for each in found.uncovered
        if each.label.startswith("`market.bid > market.last` of")
    )
    assert str(place).endswith("odd.yaml:9:51")


def test_policy_tests_show_branches_of_the_rules_that_they_use(tmp_path: Path) -> None:
    gate = "    - {rule: odd@1, limits: {max: 500 USD}}\n"
    desk = write_desk(tmp_path, gate, case("a sale", "{decision: APPROVE}", "{side: sell}"))
    (desk / "odd.yaml").write_text(RULE)

    left = [each.label for each in covered(tmp_path).uncovered]
    assert not any("no part holds" in each for each in left)


def test_the_groups_add_up_to_the_whole(tmp_path: Path) -> None:
    found = covered(write_desk(tmp_path, NOTIONAL, sized("1", "APPROVE")))

    assert sum(each.all for each in found.groups) == len(found.items)
    assert sum(each.covered for each in found.groups) == found.covered
    assert found.percent == pytest.approx(100 * found.covered / len(found.items))
    group = next(each for each in found.groups if each.name == "desk@1.0.0/order-notional")
    assert group.percent == pytest.approx(100 * 2 / 6)


def test_without_policies_and_rules_there_is_nothing_to_cover() -> None:
    assert coverage_of([], None, ()).percent == 100


@pytest.mark.parametrize("rule", load_rule_library(), ids=lambda rule: rule.key)
def test_the_cases_of_each_rule_of_the_library_show_all_of_it(rule) -> None:  # type: ignore[no-untyped-def]
    results = [run_case(each) for each in cases_of_rule(rule)]

    assert [each.label for each in coverage_of(results, None, [rule]).uncovered] == []


def test_the_tests_of_the_shipped_desk_show_all_of_it() -> None:
    suite, results = ran(ROOT / "policies")

    left = coverage_of(results, suite.linked, suite.rules).uncovered
    assert [f"{each.span}: {each.label}" for each in left] == []


def test_a_suite_reads_each_file_once_however_often_it_is_named(tmp_path: Path) -> None:
    desk = write_desk(tmp_path, NOTIONAL, sized("1", "APPROVE"))

    assert len(read_suite([desk, desk / "tests"]).cases) == 1
