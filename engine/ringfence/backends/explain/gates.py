"""One gate explained: its checks, what they looked at, its limits and the override in force."""

from dataclasses import replace

from ringfence.backends.explain.amounts import Words
from ringfence.backends.explain.asked import Question
from ringfence.backends.explain.explained import (
    ExplainedCheck,
    ExplainedGate,
    ExplainedInput,
    ExplainedLimit,
    ExplainedOverride,
    Side,
)
from ringfence.backends.explain.expression import Writer
from ringfence.backends.explain.fields import open_field, why_missing
from ringfence.backends.explain.order_fields import closing_words
from ringfence.language import ir
from ringfence.language.decision import Outcome
from ringfence.language.fields import FIELDS
from ringfence.language.gates import ALWAYS, LimitRow
from ringfence.language.parameters import Money, Value
from ringfence.language.rules import Check, walk

__all__ = ["explain_gate", "limit_text"]


def explain_gate(
    question: Question, outcomes: dict[str, Outcome], shown: str, *, exempt: bool
) -> ExplainedGate:
    """Explain a gate at the size that it was asked last.

    Args:
        question: The gate, the order and the book.
        outcomes: By check, what it found; empty where the gate is exempt.
        shown: The check that the decision shows.
        exempt: Whether the gate does not hold the order.
    """
    gate, row = question.asked.gate, question.asked.row
    words = Words(question.currency, question.ticket.instrument)
    declared = gate.rule.parameters.parameters
    multiples = frozenset(name for name, each in declared.items() if each.type == "multiple")
    writer = Writer(question.asked.value_of, words, multiples)
    checks = [
        _check(check, outcomes[check.name], writer, shown)
        for check in question.asked.binding
        if check.name in outcomes
    ]
    overrides = [_override(each) for each in question.bound.rows if each.scope is not None]
    in_force = _override(row) if row.scope is not None else None
    return ExplainedGate(
        gate=gate.name,
        rule=gate.rule.key,
        policy=gate.policy.label,
        level=gate.level,
        checks=tuple(checks),
        inputs=() if exempt else tuple(_inputs(question, words)),
        limits=tuple(_limits(question)),
        override=in_force,
        others=tuple(each for each in overrides if each != in_force),
        exempt=tuple(closing_words(question, words)) if exempt else (),
    )


def _check(check: Check, outcome: Outcome, writer: Writer, shown: str) -> ExplainedCheck:
    measure, limit = _side(check.measure, writer, check), _side(check.limit, writer, check)
    floor = check.compare == ">="
    margin = measure.value - limit.value if floor else limit.value - measure.value
    if limit.value == 0:
        used = 0.0 if measure.value == 0 else float("inf")
    else:
        used = measure.value / limit.value
    return ExplainedCheck(
        name=check.name,
        compare=check.compare,
        outcome=outcome,
        measure=measure,
        limit=limit,
        unit=check.unit.kind,
        margin=margin,
        utilisation=used,
        shown=check.name == shown,
    )


def _side(node: ir.Node, writer: Writer, check: Check) -> Side:
    text = writer.value(node)
    written = writer.written(node)
    if node.unit.kind == "number" and check.unit.kind == "state":
        # A plain 0 that a state is compared with.
        text = written = (
            writer.value(replace(node, literal_unit=check.unit))
            if isinstance(node, ir.Literal)
            else text
        )
    return Side(writer.named(node), writer.value_of(node), text, written, tuple(writer.steps(node)))


def _inputs(question: Question, words: Words) -> list[ExplainedInput]:
    names = dict.fromkeys(
        node.name
        for check in question.asked.binding
        for part in (check.measure, check.limit)
        for node in reversed(walk(part))
        if isinstance(node, ir.Field)
    )
    found = []
    for name in names:
        field, value = FIELDS[name], question.asked.read(name)
        text = words.amount(value, field.unit.kind, field.unit.choices)
        missing = why_missing(question, name) if text == "unknown" else ""
        found.append(
            ExplainedInput(
                name=name,
                value=value,
                unit=field.unit.kind,
                text=text,
                source=field.source,
                meaning=field.meaning,
                missing=missing,
                opened=open_field(question, name, value, words),
            )
        )
    return found


def _limits(question: Question) -> list[ExplainedLimit]:
    gate, row, base = question.asked.gate, question.asked.row, question.bound.rows[-1]
    own = row.spans if row.scope is not None else {}
    given = base.spans
    found = []
    for name, value in row.values.items():
        kind = gate.rule.parameters.parameters[name].type
        number = question.asked.params[name]
        found.append(
            ExplainedLimit(
                name=name,
                text=limit_text(value, kind),
                value=float(number) if isinstance(number, int | float) else float("nan"),
                span=own.get(name) or given.get(name),
                from_override=name in own,
            )
        )
    return found


def limit_text(value: Value, kind: str) -> str:
    """A parameter's value as a policy writes it, such as `4,000,000 USDT`, `95%`, `3x`."""
    if isinstance(value, Money):
        return str(value)
    if isinstance(value, tuple):
        return ", ".join(value)
    if isinstance(value, str):
        return value
    if kind == "multiple":
        return f"{value:.10g}x"
    return Words("", None).amount(float(value), kind)


def _override(row: LimitRow) -> ExplainedOverride:
    start, end = ALWAYS
    return ExplainedOverride(
        ticket=row.ticket,
        from_ns=None if row.from_ns == start else row.from_ns,
        until_ns=None if row.until_ns == end else row.until_ns,
        limits=row.given,
        span=row.span,
    )
