"""Every check of every gate by itself, on books as they stand: many questions in one call.

A decision shows of each gate the check that is nearest to its limit, of one order. Here the same compiled
`decide_order` is asked with limits that are laid out anew: each check has an entry, parameters and a column of its own.
Asked at no lots, a check tells what it measures now; asked at as many lots as can be counted, how many pass.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from ringfence.backends.numba_kernel import layout
from ringfence.backends.numba_kernel.decide import new_detail, new_results
from ringfence.backends.numba_kernel.disk_cache import load_module
from ringfence.backends.numba_kernel.jit_layout import pack
from ringfence.backends.numba_kernel.jit_packs import Pack, PackType
from ringfence.backends.numba_kernel.kernel import kernel_of
from ringfence.backends.numba_kernel.layout import Bindings, Books, Floats, Ints, Longs, Small
from ringfence.backends.numba_kernel.limits import Limits

__all__ = ["Questions", "Standing", "StandingLimits"]

_TEXT = '''"""Asks about many names in one call."""

import numpy as np
from numba import cfunc, types

from ringfence.backends.numba_kernel.jit_entry import call_decide
from ringfence.backends.numba_kernel.jit_layout import books_at, detail_at, results_at
from ringfence.backends.numba_kernel.jit_numbers import COUNTABLE, NAN, QUANTA, usable
from ringfence.backends.numba_kernel.jit_packs import Field, PackType, reader
from ringfence.backends.numba_kernel.jit_rows import valuation_price
from ringfence.backends.numba_kernel.layout import LOT_MONEY, MARKET, SYM_MARK

#: Addresses and the time; names and sides of the questions; what is found beside `Results`.
STANDING = PackType(
    "Standing",
    (
        Field("whole", types.Array(types.int64, 1, "C"), 0),
        Field("names", types.Array(types.int32, 2, "C"), 4),
        Field("side", types.Array(types.int8, 1, "C"), 0),
        Field("price", types.Array(types.float64, 1, "C"), 0),
        Field("lots", types.Array(types.float64, 1, "C"), 0),
        Field("check", types.Array(types.int32, 2, "C"), 0),
        Field("headroom", types.Array(types.float64, 2, "C"), 0),
    ),
)
standing_at = reader(STANDING)


@cfunc("i8(i8)", cache=True, error_model="numpy", nogil=True, _nrt=False)
def ask_all(question):
    Q = standing_at(question)
    whole = Q.whole
    books, results, details = whole[1], whole[3], whole[4]
    now, far = whole[5], whole[6] != 0
    sym, D = books_at(books).sym, detail_at(details)
    for i in range(Q.side.shape[0]):
        side, s = np.int64(Q.side[i]), np.int64(Q.names[i, 3])
        value = valuation_price(sym, s, side, MARKET, NAN)
        known = usable(value)
        Q.price[i] = value if known else NAN
        lots = 0.0
        if far and known:
            # Half of what can be counted, so that what the book holds still goes in.
            mark = sym[s, SYM_MARK]
            lot = QUANTA * sym[s, LOT_MONEY] * (max(value, mark) if usable(mark) else value)
            lots = min(1e15, np.floor(COUNTABLE / 2.0 / lot)) if lot > 0.0 else 0.0
        Q.lots[i] = lots
        for g in range(D.check.shape[0]):
            D.check[g] = -1
            D.headroom[g] = -1.0
        # No lots cost nothing at any price.
        call_decide(
            whole[0], books, whole[2], results, details, 1, i, now, np.int64(Q.names[i, 0]),
            np.int64(Q.names[i, 1]), np.int64(Q.names[i, 2]), s, side, MARKET, lots, 0, NAN,
            value if known else 0.0, 0,
        )
        for g in range(D.check.shape[0]):
            Q.check[g, i] = D.check[g]
            Q.headroom[g, i] = D.headroom[g]
    return 0
'''


class Questions(NamedTuple):
    """What is asked about: n rows of codes (account, strategy, venue, symbol), and a side (+1, -1) of each."""

    names: Ints  # (n, 4)
    side: Small  # (n,)


class Standing(NamedTuple):
    """What was found; of each column and question.

    Attributes:
        outcome: As in `Results`; 0 where the check does not bind.
        measure, limit: NaN where unknown.
        check: Place of the check in its rule; -1 where it does not bind.
        headroom: Lots that pass, where fewer than `lots` do and the measure rises with the size; else -1.
        price: Of each question: what an order of that side is valued at, NaN where nothing values it.
        lots: Of each question: the size that was asked about.
    """

    outcome: layout.Bytes
    measure: Floats
    limit: Floats
    check: Ints
    headroom: Floats
    price: Floats
    lots: Floats


class StandingLimits:
    """The limits of one policy set, each check by itself.

    Attributes:
        columns: For each column of results: column of the gate in `Limits.columns`, and the check.
        entries: For each list of `Limits.lists`: place in the list, check and column of each of its checks.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._kernel = kernel_of(limits.slots)
        self.columns: list[tuple[int, int]] = []
        self.entries: list[list[tuple[int, int, int]]] = []
        self._bindings = pack(self._each_check(limits.bindings))

    def _each_check(self, bindings: Bindings) -> Bindings:
        """The bindings with an entry for each check instead of each gate."""
        slots, params = self._limits.slots, bindings.params
        columns: dict[tuple[int, int], int] = {}
        blocks: dict[tuple[int, int, int], int] = {}
        rows: list[tuple[int, int]] = []
        entry: list[list[int]] = []
        lists = bindings.lists.copy()
        for number, (first, last) in enumerate(bindings.lists[:, : layout.END + 1].tolist()):
            found = []
            lists[number, layout.START] = len(entry)
            for place in range(first, last):
                slot, row, count, column, flags, level, *_ = bindings.entry[place].tolist()
                # No gate of these decides: nothing is blocked, and nothing reduced.
                kept = flags & layout.EXEMPTS
                if slots[slot].reduces:
                    kept |= layout.REDUCES
                bits = params[row : row + count, 0].astype(np.int64)
                for check in range(len(slots[slot].rule.checks)):
                    if not (bits & (1 << check)).any():
                        continue
                    block = blocks.setdefault((row, count, check), len(rows))
                    if block == len(rows):
                        rows += [(at, check) for at in range(row, row + count)]
                    own = columns.setdefault((column, check), len(columns))
                    entry.append([slot, block, count, own, kept, level, 0, 0])
                    found.append((place - first, check, own))
            lists[number, layout.END] = len(entry)
            self.entries.append(found)
        self.columns = list(columns)
        at = [row for row, _ in rows]
        one = np.array([1 << check for _, check in rows], np.int64)
        each = np.ascontiguousarray(params[at])
        each[:, 0] = params[at, 0].astype(np.int64) & one
        return bindings._replace(
            lists=lists,
            entry=np.array(entry, np.int32).reshape(-1, layout.ENTRY_WIDTH),
            params=each,
            window=np.ascontiguousarray(bindings.window[at]),
            freshness=np.ascontiguousarray(bindings.freshness[at]),
        )

    def ask(
        self, books: Books, questions: Questions, now_ns: int, *, far: bool = False
    ) -> Standing:
        """Ask every check that binds about every question; books stay as they are.

        Args:
            books: The books; those rings that only single orders are held against may be empty.
            questions: The names and sides.
            now_ns: The time, ns since 1970, UTC.
            far: Ask about as many lots as can be counted, to find how many pass; else about none.
        """
        gates, n = len(self.columns), len(questions.side)
        results, detail = new_results(gates, n), new_detail(gates)
        found = Standing(
            results.outcome,
            results.measure,
            results.limit,
            np.full((gates, n), -1, np.int32),
            np.full((gates, n), -1.0),
            np.empty(n),
            np.empty(n),
        )
        packs = [pack(each) for each in (books, results, detail)]
        whole: Longs = np.array(
            [
                self._kernel.decide,
                packs[0].address,
                self._bindings.address,
                packs[1].address,
                packs[2].address,
                now_ns,
                int(far),
            ],
            np.int64,
        )
        call, kind = _compiled()
        block = Pack(
            kind,
            [whole, *questions, found.price, found.lots, found.check, found.headroom],
        )
        call(block.address)
        return found


@lru_cache(maxsize=1)
def _compiled() -> tuple[Callable[[int], int], PackType]:
    module = load_module(_TEXT, lambda _: None)
    # Called as C: other threads go on meanwhile.
    call: Callable[[int], Any] = module.ask_all.ctypes
    return call, module.STANDING
