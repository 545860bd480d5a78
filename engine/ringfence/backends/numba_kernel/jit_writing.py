"""Text as compiled code writes it: bytes, whole numbers, base64 and hex into an array, from a place on.

Each function returns the place behind what it wrote.
"""

import numpy as np

from ringfence.backends.numba_kernel.jit_numbers import inline, plain

__all__ = ["base64", "base64_end", "copied", "hexed", "number", "put"]

_DIGITS = np.frombuffer(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", np.uint8
)
_HEX = np.frombuffer(b"0123456789abcdef", np.uint8)
_PAIRS = np.frombuffer(b"".join(b"%02d" % k for k in range(100)), np.uint8)
_TEN, _HUNDRED, _TEN_THOUSAND = np.uint64(10), np.uint64(100), np.uint64(10_000)
_MINUS, _PAD, _ZERO = (np.uint8(ord(each)) for each in "-=0")


@inline
def put(out, at, byte):
    out[at] = byte
    return at + np.uint64(1)


@plain
def copied(out, at, source, start, end):
    for k in range(np.uint64(start), np.uint64(end)):
        out[at] = source[k]
        at += np.uint64(1)
    return at


@plain
def number(out, at, value):
    left = np.uint64(value)
    if value < 0:
        at = put(out, at, _MINUS)
        left = np.uint64(-(value + 1)) + np.uint64(1)
    length, rest = np.uint64(1), left
    while rest >= _TEN_THOUSAND:
        rest //= _TEN_THOUSAND
        length += np.uint64(4)
    while rest >= _TEN:
        rest //= _TEN
        length += np.uint64(1)
    # Two digits at a time: a division takes longer than all else.
    place = at + length
    while left >= _HUNDRED:
        pair = (left % _HUNDRED) * np.uint64(2)
        left //= _HUNDRED
        place -= np.uint64(2)
        out[place], out[place + np.uint64(1)] = _PAIRS[pair], _PAIRS[pair + np.uint64(1)]
    if left >= _TEN:
        pair = left * np.uint64(2)
        out[at], out[at + np.uint64(1)] = _PAIRS[pair], _PAIRS[pair + np.uint64(1)]
    else:
        out[at] = _ZERO + np.uint8(left)
    return at + length


@inline
def bits(out, at, value, count):
    for k in range(count):
        out[at + np.uint64(k)] = _DIGITS[(value >> np.uint32(18 - 6 * k)) & np.uint32(63)]
    return at + np.uint64(count)


@plain
def base64(out, at, source, start, length, carry, carried):
    """The bytes, after `carried` (0 to 2) that wait in `carry`; returns what waits then."""
    k, end = np.uint64(start), np.uint64(start + length)
    while carried != 0 and k < end:
        carry = (carry << np.uint32(8)) | np.uint32(source[k])
        carried += 1
        k += np.uint64(1)
        if carried == 3:
            at = bits(out, at, carry, 4)
            carry, carried = np.uint32(0), 0
    while k + np.uint64(3) <= end:
        three = (
            (np.uint32(source[k]) << np.uint32(16))
            | (np.uint32(source[k + np.uint64(1)]) << np.uint32(8))
            | np.uint32(source[k + np.uint64(2)])
        )
        at = bits(out, at, three, 4)
        k += np.uint64(3)
    while k < end:
        carry = (carry << np.uint32(8)) | np.uint32(source[k])
        carried += 1
        k += np.uint64(1)
    return at, carry, carried


@plain
def base64_end(out, at, carry, carried):
    if carried:
        at = bits(out, at, carry << np.uint32(8 * (3 - carried)), 1 + carried)
        for _ in range(3 - carried):
            at = put(out, at, _PAD)
    return at


@plain
def hexed(out, at, source, start, count):
    """Bytes as two digits each."""
    for k in range(np.uint64(start), np.uint64(start + count)):
        out[at] = _HEX[source[k] >> np.uint8(4)]
        out[at + np.uint64(1)] = _HEX[source[k] & np.uint8(15)]
        at += np.uint64(2)
    return at
