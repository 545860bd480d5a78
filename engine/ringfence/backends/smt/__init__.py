"""Formulas for z3: what every order and book obeys, and concrete ones that do what a formula asks."""

from ringfence.backends.smt.gates import BoundGate, GateSet, bound_gates
from ringfence.backends.smt.inputs import Inputs, Reading, Size
from ringfence.backends.smt.search import Answer, Found, Proved, Question, Unsure, search
from ringfence.backends.smt.setting import Setting
from ringfence.backends.smt.terms import Expr, Term, both, either, opposite

__all__ = [
    "Answer",
    "BoundGate",
    "Expr",
    "Found",
    "GateSet",
    "Inputs",
    "Proved",
    "Question",
    "Reading",
    "Setting",
    "Size",
    "Term",
    "Unsure",
    "both",
    "bound_gates",
    "either",
    "opposite",
    "search",
]
