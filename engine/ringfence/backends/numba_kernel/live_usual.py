"""The usual order in one call: gates asked, and where they approve it as asked, reserved, recorded and signed.

Most orders of a live guard are approved as they were asked. For those, compiled code (`jit_usual`) writes the line of
the journal, the record of the audit log with its frame and its place in the chain, and signs the approval: the same
bytes as the guard makes of any other order, which a property test holds. Nothing is written to a file here, and an
order that is not approved as asked has moved nothing.
"""

import ctypes
import zlib
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from struct import Struct
from typing import NamedTuple

import numpy as np
from numba import types as nt

from ringfence.backends.numba_kernel import jit_usual as places
from ringfence.backends.numba_kernel.disk_cache import load_module
from ringfence.backends.numba_kernel.jit_packs import Pack
from ringfence.backends.numba_kernel.layout import HELD
from ringfence.backends.numba_kernel.live_entry import LiveEntry
from ringfence.backends.numba_kernel.live_evidence import LARGE, LiveEvidence

__all__ = ["FIELDS", "NOTHING_MORE", "LiveUsual", "Piece", "Template", "can_hash", "two_texts"]

#: A piece of text, and the name in `FIELDS` of what stands behind it; empty for nothing.
Piece = tuple[bytes, str]
#: What may stand behind a piece.
FIELDS = {
    "": places.NOTHING,
    "now": places.NOW,
    "expires": places.EXPIRES,
    "moment": places.MOMENT,
    "count": places.COUNT,
    "lots": places.LOTS,
    "sequence": places.SEQUENCE,
    "id length": places.ID_LENGTH,
    "client length": places.CLIENT_LENGTH,
    "evidence": places.EVIDENCE,
    "found": places.FOUND,
    "market": places.MARKET,
    "taken": places.TAKEN,
    "client": places.TEXT + places.CLIENT,
    "size": places.TEXT + places.SIZE,
    "approved": places.TEXT + places.APPROVED,
    "price": places.TEXT + places.PRICE_TEXT,
    "price number": places.TEXT + places.PRICE_NUMBER,
    "request": places.TEXT + places.REQUEST,
    "previous": places.TEXT + places.PREVIOUS,
}
# For the texts of several orders.
_ROOM = 1 << 18
_NULL = b"null"
_ORDER = Struct(f"=qd7q{places.TEXT_BYTES[0]}p128s128s")
_TWO_TEXTS = Struct("=64p64p")
_RUN = Struct(f"=11q{places.REQUEST_BYTES}p{places.PREVIOUS_BYTES}p")
#: Of an order that came without market data, and whose gates look at nothing that happened lately.
NOTHING_MORE: tuple[int, ...] = (0, len(_NULL), 0, len(_NULL), len(_NULL), len(_NULL))
_WRITTEN = Struct(f"=3q{places.PREVIOUS - 8 * (places.LINE_FROM + 1) + 1}x64s")
_SIGNATURE = Struct("=64s")

_TEXT = '''"""What a live guard calls for the usual order."""

from numba import njit

from ringfence.backends.numba_kernel import jit_usual

# It keeps the interpreter's lock: the call takes less time than giving the lock back and waiting for it.


@njit(error_model="numpy", _nrt=False, cache=True)
def decide(question):
    return jit_usual.decide(question)
'''


class Template:
    """What the texts of all orders of one route, side and type have in common, for compiled code.

    Args:
        record: Payload of the record.
        line: Text of the journal's line.
        signed: What is signed.
        codes: In the order of `jit_usual.ACCOUNT` to `RUN_LENGTH`.

    Attributes:
        address: Of all that, for compiled code.
    """

    __slots__ = ("_pack", "address")

    def __init__(
        self,
        record: Sequence[Piece],
        line: Sequence[Piece],
        signed: Sequence[Piece],
        codes: Sequence[int],
    ) -> None:
        pieces = [*record, *line, *signed]
        lengths = [len(text) for text, _ in pieces]
        first = np.cumsum([0, len(record), len(line), len(signed)], dtype=np.int64)
        self._pack = Pack(
            places.TEMPLATES,
            [
                np.frombuffer(bytearray(b"".join(text for text, _ in pieces)), np.uint8),
                np.cumsum([0, *lengths], dtype=np.int64),
                np.array([FIELDS[name] for _, name in pieces], np.int64),
                first,
                np.array(codes, np.int64),
            ],
        )
        self.address = self._pack.address

    def renamed(self, old: bytes, new: bytes) -> "Template":
        """The same with another text, as long, in place of one that stands in its pieces."""
        pieces, *rest = self._pack.arrays
        made = Template.__new__(Template)
        text = bytearray(pieces.tobytes().replace(old, new))
        made._pack = Pack(places.TEMPLATES, [np.frombuffer(text, np.uint8), *rest])
        made.address = made._pack.address
        return made


