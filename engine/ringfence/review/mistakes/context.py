"""What the search for mistakes goes by, and how it writes values and places."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ringfence.errors import Diagnostic, Span
from ringfence.language.gates import Gate, LimitRow, Policy
from ringfence.language.instruments import convert
from ringfence.language.linking import LinkedSet
from ringfence.language.parameters import Money, Value
from ringfence.language.scopes import Scope
from ringfence.review.mistakes.settings import Settings

__all__ = ["Context", "amount", "given_in", "limits_of", "place_of", "shown", "warning", "written"]


@dataclass(frozen=True, slots=True)
class Context:
    """A policy set, what it was before, the time, and what the desk has settled.

    Attributes:
        linked: The set, which links without a finding.
        previous: The set of the revision it is compared with; None where it is compared with none.
        now_ns: The time, in ns since 1970.
        settings: The desk's own choices.
    """

    linked: LinkedSet
    now_ns: int
    previous: LinkedSet | None = None
    settings: Settings = field(default_factory=Settings)
    before: dict[str, Policy] = field(init=False, repr=False)
    """The policies as they were, by their names now: one that was renamed is known by its scope."""
    gone: tuple[Gate, ...] = field(init=False, repr=False)
    """Gates as they were that are not there any more by their name, in the policy that they were in."""

    def __post_init__(self) -> None:
        policies = self.previous.policies if self.previous is not None else ()
        before = {policy.name: policy for policy in policies}
        names = {policy.name for policy in self.linked.policies}
        gone: dict[Scope, list[Policy]] = {}
        for policy in policies:
            if policy.name not in names:
                gone.setdefault(policy.scope, []).append(policy)
        for policy in self.linked.policies if gone else ():
            alike = gone.get(policy.scope, [])
            if policy.name not in before and len(alike) == 1:
                before[policy.name] = alike[0]
        object.__setattr__(self, "before", before)
        object.__setattr__(self, "gone", tuple(self._gone()))

    def _gone(self) -> Iterator[Gate]:
        if self.previous is None:
            return
        now = {
            id(self.before[each.name]): each
            for each in self.linked.policies
            if each.name in self.before
        }
        for policy in self.previous.policies:
            other = now.get(id(policy))
            if other is policy:
                continue
            names = {gate.name for gate in other.gates} if other is not None else set()
            yield from (gate for gate in policy.gates if gate.name not in names)


def warning(code: str, message: str, span: Span, why: str, fix: str, *related: Span) -> Diagnostic:
    """A finding that does not fail the check."""
    return Diagnostic(code, message, span, why, fix, severity="warning", related=related)


def amount(value: Value | None, linked: LinkedSet) -> float | None:
    """A value as a number; money in the set's currency. None for lists, choices and money without a rate."""
    if isinstance(value, Money):
        rate = convert(linked.desk.fx, value.currency, linked.currency)
        return None if rate is None else value.amount * rate
    return value if isinstance(value, float) else None


def given_in(row: LimitRow) -> Any:
    """The gate or override that a row is from, as plain data."""
    part: Any = row.document.data
    for key in row.at:
        part = part[key]
    return part


def limits_of(row: LimitRow) -> Mapping[str, Any]:
    """What the document says under `limits` of a gate or an override, as it is written."""
    return given_in(row).get("limits") or {}


def place_of(row: LimitRow, name: str) -> Span:
    """Where a parameter is given; where it is not, the gate or override that lacks it."""
    return row.document.span(*row.at, "limits", name) if name in row.given else row.span


def written(gate: Gate, row: LimitRow, name: str) -> str:
    """A value as the document has it; one that is not given there, as it would be written."""
    if name in row.given and not isinstance(limits_of(row)[name], list):
        return row.document.text_of(*row.at, "limits", name)
    return shown(row.values[name], gate.rule.parameters.parameters[name].type)


def shown(value: Value, kind: str) -> str:
    """A value of a parameter's type, as it would be written."""
    if isinstance(value, Money):
        return f"{value.amount:_.15g} {value.currency}"
    if isinstance(value, tuple):
        return f"[{', '.join(value)}]"
    if isinstance(value, str):
        return value
    if kind == "ratio":
        return f"{value * 100:.15g}%"
    if kind == "duration":
        return f"{value:.15g}s"
    return f"{value:_.15g}" + ("x" if kind == "multiple" else "")
