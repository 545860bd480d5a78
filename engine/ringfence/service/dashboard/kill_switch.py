"""Kill switches: how each stands, setting one in two steps, and who did what."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite
from typing import Annotated, Any

from litestar import Request, Response, get, post
from litestar.enums import RequestEncodingType
from litestar.exceptions import HTTPException, NotFoundException
from litestar.params import Body, FromQuery
from litestar.response import Redirect, ServerSentEvent

from ringfence.errors import InputError
from ringfence.language.orders import KILL_STATES
from ringfence.service.access.authentication import still_in
from ringfence.service.access.four_eyes import Proposal
from ringfence.service.access.reasons import checked_reason
from ringfence.service.access.rights import Principal, Right, needs
from ringfence.service.dashboard.live import WATCHES, Told, repeated, stream
from ringfence.service.dashboard.proposals import back_to, proposal_forms
from ringfence.service.dashboard.rendering import frame_of, page, part
from ringfence.service.dashboard.sight import sees_account, sees_target
from ringfence.service.dashboard.switches import Stand, Turn, stand_of, stands, turns
from ringfence.service.desk import Desk

__all__ = ["ROUTES"]

_PATH = "/kill-switch"
_EVERY_S = 1.0
_MOST_TURNS = 50
_SHOWN_OF_KIND = 40

Form = Annotated[dict[str, str], Body(media_type=RequestEncodingType.URL_ENCODED)]
Asking = Request[Principal, Any, Any]


@dataclass(frozen=True, slots=True)
class View:
    """What the page shows.

    Attributes:
        firm: The firm's switch.
        groups: Name and switches of each kind of target, those that are not active first.
        left_out: By kind, how many active ones are not shown.
        unreconciled: Accounts that wait for a reconciliation.
        proposals: What waits for a second person.
        turns: Who did what, the newest first.
    """

    firm: Stand
    groups: tuple[tuple[str, tuple[Stand, ...]], ...]
    left_out: dict[str, int]
    unreconciled: tuple[str, ...]
    proposals: tuple[Proposal, ...]
    turns: tuple[Turn, ...]


@get(_PATH, guards=[needs(Right.LOOK)], sync_to_thread=True)
def kill_switch(request: Asking, done: FromQuery[str] = "") -> Response[str]:
    """How each switch stands."""
    desk = _desk_of(request)
    done = done if done in _DONE else ""
    return page(
        request,
        "kill_switch.html",
        view=_view(desk, request.user),
        now_ns=desk.clock.now_ns(),
        targets=[each.target for each in stands(desk) if sees_target(request.user, each.target)],
        done=_DONE.get(done, ""),
    )


_DONE = {
    "set": "The kill switch is set.",
    "proposed": "It is proposed. A second person has to confirm it.",
    "confirmed": "It is confirmed and done.",
    "withdrawn": "The proposal is withdrawn.",
}


@get("/live/kill-switch", guards=[needs(Right.LOOK)], opt=WATCHES, sync_to_thread=False)
def live_kill_switch(request: Asking) -> ServerSentEvent:
    """What changes on the page."""
    desk, user = _desk_of(request), request.user

    def told() -> Iterator[Told]:
        view, frame, now_ns = _view(desk, user), frame_of(request), desk.clock.now_ns()
        names = ("firm", "switches", "proposals", "history")
        found = {
            name: part(f"kill_switch_{name}.html", view=view, frame=frame, now_ns=now_ns)
            for name in names
        }
        yield "parts", {**found, "top-state": part("top_state.html", frame=frame)}

    return stream(repeated(desk, told, every_s=_EVERY_S, holds=still_in(request)))


@get(f"{_PATH}/change", guards=[needs(Right.MANAGE)], sync_to_thread=True)
def ask_kill_switch(
    request: Asking, target: FromQuery[str] = "firm", to: FromQuery[str] = ""
) -> Response[str]:
    """Asks what a switch is to be set to, and why."""
    stand = _known(_desk_of(request), target)
    return page(
        request,
        "kill_switch_change.html",
        stand=stand,
        wanted=to,
        rearm=False,
        reason="",
        fault="",
        fix="",
    )


@post(f"{_PATH}/confirm", guards=[needs(Right.MANAGE)], status_code=200, sync_to_thread=True)
def confirm_kill_switch(request: Asking, data: Form) -> Response[str]:
    """Says what would happen, and asks again."""
    desk = _desk_of(request)
    stand = _known(desk, data.get("target", ""))
    state, reason = data.get("state", ""), data.get("reason", "")
    rearm, peak = data.get("rearm") == "yes" and stand.has_drawdown, None
    fault, fix = "", ""
    try:
        reason = checked_reason(reason)
    except InputError as error:
        fault, fix = error.message, error.fix
    if state not in KILL_STATES:
        fault, fix = "Choose what the switch is to be set to.", ""
    elif rearm and not fault:
        peak, fault = _peak(desk, stand, state)
    if fault:
        return page(
            request, "kill_switch_change.html", status=400, stand=stand, wanted=state,
            rearm=rearm, reason=reason, fault=fault, fix=fix,
        )  # fmt: skip
    looser = KILL_STATES.index(state) < KILL_STATES.index(stand.state)
    return page(
        request,
        "kill_switch_confirm.html",
        stand=stand,
        wanted=state,
        reason=reason,
        looser=looser,
        peak=peak,
        needs_two=(looser or peak is not None)
        and desk.access.four_eyes.needs_two("kill-switch-release"),
    )


@post(_PATH, guards=[needs(Right.MANAGE)], sync_to_thread=True)
def set_kill_switch(request: Asking, data: Form) -> Response[Any]:
    """Sets a switch, or proposes it where that takes two people."""
    desk = _desk_of(request)
    stand = _known(desk, data.get("target", ""))
    state, reason, rearm = data.get("state", ""), data.get("reason", ""), data.get("rearm") == "yes"
    fault, fix = "", ""
    if data.get("seen") != str(stand.at_ns):
        fault = "Somebody set this switch while you were deciding."
        fix = "See below how it stands now, and decide again."
    else:
        try:
            proposal = desk.access.four_eyes.set_kill_switch(
                request.user, stand.target, state, reason, rearm=rearm
            )
        except InputError as error:
            fault, fix = error.message, error.fix
        except HTTPException as error:
            if error.status_code != 409:
                raise
            fault, fix = "Somebody set this switch at the same moment.", "Decide again."
        else:
            return _back("proposed" if proposal is not None else "set")
    return page(
        request, "kill_switch_change.html", status=409, stand=_known(desk, stand.target),
        wanted=state, rearm=rearm, reason=reason, fault=fault, fix=fix,
    )  # fmt: skip


def _peak(desk: Desk, stand: Stand, state: str) -> tuple[dict[str, str] | None, str]:
    """From which equity a book's drawdown counted, and from which it would; or why it cannot."""
    if state == KILL_STATES[-1]:
        return None, "A switch that stays halted leaves the drawdown as it is."
    book = desk.guard.book(stand.target) if stand.target in desk.guard.books else None
    if book is None or not isfinite(book.equity):
        return None, "Its equity is unknown, so no drawdown can count from it."
    return {"before": f"{book.peak_equity:,.2f}", "now": f"{book.equity:,.2f}"}, ""


