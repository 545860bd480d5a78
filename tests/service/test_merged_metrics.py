"""Several worker processes, one scrape."""

import contextlib
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringfence.runtime.metric_table import METRICS, metric, one
from ringfence.runtime.metrics import HistogramValue, Metric, Sample
from ringfence.service.merged_metrics import MergedMetrics, Publisher, merged, read_all
from ringfence.service.process_metrics import ProcessMetrics
from service.metric_worker import Counts

WORKER = Path(__file__).with_name("metric_worker.py")
NAN = float("nan")


class Worker:
    """A process that counts what it is told to."""

    def __init__(self, address: str, name: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, WORKER, address, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def tell(self, words: str) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{words}\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "done\n"

    def end(self, how: signal.Signals | None = None) -> None:
        """Kindly, by the end of its input, or by a signal."""
        if self.process.poll() is None and how is not None:
            self.process.send_signal(how)
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()


@pytest.fixture
def parent() -> Iterator[MergedMetrics]:
    opened = MergedMetrics([ProcessMetrics()], patience_s=30)
    yield opened
    opened.close()


@pytest.fixture
def start(parent: MergedMetrics) -> Iterator[Callable[[str], Worker]]:
    workers: list[Worker] = []

    def started(name: str) -> Worker:
        workers.append(Worker(parent.address, name))
        return workers[-1]

    yield started
    for each in workers:
        each.end(signal.SIGKILL)


def values(parent: MergedMetrics) -> dict[str, object]:
    return {
        " ".join([each.name.removeprefix("ringfence_"), *sample.labels.values()]): sample.value
        for each in parent.metrics()
        for sample in each.samples
    }


def wait_for(parent: MergedMetrics, name: str, value: float) -> dict[str, object]:
    """Read until the metric has the value: the parent hears of a worker's end a moment later."""
    pause = threading.Event()
    for _ in range(3_000):
        found = values(parent)
        if found.get(name) == value:
            return found
        pause.wait(0.01)
    raise AssertionError((name, value, found))


@pytest.mark.integration
def test_one_scrape_tells_of_all_workers_and_no_counter_goes_back(parent, start) -> None:
    first, second = start("1"), start("2")
    first.tell("decisions_repeated 3")
    second.tell("decisions_repeated 4")
    first.tell("working_orders 5")
    second.tell("working_orders 2")
    second.tell("policy_source_ok 0")
    first.tell("size 100")
    second.tell("size 70")
    first.tell("observe 0.01")
    second.tell("observe 0.5")

    found = wait_for(parent, "decisions_repeated", 7)
    assert found["workers"] == 2
    assert found["working_orders"] == 5
    assert found["policy_source_ok"] == 0
    assert found["process_open_fds parent"] > 3
    assert (found["audit_log_bytes 1"], found["audit_log_bytes 2"]) == (100, 70)
    assert found["policy_reload_seconds"] == HistogramValue((0.001, 0.1), (0, 1, 1), 0.51)

    # Killed: what it told last stands.
    first.tell("decisions_repeated 10")
    assert values(parent)["decisions_repeated"] == 14
    first.end(signal.SIGKILL)
    found = wait_for(parent, "worker_exits", 1)
    assert found["decisions_repeated"] == 14
    assert found["policy_reload_seconds"] == HistogramValue((0.001, 0.1), (0, 1, 1), 0.51)
    assert found["working_orders"] == 2
    assert "audit_log_bytes 1" not in found

    # Another one takes its place, and begins at 0.
    again = start("1")
    again.tell("decisions_repeated 1")
    assert wait_for(parent, "decisions_repeated", 15)["workers"] == 2

    # Ended kindly: what it counted since the last scrape is told before it goes.
    second.tell("decisions_repeated 9")
    second.end()
    again.end()
    found = wait_for(parent, "worker_exits", 3)
    assert found["workers"] == 0
    assert found["decisions_repeated"] == 20
    assert "working_orders" not in found


@pytest.mark.integration
def test_a_worker_that_stands_still_holds_up_a_scrape_no_longer_than_told(start, parent) -> None:
    worker = start("1")
    worker.tell("decisions_repeated 3")
    wait_for(parent, "decisions_repeated", 3)
    parent._patience_s = 0
    worker.process.send_signal(signal.SIGSTOP)
    try:
        # Also many times: nothing is sent to a worker that does not read.
        for _ in range(500):
            assert values(parent)["decisions_repeated"] == 3
    finally:
        worker.process.send_signal(signal.SIGCONT)
    parent._patience_s = 30
    worker.tell("decisions_repeated 4")
    wait_for(parent, "decisions_repeated", 4)


@pytest.mark.integration
def test_what_is_no_worker_is_not_listened_to(parent) -> None:
    from multiprocessing.connection import Client

    with Client(parent.address, "AF_UNIX") as stranger:
        stranger.send_bytes(b"\xc1 no metrics")
        # Asked by a scrape that came before its word was read, maybe; then hung up on.
        with contextlib.suppress(EOFError, ConnectionError):
            stranger.recv_bytes()
            stranger.recv_bytes()
    assert wait_for(parent, "worker_exits", 0)["workers"] == 0


@pytest.mark.unit
def test_who_publishes_answers_whenever_it_is_asked_and_once_more_at_its_end(parent) -> None:
    counts = Counts()
    publisher = Publisher(parent.address, "7", [counts])
    wait_for(parent, "workers", 1)
    counts.values["decisions_repeated"] = 2
    wait_for(parent, "decisions_repeated", 2)
    counts.values["decisions_repeated"] = 5
    publisher.close()
    assert wait_for(parent, "worker_exits", 1)["decisions_repeated"] == 5


@pytest.mark.unit
def test_the_next_worker_can_go_on_when_the_parent_has_gone() -> None:
    opened = MergedMetrics()
    worker = Worker(opened.address, "1")
    opened.close()
    worker.tell("decisions_repeated 1")
    worker.end()
    assert worker.process.returncode == 0


@pytest.mark.unit
@pytest.mark.parametrize(
    ("name", "left", "right", "together"),
    [
        ("working_orders", 3.0, NAN, 3.0),
        ("working_orders", NAN, 3.0, 3.0),
        ("policy_source_ok", 1.0, 0.0, 0.0),
        ("orphaned_orders", 1.0, 2.0, 3.0),
    ],
)
def test_gauges_go_together_as_declared(name, left, right, together) -> None:
    told = [(str(n), [one(f"ringfence_{name}", each)]) for n, each in enumerate((left, right))]
    ((sample,),) = (each.samples for each in merged(told))
    assert sample.value == together


@pytest.mark.unit
def test_of_histograms_with_other_buckets_one_is_told() -> None:
    old, new = (HistogramValue((bound,), (1, 1), 1.0) for bound in (1.0, 2.0))
    told = [
        (name, [one("ringfence_policy_reload_seconds", each)])
        for name, each in (("1", old), ("2", new))
    ]
    ((sample,),) = (each.samples for each in merged(told))
    assert sample.value == new


@pytest.mark.unit
def test_a_metric_that_is_not_declared_is_merged_by_its_kind() -> None:
    def told(kind, value):
        return [Metric("other", kind, "Other.", (Sample({}, value),))]

    assert merged([("1", told("counter", 1)), ("2", told("counter", 2))])[0].samples[0].value == 3
    assert merged([("1", told("gauge", 1)), ("2", told("gauge", 2))])[0].samples[0].value == 2


@pytest.mark.unit
@settings(max_examples=30)
@given(st.lists(st.lists(st.integers(0, 9), min_size=3, max_size=3), min_size=1, max_size=4))
def test_the_sum_over_workers_does_not_depend_on_who_counted(counts) -> None:
    codes = ("A", "B", "C")

    def told(each):
        samples = (
            Sample({"decision": "REJECT", "code": code}, n)
            for code, n in zip(codes, each, strict=True)
        )
        return [metric("ringfence_decisions", samples)]

    (found,) = merged([(str(n), told(each)) for n, each in enumerate(counts)])

    totals = {each.labels["code"]: each.value for each in found.samples}
    assert totals == {code: sum(each[n] for each in counts) for n, code in enumerate(codes)}


@pytest.mark.unit
def test_a_part_that_fails_keeps_no_other_back_and_is_counted() -> None:
    class Broken:
        def metrics(self):
            raise ValueError("broken")

    class Well:
        def metrics(self):
            return (one("ringfence_workers", 1),)

    errors: dict[str, int] = {}
    read_all([Broken(), Well()], errors)
    found = {each.name: each for each in read_all([Broken(), Well()], errors)}
    assert found["ringfence_workers"].samples[0].value == 1
    failed, well = found["ringfence_metric_source_errors"].samples
    assert well.value == 0
    assert (failed.labels, failed.value) == ({"source": "Broken"}, 2)
    assert found.keys() <= METRICS.keys()
