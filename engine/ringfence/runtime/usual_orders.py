"""The usual order, decided in one call of compiled code: approved as asked, in books of this process alone.

It is decided as `CentralRiskGuard` decides any other order, and leaves the same events and records, byte for byte, in
less than half the time. Whatever is out of the ordinary is left to that: an order that gates do not approve as asked, a book
that a record tells in full because it holds much, a log whose next file is due.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from ringfence.backends.numba_kernel.live_usual import NOTHING_MORE, LiveUsual, Template, can_hash
from ringfence.errors import StateError
from ringfence.language.decision import GateResult, RiskDecision
from ringfence.language.orders import OrderRequest
from ringfence.language.tickets import Refusal
from ringfence.runtime.approvals import Approval, Key, Signer, signed_approval
from ringfence.runtime.asked import (
    KINDS,
    LONGEST_NAME,
    LONGEST_NUMBER,
    SIDES,
    Asked,
    market_inputs,
    read_market,
    read_number,
)
from ringfence.runtime.audit_log import AuditLog
from ringfence.runtime.books_keeper import OwnBooks, order_event
from ringfence.runtime.decision_record import market_text
from ringfence.runtime.evaluator import Evaluator, Found, Route
from ringfence.runtime.guard_answers import Answer, Question
from ringfence.runtime.guard_books import GuardBooks, Remembered
from ringfence.runtime.guard_decision import GuardDecision, Later
from ringfence.runtime.guard_looks import NO_STATE
from ringfence.runtime.guard_settings import NoState
from ringfence.runtime.state_directory import StateDirectory, encoded
from ringfence.runtime.usual_templates import template_of

if TYPE_CHECKING:
    from ringfence.runtime.guard import CentralRiskGuard

__all__ = ["UsualOrders"]

_NAN = float("nan")
_APPROVE = RiskDecision.APPROVE
# As compiled code has room for; a longer text is none of a usual order.
_LONGEST_TEXT = 63
# Sorts of orders, sizes of each, and prices that are known: most traders send the same ones again and again.
_MOST_SORTS, _MOST_SIZES, _MOST_PRICES = 4_096, 1_024, 4_096
_in_json = msgspec.json.Encoder().encode


# Quicker than the call of a class, which binds each argument to its name.
_new: Callable[[type[Any], tuple[Any, ...]], Any] = tuple.__new__


class _Size(NamedTuple):
    """A size: in lots, as asked and as approved, and the texts of both."""

    lots: int
    asked: Decimal
    approved: Decimal
    asked_text: bytes
    approved_text: bytes


class _Price(NamedTuple):
    """A price, as a float and exactly, and the texts of both: the float's as in JSON."""

    number: float
    exact: Decimal | None
    number_text: bytes
    exact_text: bytes


_NO_PRICE = _Price(_NAN, None, b"", b"")


class _Sort(NamedTuple):
    """What orders of one route, side and type have in common; `names` are the route's, side and type."""

    route: Route
    template: Template
    names: tuple[str, ...]
    reduce_only: bool
    sizes: dict[str | None, _Size]


_Sorts = dict[tuple[Any, ...], _Sort | tuple[()]]


class _Seen(NamedTuple):
    """An order, and the bytes of what gates found of it."""

    sort: _Sort
    size: _Size
    price: _Price
    client: str
    now_ns: int
    content: bytes


