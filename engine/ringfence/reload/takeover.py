"""Which set is in force: the source's, once it is proven, or the one that a person went back to."""

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from ringfence.errors import InputError, RingfenceError, reason_of
from ringfence.reload.candidate import CandidateError, linked_of
from ringfence.reload.control import Control, Pin
from ringfence.reload.needs import Guard, Store
from ringfence.reload.outcome import Outcome, Result
from ringfence.reload.proving import Proof, Prover
from ringfence.reload.snapshot import PolicySource, Snapshot, SourceError
from ringfence.runtime.policy_set import PolicySet
from ringfence.runtime.ports import Clock

__all__ = ["NOT_PINNED", "Takeover"]

NOT_PINNED = "no set is pinned"
_FILES = "files"


class Takeover:
    """Takes sets over; from one thread. Whatever fails, the set in force stays.

    Attributes:
        commit: Of the set in force; empty where it does not come from one.
        since_ns: Since when it is; 0 where it was so from the start.
        checked_ns: When the source was last found to hold it.
        pin: The set that a person went back to; None where none did.
        failure: What failed last, while it is not mended.
        may_pass_later: Whether it failed for a reason outside the files.
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
        self.commit = _last_commit(control, guard)
        self.since_ns = self.checked_ns = self.failing_since_ns = 0
        self.pin = control.pin()
        self.failure: Outcome | None = None
        self.may_pass_later = False
        # Digests of the source's files: what failed, what was seen last, what has to be seen again, and what
        # is in force, with the set that it made.
        self._failed = self._seen = self._noticed = ""
        self._in_force = ("", "")

    def look(
        self, *, settled: bool, by: str = "", reason: str = "", again: bool = False
    ) -> Outcome:
        """Look at the source, and take over what it holds.

        Args:
            settled: Nothing has changed for a while. Where that is not known, something new is `noticed`,
                and counts once it is seen a second time.
            by, reason: Who wants it and why, where a person does.
            again: Try what failed before.

        Returns:
            What came of it; `failure` itself where it fails as it did.
        """
        wish = _Wish(by, reason, time.perf_counter())
        self.may_pass_later = False
        try:
            snapshot = self._source.read(self.commit)
            golden = self._prover.golden()
        except Exception as error:
            return self._unread(error, wish, again=again)
        author = snapshot.revision.author if snapshot.revision else ""
        wish = wish._replace(by=by or author or _FILES)
        try:
            return self._judge(snapshot, golden, wish, settled=settled, again=again)
        except Exception as error:
            self.may_pass_later = not (isinstance(error, CandidateError) and error.lasting)
            self._failed = self._key(snapshot, golden)
            return self._fail(error, wish, snapshot.about)

    def _unread(self, error: Exception, wish: "_Wish", *, again: bool) -> Outcome:
        """What comes of a source that cannot be read; what is so for long is one failure."""
        if self.pin is not None and self.pin.policy_set != self._guard.policy_set:
            try:
                return self._restore(self.pin)
            except Exception as worse:
                error = worse
        known = self.failure
        if known is not None and known.message == _words(error)[0] and not again:
            return known
        return self._fail(error, wish, {"place": self._source.place})

    def _judge(
        self,
        snapshot: Snapshot,
        golden: Mapping[str, bytes],
        wish: "_Wish",
        *,
        settled: bool,
        again: bool,
    ) -> Outcome:
        digest = self._seen = snapshot.digest
        known = self.failure
        if known is not None and self._failed == self._key(snapshot, golden) and not again:
            return known
        if self.pin is not None and not self.pin.source:
            # It could not be read when the person went back: this is what was there, as far as can be known.
            self._put_pin(replace(self.pin, source=digest))
        if self.pin is not None and digest == self.pin.source:
            if self.pin.policy_set != self._guard.policy_set:
                return self._restore(self.pin)
            self._confirm()
            return self._outcome("pinned", wish, snapshot.about)
        if (digest, self._guard.policy_set) == self._in_force:
            self.commit = snapshot.revision.commit if snapshot.revision else ""
            self._confirm()
            return self._outcome("current", wish, snapshot.about)
        if not settled and digest != self._noticed:
            self._noticed = digest
            return self._outcome("noticed", wish, snapshot.about)
        return self._accept(snapshot, self._prover.files(snapshot.files, golden), wish)

    def rollback(self, name: str, by: str, reason: str) -> Outcome:
        """Go back to a set of the store, and stay there until the source holds something else than now."""
        began = time.perf_counter()
        try:
            policy_set = self._store.load(name)
            self._prover.stored(policy_set.linked)
            now = self._clock.now_ns()
            pin = Pin(policy_set.sha256, by, reason, now, self._digest_now())
            return self._hold(policy_set, pin, began)
        except Exception as error:
            return self._with("refused", error, _Wish(by, reason, began), {"policy_set": name})

    def apply(self, name: str, before: str, by: str, reason: str) -> Outcome:
        """Take over a set that a person put into the store of asked sets, if another one is in force.

        Where the source holds it, it is followed from there; else the set stays until the source holds
        something else than now.

        Args:
            name: SHA-256 of the set.
            before: SHA-256 of the set that must be in force.
            by, reason: Who wants it, and why.
        """
        wish = _Wish(by, reason, time.perf_counter())
        try:
            in_force = self._guard.policy_set
            if in_force == name:
                return self._outcome("current", wish, {"policy_set": name})
            if in_force != before:
                raise InputError(
                    f"policy set {in_force[:12]} is in force, not {before[:12]}, which the plan changes",
                    fix="make the plan again, on what is in force",
                )
            if self._source_holds(name):
                return self.look(settled=True, by=by, reason=reason, again=True)
            policy_set = self._shadows.load(name)
            self._prover.files(policy_set.files, self._prover.golden())
            now = self._clock.now_ns()
            about = {"place": "a plan", "reason": reason}
            self._store.put(policy_set, {**about, "at_ns": now, "by": by})
            pin = Pin(name, by, reason, now, self._digest_now())
            return self._hold(policy_set, pin, wish.began, "applied", about)
        except Exception as error:
            return self._with("refused", error, wish, {"policy_set": name})

    def _source_holds(self, name: str) -> bool:
        """Whether the source's files make this set; one that cannot be read, or does not link, does not."""
        try:
            return linked_of(self._source.read(self.commit).files).sha256 == name
        except (SourceError, CandidateError):
            return False

    def _restore(self, pin: Pin) -> Outcome:
        """Go back to the pinned set: after a restart, or another hand, another one is in force."""
        began = time.perf_counter()
        policy_set = self._store.load(pin.policy_set)
        self._prover.stored(policy_set.linked)
        return self._hold(policy_set, pin, began)

    def _hold(
        self,
        policy_set: PolicySet,
        pin: Pin,
        began: float,
        result: Result = "rolled-back",
        about: Mapping[str, Any] | None = None,
    ) -> Outcome:
        """Pin a set, and put it in force."""
        before, old = self._guard.policy_set, self.pin
        about = about or {"place": "the policy store", "rollback": True, "reason": pin.reason}
        # Before it is in force: a set that is not held would be replaced at the next look.
        self._put_pin(pin)
        try:
            if policy_set.sha256 != before:
                self._guard.use(policy_set, by=pin.by, source=about)
        except BaseException:
            self._put_pin(old)
            raise
        self.commit, self._in_force, self.since_ns = "", ("", ""), self._clock.now_ns()
        self._confirm()
        wish = _Wish(pin.by, pin.reason, began)
        return self._outcome(result, wish, about, before=before)

    def unpin(self, by: str, reason: str) -> Outcome:
        """Follow the source again; the set in force stays until the next look."""
        wish = _Wish(by, reason, time.perf_counter())
        try:
            if self.pin is None:
                raise InputError(NOT_PINNED, fix="see `ringfence reload status`")
            about = {"policy_set": self.pin.policy_set}
            self._put_pin(None)
        except (InputError, OSError) as error:
            return self._with("refused", error, wish, {})
        return self._outcome("unpinned", wish, about)

    def shadow(self, name: str, by: str, reason: str) -> Outcome:
        """Run a set beside the one in force; none where the name is empty."""
        wish = _Wish(by, reason, time.perf_counter())
        try:
            policy_set = self._shadows.load(name) if name else None
            if policy_set is not None:
                self._prover.stored(policy_set.linked)
            self._guard.shadow(policy_set)
        except Exception as error:
            return self._with("refused", error, wish, {"policy_set": name})
        sha256 = "" if policy_set is None else policy_set.sha256
        return self._outcome("shadow", wish, {"policy_set": sha256})

    def _accept(self, snapshot: Snapshot, proof: Proof, wish: "_Wish") -> Outcome:
        policy_set, before = PolicySet(proof.linked), self._guard.policy_set
        now, about = self._clock.now_ns(), snapshot.about
        # Before it decides anything: what decided can be gone back to, and read later.
        stored = {**about, "at_ns": now, "by": wish.by, "reason": wish.reason}
        self._store.put(policy_set, stored)
        if policy_set.sha256 != before:
            self._guard.use(policy_set, by=wish.by, source={**about, "reason": wish.reason})
            self.since_ns = now
        self._in_force = (snapshot.digest, policy_set.sha256)
        self.commit = snapshot.revision.commit if snapshot.revision else ""
        if self.pin is not None:
            self._put_pin(None)
        self._confirm()
        result: Result = "current" if policy_set.sha256 == before else "accepted"
        found = self._outcome(result, wish, about, before=before)
        return replace(found, compiled=proof.compiled, tests=proof.tests)

    def _key(self, snapshot: Snapshot, golden: Mapping[str, bytes]) -> str:
        return snapshot.digest + Snapshot("", golden).digest

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
        self._guard.confirm_policies()
        self.failure, self.failing_since_ns, self._failed = None, 0, ""

    def _outcome(
        self, result: Result, wish: "_Wish", about: Mapping[str, Any], *, before: str = ""
    ) -> Outcome:
        now, seconds = self._guard.policy_set, time.perf_counter() - wish.began
        at_ns = self._clock.now_ns()
        return Outcome(result, now, before or now, at_ns, seconds, wish.by, wish.reason, about)

    def _with(
        self, result: Result, error: Exception, wish: "_Wish", about: Mapping[str, Any]
    ) -> Outcome:
        message, fix = _words(error)
        findings = error.findings if isinstance(error, CandidateError) else ()
        found = self._outcome(result, wish, about)
        return replace(found, message=message, fix=fix, findings=findings)

    def _fail(self, error: Exception, wish: "_Wish", about: Mapping[str, Any]) -> Outcome:
        found = self._with("failed", error, wish, about)
        self.failing_since_ns = self.failing_since_ns or found.at_ns
        self.failure = found
        return found


def _last_commit(control: Control, guard: Guard) -> str:
    """The commit of the set in force, where a reloader before this one told of it."""
    try:
        status = control.status() or {}
    except InputError:
        return ""
    commit = status.get("commit") if status.get("policy_set") == guard.policy_set else ""
    return commit if isinstance(commit, str) else ""


class _Wish(NamedTuple):
    """Who wants something, why, and since when (of `perf_counter`)."""

    by: str
    reason: str
    began: float


def _words(error: Exception) -> tuple[str, str]:
    """What went wrong, and what to do."""
    match error:
        case InputError(message=message, fix=fix):
            return message, fix
        case RingfenceError():
            return str(error), "mend the policies"
        case OSError():
            return reason_of(error), "see to the disk and its rights"
    return f"{type(error).__name__}: {error}", "this should not happen: report it"
