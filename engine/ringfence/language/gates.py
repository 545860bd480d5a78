"""Policies: a YAML document read into gates, each a rule bound to limits with its overrides."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ringfence.errors import Diagnostic, Span
from ringfence.language.broken_parts import BrokenParts
from ringfence.language.parameters import Money, Value, fitting
from ringfence.language.rules import Rule
from ringfence.language.scopes import Scope
from ringfence.language.source import Document, Key
from ringfence.language.suggest import suggestion

__all__ = ["ALWAYS", "Gate", "LimitRow", "Policy", "canonical_value", "read_policy", "to_ns"]

ALWAYS = (-(2**63), 2**63 - 1)

FindRule = Callable[[str, str], tuple[Rule | None, list[str] | None]]
"""Gives the rule of a name and version; else near misses, or None where it is there with a fault that is told."""


@dataclass(frozen=True, slots=True, eq=False)
class LimitRow:
    """Limits that hold for one gate in one window; `scope` is None for the gate's own limits."""

    values: Mapping[str, Value]
    scope: Scope | None
    from_ns: int
    until_ns: int
    ticket: str
    span: Span
    document: Document = field(repr=False)
    at: tuple[Key, ...]
    given: tuple[str, ...]
    """The parameters that are given here, and the place in the document of what they are given under."""

    @property
    def spans(self) -> dict[str, Span]:
        """Where each limit that is given here stands; found only when asked for."""
        return {name: self.document.span(*self.at, "limits", name) for name in self.given}


@dataclass(frozen=True, slots=True, eq=False)
class Gate:
    """A rule bound by a policy; `rows` hold its own limits first, then the overrides in order."""

    name: str
    rule: Rule
    policy: "Policy"
    level: str
    mode: str
    on_breach: str
    applies_to: str
    rows: tuple[LimitRow, ...]
    span: Span
    confirm_ticks: int = 1
    """Ticks at which orders or looks must meet a breach, one after the other, before it halts the book."""

    @property
    def label(self) -> str:
        """`policy@version/gate`, unique in a policy set."""
        return f"{self.policy.label}/{self.name}"

    @property
    def halts(self) -> bool:
        """Whether a breach halts the book that the gate measures."""
        return self.on_breach == "halt" and self.mode == "enforce"


@dataclass(slots=True, eq=False)
class Policy:
    """A policy document: scope, day, and its gates."""

    name: str
    version: str
    owner: str
    scope: Scope
    currency: str
    day: tuple[str, str] | None
    document: Document = field(repr=False)
    gates: list[Gate] = field(default_factory=list)

    @property
    def label(self) -> str:
        """`name@version`."""
        return f"{self.name}@{self.version}"


