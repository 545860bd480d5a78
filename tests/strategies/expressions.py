"""Well-typed expressions of every unit, over all input fields, parameters and nodes."""

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from hypothesis import strategies as st

from ringfence.language import ir
from ringfence.language.fields import FIELDS, ORDER_TYPES
from ringfence.language.parameters import Parameter
from ringfence.language.parser import parse_expression
from strategies.choosing import Chooser, Drawn

__all__ = ["DECLARED", "KINDS", "Builder", "Expression", "expressions", "parse", "used_parameters"]

KINDS = ("money", "quantity", "price", "ratio", "count", "duration", "state")
_SCALARS = ("ratio", "count", "number")
_NOT_CONSTANT = ("order.risk_reducing", "order.full_close", "order.on_lot_step")

# Every parameter that a generated rule may declare. Some have no default: a policy may leave them out.
DECLARED: dict[str, dict[str, Any]] = {
    "working": {
        "type": "choice",
        "allowed": ["worst-case", "gross"],
        "default": "worst-case",
    },
    "basis": {"type": "choice", "allowed": ["equity", "balance", "max"], "default": "equity"},
    "reference": {"type": "choice", "allowed": ["mid", "last", "mark"], "default": "mid"},
    "window": {"type": "duration"},
    "counts": {"type": "choice", "allowed": ["messages", "orders"], "default": "messages"},
    "threshold": {"type": "ratio", "default": 0.7},
    "min_observations": {"type": "count", "default": 30},
    "required": {
        "type": "choices",
        "allowed": ["bid", "ask", "last", "mark"],
        "default": ["bid", "ask"],
    },
    "allow": {"type": "globs", "default": ["*"]},
    "deny": {"type": "globs", "default": []},
    "max_money": {"type": "money", "limit": True},
    "floor": {"type": "money", "default": "100 USD"},
    "max_ratio": {"type": "ratio", "limit": True},
    "share": {"type": "ratio", "default": "50%"},
    "times": {"type": "multiple", "default": "2x"},
    "max_count": {"type": "count", "limit": True, "window": "window"},
    "max_size": {"type": "quantity", "limit": True},
    "max_price": {"type": "price", "limit": True},
    "least_price": {"type": "price", "default": 10},
    "max_age": {"type": "duration", "default": "5s"},
    "patience": {"type": "duration", "limit": True},
    "mood": {"type": "choice", "allowed": ["calm", "wild"]},
    "euros": {"type": "money", "currency": "EUR", "default": "1_000 EUR"},
    "more_euros": {"type": "money", "currency": "EUR"},
}


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression as text, and what the parser made of it."""

    text: str
    node: ir.Node
    parameters: tuple[str, ...]


@cache
def _unit_of(name: str) -> Any:
    given = DECLARED[name]
    return Parameter(
        name,
        given["type"],
        allowed=tuple(given.get("allowed") or ()),
        currency=given.get("currency") or "",
    ).unit


@cache
def _fields(kind: str, *, constant: bool = False, positive: bool = False) -> tuple[str, ...]:
    return tuple(
        name
        for name, each in FIELDS.items()
        if each.unit.kind == kind
        and not (constant and (each.rises or name in _NOT_CONSTANT))
        and (each.nonnegative or not positive)
    )


@cache
def _rising(kind: str) -> tuple[str, ...]:
    return tuple(name for name in _fields(kind) if FIELDS[name].rises)


@cache
def _params(kind: str) -> tuple[str, ...]:
    return tuple(
        f"params.{name}"
        for name in DECLARED
        if _unit_of(name).kind == kind and not DECLARED[name].get("currency")
    )


_NUMBERS = ("1", "0", "0.5", "2", "3", "0.1", "10", "1000", "1e-9", "1e15", "7.25")
# A ratio beside a number above one is refused: 3 could mean 3 %.
_SMALL = ("0.5", "1", "0", "0.05", "0.1", "1e-9")


class Builder:
    """Builds expressions; `depth` bounds how far they are nested."""

    def __init__(self, chooser: Chooser) -> None:
        self._choose = chooser

    def number(self, kind: str, depth: int) -> str:
        """Any expression of a numeric kind."""
        choose = self._choose
        if depth <= 0 or choose.chance(20):
            return self._leaf(kind)
        below = depth - 1
        shape = choose.pick(
            ("sum", "scale", "extreme", "conditional", "quotient", "absolute", "negate", "product")
        )
        one = self.number(kind, below)
        match shape:
            case "sum":
                return f"({one} {choose.pick('+-')} {self.number(kind, below)})"
            case "scale":
                factor = self.number(choose.pick(self._scales(kind)), below)
                if choose.chance(30) and kind not in _SCALARS:
                    return f"({factor} * {one})"
                return f"({one} {choose.pick('*/')} {factor})"
            case "extreme":
                more = [self.number(kind, below) for _ in range(choose.whole(1, 2))]
                return f"{choose.pick(('min', 'max'))}({', '.join([one, *more])})"
            case "conditional":
                return f"({one} if {self.condition(below)} else {self.number(kind, below)})"
            case "absolute":
                return f"abs({one})"
            case "negate":
                return f"(-{one})"
        return self._composed(kind, below) or one

    def _scales(self, kind: str) -> tuple[str, ...]:
        if kind == "ratio":
            # Times a count, what is a bare number in truth would be a count.
            return ("number", "ratio")
        return ("number",) if kind in ("count", "number", "state") else ("number", "ratio")

    def _composed(self, kind: str, below: int) -> str:
        """A product or quotient of other kinds that makes this one."""
        pairs = {
            "money": (("price", "*", "quantity"), ("quantity", "*", "price")),
            "quantity": (("money", "/", "price"),),
            "price": (("money", "/", "quantity"),),
            "ratio": tuple((each, "/", each) for each in ("money", "price", "duration", "count")),
        }.get(kind)
        if pairs is None:
            return ""
        if kind == "ratio" and self._choose.chance(10):
            return "(params.euros / params.more_euros)"
        left, op, right = self._choose.pick(pairs)
        if right == "count":
            # Over a bare number a count would stay a count.
            return f"({self.number(left, below)} / {self._choose.pick(_fields('count'))})"
        return f"({self.number(left, below)} {op} {self.number(right, below)})"

    def _leaf(self, kind: str, *, constant: bool = False, positive: bool = False) -> str:
        choose = self._choose
        if kind == "number":
            return choose.pick(_NUMBERS)
        fields = _fields(kind, constant=constant, positive=positive)
        among = [choose.pick(fields)] if fields else []
        among += [choose.pick(params) for params in (_params(kind),) if params]
        if kind in ("ratio", "count", "state"):
            among.append(choose.pick(_SMALL if kind == "ratio" else _NUMBERS))
        return choose.pick(among)

    def condition(self, depth: int, *, constant: bool = False) -> str:
        """Any boolean; `constant` ones do not move with the order's size."""
        choose = self._choose
        if depth <= 0 or choose.chance(25):
            return choose.pick((*_fields("boolean", constant=constant), "True", "False"))
        below = depth - 1
        match choose.pick(("compare", "choice", "and", "or", "not", "between", "equal")):
            case "compare":
                kind = choose.pick(KINDS)
                left, right = self._side(kind, below, constant), self._side(kind, below, constant)
                return f"({left} {choose.pick(('<=', '<', '>=', '>', '==', '!='))} {right})"
            case "between":
                kind = choose.pick(("money", "price", "count", "duration"))
                parts = [self._side(kind, below, constant) for _ in range(3)]
                return f"({parts[0]} <= {parts[1]} < {parts[2]})"
            case "choice":
                return self._choice()
            case "not":
                return f"(not {self.condition(below, constant=constant)})"
            case "equal":
                one, other = (self.condition(below, constant=constant) for _ in range(2))
                return f"({one} {choose.pick(('==', '!='))} {other})"
            case word:
                parts = [
                    self.condition(below, constant=constant) for _ in range(choose.whole(2, 3))
                ]
                return f"({f' {word} '.join(parts)})"

    def _side(self, kind: str, depth: int, constant: bool) -> str:
        return self.constant(kind, depth) if constant else self.number(kind, depth)

    def _choice(self) -> str:
        choose = self._choose
        name, words = choose.pick(
            (
                ("order.type", ORDER_TYPES),
                ("params.mood", ("calm", "wild")),
                ("params.working", ("worst-case", "gross")),
            )
        )
        op, word = choose.pick(("==", "!=")), f'"{choose.pick(words)}"'
        return f"({name} {op} {word})" if choose.chance(80) else f"({word} {op} {name})"

    def constant(self, kind: str, depth: int, *, positive: bool = False) -> str:
        """An expression that does not move with the order's size; `positive`: never below zero."""
        choose = self._choose
        if depth <= 0 or choose.chance(50):
            return self._leaf(kind, constant=True, positive=positive)
        below = depth - 1
        one = self.constant(kind, below, positive=positive)
        other = self.constant(kind, below, positive=positive)
        match choose.pick(("sum", "scale", "extreme", "conditional")):
            case "sum":
                return f"({one} + {other})"
            case "scale":
                return f"({one} * {self.constant('number', 0)})"
            case "extreme":
                return f"{choose.pick(('min', 'max'))}({one}, {other})"
        return f"({one} if {self.condition(below, constant=True)} else {other})"

    def rising(self, kind: str, depth: int) -> str:
        """An expression that never falls as the order grows, and is never below zero."""
        choose = self._choose
        if kind == "ratio":
            return f"({self.rising('money', depth)} / {self._leaf('money', constant=True, positive=True)})"
        if kind == "price":
            return f"({self.rising('money', depth)} / instrument.lot_step)"
        fields = _rising(kind)
        if not fields:
            return self.constant(kind, depth, positive=True)
        if depth <= 0 or choose.chance(30):
            return choose.pick(fields)
        below = depth - 1
        one = self.rising(kind, below)
        match choose.pick(("sum", "scale", "max", "min", "conditional", "absolute", "worth")):
            case "sum":
                return f"({one} + {self.rising(kind, below)})"
            case "scale":
                factor = choose.pick(("params.times", "2", "0.5", "params.share"))
                factor = factor if kind != "count" else "2"
                return f"({one} {choose.pick('*/')} {factor})"
            case "max" | "min" as word:
                return f"{word}({one}, {self.constant(kind, below, positive=True)})"
            case "conditional":
                test = self.condition(below, constant=True)
                return f"({one} if {test} else {self.rising(kind, below)})"
            case "absolute":
                return f"abs({one})"
        return "(order.size * market.mark)" if kind == "money" else one


