"""A guard's books, its one lock, and where it keeps what it was told and what it answered."""

import gc
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ringfence.errors import InputError, RingfenceError, StateError
from ringfence.language.linking import LinkedSet
from ringfence.runtime.audit_decision import policy_set_body
from ringfence.runtime.book_view import BookView, OpenOrder
from ringfence.runtime.evaluator import Evaluator, gate_needs
from ringfence.runtime.guard_books import GuardBooks
from ringfence.runtime.guard_settings import Audit, GuardSettings, NoAudit, NoState, Store
from ringfence.runtime.ports import Clock, LogFiles, Random
from ringfence.runtime.state_directory import StateDirectory

__all__ = ["GuardCore"]

_RETRY_NS = 1_000_000_000


@contextmanager
def _no_collection() -> Iterator[None]:
    """While very many objects are made that all stay, looking for garbage takes most of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class GuardCore:
    """What decisions and events have in common; see `CentralRiskGuard`."""

    def __init__(
        self,
        linked: LinkedSet,
        audit: Audit | None,
        state: Path | None,
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
        self.settings = settings
        self._clock = clock
        self._audit: Audit = audit if audit is not None else NoAudit()
        self._records = audit is not None
        self._lock = threading.RLock()
        self._run, self._count = random.token(8), 0
        self._closed = False
        self._store: Store = NoState()
        snapshot: dict[str, Any] | None = None
        events: list[list[Any]] = []
        if state is not None:
            store = StateDirectory(state, files, settings.durability)
            self._store = store
        try:
            if state is not None:
                with _no_collection():
                    snapshot, events = store.read()
            names = (settings.accounts, settings.strategies, settings.venues)
            with _no_collection():
                self._books = GuardBooks(
                    linked, gate_needs(linked), names, settings.client_order_window_ns, snapshot
                )
                self._replay(events)
            self._books.advance(clock.now_ns())
            self.evaluator = Evaluator(linked, self._books.ledger.arrays)
            self._retry_ns = 0
            self._behind = False
            self._renew()
            self.orphans: tuple[OpenOrder, ...] = self.book("firm").open_orders
            """Orders that worked when the guard was opened; they count until they end."""
            # What its decisions are read with, long after the policies have changed.
            if self._records:
                self._record("policy-set", policy_set_body(linked))
            if self.orphans:
                self._record(
                    "orphaned_reservations",
                    {"orders": [[each.order_id, str(each.size)] for each in self.orphans]},
                )
        except OSError as error:
            self._store.close()
            raise StateError(f"the state in `{state}` cannot be written: {error}") from error
        except BaseException:
            self._store.close()
            raise

    def _replay(self, events: list[list[Any]]) -> None:
        for number, event in enumerate(events, 1):
            try:
                self._books.apply(event)
            except (RingfenceError, LookupError, TypeError, ValueError) as error:
                raise StateError(
                    f"record {number} of the journal cannot be read: {error}"
                ) from None

    # Reading

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

    @property
    def policy_set(self) -> str:
        """SHA-256 of the policy set that decides."""
        return self.evaluator.linked.sha256

    # Keeping

    def checkpoint(self) -> None:
        """Put the state into a new snapshot; orders wait meanwhile.

        Raises:
            StateError: it cannot be written; new orders are rejected until it can.
        """
        with self._lock:
            try:
                self._renew()
            except OSError as error:
                raise StateError(f"the state cannot be written: {error}") from error

    def close(self) -> None:
        """Keep everything and give the files back; a guard that is closed rejects every order."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            try:
                self.checkpoint()
            finally:
                self._store.close()

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _renew(self) -> None:
        self._behind = True
        with _no_collection():
            self._store.renew(self._books.dump())
        self._behind = False

    def _is_kept(self, now_ns: int) -> bool:
        """Whether the state on disk is that in memory; where it is not, all of it is written anew."""
        if not self._behind and self._store.written_bytes <= self.settings.journal_bytes:
            return True
        if now_ns < self._retry_ns:
            return False
        try:
            self._renew()
        except OSError:
            self._retry_ns = now_ns + _RETRY_NS
        return not self._behind

    def _keep(self, event: list[Any]) -> None:
        """Write an event that was applied; `OSError` where it could not be."""
        try:
            self._store.append(event)
        except BaseException:
            self._behind = True
            raise

    def _record(self, kind: str, body: Mapping[str, Any]) -> None:
        self._audit.wait(self._audit.append(kind, body))

    def _happen(self, kind: str, *rest: Any, audit: Mapping[str, Any] | None = None) -> Any:
        """Apply an event, keep it and record it; what happened is booked even where that fails.

        Raises:
            LedgerError: it cannot have happened; nothing has moved.
            StateError: it is booked, but not kept. Tell it again, or let the guard write its state.
            AuditError: it is booked and kept, but not recorded.
        """
        with self._lock:
            if self._closed:
                raise StateError("the guard is closed")
            event = [kind, self._books.advance(self._clock.now_ns()), *rest]
            found = self._books.apply(event)
            sequence, failed = 0, None
            try:
                self._keep(event)
            except OSError as error:
                failed = error
            if audit is not None:
                sequence = self._audit.append(kind, audit)
        if failed is not None:
            raise StateError(f"booked, but the state cannot be written: {failed}") from failed
        if audit is not None:
            self._audit.wait(sequence)
        return found
