"""Compiled: what the tally counts, and what a change moves, one batch at a time, in row order.

Read as text and kept on disk once compiled (`compiled.py`); hence it imports nothing of ours.
"""

import numpy as np
from numba import njit

# What of the limit a bin of a utilisation histogram is wide, its upper edge included.
_BIN_SHARE = 0.005
_DOWN = 1.0 - 1e-12
# Rows that are looked at together: few enough for six counters of ten bits.
_BLOCK = 256


@njit(
    "void(int64, int64, int8[::1], float64[::1], float64[::1], int16[::1], int16[::1], float64[::1], "
    "UniTuple(int32[::1], 3), UniTuple(int64[:, ::1], 3), UniTuple(float64[:, ::1], 3), float64[::1], "
    "int64[::1], int64[:, ::1], float64[::1], int64[::1], float64[::1], float64[::1], float64[::1])",
    nogil=True, error_model="numpy", cache=True,
)  # fmt: skip
def count_orders(
    start, stop, decision, size, asked, code, gate, notional, names, parts, money, sums, codes,
    gates, gates_money, bucket, equity, drawdown, series
):  # fmt: skip
    """Count rows `start` to `stop`, which lie in one bucket of time.

    `names` is three columns of codes (account, strategy, symbol), `parts` three tables (names, 3) of
    orders by decision, `money` three tables (names, 2) of notional asked and approved; `sums` is asked,
    approved, cut, rejected, orders without notional; `gates` (columns, 2) rejected and reduced;
    `bucket` orders by decision; `series` the bucket's last equity and deepest drawdown.
    """
    accounts, strategies, symbols = names
    by_account, by_strategy, by_symbol = parts
    of_account, of_strategy, of_symbol = money
    asked_sum, approved_sum, cut_sum, rejected_sum = sums[0], sums[1], sums[2], sums[3]
    last_equity, deepest = series[0], series[1]
    for i in range(start, stop):
        # Unsigned: none is negative, and an index that cannot be needs no look.
        made = np.uint64(decision[i])
        account, strategy = np.uint64(accounts[i]), np.uint64(strategies[i])
        symbol = np.uint64(symbols[i])
        by_account[account, made] += 1
        by_strategy[strategy, made] += 1
        by_symbol[symbol, made] += 1
        bucket[made] += 1
        worth = notional[i]
        if worth == worth:
            asked_sum += worth
            passed = worth
            if made == 2:
                passed = 0.0
                rejected_sum += worth
            elif made == 1:
                passed = worth * (size[i] / asked[i])
                cut_sum += worth - passed
            approved_sum += passed
            of_account[account, 0] += worth
            of_account[account, 1] += passed
            of_strategy[strategy, 0] += worth
            of_strategy[strategy, 1] += passed
            of_symbol[symbol, 0] += worth
            of_symbol[symbol, 1] += passed
        else:
            worth = passed = 0.0
            sums[4] += 1
        if made:
            if code[i] >= 0:
                codes[code[i]] += 1
            if gate[i] >= 0:
                gates[gate[i], np.uint64(2) - made] += 1
                gates_money[gate[i]] += worth - passed
        fall = drawdown[i]
        if fall > deepest or deepest != deepest:
            deepest = fall
        if equity[i] == equity[i]:
            last_equity = equity[i]
    sums[0], sums[1], sums[2], sums[3] = asked_sum, approved_sum, cut_sum, rejected_sum
    series[0], series[1] = last_equity, deepest


@njit
def _count_outcomes(start, stop, outcome, outcomes):
    """Add up how often each outcome occurs in rows `start` to `stop`."""
    for first in range(start, stop, _BLOCK):
        at = np.uint64(first)
        # Six counters in one word: one addition a row, and none waits for another.
        packed = np.uint64(0)
        for j in range(min(stop - first, _BLOCK)):
            packed += np.uint64(1) << np.uint64(outcome[at + np.uint64(j)] * np.uint8(10))
        for kind in range(6):
            outcomes[kind] += np.int64((packed >> np.uint64(10 * kind)) & np.uint64(1023))


# The loops below are such that LLVM makes vectors of them: no branch, no truth value carried along.
@njit
def _ceilings(first, count, outcome, measure, limit, uses):
    """Fill `uses` with utilisation in bins, NaN where there is none; returns how many are of a floor."""
    at, floors = np.uint64(first), 0
    for j in range(count):
        i = at + np.uint64(j)
        found, most = measure[i], limit[i]
        use = found * (1.0 / _BIN_SHARE / most)
        use = use if most > 0.0 else np.nan
        uses[np.uint64(j)] = use
        floors += np.int64((use == use) & ((found > most) == (outcome[i] == 1)) & (found != most))
    return floors


@njit
def _floors(first, count, outcome, measure, limit, uses):
    """Put the utilisation of floors where that of ceilings does not fit the outcome."""
    at = np.uint64(first)
    for j in range(count):
        i = at + np.uint64(j)
        found, most, use = measure[i], limit[i], uses[np.uint64(j)]
        turned = most / found / _BIN_SHARE
        turned = turned if found > 0.0 else np.inf
        floor = (use == use) & ((found > most) == (outcome[i] == 1)) & (found != most)
        uses[np.uint64(j)] = turned if floor else use


@njit
def _places(count, uses, places, bins, best):
    """Fill `places` with the bins of `uses`, one past the last where there is none.

    Returns:
        How many are above `best`.
    """
    above, last, nowhere = 0, bins - 0.5, bins + 0.5
    for j in range(count):
        found = uses[np.uint64(j)]
        use = found if found > 0.0 else 0.0
        # Just below: what lies on an edge belongs to the bin that ends there.
        use = (use if use < 1e300 else 1e300) * _DOWN
        above += np.int64((use > best) & (found == found))
        place = use if use < last else last
        places[np.uint64(j)] = np.int32(place if found == found else nowhere)
        uses[np.uint64(j)] = use if found == found else np.nan
    return above