def used_parameters(*texts: str) -> tuple[str, ...]:
    """Parameters that the texts name, and those that the fields in them are computed with."""
    found: dict[str, None] = {}
    for text in texts:
        for name in re.findall(r"params\.([a-z_]+)", text):
            found[name] = None
        for name in re.findall(r"\b(?:order|book|market|instrument|control)\.[a-z_]+", text):
            found |= dict.fromkeys(FIELDS[name].uses)
    for name in tuple(found):
        if window := DECLARED[name].get("window"):
            found[window] = None
    return tuple(name for name in DECLARED if name in found)


def parse(text: str) -> Expression:
    """Parse what was built; a finding is a fault of the generator or of the parser."""
    names = used_parameters(text)
    node, findings = parse_expression(text, {name: _unit_of(name) for name in names})
    assert node is not None, (text, [each.message for each in findings])
    return Expression(text, node, names)


@st.composite
def expressions(draw: Any, kind: str | None = None, depth: int = 4) -> Expression:
    """A well-typed expression of a numeric kind (any where None), or `boolean`."""
    chooser = Drawn(draw)
    builder = Builder(chooser)
    wanted = kind or chooser.pick((*KINDS, "boolean"))
    text = builder.condition(depth) if wanted == "boolean" else builder.number(wanted, depth)
    # Shrinks towards short texts, and keeps below the parser's bound on length.
    while len(text) > 1_500:
        depth -= 1
        text = builder.condition(depth) if wanted == "boolean" else builder.number(wanted, depth)
    return parse(text)
