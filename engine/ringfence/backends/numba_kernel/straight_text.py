"""The text of the straight way through a policy set's gates: what most orders need, and no more.

A list of gates is written out gate after gate, with everything that does not change from order to order
known beforehand: which rules, at which levels, with which checks. An order that some gate may reduce takes
the general way (`module_text`); so does everything else that is rare. Both give the same answers.
"""

from collections.abc import Sequence
from typing import NamedTuple

from ringfence.backends.numba_kernel.module_text import BOOK, HEAD, ORDER, PROLOGUE, gate_text
from ringfence.backends.numba_kernel.slots import Slot

__all__ = ["Step", "straight_text"]


class Step(NamedTuple):
    """A gate of a list, as far as it is the same for every order and every limit.

    Attributes:
        slot: Place among the slots.
        level: 0 firm, 1 account, 2 strategy.
        enforces, reduces, exempts: Whether a breach counts; may reduce; spares reducing orders.
        windows: Whether overrides may change the limits in time.
        bits: Which checks bind, None where overrides change that.
    """

    slot: int
    level: int
    enforces: bool
    reduces: bool
    exempts: bool
    windows: bool
    bits: int | None


_IMPORTS = """
from ringfence.backends.numba_kernel.jit_entry import call_decide
"""

_RULED = "P, R, i, start, max_age, " + ORDER.replace("B, P, ", "B, ")

_LEVEL = """
    b{n} = {book}
    has{n} = B.book_n[b{n}, EXISTS] != 0
    stale{n} = not has{n} or is_stale(B, b{n}, now, max_age)
    q{n} = B.pos[b{n}, s, Q]
    closing{n} = closing_lots(B, b{n}, s, side)
    red{n} = 0.0 < x <= closing{n}
    pos{n} = position_after(B, b{n}, s, side, x, value, False)
"""

_STEP = """
    e = start + {place}
    row = natural(np.int64(P.entry[e, ROW]))
    g = natural(np.int64(P.entry[e, COLUMN]))
{windows}    out, measure, limit, chk = 4, NAN, NAN, -1
    if not ({exempts} and red{n}):
        out, measure, limit, chk = {gate}(row, x, {order}, {book}, pos{n}, red{n})
{reduces}    R.outcome[g, i] = out
    R.measure[g, i] = measure
    R.limit[g, i] = limit
    if {enforces} and block < 0 and (out == 3 or out == 5):
        block = e
"""

_REST = """
    if refusal == 0 and detail == 0:
        straight = P.lists[which, STRAIGHT]
        block = np.int64(-2)
{ways}
        if block == -1:
            R.decision[i] = 0
            R.code[i] = -1
            return lots
        if block >= 0:
            R.code[i] = REFUSAL_COUNT + P.entry[block, SLOT]
            R.gate[i] = P.entry[block, COLUMN]
            return 0.0
    return call_decide(P.general[0], books, bindings, results, details, detail, i, now, account_code,
                       strategy_code, venue, s, side, kind, lots, asked_refusal, price, value, reduce_only)
"""


def straight_text(slots: Sequence[Slot], ways: Sequence[Sequence[Step]]) -> str:
    """The module's text: one straight way for each sequence of gates."""
    parts = [HEAD, _IMPORTS]
    for slot, bits in dict.fromkeys((step.slot, step.bits) for way in ways for step in way):
        parts.append(gate_text(_gate_name(slot, bits), slots[slot], bits))
    parts += [_way(number, way) for number, way in enumerate(ways)]
    prologue = PROLOGUE.replace("    sym = B.sym\n", "    sym, asked_refusal = B.sym, refusal\n", 1)
    calls = []
    for number in range(len(ways)):
        word = "if" if number == 0 else "elif"
        calls += [
            f"        {word} straight == {number}:",
            f"            block = way_{number}({_RULED})",
        ]
    return "".join(parts) + prologue + _REST.format(ways="\n".join(calls)).lstrip("\n")


def _gate_name(slot: int, bits: int | None) -> str:
    return f"gate_{slot}_{'any' if bits is None else bits}"


def _way(number: int, way: Sequence[Step]) -> str:
    lines = [
        "\n\n@inline\n",
        f"def way_{number}({_RULED}):\n",
        '    """The entry that blocks the order; -1 where none does, -2 where a gate may reduce."""\n',
        "    x, block = lots, np.int64(-1)",
    ]
    books = ("np.int64(0)", "account", "strategy")
    for n in sorted({step.level for step in way}):
        lines.append(_LEVEL.format(n=n, book=books[n]))
    for place, step in enumerate(way):
        n = step.level
        windows = "    row = natural(row_at(P, row, P.entry[e, ROWS], now))\n"
        lines.append(
            _STEP.format(
                place=place,
                n=n,
                gate=_gate_name(step.slot, step.bits),
                order=ORDER,
                book=", ".join(f"{word}{n}" for word in BOOK.split(", ")),
                windows=windows if step.windows else "",
                reduces="    if out == 3:\n        return np.int64(-2)\n" if step.reduces else "",
                exempts=step.exempts,
                enforces=step.enforces,
            )
        )
    lines.append("    return block\n")
    return "".join(lines)
