"""What a policy set has that tests can show: the items that coverage counts."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from ringfence.errors import Span
from ringfence.language import ir
from ringfence.language.fields import FIELDS, MESSAGES
from ringfence.language.gates import ALWAYS, Gate, LimitRow, Policy
from ringfence.language.linking import LinkedSet
from ringfence.language.rules import Check, Rule, walk
from ringfence.language.scopes import DIMENSIONS, Scope
from ringfence.review.testing.branches import branches
from ringfence.review.testing.written import Written, written_limit

__all__ = [
    "Item",
    "Key",
    "can_fail",
    "holds",
    "items_of_rule",
    "items_of_set",
    "limits_of",
    "moves",
    "scope_holds",
]

Key = tuple[str, ...]

_LEAST = {
    "book.positions_after": 1.0,
    "book.open_orders_after": 1.0,
    "book.open_orders_symbol_after": 1.0,
    **dict.fromkeys(MESSAGES, 1.0),
}
"""Counts that include the order itself."""
_MOST = {"market.completeness": 1.0}


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to be seen: under which `group` it is shown, what it is in words, and where it stands."""

    key: Key
    kind: str
    group: str
    label: str
    span: Span | None


def items_of_set(linked: LinkedSet) -> list[Item]:
    """Everything that tests can show of the policies of a set."""
    items: list[Item] = []
    for policy in linked.policies:
        items += _of_scope(policy, linked)
        for gate in policy.gates:
            items += _of_gate(gate, linked)
    return items


def items_of_rule(rule: Rule) -> list[Item]:
    """Everything that tests can show of a rule: each check both ways, each branch of its expressions."""
    items: list[Item] = []
    for index, check in enumerate(rule.checks):
        at = rule.document.span("spec", "checks", index)
        ways = {
            (rule.key, check.name, way): f"`{check.name}` {text}"
            for way, text in (("holds", "holding"), ("fails", "failing"))
            if way == "holds" or can_fail(check)
        }
        items += [Item(key, "check", rule.key, label, at) for key, label in ways.items()]
        for side, node in (("measure", check.measure), ("limit", check.limit)):
            for (place, label), span in branches(node):
                key = (rule.key, check.name, side, str(place), label)
                text = f"`{_text(rule, span)}` of `{check.name}`: {_branch(node, place, label)}"
                items.append(Item(key, "branch", rule.key, text, span or at))
    return items


def limits_of(gate: Gate, number: int, check: Check) -> dict[str, Written]:
    """The limits written in a gate's row that a check compares with, by the parameter's name."""
    row = gate.rows[number]
    named = {
        node.name
        for node in (*walk(check.limit), *walk(check.measure))
        if isinstance(node, ir.Param)
    }
    found = {name: written_limit(row, name) for name in row.given if name in named}
    return {name: written for name, written in found.items() if written is not None}


def moves(check: Check) -> bool:
    """Whether a check's measure has values beside its limit: it is no state and no plain yes or no."""
    return any(
        isinstance(node, ir.Field) and node.unit.numeric and node.unit.kind != "state"
        for node in _valued(check.measure)
    )


def holds(globs: Iterable[str], name: str) -> bool:
    """Whether one of the globs fits a name."""
    return any(fnmatchcase(name, each) for each in globs)


def scope_holds(scope: Scope, place: int, name: str) -> bool:
    """Whether a scope holds a name in one dimension, given by its place."""
    included, excluded = scope.parts(place)
    return (not included or holds(included, name)) and not holds(excluded, name)


def _valued(node: ir.Node) -> Iterator[ir.Node]:
    """The parts that give an expression its value; what a condition asks is none of them."""
    pending = [node]
    while pending:
        each = pending.pop()
        yield each
        match each:
            case ir.Conditional(then=then, otherwise=other):
                pending += [then, other]
            case ir.Arithmetic(left=left, right=right):
                pending += [left, right]
            case ir.Extreme(values=values):
                pending += values
            case ir.Negate(value=part) | ir.Absolute(value=part):
                pending.append(part)


def _of_gate(gate: Gate, linked: LinkedSet) -> Iterator[Item]:
    group = gate.label
    outcomes = {"passes": "passing", "breaches": "breaching"}
    if gate.applies_to == "risk_increasing":
        outcomes["exempt"] = "with an order that only reduces risk"
    for outcome, label in outcomes.items():
        yield Item((group, outcome), "gate", group, label, gate.span)
    for number, row in enumerate(gate.rows):
        if number:
            yield from _of_override(gate, number, row, linked)
        for check in gate.rule.checks:
            if all(name in row.values for name in check.when):
                yield from _of_limit(gate, number, check)


