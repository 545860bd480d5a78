"""An account as its exchange sees it, in the words of the books, and the comparison of both.

A spot exchange knows balances of currencies and no positions. The position of BASE/QUOTE is the total of
BASE, and what that cannot say is never made up:

- Symbols of one base share its total. They are compared as a sum, and a difference is shown once, at the
  symbol with the largest position.
- A currency that is also the quote of another symbol moves with that symbol's trades: not compared.
- Currencies without an instrument are no positions. Less than a lot is none either.
- An order whose approval still holds may be on its way: not compared until it has run out.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ringfence.gateway.following import Follower
from ringfence.gateway.guarded import LATE_NS
from ringfence.language.instruments import Instrument
from ringfence.runtime.exchanges import OpenOrder
from ringfence.runtime.ports import SYSTEM_CLOCK, Clock
from ringfence.runtime.reconciliation import Difference, VenueSnapshot, differences

if TYPE_CHECKING:
    from ringfence.runtime.guard_core import WorkingOrder

__all__ = ["VenueView", "reconcile", "take_snapshot"]

# Looks beyond those that a difference needs, where fills come too fast for a look to say anything.
_MOST_UNCLEAR = 9
#: Kind and subject of a difference.
_Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class VenueView:
    """A snapshot, and the currencies whose positions it could not know: there it says what the books say."""

    snapshot: VenueSnapshot
    not_compared: tuple[str, ...]


def take_snapshot(
    follower: Follower,
    instruments: Mapping[str, Instrument],
    *,
    currency: str = "",
    cash_tolerance: Any = 0,
    clock: Clock = SYSTEM_CLOCK,
) -> VenueView:
    """Ask the exchange for an account's balances and open orders.

    Args:
        follower: Of the account, which trades at this venue alone.
        instruments: The policy set's, by symbol.
        currency: Whose balance is compared with the book's cash; empty to leave cash out.
        cash_tolerance: So much may it differ.

    Raises:
        ExchangeError: the exchange cannot be asked.
    """
    guard, gateway, account = follower.guard, follower.gateway, follower.account
    balances = gateway.balances(account)
    opened = gateway.open_orders(account)
    book = guard.book(f"account/{account}")
    held = {symbol: each.size for symbol, each in book.positions.items()}
    positions, not_compared = _positions(balances, held, instruments)
    ours = guard.working_orders(account=account, venue=gateway.venue)
    snapshot = VenueSnapshot(
        account,
        positions,
        _orders(opened, ours, clock.now_ns()),
        balances.get(currency, Decimal(0)) if currency else None,
        cash_tolerance,
    )
    return VenueView(snapshot, not_compared)


def reconcile(
    follower: Follower,
    instruments: Mapping[str, Instrument],
    *,
    currency: str = "",
    cash_tolerance: Any = 0,
    looks: int = 3,
    pause_s: float = 1.0,
    clock: Clock = SYSTEM_CLOCK,
    wait: Callable[[float], None] = time.sleep,
) -> tuple[Difference, ...]:
    """Let the guard compare an account with its exchange.

    Trading goes on meanwhile, and an exchange's balances and histories may lag behind one another. So a difference
    counts only where `looks` looks show it and none does not. New fills are told before and after each look: one that
    lies between the books of both moments says neither, and another look is taken.

    Args:
        follower, instruments, currency, cash_tolerance: As in `take_snapshot`.
        looks: 1 or more.
        pause_s: Seconds between two looks, where there is a difference.

    Returns:
        What differs; the guard lets the account only reduce its risk then.

    Raises:
        ExchangeError: the exchange cannot be asked.
        StateError, AuditError: as `CentralRiskGuard.reconcile`.
    """
    guard, name = follower.guard, f"account/{follower.account}"
    seen: Counter[_Key] = Counter()
    possible: set[_Key] = set()
    for look in range(max(1, looks) + _MOST_UNCLEAR):
        if look:
            wait(pause_s)
        follower.catch_up()
        before = guard.book(name)
        view = take_snapshot(
            follower, instruments, currency=currency, cash_tolerance=cash_tolerance, clock=clock
        )
        found = _by_key(differences(before, view.snapshot))
        if found:
            # A fill may have come between both questions.
            follower.catch_up()
            after = _by_key(differences(guard.book(name), view.snapshot))
            found = {key: each for key, each in found.items() if key in after}
            seen.update(key for key in found if not _lies_between(found[key], after[key]))
        possible = possible & found.keys() if look else set(found)
        if all(seen[key] >= looks for key in possible):
            break
    lasting = {key for key in possible if seen[key] >= looks}
    if follower.account in guard.unreconciled:
        # What is unclear lets no account trade again.
        lasting = possible
    # Orders come and end between a look and this comparison: what was no difference before is none now.
    return guard.reconcile(view.snapshot, among=lasting)


def _by_key(found: Iterable[Difference]) -> dict[_Key, Difference]:
    return {(each.kind, each.subject): each for each in found}


def _lies_between(before: Difference, after: Difference) -> bool:
    """Whether what the exchange says lies between the books of two moments."""
    one, number, other = before.ours, after.theirs, after.ours
    if one is None or number is None or other is None:
        return False
    return min(one, other) <= number <= max(one, other)


def _positions(
    balances: Mapping[str, Decimal],
    held: Mapping[str, Decimal],
    instruments: Mapping[str, Instrument],
) -> tuple[dict[str, Decimal], tuple[str, ...]]:
    by_base: dict[str, list[str]] = {}
    quotes: set[str] = set()
    for symbol in sorted(instruments):
        base, quote = _currencies(symbol, instruments[symbol])
        by_base.setdefault(base, []).append(symbol)
        quotes.add(quote)
    positions = dict(held)
    for base, symbols in by_base.items():
        if base in quotes:
            continue
        rest = balances.get(base, Decimal(0)) - sum(held.get(each, 0) for each in symbols)
        shown = max(symbols, key=lambda each: abs(held.get(each, Decimal(0))))
        if abs(rest) >= instruments[shown].lot_step:
            positions[shown] = held.get(shown, Decimal(0)) + rest
    return positions, tuple(sorted(quotes & by_base.keys()))


def _currencies(symbol: str, instrument: Instrument) -> tuple[str, str]:
    base, _, quote = symbol.partition("/")
    return instrument.base or base, instrument.quote or quote


def _orders(
    opened: Iterable[OpenOrder], ours: "Iterable[WorkingOrder]", now_ns: int
) -> dict[str, Decimal]:
    known = {order.client_order_id: order for order in ours}
    there: dict[str, Decimal] = {}
    for each in opened:
        order = known.pop(each.client_order_id, None)
        name = order.order_id if order is not None else each.client_order_id
        there[name or each.exchange_order_id] = each.size - each.filled
    for order in known.values():
        if now_ns < order.expires_ns + LATE_NS:
            there[order.order_id] = order.size
    return there
