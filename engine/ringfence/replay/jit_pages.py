"""Compiled: columns with gaps into what Parquet's pages hold, 64 rows at a time.

Read as text and kept on disk once compiled (`compiled.py`); hence it imports nothing of ours.
"""

import numpy as np
from numba import njit

_MAGNITUDE = np.int64(0x7FFFFFFFFFFFFFFF)
_INFINITE = np.int64(0x7FF0000000000000)
_ONE, _HASH = np.uint64(1), np.uint64(0x9E3779B97F4A7C15)
# Whether what was kept so far is one number, few numbers, or many.
_SAME, _FEW, _MANY = range(3)
_MOST = 256
_SLOTS = np.uint64(511)


@njit
def _is_number(bits):
    return (bits & _MAGNITUDE) <= _INFINITE


@njit
def _ones(word):
    # LLVM knows this for what it is, and makes one instruction of it.
    word -= (word >> _ONE) & np.uint64(0x5555555555555555)
    pairs = np.uint64(0x3333333333333333)
    word = (word & pairs) + ((word >> np.uint64(2)) & pairs)
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return (word * np.uint64(0x0101010101010101)) >> np.uint64(56)


@njit
def _put(values, minus, b, kept, at):
    """Put block `b` at `kept[at:]`, gaps included."""
    if minus.shape[0] > 0:
        for j in range(64):
            kept[at + np.uint64(j)] = values[b, j] - minus[b, j]
    else:
        for j in range(64):
            kept[at + np.uint64(j)] = values[b, j]


@njit
def _close_up(bits, at, word):
    """Move the numbers of the block at `at` over its gaps; no branch, for gaps come as they like."""
    to = at
    for j in range(64):
        bits[to] = bits[at + np.uint64(j)]
        to += (word >> np.uint64(j)) & _ONE


@njit
def _code(number, table, slots, entries):
    """The place of a number in the table, where it may be the next one; 256 once that is full."""
    slot = (np.uint64(number) * _HASH) >> np.uint64(55)
    while slots[slot] >= 0:
        if table[np.uint64(slots[slot])] == number:
            return np.uint64(slots[slot])
        slot = (slot + _ONE) & _SLOTS
    if entries < _MOST:
        table[entries] = number
        slots[slot] = np.int16(entries)
    return entries


@njit(
    "int64(float64[:, ::1], float64[:, ::1], float64[::1], int64[::1], uint64[::1], uint8[::1], "
    "int64[::1], int16[::1])",
    nogil=True, error_model="numpy", _nrt=False, cache=True,
)  # fmt: skip
def keep_numbers(values, minus, kept, bits, levels, codes, table, slots):
    """Move what is not NaN to the front of `kept`, and say in `levels` where it stood, a bit a row.

    `values` has 64 columns: one block of rows in each row. So has `minus`, which is subtracted, or
    has no rows. `bits` is the memory of `kept` as whole numbers; it holds a block more than all rows.
    Up to 256 different numbers, to the bit, become `codes` with their `table` instead; `slots` is
    room to find them by.

    Returns:
        How many are not NaN; and in bits 40 and up how long the table is, 0 where `kept` holds them.
    """
    count, entries = np.uint64(0), np.uint64(0)
    state = _SAME
    for b in range(values.shape[0]):
        at = count if state == _MANY else np.uint64(0)
        _put(values, minus, b, kept, at)
        word = np.uint64(0)
        for j in range(64):
            word |= np.uint64(_is_number(bits[at + np.uint64(j)])) << np.uint64(j)
        levels[b] = word
        if word == 0:
            continue
        found = _ones(word)
        if state == _SAME:
            if entries == 0:
                place = np.uint64(0)
                while not (word >> place) & _ONE:
                    place += _ONE
                for slot in range(512):
                    slots[slot] = -1
                entries += _code(bits[place], table, slots, entries) + _ONE
            differs = False
            for j in range(64):
                number = bits[np.uint64(j)]
                differs |= (number != table[0]) & _is_number(number)
            if differs:
                state = _FEW
                for k in range(count):
                    codes[k] = np.uint8(0)
        if state == _FEW:
            _close_up(bits, at, word)
            for k in range(found):
                code = _code(bits[k], table, slots, entries)
                entries += np.uint64(code == entries)
                codes[count + k] = np.uint8(code)
            if entries > _MOST:
                state, at = _MANY, count
                for k in range(count):
                    bits[k] = table[codes[k]]
                _put(values, minus, b, kept, at)
        if state == _MANY:
            _close_up(bits, at, word)
        count += found
    if state == _MANY:
        return np.int64(count)
    return np.int64(count | (entries << np.uint64(40)))


@njit(
    "int64(int16[:, ::1], uint8[::1], uint64[::1])",
    nogil=True, error_model="numpy", _nrt=False, cache=True,
)  # fmt: skip
def keep_codes(codes, kept, levels):
    """Move the codes that are not negative to the front of `kept`; returns how many there are.

    `codes` are blocks and `levels` bits as above; no code is above 255, and `kept` holds a block more
    than all rows.
    """
    to = np.uint64(0)
    for b in range(codes.shape[0]):
        word = np.uint64(0)
        for j in range(64):
            word |= np.uint64(codes[b, j] >= 0) << np.uint64(j)
        levels[b] = word
        if word:
            for j in range(64):
                kept[to] = np.uint8(codes[b, j])
                to += (word >> np.uint64(j)) & _ONE
    return np.int64(to)