def to_ns(text: str) -> int:
    """ISO 8601 text (a date, or a time with zone; UTC without one) as ns since 1970.

    Raises:
        ValueError: the text is no such time.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"`{text}` is not a time: write 2026-01-31T08:00:00Z") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * 1_000_000_000 + delta.microseconds * 1_000


def read_policy(
    document: Document, find_rule: FindRule, broken: BrokenParts
) -> tuple[Policy, list[Diagnostic]]:
    """Read a policy and its gates.

    Args:
        document: A `kind: Policy` document, whose `spec` is a mapping with a list of `gates`.
        find_rule: Gives the rule for a name and version, or None with near misses.
        broken: Where the schema already found fault; such parts are left out.

    Returns:
        The policy with every gate that could be read, and the findings; its name is empty where it has none.
    """
    data = document.data
    metadata = data.get("metadata")
    if not isinstance(metadata, dict):
        metadata = {}
    # A part with a fault counts as not given.
    spec = {key: each for key, each in data["spec"].items() if not broken.at("spec", key)}
    findings: list[Diagnostic] = []
    day = spec.get("day")
    policy = Policy(
        name=str(metadata.get("name") or ""),
        version=str(metadata.get("version") or ""),
        owner=str(metadata.get("owner") or ""),
        scope=Scope.read(spec.get("scope")),
        currency=str(spec.get("currency") or ""),
        day=_read_day(document, day, findings) if day else None,
        document=document,
    )
    seen: dict[str, Span] = {}
    for index, given in enumerate(data["spec"]["gates"]):
        span = document.span("spec", "gates", index)
        if broken.at("spec", "gates", index):
            _check_sound_parts(document, index, given, find_rule, broken, findings)
            continue
        gate = _read_gate(policy, index, span, given, spec.get("level"), find_rule, findings)
        if gate is None:
            continue
        if gate.name in seen:
            findings.append(
                Diagnostic(
                    "E304",
                    f"two gates of this policy are called `{gate.name}`",
                    span,
                    why="a decision names its gates; two of one name cannot be told apart",
                    fix="give one of them a `name:` of its own",
                    related=(seen[gate.name],),
                )
            )
            continue
        seen[gate.name] = span
        policy.gates.append(gate)
    return policy, findings


def _read_day(
    document: Document, day: Mapping[str, Any], findings: list[Diagnostic]
) -> tuple[str, str] | None:
    time, zone = str(day.get("time", "00:00")), str(day.get("zone", "UTC"))
    if zone == "UTC":
        return time, zone
    # Imported here: most desks keep their days in UTC.
    from zoneinfo import ZoneInfo

    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError):
        findings.append(
            Diagnostic(
                "E216",
                f"unknown time zone `{zone}`",
                document.span("spec", "day", "zone"),
                why="the trading day starts at a wall-clock time, so its zone must be known",
                fix="use a name of the IANA database such as Europe/London",
            )
        )
        return None
    return time, zone


def _read_gate(
    policy: Policy,
    index: int,
    span: Span,
    given: Mapping[str, Any],
    level: str | None,
    find_rule: FindRule,
    findings: list[Diagnostic],
) -> Gate | None:
    document = policy.document
    at = ("spec", "gates", index)
    rule = _rule_of(document, at, str(given["rule"]), find_rule, findings)
    if rule is None:
        return None
    before = len(findings)
    limits = given.get("limits") or {}
    base = _read_row(document, (*at, "limits"), limits, rule, findings)
    rows = [LimitRow(base, None, *ALWAYS, "", span, document, at, tuple(limits))]
    for number, override in enumerate(given.get("overrides") or ()):
        place = (*at, "overrides", number)
        row = _read_override(document, place, override, limits, rule, findings)
        if row is not None:
            rows.append(row)
    on_breach = given.get("on_breach") or rule.on_breach
    _check_on_breach(document, at, on_breach, rule, findings)
    if on_breach != "halt" and "confirm_ticks" in given:
        findings.append(
            Diagnostic(
                "E209",
                f"`confirm_ticks` in a gate whose breach does {on_breach}, and not halt",
                document.span(*at, "confirm_ticks"),
                why="a breach rejects at once; what waits for further ticks is to halt the book",
                fix="say `on_breach: halt`, or leave `confirm_ticks` out",
            )
        )
    if len(findings) > before:
        return None
    return Gate(
        name=str(given.get("name") or rule.name),
        rule=rule,
        policy=policy,
        level=given.get("level") or level or rule.level,
        mode=given.get("mode") or "enforce",
        on_breach=on_breach,
        applies_to=given.get("applies_to") or rule.applies_to,
        rows=tuple(rows),
        span=span,
        confirm_ticks=int(given.get("confirm_ticks", 1)),
    )


def _check_sound_parts(
    document: Document,
    index: int,
    given: Any,
    find_rule: FindRule,
    broken: BrokenParts,
    findings: list[Diagnostic],
) -> None:
    """What can be said of a gate in which the schema found fault: of its rule, and of limits that are sound."""
    at = ("spec", "gates", index)

    def sound(where: Any, kind: type, key: str) -> bool:
        return isinstance(where.get(key), kind) and not broken.at(*at, key)

    if not (isinstance(given, dict) and sound(given, str, "rule")):
        return
    rule = _rule_of(document, at, given["rule"], find_rule, findings)
    if rule is None:
        return
    if sound(given, str, "on_breach"):
        _check_on_breach(document, at, given["on_breach"], rule, findings)
    # Without them nothing is said: their key may be the one that is misspelt.
    if not sound(given, dict, "limits"):
        return
    _read_row(document, (*at, "limits"), given["limits"], rule, findings)
    overrides = given.get("overrides")
    for number, override in enumerate(overrides if isinstance(overrides, list) else ()):
        place = (*at, "overrides", number)
        if not broken.at(*place):
            _read_override(document, place, override, given["limits"], rule, findings)


def _check_on_breach(
    document: Document,
    at: tuple[str | int, ...],
    on_breach: str,
    rule: Rule,
    findings: list[Diagnostic],
) -> None:
    if on_breach == "reduce" and not rule.can_reduce:
        findings.append(
            Diagnostic(
                "E208",
                f"`{rule.name}` cannot reduce: its measure does not only rise with the size",
                document.span(*at, "on_breach"),
                why="a smaller order could fail where a larger one passes",
                fix="use `on_breach: reject`",
            )
        )
    if on_breach == "halt" and not rule.can_halt:
        findings.append(
            Diagnostic(
                "E208",
                f"`{rule.name}` cannot halt: its measure depends on the order",
                document.span(*at, "on_breach"),
                why="one order that is too large would halt the book for all others",
                fix="use `on_breach: reject`; `daily-loss` and `drawdown` can halt",
            )
        )


def _rule_of(
    document: Document,
    at: tuple[str | int, ...],
    reference: str,
    find_rule: FindRule,
    findings: list[Diagnostic],
) -> Rule | None:
    name, _, version = reference.partition("@")
    rule, known = find_rule(name, version)
    if rule is not None or known is None:
        return rule
    if name in known:
        findings.append(
            Diagnostic(
                "E215",
                f"rule `{name}` has no version `{version}`",
                document.span(*at, "rule"),
                why="a policy names the version it was written for, so that no rule changes under it",
                fix=f"known versions: {', '.join(each for each in known if each != name)}",
            )
        )
    else:
        findings.append(
            Diagnostic(
                "E214",
                f"unknown rule `{name}`",
                document.span(*at, "rule"),
                why="a gate that names no rule would bind nothing",
                fix=suggestion(name, known) or "`ringfence rules` lists the rules there are",
            )
        )
    return None


def _read_row(
    document: Document,
    at: tuple[str | int, ...],
    limits: Mapping[str, Any],
    rule: Rule,
    findings: list[Diagnostic],
) -> dict[str, Value]:
    values, wrong = rule.parameters.read(limits)
    _told_wrong(document, at, limits, wrong, rule, findings)
    return values


def _told_wrong(
    document: Document,
    at: tuple[str | int, ...],
    limits: Mapping[str, Any],
    wrong: Mapping[str, str],
    rule: Rule,
    findings: list[Diagnostic],
) -> None:
    for name, message in wrong.items():
        if name not in rule.parameters.parameters:
            findings.append(
                Diagnostic(
                    "E210",
                    f"`{rule.name}` has no parameter `{name}`",
                    document.key_span(*at, name),
                    why=f"its parameters are {', '.join(rule.parameters.parameters) or 'none'}",
                    fix=suggestion(name, rule.parameters.parameters) or "remove it",
                )
            )
            continue
        span = document.span(*at, name) if name in limits else document.span(*at[:-1])
        parameter = rule.parameters.parameters[name]
        what, _, fix = message.partition(": write ")
        findings.append(
            Diagnostic(
                "E211",
                f"`{name}`: {what}",
                span,
                why=f"`{name}` is of type {parameter.type}",
                fix=f"write {fix}" if fix else fitting(parameter),
            )
        )


def _read_override(
    document: Document,
    at: tuple[str | int, ...],
    given: Mapping[str, Any],
    limits: Mapping[str, Any],
    rule: Rule,
    findings: list[Diagnostic],
) -> LimitRow | None:
    # An override names only what it changes; the gate's other limits stay.
    merged = {**limits, **given["limits"]}
    before = len(findings)
    values, wrong = rule.parameters.read(merged)
    if wrong:
        # What is wrong with the gate's own limits has been told there.
        _, told = rule.parameters.read(limits)
        own = {key: message for key, message in wrong.items() if told.get(key) != message}
        _told_wrong(document, (*at, "limits"), given["limits"], own, rule, findings)
    bounds = list(ALWAYS)
    for place, key in enumerate(("from", "until")):
        if given.get(key) is None:
            continue
        try:
            bounds[place] = to_ns(str(given[key]))
        except ValueError as error:
            findings.append(
                Diagnostic(
                    "E217",
                    str(error).partition(": ")[0],
                    document.span(*at, key),
                    why="a window has a first and a last moment",
                    fix=str(error).partition(": ")[2] or "write 2026-01-31T08:00:00Z",
                )
            )
    if bounds[0] >= bounds[1]:
        findings.append(
            Diagnostic(
                "E217",
                f"the override ends ({given['until']}) before it starts ({given['from']})",
                document.span(*at, "until"),
                why="such an override would never hold",
                fix="swap `from` and `until`",
            )
        )
    if len(findings) > before or wrong:
        return None
    return LimitRow(
        values=values,
        scope=Scope.read(given.get("scope")),
        from_ns=bounds[0],
        until_ns=bounds[1],
        ticket=str(given.get("ticket") or ""),
        span=document.span(*at),
        document=document,
        at=at,
        given=tuple(given["limits"]),
    )


def canonical_value(value: Value) -> Any:
    """A parameter value for the policy set's hash."""
    if isinstance(value, Money):
        return [repr(value.amount), value.currency]
    if isinstance(value, tuple):
        return sorted(value)
    return value if isinstance(value, str) else repr(float(value))
