"""The text of a policy set's compiled module: one decision, for a single order and for columns of them.

Everything that belongs to the structure (which rules, at which levels) is in the text; limits, scopes and
modes are data. Equal structures give equal text, and its hash names the compiled code on disk.
"""

from collections.abc import Sequence

from ringfence.backends.numba_kernel.slots import LEVELS, Slot

__all__ = ["module_text"]

_HEAD = '''"""Generated from the structure of a policy set."""

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

_CONTEXT = (
    "B, P, row, s, b, side, lots, price, value, lot_value, units, scale, kind, reduce_only, account, "
    "strategy, kill, age, now, q, closing, stale, has, exempts"
)

_ROOM = '''

@plain
def room_{k}({context}):
    """Lots, at most what is asked, that pass: by interpolation, as far as the measure is straight."""
    low, high = 0.0, lots
    _, excess = passes_{k}(high, {context})
    other, other_excess = high, NAN
    steps = 0
    while high - low > 1.0:
        steps += 1
        guess = np.floor((low + high) / 2.0)
        if steps < 12 and other_excess == other_excess and other_excess != excess:
            zero = high - excess * (other - high) / (other_excess - excess)
            if low < zero < high:
                guess = min(max(np.floor(zero), low + 1.0), high - 1.0)
        elif steps == 1 and closing > 0.0 and closing < high:
            guess = closing
        ok, found = passes_{k}(guess, {context})
        if ok:
            low = guess
            if guess + 1.0 < high:
                ok, above = passes_{k}(guess + 1.0, {context})
                if ok:
                    low = guess + 1.0
                else:
                    high = guess + 1.0
                    other, other_excess, excess = guess, found, above
        else:
            other, other_excess = high, excess
            high, excess = guess, found
    return low
