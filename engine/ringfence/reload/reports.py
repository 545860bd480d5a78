"""What a reloader tells of itself: metrics, history, status, and records of what failed."""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any, get_args

from ringfence.errors import InputError, RingfenceError
from ringfence.reload.control import MOST_OUTCOMES, Control
from ringfence.reload.needs import Audit
from ringfence.reload.outcome import Health, Outcome, Result
from ringfence.runtime.metric_table import metric, one
from ringfence.runtime.metrics import Histogram, Metric, Sample

__all__ = ["Reports"]

_MOST_FINDINGS = 20
_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 60.0, 300.0)
# Not that something was noticed: it is counted when it counts.
_RESULTS = tuple(each for each in get_args(Result) if each != "noticed")


class Reports:
    """Takes outcomes, from one thread; tells of them to any.

    Args:
        control: Where status and history are written.
        audit: Takes the records of what failed; None for none.
    """

    def __init__(self, control: Control, audit: Audit | None) -> None:
        self._control, self._audit = control, audit
        self._counts = dict.fromkeys(_RESULTS, 0)
        self._seconds = Histogram(_BOUNDS)
        self._troubles: dict[str, str] = {}
        try:
            self.history: deque[Mapping[str, Any]] = deque(control.history(), MOST_OUTCOMES)
            control.put_history(self.history)
        except (InputError, OSError) as error:
            # It is told without; the audit log has the records.
            self.history = deque(maxlen=MOST_OUTCOMES)
            self.troubled("the history", error)

    @property
    def trouble(self) -> str:
        """What else is wrong, in words."""
        return "; ".join(f"{what}: {why}" for what, why in list(self._troubles.items()))

    def troubled(self, what: str, error: Exception | None = None) -> None:
        """Something went wrong beside what was wanted; without an error, it does no more."""
        self._troubles.pop(what, None)
        if error is not None:
            told = isinstance(error, RingfenceError | OSError)
            self._troubles[what] = str(error) if told else f"{type(error).__name__}: {error}"

    def count(self, outcome: Outcome) -> None:
        """Count an outcome, whether it is told or not."""
        self._counts[outcome.result] += 1
        if outcome.result in ("accepted", "failed", "rolled-back", "applied"):
            self._seconds.observe(outcome.seconds)

    def record(self, kind: str, outcome: Outcome) -> None:
        """Put an outcome into the audit log; where that fails, `trouble` says so."""
        if self._audit is None:
            return
        try:
            self._audit.wait(self._audit.append(kind, outcome.told))
            self.troubled("the audit log")
        except RingfenceError as error:
            self.troubled("the audit log", error)

    def remember(self, outcome: Outcome) -> None:
        """Put an outcome into the history; where that cannot be written, `trouble` says so."""
        # The audit log has all findings.
        self.history.append(outcome.told | {"findings": outcome.findings[:_MOST_FINDINGS]})
        try:
            self._control.add_history(self.history[-1])
            self.troubled("the history")
        except OSError as error:
            self.troubled("the history", error)

    def show(self, health: Health, at_ns: int) -> None:
        """Write how things stand."""
        try:
            self._control.put_status({"at_ns": at_ns, **asdict(health)})
            self.troubled("the status")
        except OSError as error:
            self.troubled("the status", error)

    def metrics(self, health: Health, compiles: int) -> Iterable[Metric]:
        """What was counted; `compiles` children were started."""
        yield metric(
            "ringfence_policy_reloads",
            (Sample({"result": name}, each) for name, each in self._counts.items()),
        )
        yield one("ringfence_policy_reload_seconds", self._seconds.value())
        yield one("ringfence_policy_checked_timestamp_seconds", health.checked_ns / 1e9)
        yield one(
            "ringfence_policy_commit_info", 1, {"sha": health.policy_set, "commit": health.commit}
        )
        yield one("ringfence_policy_source_ok", int(health.ok))
        yield one("ringfence_policy_pinned", int(bool(health.pinned)))
        yield one("ringfence_policy_compiles", compiles)