class LiveUsual:
    """Decides usual orders on the books and limits of a `LiveEntry`; one caller at a time.

    Args:
        entry: Asks the gates, and keeps what they found.
        evidence: Of the same books.
        records: Whether records are wanted.
        keeps: Whether the journal's lines are.

    Attributes:
        begin: Begins anew with frames and lines, of orders that are decided one after the other. Takes `jit_usual.NOW` to
            `LINE_FROM` as numbers, the last two of them 0, then what names the request in records, empty for nothing, and
            the hash of the record before, in hex.
        fill: Puts an order down: lots, price, address of its template; what `more` has given; its client's id, and what
            `two_texts` makes of its size as asked and as approved, and of its price as it is exactly and as a float.
        content: Gives the bytes of what gates found of the order that was decided last, for `live_entry.Answer`.
        most_bytes: The most that the frames since `begin` take.
    """

    def __init__(
        self, entry: LiveEntry, evidence: LiveEvidence, *, records: bool, keeps: bool
    ) -> None:
        hashing = _hashing()
        assert hashing is not None  # nosec B101  # `can_hash` comes first
        self._entry, self._evidence, self._hashing = entry, evidence, hashing
        self._records = records
        self._block = bytearray(places.BLOCK_BYTES)
        self._frame, self._line, self._signed = (np.zeros(_ROOM, np.uint8) for _ in range(3))
        self._more = np.zeros(_ROOM // 4, np.uint8)
        self._more_view = self._more.data
        self._more_view[: len(_NULL)] = _NULL
        self._hash = np.zeros(places.HASH_BYTES, np.uint8)
        self._digest = np.zeros(32, np.uint8)
        self._keys = np.zeros(2 * places.HASH_BYTES, np.uint8)
        self.most_bytes = _ROOM
        self._frame_view, self._line_view = self._frame.data, self._line.data
        self.content = entry.answer
        self._put(places.RECORDS, int(records))
        self._put(places.KEEPS, int(keeps))
        self._put(places.ENTRY, entry.address)
        self._put(places.WRITE, evidence.writer)
        for place, address in zip(
            (places.BEGIN, places.ADD, places.END, places.SUM), hashing, strict=True
        ):
            self._put(place, address)
        for place, array in (
            (places.HASH_AT, self._hash),
            (places.FRAME_AT, self._frame),
            (places.LINE_AT, self._line),
            (places.SIGNED_AT, self._signed),
            (places.DIGEST_AT, self._digest),
        ):
            self._put(place, int(array.ctypes.data))
        self.fill = partial(_ORDER.pack_into, self._block, 0)
        self.begin = partial(_RUN.pack_into, self._block, 8 * places.NOW)
        self._written = partial(_WRITTEN.unpack_from, self._block, 8 * places.CRC)
        self._signature = partial(_SIGNATURE.unpack_from, self._block, places.SIGNATURE)
        self._decide = _compiled()
        self._bind()

    def _put(self, place: int, value: int) -> None:
        Struct("=q").pack_into(self._block, 8 * place, value)

    def _bind(self) -> None:
        """Look at the room that evidence is written to, which may have become another."""
        views, out = self._evidence.address, self._evidence.out
        self._views = views
        self._put(places.VIEWS, views)
        words = len(self._block) // 8
        self._pack = Pack(
            places.QUESTION,
            [
                np.frombuffer(self._block, np.int64, words),
                np.frombuffer(self._block, np.float64, words),
                np.frombuffer(self._block, np.uint8),
                self._entry.found,
                out,
                self._more,
                self._frame,
                self._line,
                self._signed,
                self._digest,
                self._keys,
            ],
        )
        self._address = self._pack.address

    def sign_with(self, blocks: tuple[bytes, bytes]) -> None:
        """Sign with a key from now on: its blocks for the inner and the outer hash of HMAC, 64 bytes each."""
        begin, add = (ctypes.CFUNCTYPE(*_THREE)(at) for at in self._hashing[:2])
        for k, block in enumerate(blocks):
            at = int(self._keys.ctypes.data) + k * places.HASH_BYTES
            begin(at, 0, 0)
            add(at, int(np.frombuffer(block, np.uint8).ctypes.data), len(block))

    def holds_much(self, books: Sequence[int]) -> bool:
        """Whether a record tells some of these books (by their rows, -1 for none) by what changed."""
        counts = self._evidence.counts
        return self._records and any(b >= 0 and counts[b, HELD] > LARGE for b in books)

    def more(self, market: bytes, taken: bytes, recent: bytes) -> tuple[int, ...]:
        """Put down what the next order brings besides; `NOTHING_MORE` stands for nothing.

        Args:
            market: Market data as it came, in JSON; empty for none.
            taken: Market data as the books took it over, in JSON; empty for none.
            recent: What stands behind the evidence, its last bracket included; empty for nothing.

        Returns:
            For `fill`; empty where there is no room for so much.
        """
        texts = market or _NULL, taken or _NULL, recent
        ends: list[int] = []
        end = len(_NULL)
        if end + sum(map(len, texts)) > len(self._more_view):
            return ()
        for text in texts:
            self._more_view[end : end + len(text)] = text
            ends += (end, end + len(text))
            end += len(text)
        return tuple(ends)

    def decide(self) -> bytes | None:
        """Decide the order that `fill` has put down. One that is approved as asked has its lots reserved, and its texts
        written.

        Returns:
            The signature in hex, of use where one was wanted. None, and nothing has moved, for an order that is to be
            decided in another way.
        """
        if self._views != self._evidence.address:
            self._bind()
        if self._decide(self._address):
            return None
        signature: bytes = self._signature()[0]
        return signature

    def written(self) -> tuple[bytes, bytes, int, bytes]:
        """All frames since `begin`, one after the other, and all lines; the checksum of the journal's texts, and the last
        record's SHA-256, in hex."""
        crc, frames, lines, digest = self._written()
        return self._frame_view[:frames].tobytes(), self._line_view[:lines].tobytes(), crc, digest


def two_texts(one: bytes, other: bytes) -> bytes:
    """Two texts as `LiveUsual.fill` takes them, of at most 63 bytes each."""
    return _TWO_TEXTS.pack(one, other)


_THREE = (ctypes.c_int64,) * 4


class _Hashing(NamedTuple):
    """Addresses of SHA-256's three functions in OpenSSL, and of zlib's CRC-32."""

    begin: int
    add: int
    end: int
    checksum: int


@lru_cache(maxsize=1)
def _hashing() -> _Hashing | None:
    try:
        import _hashlib

        crypto, checks = ctypes.CDLL(_hashlib.__file__), ctypes.CDLL(
            getattr(zlib, "__file__", None)
        )
        functions = (crypto.SHA256_Init, crypto.SHA256_Update, crypto.SHA256_Final, checks.crc32)
    except (ImportError, AttributeError, OSError):
        return None
    addresses = (ctypes.cast(each, ctypes.c_void_p).value for each in functions)
    return _Hashing(*(address or 0 for address in addresses))


def can_hash() -> bool:
    """Whether this Python's own libraries for SHA-256 and CRC-32 can be called by compiled code."""
    return _hashing() is not None


@lru_cache(maxsize=1)
def _compiled() -> Callable[[int], int]:
    module = load_module(_TEXT, lambda made: made.decide.compile(nt.int64(nt.int64)))
    (made,) = module.decide.overloads.values()
    entry_point: Callable[[int], int] = made.entry_point
    return entry_point
