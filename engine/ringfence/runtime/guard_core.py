"""A guard's books, its one lock, and where it keeps what it was told and what it answered."""

import gc
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from ringfence.errors import InputError, LedgerError, RingfenceError, StateError, reason_of
from ringfence.language.linking import LinkedSet
from ringfence.runtime.audit_decision import policy_set_body
from ringfence.runtime.book_view import BookView, OpenOrder
from ringfence.runtime.books_keeper import BooksKeeper, OwnBooks
from ringfence.runtime.breach_ticks import BreachTicks
from ringfence.runtime.evaluator import Evaluator
from ringfence.runtime.garbage import no_collection
from ringfence.runtime.guard_books import Event, GuardBooks
from ringfence.runtime.guard_settings import Audit, GuardSettings, NoAudit, NoState
from ringfence.runtime.ports import Clock, LogFiles, Random
from ringfence.runtime.shared_books import SharedBooks
from ringfence.runtime.shared_log import SharedLog
from ringfence.runtime.state_directory import StateDirectory
from ringfence.runtime.told_books import TellsSince, ToldBooks

__all__ = ["GuardCore", "Listener", "WorkingOrder"]

Listener = Callable[[Event], None]
# So many orphaned orders stand in one record; with more, what an opened guard holds is looked through for
# garbage at once.
_MANY = 10_000
# So many orders are told of while others wait for the books: tenths of a millisecond.
_AT_ONCE = 256


class WorkingOrder(NamedTuple):
    """An approved order that has not ended; sizes are in units of the base, times in ns since 1970, UTC.

    `size` is what is unfilled. `client_order_id` is empty where it was asked without one. `approved_ns` and
    `expires_ns`, until when it may be sent, are 0 where the answer with its approval is forgotten.
    """

    order_id: str
    client_order_id: str
    venue: str
    account: str
    strategy: str
    symbol: str
    side: str
    size: Decimal
    filled: Decimal
    approved_ns: int
    expires_ns: int


