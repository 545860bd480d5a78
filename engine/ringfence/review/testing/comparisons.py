"""Mutants of rules: comparisons turned round or made strict, `and` for `or`, `min` for `max`."""

from collections.abc import Iterator
from dataclasses import replace

from ringfence.errors import Span
from ringfence.language import ir
from ringfence.language.linking import LinkedSet
from ringfence.language.rules import Check, Rule, walk
from ringfence.language.units import NUMBER
from ringfence.review.testing.items import can_fail, limits_of, moves
from ringfence.review.testing.mutants import Mutant

__all__ = ["comparison_mutants_of_set", "mutants_of_rule"]

_SHRINK = 1e-9
"""A limit that is smaller by this share makes `<=` as good as `<`, beyond the tolerance of comparisons."""

_SHARPER = {"<=": "<", "<": "<=", ">=": ">", ">": ">=", "==": "!=", "!=": "=="}
_OTHERS = {"and": "or", "or": "and", "min": "max", "max": "min"}


def comparison_mutants_of_set(linked: LinkedSet) -> Iterator[Mutant]:
    """Of each gate's checks with a limit that the policy writes: turned round, and made strict."""
    for gate in linked.gates:
        for index, check in enumerate(gate.rule.checks):
            if all(name in gate.rows[0].values for name in check.when) and (
                written := limits_of(gate, 0, check)
            ):
                span = gate.rows[0].spans[next(iter(written))]
                for rule, what, wanted in _of_check(gate.rule, index):
                    said = f"`{check.name}`: {what}"
                    yield Mutant(gate.label, said, wanted, span, rule=rule, gate=gate.label)


def mutants_of_rule(rule: Rule) -> Iterator[Mutant]:
    """Every mutant of a rule's checks and their expressions, and of what it does by default."""
    for index, check in enumerate(rule.checks):
        if not can_fail(check):
            continue
        at = rule.document.span("spec", "checks", index)
        for other, what, wanted in _of_check(rule, index):
            yield Mutant(rule.key, f"`{check.name}`: {what}", wanted, at, rule=other)
        for changed, what, span in _of_sides(check):
            yield Mutant(
                rule.key,
                f"`{check.name}`: {what}",
                "an order that the two judge differently",
                span or at,
                rule=_with_check(rule, index, changed),
            )


def _of_check(rule: Rule, index: int) -> Iterator[tuple[Rule, str, str]]:
    check = rule.checks[index]
    turned = "<=" if check.compare == ">=" else ">="
    yield (
        _with_check(rule, index, replace(check, compare=turned)),
        f"`{check.compare}` becomes `{turned}`",
        "an order on either side of the limit",
    )
    if moves(check) and not (isinstance(check.limit, ir.Literal) and check.limit.value == 0):
        share = 1 - _SHRINK if check.compare == "<=" else 1 + _SHRINK
        limit = ir.Arithmetic("*", check.limit, ir.Literal(share, NUMBER))
        yield (
            _with_check(rule, index, replace(check, limit=limit)),
            f"`{check.compare}` becomes `{_SHARPER[check.compare]}`",
            "an order exactly at the limit",
        )


def _of_sides(check: Check) -> Iterator[tuple[Check, str, Span | None]]:
    for measure, what, part in _of_expression(check.measure):
        yield replace(check, measure=measure), what, part.span
    for limit, what, part in _of_expression(check.limit):
        yield replace(check, limit=limit), what, part.span


def _of_expression(root: ir.Node) -> Iterator[tuple[ir.Node, str, ir.Node]]:
    """The expression with one comparison, `and`, `or`, `min` or `max` in it changed."""
    for node in walk(root):
        match node:
            case ir.Compare(op=op):
                other = _SHARPER[op]
            case ir.Logic(op=op) | ir.Extreme(op=op):
                other = _OTHERS[op]
            case _:
                continue
        yield _with_part(root, node, replace(node, op=other)), f"`{op}` becomes `{other}`", node


def _with_part(root: ir.Node, old: ir.Node, new: ir.Node) -> ir.Node:
    """The tree with one part, found by identity, replaced."""
    if root is old:
        return new

    def within(part: ir.Node) -> ir.Node:
        return _with_part(part, old, new)

    match root:
        case ir.Negate(value=value) | ir.Absolute(value=value) | ir.Not(value=value):
            return replace(root, value=within(value))
        case ir.Arithmetic(left=left, right=right) | ir.Compare(left=left, right=right):
            return replace(root, left=within(left), right=within(right))
        case ir.Logic(values=values) | ir.Extreme(values=values):
            return replace(root, values=tuple(map(within, values)))
        case ir.Conditional(test=test, then=then, otherwise=other):
            return replace(root, test=within(test), then=within(then), otherwise=within(other))
    return root


def _with_check(rule: Rule, index: int, check: Check) -> Rule:
    checks = list(rule.checks)
    checks[index] = check
    return replace(rule, checks=tuple(checks))
