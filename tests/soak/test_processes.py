"""The suite's own tests of kills and hostile input, with many more rounds (`make soak`)."""

from pathlib import Path

import pytest

from gateway import test_killed_follower
from ringfence import PolicySet
from runtime import test_guard_fuzz, test_guard_state
from runtime.desk import opened, policies
from soak.figures import told

pytestmark = pytest.mark.integration


def test_a_guard_with_books_of_its_own_is_killed_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(test_guard_state, "RUNS", 30)
    test_guard_state.test_nothing_that_was_promised_is_lost_or_doubled_by_kills(tmp_path)
    told("kills of a guard with its own books", kills=30, lost=0, doubled=0)


def test_a_process_that_follows_an_exchange_is_killed_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(test_killed_follower, "RUNS", 12)
    test_killed_follower.test_kills_lose_no_fill_and_double_none(tmp_path)
    told("kills of a follower", kills=12, lost=0, doubled=0)


def test_hostile_orders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(test_guard_fuzz, "CASES", 100_000)
    desk: PolicySet = policies(tmp_path / "policies")
    test_guard_fuzz.test_random_hostile_orders_and_market_data(opened(desk))
    told("hostile orders", orders=100_000, exceptions=0)
