"""A decision derived again from its record: by the compiled kernel, and by the reference interpreter.

Nothing but the record goes in: the order as asked, what its gates looked at, the time, and the policy set
that it names. What comes out is compared with what was recorded, bit for bit.
"""

from collections import OrderedDict
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from ringfence.backends import reference
from ringfence.errors import InputError, LedgerError
from ringfence.language.linking import LinkedSet
from ringfence.language.orders import KILL_STATES, Case, OrderRequest
from ringfence.language.tickets import Refusal
from ringfence.runtime.asked import Asked, read_order
from ringfence.runtime.audit_decision import OUTCOMES, order_in
from ringfence.runtime.derived_books import DerivedBooks
from ringfence.runtime.derived_case import derived_case
from ringfence.runtime.evaluator import Evaluator, Found
from ringfence.runtime.evidence_read import Shown, read_evidence
from ringfence.runtime.firm_slices import PARTS, held_off_words
from ringfence.runtime.guard_decision import ZERO
from ringfence.runtime.policy_lease import lease_words
from ringfence.runtime.sliced_limits import sliced

__all__ = ["DECISIONS", "Derived", "Deriver", "Given", "given_in"]

DECISIONS = ("APPROVE", "REDUCE_SIZE", "REJECT")
_REDUCING = KILL_STATES.index("reducing")
_KILL_SWITCH = "KILL_SWITCH"
_INT64 = range(-(2**63), 2**63)
#: Shares of limits that are laid out at a time.
_MOST_PARTS = 64
#: Digits of a number in a record; more are no order's.
_LONGEST = 10_000


@dataclass(slots=True)
class Given:
    """What a record says that its decision was made from.

    Attributes:
        asked: The order.
        now_ns: When it was judged.
        shown: What its gates looked at.
        lease: When the policy set was confirmed last, and for how long that holds; None where it held.
        share: Parts of the firm's absolute limits that its books were held to; None for the whole.
        held_off: Why the firm took only orders that reduce risk; empty where it did not.
    """

    asked: Asked
    now_ns: int
    shown: Shown
    lease: tuple[int, int] | None
    share: int | None = None
    held_off: str = ""

    @property
    def reducing(self) -> bool:
        """Whether only orders that reduce risk could pass, beside any switch."""
        return self.lease is not None or bool(self.held_off)


@dataclass(slots=True)
class Derived:
    """A decision; `gates` holds name, outcome, measure and limit of each gate, in order."""

    decision: str
    code: str
    reason: str
    size: str
    gates: list[list[Any]]


def given_in(body: dict[str, Any]) -> Given:
    """What the record of a decision was made from.

    Raises:
        InputError: it does not say, or not as a guard does.
    """
    order = order_in(body)
    shown = read_evidence(body.get("evidence"))
    asked = read_order(_request(order))
    if isinstance(asked, Refusal):
        raise InputError(f"the order cannot be read: {asked.code} {asked.message}")
    if not asked.account or not asked.symbol:
        raise InputError("the order names no account, or no symbol")
    now = body.get("decided_ns")
    if type(now) is not int or now not in _INT64:
        raise InputError("the record does not say when it was decided")
    lease = body.get("lease")
    match lease:
        case None:
            times = None
        case {"confirmed_ns": int(confirmed), "lease_ns": int(held)} if (
            confirmed in _INT64 and held in _INT64 and now - confirmed > held
        ):
            times = confirmed, held
        case _:
            raise InputError("the policy lease that the record speaks of was not over")
    return Given(asked, now, shown, times, _share(body.get("slice")), _held_off(body))


def _share(slice_of: Any) -> int | None:
    match slice_of:
        case None:
            return None
        case [str(), int(), int(share)] if 0 <= share <= PARTS:
            return share
    raise InputError("the slice that the record speaks of is none")


def _held_off(body: dict[str, Any]) -> str:
    why = body.get("held_off", "")
    if not isinstance(why, str):
        raise InputError("the record does not say what held orders off")
    return why


def _request(order: dict[str, Any]) -> OrderRequest:
    """The order as it was read: numbers are exact text, of any length."""
    try:
        return OrderRequest(
            **{
                **{name: order[name] for name in ("account", "strategy", "venue", "symbol")},
                "side": order["side"],
                "type": order["type"],
                "size": _exact(order["size"]),
                "price": None if order["price"] is None else _exact(order["price"]),
                "reduce_only": order["reduce_only"],
                "client_order_id": order["client_order_id"],
            }
        )
    except (KeyError, ArithmeticError, ValueError, TypeError):
        raise InputError("the record holds no order as it was asked") from None


def _exact(text: Any) -> Decimal:
    if not isinstance(text, str) or len(text) > _LONGEST:
        raise ValueError
    return Decimal(text)


