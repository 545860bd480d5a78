"""Rates of messages at a guard: cancels count, by book and by symbol, restarts and shared books included."""

from pathlib import Path
from typing import Any

import pytest

from ringfence import PolicySet, RiskDecision
from ringfence.backends.numba_kernel import layout
from ringfence.runtime.asked import MarketData
from ringfence.runtime.guard import CentralRiskGuard
from ringfence.runtime.guard_settings import GuardSettings
from ringfence.runtime.ports import FixedClock, SystemFiles
from ringfence.runtime.state_directory import StateDirectory
from runtime.desk import IN_MEMORY, NOON, SECOND, opened, order, policies
from runtime.memory_log import MemoryLog, Store

pytestmark = pytest.mark.unit

APPROVE = RiskDecision.APPROVE
KEPT = GuardSettings(without_audit=True)
ETH: dict[str, Any] = {"symbol": "ETH/USD", "price": "10"}


def desk(folder: Path, limits: str, level: str = "account") -> PolicySet:
    """The desk with one more gate."""
    return policies(
        folder, more=f"\n    - {{rule: order-rate@1, level: {level}, limits: {{{limits}}}}}"
    )


def passes(guard: CentralRiskGuard, **fields: Any) -> bool:
    """Whether one more order passes; it stays."""
    found = guard.evaluate_order(order("1", **fields))
    assert found.decision is APPROVE or found.code == "ORDER_RATE", found.reason
    return found.decision is APPROVE


def sent(guard: CentralRiskGuard, **fields: Any) -> str:
    """The id of an order that was approved."""
    found = guard.evaluate_order(order("1", **fields))
    assert found.decision is APPROVE, found.reason
    return found.id


def test_a_cancel_is_a_message_and_is_never_blocked(tmp_path: Path) -> None:
    clock = FixedClock(NOON)
    guard = opened(desk(tmp_path, "max_orders: 4/s"), clock=clock)
    ids = [sent(guard) for _ in range(3)]

    assert [guard.on_cancel(each) for each in ids] == [True] * 3
    rejected = guard.evaluate_order(order("1"))
    assert rejected.reason.startswith("ORDER_RATE messages=7 limit=4")
    clock.advance(SECOND)
    assert passes(guard)


def test_an_expiry_a_repetition_and_a_cancel_that_came_too_late_are_none(tmp_path: Path) -> None:
    guard = opened(desk(tmp_path, "max_orders: 5/s"))
    expired, twice, filled = sent(guard), sent(guard), sent(guard)

    guard.on_expire(expired)
    guard.on_cancel(expired)
    guard.on_cancel(twice)
    guard.on_cancel(twice)
    guard.on_fill(filled, "1", 1_000)
    guard.on_cancel(filled)

    assert passes(guard)
    assert not passes(guard)


def test_orders_alone_count_where_the_gate_says_so(tmp_path: Path) -> None:
    guard = opened(desk(tmp_path, "max_orders: 2/s, counts: orders"))
    for _ in range(2):
        guard.on_cancel(sent(guard))
    assert not passes(guard)


def test_a_limit_of_the_symbol_counts_its_messages_alone(tmp_path: Path) -> None:
    guard = opened(desk(tmp_path, "max_orders: 20, max_per_symbol: 3, window: 1s"))
    guard.on_cancel(sent(guard))
    assert passes(guard)
    assert not passes(guard)

    assert [passes(guard, **ETH) for _ in range(4)] == [True, True, True, False]


@pytest.mark.parametrize(
    ("level", "other"), [("account", "other"), ("strategy", "other"), ("firm", "main")]
)
def test_a_cancel_counts_in_the_books_of_its_order(level: str, other: str, tmp_path: Path) -> None:
    guard = opened(desk(tmp_path, "max_orders: 3/s", level))
    guard.on_cancel(sent(guard, strategy="trend"))
    guard.on_cancel(sent(guard, account="other"))

    # Of the strategy two, of each account two, of the firm four.
    assert passes(guard, strategy="trend") is (level != "firm")
    assert passes(guard, strategy="trend") is False
    assert passes(guard, account=other) is (level != "firm")


