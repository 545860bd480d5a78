"""An explained gate, as values: what it looked at, how its numbers come about, and where its limits stand."""

from dataclasses import dataclass, field

from ringfence.errors import Span
from ringfence.language.decision import Outcome

__all__ = [
    "ExplainedCheck",
    "ExplainedField",
    "ExplainedGate",
    "ExplainedInput",
    "ExplainedLimit",
    "ExplainedOverride",
    "Part",
    "Side",
]


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a figure.

    Attributes:
        what: Of what.
        written: Its arithmetic.
        value: In the figure's unit, before any rounding.
    """

    what: str
    written: str
    value: float


@dataclass(frozen=True, slots=True)
class ExplainedField:
    """A field that is computed, opened up.

    Attributes:
        name: Of the table of fields.
        value, unit, text: Its value: the interpreter's.
        formula: How it is computed, as `docs/controls.md` has it.
        steps: The arithmetic in words and numbers.
        parts: What it is made of.
        is_sum: Whether it is the sum of these.
        adds_up: Whether the arithmetic shown gives the figure: `exactly` (but for a float's last bits), `rounded`
            (each part of an exposure is rounded to a millionth), `no`, or empty where there is nothing to
            compare.
        off_by: The figure less what the arithmetic gives.
    """

    name: str
    value: float
    unit: str
    text: str
    formula: str
    steps: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()
    is_sum: bool = False
    adds_up: str = ""
    off_by: float = 0.0


@dataclass(frozen=True, slots=True)
class ExplainedInput:
    """A field that a gate looked at.

    Attributes:
        name, value, unit, text: The field, and its value; NaN where missing.
        source: Where it comes from.
        meaning: What it means.
        missing: Why it is not known; empty where it is.
        opened: How it comes about; None where it is taken as it is.
    """

    name: str
    value: float
    unit: str
    text: str
    source: str
    meaning: str
    missing: str = ""
    opened: ExplainedField | None = None


@dataclass(frozen=True, slots=True)
class ExplainedLimit:
    """A parameter with the value in force, and where it stands; `span` is None for a rule's default."""

    name: str
    text: str
    value: float
    span: Span | None
    from_override: bool = False


@dataclass(frozen=True, slots=True)
class ExplainedOverride:
    """An override; the times are ns since 1970, None where the window is open."""

    ticket: str
    from_ns: int | None
    until_ns: int | None
    limits: tuple[str, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Side:
    """A measure, or a limit: its expression, its value, and each step on the way to it."""

    expression: str
    value: float
    text: str
    written: str
    steps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ExplainedCheck:
    """One comparison of a gate; `shown` where it is the one that the decision shows."""

    name: str
    compare: str
    outcome: Outcome
    measure: Side
    limit: Side
    unit: str
    margin: float
    utilisation: float
    shown: bool


@dataclass(frozen=True, slots=True)
class ExplainedGate:
    """One gate. Its outcome and the values of its checks are the interpreter's.

    Attributes:
        override: The override in force; None where the gate's own limits hold.
        others: Overrides for this order that are not in force at its time.
        exempt: Why the gate does not hold the order, where it does not.
    """

    gate: str
    rule: str
    policy: str
    level: str
    checks: tuple[ExplainedCheck, ...]
    inputs: tuple[ExplainedInput, ...]
    limits: tuple[ExplainedLimit, ...]
    override: ExplainedOverride | None = None
    others: tuple[ExplainedOverride, ...] = ()
    exempt: tuple[str, ...] = field(default=())
