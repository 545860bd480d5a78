"""Hypothesis strategies for the whole language: expressions, rules, policy sets and cases.

One generator builds everything from a `Chooser`: a seeded one gives pools that are the same in every
run (a compiled kernel can then serve many examples), a drawing one lets hypothesis choose and shrink.
"""

from strategies.cases import cases
from strategies.choosing import Chooser, Drawn, Seeded
from strategies.expressions import Expression, expressions
from strategies.policies import policy_sets
from strategies.rules import document_of, own_rule, read_pool, rule_pools

__all__ = [
    "Chooser",
    "Drawn",
    "Expression",
    "Seeded",
    "cases",
    "document_of",
    "expressions",
    "own_rule",
    "policy_sets",
    "read_pool",
    "rule_pools",
]
