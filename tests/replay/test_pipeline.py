"""Stages of a run: each sees every item in order, ahead by the depth at most, whoever works."""

import threading
import time

import pytest

from ringfence.replay.pipeline import Stage, run_stages

pytestmark = pytest.mark.unit

ITEMS = 40


class Line:
    """Read, two that need it, and one that needs both; writes down what began and ended."""

    def __init__(self, items=ITEMS, fail_at=-1):
        self.items, self.fail_at = items, fail_at
        self.seen = {name: [] for name in ("read", "left", "right", "last")}
        self.most_ahead = 0
        read = Stage(self.read)
        left = Stage(lambda k: self.note("left", k), (read,))
        right = Stage(lambda k: self.note("right", k), (read,))
        self.stages = [read, left, right, Stage(lambda k: self.note("last", k), (left, right))]

    def read(self, number):
        if number == self.items:
            return False
        self.note("read", number)
        return True

    def note(self, name, number):
        if name == "right" and number == self.fail_at:
            raise ValueError("no more")
        time.sleep(0.0002 * (number % 3))
        self.seen[name].append(number)
        self.most_ahead = max(self.most_ahead, len(self.seen["left"]) - len(self.seen["last"]))

    def run(self, workers, depth=2, stopped=lambda: False):
        told = []
        run_stages(self.stages, workers=workers, depth=depth, stopped=stopped, told=told.append)
        return told


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("depth", [1, 3])
def test_every_stage_sees_every_item_in_order(workers, depth):
    line = Line()
    told = line.run(workers, depth)

    assert all(seen == list(range(ITEMS)) for seen in line.seen.values())
    assert line.most_ahead <= depth
    assert told == sorted(set(told))
    assert told[-1] == ITEMS


@pytest.mark.parametrize("workers", [1, 3])
def test_no_items_are_no_work(workers):
    assert Line(items=0).run(workers) == []


@pytest.mark.parametrize("workers", [1, 3])
def test_what_goes_wrong_ends_all_and_is_raised(workers):
    line = Line(fail_at=7)
    before = threading.active_count()
    with pytest.raises(ValueError, match="no more"):
        line.run(workers)

    assert line.seen["last"] == list(range(len(line.seen["last"])))
    assert len(line.seen["last"]) <= 7
    assert threading.active_count() == before


@pytest.mark.parametrize("workers", [1, 3])
def test_stopped_finishes_what_was_begun(workers):
    line = Line(items=10**9)
    line.run(workers, stopped=lambda: len(line.seen["left"]) >= 5)

    done = len(line.seen["last"])
    assert 5 <= done < 20
    assert [line.seen[name] for name in ("left", "right")] == [list(range(done))] * 2


@pytest.mark.parametrize(("first", "order"), [(True, ["slow", "keep"]), (False, ["keep", "slow"])])
def test_a_stage_that_goes_first_does_so_where_a_later_one_could(first, order):
    began = []
    read = Stage(lambda _: False, done=2)
    slow = Stage(lambda _: began.append("slow"), (read,), first=first, done=1)
    keep = Stage(lambda _: began.append("keep"), (slow,))
    run_stages([read, slow, keep], workers=1, depth=2, stopped=lambda: False, told=lambda _: None)

    assert began == [*order, "keep"]
