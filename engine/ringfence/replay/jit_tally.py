"""Compiled: what the tally counts, and what a change moves, one batch at a time, in row order."""

import numpy as np
from numba import njit

__all__ = ["BINS", "BIN_SHARE", "count_changes", "count_gate", "count_orders", "count_outcomes"]

#: Bins of a utilisation histogram: each half a percent of the limit wide, its upper edge included; the last
#: holds all above 200 %.
BINS = 401
BIN_SHARE = 0.005
_DOWN = 1.0 - 1e-12


@njit(nogil=True, error_model="numpy")
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
        made = decision[i]
        account, strategy, symbol = accounts[i], strategies[i], symbols[i]
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
                gates[gate[i], 2 - made] += 1
                gates_money[gate[i]] += worth - passed
        fall = drawdown[i]
        if fall > deepest or deepest != deepest:
            deepest = fall
        if equity[i] == equity[i]:
            last_equity = equity[i]
    sums[0], sums[1], sums[2], sums[3] = asked_sum, approved_sum, cut_sum, rejected_sum
    series[0], series[1] = last_equity, deepest


@njit(nogil=True, error_model="numpy")
def count_outcomes(start, stop, outcome, outcomes):
    """Add up how often each outcome occurs in rows `start` to `stop`."""
    # Six counters of ten bits in one word: one addition a row, and none waits for another.
    for first in range(start, stop, 1023):
        packed = np.uint64(0)
        for i in range(first, min(first + 1023, stop)):
            packed += np.uint64(1) << np.uint64(outcome[i] * np.uint8(10))
        for kind in range(6):
            outcomes[kind] += np.int64((packed >> np.uint64(10 * kind)) & np.uint64(1023))


@njit(nogil=True, error_model="numpy")
def count_gate(start, stop, outcome, measure, limit, histogram, top, scratch):
    """Count one gate's utilisation in rows `start` to `stop`, which lie in one bucket of time.

    Utilisation is measure over limit; of a floor, limit over measure, which shows as a pass above or a
    breach below the limit. It is not below zero, and not defined where the limit is not above zero.
    `top` is the bucket's highest so far; returned are the row of the highest new one, or -1, and it.
    `scratch` is (4, BINS): neighbouring rows must not wait for each other's increment.
    """
    best, best_row = top, -1
    # Utilisation is compared in bins; a limit that stays is divided by once.
    best_use = top / BIN_SHARE * _DOWN
    inverse, last = np.nan, np.nan
    scratch[:] = 0
    for i in range(start, stop):
        found, most = measure[i], limit[i]
        if most != last:
            last = most
            inverse = 1.0 / BIN_SHARE / most if most > 0.0 else np.nan
        use = found * inverse
        floor = False
        if outcome[i] != 1 or not (found <= most and use >= 0.0):
            if use != use:
                continue
            floor = (found > most) == (outcome[i] == 1) and found != most
            if floor:
                use = most / found / BIN_SHARE if found > 0.0 else np.inf
            use = min(max(use, 0.0), 1e300)
        # Just below: what lies on an edge belongs to the bin that ends there.
        use *= _DOWN
        scratch[np.uint64(i & 3), np.uint64(min(use, BINS - 0.5))] += np.int32(1)
        if use > best_use:
            exact = max(found / most, 0.0)
            if floor:
                exact = most / found if found > 0.0 else 1e300
            exact = min(exact, 1e300)
            if exact > best:
                best, best_row, best_use = exact, i, use
    for place in range(BINS):
        histogram[place] += (
            scratch[0, place] + scratch[1, place] + scratch[2, place] + scratch[3, place]
        )
    return best_row, best


@njit(nogil=True, error_model="numpy")
def count_changes(
    before, after, size_before, size_after, asked, side, symbol, notional, gate_before, gate_after,
    counts, money, by_symbol, orders_base, money_base, orders_head, money_head, rows, moved
):  # fmt: skip
    """Compare both sides' decisions of one batch; returns how many orders changed.

    `counts` is newly rejected, reduced, approved, resized, orders without notional; `money` the
    notional and the value at the order's price; `by_symbol` the signed size that head trades more.
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
            by_symbol[symbol[i]] += delta * side[i]
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
