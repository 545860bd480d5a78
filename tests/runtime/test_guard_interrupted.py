"""Something raises in the midst of a call of the guard: memory, disk and log must agree all the same.

It may come from anywhere: a signal's handler that raises (Ctrl-C, a timeout by alarm), or no memory. Here it comes
at lines of the product, one after the other, while an order is decided, filled or cancelled.
"""

import linecache
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from ringfence import PolicySet, RiskDecision
from ringfence.errors import AuditError, RingfenceError
from ringfence.runtime.audit_log import AuditLog
from ringfence.runtime.guard import CentralRiskGuard
from ringfence.runtime.guard_settings import GuardSettings
from ringfence.runtime.known_orders import KnownOrder, KnownOrders
from ringfence.runtime.ports import FixedClock
from runtime.desk import IN_MEMORY, NOON, Signer, mark, opened, order, policies
from runtime.shared_desk import Desk as Shared

pytestmark = pytest.mark.unit

_STEP = 5


class Interruption:
    """Raises at the line of number `at` that the product comes to; `where` is that line, empty where none was."""

    def __init__(self, at: int, error: type[BaseException]) -> None:
        self._left, self._error = at, error
        self.where = ""

    @contextmanager
    def armed(self) -> Iterator[None]:
        before = sys.gettrace()
        sys.settrace(self._enter)
        try:
            yield
        finally:
            sys.settrace(before)

    def _enter(self, frame: FrameType, _event: str, _argument: Any) -> Any:
        return self._line if "/ringfence/" in frame.f_code.co_filename else None

    def _line(self, frame: FrameType, event: str, _argument: Any) -> Any:
        code = frame.f_code
        # Where nothing is called, nothing comes in between; there a lock would not be given back.
        bare = linecache.getline(code.co_filename, frame.f_lineno).lstrip()
        if event == "line" and not self.where and not bare.startswith(("with ", "try:")):
            self._left -= 1
            if self._left == 0:
                self.where = f"{code.co_filename}:{frame.f_lineno}"
                raise self._error("interrupted")
        return self._line


@dataclass
class Desk:
    """A guard with state and audit log in files, and orders to disturb it with."""

    policies: PolicySet
    place: Path

    def __post_init__(self) -> None:
        self.log = AuditLog.open(self.place / "audit", clock=FixedClock(NOON), durability="process")
        self.guard = opened(
            self.policies,
            state=self.place / "state",
            settings=GuardSettings(signer=Signer()),
            audit=self.log,
        )

    def reopen(self) -> None:
        """As a desk would whose log refuses."""
        for each in (self.guard, self.log):
            with suppress(RingfenceError):
                each.close()
        self.log = AuditLog.open(self.place / "audit", clock=FixedClock(NOON), durability="process")
        self.guard = self.again(self.place / "state", self.log)

    def again(self, state: Path, log: AuditLog | None) -> CentralRiskGuard:
        settings = GuardSettings(signer=Signer(), without_audit=log is None)
        return CentralRiskGuard.open(
            self.policies, state=state, settings=settings, audit=log, clock=FixedClock(NOON)
        )

    def killed(self) -> str:
        """What a guard would know if this one were killed now."""
        copy = self.place / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(self.place / "state", copy)
        with self.again(copy, None) as other:
            return known(other)


def known(guard: CentralRiskGuard) -> str:
    # As text: NaN is like nothing, not even itself.
    working = sorted((each.order_id, each.size) for each in guard.working_orders())
    views = [guard.book(name) for name in guard.books]
    return repr([working, views, sorted(guard._books.answers), sorted(guard._books.placed)])


def sell_all(guard: CentralRiskGuard, name: str) -> None:
    held = guard.book("account/main").positions.get("BTC/USD")
    if held is not None and held.size > 0:
        sold = guard.evaluate_order(order(str(held.size), side="sell", client_order_id=name))
        guard.on_fill(sold.id, held.size, 1000.0, 0.0)


def decide(guard: CentralRiskGuard, name: str) -> Callable[[], Any]:
    return lambda: guard.evaluate_order(order("0.1", client_order_id=name))


def decide_some(guard: CentralRiskGuard, name: str) -> Callable[[], Any]:
    orders = [(order("0.1", client_order_id=f"{name}-{k}"), None) for k in range(3)]
    return lambda: guard.evaluate_orders(orders)


def fill(guard: CentralRiskGuard, name: str) -> Callable[[], Any]:
    made = guard.evaluate_order(order("0.1", client_order_id=name))
    return lambda: guard.on_fill(made.id, "0.1", 1000.0, 0.0)


def cancel(guard: CentralRiskGuard, name: str) -> Callable[[], Any]:
    made = guard.evaluate_order(order("0.1", client_order_id=name))
    return lambda: guard.on_cancel(made.id)


