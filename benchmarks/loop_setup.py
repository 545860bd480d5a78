"""The plain loop made ready from a linked policy set, and its orders from columns."""

from collections.abc import Iterable

import numpy as np

from benchmarks.plain_loop import GATES, Limits, Order, PlainLoop, Rules
from benchmarks.policy_files import EQUITY
from ringfence.language.linking import LinkedSet
from ringfence.language.parameters import Money
from ringfence.replay.batches import OrderBatch
from ringfence.replay.sources import Inputs

__all__ = ["orders_of", "plain_loop"]


def plain_loop(linked: LinkedSet) -> PlainLoop:
    """A fresh loop with the limits and instruments of a policy set that the benchmarks wrote."""
    return PlainLoop(
        {account: _limits(linked, account) for account in linked.desk.accounts},
        {symbol: _rules(linked, symbol) for symbol in linked.desk.instruments},
        EQUITY,
    )


def orders_of(batches: Iterable[OrderBatch], inputs: Inputs, rows: int) -> list[Order]:
    """The first `rows` orders as tuples, from columns."""
    accounts, symbols = inputs.orders.accounts.names, inputs.symbols.names
    orders: list[Order] = []
    for batch in batches:
        columns = (
            batch.ts.tolist(),
            np.array(accounts, object)[batch.account].tolist(),
            np.array(symbols, object)[batch.symbol].tolist(),
            batch.side.tolist(),
            batch.size.tolist(),
            batch.price.tolist(),
            batch.reduce_only.astype(bool).tolist(),
        )
        orders += map(Order._make, zip(*columns, strict=True))
        if len(orders) >= rows:
            break
    return orders[:rows]


def _limits(linked: LinkedSet, account: str) -> Limits:
    desk = linked.desk
    bounds = linked.bind(account, desk.strategies[0], desk.venues[0], next(iter(desk.instruments)))
    given = {bound.gate.name: bound.row_at(0).values for bound in bounds}
    if tuple(given) != GATES:
        raise ValueError(f"the plain loop knows {GATES}, not {tuple(given)}")

    def number(gate: str, name: str) -> float:
        value = given[gate][name]
        return value.amount if isinstance(value, Money) else float(value)  # type: ignore[arg-type]

    return Limits(
        min_completeness=number("data-quality", "min_completeness"),
        max_loss=number("daily-loss", "max_loss"),
        max_loss_ratio=number("daily-loss", "max_loss_ratio"),
        max_drawdown=number("drawdown", "max_drawdown"),
        max_positions=number("position-count", "max_positions"),
        max_total=number("total-exposure", "max"),
        max_total_ratio=number("total-exposure", "max_of_equity"),
        max_single=number("position-size", "max"),
        max_single_ratio=number("position-size", "max_of_equity"),
        max_correlated_ratio=number("correlated-exposure", "max_of_equity"),
    )


def _rules(linked: LinkedSet, symbol: str) -> Rules:
    own = linked.desk.instruments[symbol]
    threshold = 0.7
    with_it, against_it = set(), set()
    for (one, other), (rho, _) in linked.desk.correlations.items():
        if symbol in (one, other):
            peer = other if one == symbol else one
            if rho >= threshold:
                with_it.add(peer)
            elif -rho >= threshold:
                against_it.add(peer)
    least = own.min_size or own.lot_step
    return Rules(
        lots_per_unit=float(1 / own.lot_step),
        lot_step=own.lot_multiplier,
        min_lots=int(least / own.lot_step),
        min_notional=own.min_notional,
        with_it=frozenset(with_it),
        against_it=frozenset(against_it),
    )
