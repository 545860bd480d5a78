"""An explanation in words: lines for a terminal, or Markdown."""

import math
from collections.abc import Iterator

from ringfence.backends.explain import (
    ExplainedCheck,
    ExplainedField,
    ExplainedGate,
    ExplainedInput,
    ExplainedOverride,
)
from ringfence.backends.explain.amounts import UNBOUNDED, Words
from ringfence.errors import Span
from ringfence.language.decision import Outcome
from ringfence.review.explaining.explanation import Explanation, GateExplained
from ringfence.review.explaining.explanation_data import moment
from ringfence.review.explaining.why_not import Way, WhyNot

__all__ = ["explanation_lines", "explanation_markdown", "gate_lines"]

#: Parts of one figure that are listed in words; `--json` has all.
MOST_PARTS = 12
_COLOURS = {
    "APPROVE": "bold green",
    "REDUCE_SIZE": "bold yellow",
    "REJECT": "bold red",
    Outcome.PASS: "green",
    Outcome.EXEMPT: "cyan",
    Outcome.REDUCE: "yellow",
    Outcome.BREACH: "red",
    Outcome.UNKNOWN: "red",
}
_ADDS_UP = {
    "exactly": "the parts add up exactly",
    "rounded": "each part is rounded up to a millionth; the parts add up but for that",
    "no": "the parts do not add up: report this as a fault",
    "": "",
}

Line = tuple[str, str]
"""A text, and the style of a terminal it is shown in; empty for none."""


def explanation_lines(told: Explanation) -> Iterator[Line]:
    """The explanation, line by line."""
    decision = told.decision
    yield f"{decision.decision} {_of(told)}", _COLOURS[str(decision.decision)]
    yield from (("  " + each, "") for each in _head(told))
    for each in told.path:
        yield f"  {each}", ""
    for gate in told.gates:
        yield "", ""
        yield from _gate(gate, told)
    if told.why_not is not None:
        yield "", ""
        yield from _why_not(told.why_not, told)


def _of(told: Explanation) -> str:
    order, decision = told.case.order, told.decision
    asked = f"{order.side} {order.size} {order.symbol}"
    size = f": {decision.size} may be sent" if decision.size and decision.code else ""
    return asked + size


def _head(told: Explanation) -> Iterator[str]:
    order, decision = told.case.order, told.decision
    price = "" if order.price is None else f" at {order.price}"
    who = ", ".join(
        f"{name} {value}"
        for name, value in (
            ("account", order.account),
            ("strategy", order.strategy),
            ("venue", order.venue),
        )
        if value
    )
    flag = ", reduce-only" if order.reduce_only else ""
    yield f"{order.type}{price}{flag}, {who}, at {moment(told.case.clock_ns)}"
    if decision.reason:
        yield decision.reason
    if told.valuation:
        yield f"valuation price: {told.valuation}"
    if told.origin.told:
        yield f"from {told.origin.told}"
    yield from told.origin.checks
    yield f"policy set {told.linked.sha256[:12]}"


def gate_lines(each: GateExplained, told: Explanation) -> Iterator[str]:
    """How one gate of an explanation comes about, line by line; what belongs to the line above is indented."""
    if each.explained is None:
        yield each.result.reason
    else:
        yield from _gate_lines(each.explained, each, _words(told))


def _gate(each: GateExplained, told: Explanation) -> Iterator[Line]:
    result = each.result
    mode = f", {result.mode}" if result.mode != "enforce" else ""
    place = f", {_at(result.source)}" if result.source is not None else ""
    style = _COLOURS[result.outcome]
    yield f"{str(result.outcome).upper()} {result.gate} of the {result.level}{mode} ({result.policy}{place})", style
    for line in gate_lines(each, told):
        yield f"  {line}", ""


