"""One order of a live guard: the question and the answer lie in one block of memory that stays where it is.

A call from Python hands over each argument as an object, which takes ten times as long as the decision. So
the guard packs the order's numbers into the block, calls with its address, and takes the answer out as bytes.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from struct import Struct
from typing import Any, NamedTuple

import numpy as np
from numba import types as nt

from ringfence.backends.numba_kernel.decide import GateFound, Head, new_results
from ringfence.backends.numba_kernel.disk_cache import load_module
from ringfence.backends.numba_kernel.jit_layout import pack
from ringfence.backends.numba_kernel.jit_packs import Pack, PackType
from ringfence.backends.numba_kernel.kernel import Kernel
from ringfence.backends.numba_kernel.layout import Detail
from ringfence.backends.numba_kernel.limits import Limits

__all__ = [
    "NO_PRICE",
    "Answer",
    "Answers",
    "LiveEntry",
    "code_of",
    "gate_of",
    "gates_part",
    "head_of",
    "lots_of",
    "read_answers",
    "value_of",
]

#: What `LiveEntry.ask` returns where nothing values the order.
NO_PRICE = -1

# It keeps the interpreter's lock: the call takes less time than giving the lock back and waiting for it.
_TEXT = '''"""What a live guard calls."""

from numba import njit, types

from ringfence.backends.numba_kernel.jit_entry import call_decide
from ringfence.backends.numba_kernel.jit_layout import books_at, detail_at, results_at
from ringfence.backends.numba_kernel.jit_numbers import usable
from ringfence.backends.numba_kernel.jit_packs import Field, PackType, reader
from ringfence.backends.numba_kernel.jit_rows import valuation_price

#: One block of memory, as whole numbers and as floats.
QUESTION = PackType(
    "Question",
    (
        Field("whole", types.Array(types.int64, 1, "C"), 0),
        Field("number", types.Array(types.float64, 1, "C"), 0),
    ),
)
question_at = reader(QUESTION)


@njit(error_model="numpy", _nrt=False, cache=True)
def ask(question):
    Q = question_at(question)
    whole, number = Q.whole, Q.number
    books, results, details = whole[1], whole[3], whole[4]
    s, side, kind = whole[9], whole[10], whole[11]
    lots, price = number[13], number[14]
    value = valuation_price(books_at(books).sym, s, side, kind, price)
    number[15] = value
    if not usable(value):
        return -1
    R = results_at(results)
    detail_at(details).stage[0] = 0
    R.size[0] = call_decide(
        whole[0], books, whole[2], results, details, 1, 0, whole[5], whole[6], whole[7], whole[8], s, side,
        kind, lots, 0, price, value, whole[12],
    )
    return int(R.decision[0])
'''

# The question, eight bytes each: addresses of the kernel, books, bindings, results and detail; the order.
_ADDRESSES = Struct("=5q")
_ORDER = Struct("=8q2d")
# The answer: valuation price, lots, decision, code, gate, stage, `again`; then measures, limits and outcomes,
# headrooms, and checks of all gates.
_HEAD = Struct("=ddbxhhxxi4x5d")
_ANSWER_AT = _ADDRESSES.size + _ORDER.size
_GATES_AT = _HEAD.size
_NUMBER, _CHECK = Struct("=d"), Struct("=i")
_LOTS_AT = 8
_CODE, _CODE_AT = Struct("=h"), 18


class LiveEntry:
    """Asks about one order at a time; `answer` is what was found, until the next question.

    `address` is that of the question, for compiled code; `found` are the bytes of `gates_part`, as the next question
    leaves them.

    Args:
        kernel: Of the limits' structure.
        books: Pack of the books' arrays.
        limits: The limits.
    """

    __slots__ = ("_ask", "_block", "_keep", "_pack", "_view", "address", "answer", "found")

    def __init__(self, kernel: Kernel, books: Pack, limits: Limits) -> None:
        gates = len(limits.columns)
        headrooms_at = _GATES_AT + -(-17 * gates // 8) * 8
        self._block = bytearray(_ANSWER_AT + headrooms_at + 12 * gates)

        def array(dtype: Any, at: int, count: int = 1) -> Any:
            return np.frombuffer(self._block, dtype, count, _ANSWER_AT + at)

        results = new_results(gates, 1)._replace(
            size=array(np.float64, 8),
            decision=array(np.int8, 16),
            code=array(np.int16, 18),
            gate=array(np.int16, 20),
            measure=array(np.float64, _GATES_AT, gates).reshape(gates, 1),
            limit=array(np.float64, _GATES_AT + 8 * gates, gates).reshape(gates, 1),
            outcome=array(np.uint8, _GATES_AT + 16 * gates, gates).reshape(gates, 1),
        )
        detail = Detail(
            stage=array(np.int32, 24),
            again=array(np.float64, 32, 5),
            headroom=array(np.float64, headrooms_at, gates),
            check=array(np.int32, headrooms_at + 8 * gates, gates),
        )
        # INVARIANT: whatever the block names by its address is kept here.
        self._keep: list[Any] = [kernel]
        packs = [books, *(pack(each) for each in (limits.bindings, results, detail))]
        addresses = [each.address for each in packs]
        self._keep += packs
        _ADDRESSES.pack_into(self._block, 0, kernel.decide, *addresses)
        self._pack = _ORDER.pack_into
        self._ask, question = _compiled()
        words = (_ANSWER_AT + _GATES_AT) // 8
        views = [np.frombuffer(self._block, kind, words) for kind in (np.int64, np.float64)]
        self._keep.append(Pack(question, views))
        self.address = self._keep[-1].address
        self.found = array(np.uint8, _GATES_AT, 17 * gates)
        self._view = memoryview(self._block)[_ANSWER_AT:]
        self.answer = self._view.tobytes

    def ask(
        self,
        now_ns: int,
        names: tuple[int, int, int, int],
        side: int,
        kind: int,
        reduce_only: bool,
        lots: float,
        price: float,
    ) -> int:
        """Decide one order on books as they are: 0 APPROVE, 1 REDUCE_SIZE, 2 REJECT, or `NO_PRICE`.

        `answer` gives the bytes of all that was found, for `Answer`. `names` are the codes of account,
        strategy, venue and symbol, other arguments as those of `Kernel.evaluate_one`.
        """
        self._pack(
            self._block,
            _ADDRESSES.size,
            now_ns,
            *names,
            side,
            kind,
            reduce_only,
            lots,
            price,
        )
        found: int = self._ask(self.address)
        return found


class Answer:
    """What the kernel found for one order, read from its bytes.

    Attributes:
        value: Valuation price.
        lots: What may be sent.
        code, gate: As in `Results`.
        stage, again: As in `Detail`.
        measures, limits, outcomes, headrooms, checks: Of each column of gates.
    """

    __slots__ = (
        "again",
        "checks",
        "code",
        "gate",
        "headrooms",
        "limits",
        "lots",
        "measures",
        "outcomes",
        "stage",
        "value",
    )

    def __init__(self, content: bytes, gates: int) -> None:
        self.value, self.lots, _, self.code, self.gate, self.stage, *self.again = _HEAD.unpack_from(
            content
        )
        self.measures, self.limits = (
            np.frombuffer(content, np.float64, gates, _GATES_AT + k * 8 * gates) for k in range(2)
        )
        self.outcomes = np.frombuffer(content, np.uint8, gates, _GATES_AT + 16 * gates)
        at = len(content) - 12 * gates
        self.headrooms = np.frombuffer(content, np.float64, gates, at)
        self.checks = np.frombuffer(content, np.int32, gates, at + 8 * gates)


def code_of(content: bytes) -> int:
    """Of an answer's bytes the code of its reason, as in `Results`."""
    code: int = _CODE.unpack_from(content, _CODE_AT)[0]
    return code


