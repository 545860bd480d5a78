"""The usual order, compiled: gates asked, and where they approve it as asked, its texts written and its lots reserved.

Texts are written from templates: pieces of text, each with what stands behind it. A question lies in one block of
memory, as whole numbers, as floats and as bytes; its places are the constants below.
"""

import numpy as np
from numba import types

from ringfence.backends.numba_kernel.jit_calls import call_evidence, call_three
from ringfence.backends.numba_kernel.jit_entry import call_decide
from ringfence.backends.numba_kernel.jit_layout import books_at, detail_at, results_at
from ringfence.backends.numba_kernel.jit_ledger import FIRM, reserve
from ringfence.backends.numba_kernel.jit_numbers import plain, usable
from ringfence.backends.numba_kernel.jit_packs import Field, PackType, reader
from ringfence.backends.numba_kernel.jit_rows import valuation_price
from ringfence.backends.numba_kernel.jit_told import STATE, put_since, since_of
from ringfence.backends.numba_kernel.jit_writing import base64, base64_end, copied, hexed, number

__all__ = ["QUESTION", "TEMPLATES", "decide"]

#: What `decide` returns where the order is to be decided in another way; nothing has moved.
UNUSUAL = -2

#: What an order brings: lots, its price (a float), its template, and where in `more` each of its texts begins and ends;
#: then texts, each behind a byte with its length.
LOTS, PRICE, TEMPLATE = range(3)
MARKET_FROM, MARKET_TO, TAKEN_FROM, TAKEN_TO, RECENT_FROM, RECENT_TO = range(3, 9)
TEXT_BYTES = (256, 64, 64, 64, 64)
CLIENT, SIZE, APPROVED, PRICE_TEXT, PRICE_NUMBER = (72 + sum(TEXT_BYTES[:k]) for k in range(5))
#: What orders that are decided one after the other have in common, and what goes on from one to the next: the number of an
#: order, that of its record, the checksum of the journal, where the next frame and line begin. `COPIES` are those of large
#: books, and `BEGINS` is the first record that may be named for one.
_RUN = (72 + sum(TEXT_BYTES)) // 8
NOW, EXPIRES, COUNT, SIGNS, MOMENT, SEQUENCE, COPIES, BEGINS, CRC, FRAME_FROM, LINE_FROM = range(
    _RUN, _RUN + 11
)
#: Behind a byte with its length each: what names the request; the hash of the record before, which goes on as well.
REQUEST = 8 * (_RUN + 11)
REQUEST_BYTES, PREVIOUS_BYTES = 128, 72
PREVIOUS = REQUEST + REQUEST_BYTES
_SAME = (PREVIOUS + PREVIOUS_BYTES) // 8
#: What is the same for all orders: addresses, and which texts are wanted.
ENTRY, VIEWS, WRITE, RECORDS, KEEPS, HASH_AT, FRAME_AT, LINE_AT, SIGNED_AT, DIGEST_AT = range(
    _SAME, _SAME + 10
)
BEGIN, ADD, END, SUM, ID_LENGTH = range(_SAME + 10, _SAME + 15)
#: The approval's signature, in hex.
SIGNATURE = 8 * (_SAME + 15)
BLOCK_BYTES = SIGNATURE + 64
#: What stands behind a piece: the place of a whole number, that of a text and this, or one of those below zero.
TEXT = 1 << 16
NOTHING, EVIDENCE, FOUND, CLIENT_LENGTH, MARKET, TAKEN = -1, -2, -3, -4, -5, -6
#: The templates of an order.
RECORD_TEXT, LINE_TEXT, SIGNED_TEXT = range(3)
#: Of an order's route: codes of its names, rows of its books, side, kind, whether it may only reduce.
ACCOUNT, STRATEGY, VENUE, SYMBOL, ACCOUNT_BOOK, STRATEGY_BOOK, SIDE, KIND, REDUCE_ONLY = range(9)
#: And how long an order's id is before the number that it ends in.
RUN_LENGTH = 9
#: What an unfinished SHA-256 takes, at most.
HASH_BYTES = 256

# Before a record in its frame, and before the text of a line.
_FRAME_HEAD, _CRC_TEXT = 12, 9


def _arrays(kind, *names):
    return [Field(name, types.Array(kind, 1, "C"), 0) for name in names]


