"""The page of policies: what is in force, what was, what failed, what runs in the shadow, and going back."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from litestar import Request, Response, get, post
from litestar.enums import RequestEncodingType
from litestar.exceptions import HTTPException, NotFoundException, PermissionDeniedException
from litestar.params import Body, FromQuery
from litestar.response import Redirect, ServerSentEvent

from ringfence.errors import InputError, StateError
from ringfence.reload.outcome import Health, Outcome
from ringfence.runtime.policy_store import StoredSet
from ringfence.service.access.authentication import still_in
from ringfence.service.access.four_eyes import Proposal
from ringfence.service.access.reasons import checked_reason
from ringfence.service.access.rights import Principal, Right, Role, needs
from ringfence.service.dashboard.live import WATCHES, Told, repeated, stream
from ringfence.service.dashboard.policy_diff import Diff, diff_of
from ringfence.service.dashboard.proposals import back_to, proposal_forms
from ringfence.service.dashboard.rendering import frame_of, page, part
from ringfence.service.desk import Desk
from ringfence.service.policy_sets import ACTIVE, find_set, stores
from ringfence.service.shadows import set_shadow

__all__ = ["ROUTES", "stored_sets"]

_PATH = "/policies"
_EVERY_S = 2.0
_CHANGES = ("reload", "rollback", "unpin", "shadow", "unshadow")
_MOST_OUTCOMES, _MOST_SETS = 30, 50
_PARTS = ("standing", "failure", "shadow", "proposals", "sets", "history")
_DONE = {
    "reload": "The source was looked at.",
    "rollback": "The set is in force, and stays until the source holds something else.",
    "unpin": "The source is followed again.",
    "shadow": "The set runs in the shadow.",
    "unshadow": "No set runs in the shadow any more.",
    "proposed": "It is proposed. A second person has to confirm it.",
    "confirmed": "It is confirmed and done.",
    "withdrawn": "The proposal is withdrawn.",
}

Form = Annotated[dict[str, str], Body(media_type=RequestEncodingType.URL_ENCODED)]
Asking = Request[Principal, Any, Any]


@dataclass(frozen=True, slots=True)
class View:
    """What the page shows.

    Attributes:
        health: How the reloader is.
        loaded: The set in force in the store, where it is known there.
        failure: What came of the look that failed last; None where none fails.
        shadow: SHA-256 of the set in the shadow; empty where none runs.
        differences: How often the shadow decided otherwise, the most frequent first.
        compared: How many decisions it was asked about.
        proposals: Rollbacks that wait for a second person.
        sets: What can be gone back to, the newest first; nothing for who may not see it.
        outcomes: What happened, the newest first.
    """

    now_ns: int
    policy_set: str
    health: Health
    loaded: StoredSet | None
    failure: Mapping[str, Any] | None
    shadow: str
    differences: tuple[tuple[str, int], ...]
    compared: int
    proposals: tuple[Proposal, ...]
    sets: tuple[StoredSet, ...]
    outcomes: tuple[Mapping[str, Any], ...]


@get(_PATH, guards=[needs(Right.LOOK)], sync_to_thread=True)
def policies(request: Asking, done: FromQuery[str] = "") -> Response[str]:
    """The page."""
    return page(
        request,
        "policies.html",
        view=_view(_desk_of(request), request.user),
        done=_DONE.get(done, ""),
        sees_sets=_sees_sets(request.user),
    )


@get("/live/policies", guards=[needs(Right.LOOK)], opt=WATCHES, sync_to_thread=False)
def live_policies(request: Asking) -> ServerSentEvent:
    """What changes on it."""
    desk, user = _desk_of(request), request.user

    def told() -> Iterator[Told]:
        view, frame = _view(desk, user), frame_of(request)
        found = {
            f"policies-{name}": part(f"policies_{name}.html", view=view, frame=frame)
            for name in _PARTS
        }
        yield "parts", {**found, "top-state": part("top_state.html", frame=frame)}

    return stream(repeated(desk, told, every_s=_EVERY_S, holds=still_in(request)))


@get(f"{_PATH}/diff", guards=[needs(Right.LOOK)], sync_to_thread=True)
def policy_diff(
    request: Asking, base: FromQuery[str] = "", head: FromQuery[str] = ACTIVE
) -> Response[str]:
    """What differs between two sets: at once what moved, and in which direction once that is proved."""
    desk = _desk_of(request)
    sets = _view(desk, request.user).sets
    if not base:
        others = [each.sha256 for each in sets if each.sha256 != desk.guard.policy_set]
        base = others[0] if others else ACTIVE
    found = _diff(request, base, head)
    return page(request, "policy_diff.html", diff=found, sets=sets, active=desk.guard.policy_set)


@get(f"{_PATH}/diff/part", guards=[needs(Right.LOOK)], sync_to_thread=True)
def policy_diff_part(request: Asking, base: FromQuery[str], head: FromQuery[str]) -> Response[str]:
    """The same, without the page around it."""
    diff, frame = _diff(request, base, head), frame_of(request)
    text = part("policy_diff_part.html", diff=diff, waits=True, frame=frame)
    return Response(text, media_type="text/html", headers={"cache-control": "no-store"})


@get(f"{_PATH}/change", guards=[needs(Right.MANAGE)], sync_to_thread=True)
def ask_policies(
    request: Asking, what: FromQuery[str] = "", policy_set: FromQuery[str] = ""
) -> Response[str]:
    """Says what would happen, and asks why."""
    return _asked(request, what, policy_set)


@post(f"{_PATH}/change", guards=[needs(Right.MANAGE)], sync_to_thread=True)
def change_policies(request: Asking, data: Form) -> Response[Any]:
    """Does it, or proposes it where that takes two people."""
    desk, what, reason = _desk_of(request), data.get("what", ""), data.get("reason", "")
    wanted = data.get("policy_set", "")
    outcome: Outcome | Proposal
    try:
        reason = checked_reason(reason)
        if what == "rollback":
            if data.get("seen") != desk.guard.policy_set:
                raise InputError(
                    "another set came into force while you were deciding",
                    "see below what differs now, and decide again",
                )
            outcome = desk.access.four_eyes.rollback(request.user, wanted, reason)
        elif what in ("reload", "unpin"):
            outcome = getattr(desk.reloader, what)(by=request.user.name, reason=reason)
        elif what in ("shadow", "unshadow"):
            chosen = wanted if what == "shadow" else None
            told = set_shadow(desk, request.user.name, chosen, reason)
            if not told["ok"]:
                raise InputError(told["message"], told["fix"])
            return _back(what)
        else:
            raise NotFoundException("there is nothing of that name to be done")
    except InputError as error:
        return _asked(request, what, wanted, reason=reason, fault=error.message, fix=error.fix)
    if isinstance(outcome, Proposal):
        return _back("proposed")
    if not outcome.ok:
        return _asked(request, what, wanted, reason=reason, fault=outcome.message, fix=outcome.fix)
    return _back(what)


ROUTES = (
    policies,
    live_policies,
    policy_diff,
    policy_diff_part,
    ask_policies,
    change_policies,
    *proposal_forms(_PATH),
)


def _asked(
    request: Asking, what: str, wanted: str, *, reason: str = "", fault: str = "", fix: str = ""
) -> Response[str]:
    """The page that asks whether, and why."""
    desk = _desk_of(request)
    if what not in _CHANGES:
        raise NotFoundException("there is nothing of that name to be done")
    diff = None
    if what in ("rollback", "shadow"):
        diff = _diff(request, ACTIVE, wanted)
        wanted = diff.head
    return page(
        request,
        "policy_change.html",
        status=409 if fault else 200,
        what=what,
        diff=diff,
        wanted=wanted,
        active=desk.guard.policy_set,
        health=desk.reloader.health(),
        shadow=desk.guard.shadow_set,
        needs_two=what == "rollback" and desk.access.four_eyes.needs_two("rollback"),
        reason=reason,
        fault=fault,
        fix=fix,
    )


def _diff(request: Asking, base: str, head: str) -> Diff:
    if not _sees_sets(request.user):
        raise PermissionDeniedException("policy sets hold the limits of other accounts as well")
    desk = _desk_of(request)
    try:
        sides = find_set(desk, base), find_set(desk, head)
        return diff_of(desk, request.app.state.jobs, request.user.name, *sides)
    except InputError as error:
        raise NotFoundException(f"{error.message}: {error.fix}") from None
    except StateError as error:
        raise _Unreadable(error.message) from None


class _Unreadable(HTTPException):
    """409: the set is there and cannot be used."""

    status_code = 409


def _view(desk: Desk, user: Principal) -> View:
    guard, health, history = desk.guard, desk.reloader.health(), desk.reloader.history
    counts = guard.shadow_differences
    compared = counts.pop("decisions", 0)
    sets = stored_sets(desk) if _sees_sets(user) else []
    failures = [each for each in history if each["result"] == "failed"]
    return View(
        desk.clock.now_ns(),
        guard.policy_set,
        health,
        next((each for each in sets if each.sha256 == guard.policy_set), None),
        failures[-1] if failures and not health.ok else None,
        guard.shadow_set,
        tuple(sorted(counts.items(), key=lambda each: -each[1])),
        compared,
        tuple(each for each in desk.access.four_eyes.pending() if each.action == "rollback"),
        tuple(sets[:_MOST_SETS]),
        tuple(reversed(history[-_MOST_OUTCOMES:])),
    )


def stored_sets(desk: Desk) -> list[StoredSet]:
    """What can be gone back to, the newest first; nothing where the store cannot be read."""
    kept, _ = stores(desk)
    try:
        return kept.entries()
    except StateError:
        # The page says so, and goes on: what is in force is known without it.
        return []


def _sees_sets(user: Principal) -> bool:
    return user.role is not Role.TRADER


def _back(done: str) -> Redirect:
    return back_to(_PATH, done)


def _desk_of(request: Asking) -> Desk:
    desk: Desk = request.app.state.desk
    return desk