def _of_limit(gate: Gate, number: int, check: Check) -> Iterator[Item]:
    row, group = gate.rows[number], gate.label
    written = limits_of(gate, number, check)
    if not written:
        return
    name = next(iter(written))
    span = row.spans[name]
    said = f"`{name}: {written[name].text}`" + (f" of override {number}" if number else "")
    yield Item(_limit_key(gate, number, check, "decides"), "limit", group, f"{said} deciding", span)
    if not moves(check):
        return
    for where in ("inside", "at", "outside"):
        if where == "inside" and _has_nothing_inside(row, check):
            continue
        label = f"{said}, at the limit" if where == "at" else f"{said}, one step {where}"
        yield Item(_limit_key(gate, number, check, where), "boundary", group, label, span)


def _limit_key(gate: Gate, number: int, check: Check, what: str) -> Key:
    return (gate.label, "limit", str(number), check.name, what)


def _has_nothing_inside(row: LimitRow, check: Check) -> bool:
    """Whether the limit is the least (or most) that its measure can be, so that only equality passes."""
    if not isinstance(check.limit, ir.Param) or not isinstance(check.measure, ir.Field):
        return False
    value, field = row.values.get(check.limit.name), check.measure.name
    if not isinstance(value, float):
        return False
    if check.compare == ">=":
        return value >= _MOST.get(field, float("inf"))
    least = _LEAST.get(field, 0.0 if FIELDS[field].nonnegative else float("-inf"))
    return value <= least


def _of_override(gate: Gate, number: int, row: LimitRow, linked: LinkedSet) -> Iterator[Item]:
    named = f"override {number}" + (f" ({row.ticket})" if row.ticket else "")
    wanted = {"in force": "in force"}
    if row.from_ns > ALWAYS[0]:
        wanted["before"] = "before it starts"
    if row.until_ns < ALWAYS[1]:
        wanted["after"] = "after it ends"
    if row.scope is not None and _leaves_out(row.scope, gate.policy.scope, linked):
        wanted["elsewhere"] = "with an order outside its scope"
    for what, label in wanted.items():
        key = (gate.label, "override", str(number), what)
        yield Item(key, "override", gate.label, f"{named} {label}", row.span)


def _of_scope(policy: Policy, linked: LinkedSet) -> Iterator[Item]:
    for place, dimension in enumerate(DIMENSIONS):
        included, excluded = policy.scope.parts(place)
        for kind, globs, at in (
            ("in", included, ("spec", "scope", dimension)),
            ("out", excluded, ("spec", "scope", "exclude", dimension)),
        ):
            for number, glob in enumerate(globs):
                if glob == "*":
                    continue
                said = "an order of" if kind == "in" else "an order taken out by"
                yield Item(
                    (policy.label, "scope", dimension, kind, glob),
                    "scope",
                    policy.label,
                    f"scope: {said} {dimension} `{glob}`",
                    policy.document.span(*at, number),
                )
        if _outside(policy.scope, Scope(), place, linked):
            yield Item(
                (policy.label, "scope", dimension, "outside"),
                "scope",
                policy.label,
                f"scope: an order outside its {dimension}",
                policy.document.key_span("spec", "scope", dimension),
            )


def _leaves_out(inner: Scope, outer: Scope, linked: LinkedSet) -> bool:
    return any(_outside(inner, outer, place, linked) for place in range(len(DIMENSIONS)))


def _outside(inner: Scope, outer: Scope, place: int, linked: LinkedSet) -> bool:
    """Whether some name that the desk knows lies in one scope and not in the other."""
    desk = linked.desk
    known: Iterable[str] = (
        desk.accounts,
        (*desk.strategies, ""),
        (*desk.venues, ""),
        tuple(desk.instruments),
    )[place]
    return any(
        scope_holds(outer, place, name) and not scope_holds(inner, place, name) for name in known
    )


def can_fail(check: Check) -> bool:
    """Whether a check can fail: not where all that its measure asks has one answer."""
    tests = [node.test for node in walk(check.measure) if isinstance(node, ir.Conditional)]
    found = list(branches(check.measure))
    return not tests or len(found) > len(tests) or moves(check)


def _text(rule: Rule, span: Span | None) -> str:
    if span is None or span.line != span.end_line:
        return "the expression"
    return rule.document.line(span.line)[span.column - 1 : span.end_column - 1]


def _branch(root: ir.Node, place: int, label: str) -> str:
    match walk(root)[place]:
        case ir.Logic(op=op):
            if label == "none":
                return "every part holds" if op == "and" else "no part holds"
            return f"{label} settles it"
        case ir.Extreme(op=op):
            return f"{label} is the {op}"
    return label
