"""Overrides that have ended, never end, never hold or lack their ticket, and days that start at no time."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from datetime import time as clock_time

from ringfence.errors import Diagnostic, Span
from ringfence.language.gates import ALWAYS, Gate, LimitRow
from ringfence.language.parameters import Value
from ringfence.language.scopes import DIMENSIONS, Scope
from ringfence.review.mistakes.changes import gate_before
from ringfence.review.mistakes.containment import Wider, holds
from ringfence.review.mistakes.context import Context, amount, warning
from ringfence.review.mistakes.names import Universe
from ringfence.review.mistakes.reach import floors

__all__ = ["days", "windows"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def windows(context: Context) -> Iterable[Diagnostic]:
    """Mistakes in the windows, tickets and scopes of overrides (E410 to E414)."""
    universe = Universe(context.linked.desk)
    for gate in context.linked.gates:
        overrides = gate.rows[1:]
        if not overrides:
            continue
        before = gate_before(context, gate)
        wider = Wider([row.scope or Scope() for row in overrides])
        for number, row in enumerate(overrides):
            yield from _ended(context, gate, row, before)
            yield from _endless(row)
            yield from _ticket(context, gate, row)
            if row.scope is not None and (kind := _apart(universe, gate.policy.scope, row.scope)):
                yield _outside(row, kind)
                continue
            held = wider.of((gate.policy.scope, row.scope or Scope()))
            later = [overrides[place] for place in held if place > number]
            if _covered(row, later):
                yield _replaced(row, later)


def _ended(
    context: Context, gate: Gate, row: LimitRow, before: Gate | None
) -> Iterator[Diagnostic]:
    until = row.document.span(*row.at, "until")
    if row.until_ns <= context.now_ns:
        old = before is not None and any(row.until_ns == each.until_ns for each in before.rows[1:])
        new = context.previous is not None and not old
        if new:
            yield Diagnostic(
                "E410",
                f"the new override ended at {_text(row, 'until')}, before now",
                until,
                why="it would never hold; a mistyped year or month is the usual cause",
                fix=f"write an `until` after {_time(context.now_ns)}, or remove the override",
            )
        else:
            yield warning(
                "E410",
                f"the override ended at {_text(row, 'until')}",
                until,
                "it holds no more, and whoever reads the file has to work that out",
                f"remove it, and raise the version of `{gate.policy.name}`",
            )
        return
    if context.previous is None or row.from_ns == ALWAYS[0] or row.from_ns >= context.now_ns:
        return
    if before is not None and any(row.from_ns == each.from_ns for each in before.rows[1:]):
        return
    yield warning(
        "E413",
        f"the new override starts at {_text(row, 'from')}, before now",
        row.document.span(*row.at, "from"),
        "it holds from the moment it is merged; for the time before nothing was granted",
        f"write a `from` after {_time(context.now_ns)}, or leave it out where it is to hold at once",
    )


def _endless(row: LimitRow) -> Iterator[Diagnostic]:
    # A narrower scope without a window is a standing limit, not one for a while.
    narrower = row.scope != Scope()
    if row.until_ns != ALWAYS[1] or (narrower and row.from_ns == ALWAYS[0]):
        return
    if row.from_ns == ALWAYS[0]:
        yield Diagnostic(
            "E411",
            "the override has neither a scope nor a window, so that it always holds",
            row.span,
            why="the gate's own limits would never be asked",
            fix="give it `until:`, or write its limits in the gate itself",
        )
        return
    yield Diagnostic(
        "E411",
        f"the override starts at {_text(row, 'from')} and never ends",
        row.document.span(*row.at, "from"),
        why="what is meant for a while stays for good once nobody thinks of it",
        fix="add `until:`; for a standing limit of a narrower scope leave out `from`",
    )


def _ticket(context: Context, gate: Gate, row: LimitRow) -> Iterator[Diagnostic]:
    pattern = context.settings.ticket_pattern
    if row.ticket:
        if pattern is not None and not pattern.fullmatch(row.ticket):
            yield Diagnostic(
                "E412",
                f"`{row.ticket}` is no ticket of this desk",
                row.document.span(*row.at, "ticket"),
                why=f"the settings say that a ticket looks like `{pattern.pattern}`",
                fix="name the ticket in which it was asked for",
            )
        return
    timed = (row.from_ns, row.until_ns) != ALWAYS
    what = "a window" if timed else _looser(context, gate, row)
    if what:
        yield Diagnostic(
            "E412",
            f"the override has {what} and no ticket",
            row.span,
            why="an exception that nobody can look up was granted by nobody",
            fix="add `ticket:` with the request or approval behind it",
        )


def _looser(context: Context, gate: Gate, row: LimitRow) -> str:
    """What of an override is looser than the gate's own, or may be, in words; empty where nothing is."""
    base = gate.rows[0]
    plain = floors(gate.rule)
    for name, floor in plain.items():
        own = amount(row.values.get(name), context.linked)
        usual = amount(base.values.get(name), context.linked)
        if usual is not None and name not in row.values:
            # A limit of the rule's defaults, which bind only where none is given.
            return "a looser limit than the gate's own"
        if own is not None and usual is not None and ((own < usual) if floor else (own > usual)):
            return "a looser limit than the gate's own"
    for name in dict.fromkeys((*base.values, *row.values)):
        mine, others = row.values.get(name), base.values.get(name)
        if name not in plain and mine != others and not _as_strict(name, mine, others):
            return f"another `{name}` than the gate's own, which may be looser,"
    return ""


