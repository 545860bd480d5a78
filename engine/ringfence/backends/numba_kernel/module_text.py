"""The text of the compiled module that decides an order, for any list of gates.

What belongs to the structure (which rules, and whether a gate of theirs reduces) is in the text; limits,
scopes, levels and modes are data. Equal structures give equal text, and its hash names the compiled code
on disk.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from ringfence.backends.numba_kernel.slots import Slot
from ringfence.language.rules import Check

__all__ = ["BINDING", "HEAD", "Checks", "gate_text", "module_text", "room_text"]

HEAD = '''"""Generated from the structure of a policy set."""

import numpy as np
from numba import cfunc

from ringfence.backends.numba_kernel.jit_books import *
from ringfence.backends.numba_kernel.jit_fields import *
from ringfence.backends.numba_kernel.jit_numbers import *
from ringfence.backends.numba_kernel.jit_numbers import NAN, QUANTA, inline, plain
from ringfence.backends.numba_kernel.jit_recent import *
from ringfence.backends.numba_kernel.jit_rows import *
from ringfence.backends.numba_kernel import layout as _layout
from ringfence.backends.numba_kernel.jit_layout import bindings_at, books_at, detail_at, results_at

globals().update({name: value for name, value in vars(_layout).items() if name.isupper()})
'''

# What a gate may look at: the order at `x` lots, and the book `b` of the gate's level.
_ORDER = (
    "B, P, s, side, lots, price, value, lot_value, units, scale, kind, reduce_only, account, strategy, "
    "kill, age, now"
)
_BOOK = "b, q, closing, has, stale"

_ROOM = '''

@plain
def {name}({arguments}):
    """Lots, at most what is asked, that pass: by interpolation, as far as the measure is straight.

    At what is asked the gate lies `excess` beyond its limit.
    """
    low, high, inside = 0.0, lots, NAN
    # A worst case rises where an order has closed a position and opened as much on the other side.
    guess = 2.0 * closing if 2.0 * closing < high else 0.0
    steps, beside = 0, False
    while True:
        ok, found = {at}
        if ok:
            low, inside = guess, -found
        elif guess > 0.0:
            high, excess = guess, found
        if high - low <= 1.0:
            return low
        if ok and steps > 0 and not beside:
            guess, beside = low + 1.0, True
        else:
            beside = False
            guess = np.floor((low + high) / 2.0)
            if steps == 0 and not ok:
                # Beyond the limit as it is: what only closes may pass, or nothing.
                guess = min(max(closing, 1.0), high - 1.0)
            elif steps < 12 and inside + excess > 0.0:
                zero = low + (high - low) * (inside / (inside + excess))
                guess = min(max(np.floor(zero), low + 1.0), high - 1.0)
        steps += 1
'''

_GATE_AT = '''

@plain
def gate_at(slot, row, exempts, x, {order}, {book}):
    """Whether a gate that reduces passes at `x` lots, and how far it lies beyond its limit."""
    red = 0.0 < x <= closing
    if exempts and red:
        return True, NAN
    pos = position_after(B, b, s, side, x, value, False)
    out, measure, limit, chk = 5, NAN, NAN, -1
{slots}
    return out == 1, abs(measure - limit) if out == 3 else -abs(measure - limit)
'''

# The list of gates that binds the order.
BINDING = """natural(np.int64(P.bind[natural(
            P.account_class[account_code] * P.strides[0] + P.strategy_class[strategy_code] * P.strides[1]
            + P.venue_class[natural(venue)] * P.strides[2] + P.symbol_class[s]
        )]))"""

_PROLOGUE = '''

@cfunc("f8(i8, i8, i8, i8, i8, i8, i8, i8, i8, i8, i8, i8, i8, f8, i8, f8, f8, i8)", cache=True,
       error_model="numpy", nogil=True, _nrt=False)
def decide_order(books, bindings, results, details, detail, i, now, account_code, strategy_code, venue, s,
                 side, kind, lots, refusal, price, value, reduce_only):
    """Decide one order; returns the lots that may be sent."""
    B, P, R, D = books_at(books), bindings_at(bindings), results_at(results), detail_at(details)
    sym = B.sym
    i, s = natural(i), natural(s)
    account_code, strategy_code = natural(account_code), natural(strategy_code)
    units, scale = sym[s, LOT_UNITS], sym[s, LOT_SCALE]
    lot_value = value * sym[s, LOT_MONEY]
    account = natural(np.int64(B.account_book[account_code]))
    strategy = natural(np.int64(B.strategy_book[strategy_code]))
    which = @BINDING@
    start, end = natural(np.int64(P.lists[which, START])), natural(np.int64(P.lists[which, END]))
    R.decision[i] = 2
    R.code[i] = refusal
    R.gate[i] = -1
    if 0 < refusal <= LAST_UNREADABLE:
        for e in range(start, end):
            g = natural(np.int64(P.entry[e, COLUMN]))
            R.outcome[g, i] = 5
            R.measure[g, i] = NAN
            R.limit[g, i] = NAN
        return 0.0
    age = age_of(B, s, now)
    kill = kill_state(B, account, strategy, venue, s)
    max_age = P.max_age[which]
    if P.lists[which, TIMED]:
        max_age = max_age_at(P, start, end, now)
    if refusal == 0:
        covered = P.lists[which, COVERED]
        if covered != COVERED_ALL:
            refusal = 10 if covered == COVERED_PARTLY else 9
        elif reduce_only and not 0.0 < lots <= closing_lots(B, account, s, side):
            refusal = 11
'''

_DECIDE = """    # Every gate at the size asked; where gates reduce, every gate again at the smaller size.
    x, allowed, cause, block = lots, lots, np.int64(-1), np.int64(-1)
    b, q, closing, has, stale, pos, red = np.int64(0), 0.0, 0.0, False, True, NAN, False
    for attempt in range(2):
        level = np.int64(-1)
        for e in range(start, end):
            if P.entry[e, LEVEL] != level:
                level = np.int64(P.entry[e, LEVEL])
                b = account if level == 1 else strategy if level == 2 else np.int64(0)
                has = B.book_n[b, EXISTS] != 0
                stale = not has or is_stale(B, b, now, max_age)
                q = B.pos[b, s, Q]
                # What belongs to no book closes nothing in one.
                closing = closing_lots(B, b, s, side) if has else 0.0
                red = 0.0 < x <= closing
                pos = position_after(B, b, s, side, x, value, False)
            slot = P.entry[e, SLOT]
            row = natural(np.int64(P.entry[e, ROW]))
            flags = P.entry[e, FLAGS]
            if P.entry[e, ROWS] > 1:
                row = natural(row_at(P, row, P.entry[e, ROWS], now))
            out, measure, limit, chk, room_left = 4, NAN, NAN, -1, -1.0
            if not ((flags & EXEMPTS) != 0 and red):
                out = 5
{slots}
            if attempt == 1:
                if (flags & ENFORCE) and out != 1 and out != 4:
                    if detail:
                        note_again(D, e, out, measure, limit, chk)
                    R.code[i] = REFUSAL_COUNT + slot
                    R.gate[i] = P.entry[e, COLUMN]
                    return 0.0
                continue
{reduce}
            if block < 0 and (flags & ENFORCE) and (out == 3 or out == 5):
                block = e
            g = natural(np.int64(P.entry[e, COLUMN]))
            R.outcome[g, i] = out
            # Columns of a replay show nothing of what is not known.
            shown = out != 5 or detail != 0
            R.measure[g, i] = measure if shown else NAN
            R.limit[g, i] = limit if shown else NAN
            if detail:
                D.headroom[g] = room_left
                D.check[g] = chk
        if attempt == 0:
            if refusal != 0:
                R.code[i] = refusal
                return 0.0
            if block >= 0:
                R.code[i] = REFUSAL_COUNT + P.entry[block, SLOT]
                R.gate[i] = P.entry[block, COLUMN]
                return 0.0
            if allowed == lots:
                R.decision[i] = 0
                R.code[i] = -1
                return lots
            R.code[i] = REFUSAL_COUNT + P.entry[cause, SLOT]
            R.gate[i] = P.entry[cause, COLUMN]
            x = allowed
            stage = too_small(sym, s, x, value)
            if stage != 0:
                if detail:
                    D.stage[0] = stage
                return 0.0
    R.decision[i] = 1
    return x
