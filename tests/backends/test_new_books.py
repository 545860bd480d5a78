"""Fresh arrays of books lie as compiled code reads them fastest."""

import subprocess
import sys

import pytest

from ringfence.backends.numba_kernel import layout
from ringfence.backends.numba_kernel.new_books import new_books

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(("symbols", "accounts"), [(1, 2), (7, 2), (50, 2), (50, 700)])
def test_what_every_order_looks_at_begins_where_a_cache_line_does(symbols, accounts):
    books = new_books(
        [0, *[1] * accounts, 2],
        symbols,
        account_books=range(1, accounts + 1),
        strategy_books=[accounts + 1],
        venues=1,
    )

    hot = (
        books.sym,
        books.pos,
        books.book,
        books.book_n,
        books.held,
        books.held_sides,
        books.held_at,
    )

    assert [array.ctypes.data % 64 for array in hot] == [0] * len(hot)


def test_fresh_books_hold_nothing_and_know_no_mark():
    books = new_books([0, 1], 3, account_books=[1], strategy_books=[], venues=1)

    assert not books.held.any()
    assert not books.held_sides.any()
    assert (books.held_at == -1).all()
    assert (books.pos[:, :, layout.MARK] != books.pos[:, :, layout.MARK]).all()
    assert not books.pos[:, :, layout.Q].any()


FORKS = """
import os
from ringfence.backends.numba_kernel import layout
from ringfence.backends.numba_kernel.new_books import new_books

books = new_books([0, *[1] * 700], 50, account_books=range(1, 701), strategy_books=[], venues=1)
child = os.fork()
if child == 0:
    books.book[1, layout.CASH] = 2.0
    os._exit(0)
os.waitpid(child, 0)
print(books.book[1, layout.CASH])
"""


def test_a_process_that_forks_does_not_share_its_books_with_the_child():
    # Apart: this process has threads, which do not go along.
    ran = subprocess.run([sys.executable, "-c", FORKS], text=True, capture_output=True, check=True)

    assert ran.stdout == "0.0\n"
