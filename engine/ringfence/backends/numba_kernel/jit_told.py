"""Which books have copies that a record told in full, compiled: what writes evidence and what calls it agree on this."""

from numba import types

from ringfence.backends.numba_kernel.jit_numbers import plain
from ringfence.backends.numba_kernel.jit_packs import Field, PackType, reader

__all__ = ["STATE", "TABLE", "TOLD_WIDTH", "put_since", "since_of", "table_at"]

#: Of each book so many numbers: address of its copy, 0 for none, the record's, and how many places were told since.
TOLD_WIDTH = 3
#: What a text's length has added, times 1 where a book that holds much is told in full, times 2 where by its changes.
STATE = 1 << 48
#: The table of all books.
TABLE = PackType("Told", (Field("told", types.Array(types.int64, 1, "C"), 0),))
table_at = reader(TABLE)


@plain
def place_of(told, b):
    """Where the table has how many places of a book were told since; -1 where it has none of it."""
    at = b * TOLD_WIDTH + TOLD_WIDTH - 1
    return at if b >= 0 and at < told.shape[0] else -1


@plain
def since_of(table, b):
    """How many places of a book were told since it was copied; `table` is an address, 0 for none, and `b` -1 for none."""
    if table == 0:
        return 0
    told = table_at(table).told
    at = place_of(told, b)
    return told[at] if at >= 0 else 0


@plain
def put_since(table, b, count):
    """Set what `since_of` gives."""
    if table != 0:
        told = table_at(table).told
        at = place_of(told, b)
        if at >= 0:
            told[at] = count
