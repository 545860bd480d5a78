"""What is known of usual orders before they come: their sorts, sizes and prices, with the texts that stand for them.

Most traders send orders of the same few sorts and sizes again and again. An order is read by looking up what it has in
common with those before it; only what is new is read digit by digit.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

from ringfence.backends.numba_kernel.live_usual import Template, two_texts
from ringfence.language.orders import OrderRequest
from ringfence.language.tickets import Refusal
from ringfence.runtime.asked import KINDS, LONGEST_NAME, LONGEST_NUMBER, SIDES, Asked, read_number
from ringfence.runtime.evaluator import Evaluator, Route
from ringfence.runtime.usual_templates import template_of

__all__ = ["Price", "Size", "Sort", "UsualSorts"]

_NAN = float("nan")
# As compiled code has room for; a longer text is none of a usual order.
_LONGEST_TEXT = 63
_MOST_SORTS, _MOST_SIZES, _MOST_PRICES = 4_096, 1_024, 4_096
_in_json = msgspec.json.Encoder().encode


class Size(NamedTuple):
    """A size: in lots, as asked and as approved, and the texts of both for `LiveUsual.fill`."""

    lots: int
    asked: Decimal
    approved: Decimal
    texts: bytes


class Price(NamedTuple):
    """A price, as a float and exactly, and the texts of both for `LiveUsual.fill`: the float's as in JSON.

    `given` is the float, or None where the order has no price.
    """

    number: float
    given: float | None
    exact: Decimal | None
    texts: bytes


_NO_PRICE = Price(_NAN, None, None, two_texts(b"", b""))


class Sort(NamedTuple):
    """What orders of one route, side and type have in common; `names` are the route's, side and type."""

    route: Route
    template: Template
    names: tuple[str, ...]
    reduce_only: bool
    sizes: dict[str | None, Size]

    def asked(self, size: Size, price: Price, client: str) -> Asked:
        """An order of this sort, as any order is read."""
        account, strategy, venue, symbol, side, kind = self.names
        return Asked(
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
            self.reduce_only,
            client,
        )


_Sorts = dict[tuple[Any, ...], Sort | tuple[()]]


class UsualSorts:
    """The sorts of orders under one set of limits.

    Args:
        evaluator: Has the limits.
        run: What the ids of orders begin with.
        policy_set: Name of the limits' policy set.
        before: Sorts under the limits from before; their templates differ in the name of the policy set at most.
        gone: Says what of a route the policy set knows no more; empty for nothing.

    Attributes:
        version: Of the arrays of books; sorts are of no use with another.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        run: str,
        policy_set: str,
        before: "UsualSorts | None",
        gone: Callable[[Route], str],
    ) -> None:
        self._evaluator, self._run, self.policy_set = evaluator, run, policy_set
        self._gone = gone
        self.version = evaluator.arrays.version
        self._sorts: _Sorts = {}
        self._prices: dict[str | None, Price] = {} if before is None else before._prices
        self._before = ("", {}) if before is None else (before.policy_set, before._sorts)

    def read(self, given: Any) -> tuple[Sort, Size, Price, str] | None:
        """An order's sort, size, price and client's id; None where it is not usual, or cannot be read."""
        if type(given) is not OrderRequest:
            return None
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
            return None
        if not (
            type(account) is type(strategy) is type(venue) is type(symbol) is str
            and type(side) is type(kind) is type(client) is str
            and type(reduce_only) is bool
            and (timestamp is None or type(timestamp) is int)
        ):
            return None
        if client and (len(client) > LONGEST_NAME or not client.isascii()):
            return None
        names = account, strategy, venue, symbol, side, kind, reduce_only, given_price is None
        sort = self._sorts.get(names)
        if sort is None:
            sort = self._new_sort(names)
        if not sort:
            return None
        text = given_size if type(given_size) is str else _text_of(given_size)
        size = sort.sizes.get(text) or self._new_size(sort, text)
        price: Price | None = _NO_PRICE
        if given_price is not None:
            text = given_price if type(given_price) is str else _text_of(given_price)
            price = self._prices.get(text) or self._new_price(text)
        if size is None or price is None:
            return None
        return sort, size, price, client

    def _new_sort(self, names: tuple[Any, ...]) -> Sort | tuple[()]:
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
    ) -> Sort | tuple[()] | None:
        if side not in SIDES or kind not in KINDS or (is_unpriced and kind != "market"):
            return None
        route = self._evaluator.route((account, strategy, venue, symbol))
        if isinstance(route, Refusal):
            return None
        if route.picks or self._gone(route):
            return ()
        names = (*route.key, side, kind)
        policy_set, before = self._before
        known = before.get((*names, reduce_only, is_unpriced))
        if known and _same_texts(known.route, route):
            # What a swap of limits changes is the policy set's name, and orders wait for this.
            template = known.template.renamed(policy_set.encode(), self.policy_set.encode())
            return Sort(route, template, names, reduce_only, {})
        try:
            template = template_of(
                route,
                side,
                kind,
                reduce_only=reduce_only,
                has_price=not is_unpriced,
                run=self._run,
                policy_set=self.policy_set,
            )
        except UnicodeEncodeError:
            return ()
        return Sort(route, template, names, reduce_only, {})

    def _new_size(self, sort: Sort, text: str | None) -> Size | None:
        if text is None:
            return None
        exact, _ = read_number(text)
        if exact is None:
            return None
        lots = self._evaluator.lots(sort.route, _Sized(exact))
        if isinstance(lots, Refusal):
            return None
        approved = lots * sort.route.instrument.lot_step
        texts = str(exact).encode(), str(approved).encode()
        if max(map(len, texts)) > _LONGEST_TEXT:
            return None
        if len(sort.sizes) >= _MOST_SIZES:
            sort.sizes.clear()
        made = sort.sizes[text] = Size(lots, exact, approved, two_texts(*texts))
        return made

    def _new_price(self, text: str | None) -> Price | None:
        if text is None:
            return None
        exact, number = read_number(text)
        if exact is None or not 0.0 < number < float("inf"):
            return None
        texts = str(exact).encode(), _in_json(number)
        if max(map(len, texts)) > _LONGEST_TEXT:
            return None
        if len(self._prices) >= _MOST_PRICES:
            self._prices.clear()
        made = self._prices[text] = Price(number, number, exact, two_texts(*texts))
        return made


class _Sized(NamedTuple):
    size: Decimal


def _same_texts(one: Route, other: Route) -> bool:
    """Whether templates of two routes differ in the name of the policy set alone."""
    return (one.texts, one.codes, one.books) == (other.texts, other.codes, other.books)


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
