"""Mutation testing of policies: what is changed, who notices, and what is said of the rest."""

from pathlib import Path

import pytest

from review.small_desks import MANDATORY, ran, write_desk
from ringfence.language.rules import read_rule
from ringfence.language.source import load
from ringfence.review.testing.cases import cases_of_rule
from ringfence.review.testing.mutants import edited
from ringfence.review.testing.mutation import MutationResult, mutate
from ringfence.review.testing.run import Suite
from ringfence.runtime.ports import SeededRandom

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
ONE = '  - {name: an order, when: {size: "1"}, then: {decision: APPROVE}}\n'


def mutated(folder: Path, *, seed: int = 0, at_most: int = 1000, jobs: int = 1) -> MutationResult:
    suite, results = ran(folder)
    assert [each.problems for each in results if not each.passed] == []
    return mutate(suite, random=SeededRandom(seed), at_most=at_most, jobs=jobs, paths=[folder])


def surviving(folder: Path, subject: str = "desk@1.0.0") -> list[str]:
    return [each.what for each in mutated(folder).survivors if each.subject.startswith(subject)]


def tried(folder: Path, subject: str = "desk@1.0.0") -> list[str]:
    return [each.what for each in mutated(folder).tried if each.subject.startswith(subject)]


def test_a_limit_is_moved_a_step_and_tenfold_both_ways(tmp_path: Path) -> None:
    desk = write_desk(tmp_path, "    - {rule: order-notional@1, limits: {max: 1_000.5 USD}}\n", ONE)

    assert [each for each in tried(desk) if each.startswith("`max")] == [
        "`max: 1_000.5 USD` becomes `1_000.6 USD`",
        "`max: 1_000.5 USD` becomes `1_000.4 USD`",
        "`max: 1_000.5 USD` becomes `10_005.0 USD`",
        "`max: 1_000.5 USD` becomes `100.05 USD`",
    ]


def test_cases_at_the_limit_and_one_step_outside_leave_no_survivor(tmp_path: Path) -> None:
    gate = "    - {rule: order-notional@1, limits: {max: 100 USD}}\n"
    desk = write_desk(tmp_path, gate, ONE)
    assert surviving(desk) == [
        "`max: 100 USD` becomes `101 USD`",
        "`max: 100 USD` becomes `1000 USD`",
        "`mode: enforce` becomes `shadow`",
        "`on_breach: reject` becomes `reduce`",
        "`applies_to: all` becomes `risk_increasing`",
        "the gate is removed",
        "`value`: `<=` becomes `>=`",
    ]

    outside = '  - {name: beyond, when: {size: "1.1"}, then: {decision: REJECT}}\n'
    # A step of one dollar is noticed by an order that one dollar lies beyond, at another price.
    dollar = (
        "  - {name: one dollar beyond, given: {market: {BTC/USD: {bid: 101, ask: 101}}}, "
        'when: {size: "1", price: "101"}, then: {decision: REJECT}}\n'
    )
    closing = (
        "  - name: closing\n"
        "    given: {books: {account/main: {positions: {BTC/USD: {size: '5', mark: 100}}}}}\n"
        "    when: {side: sell, size: '2'}\n"
        "    then: {decision: REJECT}\n"
    )
    write_desk(tmp_path, gate, ONE + outside + dollar + closing)
    assert surviving(desk) == []


def test_a_survivor_says_where_it_stands_and_what_a_case_would_have_to_check(
    tmp_path: Path,
) -> None:
    gate = "    - {rule: order-notional@1, limits: {max: 100 USD}}\n"
    found = mutated(write_desk(tmp_path, gate, ONE))

    step = next(each for each in found.survivors if each.what.endswith("becomes `101 USD`"))
    assert str(step.span) == f"{tmp_path}/desk.yaml:8:46"
    assert step.wanted == "an order one step outside the limit"
    assert found.percent == pytest.approx(100 * (1 - len(found.survivors) / len(found.tried)))


def test_what_validation_refuses_is_counted_apart(tmp_path: Path) -> None:
    found = mutated(write_desk(tmp_path, "", ONE))

    # A mandatory gate that is removed or in shadow makes no policy set.
    assert found.refused == 16
    assert not any(each.what == "the gate is removed" for each in found.tried)


