"""What must be impossible for one policy set never to give an order more than another, in one cell.

Head never gives more than base, if for every book and every order of `ASKED` lots:

1. a size at which all of head's gates pass is one at which all of base's pass;
2. where head reduces from `ASKED` to `GIVEN`, nothing in base rules out a reduction at `ASKED`: its gates
   that reject pass there, the others can be judged;
3. base's gates that reject, which pass at `GIVEN` and `ASKED`, pass at any size `MORE` between them, to
   which base would reduce.

For then base approves what head approves (1). Where head reduces to `GIVEN`, base's gates that reduce pass
at `GIVEN` (1) and so leave that much or more; base reduces to it or to some `MORE` (2), which is not too
small if `GIVEN` is not, and at which its other gates pass (3).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ringfence.backends.smt import (
    BoundGate,
    Expr,
    GateSet,
    Inputs,
    Size,
    both,
    opposite,
)

__all__ = ["Claim", "Side", "examples", "gaps", "in_context", "on_their_own"]

Claim = Callable[[Inputs], Expr]


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """One policy set in a cell: its gates, and those of them that the other set has not."""

    gates: GateSet
    changed: tuple[BoundGate, ...]

    @property
    def differing(self) -> tuple[BoundGate, ...]:
        """The changed gates that can block."""
        return tuple(each for each in self.changed if each.enforced)

    @property
    def can_reduce(self) -> bool:
        """Whether some order may be reduced."""
        return self.gates.covered and any(each.reduces for each in self.gates.enforced)


def on_their_own(head: Side, base: Side) -> Iterator[Claim]:
    """The first two claims about changed gates alone; if no state does them, none does with the others."""
    ours, theirs = head.differing, base.differing
    if not head.gates.covered:
        return
    if not base.gates.covered:
        yield lambda inputs: _all(ours, inputs, Size.ASKED)
        return
    yield lambda inputs: both(
        _all(ours, inputs, Size.ASKED), opposite(_all(theirs, inputs, Size.ASKED))
    )
    if not head.can_reduce:
        return
    yield lambda inputs: both(
        _all(ours, inputs, Size.GIVEN),
        _open(ours, inputs),
        opposite(inputs.too_small(Size.GIVEN)),
        opposite(_open(theirs, inputs)),
    )


def gaps(head: Side, base: Side) -> Iterator[tuple[BoundGate, Claim]]:
    """The third claim about each gate alone that it may hold of: it passes at two sizes, and not between."""
    if head.can_reduce and base.can_reduce:
        for gate in base.gates.enforced:
            if not gate.reduces and not _falls_away(gate):
                yield gate, _gap(gate)


def in_context(head: Side, base: Side) -> Iterator[Claim]:
    """The three claims, with all that head's other gates rule out."""
    if not head.gates.covered:
        return
    if not base.gates.covered:
        yield lambda inputs: head.gates.approves(inputs)
        yield lambda inputs: head.gates.reduces(inputs)
        return
    yield lambda inputs: both(
        head.gates.approves(inputs), opposite(_all(base.differing, inputs, Size.ASKED))
    )
    if not head.can_reduce:
        return
    reduced = _reduced(head)
    yield lambda inputs: both(reduced(inputs), opposite(_open(base.differing, inputs)))
    yield lambda inputs: both(reduced(inputs), opposite(_all(base.differing, inputs, Size.GIVEN)))
    if not base.can_reduce:
        return
    rejecting = [each for each in base.gates.enforced if not each.reduces]
    yield lambda inputs: both(
        reduced(inputs),
        base.gates.all_pass(inputs, Size.GIVEN),
        base.gates.leaves_open(inputs),
        base.gates.reducing_pass(inputs, Size.MORE),
        opposite(_all(rejecting, inputs, Size.MORE)),
    )


def examples(head: Side, base: Side) -> Iterator[Claim]:
    """What an order does that head gives more than base, for the search."""
    if not head.gates.covered:
        return
    yield lambda inputs: both(head.gates.approves(inputs), opposite(base.gates.approves(inputs)))
    if head.can_reduce:
        yield lambda inputs: both(
            head.gates.reduces(inputs),
            opposite(
                both(base.gates.leaves_open(inputs), base.gates.reducing_pass(inputs, Size.GIVEN))
            ),
        )


def _all(gates: Sequence[BoundGate], inputs: Inputs, size: Size) -> Expr:
    return both(*(each.passes(inputs, size) for each in gates))


def _open(gates: Sequence[BoundGate], inputs: Inputs) -> Expr:
    """Nothing at the size asked rules out a smaller one."""
    return both(
        *(
            each.judges(inputs, Size.ASKED) if each.reduces else each.passes(inputs, Size.ASKED)
            for each in gates
        )
    )


def _reduced(head: Side) -> Claim:
    return lambda inputs: both(
        head.gates.leaves_open(inputs),
        opposite(head.gates.reducing_pass(inputs, Size.ASKED)),
        head.gates.all_pass(inputs, Size.GIVEN),
        opposite(inputs.too_small(Size.GIVEN)),
    )


def _gap(gate: BoundGate) -> Claim:
    """The gate passes at a size and at a larger one, and not between them."""
    return lambda inputs: both(
        gate.passes(inputs, Size.GIVEN),
        gate.passes(inputs, Size.ASKED),
        opposite(inputs.too_small(Size.GIVEN)),
        opposite(gate.passes(inputs, Size.MORE)),
    )


def _falls_away(gate: BoundGate) -> bool:
    """Every check only gets harder as the order grows, as the language can see: no gap then."""
    return gate.gate.rule.can_reduce