class _Run:
    """Orders that are decided one after the other, and written together; the log's part stays empty without one."""

    __slots__ = (
        "answers",
        "crc",
        "known",
        "moment",
        "now",
        "previous",
        "request",
        "request_id",
        "sequence",
        "signs",
        "told",
        "undo",
    )

    def __init__(
        self, now: int, signs: bool, request_id: str, crc: int, known: Mapping[str, Remembered]
    ) -> None:
        self.now, self.signs, self.request_id, self.crc = now, signs, request_id, crc
        self.known = known
        self.request = f'"request_id":"{request_id}",'.encode() if request_id else b""
        self.previous, self.sequence, self.moment = b"", 0, 0
        self.answers: list[Answer] = []
        self.told: list[tuple[str, list[Any] | None, Remembered, _Seen]] = []
        self.undo: list[tuple[str, str]] = []


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
        self._approval_ns = settings.approval_ns
        self._evaluator: Evaluator | None = None
        self._version = -1
        self._key: Key | None = None
        self._live: LiveUsual | None = None
        self._teller: _Teller | None = None
        self._policy_set = ""
        self._ahead: tuple[Evaluator, int, LiveUsual] | None = None
        self._sorts: _Sorts = {}
        # Those under the limits from before, with their policy set.
        self._before: tuple[str, _Sorts] = "", {}
        self._prices: dict[str | None, _Price] = {}
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
            now = keeper.ready(guard._clock.now_ns())
        except (OSError, StateError):
            return []
        books, log = keeper.books, self._log
        live = self._fitting(books)
        crc = 0 if self._journal is None else self._journal.crc
        run = _Run(now, signs and self._signer is not None, request_id, crc, books.known_answers())
        try:
            with self._placing:
                if log is not None:
                    place = log.next_place(live.most_bytes)
                    if place is None:
                        return []
                    previous, run.sequence, run.moment = place
                    run.previous = previous.encode()
                told = guard._told_books
                if log is None or told is None or told.arrays is not books.ledger.arrays:
                    live.begin()
                else:
                    live.begin(told.table, log.file_begins)
                for given, market in orders:
                    if not self._take(run, given, market, books, live):
                        break
                if not run.answers:
                    return []
                frames, lines = live.written()
                is_kept = keeper.keep_written(lines, run.crc, run.undo)
                if is_kept and log is not None:
                    log.put_frames(frames, len(run.answers), run.previous.decode())
        except BaseException:
            # Nobody is given these answers, and nobody knows how much of the last the books have taken over.
            if run.undo or guard._taken_early is not None:
                guard._taken_early = None
                keeper.lost(run.undo)
            raise
        if not is_kept:
            return [self._not_kept(run, *each) for each in zip(orders, run.answers, strict=False)]
        if guard._listeners or guard._noted is not None:
            self._tell(run)
        return run.answers

    def _take(self, run: _Run, given: Any, market: Any, books: GuardBooks, live: LiveUsual) -> bool:
        """Decide an order, and let the books take it over; False, and nothing has moved, for one that is not usual."""
        # The order before may have made the arrays grow.
        if type(given) is not OrderRequest or books.ledger.arrays.version != self._version:
            return False
        try:
            account, strategy, venue, symbol = (
                given.account,
                given.strategy,
                given.venue,
                given.symbol,
            )
            side, kind, client = given.side, given.type, given.client_order_id
            given_size, given_price = given.size, given.price
            # Whoever made it may not have kept to its types.
            reduce_only: Any = given.reduce_only
            timestamp: Any = given.timestamp
        except AttributeError:
            return False
        if not (
            type(account) is type(strategy) is type(venue) is type(symbol) is str
            and type(side) is type(kind) is type(client) is str
            and type(reduce_only) is bool
            and (timestamp is None or type(timestamp) is int)
        ):
            return False
        names = account, strategy, venue, symbol, side, kind, reduce_only, given_price is None
        sort = self._sorts.get(names)
        if sort is None:
            sort = self._new_sort(names)
        if not sort:
            return False
        text = given_size if type(given_size) is str else _text_of(given_size)
        size = sort.sizes.get(text) or self._new_size(sort, text)
        price: _Price | None = _NO_PRICE
        if given_price is not None:
            text = given_price if type(given_price) is str else _text_of(given_price)
            price = self._prices.get(text) or self._new_price(text)
        if size is None or price is None:
            return False
        if client and (
            len(client) > LONGEST_NAME
            or not client.isascii()
            or client in run.known
            or len(run.known) >= self._most_clients
        ):
            return False
        guard, now, lots, undo = self._guard, run.now, size.lots, run.undo
        more: Any = NOTHING_MORE
        if market is not None or sort.route.looks is not None:
            more = self._more(run, market, sort, lots, price, live)
            if more is None:
                return False
        count = guard._count + 1
        name, expires = f"{self._run}{count}", now + self._approval_ns
        undo.append((name, client))
        written = live.decide(
            now,
            expires,
            count,
            run.signs,
            lots,
            price.number,
            run.moment,
            run.sequence,
            run.crc,
            sort.template.address,
            *more,
            client.encode(),
            size.asked_text,
            size.approved_text,
            price.exact_text,
            price.number_text,
            run.request,
            run.previous,
        )
        if written is None:
            undo.pop()
            return False
        guard._count = count
        run.crc, signature, run.previous = written
        policy_set = self._policy_set
        number = None if price.exact is None else price.number
        content = (*sort.names, lots, number, reduce_only)
        answer = Remembered(content, name, 0, lots, "", "", now, expires, policy_set)
        books.book_reserved(client, answer)
        approval = None
        if run.signs:
            # It is signed; who only looks at the decision needs no object that says so.
            signed = sort, size, price, client, policy_set, now, expires, name, signature
            approval = _new(Later, (_approval, signed))
        seen = _new(_Seen, (sort, size, price, client, now, live.content()))
        decision = GuardDecision(
            name, _APPROVE, "", size.approved, "", policy_set, approval, now, self._teller, seen
        )
        run.told.append((client, guard._taken_early, answer, seen))
        guard._taken_early = None
        run.answers.append((decision, run.sequence, (name, client)))
        if run.sequence:
            run.sequence += 1
        return True

    def _more(
        self, run: _Run, market: Any, sort: _Sort, lots: int, price: _Price, live: LiveUsual
    ) -> tuple[int, ...] | None:
        """Take over market data that came with an order, and put down what its texts hold of it and of what happened
        lately; None where it is to be decided in another way."""
        guard, evaluator = self._guard, self._evaluator
        assert evaluator is not None  # nosec B101  # `_bind` comes first
        route, given, taken = sort.route, b"", b""
        if route.looks is not None and live.holds_much(route.books):
            # What is told of the past hangs on what a record told in full.
            return None
        if market is not None:
            try:
                read = read_market(market)
            except AttributeError:
                return None
            if read is None or isinstance(read, Refusal):
                return None
            found = guard._taken(route, route.key[3], read, run.now)
            if isinstance(found, Refusal):
                return None
            given = market_text(market_inputs(market)).encode("ascii")
            if found is not None:
                guard._keeper.take_market(found)
                # Whoever decides on the order keeps this with it.
                guard._taken_early = found
                taken = encoded(found)
                if evaluator.arrays.version != self._version:
                    return None
        recent = evaluator.recent(route, SIDES[sort.names[4]], lots, price.number, run.now)
        return live.more(given, taken, f',"recent":{recent}}}'.encode() if recent else b"")

    def _not_kept(self, run: _Run, order: tuple[Any, Any], answer: Answer) -> Answer:
        """A REJECT instead of an answer that could not be kept, and was taken back."""
        question = Question(*order, NO_STATE, None, run.signs, run.request_id)
        return self._guard._refuse(answer[0].id, run.now, question, NO_STATE)

    def _tell(self, run: _Run) -> None:
        """Tell of what was kept whoever listens or counts approvals."""
        guard, evaluator = self._guard, self._evaluator
        for client, taken, answer, seen in run.told:
            guard._happened(order_event(client, taken, answer))
            if guard._noted is not None and evaluator is not None:
                guard._noted.append(_found(evaluator, seen))

    def _fitting(self, books: GuardBooks) -> LiveUsual:
        """What decides on these books, with the limits and the key of now."""
        guard, live, signer = self._guard, self._live, self._signer
        evaluator, arrays = guard.evaluator, books.ledger.arrays
        if (
            live is None
            or evaluator is not self._evaluator
            or evaluator.arrays is not arrays
            or arrays.version != self._version
        ):
            guard._bind_anew()
            live = self._bind(guard.evaluator)
        if signer is not None and signer.key is not self._key:
            live.sign_with(signer.key.blocks)
            self._key = signer.key
        return live

    # What is known of orders

    def _bind(self, evaluator: Evaluator) -> LiveUsual:
        """Look at other limits, or at other arrays."""
        evaluator.renew()
        self._evaluator, self._version = evaluator, evaluator.arrays.version
        self._before, self._sorts = (self._policy_set, self._sorts), {}
        ahead, self._ahead = self._ahead, None
        if ahead is not None and ahead[0] is evaluator and ahead[1] == evaluator.version:
            self._live = ahead[2]
        else:
            self._live = self._made(evaluator)
        self._key, self._teller = None, _Teller(evaluator)
        self._policy_set = self._guard._linked.sha256
        return self._live

    def _made(self, evaluator: Evaluator) -> LiveUsual:
        entry, evidence = evaluator.live
        return LiveUsual(
            entry, evidence, records=self._log is not None, keeps=self._journal is not None
        )

    def _new_sort(self, names: tuple[Any, ...]) -> _Sort | tuple[()]:
        """What these orders have in common; empty where none of them is usual."""
        made = self._sort(*names)
        if made is None:
            # Unknown names are not kept: there is no end to them, nor to their length.
            return ()
        if len(self._sorts) >= _MOST_SORTS:
            self._sorts.clear()
        self._sorts[names] = made
        return made

    def _sort(
        self,
        account: str,
        strategy: str,
        venue: str,
        symbol: str,
        side: str,
        kind: str,
        reduce_only: bool,
        is_unpriced: bool,
    ) -> _Sort | tuple[()] | None:
        evaluator = self._evaluator
        assert evaluator is not None  # nosec B101  # `_bind` comes first
        if side not in SIDES or kind not in KINDS or (is_unpriced and kind != "market"):
            return None
        route = evaluator.route((account, strategy, venue, symbol))
        if isinstance(route, Refusal):
            return None
        if route.picks:
            return ()
        names = (*route.key, side, kind)
        policy_set, before = self._before
        known = before.get((*names, reduce_only, is_unpriced))
        if known and _same_texts(known.route, route):
            # What a swap of limits changes is the policy set's name, and orders wait for this.
            template = known.template.renamed(policy_set.encode(), self._policy_set.encode())
            return _Sort(route, template, names, reduce_only, {})
        try:
            template = template_of(
                route,
                side,
                kind,
                reduce_only=reduce_only,
                has_price=not is_unpriced,
                run=self._run,
                policy_set=self._policy_set,
            )
        except UnicodeEncodeError:
            return ()
        return _Sort(route, template, names, reduce_only, {})

    def _new_size(self, sort: _Sort, text: str | None) -> _Size | None:
        if text is None:
            return None
        exact, _ = read_number(text)
        evaluator = self._evaluator
        if exact is None or evaluator is None:
            return None
        lots = evaluator.lots(sort.route, _Sized(exact))
        if isinstance(lots, Refusal):
            return None
        approved = lots * sort.route.instrument.lot_step
        texts = str(exact).encode(), str(approved).encode()
        if max(map(len, texts)) > _LONGEST_TEXT:
            return None
        if len(sort.sizes) >= _MOST_SIZES:
            sort.sizes.clear()
        made = sort.sizes[text] = _Size(lots, exact, approved, *texts)
        return made

    def _new_price(self, text: str | None) -> _Price | None:
        if text is None:
            return None
        exact, number = read_number(text)
        if exact is None or not 0.0 < number < float("inf"):
            return None
        texts = _in_json(number), str(exact).encode()
        if max(map(len, texts)) > _LONGEST_TEXT:
            return None
        if len(self._prices) >= _MOST_PRICES:
            self._prices.clear()
        made = self._prices[text] = _Price(number, exact, *texts)
        return made


