"""Records that tell of a large book only what changed since an earlier record told it in full, made complete.

A book is told as `[level, row, switch, names, rows, orders, oldest]` (`live_evidence`). Where one more stands
behind, `{"at": [...], "base": N, "held": COUNT}`, names, rows and orders are those of the places `at` alone, of `held`
places; all others are as record N told them of the book of the same level. That record stands before this one in the
same file of the log, and tells the book in full. In `recent`, `lot_money` of such a book is a list with one text, of
the places `at` alone, where all others are as record N told them.
"""

import binascii
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from ringfence.errors import AuditError
from ringfence.runtime.audit_codec import decode, encode
from ringfence.runtime.audit_decision import DECISION

__all__ = ["Completer", "in_full", "is_in_part", "may_be_in_part", "number_of"]

_LEVELS = ("firm", "account", "strategy")
_FULL, _SINCE = 7, 8
_LEVEL, _NAMES, _ROWS, _ORDERS, _ABOUT = 0, 3, 4, 5, 7
#: More symbols than this in one book are not believed.
_MOST_HELD = 100_000
_MONEY_BYTES = 8
# What books of earlier records may take of memory while a file is read, and what a name and its number take.
_KEPT_BYTES = 64 << 20
_NAME_BYTES = 100


class _Full(NamedTuple):
    """A book as a record told it: names, the bytes of its rows, numbers of orders, what lots are worth."""

    names: Sequence[str]
    rows: bytes
    orders: Sequence[int]
    money: bytes | None


class _Copied(Protocol):
    @property
    def rows(self) -> Any:
        """The rows, as an array."""
        ...

    @property
    def orders(self) -> Any:
        """Numbers of orders, as an array."""
        ...


class _Told(Protocol):
    """A book that the guard has told in full, and still knows."""

    @property
    def copied(self) -> _Copied: ...
    @property
    def names(self) -> Sequence[str]: ...
    @property
    def lot_money(self) -> Any: ...


class _WrongError(Exception):
    """What is told does not fit together; its text says why."""


def number_of(text: str, level: int, sequence: int) -> str:
    """The evidence of a record, with the number of the record that it names put in for the book of a level."""
    return text.replace(f'"base":{-1 - level},', f'"base":{sequence},')


def may_be_in_part(kind: str, body: bytes) -> bool:
    """Whether a record may tell only what changed; a quick look, which is never wrong where it says no."""
    # Text escapes its quotes, so that this is a key.
    return kind == DECISION and b'"base":' in body


def is_in_part(body: Mapping[str, Any]) -> bool:
    """Whether the body of a decision tells of some book only what changed."""
    return any(isinstance(each, list) and len(each) == _SINCE for each in _books(body))


def in_full(text: str, told: Mapping[int, _Told]) -> str:
    """The evidence of a record that was to tell only what changed, in full.

    Args:
        text: As JSON.
        told: The books as they were told in full, by their level.
    """
    known = {
        _LEVELS[level]: _Full(
            each.names,
            each.copied.rows.tobytes(),
            each.copied.orders.tolist(),
            None if each.lot_money is None else each.lot_money.tobytes(),
        )
        for level, each in told.items()
    }
    evidence = _completed(decode(text.encode("ascii")), lambda level, _: known[level])
    return encode(evidence).decode("ascii")


#: The body of a record of the same file by its number; None where the file has none before the one that asks.
ReadBody = Callable[[int], bytes | None]


