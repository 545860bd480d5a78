"""The text of the straight way through a replay: what most orders need, and no more.

A list of gates is written out gate after gate, with everything that does not change from order to order
known beforehand: which rules, at which levels, with which checks, in which columns of the results, and
which books an order moves. The whole loop over a batch is one function, in which an order's numbers stay
in registers. What is rare takes the general way (`module_text`, `jit_entry`). Both give the same answers.
"""

from collections.abc import Sequence

from ringfence.backends.numba_kernel.clear_text import clear_text, is_clear
from ringfence.backends.numba_kernel.module_text import BINDING, HEAD, Checks, gate_text, room_text
from ringfence.backends.numba_kernel.slots import Slot
from ringfence.backends.numba_kernel.steps import Course, Step
from ringfence.language.fields import MESSAGES

__all__ = ["is_straight", "straight_text"]


# What a gate may look at: the order, and the book `b` of its level before and after.
_ORDER = "B, P, s, side, x, price, value, lot_value, units, scale, kind, reduce_only, kill, age"
_STATE_NAMES = "b, q, exposure, gross, equity, peak"
_BOOK = f"{_STATE_NAMES}, red"
_ADDED = "added(q, exposure, side, x, unit, {working})"
# Text of the fields of a book, which has moved to the order's price but in registers only.
_FIELDS = {
    # Where a gate looks at earlier quotes, the whole replay goes the general way.
    "order.price_deviation": "price_deviation(sym, s, price, value, <reference>)",
    "book.equity": "equity",
    "book.day_start_equity": "fin(day_start(B, b, <basis>))",
    "book.day_loss": "loss_of(B, b, <basis>, equity)",
    "book.day_loss_ratio": "fin(loss_share(B, b, <basis>, equity))",
    "book.drawdown": "fall_of(peak, equity)",
    "book.positions_after": "(float(B.book_n[b, HELD]) + (1.0 if q == 0.0 else 0.0))",
    "book.exposure_after": (
        f"money_of(gross - exposure + {_ADDED.format(working='<working> != 0.0')})"
    ),
    "book.position_after": f"money_of({_ADDED.format(working='<working> != 0.0')})",
    "book.correlated_after": (
        f"money_of({_ADDED.format(working='False')} + correlated_sound(B, b, s, side, "
        "P.moves[int(<threshold,min_observations>)]))"
    ),
}
# Fields that look at all that a book holds, or at other orders.
_GENERAL_ONLY = frozenset(
    {
        "book.net_exposure_after",
        "book.open_orders_after",
        "book.open_orders_symbol_after",
        "order.duplicates",
        *MESSAGES,
    }
)

_IMPORTS = """
from ringfence.backends.numba_kernel.jit_entry import call_replay
from ringfence.backends.numba_kernel.jit_halts import settle_halts
from ringfence.backends.numba_kernel.jit_layout import events_at, orders_at
from ringfence.backends.numba_kernel.jit_straight import *

# What a way returns instead of an entry: the general way is to decide; no entry is against it.
GENERAL, CLEAR = np.int64(-2), np.int64(-1)
"""

_PROLOGUE = '''

@cfunc("i8(i8, i8, i8, i8, i8, i8, i8, i8)", cache=True, error_model="numpy", nogil=True, _nrt=False)
def replay(general, decide, books, bindings, results, details, columns, events):
    """Decide columns of orders as `jit_entry.replay` does, whose address is `general`."""
    B, P, R = books_at(books), bindings_at(bindings), results_at(results)
    O, E = orders_at(columns), events_at(events)
    sym, total, cursor = B.sym, B.total, E.cursor
    count = O.ts.shape[0]
    for place in range(cursor[ORDER_AT], count):
        i = natural(place)
        if i + AHEAD < count:
            fetch(B, O, i + AHEAD)
        if i & 7 == 0 and i + 80 < count:
            fetch_results(R, i + 16)
            fetch_columns(O, i + 64)
        way, allowed = GENERAL, 0.0
        now, price, kind = O.ts[i], O.price[i], np.int64(O.kind[i])
        s, side = natural(np.int64(O.symbol[i])), np.int64(O.side[i])
        account_code, strategy_code = natural(np.int64(O.account[i])), natural(np.int64(O.strategy[i]))
        venue = natural(np.int64(O.venue[i]))
        b1 = natural(np.int64(B.account_book[account_code]))
        b2 = natural(np.int64(B.strategy_book[strategy_code]))
        b0 = np.int64(0)
        units, scale, lot_money = sym[s, LOT_UNITS], sym[s, LOT_SCALE], sym[s, LOT_MONEY]
        lots = whole_lots(O.size[i], units, scale)
{prices}        lot, lot_value, unit = mark * lot_money, value * lot_money, max(mark, value) * lot_money
{states}        reach = 2.0 * QUANTA * (lots * max(unit, at * lot_money))
        plain = (now < cursor[NEXT_EVENT]) & (lots > 0.0) & (sym[s, STATUS] == TRADABLE)
        plain &= usable(mark) & usable(value) & (usable(price) | ((kind == MARKET) & (price != price)))
        reduce_only = np.int64(O.reduce_only[i])
        plain &= (reduce_only == 0) | ((q1 * side < 0.0) & (lots <= abs(q1)))
{plain}        which = {binding}
        start = natural(np.int64(P.lists[which, START]))
        if plain & (P.lists[which, COVERED] == COVERED_ALL) & (P.lists[which, TIMED] == 0):
{own_price}            straight = P.lists[which, STRAIGHT]
            max_age = P.max_age[which]
            age, kill = age_of(B, s, now), kill_state(B, b1, b2, venue, s)
'''

