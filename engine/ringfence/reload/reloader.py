"""The reloader: a thread that keeps a guard's policy set what its source holds."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from os import PathLike
from pathlib import Path
from typing import Any

from ringfence.errors import InputError
from ringfence.reload.child import Child
from ringfence.reload.control import Control, Request
from ringfence.reload.needs import Audit, Guard
from ringfence.reload.outcome import Health, Outcome
from ringfence.reload.pace import Pace
from ringfence.reload.proving import Prover
from ringfence.reload.reports import Reports
from ringfence.reload.settings import ReloadSettings
from ringfence.reload.snapshot import PolicySource, Target
from ringfence.reload.takeover import Takeover
from ringfence.reload.watching import Watching
from ringfence.reload.yielding import yielding
from ringfence.runtime.metrics import Metric
from ringfence.runtime.policy_store import PolicyStore
from ringfence.runtime.ports import SYSTEM_CLOCK, SYSTEM_FILES, Clock, LogFiles

__all__ = ["Reloader"]

Listener = Callable[[Outcome], None]


class Reloader:
    """Keeps a guard's policy set what a source holds; whatever fails, the last good one stays.

    Args:
        guard: Its set is changed.
        source: Where sets come from.
        store: Directory of the policy store, for this process alone; accepted sets are kept there, and people
            reach the reloader through it (`ringfence reload --store`).
        audit: The guard's log; takes `reload-failed` and `policy-unpinned`. The guard itself records each swap.
        settings: How it works.
        clock: Tells the time that records have.
        files: The file system that the store is on.
        listener: Called with every outcome, from the reloader's thread; must not wait for that.
        child: Compiles; the default where not given.

    Raises:
        InputError: the store cannot be used, or another reloader uses it.
    """

    def __init__(
        self,
        guard: Guard,
        source: PolicySource,
        *,
        store: str | PathLike[str],
        audit: Audit | None = None,
        settings: ReloadSettings | None = None,
        clock: Clock = SYSTEM_CLOCK,
        files: LogFiles = SYSTEM_FILES,
        listener: Listener | None = None,
        child: Child | None = None,
    ) -> None:
        self._settings = settings = settings or ReloadSettings()
        self._guard, self._source, self._clock, self._listener = guard, source, clock, listener
        self._control = Control(Path(store), files)
        self._lock = self._control.hold()
        try:
            prover = Prover(
                child or Child(settings.child_ns / 1e9), settings.golden, settings.switch_ns / 1e9
            )
            stores = (PolicyStore(Path(store), files), PolicyStore(self._control.shadows, files))
            self._prover = prover
            self._takeover = Takeover(guard, source, stores, self._control, prover, clock)
            self._reports = Reports(self._control, audit)
        except BaseException:
            self._lock.close()
            raise
        self._watching = Watching(self._on_change)
        self._watched = False
        self._changed = threading.Condition()
        self._pace = Pace(settings)
        self._asked: deque[tuple[Callable[[], Outcome], Future[Outcome]]] = deque()
        self._requested = False
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="ringfence-reload", daemon=True)

    def start(self) -> "Reloader":
        """Begin: look at the source at once, and again whenever it changes."""
        self._thread.start()
        return self

    def close(self) -> None:
        """End; a set that is being proven is given up. The set in force stays."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            self._changed.notify_all()
        self._prover.stop()
        if self._thread.is_alive():
            self._thread.join()
        self._watching.close()
        while self._asked:
            self._asked.popleft()[1].set_exception(_not_running())
        self._show()
        self._lock.close()

    def __enter__(self) -> "Reloader":
        return self.start()

    def __exit__(self, *exception: object) -> None:
        self.close()

    # What people ask for

    def reload(self, *, by: str, reason: str) -> Outcome:
        """Look at the source now, and try again what failed before.

        Raises:
            InputError: the reloader is not running, or nobody asks.
        """
        return self._ask(lambda: self._looked(by, reason), by, reason)

    def rollback(self, policy_set: str, *, by: str, reason: str) -> Outcome:
        """Go back to a set of the store, and stay there until the source holds something else than now.

        Args:
            policy_set: Its SHA-256, or the beginning of that.
            by, reason: Who wants it, and why.

        Raises:
            InputError: the reloader is not running, or nobody asks.
        """
        # It does not wait for a set that it would keep out.
        self._prover.give_up()
        return self._ask(lambda: self._takeover.rollback(policy_set, by, reason), by, reason)

    def unpin(self, *, by: str, reason: str) -> Outcome:
        """Follow the source again after a rollback.

        Raises:
            InputError: the reloader is not running, or nobody asks.
        """
        return self._ask(lambda: self._unpinned(by, reason), by, reason)

    # How it is

    def health(self) -> Health:
        """How it is, from any thread."""
        known, failure = self._takeover, self._takeover.failure
        pin = known.pin
        running = self._thread.is_alive() and not self._closed
        return Health(
            ok=running and failure is None,
            source=self._source.place,
            running=running,
            policy_set=self._guard.policy_set,
            commit=known.commit,
            since_ns=known.since_ns,
            checked_ns=known.checked_ns,
            failing_since_ns=known.failing_since_ns,
            message="" if failure is None else failure.message,
            fix="" if failure is None else failure.fix,
            pinned="" if pin is None else pin.policy_set,
            watching=self._watched,
            trouble=self._reports.trouble,
        )

    def metrics(self) -> Iterable[Metric]:
        """Its metrics, from any thread."""
        return self._reports.metrics(self.health(), self._prover.compiles)

    @property
    def history(self) -> list[Mapping[str, Any]]:
        """What happened last, the oldest first."""
        return list(self._reports.history)

    # The thread

    def _run(self) -> None:
        self._try(self._begin)
        while True:
            with self._changed:
                while not (self._closed or self._asked or self._requested):
                    left = self._pace.next_ns - time.monotonic_ns()
                    if left <= 0:
                        break
                    self._changed.wait(left / 1e9)
                if self._closed:
                    return
            self._try(self._step)

    def _try(self, act: Callable[[], None]) -> None:
        try:
            with yielding(self._settings.switch_ns / 1e9):
                act()
        except Exception as error:
            # The thread goes on: the next look may find what this one did not.
            self._reports.troubled("the thread", error)

    def _begin(self) -> None:
        self._watch()
        self._look(settled=True)

    def _step(self) -> None:
        """Do what was asked, and what is due."""
        while self._asked:
            act, answer = self._asked.popleft()
            try:
                answer.set_result(self._tell(act()))
            except Exception as error:
                answer.set_exception(error)
        if self._requested or not self._watched:
            self._requested = False
            self._take_requests()
        with self._changed:
            due = self._pace.take(time.monotonic_ns())
        if due is None:
            return
        self._watch()
        if due == "retry":
            self._look(settled=True, again=True)
        else:
            # Where nothing tells of changes, files are quiet once they are read twice the same.
            told = self._watched and not self._source.polling
            self._look(settled=told and due == "changed")

    def _watch(self) -> None:
        # Before the files are read: what changes after that is told of.
        targets = [Target(self._control.requests, True)]
        if not self._source.polling:
            try:
                targets += self._source.targets()
            except OSError:
                self._watched = False
                return
        self._watched = self._watching.watch(targets)

    def _on_change(self, target: Target) -> None:
        requested = target.path == self._control.requests
        if requested and self._control.wants_rollback:
            self._prover.give_up()
        with self._changed:
            if requested:
                self._requested = True
            else:
                self._pace.note(time.monotonic_ns())
            self._changed.notify_all()

    def _look(self, *, settled: bool, again: bool = False) -> None:
        known = self._takeover.failure
        outcome = self._takeover.look(settled=settled, again=again)
        now = time.monotonic_ns()
        with self._changed:
            self._pace.looked(now, told=self._watched)
            if outcome.result == "noticed":
                self._pace.note(now)
        if outcome.result == "noticed" or outcome is known:
            self._show()
        else:
            self._tell(outcome)
            self._pace.ended(now, may_pass_later=self._takeover.may_pass_later)

    def _looked(self, by: str, reason: str) -> Outcome:
        self._watch()
        outcome = self._takeover.look(settled=True, by=by, reason=reason, again=True)
        now = time.monotonic_ns()
        self._pace.ended(now, may_pass_later=self._takeover.may_pass_later)
        return outcome

    def _unpinned(self, by: str, reason: str) -> Outcome:
        outcome = self._takeover.unpin(by, reason)
        if outcome.ok:
            self._reports.record("policy-unpinned", outcome)
            self._tell(outcome)
            return self._looked(by, reason)
        return outcome

    def _take_requests(self) -> None:
        try:
            requests = self._control.take()
        except (InputError, OSError) as error:
            self._reports.troubled("requests", error)
            return
        for request in requests:
            if request.expires_ns < self._clock.now_ns():
                continue
            outcome = self._tell(self._done(request))
            try:
                self._control.answer(request, outcome.told)
            except OSError as error:
                self._reports.troubled("an answer", error)

    def _done(self, request: Request) -> Outcome:
        by, reason = request.by, request.reason
        match request.action:
            case "rollback":
                return self._takeover.rollback(request.policy_set, by, reason)
            case "unpin":
                return self._unpinned(by, reason)
            case "shadow":
                return self._takeover.shadow(request.policy_set, by, reason)
            case "apply":
                return self._takeover.apply(request.policy_set, request.before, by, reason)
        return self._looked(by, reason)

    def _ask(self, act: Callable[[], Outcome], by: str, reason: str) -> Outcome:
        if not by.strip() or not reason.strip():
            raise InputError("who asks, and why?", fix="give `by` and `reason`")
        answer: Future[Outcome] = Future()
        with self._changed:
            if self._closed or not self._thread.is_alive():
                raise _not_running()
            self._asked.append((act, answer))
            self._changed.notify_all()
        return answer.result()

    def _tell(self, outcome: Outcome) -> Outcome:
        """Count an outcome, remember and record it, and tell the listener."""
        if self._closed and outcome.result == "failed":
            # It was given up.
            return outcome
        self._reports.count(outcome)
        if outcome.result not in ("current", "pinned"):
            self._reports.remember(outcome)
        if outcome.result == "failed":
            self._reports.record("reload-failed", outcome)
        # Before anybody hears of it, who might look there.
        self._show()
        if self._listener is not None:
            try:
                self._listener(outcome)
            except Exception as error:
                self._reports.troubled("the listener", error)
        return outcome

    def _show(self) -> None:
        self._reports.show(self.health(), self._clock.now_ns())


def _not_running() -> InputError:
    return InputError("the reloader is not running", fix="start it, and ask again")