#: The block, and the arrays that are read and written.
QUESTION = PackType(
    "UsualQuestion",
    (
        *_arrays(types.int64, "whole"),
        *_arrays(types.float64, "number"),
        *_arrays(types.uint8, "text", "found", "evidence", "more", "frame", "line", "signed"),
        *_arrays(types.uint8, "digest", "keys"),
    ),
)
#: Pieces of text with where each begins, what stands behind each, where each template begins, and the route's codes.
TEMPLATES = PackType(
    "UsualTemplates",
    (
        *_arrays(types.uint8, "pieces"),
        *_arrays(types.int64, "begins", "behind", "first", "codes"),
    ),
)
#: The question of `live_entry`, as far as it is used.
ASKED = PackType("UsualAsked", (*_arrays(types.int64, "whole"), *_arrays(types.float64, "number")))
question_at, templates_at, asked_at = reader(QUESTION), reader(TEMPLATES), reader(ASKED)


@plain
def digits(value):
    """How many a whole number above zero has."""
    count = 1
    while value >= 10:
        value //= 10
        count += 1
    return count


@plain
def text(out, at, source, place):
    """A text of the order."""
    start = place + 1
    return copied(out, at, source, start, start + np.int64(source[np.uint64(place)]))


@plain
def filled(Q, P, which, out, at, evidence):
    """A template, with what stands behind its pieces."""
    W, begins, behind = Q.whole, P.begins, P.behind
    for k in range(P.first[which], P.first[which + 1]):
        at = copied(out, at, P.pieces, begins[k], begins[k + 1])
        what = behind[k]
        if what >= TEXT:
            at = text(out, at, Q.text, what - TEXT)
        elif what >= 0:
            at = number(out, at, W[what])
        elif what == EVIDENCE:
            at = copied(out, at, Q.evidence, 0, evidence)
            if W[RECENT_TO] > W[RECENT_FROM]:
                # It goes on where the evidence has its last bracket.
                at = copied(out, at - np.uint64(1), Q.more, W[RECENT_FROM], W[RECENT_TO])
        elif what == FOUND:
            at, carry, carried = base64(
                out, at, Q.found, 0, Q.found.shape[0], np.uint32(0), 0
            )  # fmt: skip
            at = base64_end(out, at, carry, carried)
        elif what == MARKET:
            at = copied(out, at, Q.more, W[MARKET_FROM], W[MARKET_TO])
        elif what == TAKEN:
            at = copied(out, at, Q.more, W[TAKEN_FROM], W[TAKEN_TO])
        elif what == CLIENT_LENGTH:
            at = number(out, at, np.int64(Q.text[CLIENT]))
    return at


@plain
def put_word(out, at, value):
    """32 bits, the lowest first."""
    for k in range(4):
        out[np.uint64(at + k)] = np.uint8((value >> (8 * k)) & 255)


@plain
def write_line(Q, P):
    """The journal's line: the checksum of all texts so far in hex, a blank, and the text."""
    W, out, first = Q.whole, Q.line, Q.whole[LINE_FROM]
    start = first + _CRC_TEXT
    end = np.int64(filled(Q, P, LINE_TEXT, out, np.uint64(start), 0))
    crc = call_three(W[SUM], W[CRC], W[LINE_AT] + start, end - start) & 0xFFFFFFFF
    for k in range(4):
        Q.digest[k] = np.uint8((crc >> (8 * (3 - k))) & 255)
    hexed(out, np.uint64(first), Q.digest, 0, 4)
    out[np.uint64(start - 1)], out[np.uint64(end)] = np.uint8(32), np.uint8(10)
    W[CRC], W[LINE_FROM] = crc, end + 1


@plain
def write_frame(Q, P, evidence):
    """The record in its frame; its hash is the one before from now on."""
    W, out, first = Q.whole, Q.frame, Q.whole[FRAME_FROM]
    start = first + _FRAME_HEAD
    end = np.int64(filled(Q, P, RECORD_TEXT, out, np.uint64(start), evidence))
    address, size = W[FRAME_AT] + start, end - start
    put_word(out, first, size)
    put_word(out, first + 4, call_three(W[SUM], 0, address, size))
    put_word(out, first + 8, call_three(W[SUM], 0, W[FRAME_AT] + first, 8))
    call_three(W[BEGIN], W[HASH_AT], 0, 0)
    call_three(W[ADD], W[HASH_AT], address, size)
    call_three(W[END], W[DIGEST_AT], W[HASH_AT], 0)
    hexed(Q.text, np.uint64(PREVIOUS + 1), Q.digest, 0, 32)
    W[FRAME_FROM] = end
    W[SEQUENCE] += 1


