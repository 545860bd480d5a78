"""Mutants: policies and rules with one thing changed, each of which some case should notice."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from ringfence.errors import Span
from ringfence.language import ir
from ringfence.language.fields import FIELDS
from ringfence.language.gates import ALWAYS, Gate, LimitRow, Policy
from ringfence.language.linking import MANDATORY, LinkedSet
from ringfence.language.rules import Rule, walk
from ringfence.language.scopes import DIMENSIONS, Scope
from ringfence.language.source import Document, Key
from ringfence.review.testing.written import written_limit

__all__ = ["Mutant", "apply_edits", "edited", "iso_time", "mutants_of_set"]

_REMOVED = "\0removed"
"""In an edit: the key or list item goes."""

_HOUR_NS = 3_600 * 1_000_000_000


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change.

    Attributes:
        subject: The gate, policy or rule that is changed.
        what: The change, in words.
        wanted: What a test would have to check to notice it.
        span: Where what is changed stands.
        path: The document that is changed; empty where a rule is.
        edits: Key paths in the document, and the value that stands there instead.
    """

    subject: str
    what: str
    wanted: str
    span: Span
    path: str = ""
    edits: tuple[tuple[tuple[Key, ...], Any], ...] = ()
    rule: Rule | None = None
    """The rule as it is changed, in the place of the one of its name and version."""
    binds_as_before: bool = False
    """Whether the policy's gates bind the same orders as before, each in its place."""
    gate: str = ""
    """The only gate whose rule is changed; every gate of the rule where not given."""


def mutants_of_set(linked: LinkedSet) -> Iterator[Mutant]:
    """Every mutant of the policies of a set, in the order of its files."""
    for policy in linked.policies:
        yield from _of_scope(policy.label, policy.document, ("spec", "scope"), policy.scope)
        for gate in policy.gates:
            yield from _of_gate(policy, gate)


def edited(data: Any, keys: Sequence[Key], value: Any) -> Any:
    """Plain data with another value at a key path; what is not on the way is shared, nothing is changed.

    A mapping that is missing on the way is made.
    """
    if not keys:
        return value
    first, *rest = keys
    if isinstance(data, list):
        items = list(data)
        if not rest and value == _REMOVED:
            del items[int(first)]
        else:
            items[int(first)] = edited(items[int(first)], rest, value)
        return items
    if not rest and value == _REMOVED:
        return {key: each for key, each in data.items() if key != first}
    return {**(data or {}), first: edited((data or {}).get(first), rest, value)}


def _of_gate(policy: Policy, gate: Gate) -> Iterator[Mutant]:
    document, at = policy.document, gate.rows[0].at

    def mutant(what: str, wanted: str, span: Span, key: str, value: Any) -> Mutant:
        edit = ((*at, key), value)
        # In shadow a gate binds as well, but a mandatory one may then be missing.
        same = key != "mode" or gate.rule.name not in MANDATORY
        return Mutant(gate.label, what, wanted, span, document.path, (edit,), binds_as_before=same)

    for number, row in enumerate(gate.rows):
        yield from _of_limits(gate, row)
        if number:
            yield from _of_override(gate, number, row)
    if gate.mode == "enforce":
        yield mutant(
            "`mode: enforce` becomes `shadow`",
            "an order that this gate alone stops",
            gate.span,
            "mode",
            "shadow",
        )
    if gate.on_breach != "halt" and _can_leave_a_part(gate.rule):
        other = "reject" if gate.on_breach == "reduce" else "reduce"
        yield mutant(
            f"`on_breach: {gate.on_breach}` becomes `{other}`",
            "what becomes of an order that breaches it in part: a smaller size, or nothing",
            gate.span,
            "on_breach",
            other,
        )
    other = "all" if gate.applies_to == "risk_increasing" else "risk_increasing"
    yield mutant(
        f"`applies_to: {gate.applies_to}` becomes `{other}`",
        "an order that only reduces risk, where the gate is breached",
        gate.span,
        "applies_to",
        other,
    )
    # A policy without gates is none: the whole document goes.
    keys = at if len(policy.gates) > 1 else ()
    edit = (keys, _REMOVED)
    yield Mutant(
        gate.label,
        "the gate is removed",
        "an order that this gate alone stops",
        gate.span,
        document.path,
        (edit,),
    )


def _can_leave_a_part(rule: Rule) -> bool:
    """Whether a smaller order can pass where a larger one does not; a count is the same for any size."""
    fields = (
        node
        for check in rule.checks
        for node in (*walk(check.measure), *walk(check.limit))
        if isinstance(node, ir.Field)
    )
    return rule.can_reduce and any(
        FIELDS[each.name].rises and each.unit.kind != "count" for each in fields
    )


