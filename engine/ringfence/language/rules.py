"""Rules: a gate definition read from `rules/*.yaml`, typed and checked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ringfence.errors import Diagnostic
from ringfence.language import ir
from ringfence.language.fields import FIELDS, USED
from ringfence.language.parameters import Parameter, ParameterSet
from ringfence.language.parser import parse_expression
from ringfence.language.slopes import Slope, slope
from ringfence.language.source import Document
from ringfence.language.units import Unit, UnitMismatchError, add_units

__all__ = ["Check", "Rule", "Version", "parse_version", "read_rule", "walk"]

Version = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Check:
    """One comparison of a rule: binds when every parameter in `when` is given."""

    name: str
    when: tuple[str, ...]
    measure: ir.Node
    limit: ir.Node
    compare: str
    measure_text: str
    limit_text: str
    explain: str
    """What a breach means, in a sentence; empty where the rule says none."""

    @property
    def unit(self) -> Unit:
        """What both sides are shown in: the measure's unit, or the limit's where it has none."""
        return self.limit.unit if self.measure.unit.kind == "number" else self.measure.unit

    @property
    def can_reduce(self) -> bool:
        """True where the check gets no easier as the order grows."""
        positive = frozenset(
            node.name
            for node in (*walk(self.measure), *walk(self.limit))
            if isinstance(node, ir.Param)
        )
        measure, limit = slope(self.measure, positive), slope(self.limit, positive)
        if self.compare == ">=":
            measure, limit = limit, measure
        return measure in (Slope.CONSTANT, Slope.RISING) and limit in (
            Slope.CONSTANT,
            Slope.FALLING,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """A versioned gate definition; `key` (`name@1.2.0`) is unique in a rule library."""

    name: str
    version: Version
    title: str
    description: str
    sources: tuple[str, ...]
    mandatory: bool
    level: str
    applies_to: str
    on_breach: str
    code: str
    measures: str
    """What a reason calls the measure; empty where its checks measure different things."""
    deprecated: str
    parameters: ParameterSet
    freshness: str
    checks: tuple[Check, ...]
    docs: str
    document: Document = field(repr=False)
    key: str = field(init=False)
    """Name and full version."""
    can_reduce: bool = field(init=False)
    """Whether every check allows a size reduction."""

    @property
    def can_halt(self) -> bool:
        """Whether every measure looks at a book as it is, and not at the order."""
        return not any(map(_of_the_order, self.checks))

    def __post_init__(self) -> None:
        # Once for each rule, for every gate asks.
        object.__setattr__(self, "key", f"{self.name}@{'.'.join(map(str, self.version))}")
        object.__setattr__(self, "can_reduce", all(check.can_reduce for check in self.checks))


def parse_version(text: str) -> Version:
    """`1.2.3` (or `1`, `1.2`) as a tuple; missing parts are zero."""
    parts = [int(part) for part in str(text).split(".")]
    major, minor, patch = [*parts, 0, 0][:3]
    return (major, minor, patch)


def walk(node: ir.Node) -> list[ir.Node]:
    """All nodes of a tree, the root first."""
    found: list[ir.Node] = []
    pending: list[ir.Node] = [node]
    while pending:
        each = pending.pop()
        found.append(each)
        for name in ("value", "left", "right", "test", "then", "otherwise"):
            part = getattr(each, name, None)
            if isinstance(part, ir.Node):
                pending.append(part)
        values = getattr(each, "values", None)
        if isinstance(values, tuple):
            pending.extend(part for part in values if isinstance(part, ir.Node))
    return found


def read_rule(document: Document) -> tuple[Rule | None, list[Diagnostic]]:
    """Turn a `kind: Rule` document, already checked against its schema, into a `Rule`.

    Returns:
        The rule, or None with every finding (`E201` to `E212`).
    """
    metadata, spec = document.data["metadata"], document.data["spec"]
    findings: list[Diagnostic] = []
    parameters = {
        name: _parameter(name, given) for name, given in (spec.get("parameters") or {}).items()
    }
    _check_parameters(document, parameters, findings)
    units = {name: each.unit for name, each in parameters.items()}
    checks: list[Check] = []
    for index, given in enumerate(spec["checks"]):
        check = _read_check(document, index, given, parameters, units, findings)
        if check is not None:
            checks.append(check)
    findings.extend(_misused(document, parameters, checks))
    if findings:
        return None, findings
    on_breach = spec.get("on_breach", "reject")
    if on_breach == "reduce":
        findings.extend(
            _cannot_reduce(document, index, check)
            for index, check in enumerate(checks)
            if not check.can_reduce
        )
    if on_breach == "halt":
        findings.extend(
            _cannot_halt(document, index, looked_at[0])
            for index, check in enumerate(checks)
            if (looked_at := _of_the_order(check))
        )
    parameter_set = ParameterSet(parameters, spec.get("default_limits") or {})
    if spec.get("default_limits"):
        _, wrong = parameter_set.read(spec["default_limits"])
        findings.extend(
            Diagnostic(
                "E211",
                f"`{name}`: {message}",
                document.span("spec", "default_limits", *((name,) if name in parameters else ())),
                why="the defaults bind where a policy gives no limit",
                fix="give a value that the parameter's type allows",
            )
            for name, message in wrong.items()
        )
    if findings:
        return None, findings
    return (
        Rule(
            name=metadata["name"],
            version=parse_version(metadata["version"]),
            title=metadata.get("title", metadata["name"]),
            description=metadata.get("description", ""),
            sources=tuple(metadata.get("source") or ()),
            mandatory=bool(spec.get("mandatory", False)),
            level=spec.get("level", "account"),
            applies_to=spec.get("applies_to", "risk_increasing"),
            on_breach=on_breach,
            code=spec.get("code") or metadata["name"].upper().replace("-", "_"),
            measures=spec.get("measures") or "",
            deprecated=str(metadata.get("deprecated") or ""),
            parameters=parameter_set,
            freshness=spec.get("freshness") or "",
            checks=tuple(checks),
            docs=spec.get("docs", ""),
            document=document,
        ),
        [],
    )


def _parameter(name: str, given: Mapping[str, Any]) -> Parameter:
    return Parameter(
        name=name,
        type=given["type"],
        limit=bool(given.get("limit", False)),
        required=bool(given.get("required", False)),
        default=given.get("default"),
        allowed=tuple(given.get("allowed") or ()),
        window=given.get("window") or "",
        currency=given.get("currency") or "",
        description=given.get("description") or "",
    )


def _check_parameters(
    document: Document, parameters: Mapping[str, Parameter], findings: list[Diagnostic]
) -> None:
    freshness = document.data["spec"].get("freshness")
    if freshness and (freshness not in parameters or parameters[freshness].type != "duration"):
        findings.append(
            Diagnostic(
                "E204",
                f"`freshness` names `{freshness}`, which is no parameter of type duration",
                document.span("spec", "freshness"),
                why="freshness is the age at which a mark makes a portfolio unknown",
                fix="name a duration parameter of this rule",
            )
        )
    for name, parameter in parameters.items():
        if parameter.type in ("choice", "choices") and not parameter.allowed:
            findings.append(
                Diagnostic(
                    "E212",
                    f"`{name}` is a {parameter.type} but lists nothing under `allowed`",
                    document.span("spec", "parameters", name),
                    why="a choice is one of a fixed list",
                    fix="add `allowed: [..]`",
                )
            )
        if parameter.window and parameter.window not in parameters:
            findings.append(
                Diagnostic(
                    "E204",
                    f"`{name}` names the window `{parameter.window}`, which is no parameter",
                    document.span("spec", "parameters", name),
                    why="a rate such as `10/s` sets the count and its window",
                    fix=f"declare `{parameter.window}` as a duration, or name another",
                )
            )


def _misused(
    document: Document, parameters: Mapping[str, Parameter], checks: Sequence[Check]
) -> list[Diagnostic]:
    """Parameters that a field is computed with, and cannot be: of another type, or other choices."""
    fields = {
        used: node.name
        for check in checks
        for node in (*walk(check.measure), *walk(check.limit))
        if isinstance(node, ir.Field)
        for used in FIELDS[node.name].uses
    }
    findings = []
    for name, read_by in fields.items():
        given, wanted = parameters[name], USED[name]
        other = [each for each in given.allowed if wanted.allowed and each not in wanted.allowed]
        if given.type in wanted.types and not other:
            continue
        choices = f" of {', '.join(wanted.allowed)}" if wanted.allowed else ""
        said = f"allows `{other[0]}`" if given.type in wanted.types else f"is of type {given.type}"
        findings.append(
            Diagnostic(
                "E207",
                f"`{read_by}` cannot be computed with `{name}`, which {said}",
                document.span("spec", "parameters", name),
                why="the field is computed with the gate's own value of this parameter",
                fix=f"declare `{name}` as {wanted.types[0]}{choices}",
            )
        )
    return findings


def _read_check(
    document: Document,
    index: int,
    given: Mapping[str, Any],
    parameters: Mapping[str, Parameter],
    units: Mapping[str, Any],
    findings: list[Diagnostic],
) -> Check | None:
    at = ("spec", "checks", index)
    sides: dict[str, ir.Node] = {}
    for side in ("measure", "limit"):
        text = str(given[side])
        node, found = parse_expression(text, units, span=document.span(*at, side))
        findings.extend(found)
        if node is not None and not node.unit.numeric:
            findings.append(
                Diagnostic(
                    "E203",
                    f"the {side} is {node.unit}; a gate compares numbers",
                    document.span(*at, side),
                    why="a gate passes where its measure is at most its limit",
                    fix="use `1 if condition else 0`",
                )
            )
        elif node is not None:
            sides[side] = node
    unknown = [name for name in given.get("when") or () if name not in parameters]
    findings.extend(
        Diagnostic(
            "E204",
            f"`when` names `{name}`, which is no parameter",
            document.span(*at, "when"),
            why="a check binds when the parameters in `when` are given",
            fix="name declared parameters",
        )
        for name in unknown
    )
    if len(sides) < 2 or unknown:
        return None
    try:
        add_units(sides["measure"].unit, sides["limit"].unit, "compare")
    except UnitMismatchError as mismatch:
        findings.append(
            Diagnostic(
                "E203",
                str(mismatch),
                document.span(*at, "limit"),
                why=f"the measure is {sides['measure'].unit}, the limit {sides['limit'].unit}",
                fix="give both sides one unit",
            )
        )
        return None
    if "when" in given:
        when = tuple(given["when"])
    else:
        when = tuple(
            dict.fromkeys(
                node.name
                for node in (*walk(sides["limit"]), *walk(sides["measure"]))
                if isinstance(node, ir.Param) and parameters[node.name].limit
            )
        )
    return Check(
        name=given.get("name") or f"check-{index + 1}",
        when=when,
        measure=sides["measure"],
        limit=sides["limit"],
        compare=given.get("compare", "<="),
        measure_text=str(given["measure"]).strip(),
        limit_text=str(given["limit"]).strip(),
        explain=str(given.get("explain") or "").strip(),
    )


def _of_the_order(check: Check) -> list[str]:
    """Fields that a measure looks at beside a book as it is."""
    fields = (node.name for node in walk(check.measure) if isinstance(node, ir.Field))
    return [name for name in fields if not name.startswith("book.") or "_after" in name]


def _cannot_halt(document: Document, index: int, looked_at: str) -> Diagnostic:
    return Diagnostic(
        "E208",
        f"`on_breach: halt` needs a measure of the book as it is (`{looked_at}` depends on the order)",
        document.span("spec", "checks", index, "measure"),
        why="one order that is too large would halt the book for all others",
        fix="use `on_breach: reject`",
    )


def _cannot_reduce(document: Document, index: int, check: Check) -> Diagnostic:
    moving = [
        node.name
        for node in (*walk(check.measure), *walk(check.limit))
        if isinstance(node, ir.Field) and FIELDS[node.name].rises
    ]
    named = f" (`{moving[0]}` is the part that moves)" if moving else ""
    return Diagnostic(
        "E208",
        f"`on_breach: reduce` needs a measure that only rises with the order's size{named}",
        document.span("spec", "checks", index, "measure"),
        why="otherwise a smaller order could fail where a larger one passes",
        fix="use `on_breach: reject`, or a measure that rises with the size",
    )
