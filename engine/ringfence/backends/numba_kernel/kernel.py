"""The compiled kernel of a policy set's structure."""

import types
from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any

from numba import types as nt

from ringfence.backends.numba_kernel.disk_cache import is_kept, load_module
from ringfence.backends.numba_kernel.jit_layout import pack
from ringfence.backends.numba_kernel.jit_packs import Pack
from ringfence.backends.numba_kernel.layout import Books
from ringfence.backends.numba_kernel.limits import Limits
from ringfence.backends.numba_kernel.module_text import module_text
from ringfence.backends.numba_kernel.slots import Slot
from ringfence.backends.numba_kernel.steps import Course
from ringfence.backends.numba_kernel.straight_text import is_straight, straight_text

__all__ = ["Kernel", "kernel_for", "kernel_of", "put_past_order", "put_position"]

#: Further sequences of gates take the general way: each costs compile time.
MOST_WAYS = 4
#: Orders from which on compiling the straight way takes less time than it saves.
STRAIGHT_FROM = 5_000_000

# Wrappers, so that numba keeps their machine code beside this text, where its hash names it, and not beside
# the package's own files.
_ENTRY_TEXT = '''"""The entry points that every structure shares."""

from numba import cfunc, njit

from ringfence.backends.numba_kernel import jit_entry

entry_point = njit(error_model="numpy", nogil=True, _nrt=False, cache=True)


@entry_point
def evaluate_one(decide, books, bindings, results, details, now, account, strategy, venue, s, side, kind, lots,
                 refusal, price, value, reduce_only):
    jit_entry.evaluate_one(decide, books, bindings, results, details, now, account, strategy, venue, s, side,
                           kind, lots, refusal, price, value, reduce_only)


@entry_point
def put_position(books, b, s, lots, buys, sells, orders, mark):
    jit_entry.put_position(books, b, s, lots, buys, sells, orders, mark)


@entry_point
def put_past_order(books, account, s, side, lots, price, ts):
    jit_entry.put_past_order(books, account, s, side, lots, price, ts)


@entry_point
def advance_to(books, events, now, position):
    return jit_entry.advance_to(books, events, now, position)


@cfunc("i8(i8, i8, i8, i8, i8, i8, i8)", cache=True, error_model="numpy", nogil=True, _nrt=False)
def replay(decide, books, bindings, results, details, columns, events):
    return jit_entry.replay(decide, books, bindings, results, details, columns, events)
'''


class Kernel:
    """Decides orders for every policy set of one structure. Arrays come as packs (`jit_layout.pack`)."""

    __slots__ = ("_advance", "_decide", "_evaluate", "_keep", "_replay")

    def __init__(self, decide: Any, straight: Any = None) -> None:
        """`decide` is the compiled `decide_order`, `straight` a compiled `replay` that knows short cuts."""
        entry = _entry_points()
        self._decide: int = decide.address
        # INVARIANT: what is called by its address is kept; machine code goes with the object that has it.
        self._keep = (decide, straight)
        self._evaluate = entry.evaluate_one
        self._advance = entry.advance_to
        self._replay = entry.replay.ctypes
        if straight is not None:
            self._replay = partial(straight.ctypes, entry.replay.address)

    def evaluate_one(
        self,
        books: Pack,
        bindings: Pack,
        results: Pack,
        detail: Pack,
        *order: float,
    ) -> None:
        """Decide one order on books as they are; row 0 of `results`, and `detail`, hold the answer.

        `order` is: now, account, strategy, venue, symbol, side, kind, lots, refusal, price, valuation
        price, reduce-only; codes and flags as whole numbers, lots and prices as floats.
        """
        addresses = (books.address, bindings.address, results.address, detail.address)
        self._evaluate(self._decide, *addresses, *order)

    @property
    def decide(self) -> int:
        """Address of the compiled `decide_order`."""
        return self._decide

    def advance(self, books: Pack, events: Pack, now: int, position: int) -> int:
        """Apply events up to `now`; returns why it stopped, 0 where all is done."""
        return int(self._advance(books.address, events.address, now, position))

    def replay(
        self, books: Pack, bindings: Pack, results: Pack, detail: Pack, orders: Pack, events: Pack
    ) -> int:
        """Decide columns of orders; returns why it stopped (`jit_replay.MORE_*`), 0 at the end."""
        return int(
            self._replay(
                self._decide,
                books.address,
                bindings.address,
                results.address,
                detail.address,
                orders.address,
                events.address,
            )
        )


def kernel_of(slots: Sequence[Slot]) -> Kernel:
    """The kernel for these slots, compiled once per structure."""
    return Kernel(_compiled(module_text(slots)).decide_order)


def kernel_for(limits: Limits, course: Course | None, orders: int) -> Kernel:
    """The fastest kernel that is worth its compile time for so many orders; all answer the same.

    Args:
        limits: The limits that it will be asked with.
        course: How the replay goes; None where the straight way cannot go along.
        orders: How many orders it will decide.
    """
    ways = limits.ways[:MOST_WAYS]
    if course is None or not any(is_straight(limits.slots, way, course) for way in ways):
        return kernel_of(limits.slots)
    text = straight_text(limits.slots, ways, course)
    if orders < STRAIGHT_FROM and not is_kept(text):
        return kernel_of(limits.slots)
    decide = _compiled(module_text(limits.slots)).decide_order
    return Kernel(decide, _compiled(text).replay)


@lru_cache(maxsize=64)
def _compiled(text: str) -> types.ModuleType:
    return load_module(text, lambda _: None)


def put_position(
    books: Books, b: int, s: int, lots: int, buys: int, sells: int, orders: int, mark: float
) -> None:
    """Set what book `b` holds of symbol `s`: signed lots, working lots and orders, and its mark."""
    block = pack(books)
    _entry_points().put_position(
        block.address, b, s, float(lots), float(buys), float(sells), orders, mark
    )


def put_past_order(
    books: Books, account: int, s: int, side: int, lots: int, price: float, ts: int
) -> None:
    """Remember an order of account book `account` that left at `ts` ns; the oldest comes first."""
    block = pack(books)
    _entry_points().put_past_order(block.address, account, s, side, float(lots), price, ts)


@lru_cache(maxsize=1)
def _entry_points() -> types.ModuleType:
    return load_module(_ENTRY_TEXT, _compile_entry_points)


def _compile_entry_points(module: types.ModuleType) -> None:
    whole, number = nt.int64, nt.float64
    module.evaluate_one.compile(nt.void(*[whole] * 12, number, whole, number, number, whole))
    module.put_position.compile(nt.void(*[whole] * 3, number, number, number, whole, number))
    module.put_past_order.compile(nt.void(*[whole] * 4, number, number, whole))
    module.advance_to.compile(nt.int64(*[whole] * 4))