class Completer:
    """Completes the records of one file of a log; not thread-safe.

    Who reads the file is named at each call, and not kept: reader and completer would each hold the other, and what a
    reader remembers of its file stay until the search for garbage comes by.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[int, dict[str, _Full]] = OrderedDict()
        self._bytes = 0

    def complete(self, sequence: int, body: dict[str, Any], read: ReadBody) -> dict[str, Any]:
        """The body of record `sequence` with every book in full; as it is where it has them already.

        Raises:
            AuditError: what it names is not there, or does not fit.
        """
        if not is_in_part(body):
            return body
        try:
            evidence = _completed(
                body["evidence"], lambda *about: self._base(sequence, read, *about)
            )
        except _WrongError as error:
            raise _not_complete(sequence, error) from None
        return {**body, "evidence": evidence}

    def complete_text(self, sequence: int, content: bytes, read: ReadBody) -> bytes:
        """As `complete`, of a body as JSON.

        What is large is put in as text: encoding all of it anew would keep Python's lock for as long as some hundred
        orders take.
        """
        body = decode(content)
        if not isinstance(body, dict) or not is_in_part(body):
            return content
        whole = self.complete(sequence, body, read)
        for key, before, after in (
            ("books", _books(body), _books(whole)),
            ("lot_money", _money_of(body["evidence"]), _money_of(whole["evidence"])),
        ):
            if before == after:
                continue
            told = f'"{key}":{_json(before)}'.encode("ascii")
            if content.count(told) != 1:
                # It is none that a guard writes.
                return encode(whole)
            text = _books_json(before, after) if key == "books" else _json(after)
            content = content.replace(told, f'"{key}":{text}'.encode("ascii"))
        return content

    def check(self, sequence: int, body: Mapping[str, Any], read: ReadBody) -> None:
        """As `complete`, where nobody wants what comes of it."""
        try:
            _check(body["evidence"], lambda *about: self._base(sequence, read, *about))
        except _WrongError as error:
            raise _not_complete(sequence, error) from None

    def _base(self, sequence: int, read: ReadBody, level: str, number: int) -> _Full:
        books = self._known.get(number)
        if books is None:
            body = read(number) if number < sequence else None
            if body is None:
                raise _WrongError(
                    f"it names record {number}, which its file does not hold before it"
                )
            books = _told_in_full(body)
            self._keep(number, books)
        else:
            self._known.move_to_end(number)
        if level not in books or number >= sequence:
            raise _WrongError(f"it names record {number}, which does not tell this book in full")
        return books[level]

    def _keep(self, number: int, books: dict[str, _Full]) -> None:
        self._known[number] = books
        self._bytes += _size(books)
        while self._bytes > _KEPT_BYTES and len(self._known) > 1:
            self._bytes -= _size(self._known.popitem(last=False)[1])


def _not_complete(sequence: int, error: Exception) -> AuditError:
    return AuditError(
        f"record {sequence} cannot be completed: {error}",
        "`ringfence audit verify` finds all that is wrong with the log",
    )


def _size(books: Mapping[str, _Full]) -> int:
    return sum(len(each.rows) + _NAME_BYTES * (1 + len(each.names)) for each in books.values())


def _books(body: Mapping[str, Any]) -> list[Any]:
    evidence = body.get("evidence")
    books = evidence.get("books") if isinstance(evidence, dict) else None
    return books if isinstance(books, list) else []


def _told_in_full(content: bytes) -> dict[str, _Full]:
    """The books that a record tells in full, by their level; none where it cannot be read."""
    found: dict[str, _Full] = {}
    try:
        body = decode(content)
        books = _books(body)
        money = _money_of(body["evidence"])
        for at, told in enumerate(books):
            if len(told) == _FULL:
                names, orders = told[_NAMES], told[_ORDERS]
                rows = binascii.a2b_base64(told[_ROWS], strict_mode=True)
                text = money[at] if at < len(money) else None
                worth = binascii.a2b_base64(text) if isinstance(text, str) else None
                if names and len(orders) == len(names) and len(rows) % len(names) == 0:
                    found[str(told[_LEVEL])] = _Full(names, rows, orders, worth)
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return {}
    return found


def _money_of(evidence: Mapping[str, Any]) -> list[Any]:
    recent = evidence.get("recent")
    money = recent.get("lot_money") if isinstance(recent, dict) else None
    return money if isinstance(money, list) else []


class _Fitting(NamedTuple):
    """What a book tells of changes, checked: the record's book that it names, the places, how many there are in all."""

    base: _Full
    at: list[int]
    held: int
    width: int
    rows: bytes


