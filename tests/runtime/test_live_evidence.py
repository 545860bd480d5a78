"""What an order was decided on is written by compiled code as it is told as data."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.backends.numba_kernel import layout
from ringfence.backends.numba_kernel.live_evidence import LARGE, SINCE, LiveEvidence, ToldTable
from ringfence.runtime.audit_codec import decode, encode
from ringfence.runtime.audit_told import in_full
from ringfence.runtime.book_arrays import BookArrays
from ringfence.runtime.told_books import Told
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


@given(
    seed=st.integers(0, 2**32),
    count=st.integers(LARGE - 1, LARGE + 20),
    changes=st.lists(st.sampled_from(("row", "nan", "orders", "gone", "new")), max_size=12),
)
def test_what_changed_since_a_copy_with_the_copy_is_the_text_of_all(
    seed: int, count: int, changes: list[str]
) -> None:
    source, symbols = np.random.default_rng(seed), [f"C{k}\u20ac/USD" for k in range(80)]
    arrays = BookArrays("USD", {})
    for name in symbols:
        arrays.symbol(name)
    arrays.book("account/a")
    books, held = arrays.books, source.permutation(60)[:count]
    books.pos[...] = source.integers(0, 2**64, books.pos.shape, np.uint64).view(np.float64)
    for b in (0, 1):
        books.held[b, :count] = held
        books.book_n[b, layout.HELD] = count
    live, table = LiveEvidence(books, symbols), ToldTable()
    copy = live.copied(1)
    told = Told(1, copy, [symbols[s] for s in copy.held], None)
    table.put(1, copy, 7)
    for what in changes:
        change(books, what, source)

    text, state = live.since((0, 1, -1), 3, 0, table.address, 7, False)

    whole, level = live.of((0, 1, -1), 3, 0), decode(text.encode())["books"][1]
    assert text == encode(decode(text.encode())).decode()
    assert in_full(text, {1: told}) == whole
    large = books.book_n[1, layout.HELD] > LARGE
    assert (len(level) == 8) == bool(state & SINCE)
    assert len(level) == 7 or large
    if len(level) == 8:
        assert level[7]["base"] == 7
        assert len(level[7]["at"]) <= (books.book_n[1, layout.HELD] + 3) // 4
    elif large:
        assert len(changes) > books.book_n[1, layout.HELD] // 8
    # Neither one of an older file, nor one that the log has yet to take, is named.
    assert (
        len(decode(live.since((0, 1, -1), 3, 0, table.address, 8, True)[0].encode())["books"][1])
        == 7
    )


def change(books: Any, what: str, source: np.random.Generator) -> None:
    """Change something in book 1, as a ledger could."""
    count = int(books.book_n[1, layout.HELD])
    at = int(source.integers(count))
    s = books.held[1, at]
    match what:
        case "row":
            books.pos[1, s, source.integers(layout.POS_WIDTH)] += 1.0
        case "nan":
            books.pos[1, s, 0] = np.array([0x7FF8_0000_0000_0000 + at], np.uint64).view(np.float64)[
                0
            ]
        case "orders":
            books.pos_orders[1, s] += 1
        case "gone":
            books.held[1, at] = books.held[1, count - 1]
            books.book_n[1, layout.HELD] = count - 1
        case "new":
            books.held[1, count] = 60 + (count % 20)
            books.book_n[1, layout.HELD] = count + 1


def test_the_table_of_copies_grows_with_the_books() -> None:
    arrays = BookArrays("USD", {})
    symbols = [f"C{k}/USD" for k in range(LARGE + 1)]
    for name in symbols:
        arrays.symbol(name)
    for k in range(200):
        arrays.book(f"account/{k}")
    books = arrays.books
    for b in (0, 150):
        books.held[b, : len(symbols)] = range(len(symbols))
        books.book_n[b, layout.HELD] = len(symbols)
    live, table = LiveEvidence(books, symbols), ToldTable()

    for b in (0, 150):
        table.put(b, live.copied(b), 0)
        table.number(b, 40 + b)

    text, state = live.since((0, 150, -1), 0, 0, table.address, 1, False)
    named = [each[7]["base"] for each in decode(text.encode())["books"]]
    assert (named, live.changed[-1], state) == ([40, 190], 40, SINCE)
    table.put(150, None, 0)
    assert live.since((0, 150, -1), 0, 0, table.address, 1, False)[1] == SINCE + 1
