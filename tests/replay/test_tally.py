"""The tally against numpy's own sums; the same for any size of batch."""

import numpy as np
import pytest

from replay.decided_batches import CODES, COLUMNS, START, decided, parts
from ringfence.replay.buckets import MOST, Buckets
from ringfence.replay.tally import BINS, Tally, quantiles

pytestmark = pytest.mark.unit


def tallied(batches):
    tally = Tally(COLUMNS, len(CODES))
    for batch in batches:
        tally.add(batch)
    return tally


def everything(tally):
    peaks = [(peak.use, peak.ts, peak.order_id) for peak in tally.peaks]
    used = [
        [table[table.any(axis=1)].tolist() for table in group]
        for group in (tally.parts, tally.money)
    ]
    arrays = (tally.sums, tally.codes, tally.gates, tally.gates_money, tally.outcomes)
    series = (tally.by_decision, tally.uses, tally.histograms, np.nan_to_num(tally.state, nan=-9))
    return peaks, used, [array.tolist() for array in (*arrays, *series)], tally.buckets.width_ns


def test_counts_and_sums_are_those_of_the_rows():
    batch = decided(5000)
    tally = tallied([batch])
    known = batch.notional == batch.notional
    made, worth = batch.decision, batch.notional

    assert tally.decisions.tolist() == np.bincount(made, minlength=3).tolist()
    assert tally.sums[0] == pytest.approx(worth[known].sum())
    assert tally.sums[3] == pytest.approx(worth[known & (made == 2)].sum())
    assert tally.sums[2] == pytest.approx(worth[known & (made == 1)].sum() / 2)
    assert tally.sums[0] == pytest.approx(tally.sums[1:4].sum())
    assert tally.sums[4] == (~known).sum()
    assert tally.gates[0].tolist() == [(made == 2).sum(), (made == 1).sum()]
    for place in range(4):
        expected = np.bincount(batch.outcome[place], minlength=6)
        assert tally.outcomes[place].tolist() == expected.tolist()
    accounts = batch.orders.account
    assert tally.parts[0][:2].sum(axis=1).tolist() == np.bincount(accounts).tolist()
    assert tally.money[0][0, 0] == pytest.approx(worth[known & (accounts == 0)].sum())


def test_peak_is_exact_and_names_its_order():
    batch = decided(5000)
    tally = tallied([batch])
    use = batch.measure[0] / batch.limit[0]
    row = int(use.argmax())

    assert tally.peaks[0].use == use[row]
    assert tally.peaks[0].order_id == f"order-{row}"
    assert tally.peaks[0].ts == batch.orders.ts[row]
    assert tally.peaks[2].use < 0  # a state has no utilisation


def test_quantiles_are_within_one_bin():
    batch = decided(5000)
    tally = tallied([batch])
    use = batch.measure[1] / batch.limit[1]

    found = quantiles(tally.histograms[:, 1].sum(axis=0), tally.peaks[1].use)
    assert found == pytest.approx(np.quantile(use, [0.5, 0.9, 0.99]).tolist(), abs=0.006)


@pytest.mark.parametrize("gap_ns", [1, 7_000_000, 3_600_000_000_000])
def test_the_same_for_any_size_of_batch(gap_ns):
    batch = decided(3000, gap_ns=gap_ns)
    whole = everything(tallied([batch]))

    for size in (1, 7, 512):
        assert everything(tallied(parts(batch, size))) == whole


def test_a_floor_is_used_by_limit_over_measure():
    batch = decided(2)
    batch.measure[0], batch.limit[0] = [4.0, 1.0], [2.0, 2.0]
    batch.outcome[0] = [1, 3]

    assert tallied([batch]).peaks[0].use == 2.0
    assert tallied(parts(batch, 1)).histograms[:, 0].sum(axis=0)[[99, 399]].tolist() == [1, 1]


def test_hostile_figures_are_counted_and_nothing_overflows():
    batch = decided(6)
    batch.measure[0] = [np.inf, -1.0, 0.0, 1e300, 5.0, 1000.0]
    batch.limit[0] = [1.0, 1.0, 0.0, 1e-300, -5.0, 1000.0]
    batch.outcome[0] = [3, 1, 1, 3, 3, 1]
    tally = tallied([batch])

    histogram = tally.histograms[:, 0].sum(axis=0)
    assert histogram[BINS - 1] == 2
    assert histogram.sum() == 4
    assert quantiles(np.zeros(BINS), 0.0) == [None, None, None]


def test_series_hold_last_equity_and_deepest_drawdown_of_each_bucket():
    batch = decided(1000)
    tally = tallied([batch])
    width = tally.buckets.width_ns
    places = batch.orders.ts // width - START // width

    for place in range(tally.buckets.count):
        rows = np.flatnonzero(places == place)
        assert tally.by_decision[place].sum() == len(rows)
        assert tally.state[place, 0] == batch.equity[rows[-1]]
        assert tally.state[place, 1] == batch.drawdown[rows].max()


def test_buckets_are_at_most_240_and_of_round_width():
    for gap in (1, 10**6, 10**9, 3 * 10**9, 86_400 * 10**9, 10**15):
        buckets = Buckets()
        for i in range(1000):
            place, _ = buckets.place(START + i * gap)
            assert place < MOST
            assert buckets.start_ns(place) <= START + i * gap < buckets.start_ns(place + 1)
        assert buckets.count <= MOST
        assert buckets.count >= 24 or gap < 1000