def test_scopes_are_narrowed_and_widened(tmp_path: Path) -> None:
    gate = "    - {rule: order-notional@1, limits: {max: 1000 USD}}\n"
    scope = "{accounts: [main, other], symbols: ['BTC/*'], exclude: {strategies: [slow, old]}}"
    desk = write_desk(tmp_path, gate, ONE, scope=scope)

    subject = [each.what for each in mutated(desk).tried if each.subject == "desk@1.0.0"]
    assert subject == [
        "`main` is taken out of the accounts",
        "`other` is taken out of the accounts",
        "the accounts become all",
        "`slow` is no longer excluded",
        "`old` is no longer excluded",
        "the symbols become all",
    ]


def test_overrides_go_last_longer_and_are_shifted(tmp_path: Path) -> None:
    gate = """    - rule: order-notional@1
      limits: {max: 100 USD}
      overrides:
        - limits: {max: 200 USD}
          scope: {accounts: [main]}
          from: 2026-02-02T08:00:00Z
          until: 2026-02-06T20:00:00Z
          ticket: RISK-1
"""
    desk = write_desk(tmp_path, gate, ONE)

    overrides = [
        each
        for each in mutated(desk).tried
        if "override 1" in each.what or "override 1" in each.subject
    ]
    assert [each.what for each in overrides] == [
        "override 1: is removed",
        "override 1: starts an hour earlier",
        "override 1: ends an hour later",
        "override 1: its window is shifted by its own length",
        "the accounts become all",
    ]
    earlier, later, shifted = (each.edits for each in overrides[1:4])
    assert earlier[0][1] == "2026-02-02T07:00:00Z"
    assert later[0][1] == "2026-02-06T21:00:00Z"
    assert [value for _, value in shifted] == ["2026-02-06T20:00:00Z", "2026-02-11T08:00:00Z"]

    during = '  - {name: during, given: {clock: 2026-02-03T00:00:00Z}, when: {size: "2"}, then: {decision: APPROVE}}\n'
    write_desk(tmp_path, gate, ONE + during)
    left = surviving(desk)
    assert "override 1: is removed" not in left
    assert "override 1: its window is shifted by its own length" not in left


def test_choices_and_names_in_a_limit_are_changed(tmp_path: Path) -> None:
    gates = (
        "    - {rule: price-collar@1, limits: {max_deviation: 2%, reference: mid}}\n"
        "    - {rule: instrument-permission@1, limits: {allow: [BTC/USD, 'ETH/*']}}\n"
    )
    desk = write_desk(tmp_path, gates, ONE)

    found = tried(desk)
    assert "`reference: mid` becomes `last`" in found
    assert "`BTC/USD` is taken out of `allow`" in found
    assert "`ETH/*` is taken out of `allow`" in surviving(desk)


@pytest.mark.parametrize(
    ("gate", "changed"),
    [
        ("drawdown@1, on_breach: halt", False),
        ("daily-loss@1", False),
        ("position-count@1", False),
        ("position-size@1", True),
    ],
)
def test_a_breach_is_changed_only_where_a_case_could_notice(
    gate: str, changed: bool, tmp_path: Path
) -> None:
    desk = write_desk(tmp_path, f"    - {{rule: {gate}}}\n", ONE)

    assert any("on_breach" in each for each in tried(desk)) is changed


def test_the_only_gate_of_a_policy_goes_with_its_policy(tmp_path: Path) -> None:
    gate = "    - {rule: order-notional@1, limits: {max: 100 USD}}\n"
    beyond = '  - {name: beyond, when: {size: "1.1"}, then: {decision: REJECT}}\n'

    assert "the gate is removed" not in surviving(write_desk(tmp_path, gate, ONE + beyond))


def test_more_than_the_bound_is_sampled_the_same_way_for_the_same_seed(tmp_path: Path) -> None:
    desk = write_desk(tmp_path, "    - {rule: order-notional@1, limits: {max: 100 USD}}\n", ONE)
    whole = mutated(desk)
    count = len(whole.tried) + whole.refused

    one, again = mutated(desk, seed=7, at_most=10), mutated(desk, seed=7, at_most=10)
    assert one.left_out == count - 10
    assert [each.what for each in one.tried] == [each.what for each in again.tried]
    drawn = {tuple(each.what for each in mutated(desk, seed=n, at_most=10).tried) for n in range(5)}
    assert len(drawn) > 1


