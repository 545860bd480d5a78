"""What a change takes away from the checks of policies: invariants, cases, and what a desk has settled."""

import pytest

from ringfence.language.linking import LinkedSet, link
from ringfence.language.source import load
from ringfence.review.lost_cases import lost_cases
from ringfence.review.lost_checks import LostCheck, lost_invariants, weaker_settings
from ringfence.review.mistakes.settings import Settings, read_settings

pytestmark = pytest.mark.unit

POLICY = """apiVersion: ringfence/v1
kind: Policy
metadata: {name: desk, version: 1.0.0, owner: risk@example.com, description: The desk.}
spec:
  currency: USD
  gates:
    - {rule: order-notional@1, limits: {max: 50_000 USD}}
    - {name: firm-notional, rule: order-notional@1, level: firm, limits: {max: 80_000 USD}}
"""
INVARIANT = """apiVersion: ringfence/v1
kind: Invariant
metadata: {name: sizes, version: 1.0.0, owner: risk@example.com, description: Small orders.}
spec:
  assume: [not order.risk_reducing, order.type == 'limit']
  claim: order.notional <= params.most
  parameters: {most: 50_000 USD}
"""
STANDARD = """apiVersion: ringfence/v1
kind: Invariant
metadata: {name: known-inputs, version: 1.0.0, owner: risk@example.com, description: Known.}
spec: {standard: known-inputs}
"""
TESTS = """apiVersion: ringfence/v1
kind: PolicyTest
metadata: {name: sizes, version: 1.0.0}
defaults:
  given:
    clock: 2026-01-05T12:00:00Z
    instruments: {BTC/USD: {lot_step: "0.0001", base: BTC, quote: USD}}
    market: {BTC/USD: {bid: 50000, ask: 50000, last: 50000, age: 1s}}
    books:
      account/main: {currency: USD, equity: 100000}
      firm: {currency: USD, equity: 100000}
  when: {account: main, symbol: BTC/USD, side: buy, type: limit, size: "1", price: "50000"}
cases:
  - name: at the limit
    then: {decision: APPROVE, gates: {order-notional: pass}}
  - name: above it
    when: {size: "1.5"}
    then: {decision: REJECT, gates: {order-notional: breach}}
  - name: above that of the firm
    when: {size: "2"}
    then: {decision: REJECT, gates: {firm-notional: breach}}
"""
RULE = """apiVersion: ringfence/v1
kind: Rule
metadata: {name: own-size, version: 1.0.0, title: Size, description: An own rule., source: [The desk.]}
spec:
  applies_to: all
  on_breach: reject
  code: OWN_SIZE
  measures: size
  parameters: {max_size: {type: quantity, limit: true, description: The largest order.}}
  checks: [{name: size, when: [], measure: order.size, limit: params.max_size, explain: It is too large.}]
  docs: The size.
  case_defaults:
    limits: {max_size: 2}
    given:
      instruments: {X/USD: {lot_step: "1", base: X, quote: USD}}
      market: {X/USD: {bid: 1, ask: 1, last: 1, age: 1s}}
      books: {account/a: {currency: USD, equity: 100000}}
    when: {account: a, symbol: X/USD, side: buy, type: limit, price: "1"}
  cases:
    - {name: small, when: {size: "1"}, then: {decision: APPROVE}}
    - {name: large, when: {size: "3"}, then: {decision: REJECT}}
"""


def linked(*texts: str) -> LinkedSet:
    documents = [load(text, f"{number}.yaml") for number, text in enumerate(texts)]
    return link(documents, check_mandatory=False)


def told(found: LostCheck) -> tuple[str, str, tuple[str, ...], str]:
    return found.kind, found.name, found.levels, found.direction


# Invariants


def invariants(before: str, *now: str) -> list[LostCheck]:
    return list(lost_invariants(linked(POLICY, before), linked(POLICY, *now)))


def test_an_invariant_that_is_removed_is_told_and_asked_for_as_a_loosening() -> None:
    (found,) = invariants(INVARIANT)

    assert told(found) == ("removed", "sizes", ("account",), "LOOSER")
    assert found.says == "order.notional <= params.most"
    assert (str(found.base), found.head) == ("1.yaml:6:10", None)
    assert (found.asked.direction, found.asked.levels) == ("LOOSER", ("account",))


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("most: 50_000 USD", "most: 5_000_000 USD", "most: 50_000 USD -> 5_000_000 USD"),
        (
            "claim: order.notional <= params.most",
            "claim: order.notional >= params.most",
            "claim: order.notional <= params.most -> order.notional >= params.most",
        ),
        (
            "assume: [not order.risk_reducing, order.type == 'limit']",
            "assume: [order.type != 'market']",
            "assume: not order.risk_reducing; order.type == 'limit' -> order.type != 'market'",
        ),
        ("  assume", "  scope: {accounts: [a]}\n  assume", "scope: all orders -> accounts a"),
        ("  assume", "  level: firm\n  assume", "level: account -> firm"),
    ],
)
def test_one_that_is_rewritten_says_what_is_otherwise(old: str, new: str, says: str) -> None:
    assert old in INVARIANT
    (found,) = invariants(INVARIANT, INVARIANT.replace(old, new))

    assert told(found) == ("rewritten", "sizes", ("account",), "UNKNOWN")
    assert says in found.says
    assert found.head is not None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("name: sizes, version: 1.0.0", "name: other, version: 2.0.0"),
        ("50_000 USD", "50000 USD"),
        ("assume: [not order.risk_reducing, order.type == 'limit']", "assume: [order.type == 'limit']"),
        ("  assume: [not order.risk_reducing, order.type == 'limit']\n", ""),
        ("description: Small orders.", "description: Orders that are small."),
    ],
)  # fmt: skip
def test_another_name_and_less_that_is_assumed_take_nothing_away(old: str, new: str) -> None:
    assert old in INVARIANT
    assert invariants(INVARIANT, INVARIANT.replace(old, new)) == []


