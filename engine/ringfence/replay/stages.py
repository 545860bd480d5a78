"""The stages of a replay: read a batch, decide it for each run, tally, write and compare what was decided."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from ringfence.replay.batches import OrderBatch
from ringfence.replay.changes import Changes
from ringfence.replay.decided import DecidedBatch
from ringfence.replay.engine import Engine
from ringfence.replay.pipeline import Stage, run_stages
from ringfence.replay.results import DecisionsWriter
from ringfence.replay.sources import Inputs
from ringfence.replay.streams import OrderStream
from ringfence.replay.tally import Tally

__all__ = ["Replay", "Run", "depth_of"]


def depth_of(workers: int) -> int:
    """Batches that a stage may be ahead of the next one; so many decided batches must stand at a time."""
    return 3 if workers > 1 else 1


@dataclass(slots=True)
class Run:
    """One side in one mode."""

    side: str
    mode: str
    engine: Engine
    inputs: Inputs
    tally: Tally
    writer: DecisionsWriter


class Replay:
    """All orders through all runs, once.

    Args:
        orders: The orders.
        runs: What decides them, counts and writes.
        changes: Each compares the runs of its mode.
        workers: Threads that share the work.
    """

    def __init__(
        self, orders: OrderStream, runs: Sequence[Run], changes: Sequence[Changes], workers: int
    ) -> None:
        self._workers = workers
        self._depth = depth_of(workers)
        self._unread = iter(orders)
        self._batches: dict[int, OrderBatch] = {}
        self._rows: list[int] = []  # up to each batch
        self._sides = [_Side(run, self._depth) for run in runs]
        self._changes = changes

    def go(self, stopped: Callable[[], bool], told: Callable[[int], None]) -> None:
        """Do it; `stopped` and `told` are those of `run_stages`, but for orders in place of batches."""
        read = Stage(self._read)
        decide = [Stage(partial(self._decide, side), (read,), first=True) for side in self._sides]
        keep = [
            Stage(work, (decided,))
            for side, decided in zip(self._sides, decide, strict=True)
            for work in (side.tally, side.write)
        ]
        keep += [Stage(partial(self._compare, each), tuple(decide)) for each in self._changes]
        run_stages(
            [read, *decide, *keep],
            workers=self._workers,
            depth=self._depth,
            stopped=stopped,
            told=lambda batches: told(self._rows[batches - 1]),
        )

    def _read(self, number: int) -> bool:
        batch = next(self._unread, None)
        if batch is None:
            return False
        self._batches[number % self._depth] = batch
        self._rows.append((self._rows[-1] if self._rows else 0) + len(batch))
        return True

    def _decide(self, side: "_Side", number: int) -> None:
        side.decide(number, self._batches[number % self._depth])

    def _compare(self, changes: Changes, number: int) -> None:
        sides = {
            side.run.side: side.decided(number)
            for side in self._sides
            if side.run.mode == changes.mode
        }
        changes.add(sides["base"], sides["head"])


class _Side:
    """One run's part in the stages."""

    def __init__(self, run: Run, depth: int) -> None:
        self.run = run
        self._depth = depth
        self._decided: dict[int, DecidedBatch] = {}

    def decide(self, number: int, batch: OrderBatch) -> None:
        self._decided[number % self._depth] = self.run.engine.decide(batch)

    def decided(self, number: int) -> DecidedBatch:
        return self._decided[number % self._depth]

    def tally(self, number: int) -> None:
        self.run.tally.add(self.decided(number))

    def write(self, number: int) -> None:
        self.run.writer.write(self.decided(number))