class GuardCore:
    """What decisions and events have in common; see `CentralRiskGuard`."""

    def __init__(
        self,
        linked: LinkedSet,
        audit: Audit | None,
        state: Path | SharedLog | None,
        clock: Clock,
        settings: GuardSettings,
        files: LogFiles,
        random: Random,
    ) -> None:
        if audit is None and not settings.without_audit:
            raise InputError(
                "a guard needs an audit log", fix="give one, or set `without_audit=True`"
            )
        if state is None and not settings.in_memory:
            raise InputError(
                "a guard needs a directory for its state", fix="give one, or set `in_memory=True`"
            )
        is_shared = not (state is None or isinstance(state, Path))
        if is_shared and not settings.name:
            raise InputError(
                "guards that share books need names",
                fix="give each a name of its own: `GuardSettings(name=...)`",
            )
        self.settings = settings
        self._linked = linked
        self._clock = clock
        self._audit: Audit = audit if audit is not None else NoAudit()
        self._records = audit is not None
        self._told_books = ToldBooks(audit) if isinstance(audit, TellsSince) else None
        self._lock = threading.RLock()
        self._run, self._count = random.token(8), 0
        if settings.name:
            self._run = f"{settings.name}-{self._run}"
        self._closed = False
        self._breaches = BreachTicks()
        self._listeners: list[Listener] = []
        self._untold: deque[Event] = deque()
        self._telling = threading.Lock()
        self._inside = self._listener_errors = 0
        self._reconciled = {"equal": 0, "different": 0}
        self._ending = threading.Event()
        self._follower: threading.Thread | None = None
        with no_collection():
            self._open(state, files, is_shared)
            if len(self.orphans) > _MANY:
                # Now, and not while the first orders wait.
                gc.collect()

    def _open(self, state: Path | SharedLog | None, files: LogFiles, is_shared: bool) -> None:
        self._keeper: BooksKeeper = self._open_books(state, files)
        try:
            self._start(is_shared)
        except OSError as error:
            self._keeper.release()
            raise StateError(
                f"the state in `{state}` cannot be written: {reason_of(error)}",
                "see to its disk and rights, then open it again",
            ) from error
        except BaseException:
            self._keeper.release()
            raise

    def _open_books(self, state: Path | SharedLog | None, files: LogFiles) -> BooksKeeper:
        settings = self.settings
        if state is None:
            return OwnBooks(self._build(None), NoState(), settings.journal_bytes, self._happened)
        if not isinstance(state, Path):
            return SharedBooks(state, self._build, self._happened, settings.most_tries)
        store = StateDirectory(state, files, settings.durability)
        read = partial(self._read_books, store, state)
        try:
            books = read()
        except BaseException:
            store.close()
            raise
        return OwnBooks(books, store, settings.journal_bytes, self._happened, read)

    def _read_books(self, store: StateDirectory, state: Path) -> GuardBooks:
        snapshot, events = store.read()
        try:
            books = self._build(snapshot)
        except (LookupError, TypeError, ValueError) as error:
            raise StateError(
                f"the state in `{state}` cannot be read: {type(error).__name__.lower()} {error}",
                fix="open it with the version that wrote it",
            ) from None
        _replay(books, events)
        return books

    def _build(self, state: dict[str, Any] | None) -> GuardBooks:
        settings = self.settings
        names = (settings.accounts, settings.strategies, settings.venues)
        with no_collection():
            return GuardBooks(self._linked, names, settings.client_order_window_ns, state)

    def _start(self, is_shared: bool) -> None:
        self._keeper.ready(self._clock.now_ns())
        self._bind()
        if not is_shared:
            self._keeper.renew()
        own = self.settings.name
        found = self.book("firm").open_orders
        self.orphans: tuple[OpenOrder, ...] = tuple(
            each for each in found if not is_shared or _guard_of(each.order_id) == own
        )
        """Orders that worked when the guard was opened; they count until they end."""
        # What its decisions are read with, long after the policies have changed.
        if self._records:
            self._record("policy-set", policy_set_body(self._linked))
        # A record holds a bounded number of bytes.
        for at in range(0, len(self.orphans), _MANY):
            part = self.orphans[at : at + _MANY]
            self._record(
                "orphaned_reservations",
                {"orders": [[each.order_id, str(each.size)] for each in part]},
            )

        if is_shared and self.settings.poll_seconds > 0:
            self._follower = threading.Thread(
                target=self._follow, name="ringfence-books", daemon=True
            )
            self._follower.start()

    def _follow(self) -> None:
        """Hear of what other guards did while there is nothing to decide."""
        while not self._ending.wait(self.settings.poll_seconds):
            # Where the store cannot be asked, orders are rejected, and this tries again.
            with suppress(RingfenceError, OSError):
                self.catch_up()

    # Reading

    @property
    def _books(self) -> GuardBooks:
        return self._keeper.books

    @property
    def books(self) -> tuple[str, ...]:
        """Names of all books, the firm's first."""
        with self._lock:
            return self._books.ledger.books

    def book(self, name: str) -> BookView:
        """A book as it is now.

        Raises:
            LedgerError: there is no such book.
        """
        with self._lock:
            return self._books.ledger.book(name)

    def working_orders(
        self, *, account: str | None = None, venue: str | None = None
    ) -> tuple[WorkingOrder, ...]:
        """Every approved order that has not ended, with the names that its venue knows it by.

        Orders are decided meanwhile: what is told of each order is of one moment, of all of them it is not.

        Args:
            account, venue: Only of this account, only those sent there; None for all.
        """
        with self._lock:
            working = list(self._books.ledger.orders.working.values())
        if account is not None:
            working = [each for each in working if each.account == account]
        found: list[WorkingOrder] = []
        for at in range(0, len(working), _AT_ONCE):
            with self._lock:
                found += self._still_working(working[at : at + _AT_ONCE], venue)
        return tuple(found)

    def _still_working(self, orders: Iterable[Any], wanted: str | None) -> Iterator[WorkingOrder]:
        books = self._books
        for each in orders:
            if each.order_id not in books.ledger.orders.working:
                continue
            client, venue = books.placed.get(each.order_id, ("", ""))
            if wanted is not None and venue != wanted:
                continue
            step = books.ledger.arrays.lot_step(each.symbol)
            answer = books.answers.get(client)
            times = (0, 0) if answer is None else (answer.at_ns, answer.expires_ns)
            yield WorkingOrder(
                each.order_id,
                client,
                venue,
                each.account,
                each.strategy,
                each.symbol,
                each.side,
                each.rest * step,
                each.filled * step,
                *times,
            )

    def order_of(self, client_order_id: str) -> str:
        """The id of the order that was approved under a client's id, also after its end, for as long as answers
        are remembered; empty where there is none."""
        with self._lock:
            answer = self._books.answers.get(client_order_id)
            return answer.decision_id if answer is not None and answer.lots else ""

    def account_of(self, order_id: str) -> str:
        """The account of an order that works or ended lately; empty where none of that name is known."""
        with self._lock:
            try:
                return self._books.ledger.orders.find(order_id).account
            except LedgerError:
                return ""

    def venue_of(self, order_id: str) -> str:
        """The venue of an order that works; empty where it has none, or does not work."""
        with self._lock:
            return self._books.placed.get(order_id, ("", ""))[1]

    @property
    def policy_set(self) -> str:
        """SHA-256 of the policy set that decides."""
        return self._linked.sha256

    # Telling

    def listen(self, listener: Listener) -> None:
        """Call `listener` with each event from now on, after it was applied and kept, in order.

        An event is its kind, its time (ns) and what the kind holds (`guard_books`). With books that are
        shared, the events of all guards come. The listener is called from the thread that let the event
        happen, outside the guard's lock; what it raises is dropped.
        """
        with self._lock:
            self._listeners.append(listener)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the lock; whoever leaves it last tells the listeners what happened meanwhile."""
        with self._lock:
            self._inside += 1
            try:
                yield
            finally:
                self._inside -= 1
        if not self._inside:
            self._tell()

    def _happened(self, event: Event) -> None:
        if self._listeners:
            self._untold.append(event)

    def _tell(self) -> None:
        """Call the listeners; never under the lock, and one thread at a time, so that the order stays."""
        while self._untold:
            if not self._telling.acquire(blocking=False):
                return
            try:
                while self._untold:
                    event = self._untold.popleft()
                    for listener in tuple(self._listeners):
                        self._call(listener, event)
            finally:
                self._telling.release()

    def _call(self, listener: Listener, event: Event) -> None:
        try:
            listener(event)
        except Exception:
            self._listener_errors += 1

    # Keeping

    def checkpoint(self) -> None:
        """Put the state into a new snapshot; orders wait meanwhile.

        Raises:
            StateError: it cannot be written; new orders are rejected until it can.
        """
        with self._lock:
            try:
                self._keeper.renew()
            except OSError as error:
                raise StateError(
                    f"the state cannot be written: {reason_of(error)}",
                    "see to its disk; orders are rejected until it can be",
                ) from error

    def catch_up(self) -> None:
        """Take over what other guards did, for one that shares its books; it also happens by itself.

        Raises:
            StateError: the store cannot be asked.
        """
        with self._alone():
            if not self._closed:
                self._keeper.ready(self._clock.now_ns())
                self._keeper.current()
                self._bind_anew()

    def close(self) -> None:
        """Keep everything and give the files back; a guard that is closed rejects every order.

        Raises:
            StateError: not everything could be kept; it is closed all the same.
        """
        self._ending.set()
        if self._follower is not None and self._follower is not threading.current_thread():
            self._follower.join()
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._keeper.close()

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _bind_anew(self) -> None:
        """Where the books were read anew, or their limits are others, the evaluator looks at those."""
        books = self._books
        if self.evaluator.arrays is not books.ledger.arrays or self._bound != books.slice.share:
            self._bind()

    def _bind(self) -> None:
        self.evaluator = self._evaluator_of(self._linked)
        self._bound = self._books.slice.share

    def _evaluator_of(self, linked: LinkedSet) -> Evaluator:
        """What asks the gates of a policy set, with the limits that these books are held to."""
        return Evaluator(self._books.limits_of(linked), self._books.ledger.arrays)

    def _record(self, kind: str, body: Mapping[str, Any]) -> None:
        self._audit.wait(self._audit.append(kind, body))

    def _happen(self, kind: str, *rest: Any, audit: Mapping[str, Any] | None = None) -> Any:
        """Apply an event, keep it and record it; what happened is booked even where that fails.

        Raises:
            LedgerError: it cannot have happened; nothing has moved.
            StateError: it happened, but is not kept or not booked yet; the guard makes that good by itself.
            AuditError: it is booked and kept, but not recorded.
        """
        found, sequence, failed = self._book(kind, *rest, audit=audit)
        if failed is not None:
            raise failed
        if audit is not None:
            self._audit.wait(sequence)
        return found

    def _book(
        self, kind: str, *rest: Any, audit: Mapping[str, Any] | None
    ) -> tuple[Any, int, StateError | None]:
        """As `_happen`, without the wait for the record: the result, the record's number, and why it is not kept."""
        with self._alone():
            if self._closed:
                raise StateError("the guard is closed", "open it again")
            now = self._keeper.advance(self._clock.now_ns())
            sequence, failed, found = 0, None, None
            try:
                found = self._keeper.keep([kind, now, *rest])
            except StateError as error:
                failed = error
            if audit is not None:
                sequence = self._audit.append(kind, audit)
        return found, sequence, failed


def _guard_of(order_id: str) -> str:
    """The name of the guard that approved an order: its id goes on with the run and a number."""
    return order_id.rpartition("-")[0].rpartition("-")[0]


def _replay(books: GuardBooks, events: list[Event]) -> None:
    for number, event in enumerate(events, 1):
        try:
            books.apply(event)
        except (RingfenceError, LookupError, TypeError, ValueError) as error:
            raise StateError(
                f"record {number} of the journal cannot be read: {error}",
                "open it with the version that wrote it, or restore a backup",
            ) from None