def _as_strict(name: str, own: Value | None, usual: Value | None) -> bool:
    """Whether what a field is computed with is known to let no more pass than the gate's own."""
    match name, own, usual:
        case "allow", tuple(), tuple():
            return all(any(holds(wide, each) for wide in usual) for each in own)
        case "deny", tuple(), tuple():
            return all(any(holds(wide, each) for wide in own) for each in usual)
        case "required", tuple(), tuple():
            return set(own) >= set(usual)
        case "window", float(), _:
            # What is looked back at is more, and so is the time that a count is of.
            return own >= (usual if isinstance(usual, float) else 0.0)
        case "threshold", float(), float():
            return own <= usual
    return (name, own) in (("working", "gross"), ("counts", "messages"))


def _outside(row: LimitRow, kind: str) -> Diagnostic:
    return Diagnostic(
        "E414",
        f"the override never holds: its {kind} are none of the policy's",
        row.document.span(*row.at, "scope", kind),
        why="an override changes limits only for orders that the policy binds",
        fix=f"name {kind} that are in the policy's own scope, or move it to the policy that binds them",
    )


def _replaced(row: LimitRow, later: Iterable[LimitRow]) -> Diagnostic:
    return Diagnostic(
        "E414",
        "the override never holds: later ones take its place at all times",
        row.span,
        why="of several overrides that match an order the last one counts",
        fix="remove it, or move it behind the others",
        related=tuple(each.span for each in later),
    )


def _apart(universe: Universe, policy: Scope, own: Scope) -> str:
    """The dimension in which an override and its policy have no name in common; empty if none is known."""
    for number, kind in enumerate(DIMENSIONS):
        included, _ = own.parts(number)
        if not included:
            continue
        if universe.names[number]:
            mine = universe.held(number, own)
            if mine and not mine & universe.held(number, policy):
                return kind
            continue
        # Nothing is declared: names in full can still be told apart.
        others, excluded = policy.parts(number)
        named = set(included)
        if any(sign in "".join((*included, *others)) for sign in "*?["):
            continue
        if (others and named.isdisjoint(others)) or named <= set(excluded):
            return kind
    return ""


def _covered(row: LimitRow, later: Iterable[LimitRow]) -> bool:
    reached = row.from_ns
    for each in sorted(later, key=lambda one: one.from_ns):
        if each.from_ns > reached:
            return False
        reached = max(reached, each.until_ns)
        if reached >= row.until_ns:
            return True
    return False


def days(context: Context) -> Iterable[Diagnostic]:
    """A trading day whose start the clocks skip, or show twice, within the coming year (E415)."""
    for policy in context.linked.policies:
        if policy.day is None or policy.day[1] == "UTC":
            continue
        time, zone = policy.day
        if (found := _odd_day(time, zone, context.now_ns)) is not None:
            what, date = found
            yield warning(
                "E415",
                f"on {date} the clocks of {zone} {what} {time}",
                _day_span(
                    policy.document.span("spec", "day", "time"), policy.document.span("spec", "day")
                ),
                "the day then starts when the unmoved clock would show it, or at the first of the two: "
                "its losses count from another moment than people expect",
                "choose an hour at which the clocks are never moved, such as 17:00",
            )


def _day_span(time: Span, day: Span) -> Span:
    return time if time.line == day.line else day


def _odd_day(time: str, zone: str, now_ns: int) -> tuple[str, str] | None:
    # Imported here: most desks keep their days in UTC.
    from zoneinfo import ZoneInfo

    start = clock_time.fromisoformat(time)
    place = ZoneInfo(zone)
    today = (_EPOCH + timedelta(seconds=now_ns // 10**9)).astimezone(place).date()
    for ahead in range(366):
        date = today + timedelta(days=ahead)
        first = datetime.combine(date, start, tzinfo=place)
        # In an hour that is skipped or shown twice the two readings of one clock time differ.
        if first.utcoffset() != first.replace(fold=1).utcoffset():
            back = first.astimezone(UTC).astimezone(place)
            skipped = back.replace(tzinfo=None) != first.replace(tzinfo=None)
            return "skip" if skipped else "show twice", date.isoformat()
    return None


def _text(row: LimitRow, key: str) -> str:
    return row.document.text_of(*row.at, key)


def _time(moment_ns: int) -> str:
    return (_EPOCH + timedelta(seconds=moment_ns // 10**9)).strftime("%Y-%m-%dT%H:%M:%SZ")
