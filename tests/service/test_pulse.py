"""What the overview tells of a guard's counts."""

import pytest

from ringfence.runtime.metrics import HistogramValue, Metric, Sample
from ringfence.service.dashboard.pulse import Pulse, quantile

pytestmark = pytest.mark.unit

SECOND = 1_000_000_000


class Counts:
    """A guard's counts, and a clock that stands."""

    def __init__(self) -> None:
        self.now = 1_800_000_000 * SECOND
        self.decided: dict[tuple[str, str], int] = {}
        self.rejected: dict[tuple[str, str], int] = {}
        self.took = (0, 0, 0)

    def now_ns(self) -> int:
        return self.now

    def metrics(self):
        def told(name, labels, found):
            samples = [Sample(dict(zip(labels, key, strict=True)), n) for key, n in found.items()]
            return Metric(name, "counter", "", tuple(samples))

        yield told("ringfence_decisions", ("decision", "code"), self.decided)
        yield told("ringfence_rejections", ("gate", "code"), self.rejected)
        value = HistogramValue((1e-6, 1e-5), self.took, 0.0)
        yield Metric("ringfence_decision_seconds", "histogram", "", (Sample({}, value),))
        loaded = Sample({}, 1_700_000_000.5)
        yield Metric("ringfence_policy_loaded_timestamp_seconds", "gauge", "", (loaded,))


@pytest.fixture
def counts() -> Counts:
    return Counts()


@pytest.fixture
def pulse(counts: Counts) -> Pulse:
    made = Pulse(counts, counts, kept_s=3)
    made.look()
    return made


def test_a_window_tells_what_happened_in_it_alone(counts: Counts, pulse: Pulse) -> None:
    counts.now += SECOND
    counts.decided = {("APPROVE", ""): 5, ("REJECT", "A"): 2, ("REJECT", "B"): 1}
    counts.rejected = {("a", "A"): 2, ("b", "B"): 1}
    counts.took = (6, 1, 1)
    pulse.look()
    counts.now += SECOND
    counts.decided = {**counts.decided, ("REJECT", "B"): 7}
    counts.rejected = {**counts.rejected, ("b", "B"): 7}
    pulse.look()

    whole, last = pulse.window(10), pulse.window(1)

    assert whole.decided == {"APPROVE": 5, "REDUCE_SIZE": 0, "REJECT": 9}
    assert whole.rejected == ((("b", "B"), 7), (("a", "A"), 2))
    assert (whole.p50_s, whole.p99_s) == (1e-6, float("inf"))
    assert last.decided == {"APPROVE": 0, "REDUCE_SIZE": 0, "REJECT": 6}
    assert last.rejected == ((("b", "B"), 6),)
    assert last.seconds == 1
    assert last.p50_s is None
    assert pulse.loaded_ns == 1_700_000_000_500_000_000


def test_rates_are_a_second_whatever_the_time_between_two_looks(counts, pulse: Pulse) -> None:
    counts.now += 2 * SECOND
    counts.decided = {("APPROVE", ""): 5}
    pulse.look()
    # A clock that was set back tells no rate.
    counts.now -= SECOND
    pulse.look()

    at, rates = pulse.rates()

    assert at == [1_800_000_002.0]
    assert rates == {"APPROVE": [2.5], "REDUCE_SIZE": [0.0], "REJECT": [0.0]}


def test_what_is_older_than_it_keeps_is_forgotten(counts: Counts, pulse: Pulse) -> None:
    for _ in range(9):
        counts.now += SECOND
        pulse.look()

    assert len(pulse.rates()[0]) == 3


def test_nothing_observed_has_no_quantile() -> None:
    assert quantile(None, None, 0.5) is None
    assert quantile(None, HistogramValue((1.0,), (0, 0), 0.0), 0.5) is None
    assert quantile(None, HistogramValue((1.0,), (3, 0), 0.0), 0.99) == 1.0
