"""Compiled: texts from Arrow's layout (offsets, bytes) into Parquet's (length, bytes, length, bytes)."""

from numba import njit

__all__ = ["prefix_lengths"]


@njit(nogil=True)
def prefix_lengths(offsets, data, out):
    """Fill `out`, as long as all bytes and four for each text together."""
    place = 0
    for i in range(len(offsets) - 1):
        start = offsets[i]
        length = offsets[i + 1] - start
        for k in range(4):
            out[place + k] = (length >> (8 * k)) & 255
        place += 4
        for k in range(length):
            out[place + k] = data[start + k]
        place += length