def _gate_lines(explained: ExplainedGate, each: GateExplained, words: Words) -> Iterator[str]:
    result = each.result
    if result.outcome is Outcome.EXEMPT:
        yield f"exempt: {result.reason}; {'; '.join(explained.exempt)}"
    elif result.reason and not explained.checks:
        yield result.reason
    for check in explained.checks:
        yield from _check(check, words)
    for one in explained.inputs:
        yield from _input(one)
    if each.any_size:
        yield "any size passes"
    elif each.largest == 0:
        yield "no size passes"
    elif each.largest is not None:
        yield f"largest size that passes: {words.size(each.largest)}"
    limits = [
        f"{limit.name} {limit.text} ({_at(limit.span) if limit.span else 'default of the rule'}"
        f"{', override' if limit.from_override else ''})"
        for limit in explained.limits
    ]
    if limits:
        yield f"limits: {', '.join(limits)}"
    if explained.override is not None:
        yield f"override in force: {_override(explained.override)}"
    for other in explained.others:
        yield f"override not in force: {_override(other)}"


def _check(check: ExplainedCheck, words: Words) -> Iterator[str]:
    measure, limit = check.measure, check.limit
    # Of a plain number the number alone.
    said = "" if limit.expression[0].isdigit() else limit.expression
    right = f"{said} = {limit.written}" if said else limit.written
    left = f"{measure.expression} = {measure.text}"
    ends = [str(check.outcome)]
    if math.isfinite(check.margin) and check.unit != "state":
        over = check.margin < 0
        amount = words.amount(abs(check.margin), check.unit)
        if amount != "no bound":
            ends.append(
                f"{amount} {'too much' if over and check.compare == '<=' else 'short' if over else 'left'}"
            )
    if used := _used(check):
        ends.append(f"{used} used")
    yield f"{check.name}: {left} {check.compare} {right}: {', '.join(ends)}"
    for step in measure.steps:
        yield f"  {step}"
    # One step alone is what stands in the line already.
    for step in limit.steps[:-1]:
        yield f"  {step}"


def _input(each: ExplainedInput) -> Iterator[str]:
    name = each.name.partition(".")[2].replace("_", " ")
    if each.missing:
        yield f"{name} is unknown: {each.missing}"
        return
    opened = each.opened
    if opened is None:
        yield f"{name} = {each.text} ({each.source})"
        return
    if not opened.is_sum:
        yield f"{name} = {each.text}: {opened.formula}"
    else:
        yield from _sum(name, opened)
    yield from (f"  {step}" for step in opened.steps)


def _sum(name: str, opened: ExplainedField) -> Iterator[str]:
    """`exposure after = 1,995 ETH x 2,000 USDT held in ETH/USDT + 1 BTC x 50,000 USDT = 4,040,000 USDT`."""
    parts = opened.parts
    note = f" ({_ADDS_UP[opened.adds_up]})" if opened.unit == "money" else ""
    shown = [part.written for part in parts[:MOST_PARTS]]
    if len(parts) > MOST_PARTS:
        shown.append(f"{len(parts) - MOST_PARTS} more parts")
    yield f"{name} = {' + '.join(shown)} = {opened.text}{note}"
    if opened.unit == "money" and len(parts) > 1:
        for part in parts[:MOST_PARTS]:
            yield f"  {part.what}: {part.written} = {Words('', None).money(part.value)}"


def _words(told: Explanation) -> Words:
    instrument = told.ticket.instrument if told.ticket is not None else None
    return Words(told.linked.currency, instrument)


def _at(span: Span) -> str:
    return f"{span.path}:{span.line}"


def _override(each: ExplainedOverride) -> str:
    window = [
        f"{word} {moment(ns)}"
        for word, ns in (("from", each.from_ns), ("until", each.until_ns))
        if ns is not None
    ]
    named = each.ticket or "without a ticket"
    return f"{named}, {' '.join(window) or 'always'}, {', '.join(each.limits)} ({_at(each.span)})"


# Why not


