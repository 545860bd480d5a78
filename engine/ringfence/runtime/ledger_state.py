"""A ledger as plain data for JSON, and back, to the last bit."""

import base64
from decimal import Decimal
from typing import Any

import numpy as np

from ringfence.backends.numba_kernel import layout
from ringfence.backends.numba_kernel.layout import Books
from ringfence.errors import LedgerError, StateError
from ringfence.language.linking import LinkedSet
from ringfence.language.orders import Instrument
from ringfence.runtime.ledger import Ledger

__all__ = ["dump_ledger", "load_ledger"]


def dump_ledger(ledger: Ledger) -> dict[str, Any]:
    """Everything that the ledger's next answers depend on."""
    arrays = ledger.arrays
    next_day, firm_alone = ledger.clock_state
    return {
        "currency": arrays.currency,
        "arrays": {name: _packed(array) for name, array in arrays.books._asdict().items()},
        "books": arrays.book_codes,
        "accounts": arrays.accounts,
        "strategies": arrays.strategies,
        "symbols": arrays.symbols,
        "venues": arrays.venues,
        "instruments": [_instrument(each) for each in arrays.instruments.values()],
        "orders": ledger.orders.dump(),
        "next_day": next_day,
        "firm_alone": firm_alone,
        "counts": dict(ledger.counts),
    }


def load_ledger(linked: LinkedSet, state: dict[str, Any]) -> Ledger:
    """The ledger that was dumped, under the instruments and names of a policy set.

    Raises:
        StateError: it is of another currency, or holds a symbol under other rules.
    """
    if state["currency"] != linked.currency:
        raise StateError(
            f"the state counts in {state['currency']}, the policies in {linked.currency}",
            "go back to policies in the currency of the state, or begin in an empty directory",
        )
    ledger = Ledger.of(linked)
    arrays = ledger.arrays
    declared = list(arrays.instruments.values())
    kept = state["arrays"]
    books = {name: _unpacked(kept[name]) for name in Books._fields if name in kept}
    # A version that kept none counted orders alone, and did not say of which symbol.
    books.setdefault("rate_what", np.full(books["rate_ts"].shape, 2 * layout.ANY_SYMBOL, np.int32))
    names = {
        name: dict(state[name]) for name in ("books", "accounts", "strategies", "symbols", "venues")
    }
    arrays.resume(
        Books(**books), names, {row[0]: _from_instrument(row) for row in state["instruments"]}
    )
    ledger.orders.load(state["orders"])
    ledger.clock_state = state["next_day"], state["firm_alone"]
    ledger.counts.update(state["counts"])
    try:
        for instrument in declared:
            ledger.declare(instrument)
        for account in linked.desk.accounts:
            arrays.account(account)
        for strategy in linked.desk.strategies:
            arrays.strategy(strategy)
    except LedgerError as error:
        raise StateError(error.message, error.fix) from None
    return ledger


def _packed(array: np.ndarray[Any, Any]) -> list[Any]:
    return [array.dtype.str, list(array.shape), base64.b64encode(array.tobytes()).decode("ascii")]


def _unpacked(packed: list[Any]) -> np.ndarray[Any, Any]:
    dtype, shape, text = packed
    # A copy, for compiled code writes to it.
    return np.frombuffer(base64.b64decode(text), dtype).reshape(shape).copy()


def _instrument(each: Instrument) -> list[Any]:
    decimals = [each.lot_step, each.min_size, each.max_size, each.tick_size]
    return [
        each.symbol,
        *(None if number is None else str(number) for number in decimals),
        each.multiplier,
        each.base,
        each.quote,
        each.min_notional,
        each.full_close_exempt,
        each.fx,
    ]


def _from_instrument(row: list[Any]) -> Instrument:
    symbol, lot_step, *rest = row
    minimum, maximum, tick = (None if text is None else Decimal(text) for text in rest[:3])
    return Instrument(symbol, Decimal(lot_step), minimum, maximum, tick, *rest[3:])