"""

_REDUCE = """
            if out == 3 and (flags & REDUCES):
                room_left = room(slot, row, (flags & EXEMPTS) != 0, abs(measure - limit), {order}, {book})
                if room_left > 0.0:
                    out = 2
                    if (flags & ENFORCE) and room_left < allowed:
                        allowed, cause = room_left, e
"""


def module_text(slots: Sequence[Slot]) -> str:
    """The module's text for these slots."""
    reducing = [k for k, slot in enumerate(slots) if slot.reduces]
    words = {"order": _ORDER, "book": _BOOK}
    parts = [HEAD, *(gate_text(slot, Checks(f"gate_{k}")) for k, slot in enumerate(slots))]
    reduce = ""
    if reducing:
        parts.append(_GATE_AT.format(slots=_dispatch(reducing, "    "), **words))
        parts.append(
            room_text(
                "room",
                f"slot, row, exempts, excess, {_ORDER}, {_BOOK}",
                f"gate_at(slot, row, exempts, guess, {_ORDER}, {_BOOK})",
            )
        )
        reduce = _REDUCE.strip("\n").format(**words)
    parts.append(_PROLOGUE.replace("@BINDING@", BINDING))
    parts.append(_DECIDE.format(slots=_dispatch(range(len(slots)), " " * 16), reduce=reduce))
    return "".join(parts)


