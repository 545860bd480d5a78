"""What moved against the previous revision: limits by too much, content without its version."""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ringfence.errors import Diagnostic
from ringfence.language.canonical import canonical_content, canonical_rule
from ringfence.language.gates import Gate, LimitRow, Policy
from ringfence.language.linking import LinkedSet
from ringfence.language.rules import Rule, parse_version, read_rule
from ringfence.language.source import Document
from ringfence.review.mistakes.containment import apart
from ringfence.review.mistakes.context import (
    Context,
    amount,
    given_in,
    place_of,
    warning,
    written,
)

__all__ = ["gate_before", "moves", "versions"]


def gate_before(context: Context, gate: Gate) -> Gate | None:
    """The gate as it was: that of its name in the policy of its name, or the only one of its rule there.

    Else one that went as it came, of its rule and level and for some of its orders, whatever it was called and
    wherever it stood: of several the one whose limits are the nearest.
    """
    before = context.before.get(gate.policy.name)
    if before is not None:
        for each in before.gates:
            if each.name == gate.name:
                return each
        alike = [each for each in before.gates if each.rule.name == gate.rule.name]
        if len(alike) == 1:
            return alike[0]
    went = (
        each
        for each in context.gone
        if (each.rule.name, each.level) == (gate.rule.name, gate.level)
        and not apart(each.policy.scope, gate.policy.scope)
    )
    return min(went, key=lambda each: _farthest(context, each, gate), default=None)


def _farthest(context: Context, one: Gate, other: Gate) -> float:
    """By what the limits of two gates differ at most."""
    return max(
        (
            _factor(
                _number(context, one, one.rows[0], name),
                _number(context, other, other.rows[0], name),
            )
            or 1.0
            for name in one.rows[0].values.keys() & other.rows[0].values.keys()
        ),
        default=math.inf,
    )


def moves(context: Context) -> Iterable[Diagnostic]:
    """Limits that moved far without `acknowledge:` (E400), and acknowledgements of no such move (E401)."""
    for policy in context.linked.policies:
        same = _same_text(policy, context.before.get(policy.name))
        for gate in policy.gates:
            # What is as it was needs no look: nothing moved, and what is acknowledged was so before.
            before = None if same else gate_before(context, gate)
            for row in gate.rows:
                told = given_in(row).get("acknowledge") or ()
                old = _row_before(gate, row, before)
                if old is not None and before is not None:
                    yield from _moved(context, gate, row, before, old, told)
                for number, each in enumerate(told):
                    if reason := _stale(context, gate, row, each, before, old, same=same):
                        yield _unfit(row, number, reason)


def _moved(
    context: Context,
    gate: Gate,
    row: LimitRow,
    gate_then: Gate,
    then: LimitRow,
    told: Iterable[Mapping[str, Any]],
) -> Iterator[Diagnostic]:
    known = given_in(then).get("acknowledge") or ()
    new = [each for each in told if each not in known and not _without_ticket(context, each)]
    for name in row.given:
        moved = _factor(*(_number(context, gate, each, name) for each in (row, then)))
        if moved is None or moved <= context.settings.limit_factor:
            continue
        if any(_names(gate, each, name, then, row) for each in new):
            continue
        was, now = written(gate_then, then, name), written(gate, row, name)
        what = "moved" if len(then.at) == len(row.at) else "stands in a new override"
        by = f"by a factor of {moved:.3g}" if math.isfinite(moved) else "from or to zero"
        yield Diagnostic(
            "E400",
            f"`{name}` {what}, from {was} to {now}: {by}",
            place_of(row, name),
            why=f"a limit that moves by more than {context.settings.limit_factor:g} times is most often a slip: "
            "a zero too many or too few",
            fix="where it is meant, say so beside `limits`: "
            f"`acknowledge: [{{limit: {name}, from: {was}, to: {now}, ticket: ..., reason: ...}}]`",
            related=(place_of(then, name),),
        )


def _row_before(gate: Gate, row: LimitRow, before: Gate | None) -> LimitRow | None:
    """The limits that stood where a row stands: of a new override, the gate's own."""
    if before is None:
        return None
    if row is gate.rows[0]:
        return before.rows[0]
    for alike in (_same_override, _same_scope):
        found = [each for each in before.rows[1:] if alike(each, row)]
        if len(found) == 1:
            return found[0]
    return before.rows[0]


def _same_override(one: LimitRow, other: LimitRow) -> bool:
    return _same_scope(one, other) and one.ticket == other.ticket


def _same_scope(one: LimitRow, other: LimitRow) -> bool:
    return one.scope == other.scope


def _number(context: Context, gate: Gate, row: LimitRow, name: str) -> float | None:
    """A limit as a number; of a rate, such as `10/s`, for each second."""
    value = amount(row.values.get(name), context.linked)
    parameter = gate.rule.parameters.parameters[name]
    window = row.values.get(parameter.window)
    if (
        value is None
        or parameter.window in row.given
        or not isinstance(window, float)
        or not window
    ):
        return value
    return value / window


def _factor(one: float | None, two: float | None) -> float | None:
    """By what a number moved, at least 1; infinite from and to zero. None for what is no number."""
    if one is None or two is None or one == two:
        return None
    low, high = sorted((one, two))
    return high / low if low > 0 else math.inf