_CALL = """            {word} straight == {number}:
                way, allowed = way_{number}({order}, R, i, now, start, max_age, {states})
"""
_CALL_CLEAR = """            {word} straight == {number}:
                if clear_{number}({order}, R, i, now, which, max_age, {states}):
                    way, allowed = CLEAR, lots
                else:
                    way, allowed = way_{number}({order}, R, i, now, start, max_age, {states})
"""

_GENERAL = """        if way == GENERAL:
            # The general way takes this one order.
            cursor[ORDER_AT], cursor[STOP_AT] = i, i + 1
            status = call_replay(general, decide, books, bindings, results, details, columns, events)
            cursor[STOP_AT] = 0
            if status != 0:
                return status
            continue
"""

_STATE = """        q{n} = B.pos[b{n}, s, Q]
        held_value{n} = B.pos[b{n}, s, VALUE]
        held_exposure{n} = max(B.pos[b{n}, s, LONG], B.pos[b{n}, s, SHORT])
"""
_OWN_PRICE_STATE = """        value{n}, exposure{n} = quanta_down(q{n} * lot), quanta_up(abs(q{n}) * lot)
        values{n} = B.book[b{n}, VALUES] + (value{n} - held_value{n})
        gross{n} = B.book[b{n}, GROSS] + (exposure{n} - held_exposure{n})
        worth{n} = B.book[b{n}, CASH] + values{n}
        equity{n}, peak{n} = money_of(worth{n}), B.book[b{n}, PEAK]
        peak{n} = raise_peak(peak{n}, equity{n})
        if B.book[b{n}, KNOWN] == 0.0:
            worth{n}, equity{n}, peak{n} = B.book[b{n}, EQUITY_QUANTA], NAN, B.book[b{n}, PEAK]
"""
_MARKED_STATE = """        value{n}, exposure{n} = held_value{n}, held_exposure{n}
        values{n}, gross{n} = B.book[b{n}, VALUES], B.book[b{n}, GROSS]
        worth{n}, equity{n} = B.book[b{n}, EQUITY_QUANTA], B.book[b{n}, EQUITY]
        peak{n} = B.book[b{n}, PEAK]
"""
# Without marks a price is taken over; a stop's only where there is none yet, which the general way sees to.
_OWN_PRICES = """        takes = (kind < STOP) & usable(price)
        mark = price if takes else sym[s, SYM_MARK]
        value = price if takes else valuation_price(sym, s, side, kind, price)
        at = price if usable(price) else value
"""
_MARKS = """        mark = sym[s, SYM_MARK]
        value = valuation_price(sym, s, side, kind, price)
        at = price if usable(price) else value
"""
_PLAIN = """        plain &= is_plain(B, b{n}, s, reach + 2.0 * QUANTA * abs(q{n} * unit))
"""
_MARK_IS_HELD = "        plain &= {takes}(q{n} == 0.0) | (B.pos[b{n}, s, MARK] == mark)\n"

_WAY = '''

@plain
def way_{number}({order}, R, i, now, start, max_age, {states}):
    """Lots that may go, and the entry that reduces or blocks the order."""
    lots, allowed, cause = x, x, np.int64(-1)
{opening}    # At the size asked; where gates reduce, again at the smaller size.
    for attempt in range(2):
{gates}        if attempt == 0:
{first}            if cause < 0:
                return CLEAR, lots
            if too_small(B.sym, s, allowed, value) != 0:
                return start + cause, 0.0
            x = allowed
        else:
{again}    return start + cause, allowed
'''

