"""Compiled: what the tally counts, and what a change moves, one batch at a time, in row order."""

import math

from numba import njit

__all__ = ["BINS", "BIN_SHARE", "count_changes", "count_gate", "count_orders"]

#: Bins of a utilisation histogram: each half a percent of the limit wide, its upper edge included; the last
#: holds all above 200 %.
BINS = 401
BIN_SHARE = 0.005


@njit(nogil=True)
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


@njit(nogil=True)
def count_gate(start, stop, outcome, measure, limit, outcomes, histogram, top, scratch):
    """Count one gate's outcomes and utilisation in rows of one bucket.

    Utilisation is measure over limit; of a floor, limit over measure, which shows as a pass above or a
    breach below the limit. It is not below zero, and not defined where the limit is not above zero.
    `top` is the bucket's highest so far; returned are the row of the highest new one, or -1, and it.
    `scratch` is (4, BINS): neighbouring rows must not wait for each other's increment.
    """
    best, best_row = top, -1
    inverse, last = 0.0, 0.0
    scratch[:] = 0
    total = 0
    seen = 0
    # Six counters of ten bits in one word: one addition a row.
    for first in range(start, stop, 1023):
        packed = 0
        for i in range(first, min(first + 1023, stop)):
            packed += 1 << (outcome[i] * 10)
        for kind in range(6):
            outcomes[kind] += (packed >> (10 * kind)) & 1023
    for i in range(start, stop):
        found, most = measure[i], limit[i]
        if most != last:
            last = most
            inverse = 1.0 / most if most > 0 else 0.0
        if inverse == 0.0 or found != found:
            continue
        use = found * inverse
        passes = outcome[i] == 1
        if (found > most) == passes and found != most:
            use = most / found if found > 0 else 2.5
        if use < 0.0:
            use = 0.0
        place = max(int(math.ceil(min(use, 2.004) * 200.0)) - 1, 0)
        scratch[i & 3, place] += 1
        seen += 1
        if use > best:
            exact = found / most
            if (found > most) == passes and found != most:
                exact = most / found if found > 0 else use
            exact = max(exact, 0.0)
            if exact > best:
                best, best_row = exact, i
    total = seen
    if total:
        for place in range(BINS):
            histogram[place] += (
                scratch[0, place] + scratch[1, place] + scratch[2, place] + scratch[3, place]
            )
    return best_row, best


@njit(nogil=True)
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