'''


def module_text(slots: Sequence[Slot]) -> str:
    """The module's text for these slots."""
    parts = [_HEAD]
    for k, slot in enumerate(slots):
        if slot.reduces:
            parts.append(_passes(k, slot))
            parts.append(_ROOM.format(k=k, context=_CONTEXT))
    parts.append(_decide(slots))
    parts.append(_EXPORT)
    return "".join(parts)


def _variables(level: str, *, search: bool) -> dict[str, str]:
    if search:
        return {
            "x": "x",
            "pos": "pos",
            "red": "(0.0 < x <= closing)",
            "b": "b",
            "q": "q",
            "stale": "stale",
            "has": "has",
        }
    n = LEVELS.index(level)
    names = {name: f"{name}{n}" for name in ("pos", "red", "b", "q", "stale", "has")}
    return {"x": "x", **names}


def _passes(k: int, slot: Slot) -> str:
    lines = [
        "",
        "",
        "@inline",
        f"def passes_{k}(x, {_CONTEXT}):",
        "    if exempts and 0.0 < x <= closing:",
        "        return True, NAN",
        "    sym = B.sym",
        "    bits = int(P.params[row, 0])",
        "    passed, excess = bits != 0, -np.inf",
    ]
    if slot.uses_position:
        lines.append("    pos = position_after(B, b, s, side, x, value, False)")
    variables = _variables(slot.level, search=True)
    for c, check in enumerate(slot.rule.checks):
        measure, limit = slot.check_texts(check, variables)
        left, right = ("m", "l") if check.compare == "<=" else ("l", "m")
        lines += [
            f"    if bits & {1 << c}:",
            f"        m = {measure}",
            f"        l = {limit}",
            f"        if outcome_of({left}, {right}) != 1:",
            "            passed = False",
            f"        excess = max(excess, {left} - {right})",
        ]
    lines += ["    return passed, excess", ""]
    return "\n".join(lines)


def _slot_block(k: int, slot: Slot) -> list[str]:
    variables = _variables(slot.level, search=False)
    n = LEVELS.index(slot.level)
    lines = [f"{'if' if k == 0 else 'elif'} slot == {k}:"]
    several = len(slot.rule.checks) > 1
    lines += [
        f"    exempt = (flags & EXEMPTS) != 0 and red{n}",
        "    if not exempt:",
        "        bits = int(P.params[row, 0])",
    ]
    for c, check in enumerate(slot.rule.checks):
        measure, limit = slot.check_texts(check, variables)
        left, right = ("m", "l") if check.compare == "<=" else ("l", "m")
        lines += [
            f"        if bits & {1 << c}:",
            f"            m = {measure}",
            f"            l = {limit}",
            f"            found = outcome_of({left}, {right})",
        ]
        if several:
            lines += [
                "            near = closeness(m, l)",
                "            if chk < 0 or found > out or (found == out and near > nearest):",
                f"                out, measure, limit, chk, nearest = found, m, l, {c}, near",
            ]
        else:
            lines += [f"            out, measure, limit, chk = found, m, l, {c}"]
    if slot.reduces:
        lines += [
            "        if attempt == 0 and out == 3 and (flags & REDUCES):",
            f"            room = room_{k}(B, P, row, s, b{n}, side, lots, price, value, lot_value, "
            f"units, scale, kind, reduce_only, account, strategy, kill, age, now, q{n}, closing{n}, "
            f"stale{n}, has{n}, (flags & EXEMPTS) != 0)",
        ]
    return lines


def _decide(slots: Sequence[Slot]) -> str:
    used = sorted({LEVELS.index(slot.level) for slot in slots} | {1})
    lines = [
        "",
        "",
        "@plain",
        "def decide(B, P, R, D, detail, i, now, account_code, strategy_code, venue, s, side, kind, "
        "lots, refusal, price, value, reduce_only):",
        '    """One order: every gate at the size asked, a smaller size, every gate again."""',
        "    sym = B.sym",
        "    units, scale = sym[s, LOT_UNITS], sym[s, LOT_SCALE]",
        "    lot_value = value * sym[s, LOT_MONEY]",
        "    account, strategy = B.account_book[account_code], B.strategy_book[strategy_code]",
        "    which = P.bind[P.account_class[account_code] * P.strides[0]",
        "                   + P.strategy_class[strategy_code] * P.strides[1]",
        "                   + P.venue_class[venue] * P.strides[2] + P.symbol_class[s]]",
        "    start, end = P.lists[which, START], P.lists[which, END]",
        "    if 0 < refusal <= LAST_UNREADABLE:",
        "        for e in range(start, end):",
        "            g = P.entry[e, COLUMN]",
        "            R.outcome[g, i] = 5",
        "            R.measure[g, i] = NAN",
        "            R.limit[g, i] = NAN",
        "        return 2, 0.0, refusal, -1",
        "    age = age_of(B, s, now)",
        "    kill = kill_state(B, account, strategy, venue, s)",
        "    max_age = P.max_age[which]",
        "    if P.lists[which, TIMED]:",
        "        max_age = max_age_at(P, start, end, now)",
    ]
    books = ("0", "account", "strategy")
    for n in used:
        lines += [
            f"    b{n} = {books[n]}",
            f"    has{n} = B.book_n[b{n}, EXISTS] != 0",
            f"    stale{n} = not has{n} or stale(B, b{n}, now, max_age)",
            f"    q{n} = B.pos[b{n}, s, Q]",
            f"    closing{n} = closing_lots(B, b{n}, s, side)",
        ]
    lines += [
        "    if refusal == 0:",
        "        covered = P.lists[which, COVERED]",
        "        if covered != COVERED_ALL:",
        "            refusal = 10 if covered == COVERED_PARTLY else 9",
        "        elif reduce_only and not 0.0 < lots <= closing1:",
        "            refusal = 11",
        "    x, allowed, cause, block, code = lots, lots, -1, -1, 0",
        "    for attempt in range(2):",
    ]
    body: list[str] = []
    for n in used:
        body.append(f"red{n} = 0.0 < x <= closing{n}")
        if any(slot.uses_position for slot in slots if LEVELS.index(slot.level) == n):
            body.append(f"pos{n} = position_after(B, b{n}, s, side, x, value, False)")
    body += [
        "for e in range(start, end):",
        "    slot = P.entry[e, SLOT]",
        "    row = P.entry[e, ROW]",
        "    flags = P.entry[e, FLAGS]",
        "    if P.entry[e, ROWS] > 1:",
        "        row = row_at(P, row, P.entry[e, ROWS], now)",
        "    out, measure, limit, chk, nearest, room = 5, NAN, NAN, -1, 0.0, -1.0",
        "    exempt = False",
    ]
    for k, slot in enumerate(slots):
        body += ["    " + line for line in _slot_block(k, slot)]
    body += [
        "    if exempt:",
        "        out = 4",
        "    if attempt == 1:",
        "        if (flags & ENFORCE) and out != 1 and out != 4:",
        "            if detail:",
        "                note_again(D, e, out, measure, limit, chk)",
        "            return 2, 0.0, REFUSAL_COUNT + slot, P.entry[e, COLUMN]",
        "        continue",
        "    if room > 0.0:",
        "        out = 2",
        "        if (flags & ENFORCE) and room < allowed:",
        "            allowed, cause = room, e",
        "    if block < 0 and (flags & ENFORCE) and (out == 3 or out == 5):",
        "        block = e",
        "    g = P.entry[e, COLUMN]",
        "    R.outcome[g, i] = out",
        "    R.measure[g, i] = measure",
        "    R.limit[g, i] = limit",
        "    if detail:",
        "        D.headroom[g] = room",
        "        D.check[g] = chk",
    ]
    lines += ["        " + line for line in body]
    lines += [
        "        if attempt == 0:",
        "            if refusal != 0:",
        "                return 2, 0.0, refusal, -1",
        "            if block >= 0:",
        "                return 2, 0.0, REFUSAL_COUNT + P.entry[block, SLOT], P.entry[block, COLUMN]",
        "            if allowed == lots:",
        "                return 0, lots, -1, -1",
        "            x = allowed",
        "            stage = too_small(sym, s, x, value)",
        "            if stage != 0:",
        "                if detail:",
        "                    D.stage[0] = stage",
        "                break",
        "        else:",
        "            return 1, x, REFUSAL_COUNT + P.entry[cause, SLOT], P.entry[cause, COLUMN]",
        "    return 2, 0.0, REFUSAL_COUNT + P.entry[cause, SLOT], P.entry[cause, COLUMN]",
        "",
    ]
    return "\n".join(lines)


_EXPORT = '''

@cfunc("f8(i8, i8, i8, i8, i8, i8, i8, i8, i8, i8, i8, i8, i8, f8, i8, f8, f8, i8)", cache=True,
       error_model="numpy", nogil=True, _nrt=False)
def decide_order(books, bindings, results, details, detail, i, now, account, strategy, venue, s, side,
                 kind, lots, refusal, price, value, reduce_only):
    """Decide one order; returns the lots that may be sent."""
    B, P, R, D = books_at(books), bindings_at(bindings), results_at(results), detail_at(details)
    decision, allowed, code, gate = decide(B, P, R, D, detail, i, now, account, strategy, venue, s, side,
                                           kind, lots, refusal, price, value, reduce_only != 0)
    R.decision[i] = decision
    R.code[i] = code
    R.gate[i] = gate
    return allowed
'''