class _Sized(NamedTuple):
    size: Decimal


class _Teller:
    """Tells what gates found of an order, when somebody asks."""

    __slots__ = ("_evaluator",)

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator

    def results(self, seen: _Seen) -> tuple[GateResult, ...]:
        return self._evaluator.results(_found(self._evaluator, seen))


def _same_texts(one: Route, other: Route) -> bool:
    """Whether templates of two routes differ in the name of the policy set alone."""
    return (one.texts, one.codes, one.books) == (other.texts, other.codes, other.books)


def _found(evaluator: Evaluator, seen: _Seen) -> Found:
    sort, size, price, client, now, content = seen
    account, strategy, venue, symbol, side, kind = sort.names
    asked = Asked(
        account,
        strategy,
        venue,
        symbol,
        SIDES[side],
        side,
        KINDS[kind],
        kind,
        size.asked,
        price.number,
        price.exact,
        sort.reduce_only,
        client,
    )
    return evaluator.approved(sort.route, asked, size.lots, now, content)


def _approval(
    sort: _Sort,
    size: _Size,
    price: _Price,
    client: str,
    policy_set: str,
    issued_ns: int,
    expires_ns: int,
    order_id: str,
    signature: bytes,
) -> Approval:
    values = (
        order_id,
        *sort.names,
        size.approved,
        price.exact,
        sort.reduce_only,
        client,
        policy_set,
        issued_ns,
        expires_ns,
    )
    return signed_approval(values, signature.decode())


def _text_of(number: Any) -> str | None:
    """A size or price as text, as exactly as it is given; None where it is none of the usual types, or very long."""
    kind = type(number)
    if kind is Decimal:
        text = str(number)
    elif kind is float:
        text = repr(number)
    elif kind is int and number.bit_length() <= 3 * LONGEST_NUMBER:
        text = str(number)
    else:
        return None
    return text if len(text) <= LONGEST_NUMBER else None
