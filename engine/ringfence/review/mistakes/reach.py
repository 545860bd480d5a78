"""Limits that another gate's limit makes pointless: the other one always decides first."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from ringfence.errors import Diagnostic
from ringfence.language import ir
from ringfence.language.fields import FIELDS
from ringfence.language.gates import Gate, LimitRow
from ringfence.language.parameters import Money, Value
from ringfence.language.rules import Check, Rule, walk
from ringfence.language.scopes import Scope
from ringfence.review.mistakes.containment import Wider
from ringfence.review.mistakes.context import Context, place_of, warning, written
from ringfence.review.mistakes.ranges import range_of

__all__ = ["floors", "reach"]

# Of two gates with the same measure: which answer of the tighter one leaves nothing to the looser one.
_SETTLES = {
    "reject": ("reject", "reduce"),
    "reduce": ("reduce",),
    "halt": ("halt", "reject", "reduce"),
}

_MOST_ALIKE = 50
"""Gates of one scope and kind that are compared with others; hundreds of them with overrides would take long."""

_Kind: TypeAlias = tuple[object, ...]
"""Rule, level and the values of all parameters that are no plain limits: what makes two measures the same."""


_Walls: TypeAlias = dict[tuple[int, _Kind, str, str], list["_Wall"]]
"""Gates by scope, kind, parameter and currency."""


@dataclass(frozen=True, slots=True)
class _Held:
    """A limit: its value, in its own currency, and the row that holds it."""

    value: float
    row: LimitRow


@dataclass(slots=True)
class _Wall:
    """A gate that binds a whole scope, with all limits that it may have there for one parameter."""

    gate: Gate
    limits: list[_Held]

    def loosest(self, row: LimitRow, floor: bool) -> float:
        """The loosest limit that holds at any moment of a row's window."""
        held = [
            each.value
            for each in self.limits
            if max(each.row.from_ns, row.from_ns) < min(each.row.until_ns, row.until_ns)
        ]
        return min(held) if floor else max(held)


def reach(context: Context) -> Iterable[Diagnostic]:
    """Limits that never decide, for a tighter one stands before them (E430 to E432).

    Overrides that have ended count as long as they are there: nothing becomes a fault by the passage of time.
    """
    scopes = list(dict.fromkeys(policy.scope for policy in context.linked.policies))
    places = {scope: place for place, scope in enumerate(scopes)}
    walls = _walls(context.linked.gates, places)
    wider = Wider(scopes)
    holders: dict[tuple[Scope, ...], tuple[int, ...]] = {}
    for gate in context.linked.gates:
        for row in gate.rows:
            if row.until_ns <= context.now_ns:
                continue
            names = [name for name in floors(gate.rule) if name in row.given]
            if not names:
                continue
            both = (gate.policy.scope, *([row.scope] if row.scope is not None else []))
            if (held := holders.get(both)) is None:
                held = holders[both] = tuple(wider.of(both))
            kind = _kind(gate, row)
            for name in names:
                key = (kind, name, _currency(row.values[name]))
                found = _before(gate, row, name, [walls.get((p, *key)) for p in held])
                if found is not None:
                    yield _told(gate, row, name, found)


@lru_cache(maxsize=1024)
def floors(rule: Rule) -> Mapping[str, bool]:
    """The parameters that are plain limits, and of each whether it is a floor (`>=`).

    A plain limit stands in one check alone, by itself or times what cannot turn the comparison round; the
    larger it is the looser, or for a floor the tighter.
    """
    uses: dict[str, int] = {}
    for check in rule.checks:
        for name in _params(check.measure) + _params(check.limit):
            uses[name] = uses.get(name, 0) + 1
    found = {}
    for check in rule.checks:
        plain = _plain(check)
        if plain is not None and uses[plain] == 1 and not _computed_with(rule, plain):
            found[plain] = check.compare == ">="
    return found


def _plain(check: Check) -> str | None:
    match check.limit:
        case ir.Param(name=name):
            return name
        case ir.Arithmetic(op="*", left=ir.Param(name=name), right=other) | ir.Arithmetic(
            op="*", left=other, right=ir.Param(name=name)
        ):
            # Where the other factor is below zero, so are both limits, and no measure above zero passes either.
            if check.compare == "<=" and range_of(check.measure, {})[0] > 0 and not _params(other):
                return name
    return None


def _computed_with(rule: Rule, name: str) -> bool:
    return any(
        name in FIELDS[node.name].uses
        for check in rule.checks
        for node in (*walk(check.measure), *walk(check.limit))
        if isinstance(node, ir.Field)
    )