def test_more_cancels_than_the_rings_hold_at_first_all_count(tmp_path: Path) -> None:
    guard = opened(desk(tmp_path, "max_orders: 3_000, max_per_symbol: 2_999, window: 1m"))
    for _ in range(1_499):
        guard.on_cancel(sent(guard))

    assert passes(guard)
    assert not passes(guard)
    assert passes(guard, **ETH)
    assert not passes(guard, **ETH)


def test_where_no_gate_counts_nothing_is_kept(tmp_path: Path) -> None:
    guard = opened(policies(tmp_path))
    guard.on_cancel(sent(guard))

    assert guard._books.ledger.arrays.books.rate_n.sum() == 0


@pytest.mark.parametrize("closed", [True, False])
def test_a_restart_keeps_the_rates(closed: bool, tmp_path: Path) -> None:
    given = desk(tmp_path / "desk", "max_orders: 6, max_per_symbol: 4, window: 1s")
    state = tmp_path / "state"
    guard = opened(given, state=state, settings=KEPT)
    guard.on_cancel(sent(guard))
    guard.on_expire(sent(guard))
    before = _left(guard)
    if closed:
        guard.close()
    else:
        guard._keeper.release()

    reopened = CentralRiskGuard.open(given, state=state, clock=FixedClock(NOON), settings=KEPT)
    assert _left(reopened) == before
    assert passes(reopened)
    assert not passes(reopened)
    assert passes(reopened, **ETH)
    assert passes(reopened, **ETH)
    assert not passes(reopened, **ETH)
    reopened.close()


def _left(guard: CentralRiskGuard) -> list[Any]:
    """What the books know of messages."""
    books = guard._books.ledger.arrays.books
    return [books.rate_n.tolist(), books.rate_ts.tolist(), books.rate_what.tolist()]


def test_a_state_of_a_version_that_knew_no_symbols_counts_in_each(tmp_path: Path) -> None:
    given = desk(tmp_path / "desk", "max_orders: 4, max_per_symbol: 3, window: 1s")
    guard = opened(given, settings=IN_MEMORY)
    sent(guard)
    guard.on_expire(sent(guard, **ETH))
    state = guard._books.dump()
    del state["ledger"]["arrays"]["rate_what"]
    store = StateDirectory(tmp_path / "state", SystemFiles(), "process")
    store.renew(state)
    # The cancel of an order, as it was written then.
    store.append(["end", NOON, next(iter(guard._books.placed))])
    store.close()

    found = CentralRiskGuard.open(
        given, state=tmp_path / "state", clock=FixedClock(NOON), settings=KEPT
    )
    assert found.working_orders() == ()
    what = found._books.ledger.arrays.books.rate_what
    assert (what[0, :2] >> 1 == layout.ANY_SYMBOL).all()
    assert passes(found)
    assert not passes(found)
    found.close()


def test_guards_that_share_books_share_the_rates(tmp_path: Path) -> None:
    given, store, clock = (
        desk(tmp_path, "max_orders: 5, max_per_symbol: 3, window: 1s"),
        Store(),
        FixedClock(NOON),
    )

    def guard(name: str) -> CentralRiskGuard:
        settings = GuardSettings(name=name, without_audit=True, poll_seconds=0)
        log = MemoryLog(store, f"{name}-0")
        return CentralRiskGuard.open(given, state=log, clock=clock, settings=settings)

    one = _funded(guard("a"), clock)
    two = guard("b")
    two.on_cancel(sent(one))

    assert passes(two)
    assert not passes(one)
    assert passes(two, **ETH)
    late = guard("c")
    assert passes(late, **ETH)
    assert not passes(one, **ETH)
    assert [_counts(each) for each in (one, two, late)] == [_counts(one)] * 3


def _funded(guard: CentralRiskGuard, clock: FixedClock) -> CentralRiskGuard:
    for account in ("main", "other"):
        guard.on_balance(f"account/{account}", "opening", 100_000)
    for symbol, price in (("BTC/USD", 1_000.0), ("ETH/USD", 10.0)):
        guard.on_mark(symbol, MarketData(price, price, price, clock.now_ns()))
    return guard


def _counts(guard: CentralRiskGuard) -> Any:
    guard.catch_up()
    return guard._keeper.books.ledger.arrays.books.rate_n.tolist()
