"""A reloader whose worker is one of several: what a person asks of one is asked of all."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ringfence.errors import InputError
from ringfence.reload import Reloader
from ringfence.reload.asking import ask, running_control
from ringfence.reload.control import Request
from ringfence.reload.outcome import Outcome
from ringfence.reload.takeover import NOT_PINNED
from ringfence.runtime.ports import SYSTEM_CLOCK, SYSTEM_RANDOM, Clock, Random

__all__ = ["EveryReloader"]

_SECONDS = 60.0


class EveryReloader(Reloader):
    """As `Reloader`; `reload`, `rollback` and `unpin` reach the other workers, too.

    Args:
        others: Policy stores of the other workers, by their numbers.
        more: As for `Reloader`.

    Raises:
        InputError: by these three, also where this worker did what was asked and another did not: ask again.
    """

    def __init__(
        self,
        *parts: Any,
        others: Mapping[int, Path],
        clock: Clock = SYSTEM_CLOCK,
        random: Random = SYSTEM_RANDOM,
        **more: Any,
    ) -> None:
        super().__init__(*parts, clock=clock, **more)
        self._others, self._time, self._random = others, clock, random

    def reload(self, *, by: str, reason: str) -> Outcome:
        """As `Reloader.reload`, by all workers."""
        return self._by_all(super().reload(by=by, reason=reason), "reload", "", by, reason)

    def rollback(self, policy_set: str, *, by: str, reason: str) -> Outcome:
        """As `Reloader.rollback`, by all workers."""
        outcome = super().rollback(policy_set, by=by, reason=reason)
        return self._by_all(outcome, "rollback", policy_set, by, reason)

    def unpin(self, *, by: str, reason: str) -> Outcome:
        """As `Reloader.unpin`, by all workers."""
        outcome = super().unpin(by=by, reason=reason)
        # Also where this one had nothing to let go, or could not take over what the source holds once it had: another
        # that stayed where it is would decide by other limits.
        return self._by_all(outcome, "unpin", "", by, reason, always=True)

    def _by_all(
        self,
        outcome: Outcome,
        action: str,
        policy_set: str,
        by: str,
        reason: str,
        *,
        always: bool = False,
    ) -> Outcome:
        if not (outcome.ok or always):
            return outcome
        expires_ns = self._time.now_ns() + int(_SECONDS * 1e9)
        missed = []
        for number, store in self._others.items():
            request = Request(self._random.token(8), action, policy_set, by, reason, expires_ns)
            try:
                answer = ask(running_control(store), request, _SECONDS)
            except InputError as error:
                missed.append(f"worker {number}: {error.message}")
                continue
            # Where it failed here it may fail there, and nothing is pinned twice.
            if outcome.ok and not answer.get("ok") and answer.get("message") != NOT_PINNED:
                missed.append(f"worker {number}: {answer.get('message', 'it refused')}")
        if missed:
            raise InputError(
                f"this worker did it, and not all others: {'; '.join(missed)}", "ask again"
            )
        return outcome
