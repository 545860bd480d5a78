"""What a guard knows and must still know after a restart; moved by events and by nothing else.

An event is a list for JSON: its kind, the time (ns since 1970, UTC), and what the kind needs. The same
function applies it when it happens and when it is read again, so that both end in the same state.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, astuple
from decimal import Decimal
from typing import Any, NamedTuple

from ringfence.backends.numba_kernel.rings import NO_NEEDS
from ringfence.errors import LedgerError, StateError
from ringfence.language.linking import LinkedSet
from ringfence.runtime.evaluator import gate_needs
from ringfence.runtime.firm_slices import NO_SLICE, PARTS, FirmSwitch, Slice
from ringfence.runtime.kill_switches import KillSwitches, Switch
from ringfence.runtime.known_orders import KnownOrder
from ringfence.runtime.ledger import Ledger, trading_day_of
from ringfence.runtime.ledger_state import dump_ledger, load_ledger
from ringfence.runtime.shared_names import SharedNames
from ringfence.runtime.sliced_limits import sliced

__all__ = ["Event", "GuardBooks", "Remembered"]

Event = list[Any]


class Remembered(NamedTuple):
    """What was answered for a client order id.

    Attributes:
        content: The order's fields: account, strategy, venue, symbol, side, type, lots, price, reduce-only.
        decision_id: Of the decision; the order's id where it was approved.
        decision: 0 APPROVE, 1 REDUCE_SIZE, 2 REJECT.
        lots: What may be sent.
        at_ns, expires_ns: When it was decided, and until when the approval holds.
    """

    content: tuple[Any, ...]
    decision_id: str
    decision: int
    lots: int
    reason: str
    code: str
    at_ns: int
    expires_ns: int
    policy_set: str

    @property
    def fields(self) -> list[Any]:
        """All of them, in order, as data for JSON."""
        return list(self)


class GuardBooks:
    """The ledger, the kill switches, and the answers that were given for client order ids.

    Args:
        linked: The policy set.
        names: Further accounts, strategies and venues, beside those that the set declares.
        window_ns: How long an answer is remembered.
        state: What `dump` gave, to go on from there.
    """

    def __init__(
        self,
        linked: LinkedSet,
        names: tuple[Iterable[str], Iterable[str], Iterable[str]],
        window_ns: int,
        state: dict[str, Any] | None = None,
    ) -> None:
        self.ledger = Ledger.of(linked) if state is None else load_ledger(linked, state["ledger"])
        self._names, self._window_ns = names, window_ns
        self._own = self._more = self._needs = NO_NEEDS
        self.now_ns = 0
        self.answers: OrderedDict[str, Remembered] = OrderedDict()
        self._forget_ns = 0
        self._same = SharedNames()
        self.placed: dict[str, tuple[str, str]] = {}
        """Client order id and venue of each working order, by its id."""
        self.repeated: set[str] = set()
        """Client order ids whose approval another guard has given once more."""
        self.slice, self.slice_unit = NO_SLICE, 0
        """What of the firm's capital and limits this group holds, and millionths of one part of capital; 0
        where the books are the whole firm's."""
        self.firm_switch = FirmSwitch(0, "active", "", "")
        """The firm's kill switch, as it was last heard of from the store of slices."""
        self._fit(linked)
        self.ledger.arrays.no_strategy()
        self.switches = KillSwitches(self.ledger.arrays)
        if state is not None:
            self._load(state)
        self._apply: dict[str, Callable[..., Any]] = {
            "mark": self._mark,
            "order": self._order,
            "end": self._end,
            "undo": self._undo,
            "fill": self._fill,
            "direct": self._direct,
            "money": self._money,
            "switch": self._switch,
            "peak": self._peak,
            "reconcile": self._reconcile,
            "repeat": self._repeat,
            "slice": self._slice,
            "firm": self._firm,
            "time": _nothing,
        }

    def apply(self, event: Event) -> Any:
        """Let something have happened.

        Raises:
            LedgerError: it cannot have; nothing has moved.
        """
        self.advance(event[1])
        return self._apply[event[0]](*event[2:])

    def advance(self, now_ns: int) -> int:
        """Let time pass; a clock that goes back stands still. Returns the time that holds."""
        if now_ns > self.now_ns:
            self.now_ns = now_ns
            ledger = self.ledger
            # Asked here, for most calls need no other.
            if ledger.next_day_ns is None or ledger.next_day_ns <= now_ns:
                ledger.advance(now_ns)
        return self.now_ns

    def adopt(self, linked: LinkedSet, before_change: Callable[[], None] | None = None) -> None:
        """Let these be the books of another policy set, with its instruments, rates, names and trading day.

        Args:
            linked: The policy set.
            before_change: Called before an instrument gets other rules or another rate, or is new; what it raises
                leaves the books as they were.

        Raises:
            StateError: the books do not fit it, and stay as they were.
        """
        arrays = self.ledger.arrays
        if linked.currency != arrays.currency:
            raise StateError(
                f"the books count in {arrays.currency}, the policies in {linked.currency}",
                fix="start a new guard with a state of its own",
            )
        try:
            self.ledger.adopt(linked, self.now_ns, before_change)
        except LedgerError as error:
            raise StateError(error.message, error.fix) from None
        self._fit(linked)
        self.switches.show_all()

    def fit_too(self, linked: LinkedSet | None) -> None:
        """Keep what the gates of a further policy set look at as well."""
        self._more = NO_NEEDS if linked is None else gate_needs(linked)
        self._fit_needs(())

    def _fit(self, linked: LinkedSet) -> None:
        arrays = self.ledger.arrays
        self._own, self.trading_day = gate_needs(linked), trading_day_of(linked)
        accounts, strategies, venues = self._names
        for account in (*linked.desk.accounts, *accounts):
            arrays.account(account)
        for strategy in (*linked.desk.strategies, *strategies):
            arrays.strategy(strategy)
        self._fit_needs((*linked.desk.venues, *venues))

    def _fit_needs(self, venues: Iterable[str]) -> None:
        self._needs = self._own.joined(self._more)
        self.ledger.arrays.fit(venues, self._needs)

    @property
    def rows(self) -> int:
        """How many orders and answers `dump` holds."""
        return len(self.ledger.orders) + len(self.answers)

    def dump(self) -> dict[str, Any]:
        """Everything, as data for JSON."""
        return {
            "ledger": dump_ledger(self.ledger),
            "now": self.now_ns,
            "answers": [[name, *each.fields] for name, each in self.answers.items()],
            "repeated": sorted(self.repeated),
            "placed": [[name, *where] for name, where in self.placed.items()],
            "switches": [asdict(each) for each in self.switches.switches.values()],
            "unreconciled": sorted(self.switches.unreconciled),
            "slice": [*self.slice, self.slice_unit],
            "firm_switch": list(astuple(self.firm_switch)),
        }

    def _load(self, state: dict[str, Any]) -> None:
        self.now_ns = state["now"]
        for name, content, *rest in state["answers"]:
            self._remember(name, Remembered(tuple(content), *rest))
        self.placed = {name: (client, venue) for name, client, venue in state["placed"]}
        self.repeated = set(state["repeated"])
        for each in state["switches"]:
            self.switches.switches[each["target"]] = Switch(**each)
        self.switches.unreconciled = set(state["unreconciled"])
        *slice, self.slice_unit = state["slice"]
        self.slice, self.firm_switch = Slice(*slice), FirmSwitch(*state["firm_switch"])
        self.switches.show_all()

    def limits_of(self, linked: LinkedSet) -> LinkedSet:
        """A policy set with the limits that these books are held to: the whole, or a group's share."""
        return sliced(linked, self.slice.share / PARTS) if self.slice_unit else linked

    def answer_for(self, client_order_id: str) -> Remembered | None:
        """What was answered for a client order id within the window; older answers are forgotten."""
        return self.known_answers().get(client_order_id)

    def known_answers(self) -> Mapping[str, Remembered]:
        """What was answered for each client order id within the window."""
        if self.now_ns > self._forget_ns:
            self._forget()
        return self.answers

    def _forget(self) -> None:
        answers, oldest = self.answers, self.now_ns - self._window_ns
        while answers and (first := next(iter(answers.values())).at_ns) < oldest:
            self.repeated.discard(answers.popitem(last=False)[0])
        # The oldest answer is forgotten first; without any, what comes is remembered from now on.
        self._forget_ns = (first if answers else self.now_ns) + self._window_ns

    def take_market(self, market: list[Any]) -> None:
        """Take over market data: symbol, time, bid, ask, last, depths, volume."""
        self._mark(*market)

    # What an event does

    def _mark(self, symbol: str, ts: int, *prices: float | None) -> None:
        self.ledger.mark_with(symbol, ts, prices)
        if self._needs.quotes_ns:
            self.ledger.arrays.make_room(self.now_ns)
            self.ledger.note_quote(symbol, self.now_ns)

    def _order(
        self, client_order_id: str, market: list[Any] | None, content: Iterable[Any], *answer: Any
    ) -> None:
        if market is not None:
            self.take_market(market)
        self.book_answer(client_order_id, Remembered(tuple(content), *answer))

    def book_answer(self, client_order_id: str, answer: Remembered) -> None:
        """Reserve what was approved, and remember the answer where its order has a client's id."""
        if answer.lots:
            account, strategy, venue, symbol, side, *_ = answer.content
            self.placed[answer.decision_id] = client_order_id, venue
            order = KnownOrder(answer.decision_id, account, strategy, symbol, side, answer.lots)
            self.ledger.take(order)
            self._leave(answer)
        if client_order_id:
            self._remember(client_order_id, answer)

    def book_reserved(self, client_order_id: str, answer: Remembered) -> None:
        """As `book_answer`, of an approval whose lots the arrays count already, and whose names are kept elsewhere."""
        name, content = answer.decision_id, answer.content
        self.placed[name] = client_order_id, content[2]
        self.ledger.orders.working[name] = KnownOrder(
            name, content[0], content[1], content[3], content[4], answer.lots
        )
        if self._needs.left_ns:
            self._leave(answer)
        if client_order_id:
            self.answers[client_order_id] = answer

    def _leave(self, answer: Remembered) -> None:
        """Remember that an order left, for gates that count what leaves."""
        if self._needs.left_ns:
            account, strategy, _, symbol, side, _, asked, price, _ = answer.content
            self.ledger.arrays.make_room(self.now_ns)
            asked_as = KnownOrder("", account, strategy, symbol, side, asked)
            self.ledger.leave(asked_as, float("nan") if price is None else price, self.now_ns)

    def _remember(self, client_order_id: str, answer: Remembered) -> None:
        # A day of answers is much: what many of them name is there once.
        same, (account, strategy, venue, symbol, side, kind, *rest) = self._same, answer.content
        names = same[account], same[strategy], same[venue], same[symbol], same[side], same[kind]
        # A guard that shares the books may not have forgotten yet what stood for the id before.
        self.answers.pop(client_order_id, None)
        self.repeated.discard(client_order_id)
        self.answers[client_order_id] = answer._replace(
            content=(*names, *rest), policy_set=same[answer.policy_set]
        )

    def _repeat(self, client_order_id: str) -> None:
        self.repeated.add(client_order_id)

    def _end(self, order_id: str, how: str = "") -> bool:
        """End an order; where a cancel did it, that is a message of its books."""
        if how == "cancel" and self._needs.rates and order_id in self.ledger.orders.working:
            self.ledger.arrays.make_room(self.now_ns)
            self.ledger.leave_cancel(order_id, self.now_ns)
        ended = self.ledger.cancel(order_id)
        self.placed.pop(order_id, None)
        return ended

    def _undo(self, order_id: str, client_order_id: str) -> None:
        """Nothing was promised: release the order, and let its client's id be used again."""
        if client_order_id in self.repeated:
            # Another guard has promised it since; it counts until it ends.
            return
        if order_id in self.ledger.orders.working:
            self._end(order_id)
        answer = self.answers.get(client_order_id)
        # Another guard may have answered for that id meanwhile.
        if answer is not None and answer.decision_id == order_id:
            del self.answers[client_order_id]

    def _fill(self, order_id: str, size: str, price: float, fee: float) -> Any:
        new = self.ledger.fill(order_id, size, price, fee)
        if order_id not in self.ledger.orders.working:
            self.placed.pop(order_id, None)
        return new

    def _direct(self, *fill: Any) -> None:
        self.ledger.fill_direct(*fill)

    def _money(self, book: str, kind: str, amount: str) -> None:
        act = {
            "opening": self.ledger.open,
            "deposit": self.ledger.deposit,
            "withdrawal": self.ledger.withdraw,
        }[kind]
        act(book, amount)
        self.switches.show_all()

    def _peak(self, book: str, peak: float) -> None:
        self.ledger.start_peak(book, peak)

    def _switch(self, target: str, state: str, by: str, reason: str) -> None:
        self.switches.set(Switch(target, state, by, reason, self.now_ns))

    def _slice(self, *told: int) -> None:
        """Hold so much of the firm; told twice, or late, it changes nothing."""
        *numbers, unit = told
        held, before = self.slice.joined(Slice(*numbers)), self.slice
        parts = held.capital - before.capital
        if not self.slice_unit:
            self.ledger.open("firm", _money(parts * unit))
        elif parts:
            self.ledger.shift_capital(_money(parts * unit))
        self.slice, self.slice_unit = held, unit

    def _firm(self, version: int, *switch: str) -> None:
        """Take over the firm's kill switch, unless a newer one is known."""
        if version > self.firm_switch.version:
            self.firm_switch = FirmSwitch(version, *switch)
            self._switch("firm", *switch)

    def _reconcile(self, account: str, waits: bool) -> None:
        self.switches.mark_unreconciled(account, waits)


def _money(millionths: int) -> Decimal:
    return Decimal(millionths).scaleb(-6)


def _nothing() -> None:
    """Only time has passed."""