_OPENING = """    if B.book_n[b{n}, EXISTS] == 0 or is_stale(B, b{n}, now, max_age):
        return GENERAL, 0.0
    closing{n} = abs(q{n}) if q{n} * side < 0.0 else 0.0
"""
_RED = "        red{n} = x <= closing{n}\n"
_ROW = "    row{k} = natural(np.int64(P.entry[start + {k}, ROW]))\n"
_TIMED_ROW = "    row{k} = natural(row_at(P, row{k}, P.entry[start + {k}, ROWS], now))\n"
_GATE = "out{k}, measure{k}, limit{k}, _ = {gate}(row{k}, {order}, {book})\n"
_EXEMPTING = """        out{k}, measure{k}, limit{k} = 4, NAN, NAN
        if not red{n}:
            """
_REDUCING = """            if out{k} == 3:
                room = room_{gate}({exempts}, abs(measure{k} - limit{k}), closing{n}, row{k}, {order}, {book})
                if room > 0.0:
                    out{k} = 2
{counts}"""
_COUNTED = """                    if room < allowed:
                        allowed, cause = room, np.int64({k})
"""
_STORED = """            R.outcome[{column}, i] = out{k}
            R.measure[{column}, i] = measure{k} if out{k} != 5 else NAN
            R.limit[{column}, i] = limit{k} if out{k} != 5 else NAN
"""
_BLOCKS = """            if (out{k} == 3) | (out{k} == 5):
                return np.int64(start + {k}), 0.0
"""
_STILL_BLOCKS = """            if (out{k} != 1) & (out{k} != 4):
                return np.int64(start + {k}), 0.0
"""
_AT = '''

@plain
def at_{gate}(exempts, closing, row, {order}, {state}):
    """Whether the gate passes at `x` lots, and how far it lies beyond its limit."""
    red = 0.0 < x <= closing
    if exempts and red:
        return True, NAN
    out, measure, limit, _ = {gate}(row, {order}, {book})
    return out == 1, abs(measure - limit) if out == 3 else -abs(measure - limit)
'''

_DONE = """        goes, entry = allowed > 0.0, natural(max(way, np.int64(0)))
        R.decision[i] = 0 if way == CLEAR else (1 if goes else 2)
        R.code[i] = -1 if way == CLEAR else REFUSAL_COUNT + P.entry[entry, SLOT]
        R.gate[i] = -1 if way == CLEAR else P.entry[entry, COLUMN]
        if way == CLEAR:
            # It is whole lots, to the bit.
            R.size[i] = O.size[i]
        else:
            R.size[i] = allowed * units / scale
        R.notional[i] = money_of(quanta_up(lots * lot_value))
        worth, peak = total[TOTAL_QUANTA] + (worth1 - B.book[b1, EQUITY_QUANTA]), total[TOTAL_PEAK]
        peak = max(peak, worth)
        fall = fall_from(peak, worth, total)
        known = total[TOTAL_UNKNOWN] == 0.0
        R.equity[i] = money_of(worth) if known else NAN
        R.drawdown[i] = fall if known else NAN
        keep_total_fall(total, worth, peak)
{halts}        if {goes}:
{going}{moves}            worth += moved1 - worth1
            peak = max(peak, worth)
            fall = fall_from(peak, worth, total)
            keep_total_fall(total, worth, peak)
{kept}        total[TOTAL_QUANTA] = worth
        total[TOTAL_PEAK] = peak
        total[TOTAL_DRAWDOWN] = fall
    cursor[ORDER_AT] = count
    return 0
"""
_HALTS = """        if (not goes) | (cursor[CONFIRMING] != 0):
            settle_halts(B, P, R, E, i, now, account_code, strategy_code, venue, s)
"""
_OWN_PRICE = """            if takes:
                sym[s, BID] = price
                sym[s, ASK] = price
                sym[s, LAST] = price
                sym[s, SYM_MARK] = price
"""
_MOVE = """            moved{n} = move(B, b{n}, s, side, going, at * lot_money, lot, q{n}, mark, value{n}, exposure{n},
                         values{n}, gross{n}, peak{n})
"""
_KEEP = """            keep_marked(B, b{n}, s, q{n}, mark, value{n}, exposure{n}, values{n}, gross{n}, worth{n},
                        equity{n}, peak{n})
"""


def is_straight(slots: Sequence[Slot], way: Sequence[Step], course: Course) -> bool:
    """Whether the straight way knows all that the gates of this sequence look at."""
    return all(
        step.level in course.levels and not slots[step.slot].fields & _GENERAL_ONLY for step in way
    )