def _fitting(told: list[Any], base_of: Callable[[str, int], _Full]) -> _Fitting:
    """Check what a book tells of changes."""
    about, level = told[_ABOUT], told[_LEVEL]
    try:
        at, number, held = about["at"], about["base"], about["held"]
        rows = binascii.a2b_base64(told[_ROWS], strict_mode=True)
        count = len(at)
        whole = all(type(each) is int for each in (*at, number, held))
        fits = (
            whole and 0 <= held <= _MOST_HELD and len(told[_NAMES]) == len(told[_ORDERS]) == count
        )
    except (ValueError, TypeError, LookupError):
        fits = False
    if not fits or at != sorted(set(at)) or not all(0 <= each < held for each in at):
        raise _WrongError("what it tells of changes does not fit together")
    base = base_of(str(level), number)
    before, width = len(base.names), len(base.rows) // len(base.names)
    # Places that the earlier record does not have are all told.
    if len(rows) != width * count or at[count - max(0, held - before) :] != [*range(before, held)]:
        raise _WrongError(f"what it tells of changes does not fit to record {number}")
    return _Fitting(base, at, held, width, rows)


def _check(
    evidence: Mapping[str, Any], base_of: Callable[[str, int], _Full]
) -> tuple[dict[int, _Fitting], list[Any]]:
    """What the books of an order tell of changes, by their place, and the worth of lots of all of them."""
    fits = {
        place: _fitting(told, base_of)
        for place, told in enumerate(evidence["books"])
        if isinstance(told, list) and len(told) == _SINCE
    }
    money = [_money(each, fits.get(place)) for place, each in enumerate(_money_of(evidence))]
    return fits, money


def _completed(evidence: Mapping[str, Any], base_of: Callable[[str, int], _Full]) -> dict[str, Any]:
    fits, money = _check(evidence, base_of)
    found = dict(evidence)
    found["books"] = [
        _book(told, fits[place]) if place in fits else told
        for place, told in enumerate(evidence["books"])
    ]
    if money:
        found["recent"] = {**evidence["recent"], "lot_money": money}
    return found


def _book(told: list[Any], fit: _Fitting) -> list[Any]:
    base, at, held, width, changed = fit
    more = max(0, held - len(base.names))
    names, orders = [*base.names[:held], *[""] * more], [*base.orders[:held], *[0] * more]
    for place, name, count in zip(at, told[_NAMES], told[_ORDERS], strict=True):
        names[place], orders[place] = name, count
    found = list(told[:_FULL])
    found[_NAMES], found[_ORDERS] = names, orders
    found[_ROWS] = _text(_placed(base.rows, at, held, width, changed))
    return found


def _money(told: Any, fit: _Fitting | None) -> Any:
    if not isinstance(told, list):
        return told
    try:
        (text,) = told
        changed = binascii.a2b_base64(text, strict_mode=True)
    except (ValueError, TypeError):
        fit = None
    if fit is None or fit.base.money is None or len(changed) != _MONEY_BYTES * len(fit.at):
        raise _WrongError("what it tells of the worth of lots does not fit to what it names")
    return _text(_placed(fit.base.money, fit.at, fit.held, _MONEY_BYTES, changed))


def _placed(before: bytes, at: Sequence[int], held: int, width: int, changed: bytes) -> bytes:
    """What was there before, cut or made longer to `held` places, with what is told of some put in."""
    found = bytearray(before[: held * width].ljust(held * width, b"\0"))
    for k, place in enumerate(at):
        found[place * width : (place + 1) * width] = changed[k * width : (k + 1) * width]
    return bytes(found)


def _books_json(before: Sequence[Any], after: Sequence[Any]) -> str:
    texts = []
    for told, whole in zip(before, after, strict=True):
        if told is whole:
            texts.append(_json(whole))
            continue
        # Base64 needs no look at each of its letters.
        head, tail = _json(whole[:_ROWS])[:-1], _json(whole[_ROWS + 1 :])[1:]
        texts.append(f'{head},"{whole[_ROWS]}",{tail}')
    return f"[{','.join(texts)}]"


def _json(value: Any) -> str:
    return encode({"": value})[4:-1].decode("ascii")


def _text(content: bytes) -> str:
    return binascii.b2a_base64(content, newline=False).decode("ascii")
