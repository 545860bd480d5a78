"""What an order was decided on is written by compiled code as it is told as data."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.backends.numba_kernel import layout
from ringfence.backends.numba_kernel.live_evidence import LiveEvidence
from ringfence.runtime.audit_codec import encode
from ringfence.runtime.book_arrays import BookArrays
from runtime.plain_evidence import Evidence

pytestmark = pytest.mark.unit

whole = st.integers(-(2**63), 2**63 - 1) | st.sampled_from([0, 9, 10, -(2**63), 2**63 - 1])
names = st.lists(
    st.text(st.characters(), min_size=1, max_size=9), min_size=1, max_size=6, unique=True
)
floats = st.floats() | st.integers(0, 2**64 - 1).map(
    lambda bits: float(np.array([bits], np.uint64).view(np.float64)[0])
)


@st.composite
def held_books(draw: Any) -> tuple[BookArrays, list[str]]:
    """Arrays that hold anything at all: how they came to it does not matter here."""
    arrays, symbols = BookArrays("USD", {}), draw(names)
    for name in symbols:
        arrays.symbol(name)
    for name in ("account/a", "account/b", "strategy/s"):
        arrays.book(name)
    books = arrays.books
    source = np.random.default_rng(draw(st.integers(0, 2**32)))
    for array in (books.sym, books.book, books.pos):
        array[...] = source.integers(0, 2**64, array.shape, np.uint64).view(np.float64)
    books.pos_orders[...] = source.integers(-(2**31), 2**31, books.pos_orders.shape)
    for b in range(4):
        held = draw(st.permutations(range(len(symbols))))[: draw(st.integers(0, len(symbols)))]
        books.held[b, : len(held)] = held
        books.book_n[b, layout.HELD] = len(held)
        books.book_n[b, layout.OLDEST] = draw(whole)
        books.kill_book[b] = draw(st.integers(0, 2))
        books.book[b, layout.CASH] = draw(floats)
    books.sym_ts[: len(symbols)] = [draw(whole) for _ in symbols]
    return arrays, symbols


@given(given_books=held_books(), data=st.data())
def test_it_is_the_text_of_the_same_data(
    given_books: tuple[BookArrays, list[str]], data: st.DataObject
) -> None:
    arrays, symbols = given_books
    place = data.draw(st.sampled_from([(0, 1, -1), (0, 2, -1), (0, 1, 3)]))
    symbol = data.draw(st.integers(0, len(symbols) - 1))

    text = LiveEvidence(arrays.books, symbols).of(place, symbol, 0)

    assert text == encode(Evidence(arrays.books, symbols).of(place, symbol, 0)).decode()


def test_room_is_made_for_a_book_that_holds_very_much() -> None:
    arrays = BookArrays("USD", {})
    symbols = [f"C{k}/USD" for k in range(3_000)]
    for name in symbols:
        arrays.symbol(name)
    arrays.book("account/a")
    books = arrays.books
    for b in (0, 1):
        books.held[b, : len(symbols)] = range(len(symbols))
        books.book_n[b, layout.HELD] = len(symbols)
    live = LiveEvidence(books, symbols)

    for text in texts(live):
        assert text == encode(Evidence(books, symbols).of((0, 1, -1), 7, 0)).decode()


def texts(live: LiveEvidence) -> Iterator[str]:
    for _ in range(2):
        yield live.of((0, 1, -1), 7, 0)