def _why_not(told: WhyNot, explanation: Explanation) -> Iterator[Line]:
    order = explanation.case.order
    if told.passes:
        yield f"{told.size} {order.symbol} passes as things are", "green"
        return
    if not told.needs:
        yield f"{told.size} {order.symbol} is refused, whatever the limits: {told.now.reason}", "red"
        return
    count = len(told.needs)
    gates = "one gate blocks it" if count == 1 else f"{count} gates block it"
    yield f"For {told.size} {order.symbol} to pass ({gates} now):", "bold"
    for needs in told.needs:
        result = needs.result
        # What is missing is needed all of it; of the others each one alone would do.
        alone = any(way.kind != "need" for way in needs.ways)
        said = "needs one of:" if alone else "needs:"
        yield f"  {result.gate} of the {result.level} ({result.policy}) {said}", ""
        for way in needs.ways:
            yield f"    {_way(way)}", ""
        if not needs.ways:
            yield "    nothing that was looked for: see its inputs above", ""
    if told.together is not None:
        values = "; ".join(f"{name}: {value}" for name, value in told.together.values.items())
        yield f"  {_way(told.together, 'with all of them')}", ""
        yield f"    {values}", ""


def _way(way: Way, changed: str = "with this alone") -> str:
    if way.confirmed is None:
        return way.text
    passes = "passes" if way.confirmed else "does not pass"
    return f"{way.text} (asked again {changed}: {passes})"


def _used(check: ExplainedCheck) -> str:
    """How much of a limit is used; empty where that says nothing, as of a least value that must be there."""
    if check.compare != "<=" or not math.isfinite(check.utilisation):
        return ""
    if not 0 < check.limit.value < UNBOUNDED:
        return ""
    told = f"{check.utilisation * 100:.4g}"
    # Just beyond a limit is not at it.
    if float(told) == 100 and check.utilisation != 1:
        told = f"{check.utilisation * 100:.7g}"
    return f"{told}%"


# Markdown


def explanation_markdown(told: Explanation) -> str:
    """The explanation as Markdown: a table of the gates, and each one's arithmetic folded away."""
    decision = told.decision
    lines = [f"### {decision.decision}: {_of(told)}", ""]
    lines += [f"- {_escaped(each)}" for each in (*_head(told), *told.path)]
    lines += ["", "| gate | level | outcome | measure | limit | used | where |"]
    lines += ["| --- | --- | --- | ---: | ---: | ---: | --- |"]
    words = _words(told)
    for each in told.gates:
        result = each.result
        checks = () if each.explained is None else each.explained.checks
        cells = (
            result.gate,
            result.level,
            str(result.outcome),
            words.amount(result.measure, result.unit) if math.isfinite(result.measure) else "",
            words.amount(result.limit, result.unit) if math.isfinite(result.limit) else "",
            next((_used(check) for check in checks if check.shown), ""),
            "" if result.source is None else f"`{_at(result.source)}`",
        )
        lines.append(f"| {' | '.join(_escaped(cell) for cell in cells)} |")
    for each in told.gates:
        if each.explained is None:
            continue
        result = each.result
        summary = f"{result.gate} of the {result.level}: {result.outcome}"
        lines += ["", f"<details><summary>{_escaped(summary)}</summary>", ""]
        for line in _gate_lines(each.explained, each, words):
            indent = "  " if line.startswith("  ") else ""
            lines.append(f"{indent}- {_escaped(line.strip())}")
        lines += ["", "</details>"]
    if told.why_not is not None:
        lines += ["", *(_escaped(line) for line in _why_not_markdown(told.why_not, told))]
    return "\n".join(lines) + "\n"


def _why_not_markdown(told: WhyNot, explanation: Explanation) -> Iterator[str]:
    for text, _ in _why_not(told, explanation):
        depth = (len(text) - len(text.lstrip())) // 2
        yield f"{'  ' * (depth - 1)}- {text.strip()}" if depth else f"**{text}**"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")