class Deriver:
    """Derives the decisions of one policy set."""

    def __init__(self, linked: LinkedSet) -> None:
        self.linked = linked
        self._books = DerivedBooks(linked)
        self._evaluator = Evaluator(linked, self._books)
        self._parts: OrderedDict[int, Deriver] = OrderedDict()

    def know(self, given: list[Given]) -> None:
        """Take in the names of many records at once, which is quicker than of each by itself.

        Raises:
            InputError: one of them is no name.
        """
        for share in {each.share for each in given} - {None}:
            self._of(share).know(
                [replace(each, share=None) for each in given if each.share == share]
            )
        given = [each for each in given if each.share is None]
        try:
            self._books.know(
                [each.asked.account for each in given],
                [each.asked.strategy for each in given],
                [each.asked.venue for each in given],
                [
                    symbol
                    for each in given
                    for symbol in (
                        each.asked.symbol,
                        *(name for book in each.shown.books for name in book.symbols),
                    )
                ],
            )
        except LedgerError as error:
            raise InputError(f"the evidence names what is no name: {error.message}") from None

    def kernel(self, given: Given) -> Derived:
        """The decision by the compiled kernel; the names of `given` are known.

        Raises:
            InputError: it cannot be decided on what the record shows.
        """
        if given.share is not None:
            part = self._of(given.share)
            whole = replace(given, share=None)
            part.know([whole])
            return part.kernel(whole)
        asked, books = given.asked, self._books
        if not books.fits(given.shown, asked.symbol):
            raise InputError("the trading rules of the symbol are not those of the policy set")
        route = self._evaluator.route(asked)
        if isinstance(route, Refusal):
            raise _not_asked(route)
        lots = self._evaluator.lots(route, asked)
        if isinstance(lots, Refusal):
            raise _not_asked(lots)
        try:
            books.put(given.shown, asked, lots)
            if given.reducing:
                kill = books.books.kill_book
                kill[0] = max(kill[0], _REDUCING)
            found = self._evaluator.ask(route, asked, lots, given.now_ns)
        finally:
            books.clear(asked)
        if isinstance(found, Refusal):
            raise _not_asked(found)
        reason = code = ""
        if found.decision:
            reason, code = self._leased(given, *self._evaluator.reason(found))
        size = found.lots * route.instrument.lot_step if found.lots else ZERO
        return Derived(DECISIONS[found.decision], code, reason, str(size), _gates(found))

    def reference(self, given: Given) -> Derived:
        """The decision by the reference interpreter; after `kernel`.

        Raises:
            InputError: the record shows what it cannot be asked about.
        """
        case, linked = self.case(given)
        answer = reference.decide(linked, case)
        reason, code = self._leased(given, answer.reason, answer.code)
        gates = [[each.gate, str(each.outcome), each.measure, each.limit] for each in answer.gates]
        return Derived(answer.decision.value, code, reason, str(answer.size), gates)

    def case(self, given: Given) -> tuple[Case, LinkedSet]:
        """What the interpreter is asked, and of which limits; after `kernel`.

        Raises:
            InputError: the record shows what it cannot be asked about.
        """
        if given.share is not None:
            return self._of(given.share).case(replace(given, share=None))
        reducing = given.reducing
        case = derived_case(self.linked, given.asked, given.now_ns, given.shown, reducing=reducing)
        return case, self.linked

    @staticmethod
    def _leased(given: Given, reason: str, code: str) -> tuple[str, str]:
        """A switch that nobody set is the lease, or what holds the firm off."""
        firm = given.shown.book(0)
        if not given.reducing or code != _KILL_SWITCH or firm is None or firm.kill:
            return reason, code
        if given.lease is None:
            return held_off_words(given.held_off)
        return lease_words(given.now_ns - given.lease[0], given.lease[1])

    def _of(self, share: int | None) -> "Deriver":
        """The same for books that are held to a share of the firm's limits."""
        if share is None:
            return self
        found = self._parts.get(share)
        if found is None:
            found = self._parts[share] = Deriver(sliced(self.linked, share / PARTS))
            if len(self._parts) > _MOST_PARTS:
                self._parts.popitem(last=False)
        return found


def _not_asked(refusal: Refusal) -> InputError:
    return InputError(f"no gate would have been asked: {refusal.code} {refusal.message}")


def _gates(found: Found) -> list[list[Any]]:
    answer, route = found.answer, found.route
    return [
        [
            bound.gate.name,
            OUTCOMES[answer.outcomes[at]],
            float(answer.measures[at]),
            float(answer.limits[at]),
        ]
        for bound, at in zip(route.bounds, route.columns, strict=True)
    ]