def _names(gate: Gate, told: Mapping[str, Any], name: str, then: LimitRow, now: LimitRow) -> bool:
    """Whether an acknowledgement names exactly this move."""
    return told["limit"] == name and _is(gate, told, "from", then) and _is(gate, told, "to", now)


def _is(gate: Gate, told: Mapping[str, Any], end: str, row: LimitRow) -> bool:
    """Whether one end of a move is what a row holds."""
    values = gate.rule.parameters.values(told["limit"], told[end])
    return told["limit"] in values and all(
        row.values.get(key) == each for key, each in values.items()
    )


def _stale(
    context: Context,
    gate: Gate,
    row: LimitRow,
    told: Mapping[str, Any],
    before: Gate | None,
    then: LimitRow | None,
    *,
    same: bool,
) -> str:
    """Why an acknowledgement names no move; empty where it does, or where it keeps the memory of one."""
    name = told["limit"]
    if name not in gate.rule.parameters.parameters:
        return f"`{gate.rule.name}` has no limit `{name}`"
    for key in ("from", "to"):
        if gate.rule.parameters.value(name, told[key]) is None:
            return f"`{told[key]}` is no value of `{name}`"
    if not _is(gate, told, "to", row):
        now = written(gate, row, name) if name in row.values else "not set"
        return f"`{name}` is {now}, not {told['to']}"
    if reason := _without_ticket(context, told):
        return reason
    if context.previous is None or same:
        return ""
    if before is None or then is None:
        return "the gate is new, so that no limit moved"
    if told in (given_in(then).get("acknowledge") or ()):
        return ""
    if not _is(gate, told, "from", then):
        was = written(before, then, name) if name in then.values else "not set"
        return f"`{name}` was {was}, not {told['from']}"
    return ""


def _without_ticket(context: Context, told: Mapping[str, Any]) -> str:
    """What is wrong with the ticket of an acknowledgement, where the desk has settled what one looks like."""
    pattern = context.settings.ticket_pattern
    ticket = told.get("ticket")
    if pattern is None or pattern.fullmatch(ticket or ""):
        return ""
    return f"`{ticket}` is no ticket of this desk" if ticket else "it has no ticket"


def _unfit(row: LimitRow, number: int, reason: str) -> Diagnostic:
    return warning(
        "E401",
        f"the acknowledgement fits no move: {reason}",
        row.document.span(*row.at, "acknowledge", number),
        "it stands for one move of one limit, and must not be taken for the next",
        "remove it, or write the move that it is for",
    )


def versions(context: Context) -> Iterable[Diagnostic]:
    """Policies and rules that changed without their version (E402), or whose version went down (E403)."""
    if context.previous is None:
        return
    for policy in context.linked.policies:
        before = context.before.get(policy.name)
        renamed = before is not None and before.name != policy.name
        if before is not None and not renamed and not _same_text(policy, before):
            yield from _version(
                policy.document,
                before.document,
                "policy",
                changed=_says_other(policy.document, before.document)
                and canonical_content(policy) != canonical_content(before),
            )
    own = {rule.document.path: rule for rule in context.linked.rules}
    for path, document in context.linked.documents.items():
        if path in own:
            yield from _rule(own[path], _namesake(document, context.previous))


def _namesake(document: Document, previous: LinkedSet) -> Document | None:
    """The rule that the previous set called the same, where its text differs."""
    name = document.data["metadata"]["name"]
    for each in previous.documents.values():
        if each.data["kind"] == "Rule" and each.data["metadata"]["name"] == name:
            return each if each.source.text != document.source.text else None
    return None


def _rule(rule: Rule, before: Document | None) -> Iterator[Diagnostic]:
    then = read_rule(before)[0] if before is not None else None
    if before is not None and then is not None:
        now_form, then_form = canonical_rule(rule), canonical_rule(then)
        del now_form["rule"], then_form["rule"]
        yield from _version(rule.document, before, "rule", changed=now_form != then_form)


def _version(
    document: Document, before: Document, kind: str, *, changed: bool
) -> Iterator[Diagnostic]:
    name, now, was = (
        document.data["metadata"]["name"],
        document.data["metadata"]["version"],
        before.data["metadata"]["version"],
    )
    span = document.span("metadata", "version")
    major, minor, patch = parse_version(was)
    if parse_version(now) < (major, minor, patch):
        yield Diagnostic(
            "E403",
            f"the version of the {kind} `{name}` goes down, from {was} to {now}",
            span,
            why="of two versions the higher one is the later one, to everybody who reads a decision",
            fix=f"write a version above {was}, such as `version: {major}.{minor + 1}.0`",
            related=(before.span("metadata", "version"),),
        )
    elif changed and now == was:
        yield Diagnostic(
            "E402",
            f"the {kind} `{name}` says something else than before, and is still {now}",
            span,
            why="a decision names the version that it was made by; one version must mean one thing",
            fix=f"write `version: {major}.{minor + 1}.0`, or `{major}.{minor}.{patch + 1}` for a correction",
            related=(before.span("metadata", "version"),),
        )


def _same_text(policy: Policy, before: Policy | None) -> bool:
    return before is not None and policy.document.source.text == before.document.source.text


def _says_other(document: Document, before: Document) -> bool:
    """Whether the text itself changed: a rule of the library may change what an untouched policy means."""
    return any(document.data[key] != before.data[key] for key in ("metadata", "spec"))
