"""The usual order, decided in one call of compiled code: approved as asked, in books of this process alone.

It is decided as `CentralRiskGuard` decides any other order, and leaves the same events and records, byte for byte, in
less than half the time. Whatever is out of the ordinary is left to that: an order that gates do not approve as asked, a book
that a record tells in full because it holds much, a log whose next file is due.
"""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, NamedTuple

from ringfence.backends.numba_kernel.live_usual import NOTHING_MORE, LiveUsual, can_hash
from ringfence.errors import StateError
from ringfence.language.decision import GateResult, RiskDecision
from ringfence.language.tickets import Refusal
from ringfence.runtime.approvals import Approval, Key, Signer, signed_approval
from ringfence.runtime.asked import SIDES, market_inputs, read_market
from ringfence.runtime.audit_log import AuditLog
from ringfence.runtime.book_arrays import BookArrays
from ringfence.runtime.books_keeper import OwnBooks, order_event
from ringfence.runtime.decision_record import market_text
from ringfence.runtime.evaluator import Evaluator, Found
from ringfence.runtime.guard_answers import Answer, Question
from ringfence.runtime.guard_books import GuardBooks, Remembered
from ringfence.runtime.guard_decision import TO_BE_MADE, GuardDecision, Signed
from ringfence.runtime.guard_looks import NO_STATE
from ringfence.runtime.guard_settings import NoState
from ringfence.runtime.state_directory import StateDirectory, encoded
from ringfence.runtime.usual_sorts import Price, Size, Sort, UsualSorts

if TYPE_CHECKING:
    from ringfence.runtime.guard import CentralRiskGuard

__all__ = ["UsualOrders"]

_APPROVE = RiskDecision.APPROVE
# No book is told by what changed.
_NONE_TOLD = (0, 0)
# Quicker than the call of a class, which binds each argument to its name.
_new: Callable[[type[Any], tuple[Any, ...]], Any] = tuple.__new__


class _Seen(NamedTuple):
    """An order that was approved, the bytes of what gates found of it, and the approval's signature in hex."""

    sort: Sort
    size: Size
    price: Price
    client: str
    answer: Remembered
    content: bytes
    signature: bytes