ROUTES = (
    kill_switch,
    live_kill_switch,
    ask_kill_switch,
    confirm_kill_switch,
    set_kill_switch,
    *proposal_forms(_PATH),
)


def _back(done: str) -> Redirect:
    return back_to(_PATH, done)


def _known(desk: Desk, target: str) -> Stand:
    found = stand_of(desk, target)
    if found is None:
        raise NotFoundException(f"`{target}` is nothing that can be switched")
    return found


def _view(desk: Desk, user: Principal) -> View:
    seen = [each for each in stands(desk) if sees_target(user, each.target)]
    kinds = dict.fromkeys(each.kind for each in seen if each.kind)
    groups, left_out = [], {}
    for kind in kinds:
        # Those that hold something back come first, and are never left out.
        of_kind = sorted(
            (each for each in seen if each.kind == kind), key=lambda each: each.state == "active"
        )
        least = max(_SHOWN_OF_KIND, sum(each.state != "active" for each in of_kind))
        groups.append((kind, tuple(of_kind[:least])))
        left_out[kind] = max(0, len(of_kind) - least)
    return View(
        seen[0],
        tuple(groups),
        left_out,
        tuple(sorted(each for each in desk.guard.unreconciled if sees_account(user, each))),
        desk.access.four_eyes.pending(),
        tuple(turns(desk, _MOST_TURNS, lambda target: sees_target(user, target))),
    )


def _desk_of(request: Asking) -> Desk:
    desk: Desk = request.app.state.desk
    return desk
