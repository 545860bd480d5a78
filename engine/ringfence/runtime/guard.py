"""The guard: no order leaves without its decision."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from time import perf_counter_ns
from types import MappingProxyType
from typing import Any

from ringfence.backends.numba_kernel import layout
from ringfence.errors import AuditError, StateError
from ringfence.language.decision import RiskDecision
from ringfence.language.tickets import Refusal
from ringfence.runtime.asked import (
    Asked,
    read_market,
    read_order,
    read_request_id,
    without_nan,
)
from ringfence.runtime.evaluator import Evaluator, Found, Route
from ringfence.runtime.guard_answers import (
    NO_AUDIT,
    Answer,
    Market,
    Question,
    content_of,
    named,
)
from ringfence.runtime.guard_batch import decide_some
from ringfence.runtime.guard_books import Remembered
from ringfence.runtime.guard_decision import GuardDecision
from ringfence.runtime.guard_halts import GuardHalts
from ringfence.runtime.guard_looks import CLOSED, NO_STATE
from ringfence.runtime.guard_settings import Audit, GuardSettings
from ringfence.runtime.policy_set import PolicySet
from ringfence.runtime.ports import (
    SYSTEM_CLOCK,
    SYSTEM_FILES,
    SYSTEM_RANDOM,
    Clock,
    LogFiles,
    Random,
)
from ringfence.runtime.shared_log import SharedLog
from ringfence.runtime.usual_orders import UsualOrders

__all__ = ["CentralRiskGuard"]

# Orders of a batch that are decided while others wait: as many as take a millisecond; at first, and at most.
_AT_FIRST, _AT_MOST, _WAIT_NS = 16, 64, 1_000_000
_REJECT = 2
_UNNAMED = ""
_NOTHING: Mapping[str, Any] = MappingProxyType({})
_CONTENDED = Refusal(
    "STATE_CONTENDED", "other guards moved the books at every try to decide on them"
)
_UNREAD = Question(
    None,
    None,
    Refusal("INVALID_ORDER", "the order or its market data cannot be read"),
    None,
)
_QUOTE = (
    layout.BID,
    layout.ASK,
    layout.LAST,
    layout.BID_DEPTH,
    layout.ASK_DEPTH,
    layout.VOLUME,
)


class CentralRiskGuard(GuardHalts):
    """Decides orders, and keeps count of what it approved, in books of its own or shared with other guards.

    Checking and reserving are one step: no two orders use the same headroom. An answer is returned only
    once the state is written and the audit log has its record. All methods may be called from any thread.
    """

    def __init__(self, *parts: Any) -> None:
        # Market data that came with the order that is decided next, where the books have taken it over already.
        self._taken_early: list[Any] | None = None
        super().__init__(*parts)
        self._usual = UsualOrders(self)

    def _make_ready(self, evaluator: Evaluator) -> None:
        super()._make_ready(evaluator)
        self._usual.make_ready(evaluator)

    @classmethod
    def open(
        cls,
        policies: PolicySet | str | Path,
        *,
        audit: Audit | None = None,
        state: str | Path | SharedLog | None = None,
        clock: Clock = SYSTEM_CLOCK,
        settings: GuardSettings | None = None,
        files: LogFiles = SYSTEM_FILES,
        random: Random = SYSTEM_RANDOM,
    ) -> "CentralRiskGuard":
        """Open a guard, with what it knew when it ended, however it ended.

        Args:
            policies: A policy set, or where to load one.
            audit: Where decisions are recorded; None only with `settings.without_audit`.
            state: Directory of its state, for it alone; or the log of books that guards share; None only with
                `settings.in_memory`.
            clock: Tells the time.
            settings: How it works.
            files, random: The file system, and what names decisions.

        Raises:
            PolicyError: the policies have faults.
            InputError: something that it needs is missing.
            StateError: the state cannot be read or reached, belongs to another guard, or does not fit the
                policies.
            AuditError: reservations of an earlier process were found, and cannot be recorded.
        """
        loaded = policies if isinstance(policies, PolicySet) else PolicySet.load(policies)
        where = Path(state) if isinstance(state, str) else state
        return cls(loaded.linked, audit, where, clock, settings or GuardSettings(), files, random)

    def evaluate_order(
        self,
        order_request: Any,
        market_data: Any = None,
        *,
        signs: bool = True,
        request_id: str = _UNNAMED,
    ) -> GuardDecision:
        """Decide an order, and reserve what is approved. Never raises an `Exception`.

        Args:
            order_request: An `OrderRequest`; a subclass of it, or anything else, is rejected.
            market_data: `MarketData` of its symbol, or None to decide on what `on_mark` told last. Data
                older than that is left out; with the same time but other numbers the order is rejected.
            signs: Whether an approval is wanted, which takes time to sign. It may be had later: ask about
                the same order again, with the same `client_order_id`.
            request_id: Names the request that brought the order, for its record: at most 100 letters, digits
                and `._:-`. Anything else is not recorded, and changes nothing.

        Returns:
            The decision, which unpacks as `decision, reason, adjusted_size`. What cannot be judged is
            a REJECT.
        """
        started = perf_counter_ns()
        # Not compared: an object of another type may run code of its own.
        named_by = "" if request_id is _UNNAMED else read_request_id(request_id)
        try:
            answer = self._answer(order_request, market_data, signs, named_by)
        except Exception as error:
            question = _question(order_request, market_data, signs, named_by)
            answer = self._failed(error, question)
        try:
            if self._untold:
                self._tell()
            self._count_decision(answer, perf_counter_ns() - started)
        except Exception:
            # It was decided and recorded, whether or not it could be told and counted.
            return answer
        return answer

    def evaluate_orders(
        self, orders: Iterable[tuple[Any, Any]], *, signs: bool = True, request_id: str = _UNNAMED
    ) -> list[GuardDecision]:
        """Decide orders one after the other, each with what those before it reserved. Never raises an `Exception`.

        Every answer is that of `evaluate_order`; the wait for the audit log is one for all, and the state of some is
        written at once. Orders of others may be decided in between.

        Args:
            orders: Each with its market data, or None; anything else among them is rejected. Where there is no having
                them all, what that raises is raised, and none of them counts.
            signs, request_id: As for `evaluate_order`; all have the same.
        """
        named_by = "" if request_id is _UNNAMED else read_request_id(request_id)
        decided: list[Answer] = []
        coming, at_once = iter(orders), _AT_FIRST
        while some := self._next_of(coming, at_once, decided):
            started = perf_counter_ns()
            with self._lock:
                answers = self._decide_some(some, signs, named_by)
            if self._untold:
                self._tell()
            taken = perf_counter_ns() - started
            self._count_decisions([each[0] for each in answers], taken // len(some))
            at_once = max(1, min(_AT_MOST, len(some) * _WAIT_NS // max(1, taken)))
            decided += answers
        try:
            if last := max((each[1] for each in decided), default=0):
                self._audit.wait(last)
        except Exception:
            return [self._taken_back(*each) for each in decided]
        return [each[0] for each in decided]

    def _next_of(
        self, coming: Iterator[Any], count: int, decided: Sequence[Answer]
    ) -> list[tuple[Any, Any]]:
        """The next orders of a batch; where they cannot be had, what was decided before is taken back."""
        try:
            return [_pair(each) for each in islice(coming, count)]
        except BaseException:
            # Nobody is given those answers.
            with self._lock:
                for answer, _, undo in reversed(decided):
                    if undo is not None and answer.decision is not RiskDecision.REJECT:
                        self._keeper.undo(*undo)
            raise

    def _decide_some(
        self, orders: Sequence[tuple[Any, Any]], signs: bool, request_id: str
    ) -> list[Answer]:
        try:
            answers = self._usual.reserve(orders, signs, request_id)
        except Exception:
            # All of it is taken back; what fails again says why.
            answers = []
        rest = [_question(*each, signs, request_id) for each in orders[len(answers) :]]
        return answers + decide_some(self, rest) if rest else answers

    def _failed(self, error: Exception, question: Question) -> GuardDecision:
        """A REJECT for an order that could not be decided, recorded where that is possible."""
        refusal = Refusal("INTERNAL_ERROR", named(error))
        try:
            with self._lock:
                self._count += 1
                name = f"{self._run}-{self._count}"
                return self._refuse(name, self._books.now_ns, question, refusal)[0]
        except Exception:
            return self._plain(f"{self._run}-failed", refusal, 0)

    def _answer(self, order: Any, market: Any, signs: bool, request_id: str) -> GuardDecision:
        with self._lock:
            answers = self._usual.reserve(((order, market),), signs, request_id)
            if answers:
                answer, sequence, undo = answers[0]
            else:
                question = _question(order, market, signs, request_id)
                answer, sequence, undo = self._decide(question)
        # Also a REJECT: what was told and is in no record would be a decision that is lost.
        try:
            if sequence:
                self._audit.wait(sequence)
        except Exception:
            return self._taken_back(answer, sequence, undo)
        return answer

    def _taken_back(
        self, answer: GuardDecision, sequence: int, undo: tuple[str, str] | None
    ) -> GuardDecision:
        """A REJECT instead of an answer whose record is not durable."""
        try:
            # Of several answers some may have been written before the log failed; a log of another sort may not say so.
            if sequence > getattr(self._audit, "durable", 0):
                self._audit.wait(sequence)
            return answer
        except Exception:
            # A REJECT reserves nothing, and stays what was answered for its client's id.
            if undo is not None and answer.decision is not RiskDecision.REJECT:
                with self._lock:
                    self._keeper.undo(*undo)
            return self._plain(answer.id, NO_AUDIT, answer.decided_ns)

    def _decide(self, question: Question) -> Answer:
        """The answer, its record's number, and what to undo where that is never durable."""
        try:
            return self._long_way(question)
        finally:
            taken, self._taken_early = self._taken_early, None
            if taken is not None:
                self._keeper.note_market(taken)

    def _long_way(self, question: Question) -> Answer:
        self._count += 1
        name = f"{self._run}-{self._count}"
        if self._closed:
            return self._plain(name, CLOSED, self._clock.now_ns()), 0, None
        try:
            now = self._keeper.ready(self._clock.now_ns())
        except (OSError, StateError):
            return self._refuse(name, self._clock.now_ns(), question, NO_STATE)
        asked, market = question.asked, question.market
        if isinstance(asked, Refusal):
            return self._refuse(name, now, question, asked)
        if isinstance(market, Refusal):
            return self._refuse(name, now, question, market)
        if market is None and self.settings.market_cache is not None:
            market = self._cached(asked.symbol, now)
        self._asks_left = self._most_asks
        for _ in range(self._keeper.tries + self._most_asks):
            try:
                answer = self._try(name, now, question, asked, market)
            except StateError:
                return self._refuse(name, now, question, NO_STATE)
            if answer is not None:
                return answer
        return self._refuse(name, now, question, _CONTENDED)

    def _try(
        self, name: str, now: int, question: Question, asked: Asked, market: Market | None
    ) -> Answer | None:
        """Decide on the books as they are; None where others have moved them meanwhile."""
        self._bind_anew()
        route = self.evaluator.route(asked)
        if isinstance(route, Refusal):
            return self._refuse_now(name, now, question, route)
        lots = self.evaluator.lots(route, asked)
        if isinstance(lots, Refusal):
            return self._refuse_now(name, now, question, lots)
        content = content_of(asked, lots)
        if asked.client_order_id:
            earlier = self._keeper.books.answer_for(asked.client_order_id)
            if earlier is not None and earlier.content == content:
                return self._repeat(earlier, asked, question)
            told = self._id_refusal(asked.client_order_id, earlier)
            if told is not None:
                return self._refuse_now(name, now, question, told)
        taken: list[Any] | Refusal | None = self._taken_early
        is_early, self._taken_early = taken is not None, None
        if market is not None and not is_early:
            taken = self._taken(route, asked.symbol, market, now)
        if isinstance(taken, Refusal):
            return self._refuse_now(name, now, question, taken)
        if taken is not None and not is_early:
            self._keeper.take_market(taken)
            if self.evaluator.arrays is not self._books.ledger.arrays:
                # The books were read anew, and names have other codes.
                return None
            # The arrays may have grown.
            again = self.evaluator.route(asked)
            route = route if isinstance(again, Refusal) else again
        found = self._ask(route, asked, lots, now)
        if isinstance(found, Refusal):
            if taken is not None:
                self._keeper.note_market(taken)
            return self._refuse_now(name, now, question, found)
        if found.decision and self._has_more_room(found):
            return None
        return self._settle(name, question, asked, content, taken, found)

    def _id_refusal(self, client_order_id: str, earlier: Remembered | None) -> Refusal | None:
        if earlier is not None:
            return Refusal(
                "DUPLICATE_ORDER",
                f"client_order_id={client_order_id} stands for another order decision={earlier.decision_id}",
            )
        if len(self._books.answers) >= self.settings.most_client_orders:
            return Refusal("TOO_MANY_CLIENT_ORDERS", f"limit={self.settings.most_client_orders}")
        return None

    def _cached(self, symbol: str, now: int) -> Market | None:
        """Market data that guards share, where what is known is old."""
        arrays, cache = self._books.ledger.arrays, self.settings.market_cache
        code = arrays.symbols.get(symbol)
        if code is None or cache is None:
            return None
        if now - arrays.times[code] <= self.settings.market_refresh_ns:
            return None
        try:
            found = read_market(cache.get(symbol))
        except StateError:
            return None
        return None if isinstance(found, Refusal) else found

    def _taken(
        self, route: Route, symbol: str, market: Market, now: int
    ) -> list[Any] | Refusal | None:
        """Market data that is newer than what is there; None where it is not."""
        timestamp, numbers = market
        if timestamp > now + self.settings.max_skew_ns:
            return Refusal(
                "MARKET_DATA_AHEAD", f"market_data={timestamp} clock={now} of `{symbol}`"
            )
        arrays = self._books.ledger.arrays
        known = arrays.times[route.symbol]
        if timestamp > known:
            return [symbol, timestamp, *without_nan(numbers)]
        row = arrays.books.sym[route.symbol].tolist()
        if timestamp == known and repr([row[at] for at in _QUOTE]) != repr(list(numbers)):
            return Refusal(
                "MARKET_DATA_CONTRADICTORY", f"two sets of data of `{symbol}` at {timestamp}"
            )
        return None

    def _settle(
        self,
        name: str,
        question: Question,
        asked: Asked,
        content: tuple[Any, ...],
        taken: list[Any] | None,
        found: Found,
    ) -> Answer | None:
        """Reserve, keep and record what was found."""
        now, linked, client = found.now_ns, self._linked, asked.client_order_id
        reason, code = "", ""
        # As it was when the order was judged.
        shown = self._shown(found.route) if self._records else ""
        beside = self._beside(found) if self._has_more else _NOTHING
        if found.decision:
            reason, code = self._words(found)
        expires = now + self.settings.approval_ns
        answer = Remembered(
            content, name, found.decision, found.lots, reason, code, now, expires, linked.sha256
        )
        undo = (name, client)
        if found.lots or client:
            try:
                if not self._keeper.keep_answer(client, taken, answer):
                    return None
            except OSError:
                return self._refuse(name, now, question, NO_STATE)
            except Exception:
                raise
            except BaseException:
                # It may have come just after all was kept.
                self._keeper.undo(*undo)
                raise
        else:
            if taken is not None:
                self._keeper.note_market(taken)
            if not self._keeper.current():
                return None
        try:
            if self._noted is not None and found.lots:
                self._noted.append(found)
            if beside:
                self._count_shadow(found, beside)
            if found.route.halting and (found.decision == _REJECT or self._breaches):
                self._trip(found)
            decision = self._decision(answer, asked, found, signs=question.signs)
            if not self._records:
                return decision, 0, undo
            sequence = self._take_record(answer, decision, question, found, shown, beside)
            return decision, sequence, undo
        except BaseException as error:
            # Nobody is given this answer.
            self._keeper.undo(*undo)
            if isinstance(error, AuditError):
                return self._plain(name, NO_AUDIT, now), 0, None
            if not isinstance(error, Exception):
                raise
            return self._refuse(name, now, question, Refusal("INTERNAL_ERROR", named(error)))


def _pair(asked: Any) -> tuple[Any, Any]:
    """An order and its market data; what is no such pair is an order that cannot be read."""
    if type(asked) is tuple and len(asked) == 2:
        return asked
    try:
        order, market = asked
    except Exception:
        return asked, None
    return order, market


def _question(order_request: Any, market_data: Any, signs: bool, request_id: str) -> Question:
    """What is asked, read once."""
    try:
        return Question(
            order_request,
            market_data,
            read_order(order_request),
            read_market(market_data),
            signs,
            request_id,
        )
    except Exception:
        return _UNREAD._replace(request_id=request_id)
