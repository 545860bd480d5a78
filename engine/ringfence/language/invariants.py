"""Invariants: what must hold for every order that a policy set approves or reduces, read and checked.

A claim is an expression of the language, over the fields as gates see them, at the size that is approved.
What is said of decisions themselves, and is no expression, has a name in `STANDARDS`.
"""

import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ringfence.errors import Diagnostic, Span
from ringfence.language import ir
from ringfence.language.canonical import expression_text
from ringfence.language.fields import USED
from ringfence.language.gates import canonical_value
from ringfence.language.instruments import convert
from ringfence.language.linking import LinkedSet
from ringfence.language.parameters import (
    CURRENCY,
    DURATIONS,
    NUMBER,
    Money,
    Parameter,
    ParameterSet,
    Value,
)
from ringfence.language.parser import parse_expression
from ringfence.language.scopes import Scope
from ringfence.language.source import Document, Key
from ringfence.language.units import DURATION, Unit
from ringfence.language.units import NUMBER as BARE

__all__ = ["EXPOSURE_RULE", "STANDARDS", "Invariant", "read_invariant", "read_invariants"]

STANDARDS: Mapping[str, str] = {
    "known-inputs": "no order is approved while an input of an enforced gate is unknown",
    "closing-orders-pass": "a risk-reducing order is blocked only by gates that apply to all orders",
    "limits-hold": "what is approved or reduced breaches no enforced gate",
    "size-never-grows": "the size approved never exceeds the size asked",
    "exposure-within-limits": "after approval the gross exposure of no book exceeds its limit",
    "as-strict-as-base": "what is approved or reduced was so before, at no smaller size",
}
"""Claims about decisions, by name: what each says."""

EXPOSURE_RULE = "total-exposure"
"""The rule whose limits `exposure-within-limits` speaks of."""