def _params(node: ir.Node) -> list[str]:
    return [each.name for each in walk(node) if isinstance(each, ir.Param)]


def _kind(gate: Gate, row: LimitRow) -> _Kind:
    plain = floors(gate.rule)
    others = tuple((key, value) for key, value in sorted(row.values.items()) if key not in plain)
    return gate.rule.key, gate.level, others


def _walls(gates: Iterable[Gate], places: Mapping[Scope, int]) -> _Walls:
    """Enforced gates by scope, kind and parameter; of those without overrides the tightest alone."""
    found: _Walls = {}
    for gate in gates:
        if gate.mode != "enforce":
            continue
        kinds = {_kind(gate, row) for row in gate.rows}
        if len(kinds) > 1:
            continue
        place, kind = places[gate.policy.scope], kinds.pop()
        for name, floor in floors(gate.rule).items():
            if any(name not in row.values for row in gate.rows):
                continue
            # Limits in two currencies move against each other with the rate.
            currencies = {_currency(row.values[name]) for row in gate.rows}
            if len(currencies) == 1:
                held = [_Held(_number(row.values[name]), row) for row in gate.rows]
                kept = found.setdefault((place, kind, name, currencies.pop()), [])
                _keep(kept, _Wall(gate, held), floor)
    return found


def _currency(value: Value) -> str:
    return value.currency if isinstance(value, Money) else ""


def _number(value: Value) -> float:
    # What stands in a comparison is a number.
    return value.amount if isinstance(value, Money) else float(value)  # type: ignore[arg-type]


def _keep(kept: list[_Wall], wall: _Wall, floor: bool) -> None:
    """Add a wall; among those of one answer and reach that have no overrides the tightest stays."""
    if len(wall.limits) == 1:
        for number, other in enumerate(kept):
            alike = (other.gate.on_breach, other.gate.applies_to) == (
                wall.gate.on_breach,
                wall.gate.applies_to,
            )
            if alike and len(other.limits) == 1:
                one, two = wall.limits[0].value, other.limits[0].value
                if (one > two) if floor else (one < two):
                    kept[number] = wall
                return
    if len(kept) < _MOST_ALIKE:
        kept.append(wall)


def _before(
    gate: Gate, row: LimitRow, name: str, walls: Iterable[list[_Wall] | None]
) -> _Wall | None:
    """The gate whose limit is always reached before this one, if there is one."""
    own, floor = _number(row.values[name]), floors(gate.rule)[name]
    for wall in (each for kept in walls for each in kept or ()):
        if wall.gate is gate or not _covers(wall.gate, gate):
            continue
        other = wall.loosest(row, floor)
        if (other > own) if floor else (other < own):
            return wall
    return None


def _covers(wall: Gate, gate: Gate) -> bool:
    if wall.applies_to != "all" and gate.applies_to == "all":
        return False
    return gate.mode == "shadow" or gate.on_breach in _SETTLES[wall.on_breach]


def _told(gate: Gate, row: LimitRow, name: str, wall: _Wall) -> Diagnostic:
    base = wall.gate.rows[0]
    own, other = written(gate, row, name), written(wall.gate, base, name)
    span, there = place_of(row, name), place_of(base, name)
    lower = "raise" if not floors(gate.rule)[name] else "lower"
    if gate.mode == "shadow":
        return Diagnostic(
            "E432",
            f"the shadow gate `{gate.name}` warns at `{name}: {own}`, after `{wall.gate.name}` has "
            f"acted at {other}",
            span,
            why=f"a warning comes before what it warns of; the enforced limit stands at {there}",
            fix=f"set `{name}` on the other side of {other}, or swap the two values",
            related=(there,),
        )
    if wall.gate.policy.scope == gate.policy.scope and row is gate.rows[0]:
        return Diagnostic(
            "E430",
            f"`{gate.rule.name}` is bound twice in one scope: `{name}: {own}` here and {other} at {there}",
            span,
            why="both bind, so that the looser of the two never decides",
            fix="remove one of them; for a warning before the limit make the tighter one `mode: shadow`",
            related=(there,),
        )
    return warning(
        "E431",
        f"`{name}: {own}` is never reached: `{wall.gate.label}` already stops at {other}",
        span,
        f"all limits whose scope holds an order bind it, and that one, at {there}, holds all of these orders",
        f"{lower} the other limit, or take these orders out of its scope with `exclude`",
        there,
    )
