"""What the tests of reloading share: a desk in a directory, a guard that records, a reloader to wait for."""

import os
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ringfence.reload.child import Child
from ringfence.reload.outcome import Outcome
from ringfence.reload.reloader import Reloader
from ringfence.reload.settings import ReloadSettings
from ringfence.reload.snapshot import PolicySource
from ringfence.runtime.policy_set import PolicySet
from runtime.desk import GATES, INSTRUMENTS, POLICY, Records

MILLISECOND = 1_000_000
# Long enough for any machine: nothing here waits for it to pass.
PATIENCE_SECONDS = 600
QUICK = ReloadSettings(
    debounce_ns=30 * MILLISECOND,
    debounce_most_ns=300 * MILLISECOND,
    poll_ns=3_600_000 * MILLISECOND,
    retry_ns=50 * MILLISECOND,
)
TEST = """
apiVersion: ringfence/v1
kind: PolicyTest
metadata: {name: desk-tests, version: 1.0.0, description: what the desk expects}
cases:
  - name: an order beyond the limit of a position is made smaller
    given:
      market: {BTC/USD: {bid: 1000, ask: 1000, last: 1000, age: 0, completeness: 100%}}
      books:
        firm: {equity: 100000, day_start_equity: 100000, peak_equity: 100000}
        account/main: {equity: 100000, day_start_equity: 100000, peak_equity: 100000}
    when: {account: main, symbol: BTC/USD, side: buy, size: 11, price: 1000}
    then: {decision: REDUCE_SIZE, code: POSITION_SIZE}
"""
RULE = (Path(__file__).parents[2] / "rules" / "order-size.yaml").read_text(encoding="utf-8")


def desk(folder: Path, *, position: str = "10_000 USD", more: str = "", test: str = "") -> Path:
    """Write a desk's policies, in place."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "instruments.yaml").write_text(INSTRUMENTS)
    (folder / "desk.yaml").write_text(policy(position, more))
    if test:
        (folder / "tests").mkdir(exist_ok=True)
        (folder / "tests" / "desk.yaml").write_text(test)
    return folder


def save(file: Path, text: str) -> None:
    """Write a file as one that a reader finds whole: a slow machine would else show half of it."""
    beside = file.with_name(f".{file.name}.new")
    beside.write_text(text)
    beside.rename(file)


def policy(position: str = "10_000 USD", more: str = "") -> str:
    gates = GATES.replace("DAILY", "reject").replace("10_000 USD", position)
    return POLICY + gates.strip("\n") + "\n" + more


def rule(name: str, measure: str = "order.size * 1") -> str:
    """A rule of the desk's own; the measure's text is what the kernel's structure hangs on."""
    text = RULE.partition("  case_defaults:")[0]
    text = text.replace("name: order-size", f"name: {name}").replace("ORDER_SIZE", "OWN_SIZE")
    return text.replace("measure: order.size", f"measure: {measure}")


class Recorder:
    """Takes what a reloader tells a guard."""

    def __init__(self, policy_set: str = "") -> None:
        self.policy_set = policy_set
        self.used: list[tuple[PolicySet, str, Mapping[str, Any]]] = []
        self.shadows: list[PolicySet | None] = []
        self.confirmed = 0
        self.refuses: Exception | None = None

    def use(self, policy_set: PolicySet, *, by: str, source: Mapping[str, Any]) -> None:
        if self.refuses is not None:
            raise self.refuses
        self.used.append((policy_set, by, source))
        self.policy_set = policy_set.sha256

    def shadow(self, policy_set: PolicySet | None) -> None:
        self.shadows.append(policy_set)

    def confirm_policies(self) -> None:
        self.confirmed += 1


class Running:
    """A reloader that runs, and what came of it."""

    def __init__(self, source: PolicySource, store: Path, **parts: Any) -> None:
        self.guard = parts.pop("guard", None) or Recorder()
        self.audit = Records()
        self._outcomes: list[Outcome] = []
        self._seen = 0
        self._news = threading.Condition()
        parts = {"settings": QUICK, "audit": self.audit, **parts}
        self.reloader = Reloader(self.guard, source, store=store, listener=self._hear, **parts)

    def _hear(self, outcome: Outcome) -> None:
        with self._news:
            self._outcomes.append(outcome)
            self._news.notify_all()

    @property
    def outcomes(self) -> list[Outcome]:
        with self._news:
            return list(self._outcomes)

    def next(self, *results: str) -> Outcome:
        """The next outcome not looked at yet; with results, the next that is one of them."""
        return self.until(lambda each: not results or each.result in results)

    def until(self, wanted: Callable[[Outcome], bool]) -> Outcome:
        """The next outcome not looked at yet that is wanted."""
        found: list[Outcome] = []

        def arrived() -> bool:
            while self._seen < len(self._outcomes):
                self._seen += 1
                if wanted(self._outcomes[self._seen - 1]):
                    found.append(self._outcomes[self._seen - 1])
                    return True
            return False

        with self._news:
            assert self._news.wait_for(arrived, PATIENCE_SECONDS), self._outcomes
        return found[0]


@contextmanager
def running(source: PolicySource, store: Path, **parts: Any) -> Iterator[Running]:
    """A reloader that follows a source, with the first set in force."""
    found = Running(source, store, **parts)
    with found.reloader:
        yield found


def git(*arguments: str, at: Path, **environment: str) -> str:
    """Run git as somebody, without this machine's settings."""
    identity = ["-c", "user.name=Ann", "-c", "user.email=ann@example.com"]
    quiet = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(
        ["git", *identity, *arguments],
        cwd=at,
        check=True,
        capture_output=True,
        text=True,
        env=quiet | environment,
    )
    return done.stdout.strip()


class NoChild(Child):
    """For reloads that compile nothing: a child would be a failure."""

    def __init__(self) -> None:
        super().__init__(1.0, ("false",))
