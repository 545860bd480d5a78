"""The kernel alone, columns in memory: orders a second, and against the plain loop."""

from collections.abc import Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import median

from benchmarks.generate import Workload, marks_file
from benchmarks.loop_setup import orders_of, plain_loop
from benchmarks.measure import Figure, median_of, pinned, seconds_of
from benchmarks.plain_loop import GATES, Answer, Order, PlainLoop
from benchmarks.replays import Replay, opened

__all__ = ["SAMPLE", "differences", "kernel", "kernel_with_marks"]

#: Orders that the plain loop decides.
SAMPLE = 100_000
RUNS = 3


def kernel(orders: int, directory: Path) -> list[Figure]:
    """Measure kernel and plain loop in turns, on one core."""
    with opened(Workload(orders), directory) as replay, pinned():
        sample = orders_of(replay.batches, replay.inputs, SAMPLE)
        wrong = differences(replay, sample)
        replay.seconds()
        kernel_times, loop_times = [], []
        for _ in range(RUNS):
            kernel_times.append(replay.seconds() / replay.orders)
            loop = plain_loop(replay.linked)
            loop_times.append(seconds_of(partial(_drain, loop, sample)) / len(sample))
    fast, slow = median(kernel_times), median(loop_times)
    return [
        Figure("kernel", "orders a second", 1e-6 / fast, "million/s", at_least=15.0),
        Figure("kernel", "per order", fast * 1e9, "ns"),
        Figure("kernel", "plain loop, per order", slow * 1e9, "ns"),
        Figure("kernel", "plain loop / kernel", slow / fast, "times", at_least=100.0),
        Figure(
            "kernel",
            f"decisions unlike the plain loop's, of {len(sample):,}",
            wrong,
            "orders",
            at_most=0,
        ),
    ]


def kernel_with_marks(orders: int, directory: Path) -> list[Figure]:
    """The same with quotes of every symbol once a minute, which value every book that holds it."""
    workload = Workload(orders)
    with opened(workload, directory, marks=marks_file(workload, directory)) as replay, pinned():
        replay.seconds()
        seconds = median_of(RUNS, replay.seconds)
    return [
        Figure("marks", "orders a second, with marks", 1e-6 * replay.orders / seconds, "million/s")
    ]


def differences(replay: Replay, sample: Sequence[Order]) -> int:
    """How many orders the kernel decides otherwise than the plain loop, in anything that both keep."""
    answers = plain_loop(replay.linked).decide(sample)
    wrong = 0
    for engine, decided in replay.decided(len(sample)):
        names = [column.name for column in engine.columns]
        codes = (*engine.codes, "")
        columns = (
            decided.decision.tolist(), decided.size.tolist(), decided.code.tolist(),
            decided.gate.tolist(), decided.outcome.T.tolist(), decided.measure.T.tolist(),
            decided.limit.T.tolist(), decided.equity.tolist(), decided.drawdown.tolist(),
        )  # fmt: skip
        for row, answer in zip(
            zip(*columns, strict=True), islice(answers, len(decided)), strict=False
        ):
            decision, size, code, gate, outcome, measure, limit, equity, fall = row
            found = list(zip(outcome, measure, limit, strict=True))
            kept = Answer(decision, size, codes[code], gate, found, equity, fall)
            # By their text, so that a NaN equals a NaN.
            wrong += repr(kept) != repr(answer)
        if tuple(names) != GATES:
            raise ValueError(f"the gates are {names}, not {GATES}")
    return wrong


def _drain(loop: PlainLoop, orders: Sequence[Order]) -> list[Answer]:
    return list(loop.decide(orders))