def test_one_more_takes_nothing_away() -> None:
    assert invariants(STANDARD, STANDARD, INVARIANT) == []


def test_a_shipped_one_that_a_file_narrows_is_rewritten_on_every_level_and_comes_back() -> None:
    narrow = STANDARD.replace("{standard", "{assume: [order.type != 'market'], standard")
    (found,) = list(lost_invariants(linked(POLICY), linked(POLICY, narrow)))

    assert told(found) == (
        "rewritten",
        "known-inputs",
        ("firm", "account", "strategy"),
        "UNKNOWN",
    )
    assert found.base is None
    assert invariants(narrow) == []


# Cases


def cases(now: str, head: str = POLICY) -> list[LostCheck]:
    return list(lost_cases(linked(POLICY, TESTS), linked(head, now)))


def test_a_case_that_is_removed_though_it_holds_is_told_with_the_level_it_bears_on() -> None:
    cut = TESTS[: TESTS.index("  - name: above it")]

    assert [told(each) for each in cases(cut)] == [
        ("removed", "sizes: above it", ("account",), "LOOSER"),
        ("removed", "sizes: above that of the firm", ("account", "firm"), "LOOSER"),
    ]
    assert [str(each.base) for each in cases(cut)] == ["1.yaml:16:5", "1.yaml:19:5"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('when: {size: "1.5"}', 'when: {size: "3"}'),
        ("{decision: REJECT, gates: {order-notional: breach}}", "{decision: REJECT}"),
    ],
)
def test_one_that_shows_less_or_something_else_is_rewritten(old: str, new: str) -> None:
    assert old in TESTS
    (found,) = cases(TESTS.replace(old, new))

    assert told(found) == ("rewritten", "sizes: above it", ("account",), "UNKNOWN")
    assert str(found.head) == "1.yaml:16:5"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("name: at the limit", "name: the limit itself"),
        ("{name: sizes, version: 1.0.0}", "{name: other, version: 1.0.0}"),
        ("{decision: APPROVE, gates", '{decision: APPROVE, size: "1", gates'),
        ("cases:", "cases:\n  - {name: more, then: {decision: APPROVE}}"),
    ],
)
def test_other_names_more_cases_and_more_that_must_come_out_take_nothing_away(
    old: str, new: str
) -> None:
    assert old in TESTS
    assert cases(TESTS.replace(old, new)) == []


def test_a_case_that_the_change_itself_contradicts_is_judged_with_the_change() -> None:
    tighter = POLICY.replace("max: 50_000 USD", "max: 40_000 USD")
    moved = TESTS.replace(
        "{decision: APPROVE, gates: {order-notional: pass}}", "{decision: REJECT}"
    )

    assert cases(moved, tighter) == []


def test_a_gate_that_is_called_otherwise_is_no_excuse_to_drop_its_case() -> None:
    renamed = POLICY.replace("name: firm-notional", "name: of-the-firm")
    followed = TESTS.replace("firm-notional: breach", "of-the-firm: breach")
    dropped = TESTS[: TESTS.index("  - name: above that")]

    assert cases(followed, renamed) == []
    assert [told(each)[:2] for each in cases(dropped, renamed)] == [
        ("removed", "sizes: above that of the firm")
    ]


def test_a_case_of_a_rule_counts_as_one_of_a_policy() -> None:
    base = linked(POLICY, RULE)
    dropped = RULE[: RULE.index("    - {name: large")]
    loosened = dropped.replace("limit: params.max_size", "limit: params.max_size * 4")

    assert [told(each)[:2] for each in lost_cases(base, linked(POLICY, dropped))] == [
        ("removed", "own-size: large")
    ]
    assert list(lost_cases(base, linked(POLICY, loosened))) == []
    assert list(lost_cases(base, linked(POLICY))) == []


# Settings


def settings(text: str = "") -> list[tuple[str, str, str]]:
    now = read_settings(f"apiVersion: ringfence/v1\nkind: Settings\n{text}".encode())
    return [(each.kind, each.name, each.says) for each in weaker_settings(SETTLED, now)]


SETTLED = read_settings(
    b"apiVersion: ringfence/v1\nkind: Settings\nci: {orders: a.csv, equity: 1000}\n"
    b"validate: {limit_factor: 3, ticket_pattern: 'RISK-[0-9]+'}\ntest: {fail_under: 90}\n"
)


def test_settings_by_which_later_checks_find_less_are_told() -> None:
    assert settings() == [
        ("removed", "ci.equity", "1000 -> nothing"),
        ("removed", "ci.orders", "a.csv -> nothing"),
        ("weakened", "test.fail_under", "90 % -> 0 %"),
        ("weakened", "validate.limit_factor", "3 -> 5"),
        ("removed", "validate.ticket_pattern", "RISK-[0-9]+ -> nothing"),
    ]
    off = "validate:\n  switched_off: [{code: E400, reason: In the way.}]\n"
    assert ("weakened", "validate.switched_off", "nothing -> E400") in settings(off)


def test_settings_by_which_they_find_as_much_or_more_are_not() -> None:
    more = (
        "ci: {orders: a.csv, equity: 1000}\n"
        "validate: {limit_factor: 2, ticket_pattern: 'RISK-[0-9]+'}\n"
        "test: {fail_under: 95}\n"
        "lint: {switched_off: [{code: E462, reason: Taste.}]}\n"
    )

    assert settings(more) == []
    assert list(weaker_settings(Settings(), SETTLED)) == []
