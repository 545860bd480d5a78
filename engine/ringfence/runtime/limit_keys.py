"""Which limits there are: each check of each gate, by the book that it measures and the symbol where it matters.

A gate binds every combination of account, strategy, venue and symbol in its scope. Most of them see the same
number: a book's drawdown is one, whatever is traded. A key stands for all that do; of each, one combination is
asked about.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from ringfence.backends.numba_kernel.layout import COVERED, COVERED_ALL, Books
from ringfence.backends.numba_kernel.limits import Limits
from ringfence.backends.numba_kernel.slots import LEVELS
from ringfence.backends.numba_kernel.standing_limits import Questions, StandingLimits
from ringfence.errors import Span
from ringfence.language import ir
from ringfence.language.fields import FIELDS
from ringfence.language.gates import Gate, LimitRow
from ringfence.language.linking import Bound, LinkedSet
from ringfence.language.rules import Check, walk
from ringfence.runtime.evaluator import Route
from ringfence.runtime.guard_standing import Names

__all__ = ["NOBODY", "Kind", "LimitKeys"]

#: No symbol, no account.
NOBODY = -1
_PER_SYMBOL = ("market.", "instrument.")
_OF_SYMBOL = (
    "book.position_after",
    "book.correlated_after",
    "book.open_orders_symbol_after",
    "order.symbol_messages",
)
# Facts of single orders that are not known before there is one; the rate is a fact of the book.
_OF_ORDER = ("order.", "instrument.")
Codes = np.ndarray[Any, np.dtype[np.int64]]


class Kind(NamedTuple):
    """A check of a gate with the rows of limits that may bind.

    Attributes:
        at: Place of the check in its rule.
        level: 0 firm, 1 account, 2 strategy.
        per_symbol, per_account: Whether it differs by symbol, or by account beside its book.
        of_order: Whether it measures single orders alone, so that nothing is used of it without one.
        counts_order: Whether it counts the order that is asked about.
        needs_price: Whether it is unknown while nothing values an order.
        rises: Whether its measure rises with the order's size, so that sizes that pass end at one.
        parameters: Names of what is given on the limit's side.
        places: Where its limit is written, by the row of limits that holds; filled as they are asked for.
    """

    bound: Bound
    check: Check
    at: int
    level: int
    per_symbol: bool
    per_account: bool
    of_order: bool
    counts_order: bool
    needs_price: bool
    rises: bool
    parameters: tuple[str, ...]
    places: dict[LimitRow, tuple[Span, bool]]

    @property
    def gate(self) -> Gate:
        """The gate."""
        return self.bound.gate

    @property
    def is_floor(self) -> bool:
        """Whether the measure must reach the limit."""
        return self.check.compare != "<="

    @property
    def is_switch(self) -> bool:
        """Whether it is a kill switch."""
        return self.check.unit.kind == "state"

    @property
    def is_shadow(self) -> bool:
        """Whether it changes no decision."""
        return self.gate.mode != "enforce"

    @property
    def label(self) -> tuple[str, str, str, str]:
        """Policy, gate, level and check: the same through all versions of the policy."""
        gate = self.gate
        return gate.policy.name, gate.name, gate.level, self.check.name

    def place(self, row: LimitRow) -> tuple[Span, bool]:
        """Where the limit of a row is written, and whether that is in an override."""
        if row not in self.places:
            self.places[row] = self._place(row)
        return self.places[row]

    def _place(self, row: LimitRow) -> tuple[Span, bool]:
        base = self.bound.rows[-1]
        for name in self.parameters:
            if row.scope is not None and name in row.given:
                return row.spans[name], True
            if name in base.given:
                return base.spans[name], False
        return base.span, False


def _kind(bound: Bound, at: int) -> Kind:
    check = bound.gate.rule.checks[at]
    measured, compared = _fields(check.measure), _fields(check.limit)
    used = measured | compared
    counts = isinstance(check.measure, ir.Field) and FIELDS[check.measure.name].counts_order
    of_order = bool(measured) and not counts and all(n.startswith(_OF_ORDER) for n in measured)
    control = "control.kill_state" in used
    return Kind(
        bound=bound,
        check=check,
        at=at,
        level=LEVELS.index(bound.gate.level),
        per_symbol=control
        or any(name.startswith(_PER_SYMBOL) or name in _OF_SYMBOL for name in used),
        per_account=control,
        of_order=of_order,
        counts_order=counts,
        needs_price=any(
            name in ("order.valuation_price", "order.price", "order.price_deviation")
            for name in used
        ),
        rises=bound.gate.rule.can_reduce and any(FIELDS[name].rises for name in measured),
        parameters=tuple(
            dict.fromkeys(node.name for node in walk(check.limit) if isinstance(node, ir.Param))
        ),
        places={},
    )


def _fields(node: ir.Node) -> set[str]:
    return {each.name for each in walk(node) if isinstance(each, ir.Field)}


class LimitKeys:
    """The keys of one policy set and some names.

    Attributes:
        kinds: What the numbers of `kind` mean.
        kind, book, symbol, account: Of each key; a symbol or account that does not matter is `NOBODY`.
        column: Of each key: where its check is in what `StandingLimits` finds.
        cell: Of each key: which combination is asked about.
        questions: Each combination twice, buying and selling.
    """

    def __init__(self, linked: LinkedSet, names: Names, books: Books) -> None:
        self.linked, self.names = linked, names
        self.limits = Limits(linked, names.accounts, names.strategies, names.venues, names.symbols)
        self.standing = StandingLimits(self.limits)
        self.kinds: list[Kind] = []
        self._number: dict[tuple[int, tuple[int, ...], int], int] = {}
        self._books = (
            np.zeros(max(1, len(names.accounts)), np.int64),
            books.account_book.astype(np.int64),
            books.strategy_book.astype(np.int64),
        )
        self._of_list: dict[int, set[int]] = {}
        self._of_book: dict[tuple[int, int], list[int]] = {}
        nothing = (np.empty(0, np.int64),) * 3
        self._fill(*map(np.concatenate, zip(nothing, *self._parts(), strict=True)))

    def _fill(self, code: Codes, column: Codes, cell: Codes) -> None:
        self._codes, first = np.unique(code, return_index=True)
        rest, account = np.divmod(self._codes, self._accounts)
        rest, symbol = np.divmod(rest, self._symbols)
        self.kind, self.book = np.divmod(rest, self._rows)
        self.symbol, self.account = symbol - 1, account - 1
        self.column = column[first]
        cells, self.cell = np.unique(cell[first], return_inverse=True)
        sizes = [max(1, len(each)) for each in self.names[:4]]
        asked = np.stack(np.unravel_index(cells, sizes), axis=1).astype(np.int32)
        self.questions = Questions(
            np.ascontiguousarray(np.repeat(asked, 2, axis=0)),
            np.tile(np.array([1, -1], np.int8), len(cells)),
        )

    @property
    def _accounts(self) -> int:
        return len(self.names.accounts) + 1

    @property
    def _symbols(self) -> int:
        return len(self.names.symbols) + 1

    @property
    def _rows(self) -> int:
        return len(self.names.books)

    def code(self, kind: Any, book: Any, symbol: Any, account: Any) -> Any:
        """One number for a key; takes numbers or arrays of them."""
        return (
            ((kind * self._rows + book) * self._symbols + symbol + 1) * self._accounts + account + 1
        )

    def _parts(self) -> Iterator[tuple[Codes, Codes, Codes]]:
        """Codes, columns and combinations of the keys that each class of names binds."""
        bindings, names = self.limits.bindings, self.names
        # Where it does not matter which strategy or venue sends an order, none does: their switches are their own.
        members = [
            _members(classes, known)
            for classes, known in (
                (bindings.account_class, range(len(names.accounts))),
                (bindings.strategy_class, sorted(range(len(names.strategies)), key=self._is_named)),
                (bindings.venue_class, range(len(names.venues))),
                (bindings.symbol_class, names.tradable),
            )
        ]
        strides = [*bindings.strides.tolist(), 1]
        seen: set[tuple[int, int, tuple[int, ...]]] = set()
        for chosen in product(*members):
            which = int(
                bindings.bind[sum(c * s for (c, _), s in zip(chosen, strides, strict=True))]
            )
            bound, numbers = self.limits.lists[which], set()
            for place, at, column in self.standing.entries[which]:
                number = self._kind_of(bound[place], at)
                numbers.add(number)
                kind = self.kinds[number]
                matters = (
                    kind.level == 1 or kind.per_account,
                    kind.level == 2,
                    False,
                    kind.per_symbol,
                )
                # What differs in nothing that matters to a check is looked at once.
                about = tuple(c if m else -1 for (c, _), m in zip(chosen, matters, strict=True))
                if (number, column, about) not in seen:
                    seen.add((number, column, about))
                    yield from self._keys(number, kind, column, [each for _, each in chosen])
            self._of_list[which] = numbers

    def _is_named(self, strategy: int) -> bool:
        return bool(self.names.strategies[strategy])

    def _keys(
        self, number: int, kind: Kind, column: int, chosen: Sequence[Codes]
    ) -> Iterator[tuple[Codes, Codes, Codes]]:
        account, strategy, venue, symbol = chosen
        if not (kind.level == 1 or kind.per_account):
            account = account[:1]
        if not kind.per_symbol:
            symbol = symbol[:1]
        if kind.level == 2:
            # An order without a strategy has no such book.
            strategy = np.array(list(filter(self._is_named, strategy.tolist())), np.int64)
        else:
            strategy = strategy[:1]
        venue = venue[:1]
        sizes = [max(1, len(each)) for each in self.names[:4]]
        grid = np.meshgrid(account, strategy, venue, symbol, indexing="ij")
        a, t, v, s = (each.ravel() for each in grid)
        if not len(a):
            return
        book = self._books[kind.level][t if kind.level == 2 else a]
        nobody = np.full_like(a, NOBODY)
        code = self.code(
            number, book, s if kind.per_symbol else nobody, a if kind.per_account else nobody
        )
        yield code, np.full_like(a, column), np.ravel_multi_index((a, t, v, s), sizes)

    def _kind_of(self, bound: Bound, at: int) -> int:
        key = id(bound.gate), tuple(map(id, bound.rows)), at
        number = self._number.get(key)
        if number is None:
            number = self._number[key] = len(self.kinds)
            self.kinds.append(_kind(bound, at))
        return number

    def each(self, name: str) -> Any:
        """An attribute of the kind, for each key."""
        found = np.array([getattr(kind, name) for kind in self.kinds])
        return found[self.kind] if len(found) else np.zeros(0, np.bool_)

    def places(self, code: Codes) -> Codes:
        """Places of keys by their codes; `NOBODY` where there is none."""
        if not len(self._codes):
            return np.full(code.shape, NOBODY, np.int64)
        at = np.minimum(np.searchsorted(self._codes, code), len(self._codes) - 1)
        return np.where(self._codes[at] == code, at, NOBODY)

    def of_route(self, route: Route, columns: int, checks: int) -> Codes:
        """Places of the keys that a decision told of: for each of its columns and each check of a gate."""
        found = np.full((columns, checks), NOBODY, np.int64)
        account, _, _, symbol = route.codes
        for bound, column in zip(route.bounds, route.columns, strict=True):
            for at in range(len(bound.gate.rule.checks)):
                number = self._number.get((id(bound.gate), tuple(map(id, bound.rows)), at))
                if number is None:
                    continue
                kind = self.kinds[number]
                book = route.books[kind.level]
                if book < 0:
                    continue
                code = self.code(
                    number,
                    book,
                    symbol if kind.per_symbol else NOBODY,
                    account if kind.per_account else NOBODY,
                )
                found[column, at] = self.places(np.array([code]))[0]
        return found

    def lists_of(self, level: int, book: int) -> list[int]:
        """Places in `limits.lists` of the gates that bind orders of a book: of all such orders that are decided by gates."""
        key = level, book
        if key not in self._of_book:
            self._of_book[key] = self._lists_of(level, book)
        return self._of_book[key]

    def _lists_of(self, level: int, book: int) -> list[int]:
        bindings = self.limits.bindings
        accounts, strategies = bindings.account_class, bindings.strategy_class
        if level == 1:
            accounts = accounts[self._books[1][: len(accounts)] == book]
        elif level == 2:
            strategies = strategies[self._books[2][: len(strategies)] == book]
        symbols = bindings.symbol_class[list(self.names.tradable)]
        classes = map(np.unique, (accounts, strategies, bindings.venue_class, symbols))
        grid = np.meshgrid(*classes, indexing="ij")
        strides = [*bindings.strides.tolist(), 1]
        where = sum(c * s for c, s in zip(grid, strides, strict=True))
        lists = np.unique(bindings.bind[where])
        found: list[int] = lists[bindings.lists[lists, COVERED] == COVERED_ALL].tolist()
        return found

    def binding(self, account: str, symbol: str) -> set[int]:
        """Numbers of the kinds that bind an account and a symbol; an empty name stands for any."""
        bindings, names = self.limits.bindings, self.names
        if (account and account not in names.accounts) or (symbol and symbol not in names.symbols):
            return set()
        accounts = [names.accounts.index(account)] if account else range(len(names.accounts))
        symbols = [names.symbols.index(symbol)] if symbol else list(names.tradable)
        strides = bindings.strides.tolist()
        where = (
            np.unique(bindings.account_class[list(accounts)])[:, None, None, None] * strides[0]
            + np.unique(bindings.strategy_class)[:, None, None] * strides[1]
            + np.unique(bindings.venue_class)[:, None] * strides[2]
            + np.unique(bindings.symbol_class[symbols])
        )
        lists = np.unique(bindings.bind[where]).tolist()
        return {number for each in lists for number in self._of_list.get(each, ())}


def _members(
    classes: np.ndarray[Any, np.dtype[np.int32]], known: Iterable[int]
) -> list[tuple[int, Codes]]:
    """The classes that have names, and the codes of these; in the order in which they are known."""
    found: dict[int, list[int]] = {}
    for code in known:
        found.setdefault(int(classes[code]), []).append(code)
    return [(number, np.array(codes, np.int64)) for number, codes in found.items()]