class UsualOrders:
    """The usual orders of one guard, which decides all others itself.

    Args:
        guard: Whose orders these are.
    """

    def __init__(self, guard: "CentralRiskGuard") -> None:
        self._guard = guard
        settings, audit, keeper = guard.settings, guard._audit, guard._keeper
        self._log = audit if type(audit) is AuditLog else None
        self._placing: Any = nullcontext() if self._log is None else self._log.placing
        self._signer = settings.signer if type(settings.signer) is Signer else None
        self._journal: StateDirectory | None = None
        self._run = f"{guard._run}-"
        self._most_clients = settings.most_client_orders
        self._max_skew_ns = settings.max_skew_ns
        self._approval_ns = settings.approval_ns
        self._evaluator: Evaluator | None = None
        self._arrays: BookArrays | None = None
        self._key: Key | None = None
        self._live: LiveUsual | None = None
        self._teller: _Teller | None = None
        self._ahead: tuple[Evaluator, int, LiveUsual] | None = None
        self._sorts: UsualSorts | None = None
        is_kept = False
        if isinstance(keeper, OwnBooks):
            store = keeper.store
            # What waits for a disk has time for the long way.
            if isinstance(store, StateDirectory) and store.durability == "process":
                self._journal = store
            is_kept = self._journal is not None or isinstance(store, NoState)
        self._is_able = (
            is_kept
            and can_hash()
            and settings.market_cache is None
            and settings.slices is None
            and settings.policy_lease_ns is None
            and (self._signer is not None or settings.signer is None)
            and (self._log is not None or not guard._records)
        )
        if self._is_able:
            # Now, and not while orders wait.
            self._fitting(keeper.books)

    def make_ready(self, evaluator: Evaluator) -> None:
        """Lay out beforehand what decides with other limits; the guard's lock need not be held."""
        if self._is_able:
            self._ahead = evaluator, evaluator.version, self._made(evaluator)

    def reserve(
        self, orders: Sequence[tuple[Any, Any]], signs: bool, request_id: str
    ) -> list[Answer]:
        """Decide orders up to the first that is not usual; they are kept, and the log has taken their records.

        The guard's lock is held.

        Where the next one's market data was taken over, the guard's `_taken_early` has it.

        Args:
            orders: Each with its market data.
            signs: Whether approvals are wanted.
            request_id: Of all of them, as `asked.read_request_id` reads it.
        """
        guard = self._guard
        keeper: Any = guard._keeper
        if not self._is_able or guard._closed or guard._shadow is not None:
            return []
        try:
            clock_ns = guard._clock.now_ns()
            now = keeper.ready(clock_ns)
        except (OSError, StateError):
            return []
        if now - clock_ns > self._max_skew_ns:
            # What a guard that is held off does is decided otherwise.
            return []
        books, signs = keeper.books, signs and self._signer is not None
        log: Any = self._log
        live, sorts = self._fitting(books)
        crc = 0 if self._journal is None else self._journal.crc
        request = f'"request_id":"{request_id}",'.encode() if request_id else b""
        digest, sequence, moment, is_durable = "", 0, 0, False
        undo: list[tuple[str, str]] = []
        happened: list[tuple[list[Any] | None, _Seen]] = []
        try:
            with self._placing:
                if log is not None:
                    place = log.next_place(live.most_bytes)
                    if place is None:
                        return []
                    digest, sequence, moment = place
                told: Any = guard._told_books
                is_told = log is not None and told is not None and told.arrays is self._arrays
                live.begin(
                    now,
                    now + self._approval_ns,
                    guard._count + 1,
                    signs,
                    moment,
                    sequence,
                    *((told.table, log.file_begins) if is_told else _NONE_TOLD),
                    crc,
                    0,
                    0,
                    request,
                    digest.encode(),
                )
                answers = self._approve(
                    orders, books, live, sorts, now, signs, sequence, undo, happened
                )
                if not answers:
                    return []
                frames, lines, crc, last = live.written()
                is_kept = keeper.keep_written(lines, crc, undo)
                if is_kept and log is not None:
                    is_durable = log.write_frames(frames, len(answers), last.decode())
        except BaseException:
            # Nobody is given these answers, and nobody knows how much of the last the books have taken over.
            if undo or guard._taken_early is not None:
                guard._taken_early = None
                keeper.lost(undo)
            raise
        if not is_kept:
            # A REJECT instead of each, for all were taken back.
            return [
                guard._refuse(
                    answer[0].id, now, Question(*order, NO_STATE, None, signs, request_id), NO_STATE
                )
                for order, answer in zip(orders, answers, strict=False)
            ]
        for taken, seen in happened:
            self._tell(taken, seen)
        # What lies in the log is told as it lies there, whatever befalls the log before the last of many orders.
        return [(answer, 0, name) for answer, _, name in answers] if is_durable else answers

    def _approve(
        self,
        orders: Sequence[tuple[Any, Any]],
        books: GuardBooks,
        live: LiveUsual,
        sorts: UsualSorts,
        now: int,
        signs: bool,
        sequence: int,
        undo: list[tuple[str, str]],
        happened: list[tuple[list[Any] | None, _Seen]],
    ) -> list[Answer]:
        """Decide orders up to the first that is not usual, and let the books take them over.

        Args:
            sequence: Number of the first one's record; 0 where there are none.
            undo: Gets the id and the client's id of each, before anything moves.
            happened: Gets each with the market data that it brought, where somebody wants to hear of it.
        """
        guard, run, most = self._guard, self._run, self._most_clients
        arrays, known, version = books.ledger.arrays, books.known_answers(), sorts.version
        expires, policy_set = now + self._approval_ns, sorts.policy_set
        approval = TO_BE_MADE if signs else None
        hears = bool(guard._listeners) or guard._noted is not None
        answers: list[Answer] = []
        waits = guard._breaches
        for given, market in orders:
            # The order before may have made the arrays grow.
            read = sorts.read(given) if arrays.version == version else None
            if read is None:
                break
            sort, size, price, client = read
            if client and (client in known or len(known) >= most):
                break
            if waits and waits.concern(sort.route.bounds, *sort.names[:2]):
                # It may find a limit kept whose breach waits for further ticks.
                break
            lots, more = size.lots, NOTHING_MORE
            if market is not None or sort.route.looks is not None:
                more = self._more(now, market, sort, lots, price, live)
                if not more:
                    break
            count = guard._count + 1
            name = f"{run}{count}"
            undo.append((name, client))
            live.fill(
                lots,
                price.number,
                sort.template.address,
                *more,
                client.encode(),
                size.texts,
                price.texts,
            )
            signature = live.decide()
            if signature is None:
                undo.pop()
                break
            guard._count = count
            content = (*sort.names, lots, price.given, sort.reduce_only)
            answer = _new(Remembered, (content, name, 0, lots, "", "", now, expires, policy_set))
            books.book_reserved(client, answer)
            seen = _new(_Seen, (sort, size, price, client, answer, live.content(), signature))
            decision = GuardDecision(
                name, _APPROVE, "", size.approved, "", policy_set, approval, now, self._teller, seen
            )
            answers.append((decision, sequence, undo[-1]))
            if hears:
                happened.append((guard._taken_early, seen))
            guard._taken_early = None
            if sequence:
                sequence += 1
        return answers

    def _more(
        self, now: int, market: Any, sort: Sort, lots: int, price: Price, live: LiveUsual
    ) -> tuple[int, ...]:
        """Take over market data that came with an order, and put down what its texts hold of it and of what happened
        lately; empty where it is to be decided in another way."""
        guard, evaluator = self._guard, self._evaluator
        assert evaluator is not None  # nosec B101  # `_bind` comes first
        route, given, taken = sort.route, b"", b""
        if route.looks is not None and live.holds_much(route.books):
            # What is told of the past hangs on what a record told in full.
            return ()
        if market is not None:
            try:
                read = read_market(market)
            except AttributeError:
                return ()
            if read is None or isinstance(read, Refusal):
                return ()
            found = guard._taken(route, route.key[3], read, now)
            if isinstance(found, Refusal):
                return ()
            given = market_text(market_inputs(market)).encode("ascii")
            if found is not None:
                guard._keeper.take_market(found)
                # Whoever decides on the order keeps this with it.
                guard._taken_early = found
                taken = encoded(found)
                if self._sorts is None or evaluator.arrays.version != self._sorts.version:
                    return ()
        recent = evaluator.recent(route, SIDES[sort.names[4]], lots, price.number, now)
        return live.more(given, taken, f',"recent":{recent}}}'.encode() if recent else b"")

    def _tell(self, taken: list[Any] | None, seen: _Seen) -> None:
        """Tell of an order that was kept whoever listens or counts approvals."""
        guard, teller = self._guard, self._teller
        guard._happened(order_event(seen.client, taken, seen.answer))
        if guard._noted is not None and teller is not None:
            guard._noted.append(teller.found(seen))

    def _fitting(self, books: GuardBooks) -> tuple[LiveUsual, UsualSorts]:
        """What decides on these books, with the limits and the key of now; and the sorts of orders under them."""
        guard, live, sorts, signer = self._guard, self._live, self._sorts, self._signer
        evaluator, arrays = guard.evaluator, books.ledger.arrays
        if (
            live is None
            or sorts is None
            or evaluator is not self._evaluator
            or arrays is not self._arrays
            or arrays.version != sorts.version
        ):
            guard._bind_anew()
            live, sorts = self._bind(guard.evaluator)
        if signer is not None and signer.key is not self._key:
            live.sign_with(signer.key.blocks)
            self._key = signer.key
        return live, sorts

    def _bind(self, evaluator: Evaluator) -> tuple[LiveUsual, UsualSorts]:
        """Look at other limits, or at other arrays."""
        evaluator.renew()
        ahead, self._ahead = self._ahead, None
        if ahead is not None and ahead[0] is evaluator and ahead[1] == evaluator.version:
            live = ahead[2]
        else:
            live = self._made(evaluator)
        guard = self._guard
        sorts = UsualSorts(evaluator, self._run, guard._linked.sha256, self._sorts, guard._gone)
        self._evaluator, self._live, self._sorts = evaluator, live, sorts
        self._arrays = evaluator.arrays
        self._key, self._teller = None, _Teller(evaluator)
        return live, sorts

    def _made(self, evaluator: Evaluator) -> LiveUsual:
        entry, evidence = evaluator.live
        return LiveUsual(
            entry, evidence, records=self._log is not None, keeps=self._journal is not None
        )


class _Teller(Signed):
    """Tells of orders that were approved under one set of limits."""

    __slots__ = ("_evaluator",)

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator

    def results(self, seen: _Seen) -> tuple[GateResult, ...]:
        return self._evaluator.results(self.found(seen))

    def found(self, seen: _Seen) -> Found:
        """What gates found, as of an order that was decided in any other way."""
        sort, size, price, client, answer, content, _ = seen
        asked = sort.asked(size, price, client)
        return self._evaluator.approved(sort.route, asked, size.lots, answer.at_ns, content)

    def approval(self, seen: _Seen) -> Approval:
        sort, size, price, client, answer, _, signature = seen
        values = (
            answer.decision_id,
            *sort.names,
            size.approved,
            price.exact,
            sort.reduce_only,
            client,
            answer.policy_set,
            answer.at_ns,
            answer.expires_ns,
        )
        return signed_approval(values, signature.decode())