def straight_text(slots: Sequence[Slot], ways: Sequence[Sequence[Step]], course: Course) -> str:
    """The module's text: a loop with one straight way for each sequence of gates."""
    parts = [HEAD, _IMPORTS]
    known = [n for n, way in enumerate(ways) if is_straight(slots, way, course)]
    steps = [step for n in known for step in ways[n]]
    reducing = {(step.slot, step.bits) for step in steps if step.reduces}
    for slot, bits in dict.fromkeys((step.slot, step.bits) for step in steps):
        name = _gate_name(slot, bits)
        checks = Checks(name, f"row, {_ORDER}, unit, {_BOOK}", _FIELDS, bits)
        parts.append(gate_text(slots[slot], checks))
        if (slot, bits) in reducing:
            parts.append(_room(name))
    parts += [_way(n, ways[n], course) for n in known]
    states = _states(course.levels)
    parts += [
        clear_text(n, ways[n], slots, _FIELDS, (f"{_ORDER}, unit", states), _STATE_NAMES)
        for n in known
        if is_clear(ways[n])
    ]
    parts.append(_loop(known, ways, course))
    return "".join(parts)


def _loop(known: Sequence[int], ways: Sequence[Sequence[Step]], course: Course) -> str:
    levels = course.levels
    state = _STATE + (_OWN_PRICE_STATE if course.own_prices else _MARKED_STATE)
    plain = _PLAIN + _MARK_IS_HELD.replace("{takes}", "takes | " if course.own_prices else "")
    lines = [
        _PROLOGUE.format(
            prices=_OWN_PRICES if course.own_prices else _MARKS,
            states=_each(state, levels),
            plain=_each(plain, levels),
            binding=BINDING,
            own_price=_OWN_PRICE if course.own_prices else "",
        )
    ]
    order = _ORDER.replace(" x,", " lots,") + ", unit"
    for place, number in enumerate(known):
        word = "elif" if place else "if"
        call = _CALL_CLEAR if is_clear(ways[number]) else _CALL
        lines.append(call.format(word=word, number=number, order=order, states=_states(levels)))
    lines.append(_GENERAL)
    # Marks were valued when they came, so without a fill there is nothing to store.
    kept = "        else:\n" + _each(_KEEP, levels) if course.own_prices else ""
    lines.append(
        _DONE.format(
            goes="True" if course.frozen else "goes",
            halts=_HALTS if course.halts else "",
            going=f"            going = {'lots' if course.frozen else 'allowed'}\n",
            moves=_each(_MOVE, levels),
            kept="" if course.frozen else kept,
        )
    )
    return "".join(lines)


def _each(text: str, levels: Sequence[int]) -> str:
    return "".join(text.format(n=n) for n in levels)


def _states(levels: Sequence[int]) -> str:
    return ", ".join(f"{name}{n}" for n in levels for name in _STATE_NAMES.split(", "))


def _gate_name(slot: int, bits: int | None) -> str:
    return f"gate_{slot}_{'any' if bits is None else bits}"


def _room(gate: str) -> str:
    """The functions that find the largest size that passes a gate."""
    order = f"{_ORDER}, unit"
    asked, at_size = (order.replace(" x,", f" {size},") for size in ("lots", "guess"))
    return _AT.format(gate=gate, order=order, state=_STATE_NAMES, book=_BOOK) + room_text(
        f"room_{gate}",
        f"exempts, excess, closing, row, {asked}, {_BOOK}",
        f"at_{gate}(exempts, closing, row, {at_size}, {_STATE_NAMES})",
    )


def _way(number: int, way: Sequence[Step], course: Course) -> str:
    order = f"{_ORDER}, unit"
    states = _states(course.levels)
    levels = sorted({step.level for step in way})
    opening = [_OPENING.format(n=n) for n in levels]
    gates = [_RED.format(n=n) for n in levels]
    first: list[str] = []
    for k, step in enumerate(way):
        words = {
            "k": k,
            "n": step.level,
            "gate": _gate_name(step.slot, step.bits),
            "order": order,
            "book": ", ".join(f"{word}{step.level}" for word in _BOOK.split(", ")),
            "exempts": step.exempts,
            "counts": _COUNTED.format(k=k) if step.enforces else "",
        }
        opening.append((_ROW + (_TIMED_ROW if step.windows else "")).format(**words))
        gates.append(((_EXEMPTING if step.exempts else "        ") + _GATE).format(**words))
        if step.reduces:
            first.append(_REDUCING.format(**words))
    enforced = [k for k, step in enumerate(way) if step.enforces]
    # All is stored at the end: between stores everything would be looked up again.
    first += [_STORED.format(k=k, column=step.column) for k, step in enumerate(way)]
    first += [_BLOCKS.format(k=k) for k in enforced]
    again = [_STILL_BLOCKS.format(k=k) for k in enforced]
    return _WAY.format(
        number=number,
        order=order,
        states=states,
        opening="".join(opening),
        gates="".join(gates),
        first="".join(first),
        again="".join(again) or "            pass\n",
    )
