"""How far each gate's limits are used in a replay, and how many orders it lets through; nothing is written."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ringfence.backends.numba_kernel.limits import Limits
from ringfence.language.gates import Gate
from ringfence.language.linking import LinkedSet
from ringfence.replay.decided import DECISIONS, OUTCOMES, DecidedBatch
from ringfence.replay.dry_run import own_view
from ringfence.replay.engine import Engine
from ringfence.replay.sources import Inputs

__all__ = ["LimitUse", "gate_key", "limit_use"]

_KNOWN = tuple(OUTCOMES.index(each) for each in ("pass", "reduce", "breach"))
_UNKNOWN = OUTCOMES.index("unknown")


def gate_key(gate: Gate) -> str:
    """`policy/gate`: a gate's name through all versions of its policy."""
    return f"{gate.policy.name}/{gate.name}"


@dataclass(slots=True)
class LimitUse:
    """What came of one replay.

    Attributes:
        orders, rejected, reduced: How many orders, and how many were not sent as asked.
        notional_rejected: Of the rejected, in the policies' currency, as far as it is known.
        peak: By `gate_key`, the largest share of its limit that was used; of a gate with several limits
            that of the closest.
        unknown: By `gate_key`, how often it was unknown.
        first_ns, last_ns: Times of the first and the last order.
    """

    orders: int = 0
    rejected: int = 0
    reduced: int = 0
    notional_rejected: float = 0.0
    peak: dict[str, float] = field(default_factory=dict)
    unknown: dict[str, int] = field(default_factory=dict)
    first_ns: int = 0
    last_ns: int = 0

    @property
    def reject_rate(self) -> float:
        """Rejected orders as a share of all."""
        return self.rejected / self.orders if self.orders else 0.0


def limit_use(
    linked: LinkedSet,
    inputs: Inputs,
    *,
    mode: str = "propagated",
    equity: float | None = None,
    progress: Callable[[int], None] | None = None,
) -> LimitUse:
    """Replay all orders through a policy set.

    Args:
        linked: The policy set.
        inputs: The sources, their tables of names complete; they can be read again afterwards.
        mode: `propagated` or `frozen`.
        equity: As the engine takes it.
        progress: Told how many orders are done.
    """
    engine = Engine(linked, own_view(inputs), mode=mode, equity=equity)
    names = engine.names
    limits = Limits(linked, names.accounts, names.strategies, names.venues, names.symbols)
    found = LimitUse()
    for batch in inputs.orders:
        decided = engine.decide(batch)
        if not found.orders:
            found.first_ns = int(batch.ts[0])
        found.last_ns = int(batch.ts[-1])
        found.orders += len(batch)
        _count(found, decided)
        _use(found, decided, limits)
        if progress is not None:
            progress(found.orders)
    return found


def _count(found: LimitUse, decided: DecidedBatch) -> None:
    rejected = decided.decision == DECISIONS.index("REJECT")
    found.rejected += int(np.count_nonzero(rejected))
    found.reduced += int(np.count_nonzero(decided.decision == DECISIONS.index("REDUCE_SIZE")))
    found.notional_rejected += float(np.nansum(decided.notional[rejected]))


def _use(found: LimitUse, decided: DecidedBatch, limits: Limits) -> None:
    """Each gate's peak, over the orders that it binds: one column may hold gates of several policies."""
    orders, bindings = decided.orders, limits.bindings
    first, second, third = bindings.strides.tolist()
    lists = bindings.bind[
        bindings.account_class[orders.account] * first
        + bindings.strategy_class[orders.strategy] * second
        + bindings.venue_class[orders.venue] * third
        + bindings.symbol_class[orders.symbol]
    ]
    for number in np.unique(lists).tolist():
        rows = lists == number
        start = int(bindings.lists[number, 0])
        for place, bound in enumerate(limits.lists[number]):
            column = int(bindings.entry[start + place, 3])
            _one(found, decided, bound.gate, column, rows)


def _one(
    found: LimitUse,
    decided: DecidedBatch,
    gate: Gate,
    column: int,
    rows: np.ndarray[tuple[int], np.dtype[np.bool_]],
) -> None:
    outcome = decided.outcome[column]
    unknown = int(np.count_nonzero(rows & (outcome == _UNKNOWN)))
    key = gate_key(gate)
    found.unknown[key] = found.unknown.get(key, 0) + unknown
    known = rows & np.isin(outcome, _KNOWN)
    measure, limit = decided.measure[column][known], decided.limit[column][known]
    above = limit > 0
    if above.any():
        peak = float((measure[above] / limit[above]).max())
        found.peak[key] = max(found.peak.get(key, 0.0), peak)
