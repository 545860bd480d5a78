"""Which set is in force: the source's, once it is proven, or the one that a person went back to."""

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ringfence.errors import InputError, PolicyError, RingfenceError
from ringfence.reload.candidate import CandidateError
from ringfence.reload.control import Control, Pin
from ringfence.reload.needs import Guard, Store
from ringfence.reload.outcome import Outcome, Result
from ringfence.reload.proving import Proof, Prover
from ringfence.reload.snapshot import PolicySource, Snapshot, SourceError
from ringfence.runtime.policy_set import PolicySet
from ringfence.runtime.ports import Clock

__all__ = ["Takeover"]

_FILES = "files"


class Takeover:
    """Takes sets over; from one thread. Whatever fails, the set in force stays.

    Attributes:
        commit: Of the set in force; empty where it does not come from one.
        since_ns: Since when it is; 0 where it was so from the start.
        checked_ns: When the source was last found to hold it.
        pin: The set that a person went back to; None where none did.
        failure: What failed last, while it is not mended.
        pending: Whether the source holds something new that has to be seen once more before it counts.
    """

    def __init__(
        self,
        guard: Guard,
        source: PolicySource,
        stores: tuple[Store, Store],
        control: Control,
        prover: Prover,
        clock: Clock,
    ) -> None:
        self._guard, self._source, self._clock = guard, source, clock
        self._store, self._shadows = stores
        self._control, self._prover = control, prover
        self.commit = ""
        self.since_ns = self.checked_ns = self.failing_since_ns = 0
        self.pin = control.pin()
        self.failure: Outcome | None = None
        self.pending = False
        # Digests of the source's files: those in force, those seen last, those that failed.
        self._in_force = self._seen = self._noticed = self._failed = ""

    def restore(self) -> Outcome | None:
        """Go back to the pinned set, where another one is in force after a restart."""
        pin = self.pin
        if pin is None or pin.policy_set == self._guard.policy_set:
            return None
        return self.rollback(pin.policy_set, pin.by, pin.reason)

    def look(
        self, *, settled: bool, by: str = "", reason: str = "", again: bool = False
    ) -> Outcome | None:
        """Look at the source, and take over what it holds.

        Args:
            settled: Nothing has changed for a while. Where that is not known, something new only becomes
                `pending`, and counts once it is seen a second time.
            by, reason: Who wants it and why, where a person does.
            again: Try what failed before.

        Returns:
            What came of it; None where it is pending, or still fails as before.
        """
        began = time.perf_counter()
        self.pending = False
        try:
            snapshot = self._source.read(self.commit)
            golden = self._prover.golden()
        except (SourceError, CandidateError) as error:
            return self._unreadable(error, began, by, reason)
        digest = self._seen = snapshot.digest
        who = by or (snapshot.revision.author if snapshot.revision else "") or _FILES
        if self.pin is not None and digest == self.pin.source:
            self._confirm()
            return self._outcome("pinned", began, who, reason, snapshot.about)
        if digest == self._in_force:
            self.commit = snapshot.revision.commit if snapshot.revision else ""
            self._confirm()
            return self._outcome("current", began, who, reason, snapshot.about)
        key = digest + Snapshot("", golden).digest
        if key == self._failed and not again:
            return None
        if not settled and digest != self._noticed:
            self._noticed, self.pending = digest, True
            return None
        try:
            proof = self._prover.files(snapshot.files, golden)
            outcome = self._accept(snapshot, proof, began, who, reason)
        except Exception as error:
            lasting = isinstance(error, CandidateError) and error.lasting
            self._failed = key if lasting else ""
            return self._fail(error, began, who, reason, snapshot.about)
        self._failed = ""
        return outcome

    def rollback(self, name: str, by: str, reason: str) -> Outcome:
        """Go back to a set of the store, and stay there until the source holds something else than now."""
        began = time.perf_counter()
        before, old = self._guard.policy_set, self.pin
        try:
            policy_set = self._store.load(name)
            self._prover.stored(policy_set.linked)
            now = self._clock.now_ns()
            # Before it is in force: a set that is not held would be replaced at the next look.
            self._put_pin(Pin(policy_set.sha256, by, reason, now, self._digest_now()))
            try:
                about = {"place": "the policy store", "rollback": True, "reason": reason}
                if policy_set.sha256 != before:
                    self._guard.use(policy_set, by=by, source=about)
            except BaseException:
                self._put_pin(old)
                raise
        except Exception as error:
            return self._refuse(error, began, by, reason)
        self.commit, self._in_force, self.since_ns = "", "", now
        self._confirm()
        return self._outcome("rolled-back", began, by, reason, about, before=before)

    def unpin(self, by: str, reason: str) -> Outcome:
        """Follow the source again; the set in force stays until the next look."""
        began = time.perf_counter()
        if self.pin is None:
            wrong = InputError("no set is pinned", fix="see `ringfence reload status`")
            return self._refuse(wrong, began, by, reason)
        about = {"policy_set": self.pin.policy_set}
        try:
            self._put_pin(None)
        except OSError as error:
            return self._refuse(error, began, by, reason)
        return self._outcome("unpinned", began, by, reason, about)

    def shadow(self, name: str, by: str, reason: str) -> Outcome:
        """Run a set beside the one in force; none where the name is empty."""
        began = time.perf_counter()
        try:
            policy_set = self._shadows.load(name) if name else None
            if policy_set is not None:
                self._prover.stored(policy_set.linked)
            self._guard.shadow(policy_set)
        except Exception as error:
            return self._refuse(error, began, by, reason)
        found = self._outcome("shadow", began, by, reason, {"place": "the command line"})
        return replace(found, policy_set=policy_set.sha256 if policy_set is not None else "")

    def _accept(
        self, snapshot: Snapshot, proof: Proof, began: float, by: str, reason: str
    ) -> Outcome:
        policy_set, before = PolicySet(proof.linked), self._guard.policy_set
        now = self._clock.now_ns()
        about = snapshot.about
        # Before it decides anything: what decided can be gone back to, and read later.
        self._store.put(policy_set, {**about, "at_ns": now, "by": by, "reason": reason})
        if policy_set.sha256 != before:
            self._guard.use(policy_set, by=by, source={**about, "reason": reason})
            self.since_ns = now
        self._in_force = snapshot.digest
        self.commit = snapshot.revision.commit if snapshot.revision else ""
        if self.pin is not None:
            self._put_pin(None)
        self._confirm()
        result: Result = "current" if policy_set.sha256 == before else "accepted"
        found = self._outcome(result, began, by, reason, about, before=before)
        return replace(found, compiled=proof.compiled, tests=proof.tests)

    def _put_pin(self, pin: Pin | None) -> None:
        self._control.set_pin(pin)
        self.pin = pin

    def _digest_now(self) -> str:
        """What the source holds at this moment, or held when it could last be read."""
        try:
            self._seen = self._source.read(self.commit).digest
        except SourceError:
            return self._seen
        return self._seen

    def _confirm(self) -> None:
        """What should be in force is: the lease begins anew, and nothing fails any more."""
        self.checked_ns = self._clock.now_ns()
        self._guard.confirm_policies(self.checked_ns)
        self.failure, self.failing_since_ns = None, 0

    def _outcome(
        self,
        result: Result,
        began: float,
        by: str,
        reason: str,
        about: Mapping[str, Any],
        *,
        before: str = "",
    ) -> Outcome:
        now = self._guard.policy_set
        seconds = time.perf_counter() - began
        at_ns = self._clock.now_ns()
        return Outcome(result, now, before or now, at_ns, seconds, by, reason, about)

    def _unreadable(
        self, error: InputError, began: float, by: str, reason: str
    ) -> Outcome | None:
        """A source that still cannot be read, for the same reason, is told of once."""
        known = self.failure
        if known is not None and known.message == error.message and not by:
            return None
        return self._fail(error, began, by or _FILES, reason, {"place": self._source.place})

    def _fail(
        self, error: Exception, began: float, by: str, reason: str, about: Mapping[str, Any]
    ) -> Outcome:
        found = _with(self._outcome("failed", began, by, reason, about), error)
        self.failing_since_ns = self.failing_since_ns or found.at_ns
        self.failure = found
        return found

    def _refuse(self, error: Exception, began: float, by: str, reason: str) -> Outcome:
        return _with(self._outcome("refused", began, by, reason, {}), error)


def _with(outcome: Outcome, error: Exception) -> Outcome:
    """The outcome, with what went wrong in words."""
    findings = error.findings if isinstance(error, CandidateError) else ()
    match error:
        case InputError(message=message, fix=fix):
            pass
        case PolicyError() | RingfenceError():
            message, fix = str(error), "mend the policies"
        case OSError():
            message, fix = (error.strerror or str(error)).lower(), "see to the disk and its rights"
        case _:
            message = f"{type(error).__name__}: {error}"
            fix = "this should not happen: report it"
    return replace(outcome, message=message, fix=fix, findings=findings)
