"""Asks the compiled kernel about one order on a ledger's arrays."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache, partial
from typing import Any, NamedTuple, Protocol

import numpy as np

from ringfence.backends.numba_kernel import layout
from ringfence.backends.numba_kernel.decide import (
    GateFound,
    JudgedOrder,
    columns_of,
    words_of,
)
from ringfence.backends.numba_kernel.kernel import kernel_of
from ringfence.backends.numba_kernel.layout import Floats, Ints
from ringfence.backends.numba_kernel.limits import Limits
from ringfence.backends.numba_kernel.live_columns import ColumnsPack, ask_columns
from ringfence.backends.numba_kernel.live_columns import compiled as columns_compiled
from ringfence.backends.numba_kernel.live_entry import (
    NO_PRICE,
    Answer,
    LiveEntry,
    code_of,
    gate_of,
    gates_part,
    head_of,
    lots_of,
    value_of,
)
from ringfence.backends.numba_kernel.live_evidence import SINCE, LiveEvidence
from ringfence.backends.numba_kernel.rings import Needs, needs_of
from ringfence.language.decision import Decision, GateResult
from ringfence.language.linking import Bound, LinkedSet
from ringfence.language.orders import COUNTABLE, Instrument, Market, step_digits
from ringfence.language.tickets import Refusal, Ticket
from ringfence.runtime.asked import LONGEST_NUMBER, Asked, shown
from ringfence.runtime.book_arrays import NO_BOOK, BookArrays
from ringfence.runtime.decision_record import RouteTexts, route_texts
from ringfence.runtime.recent_evidence import NOTHING_SINCE, Judged, Looks, RecentEvidence, looks_of
from ringfence.runtime.told_books import ShownSince, ToldBooks

__all__ = [
    "Evaluator",
    "Found",
    "Names",
    "Route",
    "decider_of",
    "gate_needs",
    "gates_of",
    "halting_gates",
]

#: Of an order: account, strategy, venue, symbol.
Names = tuple[str, str, str, str]
_PASS, _BREACH = 1, 3
_REJECT = 2
# The stage in which a reduced size is asked about.
_AGAIN = 3
# So many columns for each gate of an order, and they are recorded as they lie.
_MOST_UNUSED = 4
# Sizes in lots that are remembered for each route: most traders send the same ones again and again.
_KNOWN_SIZES = 1024
_REFUSED = {
    layout.REFUSALS.index(code): Refusal(code, message)
    for code, message in (
        ("NO_POLICY", "no policy covers this order"),
        ("MANDATORY_GATE_MISSING", "a mandatory gate is not enforced for this order"),
    )
}


@dataclass(frozen=True, slots=True)
class Route:
    """What orders of one account, strategy, venue and symbol (its `key`) have in common.

    `codes` are those of the same four.
    """

    key: tuple[str, str, str, str]
    codes: tuple[int, int, int, int]
    venue: int
    symbol: int
    books: tuple[int, int, int]
    instrument: Instrument
    bounds: tuple[Bound, ...]
    columns: tuple[int, ...]
    halting: tuple[int, ...]
    looks: Looks | None
    texts: RouteTexts
    picks: tuple[int, ...]
    most: Decimal
    known_lots: dict[Decimal, int] = field(default_factory=dict)


class Sized(Protocol):
    """Whatever has a size, above zero."""

    @property
    def size(self) -> Decimal:
        """In units of the base."""
        ...


class Found(NamedTuple):
    """What the kernel found for one order; `content` are the bytes of `Answer`, for `columns` gates."""

    route: Route
    asked: Asked
    asked_lots: int
    now_ns: int
    decision: int
    lots: int
    content: bytes
    columns: int

    @property
    def answer(self) -> Answer:
        """All of it, decoded."""
        return Answer(self.content, self.columns)


# Quicker than the call of the class, which binds each argument to its name.
_new: Callable[[type[Found], tuple[Any, ...]], Found] = tuple.__new__


@lru_cache(maxsize=8)
def gate_needs(linked: LinkedSet) -> Needs:
    """What the gates of a policy set look at beside the books; worked out once for a set."""
    return needs_of(linked, Limits(linked, [], [], [], []))


class Evaluator:
    """The limits of one policy set, bound to the names of a ledger; one caller at a time.

    `arrays` are those it was made for, and `version` theirs when names were bound last; `denials` are the codes of
    the rules' reasons, by their slots.
    """

    def __init__(self, linked: LinkedSet, arrays: BookArrays) -> None:
        self.linked = linked
        self._arrays = self.arrays = arrays
        # Now, and not while orders wait.
        columns_compiled()
        self._bind()

    def _bind(self) -> None:
        """Bind names anew: new ones came, or the arrays have grown."""
        arrays = self._arrays
        self.version = arrays.version
        self._symbols = symbols = list(arrays.symbols)
        self._evidence = LiveEvidence(arrays.books, symbols)
        self._recent = RecentEvidence(arrays.books, arrays.pack)
        self._judged: Judged | None = None
        self._limits = limits = Limits(
            self.linked,
            list(arrays.accounts),
            list(arrays.strategies),
            list(arrays.venues),
            symbols,
        )
        self._fields = {slot.rule.key: slot.fields for slot in limits.slots}
        self.denials = tuple(slot.rule.code for slot in limits.slots)
        self._columns = len(limits.columns)
        self._entry = LiveEntry(kernel_of(limits.slots), arrays.pack, limits)
        self._routes: dict[tuple[str, str, str, str], Route] = {}

    def route(self, asked: Asked | Names) -> Route | Refusal:
        """Codes and gates for the names of an order, which come first, or why there are none."""
        self.renew()
        key = asked[:4]
        found = self._routes.get(key)
        if found is None:
            made = self._new_route(*key)
            if isinstance(made, Refusal):
                return made
            found = self._routes[key] = made
        return found

    def know_routes_of(self, other: "Evaluator") -> None:
        """Look up beforehand what orders have asked another evaluator about."""
        # Another thread may find a new one meanwhile.
        for key in list(other._routes):
            made = self._new_route(*key)
            if not isinstance(made, Refusal):
                self._routes[key] = made

    def _new_route(self, account: str, strategy: str, venue: str, symbol: str) -> Route | Refusal:
        arrays = self._arrays
        instrument = arrays.instruments.get(symbol)
        if instrument is None:
            return Refusal("UNKNOWN_INSTRUMENT", f"symbol {shown(symbol)} is no known instrument")
        codes = (arrays.accounts.get(account), arrays.strategies.get(strategy))
        code = arrays.venues.get(venue)
        if not account or codes[0] is None:
            told = f"account {shown(account)} is neither declared nor opened"
            return Refusal("UNKNOWN_ACCOUNT", told)
        if codes[1] is None:
            return Refusal("UNKNOWN_STRATEGY", f"strategy {shown(strategy)} is not declared")
        if code is None:
            return Refusal("UNKNOWN_VENUE", f"venue {shown(venue)} is not declared")
        bounds = self.linked.bind(account, strategy, venue, symbol)
        columns = tuple(columns_of(bounds, self._limits.columns))
        names = tuple(bound.gate.name for bound in bounds)
        # A policy set may have a great many columns; a record then holds those of its order alone.
        picks = columns if self._columns > _MOST_UNUSED * len(columns) else ()
        recorded = range(len(columns)) if picks else columns
        books = arrays.books
        return Route(
            key=(account, strategy, venue, symbol),
            codes=(codes[0], codes[1], code, arrays.symbols[symbol]),
            venue=code,
            symbol=arrays.symbols[symbol],
            books=(
                0,
                int(books.account_book[codes[0]]),
                int(books.strategy_book[codes[1]]) if strategy else NO_BOOK,
            ),
            instrument=instrument,
            bounds=bounds,
            columns=columns,
            halting=tuple(k for k, bound in enumerate(bounds) if bound.gate.halts),
            looks=looks_of(bounds, self._fields),
            texts=route_texts((account, strategy, venue, symbol), names, recorded),
            picks=picks,
            most=Decimal(COUNTABLE).scaleb(-step_digits(instrument.lot_step)[1]),
        )

    def lots(self, route: Route, asked: Sized) -> int | Refusal:
        """The order's size in whole lots, or why it has none."""
        known_lots = route.known_lots
        known = known_lots.get(asked.size)
        if known is not None:
            return known
        instrument = route.instrument
        step, size, lots = instrument.lot_step, asked.size, 0
        # As `whole_lots`, with its bound worked out beforehand.
        if size <= route.most:
            lots = int((size / step).to_integral_value())
        if lots <= 0 or lots * step != size:
            return Refusal(
                "SIZE_OFF_STEP",
                f"size {shown(size)} is no multiple of the lot step {instrument.lot_step}",
            )
        if instrument.fx != instrument.fx:
            return Refusal(
                "NO_FX_RATE",
                f"no FX rate between {instrument.quote} and {self.linked.currency}",
            )
        # Digits are bounded for text, and not for a Decimal.
        if len(str(size)) <= LONGEST_NUMBER:
            if len(known_lots) >= _KNOWN_SIZES:
                known_lots.clear()
            known_lots[size] = lots
        return lots

    def ask(self, route: Route, asked: Asked, lots: int, now_ns: int) -> Found | Refusal:
        """Ask every gate about an order; books stay as they are."""
        entry = self._entry
        decision = entry.ask(
            now_ns, route.codes, asked.side, asked.kind, asked.reduce_only, lots, asked.price
        )
        if decision == NO_PRICE:
            return Refusal("NO_PRICE", "there is no price to value the order at")
        if route.looks is not None:
            self._judged = Judged(
                route.looks, route.books[1], asked.side, lots, asked.price, now_ns
            )
        content, columns = entry.answer(), self._columns
        allowed = lots if decision == 0 else lots_of(content)
        return _new(Found, (route, asked, lots, now_ns, decision, allowed, content, columns))

    def renew(self) -> None:
        """Bind names anew where new ones came, or the arrays are others."""
        if self._arrays.version != self.version:
            self._bind()

    @property
    def live(self) -> tuple[LiveEntry, LiveEvidence]:
        """What asks the gates, and what tells of the books, until names are bound anew."""
        return self._entry, self._evidence

    def recent(self, route: Route, side: int, lots: int, price: float, now_ns: int) -> str:
        """What the gates of an order look at beside the rows of its books, as JSON; empty for nothing."""
        if route.looks is None:
            return ""
        judged = Judged(route.looks, route.books[1], side, lots, price, now_ns)
        return self._recent.of(judged, route.books, route.symbol)

    def approved(self, route: Route, asked: Asked, lots: int, now_ns: int, content: bytes) -> Found:
        """What gates found of an order that they approved as asked."""
        return _new(Found, (route, asked, lots, now_ns, 0, lots, content, self._columns))

    def ask_columns(self, columns: ColumnsPack, now_ns: int, first: int, last: int) -> None:
        """As `ask`, of many orders, each as if it were the only one; routes must be those of this `version`."""
        ask_columns(self._entry, columns, now_ns, first, last)

    def evidence(self, route: Route) -> str:
        """What the gates of a route look at, as JSON for an audit record; of the order asked about last."""
        text = self._evidence.of(route.books, route.symbol, route.venue)
        return text if route.looks is None else self._with_recent(text, route)

    def evidence_since(
        self, route: Route, told: ToldBooks, unwritten: bool = False
    ) -> str | ShownSince:
        """As `evidence`; of books that hold much, what is another since a record told them in full.

        Args:
            route: Of the order.
            told: What records told in full.
            unwritten: Whether those count, too, that the log has not taken yet: this record comes after them.
        """
        evidence, books = self._evidence, route.books
        if told.arrays is not self._arrays:
            told.begin(self._arrays)
        text, state = evidence.since(
            books, route.symbol, route.venue, told.table, told.log.file_begins, unwritten
        )
        if not state:
            return text if route.looks is None else self._with_recent(text, route)
        looks = route.looks
        old = told.named(evidence, books) if state & SINCE else {}
        oldest = evidence.changed[-1] if old else 0
        lot_money = None
        if looks is not None:
            since = {}
            if looks.lot_money:
                lot_money = self._recent.lot_money
                since = {k: (each.lot_money, evidence.places(k)) for k, each in old.items()}
            text = self._with_recent(text, route, since)
        new = {} if state == SINCE else told.copied(evidence, books, lot_money, self._symbols)
        return ShownSince(told, text, new, old, oldest)

    def _with_recent(
        self,
        text: str,
        route: Route,
        since: Mapping[int, tuple[Floats | None, Ints]] = NOTHING_SINCE,
    ) -> str:
        if self._judged is None:
            return text
        recent = self._recent.of(self._judged, route.books, route.symbol, since)
        return f'{text[:-1]},"recent":{recent}}}'

    def in_words(self, found: Found) -> Decision:
        """The decision with its reason and every gate's result."""
        asked = self._judged_as(found)
        gates = [asked.result(k, _gate(found, k)) for k in range(len(asked.bounds))]
        return words_of(asked, head_of(found.content), partial(_gate, found), gates)

    def results(self, found: Found) -> tuple[GateResult, ...]:
        """Every gate's result."""
        return self.in_words(found).gates

    def reason(self, found: Found) -> tuple[str, str]:
        """Reason and code of a decision that is no approval."""
        told = words_of(self._judged_as(found), head_of(found.content), partial(_gate, found))
        return told.reason, told.code

    def _judged_as(self, found: Found) -> JudgedOrder:
        route, asked, content = found.route, found.asked, found.content
        ticket = Ticket(
            asked.side,
            found.asked_lots,
            asked.type,
            asked.price,
            value_of(content),
            asked.reduce_only,
            route.instrument,
            Market(),
        )
        refusal = _REFUSED.get(code_of(content)) if found.decision == _REJECT else None
        return JudgedOrder(self.linked, route.bounds, route.columns, ticket, refusal, found.now_ns)


