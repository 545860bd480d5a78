"""No finding without a reason: what is said to be so is held against all cells, and against decided orders."""

import math
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringfence.backends.reference import decide
from ringfence.backends.reference.books import build_book
from ringfence.backends.reference.inputs import Inputs
from ringfence.backends.reference.interpreter import evaluate
from ringfence.backends.reference.numbers import at_most
from ringfence.errors import Diagnostic
from ringfence.language import ir
from ringfence.language.decision import Outcome
from ringfence.language.fields import FIELDS
from ringfence.language.gates import Gate, LimitRow, to_ns
from ringfence.language.linking import LinkedSet, link
from ringfence.language.orders import Case
from ringfence.language.parameters import Money
from ringfence.language.rules import walk
from ringfence.language.source import Document
from ringfence.language.tickets import read_ticket
from ringfence.review.cells import cells as all_cells
from ringfence.review.mistakes import Context, find_mistakes
from ringfence.review.mistakes.ranges import field_range, range_of
from ringfence.review.mistakes.values import NEVER, NOTHING, judge
from strategies import Drawn, Expression, cases, document_of, expressions, policy_sets, rule_pools
from strategies.policies import ACCOUNTS, DESK, MOMENTS, SYMBOLS

pytestmark = pytest.mark.unit

POOL = rule_pools(seed=11, count=60)
NOW = to_ns("2026-01-05T12:00:00Z")
FEW = settings(max_examples=max(settings.default.max_examples // 8, 1))
SOME = settings(max_examples=max(settings.default.max_examples // 2, 1))
RULES: dict[str, dict[str, Any]] = {
    "total-exposure": {"max": ("1_000 USD", "20_000 USD"), "max_of_equity": ("10%", "95%")},
    "order-notional": {"max": ("1_000 USD", "10_000 USD", "5_000 EUR")},
    "data-quality": {"max_age": ("1s", "5s"), "min_completeness": ("50%", "95%")},
    "daily-loss": {"max_loss": ("1_000 USD", "20_000 USD"), "basis": ("equity", "balance")},
}
REACH = ("E430", "E431", "E432")


@st.composite
def crowded(draw: Any) -> dict[str, dict[str, Any]]:
    """Two or three policies that bind one rule, in scopes and windows that lie within one another."""
    choose = Drawn(draw)
    name = choose.pick(sorted(RULES))
    found = {}
    for number in range(choose.whole(2, 3)):
        gates = []
        for place in range(choose.pick((1, 1, 2))):
            gate: dict[str, Any] = {"rule": f"{name}@1", "name": f"gate-{place}"}
            gate["limits"] = limits(choose, name)
            gate["on_breach"] = choose.pick(
                ("reject", "reduce")
                if name in ("total-exposure", "order-notional")
                else ("reject",)
            )
            gate["mode"] = choose.pick(("enforce", "enforce", "shadow"))
            if choose.chance(20):
                gate["applies_to"] = choose.pick(("all", "risk_increasing"))
            if overrides := [override(choose, name) for _ in range(choose.pick((0, 0, 1, 2)))]:
                gate["overrides"] = overrides
            gates.append(gate)
        spec: dict[str, Any] = {"currency": "USD", "gates": gates}
        if choose.chance(60):
            spec["scope"] = scope(choose)
        found[f"policy-{number}.yaml"] = spec
    return found


def limits(choose: Drawn, name: str) -> dict[str, Any]:
    given = {key: choose.pick(among) for key, among in RULES[name].items() if choose.chance(80)}
    return given or {key: among[0] for key, among in list(RULES[name].items())[:1]}


def override(choose: Drawn, name: str) -> dict[str, Any]:
    made: dict[str, Any] = {"limits": limits(choose, name), "ticket": "RISK-1"}
    start = choose.whole(0, len(MOMENTS) - 2)
    if choose.chance(70):
        made |= {"from": MOMENTS[start], "until": MOMENTS[choose.whole(start + 1, 3)]}
    if choose.chance(60):
        made["scope"] = scope(choose)
    return made


def scope(choose: Drawn) -> dict[str, Any]:
    made: dict[str, Any] = {
        "accounts": choose.some((*ACCOUNTS, "a*", "al*", "*"), 1, 2),
        "symbols": choose.some((*SYMBOLS[:2], "*/USD", "B*", "*"), 1, 2),
    }
    if choose.chance(30):
        made["exclude"] = {"symbols": choose.some((*SYMBOLS[:2], "B*"), 1, 1)}
    return made


def linked_of(specs: dict[str, dict[str, Any]]) -> LinkedSet:
    def document(name: str, spec: dict[str, Any]) -> Document:
        metadata = {
            "name": name.removesuffix(".yaml"),
            "version": "1.0.0",
            "owner": "risk",
            "description": "A generated policy.",
        }
        head = {"apiVersion": "ringfence/v1", "kind": "Policy", "metadata": metadata}
        return document_of({**head, "spec": spec}, name)

    made = [document(name, spec) for name, spec in specs.items()]
    return link([document_of(DESK, "desk.yaml"), *made], check_mandatory=False)


def found_limits(
    linked: LinkedSet, codes: tuple[str, ...]
) -> Iterator[tuple[Diagnostic, Gate, LimitRow, str]]:
    """The findings that point at a limit, with the gate, the row and the name of it."""
    places = {
        row.document.span(*row.at, "limits", name): (gate, row, name)
        for gate in linked.gates
        for row in gate.rows
        for name in row.given
    }
    # Of a limit that is not given the gate itself is the place.
    places |= {gate.rows[0].span: (gate, gate.rows[0], "") for gate in linked.gates}
    for each in find_mistakes(Context(linked, NOW)):
        if each.code in codes:
            yield each, *places[each.span]


def tighter(one: Any, other: Any, floor: bool) -> bool:
    if isinstance(one, Money):
        return one.currency == other.currency and one.amount < other.amount
    return one > other if floor else one < other


@SOME
@given(crowded())
def test_a_limit_that_is_never_reached_has_a_tighter_one_before_it_in_every_cell(
    specs: dict[str, dict[str, Any]],
) -> None:
    linked = linked_of(specs)
    found = list(found_limits(linked, REACH))
    if not found:
        return
    everything = list(all_cells(linked))
    for finding, gate, row, name in found:
        for cell in everything:
            bindings = cell.bounds[0]
            if not any(bound.gate is gate and there is row for bound, there in bindings):
                continue
            floor = name.startswith("min_")
            assert any(
                bound.gate is not gate
                and bound.gate.mode == "enforce"
                and bound.gate.rule is gate.rule
                and tighter(there.values[name], row.values[name], floor)
                for bound, there in bindings
                if name in there.values
            ), (finding.message, cell.account, cell.symbol, cell.from_ns)


@SOME
@given(crowded())
def test_an_override_that_never_holds_and_a_scope_that_holds_nothing_are_in_no_cell(
    specs: dict[str, dict[str, Any]],
) -> None:
    linked = linked_of(specs)
    found = find_mistakes(Context(linked, NOW))
    idle = {each.span for each in found if each.code == "E414"}
    empty = {each.span.path for each in found if each.code == "E421" and "policy" in each.message}
    for cell in all_cells(linked) if idle or empty else ():
        for bound, row in cell.bounds[0]:
            assert bound.gate.policy.document.path not in empty
            if row.scope is not None:
                kinds = ("accounts", "symbols")
                assert not idle & {row.document.span(*row.at, "scope", kind) for kind in kinds}
            assert row.span not in idle


@FEW
@given(crowded(), st.lists(cases(), min_size=3, max_size=3))
def test_no_decision_moves_where_a_limit_that_is_never_reached_is_let_go(
    specs: dict[str, dict[str, Any]], asked: list[Case]
) -> None:
    linked = linked_of(specs)
    for _, gate, row, name in found_limits(linked, ("E430", "E431")):
        wide = deepcopy(specs)
        place: Any = wide[f"{gate.policy.name}.yaml"]
        for key in row.at[1:]:
            place = place[key]
        value = row.values[name]
        wider = "1e15 USD" if isinstance(value, Money) else "1_000_000d"
        place["limits"][name] = {"max_of_equity": "1e9%", "min_completeness": "0%"}.get(name, wider)
        without = linked_of(wide)
        for case in asked:
            before = decide(linked, case, check_mandatory=False)
            after = decide(without, case, check_mandatory=False)
            assert (before.decision, before.size) == (after.decision, after.size)


@FEW
@given(st.integers(0, 9), st.data())
def test_a_gate_that_lets_nothing_through_passes_no_order(pool: int, data: st.DataObject) -> None:
    linked = data.draw(policy_sets(POOL[pool * 6 : pool * 6 + 6]))
    found = {gate.label for _, gate, _, _ in found_limits(linked, ("E424",)) if len(gate.rows) == 1}
    for _ in range(3 if found else 0):
        decision = decide(linked, data.draw(cases()), check_mandatory=False)
        for result in decision.gates:
            if f"{result.policy}/{result.gate}" in found:
                assert result.outcome is not Outcome.PASS


@FEW
@given(st.integers(0, 9), st.data())
def test_a_check_always_or_never_holds_as_it_is_judged(pool: int, data: st.DataObject) -> None:
    linked = data.draw(policy_sets(POOL[pool * 6 : pool * 6 + 6]))
    for gate in linked.gates:
        for row in gate.rows:
            for verdict in judge(gate.rule, row, linked):
                check = verdict.check
                if check is None or verdict.kind not in (NEVER, NOTHING):
                    continue
                read = {
                    node.name: drawn_field(data, node.name, node.unit.kind)
                    for node in (*walk(check.measure), *walk(check.limit))
                    if isinstance(node, ir.Field)
                }
                params = numbers_of(linked, row)
                measure = evaluate(check.measure, read.__getitem__, params)
                limit = evaluate(check.limit, read.__getitem__, params)
                low, high = (measure, limit) if check.compare == "<=" else (limit, measure)
                holds = at_most(low, high)
                assert math.isnan(holds) or holds == (verdict.kind == NEVER), check.measure_text


def numbers_of(linked: LinkedSet, row: LimitRow) -> dict[str, float]:
    rates = {"USD": 1.0, "EUR": 1.25}
    found = {}
    for name, value in row.values.items():
        if isinstance(value, Money):
            found[name] = value.amount * rates[value.currency]
        elif isinstance(value, float):
            found[name] = value
        elif isinstance(value, str):
            gate = next(each for each in linked.gates if row in each.rows)
            found[name] = float(gate.rule.parameters.parameters[name].allowed.index(value))
    return found


def drawn_field(data: st.DataObject, name: str, kind: str) -> float:
    low, high = field_range(name)
    drawn = st.floats(max(low, -1e12), min(high, 1e12), allow_nan=False)
    ends = [end for end in (low, high) if math.isfinite(end)]
    value = data.draw(drawn if not ends else st.one_of(drawn, st.sampled_from(ends)))
    return float(round(value)) if kind in ("boolean", "choice", "count", "state") else value


@SOME
@given(expressions(), st.data())
def test_an_expression_takes_no_value_outside_its_range(
    expression: Expression, data: st.DataObject
) -> None:
    numbers: dict[str, float] = {}
    for node in walk(expression.node):
        if isinstance(node, ir.Field):
            numbers[node.name] = drawn_field(data, node.name, node.unit.kind)
        elif isinstance(node, ir.Param):
            choices = node.unit.choices
            among = st.integers(0, len(choices) - 1) if choices else st.floats(0, 1e9)
            numbers[f"params.{node.name}"] = float(data.draw(among))
    params = {
        name.removeprefix("params."): each for name, each in numbers.items() if "params." in name
    }
    low, high = range_of(expression.node, params)

    value = evaluate(expression.node, numbers.__getitem__, params)

    assert not math.isfinite(value) or low <= value <= high, expression.text


@FEW
@given(cases(), st.sampled_from(["account", "strategy", "firm"]))
def test_a_field_is_never_outside_the_range_that_is_known_of_it(case: Case, level: str) -> None:
    linked = EMPTY
    ticket, refusal = read_ticket(case, linked)
    if ticket is None or refusal is not None:
        return
    book = case.books.get("firm" if level == "firm" else f"{level}/{getattr(case.order, level)}")
    state = build_book(book, case, linked) if book is not None else None
    inputs = Inputs(case, ticket, level, state, math.inf, ticket.lots)
    for name, field in FIELDS.items():
        value = inputs.read(name, {**PARAMS, "allow": ("*",), "deny": ()})
        low, high = field_range(name)
        if name.startswith("market.") and value < 0 and FIELDS[name].nonnegative:
            continue  # a feed that sends nonsense: the ranges are those of sane data
        assert not math.isfinite(value) or low <= value <= high, (name, value, field)


PARAMS = {
    "reference": "mid",
    "window": 60.0,
    "required": ("bid", "ask"),
    "basis": "equity",
    "working": "worst-case",
    "threshold": 0.7,
    "min_observations": 30.0,
}
EMPTY = linked_of({"policy-0.yaml": {"currency": "USD", "gates": [{"rule": "kill-switch@1"}]}})


@FEW
@given(st.integers(0, 9), st.data())
def test_every_finding_says_where_why_and_what_to_write(pool: int, data: st.DataObject) -> None:
    rules = POOL[pool * 6 : pool * 6 + 6]
    linked, before = data.draw(policy_sets(rules)), data.draw(policy_sets(rules))
    now = to_ns(data.draw(st.sampled_from(MOMENTS)))

    found = find_mistakes(Context(linked, now, before))

    assert found == find_mistakes(Context(linked, now, before))
    for each in found:
        assert each.span is not None
        assert each.why
        assert each.fix
        assert each.severity in ("error", "warning")
    assert not [
        each.code
        for each in find_mistakes(Context(linked, now, linked))
        if each.code in ("E400", "E401", "E402", "E403", "E413")
    ]
