"""The text of the clear way: for orders whose every limit plainly holds, as it does for most.

There all checks come to one question, with one answer: nothing is told apart but which check of a gate is
shown. A limit that holds only within the tolerance, one that is broken, and a number that is not known make
the answer no; then the straight way asks gate after gate (`straight_text`). Both give the same numbers.
"""

from collections.abc import Mapping, Sequence
from itertools import groupby

from ringfence.backends.numba_kernel.slots import Slot
from ringfence.backends.numba_kernel.steps import Step

__all__ = ["clear_text", "is_clear"]

# What an order adds to a book is worked out once for all gates of a level.
_FIELDS = {
    "book.exposure_after": "money_of(gross - exposure + after)",
    "book.position_after": "money_of(after)",
    "book.correlated_after": (
        "money_of(after + correlated_sound(B, b, s, side, "
        "P.moves[int(<threshold,min_observations>)]))"
    ),
}

_HEAD = '''

@inline
def clear_{number}({order}, R, i, now, which, max_age, {states}):
    """Whether every limit plainly holds; what the gates found is stored then."""
    sym = B.sym
    clear, reds = P.by_list[which, 0] == 1.0, 0
'''
_OPENING = """    clear &= B.book_n[b{n}, EXISTS] != 0
    clear &= not is_stale(B, b{n}, now, max_age)
    reds += 1 if (q{n} * side < 0.0) & (x <= abs(q{n})) else 0
"""
_LEVEL = """        {names} = {own}
        after = added(q, exposure, side, x, unit, False)
"""
_CHECK = """        m{k} = {measure}
        l{k} = {limit}
        clear &= plainly({left}{k}, {right}{k})
"""
_FURTHER = """        m = {measure}
        l = {limit}
        clear &= plainly({left}, {right})
        closer = nearer_plainly(m, l, m{k}, l{k})
        m{k} = m if closer else m{k}
        l{k} = l if closer else l{k}
"""
_STORED = """            R.outcome[{column}, i] = {outcome}
            R.measure[{column}, i] = {measure}
            R.limit[{column}, i] = {limit}
"""


def is_clear(way: Sequence[Step]) -> bool:
    """Whether the clear way knows all that this sequence of gates needs."""
    return all(not step.windows and step.bits is not None for step in way)


def clear_text(
    number: int,
    way: Sequence[Step],
    slots: Sequence[Slot],
    fields: Mapping[str, str],
    arguments: tuple[str, str],
    state: str,
) -> str:
    """The function `clear_<number>`: true where the order is approved as asked, its results stored.

    Args:
        number: Of the sequence of gates.
        way: The sequence.
        slots: What its steps are places in.
        fields: Text of the input fields that the straight way reads in another way than generally.
        arguments: Of the function: the order's, and the books'.
        state: Names of what is known of a book; each has the number of its level behind it among the arguments.
    """
    levels = sorted({step.level for step in way})
    order, states = arguments
    lines = [_HEAD.format(number=number, order=order, states=states)]
    lines += [_OPENING.format(n=n) for n in levels]
    # Reducing orders are spared most gates; where they reduce in some books alone, gates are asked one by one.
    for red, test in ((False, "if reds == 0"), (True, f"elif reds == {len(levels)}")):
        lines += [f"    {test}:\n", f"        red = {red}\n"]
        stored, offset, asked = [], 1, []
        for k, step in enumerate(way):
            slot = slots[step.slot]
            spared = red and step.exempts
            if not spared:
                asked.append((step, k, offset))
            offset += len(slot.columns)
            stored.append(
                _STORED.format(
                    column=step.column,
                    outcome=4 if spared else 1,
                    measure="NAN" if spared else f"m{k}",
                    limit="NAN" if spared else f"l{k}",
                )
            )
        for level, group in groupby(asked, key=lambda each: each[0].level):
            own = ", ".join(f"{name}{level}" for name in state.split(", "))
            lines.append(_LEVEL.format(names=state, own=own))
            for step, k, first in group:
                lines.append(_gate(k, step, slots[step.slot], fields, first))
        lines += ["        if clear:\n", *stored, "            return True\n"]
    lines.append("    return False\n")
    return "".join(lines)


def _gate(k: int, step: Step, slot: Slot, fields: Mapping[str, str], first: int) -> str:
    """The checks of the gate at place `k`, whose parameters begin at column `first` of `by_list`."""
    text = ""
    for c, check in enumerate(slot.rule.checks):
        if not (step.bits or 0) & (1 << c):
            continue
        measure, limit = slot.check_texts(
            check, {**fields, **_FIELDS}, lambda column: f"P.by_list[which, {first + column - 1}]"
        )
        left, right = ("m", "l") if check.compare == "<=" else ("l", "m")
        template = _FURTHER if text else _CHECK
        text += template.format(k=k, measure=measure, limit=limit, left=left, right=right)
    return text
