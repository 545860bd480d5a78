"""Who keeps a guard's books: what a guard asks of them, and books of one process in a directory."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, Protocol

from ringfence.errors import RingfenceError, StateError, reason_of
from ringfence.language.linking import LinkedSet
from ringfence.runtime.garbage import no_collection
from ringfence.runtime.guard_books import Event, GuardBooks, Remembered
from ringfence.runtime.guard_settings import Store
from ringfence.runtime.metrics import Metric

__all__ = ["BooksKeeper", "OwnBooks", "order_event"]

_RETRY_NS = 1_000_000_000
_SEE_TO_DISK = "see to the disk and its rights"
Told = Callable[[Event], None]


class BooksKeeper(Protocol):
    """Moves a guard's books and keeps every move; one caller at a time.

    Attributes:
        books: As they are now; another object after `ready` or `current` where they had to be read anew.
        tries: How often an order may be decided anew because others moved the books.
        is_shared: Whether other guards move them too.
    """

    books: GuardBooks
    tries: int
    is_shared: bool

    def ready(self, now_ns: int) -> int:
        """Let time pass, and return the time that holds.

        Raises:
            OSError, StateError: the books are not what is kept, so nothing can be decided on them.
        """
        ...

    def advance(self, now_ns: int) -> int:
        """Let time pass for something that happens, and return its time. In shared books events alone do."""
        ...

    def current(self) -> bool:
        """Whether nobody moved the books since; they are brought up to date.

        Raises:
            StateError: that cannot be told.
        """
        ...

    def take_market(self, market: list[Any]) -> None:
        """Take over market data that came with an order; raises StateError where it cannot be kept."""
        ...

    def note_market(self, market: list[Any]) -> None:
        """Nothing else is kept of the order that this market data came with."""
        ...

    def keep_answer(self, client: str, market: list[Any] | None, answer: Remembered) -> bool:
        """Reserve and remember an answer; False where others moved the books, and nothing was.

        Raises:
            OSError, StateError: it could not be kept, and is taken back.
        """
        ...

    def keep_repeat(self, client: str) -> bool:
        """An approval is about to be given once more; False where others moved the books.

        Raises:
            OSError, StateError: it cannot be.
        """
        ...

    def undo(self, order_id: str, client: str) -> None:
        """Take an answer back that was kept."""
        ...

    def keep(self, event: Event) -> Any:
        """Apply an event and keep it.

        Raises:
            LedgerError: it cannot have happened; nothing has moved.
            StateError: it happened, but is not kept or not booked yet; that will be made good.
        """
        ...

    def renew(self) -> None:
        """Keep everything in a new snapshot; raises OSError or StateError."""
        ...

    def adopt(self, linked: LinkedSet) -> None:
        """Let the books be those of another policy set; raises StateError, and leaves them."""
        ...

    def close(self) -> None:
        """Keep everything, and give back what is held; raises StateError where not all could be kept."""
        ...

    def release(self) -> None:
        """Give back what is held, as the end of the process would."""
        ...

    def metrics(self) -> Iterable[Metric]:
        """What was counted."""
        ...


def order_event(client: str, market: list[Any] | None, answer: Remembered) -> Event:
    """That an order was answered."""
    return ["order", answer.at_ns, client, market, *answer.fields]


class OwnBooks:
    """Books of one process; each move is written to a directory, or forgotten with the process.

    A move that something interrupts (a signal's handler that raises, no memory) leaves books of which nobody knows
    how much has moved. They are read anew then, as a restart would read them; what has no store stays unusable.

    Args:
        books: As they are now.
        store: Where moves are kept.
        journal_bytes: A journal longer than this is put into a new snapshot.
        told: Is called with each event that was kept.
        read: Reads the books from the store; None where it keeps nothing.
    """

    tries = 1
    is_shared = False

    def __init__(
        self,
        books: GuardBooks,
        store: Store,
        journal_bytes: int,
        told: Told,
        read: Callable[[], GuardBooks] | None = None,
    ) -> None:
        self.books = books
        self._store, self._journal_bytes, self._told = store, journal_bytes, told
        self._read = read
        self._behind, self._retry_ns = False, 0
        self._is_unsound = self._has_changed = False
        # Orders and clients' ids of answers that nobody was given, to be taken back from books that are read anew.
        self._to_undo: list[tuple[str, str]] = []

    def advance(self, now_ns: int) -> int:
        if self._is_unsound:
            self._read_anew()
        try:
            return self.books.advance(now_ns)
        except BaseException:
            self._is_unsound = True
            raise

    def _read_anew(self) -> None:
        if self._read is None:
            raise StateError(
                "a move of the books was interrupted, and they are kept nowhere",
                fix="start a new guard; with a directory for its state it reads them anew by itself",
            )
        books = self._read()
        for each in self._to_undo:
            books.apply(["undo", books.now_ns, *each])
        self.books = books
        # The journal may end in what was taken back.
        self._behind = True
        self._to_undo.clear()
        self._is_unsound = False

    def ready(self, now_ns: int) -> int:
        now = self.advance(now_ns)
        if self._behind or self._store.written_bytes > self._journal_bytes:
            self._write_anew(now)
        return now

    def _write_anew(self, now: int) -> None:
        if now >= self._retry_ns:
            try:
                self.renew()
            except OSError:
                self._retry_ns = now + _RETRY_NS
        if self._behind:
            raise OSError("the state on disk is not that in memory")

    def current(self) -> bool:
        return True

    def take_market(self, market: list[Any]) -> None:
        try:
            self.books.take_market(market)
        except BaseException:
            self._is_unsound = True
            raise

    def note_market(self, market: list[Any]) -> None:
        self._append(["mark", self.books.now_ns, *market])

    def keep_answer(self, client: str, market: list[Any] | None, answer: Remembered) -> bool:
        self.book(client, answer)
        try:
            event = order_event(client, market, answer)
            self._store.append(event)
            self._told(event)
        except BaseException:
            self._behind = True
            self.undo(answer.decision_id, client)
            raise
        return True

    def book(self, client: str, answer: Remembered) -> None:
        """Let the books take an answer over that is yet to be kept."""
        try:
            self.books.book_answer(client, answer)
        except BaseException:
            self.lost([(answer.decision_id, client)])
            raise

    def keep_written(self, lines: bytes, crc: int, orders: Sequence[tuple[str, str]]) -> bool:
        """Keep answers that the books have taken over, and that are written out as the journal has them.

        Args:
            lines: Of the journal; empty where nothing is kept.
            crc: The checksum that the last begins with.
            orders: Their ids and those of their clients.

        Returns:
            False where they could not be kept, and are taken back.
        """
        try:
            if lines:
                self._store.append_lines(lines, crc)
        except OSError:
            self._behind = True
            for each in reversed(orders):
                self.undo(*each)
            return False
        except BaseException:
            self._behind = True
            raise
        return True

    def lost(self, orders: Iterable[tuple[str, str]]) -> None:
        """Nobody knows how much of these answers the books have taken over, and nobody was given them."""
        self._is_unsound = True
        self._to_undo += orders

    @property
    def store(self) -> Store:
        """Where moves are kept."""
        return self._store

    def keep_booked(self, events: list[Event]) -> None:
        """Keep what the books have taken over already, with one write.

        Raises:
            OSError: it could not be kept. Take it back: some of it may have been written.
        """
        try:
            self._store.append_all(events)
        except BaseException:
            self._behind = True
            raise
        for event in events:
            self._told(event)

    def keep_repeat(self, client: str) -> bool:
        del client
        return True

    def undo(self, order_id: str, client: str) -> None:
        try:
            if not self._is_unsound:
                event = ["undo", self.books.now_ns, order_id, client]
                self.books.apply(event)
                self._append(event)
                return
        except BaseException:
            self._is_unsound = True
            self._to_undo.append((order_id, client))
            raise
        self._to_undo.append((order_id, client))

    def keep(self, event: Event) -> Any:
        if self._is_unsound:
            self._read_anew()
        try:
            found = self.books.apply(event)
        except RingfenceError:
            raise
        except BaseException:
            self._is_unsound = True
            raise
        try:
            if self._behind:
                # The snapshot holds this event as well.
                self._write_anew(self.books.now_ns)
            else:
                self._store.append(event)
        except OSError as error:
            self._behind = True
            raise StateError(
                f"booked, but the state cannot be written: {reason_of(error)}", _SEE_TO_DISK
            ) from error
        except BaseException:
            self._behind = True
            raise
        self._told(event)
        return found

    def renew(self) -> None:
        if self._is_unsound:
            self._read_anew()
        self._behind = True
        with no_collection():
            self._store.renew(self.books.dump())
        self._behind = False

    def adopt(self, linked: LinkedSet) -> None:
        if self._is_unsound:
            self._read_anew()
        day, self._has_changed = self.books.trading_day, False
        try:
            self.books.adopt(linked, self._before_other_rules)
        except RingfenceError:
            raise
        except BaseException:
            self._is_unsound = True
            raise
        if self._read is not None and (self._has_changed or self.books.trading_day != day):
            # What the journal will hold was counted under these rules, and the present day ends as they say. Where no
            # snapshot can be written now, no order comes before one is.
            self._behind = True
            with suppress(OSError):
                self.renew()

    def _before_other_rules(self) -> None:
        """Put what was counted under the present rules of instruments into a snapshot.

        A restart reads the journal with the policy set that it is given.
        """
        self._has_changed = True
        if self._read is None or not (self._behind or self._store.written_bytes):
            return
        try:
            self.renew()
        except OSError as error:
            raise StateError(
                f"the state cannot be written: {reason_of(error)}", _SEE_TO_DISK
            ) from error

    def close(self) -> None:
        try:
            if self._is_unsound:
                self._read_anew()
            self.renew()
        except OSError as error:
            raise StateError(
                f"the state cannot be written: {reason_of(error)}", _SEE_TO_DISK
            ) from error
        finally:
            self.release()

    def release(self) -> None:
        self._store.close()

    def metrics(self) -> Iterable[Metric]:
        return ()

    def _append(self, event: Event) -> None:
        """Keep what was applied; where that fails, all of it is written anew before the next decision."""
        try:
            self._store.append(event)
        except OSError:
            self._behind = True
        else:
            self._told(event)
