"""Groups on slices of a firm against one ledger that hears of everything: no approval takes the firm past its limits.

Orders, fills, marks, moves of slices, lost requests and answers, crashes and idle groups come in any order.
"""

import math
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from ringfence import PolicySet
from ringfence.errors import StateError
from ringfence.runtime.asked import MarketData
from ringfence.runtime.book_view import BookView
from ringfence.runtime.firm_slices import PARTS, Slice
from ringfence.runtime.guard import CentralRiskGuard
from ringfence.runtime.guard_settings import GuardSettings
from ringfence.runtime.ledger import Ledger
from ringfence.runtime.ports import FixedClock
from runtime.desk import NOON, SECOND, order
from runtime.firm_desk import CAPITAL, firm_policies
from runtime.memory_slices import MemorySlices

pytestmark = pytest.mark.unit

ACCOUNTS = {"one": "main", "two": "other", "three": "third"}
SYMBOLS = {"BTC/USD": ("0.1", 1_000.0), "ETH/USD": ("1", 10.0)}
EXPOSURE, OF_EQUITY, SIZE, CORRELATED, COUNT = 200_000.0, 0.5, 150_000.0, 180_000.0, 8.0
LOSS, LOSS_RATIO, DRAWDOWN = 9_000.0, 0.01, 0.02
GATES = f"""
    - {{rule: total-exposure@1, limits: {{max: {EXPOSURE:.0f} USD, max_of_equity: {OF_EQUITY:.0%}}}}}
    - {{rule: position-size@1, limits: {{max: {SIZE:.0f} USD}}}}
    - {{rule: correlated-exposure@1, limits: {{threshold: 0.7, max: {CORRELATED:.0f} USD}}}}
    - {{rule: position-count@1, limits: {{max_positions: {COUNT:.0f}}}}}
    - {{rule: open-orders@1, limits: {{max_total: 12}}}}
    - {{rule: daily-loss@1, limits: {{max_loss: {LOSS:.0f} USD, max_loss_ratio: {LOSS_RATIO:.0%}}}}}
    - {{rule: drawdown@1, limits: {{max_drawdown: {DRAWDOWN:.0%}}}}}
"""
# Rounding of money to millionths, once for each group and move.
CENT = 0.01

groups = st.sampled_from(sorted(ACCOUNTS))
symbols = st.sampled_from(sorted(SYMBOLS))
sides = st.sampled_from(["buy", "sell"])
picks = st.integers(0, 10_000)
failures = st.sampled_from(["before", "after", "down"])


def _policies() -> PolicySet:
    with TemporaryDirectory() as folder:
        return firm_policies(Path(folder) / "policies", GATES)


POLICIES = _policies()


