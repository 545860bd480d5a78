"""Explanations: what a gate looked at, and its arithmetic written out, step by step, with numbers and units."""

from ringfence.backends.explain.asked import AskedBook, AskedGate, AskedHolding, Question
from ringfence.backends.explain.explained import (
    ExplainedCheck,
    ExplainedField,
    ExplainedGate,
    ExplainedInput,
    ExplainedLimit,
    ExplainedOverride,
    Part,
    Side,
)
from ringfence.backends.explain.fields import why_missing
from ringfence.backends.explain.gates import explain_gate

__all__ = [
    "AskedBook",
    "AskedGate",
    "AskedHolding",
    "ExplainedCheck",
    "ExplainedField",
    "ExplainedGate",
    "ExplainedInput",
    "ExplainedLimit",
    "ExplainedOverride",
    "Part",
    "Question",
    "Side",
    "explain_gate",
    "why_missing",
]
