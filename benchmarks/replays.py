"""Orders in memory through the engine: what the benchmarks of the kernel share."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.generate import Workload, orders_file
from benchmarks.measure import seconds_of
from benchmarks.policy_files import EQUITY, policy_directory
from ringfence.language.linking import LinkedSet
from ringfence.replay.batches import OrderBatch
from ringfence.replay.decided import DecidedBatch
from ringfence.replay.engine import Engine
from ringfence.replay.sources import Inputs, open_inputs
from ringfence.runtime.revisions import link_spec

__all__ = ["Replay", "opened"]


@dataclass(slots=True)
class Replay:
    """Columns in memory, and the policy set that decides them."""

    linked: LinkedSet
    inputs: Inputs
    batches: list[OrderBatch]

    @property
    def orders(self) -> int:
        return sum(map(len, self.batches))

    def engine(self) -> Engine:
        """A fresh engine: books as at the start."""
        return Engine(self.linked, self.inputs, mode="propagated", equity=EQUITY)

    def seconds(self) -> float:
        """How long a fresh engine takes for all orders; making it is not counted."""
        engine = self.engine()
        return seconds_of(lambda: _decide_all(engine, self.batches))

    def decided(self, rows: int) -> Iterator[tuple[Engine, DecidedBatch]]:
        """A fresh engine and its decisions, batch by batch, until there are `rows` of them."""
        engine, done = self.engine(), 0
        for batch in self.batches:
            if done >= rows:
                return
            yield engine, engine.decide(batch)
            done += len(batch)


def _decide_all(engine: Engine, batches: list[OrderBatch]) -> None:
    for batch in batches:
        engine.decide(batch)


@contextmanager
def opened(
    workload: Workload, directory: Path, *, policies: int = 1, marks: Path | None = None
) -> Iterator[Replay]:
    """A workload read into memory whole, and a policy set for it."""
    linked = link_spec(str(policy_directory(directory, workload.accounts, policies)), None)
    orders = orders_file(workload, directory)
    with open_inputs(str(orders), marks=str(marks) if marks else None, survey=True) as inputs:
        yield Replay(linked, inputs, list(inputs.orders))