def test_several_processes_find_what_one_finds(tmp_path: Path) -> None:
    desk = write_desk(tmp_path, "    - {rule: order-notional@1, limits: {max: 100 USD}}\n", ONE)
    told: list[tuple[int, int]] = []

    one = mutated(desk)
    suite, _ = ran(desk)
    two = mutate(
        suite,
        random=SeededRandom(0),
        at_most=1000,
        jobs=2,
        paths=[desk],
        told=lambda done, count: told.append((done, count)),
    )

    assert [each.what for each in two.survivors] == [each.what for each in one.survivors]
    assert two.refused == one.refused
    count = len(two.tried) + two.refused
    assert told == [(done, count) for done in range(1, count + 1)]


RULE = """apiVersion: ringfence/v1
kind: Rule
metadata: {name: odd, version: 1.0.0, title: Odd, description: An odd rule., source: [Own choice]}
spec:
  parameters:
    max: {type: money, limit: true}
  checks:
    - name: value
      measure: -abs(-order.notional) * -1 if order.is_buy and not order.size < instrument.min_size or order.reduce_only else 0 * order.notional
      limit: min(params.max, book.equity)
    - {name: least, measure: order.size, compare: ">=", limit: instrument.min_size}
    - {name: step, measure: 0 if order.on_lot_step else 1, limit: "0"}
  cases:
    - name: at the limit
      given:
        instruments: {BTC/USD: {lot_step: "0.1", base: BTC, quote: USD}}
        market: {BTC/USD: {bid: 100, ask: 100, last: 90, age: 1s}}
        books: {account/main: {currency: USD, equity: 1000, positions: {}, working: []}}
      when: {account: main, symbol: BTC/USD, side: buy, type: limit, size: "1", price: "100"}
      limits: {max: 100 USD}
      then: {decision: APPROVE}
"""


def test_comparisons_of_a_rule_are_turned_round_and_made_strict() -> None:
    rule, _ = read_rule(load(RULE, "odd.yaml"))
    assert rule is not None
    suite = Suite(None, None, (rule,), tuple(cases_of_rule(rule)), {})

    found = mutate(suite, random=SeededRandom(0), at_most=100)

    assert [each.what for each in found.tried] == [
        "`value`: `<=` becomes `>=`",
        "`value`: `<=` becomes `<`",
        "`value`: `or` becomes `and`",
        "`value`: `and` becomes `or`",
        "`value`: `<` becomes `<=`",
        "`value`: `min` becomes `max`",
        "`least`: `>=` becomes `<=`",
        "`least`: `>=` becomes `>`",
    ]
    assert {each.what for each in found.survivors} >= {
        "`value`: `<=` becomes `>=`",
        "`value`: `or` becomes `and`",
        "`value`: `min` becomes `max`",
    }
    assert "`value`: `<=` becomes `<`" not in {each.what for each in found.survivors}
    assert {each.span.path for each in found.tried} == {"odd.yaml"}


def test_a_change_of_a_rule_is_put_before_its_own_cases_and_those_of_sets_that_use_it(
    tmp_path: Path,
) -> None:
    gate = "    - {rule: odd@1, limits: {max: 100 USD}}\n"
    desk = write_desk(tmp_path, gate, ONE)
    (desk / "odd.yaml").write_text(RULE)
    strict = "`value`: `min` becomes `max`"
    assert strict in surviving(desk, "odd@1.0.0")

    beyond = '  - {name: beyond, when: {size: "1.1"}, then: {decision: REJECT}}\n'
    write_desk(tmp_path, gate, ONE + beyond)
    assert strict not in surviving(desk, "odd@1.0.0")


def test_editing_plain_data_shares_what_it_does_not_touch() -> None:
    data = {"a": [{"b": 1}, {"c": 2}], "d": {"e": 3}}

    assert edited(data, ("a", 0, "b"), 9) == {"a": [{"b": 9}, {"c": 2}], "d": {"e": 3}}
    assert edited(data, ("f", "g"), 1)["f"] == {"g": 1}
    assert data == {"a": [{"b": 1}, {"c": 2}], "d": {"e": 3}}
    assert edited(data, ("a", 0, "b"), 9)["d"] is data["d"]


def test_no_change_of_the_shipped_desk_passes_its_tests() -> None:
    found = mutated(ROOT / "policies")

    assert [f"{each.span}: {each.what}" for each in found.survivors] == []
    assert len(found.tried) > 150


def test_without_anything_to_change_all_is_noticed() -> None:
    assert MutationResult((), (), 0, 0).percent == 100
    assert MANDATORY.count("rule:") == 8
