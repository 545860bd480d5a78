"""What a replay takes for granted, in sentences for its summary."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from ringfence.backends.numba_kernel.layout import LAST_UNREADABLE, REFUSALS
from ringfence.backends.numba_kernel.rings import Needs
from ringfence.language import ir
from ringfence.language.linking import LinkedSet
from ringfence.language.rules import walk
from ringfence.language.suggest import did_you_mean
from ringfence.replay.engine_columns import binding_checks
from ringfence.replay.engine_money import Money
from ringfence.replay.sources import Inputs
from ringfence.replay.trading_days import DEFAULT_DAY
from ringfence.replay.wording import plural

__all__ = ["Assumptions"]

_MONEY_FIELDS = frozenset(
    {
        "book.equity",
        "book.day_start_equity",
        "book.day_loss",
        "book.day_loss_ratio",
        "book.drawdown",
    }
)
_UNKNOWN_INSTRUMENT = REFUSALS.index("UNKNOWN_INSTRUMENT")
_NO_PRICE = REFUSALS.index("NO_PRICE")
_SHOWN = 5
_UNTIL = {
    "day": "until its next trading day starts, when somebody releases it",
    "end": "to the end: nobody releases it",
}


class Assumptions:
    """Gathers them: some are known beforehand, some are counted on the way.

    Attributes:
        endless: Orders so far with neither a fill nor an end, where fills are given.
        cancelled: Orders so far that are taken as cancelled at their end, where a gate counts that.
        firm_follows: Whether the firm's book opens and moves with the accounts' money.
    """

    def __init__(
        self,
        linked: LinkedSet,
        inputs: Inputs,
        money: Money,
        accounts: list[str],
        needs: Needs,
        *,
        frozen: bool,
        halts_until: str,
    ) -> None:
        self.endless = self.cancelled = 0
        self._unread = 0
        self._symbols, self._unknown = inputs.orders.symbols, set[int]()
        self._linked, self._money, self._frozen = linked, money, frozen
        self._halts_until = halts_until
        self._fills, self._marks = inputs.fills is not None, inputs.marks is not None
        self._strategies = [name for name in inputs.orders.strategies if name]
        self._needs = needs
        self._unopened = money.unopened("account", accounts)
        self._idle = money.accounts_without_orders(accounts)
        unknown = bool(self._unopened) and money.equity is None
        self.firm_follows = not money.names_firm and not unknown

    def count(self, codes: npt.NDArray[np.int16], symbols: npt.NDArray[np.int32]) -> None:
        """Count orders that move nothing, by the kernel's codes of a batch's reasons, and note unknown symbols."""
        self._unknown.update(np.unique(symbols[codes == _UNKNOWN_INSTRUMENT]).tolist())
        if self._frozen:
            unread = (codes > 0) & (codes <= LAST_UNREADABLE)
            if not self._fills:
                unread |= codes == _NO_PRICE
            self._unread += int(np.count_nonzero(unread))

    def sentences(self) -> list[str]:
        """All of them, in a fixed order."""
        return [
            *self._of_orders(),
            *self._of_instruments(),
            *self._of_money(),
            *self._of_controls(),
        ]

    def _of_orders(self) -> Iterable[str]:
        if self._fills:
            yield "fills are those of the history, in proportion to what was approved of their order"
        else:
            yield "no fills are given: an order fills at once, at its price or else at its valuation price, without fees"
        if self.endless:
            yield (
                f"taken as ended at once, for want of a fill and of an end: "
                f"{plural(self.endless, 'order')}"
            )
        if self._needs.rates and not self._fills:
            yield "rates count no cancels: an order that fills at once is not cancelled"
        if self.cancelled:
            yield (
                f"cancelled at `end_ts`, unless filled before, and counted in rates: "
                f"{plural(self.cancelled, 'order')}"
            )
        if not self._marks:
            yield "no marks are given: an order's own price is the mark, and no price is too old"
        if self._unread:
            yield (
                f"frozen: sent, but moving no position, for they cannot be read or valued: "
                f"{plural(self._unread, 'order')}"
            )

    def _of_instruments(self) -> Iterable[str]:
        names = sorted(self._symbols[code] for code in self._unknown)
        if not names:
            return
        # Of many, one that is meant would be a guess for the others.
        near = did_you_mean(names[0], self._linked.desk.instruments) if len(names) == 1 else ""
        it = "it" if len(names) == 1 else "them"
        yield f"orders in {_listed('symbol', names)} are rejected: no instruments file knows {it}{near}"

    def _of_money(self) -> Iterable[str]:
        currency, equity = self._linked.currency, self._money.equity
        if self._unopened:
            names = _listed("account", self._unopened)
            if equity is None:
                yield (f"no opening balance is known of {names}: gates that need its equity reject")
            else:
                yield f"no opening balance is known of {names}: it opens with {equity:,.10g} {currency}".rstrip()
        if self._idle and not self._money.names_firm:
            yield f"the money of {_listed('account', self._idle)} counts, although it sends no order"
        elif self._idle:
            yield f"{_listed('account', self._idle)} counts in the sum of the accounts' equity, although it sends no order"
        if self._needs.firm and self._needs_money("firm"):
            if self.firm_follows:
                yield "no balance names the firm: it opens and moves with the accounts' money"
            elif "firm" not in self._money.opened:
                yield "the firm's equity is unknown: gates that need it reject"
        lacking = self._money.unopened("strategy", self._strategies)
        if lacking and self._needs.strategy and self._needs_money("strategy"):
            yield (
                f"no opening balance is known of {_listed('strategy', lacking)}: gates that need "
                f"its equity reject"
            )

    def _of_controls(self) -> Iterable[str]:
        if not any(policy.day for policy in self._linked.policies):
            yield f"no policy says when the trading day starts: it starts at {' '.join(DEFAULT_DAY)}"
        if any(gate.rule.name == "kill-switch" for gate in self._linked.gates):
            yield "every kill switch is active: the history does not say when one was pulled"
        if self._halts_until:
            yield f"a book that a gate halts stays so {_UNTIL[self._halts_until]}"
        elif self._frozen and any(gate.halts for gate in self._linked.gates):
            yield "frozen: no gate halts a book, each order is looked at by itself"

    def _needs_money(self, level: str) -> bool:
        """Whether a gate of this level reads its book's equity with the limits that it has."""
        return any(
            isinstance(node, ir.Field) and node.name in _MONEY_FIELDS
            for check in binding_checks(gate for gate in self._linked.gates if gate.level == level)
            for node in (*walk(check.measure), *walk(check.limit))
        )


def _listed(kind: str, names: list[str]) -> str:
    """`account alpha`, or the number of them with the first few names."""
    if len(names) == 1:
        return f"{kind} `{names[0]}`"
    shown = ", ".join(f"`{name}`" for name in names[:_SHOWN])
    more = ", ..." if len(names) > _SHOWN else ""
    kinds = f"{kind[:-1]}ies" if kind.endswith("y") else f"{kind}s"
    return f"each of {len(names):,} {kinds} ({shown}{more})"
