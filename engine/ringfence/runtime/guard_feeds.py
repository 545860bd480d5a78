"""What a guard is told: fills, ends of orders, marks, money, switches, and the venue's own view."""

from collections.abc import Collection
from contextlib import suppress
from decimal import Decimal
from math import isfinite
from typing import Any

from ringfence.errors import InputError, StateError
from ringfence.language.orders import KILL_STATES, to_decimal
from ringfence.runtime.asked import MarketData, read_market, without_nan
from ringfence.runtime.guard_core import GuardCore
from ringfence.runtime.kill_switches import Switch
from ringfence.runtime.reconciliation import Difference, VenueSnapshot, differences
from ringfence.runtime.told_values import (
    read_account,
    read_amount,
    read_number,
    read_side,
    read_size,
)

__all__ = ["GuardFeeds"]

_MONEY = ("opening", "deposit", "withdrawal")


class GuardFeeds(GuardCore):
    """The events of `CentralRiskGuard`.

    Each raises what `_happen` raises: `LedgerError` where nothing moved, `StateError` or `AuditError`
    where it was booked but could not be kept or recorded.
    """

    def on_fill(self, order_id: str, cumulative_size: Any, price: Any, fee: Any = 0) -> Decimal:
        """Book a fill of an approved order, once for each (order, size filled until then).

        Args:
            order_id: `GuardDecision.id`.
            cumulative_size: Filled in all by now, in units of the base.
            price, fee: Of what is new, in the quote currency; the fee below zero for a rebate.

        Returns:
            What is new; 0 for a report that was counted before.
        """
        fill = [order_id, str(read_size(cumulative_size)), read_number(price), read_number(fee)]
        found: Decimal = self._happen("fill", *fill, audit={"fill": fill})
        return found

    def on_direct_fill(
        self,
        account: str,
        strategy: str,
        symbol: str,
        side: str,
        size: Any,
        price: Any,
        fee: Any = 0,
    ) -> None:
        """Book a fill of no order of this guard: an opening position, a trade made elsewhere.

        Told twice it counts twice.
        """
        numbers = [str(read_size(size)), read_number(price), read_number(fee)]
        fill = [read_account(account), strategy, symbol, read_side(side), *numbers]
        self._happen("direct", *fill, audit={"fill": fill})

    def on_cancel(self, order_id: str) -> bool:
        """Release what an order still reserves; False where it had ended before.

        The cancel that ends an order counts as a message of its books, for gates that limit rates.
        """
        return self._ends(order_id, "cancel")

    def on_expire(self, order_id: str) -> bool:
        """As `on_cancel`: the order ended by itself, so that no message left."""
        return self._ends(order_id, "expire")

    def _ends(self, order_id: str, how: str) -> bool:
        return bool(self._happen("end", order_id, how, audit={"order": order_id, "end": how}))

    def on_mark(self, symbol: str, market_data: MarketData) -> None:
        """Take over market data, and value every book that holds the symbol.

        Data older than what is there is left out.

        Raises:
            InputError: the symbol is unknown, or the data is no market data or ahead of the clock.
        """
        read = read_market(market_data)
        if not isinstance(read, tuple):
            raise InputError(
                "no market data" if read is None else read.message,
                fix="give a `MarketData` with a time and prices above zero",
            )
        with self._alone():
            if symbol not in self._books.ledger.arrays.symbols:
                raise InputError(f"the symbol `{symbol}` is unknown", fix="declare its instrument")
            if read[0] > self._clock.now_ns() + self.settings.max_skew_ns:
                raise InputError(
                    "the market data is ahead of the guard's clock",
                    fix="see to both clocks, and to the unit of its time: nanoseconds",
                )
            self._happen("mark", symbol, read[0], *without_nan(read[1]))
        if self.settings.market_cache is not None:
            # What cannot be shared is still booked here.
            with suppress(StateError):
                self.settings.market_cache.put(symbol, market_data)

    def on_balance(self, book: str, kind: str, amount: Any) -> None:
        """Give a book its first money, or move money in or out; no gain, no loss.

        Args:
            book: `account/NAME`, `strategy/NAME` or `firm`.
            kind: `opening`, `deposit` or `withdrawal`.
            amount: In the policy set's currency.
        """
        if kind not in _MONEY:
            raise InputError(f"`{kind}` is no move of money", fix=f"one of {_MONEY}")
        read_amount(amount)
        money = [book, kind, str(to_decimal(amount))]
        self._happen("money", *money, audit={"money": money})

    # Kill switches

    def kill_switch(self, target: str) -> str:
        """`active`, `reducing` or `halted`: the state of `firm`, `account/NAME`, `strategy/NAME`,
        `venue/NAME` or `symbol/NAME`."""
        with self._lock:
            return self._books.switches.state(target)

    @property
    def kill_switches(self) -> tuple[Switch, ...]:
        """Every switch that was ever set, with who set it last, when and why."""
        with self._lock:
            return tuple(self._books.switches.switches.values())

    def set_kill_switch(
        self,
        target: str,
        state: str,
        *,
        by: str,
        reason: str,
        seen_ns: int | None = None,
        rearm: bool = False,
    ) -> None:
        """Set a switch. It stays so, restarts included, until a person sets it anew.

        A stricter state holds at once, even where it cannot be kept or recorded, which is then raised; a
        looser one only once it is recorded.

        Args:
            target: As in `kill_switch`.
            state: `active`, `reducing` (only orders that reduce risk) or `halted` (none).
            by: Who.
            reason: Why.
            seen_ns: When the switch was set that the person knows of (`Switch.at_ns`; 0: it never was). Where
                it was set anew since, nothing is changed.
            rearm: Whether the drawdown of the target's book counts from its present equity from now on. Without it
                the peak stays, and a gate `drawdown` that halted the book halts it again with the next order.

        Raises:
            InputError: there is no such target or state, nobody or no reason is named, it was set anew, or its
                drawdown cannot be armed anew: it is no book, its equity is unknown, or it stays halted.
        """
        with self._alone():
            self._refresh()
            self._books.switches.check(target, state, by, reason)
            if seen_ns is not None:
                self._books.switches.check_unchanged(target, seen_ns)
            fields = [target, state, by, reason]
            before = self._books.switches.state(target)
            body: dict[str, Any] = {"switch": fields, "before": before}
            if rearm:
                body["peak"] = self._peaks(target, state)
            if rearm or KILL_STATES.index(state) < KILL_STATES.index(before):
                self._record("switch", body)
                if rearm:
                    # Where this alone is kept the book stays halted, and no order meets the new peak.
                    self._happen("peak", target, body["peak"]["now"])
                self._happen("switch", *fields)
            else:
                self._happen("switch", *fields, audit=body)

    def check_kill_switch(
        self, target: str, state: str, *, by: str, reason: str, rearm: bool = False
    ) -> None:
        """Whether `set_kill_switch` would take this now; nothing is changed.

        Raises:
            InputError: as `set_kill_switch`.
        """
        with self._alone():
            self._refresh()
            self._books.switches.check(target, state, by, reason)
            if rearm:
                self._peaks(target, state)

    def _peaks(self, target: str, state: str) -> dict[str, float]:
        """The peak of a book's equity before and after its drawdown is armed anew."""
        if state == KILL_STATES[-1]:
            raise InputError(
                f"`{target}` stays {state}", fix="arm its drawdown anew when it is released"
            )
        books = self._books.ledger.books
        if target not in books:
            raise InputError(
                f"`{target}` has no drawdown", fix="`firm`, or account/ or strategy/ with a name"
            )
        book = self.book(target)
        if not isfinite(book.equity):
            raise InputError(
                f"the equity of `{target}` is unknown, so no peak can start at it",
                fix="give the book its money, and marks to what it holds",
            )
        return {"before": book.peak_equity, "now": book.equity}

    def _refresh(self) -> None:
        """Take over what other guards did, as far as the store can be asked."""
        if self._keeper.is_shared:
            with suppress(StateError):
                self._keeper.current()
            self._bind_anew()

    # The venue's view

    def reconcile(
        self, snapshot: VenueSnapshot, *, among: Collection[tuple[str, str]] | None = None
    ) -> tuple[Difference, ...]:
        """Compare an account with what its venue says, and report every difference.

        While there is one, the account takes only orders that reduce risk: until the books were corrected
        (`on_fill`, `on_cancel`, `on_direct_fill`, `on_balance`) and a later call finds none, or a person
        accepts it.

        Args:
            snapshot: What the venue says.
            among: Only what is told here counts, as kind and subject: the differences that earlier snapshots have
                shown as well. All others may be of the moment between this snapshot and the comparison. None where
                nothing moved meanwhile: then all count.

        Raises:
            LedgerError: there is no such account.
            InputError: the snapshot holds something that is no number.
        """
        with self._alone():
            self._refresh()
            found = differences(self.book(f"account/{snapshot.account}"), snapshot)
            if among is not None:
                found = tuple(each for each in found if (each.kind, each.subject) in among)
            waits = bool(found)
            self._reconciled["different" if waits else "equal"] += 1
            body = {
                "account": snapshot.account,
                "differences": [
                    [each.kind, each.subject, _text(each.ours), _text(each.theirs)]
                    for each in found
                ],
            }
            if waits or snapshot.account in self._books.switches.unreconciled:
                self._happen("reconcile", snapshot.account, waits, audit=body)
            else:
                self._record("reconcile", body)
            return found

    @property
    def unreconciled(self) -> frozenset[str]:
        """Accounts that take only orders that reduce risk, for they differ from their venue."""
        with self._lock:
            return frozenset(self._books.switches.unreconciled)

    def accept_differences(self, account: str, *, by: str, reason: str) -> None:
        """Let an account trade again although it differs from its venue; its books stay as they are.

        Raises:
            InputError: nobody or no reason is named, or the account does not wait for it.
        """
        with self._alone():
            self._refresh()
            target = f"account/{account}"
            self._books.switches.check(target, self.kill_switch(target), by, reason)
            if account not in self._books.switches.unreconciled:
                raise InputError(
                    f"`{account}` does not wait for a reconciliation",
                    fix="see `unreconciled` for those that do",
                )
            self._record("reconcile", {"account": account, "accepted": [by, reason]})
            self._happen("reconcile", account, False)


def _text(number: Decimal | None) -> str | None:
    return None if number is None else str(number)
