"""Which limits a suggestion may move: those that let more through the higher they are."""

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from ringfence.language import ir
from ringfence.language.gates import Gate
from ringfence.language.linking import LinkedSet
from ringfence.language.rules import Check, walk
from ringfence.review.sayable import number_of

__all__ = ["movable"]

_TYPES = ("money", "ratio", "multiple", "quantity", "count")


def movable(linked: LinkedSet, glob: str) -> Iterator[tuple[Gate, str]]:
    """The limits of enforced gates that stand in a policy, and that let more through the higher they are."""
    for gate in linked.gates:
        names = (gate.name, f"{gate.level}.{gate.name}", f"{gate.policy.name}/{gate.name}")
        if gate.mode != "enforce" or not any(fnmatchcase(each, glob) for each in names):
            continue
        declared = gate.rule.parameters.parameters
        given = gate.rows[0].given
        for name in dict.fromkeys(name for check in gate.rule.checks for name in _raised_by(check)):
            value = gate.rows[0].values.get(name)
            fits = declared[name].limit and declared[name].type in _TYPES
            if fits and name in given and value is not None and number_of(value):
                yield gate, name


def _raised_by(check: Check) -> Sequence[str]:
    """Parameters that the limit is, or is a share of something by."""
    if check.compare != "<=":
        return ()
    match check.limit:
        case ir.Param(name=name):
            return (name,)
        case ir.Arithmetic(op="*"):
            found = [node.name for node in walk(check.limit) if isinstance(node, ir.Param)]
            return found if len(found) == 1 else ()
    return ()