def _of_limits(gate: Gate, row: LimitRow) -> Iterator[Mutant]:
    for name in row.given:
        span = row.spans[name]
        for value, what, wanted in _other_values(gate, row, name):
            edit = ((*row.at, "limits", name), value)
            yield Mutant(
                gate.label, what, wanted, span, row.document.path, (edit,), binds_as_before=True
            )


def _other_values(gate: Gate, row: LimitRow, name: str) -> Iterator[tuple[Any, str, str]]:
    """Other values of a limit: a step up and down, ten times and a tenth; other choices; a name less."""
    written = written_limit(row, name)
    if written is not None:
        for other, wanted in (
            (written.stepped(1), "one step outside the limit"),
            (written.stepped(-1), "exactly at the limit"),
            (written.at(written.number * 10), "outside the limit"),
            (written.at(written.number / 10), "inside the limit"),
        ):
            if other.number >= 0 and other.number != written.number:
                yield (
                    other.value,
                    f"`{name}: {written.text}` becomes `{other.text}`",
                    f"an order {wanted}",
                )
        return
    parameter = gate.rule.parameters.parameters[name]
    given = row.values[name]
    if isinstance(given, str):
        for choice in parameter.allowed:
            if choice != given:
                what = f"`{name}: {given}` becomes `{choice}`"
                yield choice, what, f"an order that `{given}` and `{choice}` judge differently"
    elif isinstance(given, tuple):
        for each in given:
            kept = [other for other in given if other != each]
            what = f"`{each}` is taken out of `{name}`"
            yield kept, what, f"an order that `{each}` makes a difference to"


def _of_override(gate: Gate, number: int, row: LimitRow) -> Iterator[Mutant]:
    def mutant(what: str, wanted: str, *edits: tuple[tuple[Key, ...], Any]) -> Mutant:
        whole = f"override {number}: {what}"
        return Mutant(gate.label, whole, wanted, row.span, row.document.path, edits)

    at = row.at
    # An empty list of overrides is none.
    alone = len(gate.rows) == 2
    gone = (at[:-1] if alone else at, _REMOVED)
    yield mutant("is removed", "an order that it alone judges otherwise", gone)
    starts, ends = row.from_ns > ALWAYS[0], row.until_ns < ALWAYS[1]
    if starts:
        yield mutant(
            "starts an hour earlier",
            "an order just before it starts",
            ((*at, "from"), iso_time(row.from_ns - _HOUR_NS)),
        )
    if ends:
        yield mutant(
            "ends an hour later",
            "an order just after it ends",
            ((*at, "until"), iso_time(row.until_ns + _HOUR_NS)),
        )
    if starts and ends:
        length = row.until_ns - row.from_ns
        yield mutant(
            "its window is shifted by its own length",
            "an order within its window",
            ((*at, "from"), iso_time(row.from_ns + length)),
            ((*at, "until"), iso_time(row.until_ns + length)),
        )
    if row.scope is not None:
        yield from _of_scope(
            f"{gate.label}, override {number}", row.document, (*at, "scope"), row.scope
        )


def _of_scope(
    subject: str, document: Document, at: tuple[Key, ...], scope: Scope
) -> Iterator[Mutant]:
    for place, dimension in enumerate(DIMENSIONS):
        included, excluded = scope.parts(place)
        for number, glob in enumerate(included):
            if len(included) > 1:
                yield Mutant(
                    subject,
                    f"`{glob}` is taken out of the {dimension}",
                    f"an order of `{glob}` that it judges otherwise",
                    document.span(*at, dimension, number),
                    document.path,
                    (((*at, dimension, number), _REMOVED),),
                )
        if included and "*" not in included:
            yield Mutant(
                subject,
                f"the {dimension} become all",
                f"an order outside its {dimension}",
                document.key_span(*at, dimension),
                document.path,
                (((*at, dimension), ["*"]),),
            )
        for number, glob in enumerate(excluded):
            keys = (*at, "exclude", dimension)
            edit = ((*keys, number), _REMOVED) if len(excluded) > 1 else (keys, _REMOVED)
            yield Mutant(
                subject,
                f"`{glob}` is no longer excluded",
                f"an order of `{glob}`",
                document.span(*keys, number),
                document.path,
                (edit,),
            )


def iso_time(moment_ns: int) -> str:
    """A time (ns since 1970, UTC) as a policy writes it."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=moment_ns // 1_000)
    return moment.isoformat().replace("+00:00", "Z")


def apply_edits(document: Document, mutant: Mutant) -> Document | None:
    """The document with the mutant's change; None where it goes as a whole."""
    data: Any = document.data
    for keys, value in mutant.edits:
        data = edited(data, keys, value)
    return None if data == _REMOVED else document.with_data(data)
