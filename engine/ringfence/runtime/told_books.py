"""Books that hold much, as records have told them in full: later records tell only what is another since.

A record that names an earlier one must lie in the same file of the log, for each file can be read by itself. Only
the log knows which file a record goes into, and only as it takes it. So such a record is offered to the log together
with the number that it names; where it would go into another file, the log takes nothing, and the record is made
anew with its books in full. So it is after a restart, for nothing here outlives the process; and after a record
that the log did not take, for a record without a number is named by none.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

from ringfence.backends.numba_kernel.layout import Floats
from ringfence.backends.numba_kernel.live_evidence import (
    IN_FULL,
    LARGE,
    Copied,
    LiveEvidence,
    ToldTable,
)
from ringfence.runtime.audit_decision import DECISION
from ringfence.runtime.audit_told import in_full, number_of
from ringfence.runtime.book_arrays import NO_BOOK, BookArrays
from ringfence.runtime.guard_settings import Audit

__all__ = ["MOST_BYTES", "ShownSince", "TellsSince", "Told", "ToldBooks"]

#: What all copies together may take of memory; then the oldest goes.
MOST_BYTES = 64 << 20
# What a copy takes beside its arrays, and for each symbol.
_BESIDE_BYTES, _NAME_BYTES = 1_000, 8


@runtime_checkable
class TellsSince(Audit, Protocol):
    """A log that knows which of its records lie in one file.

    `file_begins` is the number of the first record of the file that is written.
    """

    file_begins: int

    def append(self, kind: str, body: Mapping[str, Any] | bytes, beside: int = 0) -> int:
        """Take a record; where record `beside` lies in another file than it would, nothing is taken, and it is 0."""
        ...


class Told:
    """A book as a record told it in full.

    Attributes:
        book: Its row.
        copied: Its rows.
        names: Its symbols.
        lot_money: What a lot of each is worth; None where the record does not say so.
        sequence: Of the record; 0 before the log has taken it.
    """

    __slots__ = ("book", "copied", "lot_money", "names", "sequence")

    def __init__(
        self, book: int, copied: Copied, names: Sequence[str], lot_money: Floats | None
    ) -> None:
        self.book, self.copied, self.names, self.lot_money = book, copied, names, lot_money
        self.sequence = 0

    @property
    def size_bytes(self) -> int:
        """What it takes of memory."""
        return self.copied.size_bytes + _NAME_BYTES * len(self.names) + _BESIDE_BYTES


class ShownSince(NamedTuple):
    """What an order was decided on.

    Attributes:
        told: Whose copies these are.
        text: As JSON; -1, -2 or -3 stands for the number of a record that had none yet.
        new: Books that it tells in full, by their level.
        old: Books of which it tells what changed, by their level.
        oldest: The first of the records that it names; 0 where one had no number yet.
    """

    told: "ToldBooks"
    text: str
    new: Mapping[int, Told]
    old: Mapping[int, Told]
    oldest: int


class ToldBooks:
    """The copies of one guard; one caller at a time.

    Args:
        log: Takes its records.
        most_bytes: What the copies may take of memory.

    Attributes:
        log: Takes its records.
        arrays: What the rows of books belong to; None before the first.
        table: Address of the table of copies.
        size_bytes: What the copies take.
    """

    def __init__(self, log: TellsSince, most_bytes: int = MOST_BYTES) -> None:
        self.log, self._most_bytes = log, most_bytes
        self.arrays: BookArrays | None = None
        self._kept: OrderedDict[int, Told] = OrderedDict()
        self._table = ToldTable()
        self.table = self._table.address
        self.size_bytes = 0

    def begin(self, arrays: BookArrays) -> None:
        """Forget all copies: books that were read anew may have other codes for the same names.

        Args:
            arrays: What the rows of books belong to from now on.
        """
        self._kept.clear()
        self._table = ToldTable()
        self.table, self.arrays, self.size_bytes = self._table.address, arrays, 0

    def named(self, evidence: LiveEvidence, books: Sequence[int]) -> dict[int, Told]:
        """The books of which the text that was written last tells what changed, by their level."""
        return {
            level: self._kept[b]
            for level, b in enumerate(books)
            if b != NO_BOOK and evidence.changed[level] != IN_FULL
        }

    def copied(
        self,
        evidence: LiveEvidence,
        books: Sequence[int],
        lot_money: Callable[[int], Floats] | None,
        names: Sequence[str],
    ) -> dict[int, Told]:
        """Copy the books that hold much and that the text which was written last tells in full; by their level.

        Args:
            evidence, books: The text's.
            lot_money: What a lot of each symbol of a book is worth; None where the record does not say so.
            names: Of symbols, by their codes.
        """
        new: dict[int, Told] = {}
        for level, b in enumerate(books):
            if b == NO_BOOK or evidence.changed[level] != IN_FULL:
                continue
            copied = evidence.copied(b)
            if len(copied.held) > LARGE:
                called = [names[s] for s in copied.held.tolist()]
                worth = None if lot_money is None else lot_money(b)
                new[level] = Told(b, copied, called, worth)
                self._keep(new[level])
        return new

    def _keep(self, told: Told) -> None:
        self._forget(told.book)
        # A book that is told often is copied often, so that the oldest copy is of one that is not.
        while self._kept and self.size_bytes + told.size_bytes > self._most_bytes:
            self._forget(next(iter(self._kept)))
        if told.size_bytes > self._most_bytes:
            return
        self._kept[told.book] = told
        self.size_bytes += told.size_bytes
        self._table.put(told.book, told.copied, 0)
        self.table = self._table.address

    def _forget(self, b: int) -> None:
        gone = self._kept.pop(b, None)
        if gone is not None:
            self.size_bytes -= gone.size_bytes
            self._table.put(b, None, 0)

    def append(self, shown: ShownSince, made: Callable[[str], bytes]) -> int:
        """Have the log take a record; its number.

        Args:
            shown: What its order was decided on.
            made: Makes the record's body of that, as JSON.

        Raises:
            AuditError: the log does not take it.
        """
        sequence, text, oldest = 0, shown.text, shown.oldest
        if shown.old:
            if not oldest:
                oldest = min(told.sequence for told in shown.old.values())
                for level, told in shown.old.items():
                    text = number_of(text, level, told.sequence)
            if oldest:
                sequence = self.log.append(DECISION, made(text), oldest)
            if not sequence:
                text = in_full(shown.text, shown.old)
                for told in shown.old.values():
                    if self._kept.get(told.book) is told:
                        self._forget(told.book)
        if not sequence:
            sequence = self.log.append(DECISION, made(text))
        for told in shown.new.values():
            told.sequence = sequence
            if self._kept.get(told.book) is told:
                self._table.number(told.book, sequence)
        return sequence