class FirmOfGroups(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.clock = FixedClock(NOON)
        self.slices = MemorySlices(self.clock)
        self.slices.found(CAPITAL, {name: [f"account/{ACCOUNTS[name]}"] for name in ACCOUNTS})
        self.unit = self.slices.unit
        self.prices = {symbol: price for symbol, (_, price) in SYMBOLS.items()}
        self.whole = Ledger.of(POLICIES.linked)
        self.whole.advance(NOON)
        self.whole.open("firm", Decimal(PARTS * self.unit).scaleb(-6))
        for name in ACCOUNTS.values():
            self.whole.open(f"account/{name}", 10**8)
        self.guards: dict[str, CentralRiskGuard] = {}
        self.held: dict[str, Slice] = {}
        self.lowered = 0
        self.working: list[tuple[str, str, Decimal, Decimal]] = []
        for group in ACCOUNTS:
            self.open(group)
            self.guards[group].on_balance(f"account/{ACCOUNTS[group]}", "opening", 10**8)
        self.mark_all()

    def open(self, group: str) -> None:
        self.guards[group] = CentralRiskGuard.open(
            POLICIES,
            state=self.slices.log(group, f"guard-{group}"),
            clock=self.clock,
            settings=GuardSettings(
                name="a",
                without_audit=True,
                poll_seconds=0,
                accounts=("third",),
                slices=self.slices,
                group=group,
            ),
        )

    def mark_all(self) -> None:
        # Data of one time and other numbers would contradict itself.
        self.clock.advance(1)
        now = self.clock.now_ns()
        for symbol, price in self.prices.items():
            self.whole.mark(symbol, now, price, price, price)
            for guard in self.guards.values():
                guard.on_mark(symbol, MarketData(price, price, price, now))

    # What happens

    @rule(group=groups, symbol=symbols, side=sides, share=st.integers(1, 40))
    def ask(self, group: str, symbol: str, side: str, share: int) -> None:
        step, first = SYMBOLS[symbol]
        worth = EXPOSURE * share / 40
        lots = max(1, int(worth / (first * float(step))))
        self.decide(group, symbol, side, lots * Decimal(step))

    def decide(self, group: str, symbol: str, side: str, size: Decimal) -> bool:
        asked = order(
            str(size),
            account=ACCOUNTS[group],
            symbol=symbol,
            side=side,
            price=str(self.prices[symbol]),
        )
        before, held = self.firm(group), self.guards[group]._books.slice
        answer = self.guards[group].evaluate_order(asked)
        if not answer.size:
            return False
        self.whole.reserve(answer.id, ACCOUNTS[group], "", symbol, side, answer.size)
        self.working.append((group, answer.id, answer.size, Decimal(0)))
        self.check_approval(group, before, held)
        return True

    @rule(pick=picks, part=st.integers(1, 4), slip=st.integers(-20, 20))
    def fill(self, pick: int, part: int, slip: int) -> None:
        if not self.working:
            return
        at = pick % len(self.working)
        group, name, size, filled = self.working[at]
        symbol = self.whole.orders.find(name).symbol
        step = Decimal(SYMBOLS[symbol][0])
        rest = size - filled
        done = filled + min(rest, max(step, (rest * part / 4) // step * step))
        price = self.prices[symbol] * (1 + slip / 1_000)
        self.guards[group].on_fill(name, str(done), price, 1)
        self.whole.fill(name, done, price, 1)
        self.working[at] = group, name, size, done
        if done == size:
            del self.working[at]

    @rule(pick=picks)
    def cancel(self, pick: int) -> None:
        if self.working:
            group, name, *_ = self.working.pop(pick % len(self.working))
            self.guards[group].on_cancel(name)
            self.whole.cancel(name)

    @rule(symbol=symbols, move=st.integers(-80, 80))
    def move(self, symbol: str, move: int) -> None:
        self.prices[symbol] = round(self.prices[symbol] * (1 + move / 1_000), 2)
        self.mark_all()

    @rule(group=groups)
    def poll(self, group: str) -> None:
        self.clock.advance(SECOND // 4)
        self.mark_all()
        self.guards[group].catch_up()

    @rule(hours=st.sampled_from([1, 13]))
    def time_passes(self, hours: int) -> None:
        """Every lease lapses; with the second, a day may begin."""
        self.clock.advance(hours * 3_600 * SECOND)
        self.whole.advance(self.clock.now_ns())
        self.mark_all()

    @rule(group=groups, symbol=symbols, side=sides, how=failures)
    def ask_while_the_store_fails(self, group: str, symbol: str, side: str, how: str) -> None:
        self.slices.broken = how
        self.ask(group, symbol, side, 30)
        with suppress(StateError):
            self.guards[group].catch_up()
        self.slices.broken = ""
        self.clock.advance(2 * SECOND)
        self.mark_all()

    @rule(group=groups, how=failures)
    def poll_while_the_log_fails(self, group: str, how: str) -> None:
        self.slices.wanted_ns = self.clock.now_ns() + SECOND
        logs = [log for log in self.slices.logs if log.origin == f"guard-{group}"]
        logs[-1].broken = how
        with suppress(StateError):
            self.guards[group].catch_up()
        logs[-1].broken = ""
        self.clock.advance(2 * SECOND)
        self.mark_all()

    @rule(group=groups)
    def crash(self, group: str) -> None:
        self.open(group)
        self.mark_all()

    @rule(group=groups, symbol=symbols, side=sides, shock=st.integers(-250, 250))
    def settled(self, group: str, symbol: str, side: str, shock: int) -> None:
        """Once every group has heard of every other, a firm that lost too much takes no new risk."""
        for each in SYMBOLS:
            self.prices[each] = round(self.prices[each] * (1 + shock / 1_000), 2)
        self.mark_all()
        for _ in range(2):
            for guard in self.guards.values():
                guard.catch_up()
        firm = self.firm("whole")
        lost = (
            firm.day_loss > LOSS + CENT
            or firm.day_loss > LOSS_RATIO * firm.day_start_equity + CENT
            or firm.peak_equity - firm.equity > DRAWDOWN * firm.peak_equity + CENT
        )
        for each in sorted(ACCOUNTS, key=lambda name: name != group):
            position = self.firm(each).positions.get(symbol)
            if lost and (position is None or not position.lots):
                assert not self.decide(each, symbol, side, Decimal(SYMBOLS[symbol][0]))

    # What holds

    def firm(self, group: str) -> BookView:
        if group == "whole":
            return self.whole.book("firm")
        return self.guards[group].book("firm")

    @invariant()
    def a_slice_is_never_held_twice(self) -> None:
        if not hasattr(self, "guards"):
            return
        for at in range(2):
            held = 0
            for group, guard in self.guards.items():
                guard._keeper.current()
                of_log, of_store = guard._books.slice, self.slices.groups[group]
                assert of_store is not None
                assert of_log[at] <= of_store[at]
                assert of_store[at + 2] <= of_log[at + 2]
                held += of_store[at] - of_store[at + 2]
            assert 0 <= held <= PARTS

    @invariant()
    def a_slice_is_lowered_no_further_than_to_what_is_used(self) -> None:
        if not hasattr(self, "guards"):
            return
        for group, guard in self.guards.items():
            guard._keeper.current()
            before, held = self.held.get(group), guard._books.slice
            self.held[group] = held
            if before is None or (held.capital >= before.capital and held.share >= before.share):
                continue
            self.lowered += 1
            view, share = self.firm(group), held.share / PARTS
            assert view.exposure <= share * EXPOSURE + CENT
            assert view.exposure <= OF_EQUITY * view.equity + CENT
            assert all(each.exposure <= share * SIZE + CENT for each in view.positions.values())
            assert max(_side(view, 1), _side(view, -1)) <= share * CORRELATED + CENT
            assert len(view.positions) <= share * COUNT + CENT
            assert len(view.open_orders) <= share * 12 + CENT
            assert view.day_loss <= share * LOSS + CENT
            assert view.day_loss <= LOSS_RATIO * view.day_start_equity + CENT
            assert view.peak_equity - view.equity <= DRAWDOWN * view.peak_equity + CENT

    @invariant()
    def money_that_moves_takes_neither_loss_nor_peak_along(self) -> None:
        if not hasattr(self, "guards"):
            return
        for guard in self.guards.values():
            guard._keeper.ready(self.clock.now_ns())
        views = [self.firm(group) for group in ACCOUNTS]
        free = PARTS - sum(guard._books.slice.capital for guard in self.guards.values())
        rest, whole = free * self.unit / 1e6, self.firm("whole")
        assert sum(view.equity for view in views) + rest == pytest.approx(whole.equity, abs=CENT)
        start = sum(view.day_start_equity for view in views) + rest
        assert start == pytest.approx(whole.day_start_equity, abs=CENT)
        assert sum(view.peak_equity for view in views) + rest >= whole.peak_equity - CENT
        assert sum(view.day_loss for view in views) >= whole.day_loss - CENT

    def check_approval(self, asked: str, before: BookView, held: Slice) -> None:
        """Past a limit only as far as markets have taken groups past theirs; the order took its own no further."""
        whole = self.firm("whole")
        shares = {group: guard._books.slice.share / PARTS for group, guard in self.guards.items()}
        views = {group: self.firm(group) for group in ACCOUNTS}

        def holds(measure: Any, absolute: float, of_equity: float = math.inf) -> None:
            def beyond(view: BookView, share: float) -> tuple[float, float]:
                most = of_equity * view.equity if of_equity < math.inf else math.inf
                return (
                    max(0.0, measure(view) - absolute * share),
                    max(0.0, measure(view) - most),
                )

            over = 0.0, 0.0
            for group, view in views.items():
                now = beyond(view, shares[group])
                if group == asked:
                    earlier = beyond(before, held.share / PARTS)
                    assert now[0] <= earlier[0] + CENT
                    assert now[1] <= earlier[1] + CENT
                over = over[0] + now[0], over[1] + now[1]
            assert measure(whole) <= absolute + over[0] + CENT
            if of_equity < math.inf:
                assert measure(whole) <= of_equity * whole.equity + over[1] + CENT

        holds(lambda view: view.exposure, EXPOSURE, OF_EQUITY)
        for symbol in SYMBOLS:
            holds(lambda view, symbol=symbol: _exposure(view, symbol), SIZE)
        holds(lambda view: _side(view, 1), CORRELATED)
        holds(lambda view: _side(view, -1), CORRELATED)
        holds(lambda view: float(len(view.positions)), COUNT)
        holds(lambda view: float(len(view.open_orders)), 12.0)


def _exposure(view: BookView, symbol: str) -> float:
    return view.positions[symbol].exposure if symbol in view.positions else 0.0


def _side(view: BookView, side: int) -> float:
    """Worst case of what stands on one side, all symbols moving together."""
    worst = 0.0
    for each in view.positions.values():
        size = float(each.size)
        most = size + float(each.buys) if side > 0 else float(each.sells) - size
        worst += max(0.0, most) * each.mark
    return worst


TestFirmOfGroups = FirmOfGroups.TestCase
TestFirmOfGroups.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
