"""Stages of a run, done by whichever worker is free; each stage sees the items one by one, in order.

A stage works on its k-th item once the stages that it needs have done theirs, and once the stages that
need it are no more than `depth` items behind: so what is in flight is bounded, and what a stage fills for
its k-th item may be filled again for the one `depth` later. No stage works on two items at a time.
Hence results depend on the items alone, not on how many workers there are nor on who was free.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

__all__ = ["Stage", "run_stages"]


@dataclass(eq=False, slots=True)
class Stage:
    """One step that every item goes through.

    Attributes:
        work: Is given the number of an item, from 0. The first stage returns False where there is no such
            item; what others return is not looked at.
        needs: The stages that must have done the item before.
        first: Whether it goes before others that could be done as well: it takes the longest, and whatever waits for it
            waits for what was done in its place, too.
        done: Items that are done.
        busy: Whether a worker is at the next one.
    """

    work: Callable[[int], object]
    needs: tuple["Stage", ...] = ()
    first: bool = False
    done: int = 0
    busy: bool = field(default=False)


def run_stages(
    stages: Sequence[Stage],
    *,
    workers: int,
    depth: int,
    stopped: Callable[[], bool],
    told: Callable[[int], None],
) -> None:
    """Do all items; returns when every stage has done every one that it is to do.

    The calling thread is one of the workers. What goes wrong in any of them is raised here.

    Args:
        stages: The first one makes the items; each stands after those that it needs.
        workers: How many threads work.
        depth: How many items a stage may be ahead of those that need it.
        stopped: When true, only items that a stage after the first has begun are still done.
        told: Called in the calling thread with the number of items that all stages have done.
    """
    _Run(stages, depth, stopped).go(workers, told)


class _Run:
    def __init__(self, stages: Sequence[Stage], depth: int, stopped: Callable[[], bool]) -> None:
        self._stages = tuple(stages)
        # Of those that take less time the last one goes first: what is finished makes room.
        last_first = self._stages[::-1]
        self._order = sorted(last_first, key=lambda stage: not stage.first)
        self._users = {
            stage: tuple(each for each in stages if stage in each.needs) for stage in stages
        }
        self._depth = depth
        self._stopped = stopped
        self._items: int | None = None  # known once the first stage has come to its end
        self._error: BaseException | None = None
        self._told = 0
        self._changed = threading.Condition()

    def go(self, workers: int, told: Callable[[int], None]) -> None:
        threads = [
            threading.Thread(target=self._work, name=f"ringfence-{number}", daemon=True)
            for number in range(1, workers)
        ]
        for thread in threads:
            thread.start()
        try:
            self._work(told)
            for thread in threads:
                thread.join()
            self._tell(told)
        except BaseException as error:  # a signal while waiting: the others must not go on
            self._fail(error)
        finally:
            for thread in threads:
                thread.join()
        if self._error is not None:
            raise self._error

    def _fail(self, error: BaseException) -> None:
        with self._changed:
            self._error = self._error or error
            self._changed.notify_all()

    def _work(self, told: Callable[[int], None] | None = None) -> None:
        while (stage := self._next()) is not None:
            try:
                more = stage.work(stage.done)
            except BaseException as error:  # raised in the calling thread
                self._fail(error)
                return
            self._finished(stage, ended=more is False and stage is self._stages[0])
            if told is not None:
                self._tell(told)

    def _tell(self, told: Callable[[int], None]) -> None:
        done = min(each.done for each in self._stages)
        if done > self._told:
            self._told = done
            told(done)

    def _finished(self, stage: Stage, *, ended: bool) -> None:
        with self._changed:
            stage.busy = False
            if not ended:
                stage.done += 1
            elif self._items is None:
                self._items = stage.done
            self._changed.notify_all()

    def _next(self) -> Stage | None:
        """The stage to work at, marked as busy; None where nothing is left to do."""
        with self._changed:
            while self._error is None:
                if self._items is None and self._stopped():
                    self._items = max(each.done + each.busy for each in self._stages[1:])
                for stage in self._order:
                    if self._ready(stage):
                        stage.busy = True
                        return stage
                if self._items is not None and all(
                    each.done >= self._items for each in self._stages
                ):
                    return None
                self._changed.wait()
            return None

    def _ready(self, stage: Stage) -> bool:
        item = stage.done
        return (
            not stage.busy
            and (self._items is None or item < self._items)
            and all(each.done > item for each in stage.needs)
            and all(each.done > item - self._depth for each in self._users[stage])
        )