@dataclass(frozen=True, slots=True, eq=False)
class Invariant:
    """A claim about every order in scope that is approved or reduced; unknown counts as broken.

    Either `claim` or `standard` is given. `values` are typed as a gate's limits are; `choices` holds, for
    each that is one of a list, that list. `shipped` says that it came with this version.
    """

    name: str
    version: str
    owner: str
    description: str
    claim: ir.Node | None
    standard: str
    assume: tuple[ir.Node, ...]
    scope: Scope
    level: str
    values: Mapping[str, Value]
    choices: Mapping[str, tuple[str, ...]]
    document: Document = field(repr=False)
    shipped: bool = False

    @property
    def span(self) -> Span:
        """Where the claim stands."""
        return self.document.span("spec", "claim" if self.claim is not None else "standard")

    @property
    def says(self) -> str:
        """The claim as it is written, or what its standard says."""
        if self.claim is None:
            return STANDARDS[self.standard]
        return str(self.document.data["spec"]["claim"]).strip()

    def plain(self, linked: LinkedSet) -> dict[str, Any]:
        """Its values as fields are computed with them; money in the currency of the policy set."""
        return {name: _converted(value, linked) for name, value in self.values.items()}

    def numeric(self, plain: Mapping[str, Any]) -> dict[str, float]:
        """Its plain values as an expression reads them: a choice is its place in the list."""
        return {
            name: (
                float(self.choices[name].index(value))
                if name in self.choices
                else float(value) if isinstance(value, int | float) else math.nan
            )
            for name, value in plain.items()
        }

    def canonical(self) -> dict[str, Any]:
        """What it means: a proof of it holds for every text of the same meaning."""
        return {
            "claim": None if self.claim is None else expression_text(self.claim),
            "standard": self.standard,
            "assume": [expression_text(each) for each in self.assume],
            "scope": self.scope.canonical(),
            "level": self.level,
            "values": {name: canonical_value(each) for name, each in sorted(self.values.items())},
        }

    @property
    def sha256(self) -> str:
        """SHA-256 of its meaning, in hex."""
        text = json.dumps(self.canonical(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def read_invariants(
    documents: Iterable[Document], *, shipped: bool = False
) -> tuple[list[Invariant], list[Diagnostic]]:
    """Read every `kind: Invariant` among documents that fit their schema.

    Returns:
        Those that can be used, and the findings about the others (`E201` to `E213`, `E532` to `E535`).
    """
    found: dict[str, Invariant] = {}
    findings: list[Diagnostic] = []
    for document in documents:
        if document.data["kind"] != "Invariant":
            continue
        invariant, faults = read_invariant(document, shipped=shipped)
        findings.extend(faults)
        if invariant is None:
            continue
        if invariant.name in found:
            first = found[invariant.name].document.span("metadata", "name")
            findings.append(
                Diagnostic(
                    "E535",
                    f"two invariants are called `{invariant.name}`",
                    document.span("metadata", "name"),
                    why=f"the other one stands at {first}; a proof names the one that it is of",
                    fix="rename one of them",
                    related=(first,),
                )
            )
        found.setdefault(invariant.name, invariant)
    return list(found.values()), findings


def read_invariant(
    document: Document, *, shipped: bool = False
) -> tuple[Invariant | None, list[Diagnostic]]:
    """Read a `kind: Invariant` document that fits its schema; None where anything is found."""
    metadata, spec = document.data["metadata"], document.data["spec"]
    findings: list[Diagnostic] = []
    values, parameters = _values(document, spec.get("parameters") or {}, findings)
    if findings:
        # Claims would only be found to name what is not there.
        return None, findings
    units = {name: each for name, each in parameters.items() if not isinstance(each, Parameter)}
    units |= {name: each.unit for name, each in parameters.items() if isinstance(each, Parameter)}
    # Without a window the present price counts alone, and no orders can be counted: it may be left out.
    units.setdefault("window", DURATION)
    standard = str(spec.get("standard") or "")
    claim = None
    if ("claim" in spec) == bool(standard):
        findings.append(_one_claim(document, both=bool(standard)))
    elif not standard:
        claim = _condition(document, ("spec", "claim"), spec["claim"], units, findings)
    assume = [
        _condition(document, ("spec", "assume", index), text, units, findings)
        for index, text in enumerate(spec.get("assume") or ())
    ]
    if findings:
        return None, findings
    invariant = Invariant(
        name=str(metadata["name"]),
        version=str(metadata["version"]),
        owner=str(metadata.get("owner") or ""),
        description=str(metadata["description"]).strip(),
        claim=claim,
        standard=standard,
        assume=tuple(each for each in assume if each is not None),
        scope=Scope.read(spec.get("scope")),
        level=str(spec.get("level") or "account"),
        values=values,
        choices={
            name: each.allowed
            for name, each in parameters.items()
            if isinstance(each, Parameter) and each.type == "choice"
        },
        document=document,
        shipped=shipped,
    )
    return invariant, []


def _converted(value: Value, linked: LinkedSet) -> Any:
    if isinstance(value, Money):
        rate = convert(linked.desk.fx, value.currency, linked.currency)
        return math.nan if rate is None else value.amount * rate
    return value


def _one_claim(document: Document, *, both: bool) -> Diagnostic:
    return Diagnostic(
        "E532",
        "the invariant has two claims" if both else "the invariant claims nothing",
        document.span("spec", "standard") if both else document.key_span("spec"),
        why="a proof is of one claim: an expression, or one of the standard ones by its name",
        fix=(
            "take `claim` or `standard` out"
            if both
            else "add `claim: order.notional <= params.max`"
        ),
    )


def _condition(
    document: Document,
    at: tuple[Key, ...],
    text: Any,
    units: Mapping[str, Unit],
    findings: list[Diagnostic],
) -> ir.Node | None:
    node, found = parse_expression(str(text), units, span=document.span(*at))
    findings.extend(found)
    if node is not None and node.unit.kind != "boolean":
        findings.append(
            Diagnostic(
                "E533",
                f"`{str(text).strip()[:60]}` is {node.unit}, and neither true nor false",
                document.span(*at),
                why="a claim holds or does not",
                fix="compare it with something: `order.notional <= params.max`",
            )
        )
    return node


_TEXTS = {
    "money": rf"{NUMBER}\s*{CURRENCY}",
    "ratio": rf"{NUMBER}\s*(?:%|bps|bp)",
    "multiple": rf"{NUMBER}\s*x",
    "duration": rf"{NUMBER}\s*(?:{'|'.join(DURATIONS)})",
}
"""How a value's own unit is seen, by type."""


def _values(
    document: Document, given: Mapping[str, Any], findings: list[Diagnostic]
) -> tuple[dict[str, Value], dict[str, Parameter | Unit]]:
    """Each value, typed, and what it is: a parameter as a rule declares it, or a bare number."""
    values: dict[str, Value] = {}
    kinds: dict[str, Parameter | Unit] = {}
    for name, value in given.items():
        at = ("spec", "parameters", name)
        kind = _kind_of(name, value)
        if kind is None:
            findings.append(
                _unfit(document, at, f"`{value}` has no unit that is known", "the value")
            )
            continue
        kinds[name] = kind
        if not isinstance(kind, Parameter):
            values[name] = float(value)
            continue
        inner = next(iter(value.values())) if isinstance(value, dict) else value
        typed, wrong = ParameterSet({name: kind}, {}).read({name: inner})
        if name in wrong:
            findings.append(_unfit(document, at, wrong[name], f"`{name}`"))
        else:
            values[name] = typed[name]
    return values, kinds


def _kind_of(name: str, value: Any) -> Parameter | Unit | None:
    if name in USED:
        used = USED[name]
        return Parameter(name, used.types[0], allowed=used.allowed)
    if isinstance(value, dict):
        return Parameter(name, str(next(iter(value))))
    if isinstance(value, str):
        for kind, pattern in _TEXTS.items():
            if re.fullmatch(pattern, value.strip()):
                return Parameter(name, kind)
        return None
    return BARE if isinstance(value, int | float) else None


def _unfit(document: Document, at: tuple[Key, ...], message: str, what: str) -> Diagnostic:
    text, _, fix = message.partition(": write ")
    return Diagnostic(
        "E534",
        f"`{at[-1]}`: {text}",
        document.span(*at),
        why=f"{what} is held against fields, so its unit must be known",
        fix=(
            f"write {fix}"
            if fix
            else "write `200_000 USDT`, `5%`, `10s`, `3x`, "
            "`{quantity: 2.5}`, `{price: 60000}`, or a number without a unit"
        ),
    )