def lots_of(content: bytes) -> int:
    """Of an answer's bytes what may be sent, in lots."""
    return int(_NUMBER.unpack_from(content, _LOTS_AT)[0])


class Answers(NamedTuple):
    """What the kernel found for n orders: rows of `Answer`."""

    gates: np.ndarray[Any, np.dtype[np.int16]]  # (n,)
    measures: np.ndarray[Any, np.dtype[np.float64]]  # (n, G), as the rest
    limits: np.ndarray[Any, np.dtype[np.float64]]
    outcomes: np.ndarray[Any, np.dtype[np.uint8]]
    checks: np.ndarray[Any, np.dtype[np.int32]]


def read_answers(contents: Sequence[bytes], gates: int) -> Answers:
    """Read the bytes of several answers of one policy set at once."""
    rows = np.frombuffer(b"".join(contents), np.uint8).reshape(len(contents), -1)

    def part(dtype: Any, at: int, count: int) -> Any:
        size = np.dtype(dtype).itemsize * count
        return np.ascontiguousarray(rows[:, at : at + size]).view(dtype).reshape(-1, count)

    return Answers(
        part(np.int16, 20, 1)[:, 0],
        part(np.float64, _GATES_AT, gates),
        part(np.float64, _GATES_AT + 8 * gates, gates),
        part(np.uint8, _GATES_AT + 16 * gates, gates),
        part(np.int32, rows.shape[1] - 4 * gates, gates),
    )


def head_of(content: bytes) -> Head:
    """Of an answer's bytes what was found of the order as a whole."""
    _, lots, decision, code, gate, stage, *again = _HEAD.unpack_from(content)
    return Head(decision, int(lots), code, gate, stage, again)


def gate_of(content: bytes, gates: int, column: int) -> GateFound:
    """Of an answer's bytes what was found of the gate in a column."""
    at = len(content) - 12 * gates
    return GateFound.of(
        content[_GATES_AT + 16 * gates + column],
        *_NUMBER.unpack_from(content, _GATES_AT + 8 * column),
        *_NUMBER.unpack_from(content, _GATES_AT + 8 * (gates + column)),
        *_CHECK.unpack_from(content, at + 8 * gates + 4 * column),
        *_NUMBER.unpack_from(content, at + 8 * column),
    )


def value_of(content: bytes) -> float:
    """Of an answer's bytes the valuation price."""
    value: float = _NUMBER.unpack_from(content)[0]
    return value


def gates_part(content: bytes, gates: int) -> bytes:
    """Of an answer's bytes the measures (float64), limits (float64) and outcomes (bytes) of all columns."""
    return content[_GATES_AT : _GATES_AT + 17 * gates]


@lru_cache(maxsize=1)
def _compiled() -> tuple[Callable[[int], int], PackType]:
    module = load_module(_TEXT, lambda made: made.ask.compile(nt.int64(nt.int64)))
    # The compiled function's own entry: numba's dispatcher looks at the type of each argument first.
    (made,) = module.ask.overloads.values()
    return made.entry_point, module.QUESTION
