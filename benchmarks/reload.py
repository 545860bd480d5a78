"""Hot reload beside trading: how soon a limit is in force, and what orders feel of it.

A guard with everything on decides orders in one thread while its policies change: some hundreds a second, as a
desk does, and then without a pause, so that nothing is left of the interpreter but what the guard gives up. The
child that compiles gets a core of its own.
"""

import gc
import re
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from shutil import rmtree
from statistics import median

from benchmarks.generate import account_name
from benchmarks.guard import everything_on
from benchmarks.market import SYMBOLS
from benchmarks.measure import Figure, pinned
from benchmarks.policy_files import EQUITY, policy_directory
from ringfence import CentralRiskGuard, MarketData, OrderRequest, RiskDecision
from ringfence._resources import bundled
from ringfence.reload import DirectorySource, Reloader, ReloadSettings
from ringfence.reload.outcome import Outcome

__all__ = ["reload"]

QUIET = 500
CHANGES = 100
PACED, PAUSE = 40, 0.001
DEBOUNCE_NS = 20_000_000
WARM = 2_000


def reload(orders: int, directory: Path) -> list[Figure]:
    """Measure; the number of orders does not matter."""
    del orders
    place = directory / "reload"
    rmtree(place, ignore_errors=True)
    policies = policy_directory(place, 10)
    settings = ReloadSettings(debounce_ns=DEBOUNCE_NS)
    with pinned(2), everything_on(policies, place / "guard") as guard:
        desk = Desk(guard, policies)
        # As the how-to advises.
        gc.collect()
        gc.freeze()
        try:
            with Reloader(
                guard,
                DirectorySource(policies),
                store=place / "store",
                settings=settings,
                listener=desk.hear,
            ):
                return _figures(desk)
        finally:
            gc.unfreeze()


class Desk:
    """A guard that decides, and policies that change."""

    def __init__(self, guard: CentralRiskGuard, policies: Path) -> None:
        self._guard, self._policies = guard, policies
        self._account, self._symbol = account_name(0), next(iter(SYMBOLS)).name
        self._number = 0
        self._outcomes: list[Outcome] = []
        self._news = threading.Condition()
        self._policy = policies / "desk-0000.yaml"
        guard.on_balance(f"account/{self._account}", "opening", EQUITY)

    def hear(self, outcome: Outcome) -> None:
        """Take what the reloader tells."""
        with self._news:
            self._outcomes.append(outcome)
            self._news.notify_all()

    def decide(self, until: Callable[[int], bool], pause: float = 0.0) -> list[int]:
        """Decide orders until told to stop, `pause` seconds apart; how long each took, in ns."""
        taken: list[int] = []
        while not until(len(taken)):
            self._number += 1
            if self._number % 500 == 1:
                now = time.time_ns()
                self._guard.on_mark(self._symbol, MarketData(100.0, 100.0, 100.0, now))
            order = OrderRequest(
                self._account, self._symbol, "buy", "1", "100", client_order_id=f"b-{self._number}"
            )
            start = time.perf_counter_ns()
            answer = self._guard.evaluate_order(order)
            taken.append(time.perf_counter_ns() - start)
            if answer.decision is not RiskDecision.APPROVE:
                raise RuntimeError(answer.reason)
            self._guard.on_cancel(answer.id)
            if pause:
                time.sleep(pause)
        return taken

    def change(self, write: Callable[[], object], pause: float = 0.0) -> tuple[list[int], float]:
        """Change the policies while orders are decided.

        Returns:
            How long each decision took, and after how many seconds the set was in force.
        """
        before, heard = self._guard.policy_set, len(self._outcomes)
        written = [0.0]

        def act() -> None:
            write()
            written[0] = time.perf_counter()

        thread = threading.Thread(target=act)
        thread.start()
        ended: list[float] = []

        def over(_: int) -> bool:
            if not ended and self._guard.policy_set != before:
                ended.append(time.perf_counter())
            return len(self._outcomes) > heard

        taken = self.decide(over, pause)
        thread.join()
        outcome = self._outcomes[heard]
        if outcome.result != "accepted" or not ended:
            raise RuntimeError(f"{outcome.result}: {outcome.message}")
        return taken, ended[0] - written[0]

    def limit(self, number: int) -> None:
        """Change one limit."""
        text = self._policy.read_text(encoding="utf-8")
        self._save(re.sub(r"max_positions: \d+", f"max_positions: {10 + number}", text))

    def structure(self) -> None:
        """Add a rule that nobody ever compiled."""
        text = (Path(str(bundled("rules"))) / "order-size.yaml").read_text(encoding="utf-8")
        text = text.partition("  case_defaults:")[0].replace("order-size", "own-size")
        # The constant is in the measure's text, and so in what is compiled.
        unique = time.time_ns()
        text = text.replace("measure: order.size", f"measure: order.size * {unique} / {unique}")
        (self._policies / "own.yaml").write_text(text, encoding="utf-8")
        gate = "    - {rule: own-size@1, limits: {max_size: 1000000}}\n"
        self._save(self._policy.read_text(encoding="utf-8") + gate)

    def _save(self, text: str) -> None:
        """As an editor saves."""
        beside = self._policy.with_suffix(".new")
        beside.write_text(text, encoding="utf-8")
        beside.rename(self._policy)


def _figures(desk: Desk) -> list[Figure]:
    desk.decide(lambda count: count >= WARM)
    quiet: list[int] = []
    limits: list[int] = []
    delays = []
    # In turns, so that what else the machine does slows all of them alike.
    for number in range(1, CHANGES + 1):
        taken, seconds = desk.change(partial(desk.limit, number))
        limits += taken
        delays.append(seconds - DEBOUNCE_NS / 1e9)
        quiet += desk.decide(lambda count: count >= QUIET)
    structures = desk.change(desk.structure)[0]
    after = desk.decide(lambda count: count >= len(structures))
    paced = [
        desk.change(partial(desk.limit, CHANGES + number), pause=PAUSE)[1] - DEBOUNCE_NS / 1e9
        for number in range(1, PACED + 1)
    ]
    figures = [
        Figure("reload", "a limit in force, median", median(paced) * 1e3, "ms", at_most=100.0),
        Figure("reload", "a limit in force, slowest", max(paced) * 1e3, "ms"),
        Figure("reload", "the same, orders without a pause, median", median(delays) * 1e3, "ms"),
    ]
    for name, calm, taken in (
        ("limits change", quiet, limits),
        ("structure changes", after, structures),
    ):
        figures += [
            Figure("reload", f"{name}, p50", median(taken) / 1e3, "us"),
            Figure("reload", f"{name}, p99.9", _tail(taken) / 1e3, "us"),
            Figure("reload", "quiet beside it, p99.9", _tail(calm) / 1e3, "us"),
            Figure(
                "reload",
                f"{name}, p99.9 to quiet",
                _tail(taken) / _tail(calm),
                "times",
                at_most=2.0,
            ),
        ]
    return figures


def _tail(taken: list[int]) -> int:
    return sorted(taken)[len(taken) * 999 // 1000]