@plain
def sign(Q, P):
    """HMAC-SHA256 (RFC 2104); `keys` are what the key's two blocks made of two hashes."""
    W = Q.whole
    end = np.int64(filled(Q, P, SIGNED_TEXT, Q.signed, np.uint64(2 * HASH_BYTES), 0))
    inner, outer = W[SIGNED_AT], W[SIGNED_AT] + HASH_BYTES
    for k in range(2 * HASH_BYTES):
        Q.signed[k] = Q.keys[k]
    call_three(W[ADD], inner, W[SIGNED_AT] + 2 * HASH_BYTES, end - 2 * HASH_BYTES)
    call_three(W[END], W[DIGEST_AT], inner, 0)
    call_three(W[ADD], outer, W[DIGEST_AT], 32)
    call_three(W[END], W[DIGEST_AT], outer, 0)
    hexed(Q.text, np.uint64(SIGNATURE), Q.digest, 0, 32)


@plain
def has_room(Q, P, evidence):
    """Whether all texts fit."""
    most = P.pieces.shape[0] + evidence + 2 * Q.found.shape[0] + 20 * P.behind.shape[0] + 2048
    most += Q.more.shape[0]
    frames, lines = Q.frame.shape[0] - Q.whole[FRAME_FROM], Q.line.shape[0] - Q.whole[LINE_FROM]
    return most <= min(frames, min(lines, Q.signed.shape[0]))


@plain
def write_evidence(Q, P):
    """Write what the order is decided on; its length, or -1 where it tells a large book in full, which is copied then."""
    W, account, strategy = Q.whole, P.codes[ACCOUNT_BOOK], P.codes[STRATEGY_BOOK]
    table = W[COPIES]
    since = since_of(table, FIRM), since_of(table, account), since_of(table, strategy)
    found = call_evidence(
        W[WRITE],
        W[VIEWS],
        FIRM,
        account,
        strategy,
        P.codes[SYMBOL],
        P.codes[VENUE],
        table,
        W[BEGINS],
        0,
    )
    length = found & (STATE - 1)
    if found >= 0 and found & STATE == 0 and has_room(Q, P, length):
        return length
    # It is written once more on the way that this order takes.
    put_since(table, FIRM, since[0])
    put_since(table, account, since[1])
    put_since(table, strategy, since[2])
    return -1


@plain
def is_plain(source, place):
    """Whether a text reads in JSON as it is: printable ASCII without quotes and strokes."""
    start = np.uint64(place + 1)
    for k in range(np.uint64(source[np.uint64(place)])):
        byte = source[start + k]
        if byte < 32 or byte > 126 or byte == 34 or byte == 92:
            return False
    return True


@plain
def decide(question):
    """Returns 0 for an order that was approved as asked, 1 or 2 for one that was not, -1 where it has no price."""
    Q = question_at(question)
    W = Q.whole
    A = asked_at(W[ENTRY])
    P = templates_at(W[TEMPLATE])
    C = P.codes
    if not is_plain(Q.text, CLIENT):
        return UNUSUAL
    books, results, details = A.whole[1], A.whole[3], A.whole[4]
    s, side, kind, price, lots = C[SYMBOL], C[SIDE], C[KIND], Q.number[PRICE], float(W[LOTS])
    value = valuation_price(books_at(books).sym, s, side, kind, price)
    A.number[15] = value
    if not usable(value):
        return -1
    R = results_at(results)
    detail_at(details).stage[0] = 0
    R.size[0] = call_decide(
        A.whole[0], books, A.whole[2], results, details, 1, 0, W[NOW], C[ACCOUNT], C[STRATEGY], C[VENUE], s,
        side, kind, lots, 0, price, value, C[REDUCE_ONLY],
    )  # fmt: skip
    if R.decision[0] != 0:
        return int(R.decision[0])
    evidence = 0
    if W[RECORDS] != 0:
        evidence = write_evidence(Q, P)
        if evidence < 0:
            return UNUSUAL
    elif not has_room(Q, P, 0):
        return UNUSUAL
    W[ID_LENGTH] = C[RUN_LENGTH] + digits(W[COUNT])
    if W[KEEPS] != 0:
        write_line(Q, P)
    if W[RECORDS] != 0:
        write_frame(Q, P, evidence)
    if W[SIGNS] != 0:
        sign(Q, P)
    reserve(books, C[ACCOUNT_BOOK], C[STRATEGY_BOOK], s, side, lots)
    W[COUNT] += 1
    return 0
