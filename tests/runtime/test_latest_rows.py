"""The latest rows by name: which are there, and that they take no more room as others come and go."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.runtime.known_orders import REMEMBERED
from ringfence.runtime.latest_rows import LatestRows

pytestmark = pytest.mark.unit


@given(st.lists(st.integers(0, 400), unique=True), st.integers(1, 30), st.data())
def test_the_latest_are_there_in_order_and_no_others(
    numbers: list[int], most: int, data: st.DataObject
) -> None:
    rows = LatestRows[int](most)
    expected: dict[str, int] = {}
    for number in numbers:
        rows.add(str(number), number)
        expected[str(number)] = number
        if len(expected) > most:
            del expected[next(iter(expected))]
        if data.draw(st.booleans()):
            name = data.draw(st.sampled_from(sorted(expected)))
            rows.change(name, -number)
            expected[name] = -number

    assert list(rows.rows()) == list(expected.values())
    assert len(rows) == len(expected)
    for name in map(str, numbers):
        assert rows.get(name) == expected.get(name)
        assert (name in rows) is (name in expected)


def test_those_given_are_the_first() -> None:
    rows = LatestRows(2, [("a", 1), ("b", 2), ("c", 3)])

    assert list(rows.rows()) == [2, 3]


def test_others_that_come_and_go_take_no_more_room() -> None:
    rows = LatestRows[int](REMEMBERED, ((f"first-{at}", at) for at in range(REMEMBERED)))
    begun = _room(rows)

    for number in range(2 * REMEMBERED):
        rows.add(f"then-{number}", number)

    # Which part a name falls into is chance.
    assert _room(rows) < 1.1 * begun


def _room(rows: LatestRows[int]) -> int:
    return sum(map(sys.getsizeof, rows._parts))