def _gate(found: Found, k: int) -> GateFound:
    """What was found of the gate `k` of those that bind the order."""
    return gate_of(found.content, found.columns, found.route.columns[k])


def halting_gates(found: Found) -> list[tuple[int, bool]]:
    """Of the gates whose breach halts a book: the places among `Route.bounds` of those that passed, and of those that
    were breached (True)."""
    columns, outcomes = found.route.columns, found.answer.outcomes
    seen = [(k, outcomes[columns[k]]) for k in found.route.halting]
    return [(k, outcome == _BREACH) for k, outcome in seen if outcome in (_PASS, _BREACH)]


def decider_of(found: Found) -> str:
    """Name of the gate that rejected or reduced an order; empty where no gate did."""
    route, head = found.route, head_of(found.content)
    if 0 < head.code < layout.REFUSAL_COUNT:
        return ""
    if found.decision == _REJECT and head.stage >= _AGAIN:
        # It passed at the size asked, and not at the reduced one.
        return route.bounds[int(head.again[layout.AGAIN_ENTRY])].gate.name
    return route.bounds[route.columns.index(head.gate)].gate.name


def gates_of(found: Found) -> bytes:
    """What each gate found, for an audit record: as `audit_decision` packs it."""
    part, picks = gates_part(found.content, found.columns), found.route.picks
    if not picks:
        return part
    numbers = np.frombuffer(part, np.float64, 2 * found.columns).reshape(2, found.columns)
    outcomes = np.frombuffer(part, np.uint8, found.columns, 16 * found.columns)
    at = list(picks)
    return numbers[:, at].tobytes() + outcomes[at].tobytes()