@pytest.mark.parametrize("error", [MemoryError, KeyboardInterrupt])
@pytest.mark.parametrize("act", [decide, decide_some, fill, cancel])
def test_whatever_interrupts_a_call_memory_disk_and_log_agree(
    act: Callable[[CentralRiskGuard, str], Callable[[], Any]],
    error: type[BaseException],
    tmp_path: Path,
) -> None:
    desk = Desk(policies(tmp_path / "policies"), tmp_path)
    number = 1
    while True:
        call = act(desk.guard, f"asked-{number}")
        interruption = Interruption(number, error)
        with interruption.armed(), suppress(error, RingfenceError):
            call()
        if not interruption.where:
            break
        try:
            desk.log.check()
        except AuditError:
            desk.reopen()

        after = desk.guard.evaluate_order(order("0.1", client_order_id=f"next-{number}"))

        assert after.decision is RiskDecision.APPROVE, (interruption.where, after.reason)
        assert desk.killed() == known(desk.guard), interruption.where
        for each in desk.guard.working_orders():
            desk.guard.on_cancel(each.order_id)
        sell_all(desk.guard, f"sold-{number}")
        number += _STEP
    assert number > 10 * _STEP
    desk.guard.close()
    desk.log.close()
    # A record that was damaged, or is missing, shows here.
    AuditLog.open(tmp_path / "audit", clock=FixedClock(NOON), durability="process").close()


def test_books_of_an_interrupted_move_get_into_no_snapshot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(policies(tmp_path / "policies"), tmp_path)
    call = fill(desk.guard, "asked")

    def interrupted(_self: KnownOrders, _order: KnownOrder) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, suppress(KeyboardInterrupt):
        patched.setattr(KnownOrders, "end", interrupted)
        call()
    desk.guard.checkpoint()
    call()

    assert desk.guard.working_orders() == ()
    assert desk.guard.book("account/main").positions["BTC/USD"].size == Decimal("0.1")
    assert desk.killed() == known(desk.guard)
    desk.guard.close()
    desk.log.close()


@pytest.mark.parametrize("error", [MemoryError, KeyboardInterrupt])
@pytest.mark.parametrize("act", [decide, decide_some, fill, cancel])
def test_whatever_interrupts_a_call_guards_of_shared_books_agree(
    act: Callable[[CentralRiskGuard, str], Callable[[], Any]],
    error: type[BaseException],
    tmp_path: Path,
) -> None:
    shared = Shared(policies(tmp_path / "policies"))
    one, two = shared.funded("a", "b")
    number = 1
    while True:
        call = act(one, f"asked-{number}")
        interruption = Interruption(number, error)
        with interruption.armed(), suppress(error, RingfenceError):
            call()
        if not interruption.where:
            break

        after = one.evaluate_order(order("0.1", client_order_id=f"next-{number}"))

        assert after.decision is RiskDecision.APPROVE, (interruption.where, after.reason)
        two.catch_up()
        assert known(one) == known(two), interruption.where
        # What happened is told anew by whoever was not heard, and is booked once.
        if act is fill:
            call()
            two.catch_up()
            assert two.book("account/main").positions["BTC/USD"].size == Decimal("0.1")
        for each in one.working_orders():
            one.on_cancel(each.order_id)
        sell_all(one, f"sold-{number}")
        number += _STEP
    assert number > 10 * _STEP


def test_an_order_that_met_an_error_is_rejected_and_reserves_nothing(tmp_path: Path) -> None:
    desk = Desk(policies(tmp_path / "policies"), tmp_path)
    real = desk.guard._keeper.books.ledger.orders.add
    failing = pytest.MonkeyPatch()
    failing.setattr(desk.guard._keeper.books.ledger.orders, "add", _no_memory)

    told = desk.guard.evaluate_order(order("1", client_order_id="a"))

    assert (told.decision, told.code) == (RiskDecision.REJECT, "INTERNAL_ERROR")
    failing.setattr(desk.guard._keeper.books.ledger.orders, "add", real)
    # The books are read anew: what the failed move had reserved of the headroom is free.
    assert desk.guard.evaluate_order(order("10", client_order_id="b")).size == 10
    assert [each.client_order_id for each in desk.guard.working_orders()] == ["b"]


def test_books_that_are_kept_nowhere_take_no_order_after_an_interruption(tmp_path: Path) -> None:
    guard = opened(policies(tmp_path / "policies"), settings=IN_MEMORY)
    failing = pytest.MonkeyPatch()
    failing.setattr(guard._keeper.books, "book_reserved", _no_memory)
    assert guard.evaluate_order(order("1")).code == "INTERNAL_ERROR"
    failing.undo()

    assert guard.evaluate_order(order("1")).code == "STATE_UNAVAILABLE"
    with pytest.raises(RingfenceError, match="kept nowhere"):
        mark(guard, NOON, 1000.0)


def _no_memory(*_: Any) -> None:
    raise MemoryError
