"""Releasing a kill switch and going back to an earlier set of policies: by one person, or by two different ones.

Both loosen what holds orders back. Where the settings name one of them in `access.four_eyes`, a first person proposes
it with a reason, and it happens once a second one confirms; both stand in the audit log. Proposals run out, outlive a
restart, and are good for the state they were made in: where the switch or the set is another by then, they are refused.
Two names are two people where nobody may be acting under both, as whoever set somebody's password may.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import get_args

import msgspec
from litestar.exceptions import HTTPException, NotFoundException, PermissionDeniedException

from ringfence.errors import InputError
from ringfence.language.orders import KILL_STATES
from ringfence.reload import Reloader
from ringfence.reload.outcome import Outcome
from ringfence.runtime.guard import CentralRiskGuard
from ringfence.runtime.policy_store import PolicyStore
from ringfence.runtime.ports import SYSTEM_FILES, SYSTEM_RANDOM, Clock, LogFiles, Random
from ringfence.service.access.reasons import checked_reason
from ringfence.service.access.records import Records
from ringfence.service.access.rights import Principal, Right
from ringfence.service.access.table import Table
from ringfence.service.settings.access import Action

__all__ = ["ACTIONS", "Conflict", "FourEyes", "Proposal"]

ACTIONS: tuple[Action, ...] = get_args(Action)

_MOST_PENDING = 20


class Conflict(HTTPException):
    """409: it does not fit what is the case by now."""

    status_code = 409


class Proposal(msgspec.Struct, frozen=True):
    """What one person wants and another has to confirm.

    Attributes:
        id: Its name.
        action: Which of `ACTIONS`.
        about: What exactly: `target` and `state`, and `rearm` where a release arms the drawdown anew; or `policy_set`.
        seen: What was the case then: `state` and `at_ns` of the switch, or the `policy_set` in force.
        by, reason: Who wants it, and why.
        at_ns, expires_ns: Since when and until when, ns since 1970, UTC.
        hands: Everybody who may have acted under that name then, in lower case.
    """

    id: str
    action: str
    about: dict[str, str]
    seen: dict[str, str]
    by: str
    reason: str
    at_ns: int
    expires_ns: int
    hands: list[str] = []


class FourEyes:
    """Does what one person may do, and keeps what needs two; thread-safe, and blocks for as long as the deed takes.

    Args:
        actions: Those that need two people.
        valid_ns: How long a proposal can be confirmed.
        folder: Where proposals are kept.
        store: Directory of the policy store.
        hands: Tells everybody who may be acting under a name, that name included, in lower case.
    """

    def __init__(
        self,
        guard: CentralRiskGuard,
        reloader: Reloader,
        records: Records,
        clock: Clock,
        *,
        actions: frozenset[str],
        valid_ns: int,
        folder: Path,
        store: Path,
        hands: Callable[[str], frozenset[str]],
        files: LogFiles = SYSTEM_FILES,
        random: Random = SYSTEM_RANDOM,
    ) -> None:
        self._guard, self._reloader, self._records = guard, reloader, records
        self._clock, self._random = clock, random
        self._actions, self._valid_ns = actions, valid_ns
        self._table = Table(folder / "proposals.json", Proposal, files)
        self._store, self._hands = PolicyStore(store, files), hands

    def needs_two(self, action: Action) -> bool:
        """Whether an action needs two people."""
        return action in self._actions

    def set_kill_switch(
        self, user: Principal, target: str, state: str, reason: str, *, rearm: bool = False
    ) -> Proposal | None:
        """Set a kill switch; where it is a release that needs two people, propose it.

        A switch can always be made stricter by one. To arm a book's drawdown anew (`rearm`) loosens it.

        Returns:
            The proposal; None where the switch is set.

        Raises:
            PermissionDeniedException: the role may not, or a machine proposes.
            InputError: as `CentralRiskGuard.set_kill_switch`.
            Conflict: somebody else set the switch at the same moment.
        """
        _allowed(user)
        reason = checked_reason(reason)
        if not self.needs_two("kill-switch-release"):
            self._guard.set_kill_switch(target, state, by=user.name, reason=reason, rearm=rearm)
            return None
        now, at_ns = self._switch(target)
        is_looser = state in KILL_STATES and KILL_STATES.index(state) < KILL_STATES.index(now)
        if not (is_looser or rearm) or state == KILL_STATES[-1]:
            # Whoever looked at a looser switch must not release a stricter one by it.
            self._switched(target, state, user.name, reason, at_ns, rearm=rearm)
            return None
        # What nobody could confirm is no proposal.
        self._guard.check_kill_switch(target, state, by=user.name, reason=reason, rearm=rearm)
        about, seen = {"target": target, "state": state}, {"state": now, "at_ns": str(at_ns)}
        if rearm:
            about["rearm"] = "drawdown"
        return self._propose(user, "kill-switch-release", about, seen, reason)

    def rollback(self, user: Principal, policy_set: str, reason: str) -> Proposal | Outcome:
        """Go back to a set of the store; where that needs two people, propose it.

        Args:
            policy_set: Its SHA-256, or the beginning of that.

        Returns:
            The proposal, or what came of the rollback.

        Raises:
            PermissionDeniedException: the role may not, or a machine proposes.
            InputError: there is no such set, or no reason.
        """
        _allowed(user)
        reason = checked_reason(reason)
        if not self.needs_two("rollback"):
            return self._reloader.rollback(policy_set, by=user.name, reason=reason)
        found = self._store.find(policy_set)
        seen = {"policy_set": self._guard.policy_set}
        return self._propose(user, "rollback", {"policy_set": found}, seen, reason)

    def pending(self) -> tuple[Proposal, ...]:
        """What can be confirmed, the oldest first."""
        now = self._clock.now_ns()
        held = (each for each in self._table.all().values() if now < each.expires_ns)
        return tuple(sorted(held, key=lambda each: (each.at_ns, each.id)))

    def confirm(self, user: Principal, name: str) -> Outcome | None:
        """Do what another person proposed.

        It is taken out first, so that of two who confirm at the same time one does it; what then fails has to be
        proposed again.

        Returns:
            What came of a rollback; None where a switch was released.

        Raises:
            NotFoundException: nothing of that name waits: it was confirmed or withdrawn, or has run out.
            PermissionDeniedException: the role may not, it is a machine, or may be the person who proposed it.
            Conflict: the switch or the set is not any more what it was; the proposal is gone.
        """
        _allowed(user)
        _person(user)
        hands = self._hands(user.name)
        with self._table.changing() as held:
            proposal = held.get(name)
            if proposal is None or self._clock.now_ns() >= proposal.expires_ns:
                raise _no_such()
            if user.name.casefold() == proposal.by.casefold():
                raise PermissionDeniedException("whoever proposes it cannot confirm it")
            _apart(hands, self._hands(proposal.by).union(proposal.hands))
            del held[name]
        by = f"{proposal.by}, confirmed by {user.name}"
        self._records.changed("confirmed", user.name, _told(proposal))
        if proposal.action == "rollback":
            return self._rolled_back(proposal, by)
        about, at_ns = proposal.about, int(proposal.seen["at_ns"])
        self._switched(
            about["target"],
            about["state"],
            by,
            proposal.reason,
            at_ns,
            rearm="rearm" in about,
        )
        return None

    def withdraw(self, user: Principal, name: str) -> Proposal:
        """Take a proposal away: whoever may confirm it may also refuse it.

        Raises:
            NotFoundException: nothing of that name waits.
            PermissionDeniedException: the role may not.
        """
        _allowed(user)
        with self._table.changing() as held:
            proposal = held.pop(name, None)
            if proposal is None:
                raise _no_such()
        self._records.changed("withdrawn", user.name, _told(proposal))
        return proposal

    def _propose(
        self,
        user: Principal,
        action: Action,
        about: Mapping[str, str],
        seen: Mapping[str, str],
        reason: str,
    ) -> Proposal:
        _person(user)
        now = self._clock.now_ns()
        proposal = Proposal(
            self._random.token(8),
            action,
            dict(about),
            dict(seen),
            user.name,
            reason,
            now,
            now + self._valid_ns,
            sorted(self._hands(user.name)),
        )
        # First the record: one of a proposal that then is not kept harms nobody.
        self._records.changed("proposed", user.name, _told(proposal))
        with self._table.changing() as held:
            for name in [name for name, each in held.items() if each.expires_ns <= now]:
                del held[name]
            if len(held) >= _MOST_PENDING:
                raise Conflict(f"{_MOST_PENDING} proposals wait already; withdraw some")
            held[proposal.id] = proposal
        return proposal

    def _switch(self, target: str) -> tuple[str, int]:
        for each in self._guard.kill_switches:
            if each.target == target:
                return each.state, each.at_ns
        return "active", 0

    def _switched(
        self, target: str, state: str, by: str, reason: str, seen_ns: int, *, rearm: bool
    ) -> None:
        try:
            self._guard.set_kill_switch(
                target, state, by=by, reason=reason, seen_ns=seen_ns, rearm=rearm
            )
        except InputError as error:
            if self._switch(target)[1] != seen_ns:
                raise Conflict(error.message) from error
            raise

    def _rolled_back(self, proposal: Proposal, by: str) -> Outcome:
        if self._guard.policy_set != proposal.seen["policy_set"]:
            raise Conflict("another set of policies is in force than when this was proposed")
        return self._reloader.rollback(proposal.about["policy_set"], by=by, reason=proposal.reason)


def _allowed(user: Principal) -> None:
    if not user.may(Right.MANAGE):
        raise PermissionDeniedException(f"the role {user.role} may not {Right.MANAGE} here")


def _person(user: Principal) -> None:
    # Whoever made a key could confirm by it what they proposed themselves.
    if user.machine:
        raise PermissionDeniedException("this takes two people, and an API key is none")


def _apart(confirming: frozenset[str], proposing: frozenset[str]) -> None:
    # Nor is it known who holds a key that set a password.
    keys = {each for each in confirming | proposing if "/" in each}
    for each in sorted(confirming & proposing | keys):
        raise PermissionDeniedException(
            f"{each} has set the password of one of the two and may be both: "
            "let another admin, or the command line, set a new one"
        )


def _no_such() -> NotFoundException:
    return NotFoundException(
        "no such proposal waits: it was confirmed or withdrawn, or has run out"
    )


def _told(proposal: Proposal) -> dict[str, object]:
    return {
        "proposal": proposal.id,
        "action": proposal.action,
        "about": proposal.about,
        "proposed_by": proposal.by,
        "reason": proposal.reason,
    }