@njit
def _exact(found, most, passed):
    """Utilisation as a share, to the bit."""
    if (found > most) == passed and found != most:
        return min(most / found, 1e300) if found > 0.0 else 1e300
    return min(max(found / most, 0.0), 1e300)


@njit
def _count_use(start, stop, outcome, measure, limit, histogram, top, scratch, uses, places):
    """Count one gate's utilisation in rows `start` to `stop`, which lie in one bucket of time.

    Utilisation is measure over limit; of a floor, limit over measure, which shows as a pass above or a
    breach below the limit. It is not below zero, and not defined where the limit is not above zero.
    `top` is the bucket's highest so far; returned are the row of the highest new one, or -1, and it.

    All above the others are in the last bin of `histogram`. `scratch` is (4, a column more), for
    neighbouring rows must not wait for each other's increment; `uses` and `places` have room for 256.
    """
    best, best_row = top, np.int64(-1)
    best_use = top / _BIN_SHARE * _DOWN
    bins = histogram.shape[0]
    for row in range(4):
        for place in range(bins + 1):
            scratch[row, place] = 0
    for first in range(start, stop, _BLOCK):
        count = min(stop - first, _BLOCK)
        if _ceilings(first, count, outcome, measure, limit, uses):
            _floors(first, count, outcome, measure, limit, uses)
        if _places(count, uses, places, bins, best_use):
            for j in range(count):
                if uses[j] > best_use:
                    i = first + j
                    exact = _exact(measure[i], limit[i], outcome[i] == 1)
                    if exact > best:
                        best, best_row, best_use = exact, i, uses[j]
        for j in range(count):
            scratch[np.uint64(j & 3), np.uint64(places[np.uint64(j)])] += np.int32(1)
    for place in range(bins):
        histogram[place] += (
            scratch[0, place] + scratch[1, place] + scratch[2, place] + scratch[3, place]
        )
    return best_row, best


@njit(
    "void(int64, int64, int64, int64, uint8[::1], float64[::1], float64[::1], uint8[::1], int64[:, ::1], "
    "int32[:, ::1], float64[::1], int64[::1], int32[:, ::1], float64[::1], int32[::1])",
    nogil=True, error_model="numpy", cache=True,
)  # fmt: skip
def count_gates(
    start, stop, apart, measures_apart, outcome, measure, limit, shown, outcomes, histograms, tops,
    rows, scratch, uses, places
):  # fmt: skip
    """Count all gates' outcomes and utilisation in rows `start` to `stop`, which lie in one bucket of time.

    Of each gate the column of `outcome` begins `apart` after that of the gate before it, those of `measure` and `limit`
    `measures_apart`. Where `shown` is 0 a gate has no utilisation. `tops` is the bucket's highest so far, (columns,);
    `rows` receives the row of the highest new one of each gate, or -1, and `tops` it.
    """
    for g in range(shown.shape[0]):
        own = outcome[g * apart : g * apart + stop]
        _count_outcomes(start, stop, own, outcomes[g])
        rows[g] = -1
        if shown[g]:
            at = g * measures_apart
            rows[g], tops[g] = _count_use(
                start, stop, own, measure[at : at + stop], limit[at : at + stop], histograms[g],
                tops[g], scratch, uses, places,
            )  # fmt: skip


@njit(
    "int64(int8[::1], int8[::1], float64[::1], float64[::1], float64[::1], float64[::1], int8[::1], "
    "int32[::1], float64[::1], int16[::1], int16[::1], int64[::1], float64[::1], float64[:, ::1], "
    "int64[::1], float64[::1], int64[::1], float64[::1], int64[::1], float64[::1])",
    nogil=True, error_model="numpy", cache=True,
)  # fmt: skip
def count_changes(
    before, after, size_before, size_after, asked, price, side, symbol, notional, gate_before, gate_after,
    counts, money, by_symbol, orders_base, money_base, orders_head, money_head, rows, moved
):  # fmt: skip
    """Compare both sides' decisions of one batch; returns how many orders changed.

    `counts` is newly rejected, reduced, approved, resized, orders without notional; `money` the
    notional, and what head pays more for orders without a price of their own; `by_symbol` the signed size that
    head trades more, and that times the order's price where it has one.
    `rows` and `moved` receive each changed row and the notional that it moves. The stricter side's
    gate is the one that did it.
    """
    found = 0
    for i in range(len(before)):
        if before[i] == after[i] and size_before[i] == size_after[i]:
            continue
        if after[i] == before[i]:
            counts[3] += 1
        elif after[i] == 2:
            counts[0] += 1
        elif after[i] == 1:
            counts[1] += 1
        else:
            counts[2] += 1
        delta = size_after[i] - size_before[i]
        worth = notional[i]
        if worth == worth:
            moves = worth * (abs(delta) / asked[i])
            by_symbol[symbol[i], 0] += delta * side[i]
            if 0.0 < price[i] < np.inf:
                by_symbol[symbol[i], 1] += delta * side[i] * price[i]
            else:
                money[1] += worth * (delta / asked[i]) * side[i]
        else:
            moves = 0.0
            counts[4] += 1
        money[0] += moves
        if delta <= 0.0 and gate_after[i] >= 0:
            orders_head[gate_after[i]] += 1
            money_head[gate_after[i]] += moves
        elif gate_before[i] >= 0:
            orders_base[gate_before[i]] += 1
            money_base[gate_before[i]] += moves
        rows[found] = i
        moved[found] = moves
        found += 1
    return found