def room_text(name: str, arguments: str, at: str) -> str:
    """The function that finds the largest size that passes a gate.

    Args:
        name: Of the function.
        arguments: Its arguments: `excess`, `lots` and `closing` among them.
        at: A call for `guess` lots: whether the gate passes, and how far it lies beyond its limit.
    """
    return _ROOM.format(name=name, arguments=arguments, at=at)


def _dispatch(places: Sequence[int], indent: str) -> str:
    """The chain of branches that asks the gate of a slot."""
    lines = []
    for word, k in zip(["if", *["elif"] * len(places)], places, strict=False):
        lines += [
            f"{indent}{word} slot == {k}:",
            f"{indent}    out, measure, limit, chk = gate_{k}(row, x, {_ORDER}, {_BOOK}, pos, red)",
        ]
    return "\n".join(lines)


class Checks(NamedTuple):
    """How a rule's checks are written out.

    Attributes:
        name: Of the function.
        arguments: Its arguments.
        fields: Text of the input fields that are read in another way than generally.
        bits: Which checks bind, where that is known; else it is looked up for each order.
    """

    name: str
    arguments: str = f"row, x, {_ORDER}, {_BOOK}, pos, red"
    fields: Mapping[str, str] = MappingProxyType({})
    bits: int | None = None


def gate_text(slot: Slot, how: Checks) -> str:
    """The function that gives a rule's outcome, measure and limit, and the check that is shown."""
    bits = how.bits
    checks = [
        (c, check) for c, check in enumerate(slot.rule.checks) if bits is None or bits & (1 << c)
    ]
    lines = [
        "",
        "",
        "@inline",
        f"def {how.name}({how.arguments}):",
        "    sym = B.sym",
        "    out, measure, limit, chk = 5, NAN, NAN, -1",
    ]
    if bits is None:
        lines.append("    bits = int(P.params[row, 0])")
    several = len(checks) > 1
    for c, check in checks:
        lines += _check(
            c, check, slot.check_texts(check, how.fields), several, known=bits is not None
        )
    lines += ["    return out, measure, limit, chk", ""]
    return "\n".join(lines)


def _check(
    c: int, check: Check, texts: tuple[str, str], several: bool, *, known: bool
) -> list[str]:
    measure, limit = texts
    left, right = ("m", "l") if check.compare == "<=" else ("l", "m")
    lines = [f"m = {measure}", f"l = {limit}"]
    if several:
        # Of several checks the one nearest to its limit is shown.
        lines += [
            f"found = outcome_of({left}, {right})",
            "if (chk < 0) | (found > out) | ((found == out) & nearer(m, l, measure, limit)):",
            f"    out, measure, limit, chk = found, m, l, {c}",
        ]
    else:
        lines.append(f"out, measure, limit, chk = outcome_of({left}, {right}), m, l, {c}")
    if known:
        return [f"    {line}" for line in lines]
    return [f"    if bits & {1 << c}:", *(f"        {line}" for line in lines)]
