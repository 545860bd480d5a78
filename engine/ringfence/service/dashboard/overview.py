"""The overview: how things stand, at one look."""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from litestar import Request, Response, get
from litestar.params import FromQuery
from litestar.response import ServerSentEvent

from ringfence.reload.outcome import Health
from ringfence.runtime.guard_core import WorkingOrder
from ringfence.runtime.kill_switches import Switch
from ringfence.service.access.authentication import still_in
from ringfence.service.access.rights import Principal, Right, Role, needs
from ringfence.service.dashboard.limits import Line, line_of
from ringfence.service.dashboard.live import WATCHES, Told, repeated, stream
from ringfence.service.dashboard.pulse import Pulse, Window
from ringfence.service.dashboard.rendering import frame_of, page, part
from ringfence.service.dashboard.sight import sees_account, sees_target
from ringfence.service.dashboard.standing import Part, parts_of
from ringfence.service.desk import Desk

__all__ = ["live_overview", "overview"]

_EVERY_S = 1.0
_MOST_ORDERS = 8
_MOST_GATES = 8
_RATE_S, _SHARE_S = 10.0, 600.0
_MOST_LIMITS = 6
_PARTS = ("standing", "figures", "rejections", "tightest", "health", "orders")


@dataclass(frozen=True, slots=True)
class View:
    """What the page shows.

    Attributes:
        firm: The firm's switch; None where it was never set.
        switched: Other switches that are not active.
        unreconciled: Accounts that wait for a reconciliation.
        policies: How the reloader is.
        loaded_ns: When the policy set came into force.
        now: Decisions of the last seconds.
        lately: Decisions of the last minutes.
        parts: How each part is.
        working: How many orders work, of those that are seen.
        orders: The newest of them.
        tightest: The limits that are closest.
    """

    now_ns: int
    firm_state: str
    firm: Switch | None
    switched: tuple[Switch, ...]
    unreconciled: tuple[str, ...]
    policies: Health
    loaded_ns: int
    now: Window
    lately: Window
    parts: tuple[Part, ...]
    working: int
    orders: tuple[WorkingOrder, ...]
    tightest: tuple[Line, ...]

    @property
    def rate(self) -> float:
        """Decisions a second."""
        return self.now.total / self.now.seconds if self.now.seconds > 0 else 0.0

    @property
    def most_rejected(self) -> tuple[tuple[tuple[str, str], int], ...]:
        """Gates and codes that rejected most."""
        return self.lately.rejected[:_MOST_GATES]


@get("/", guards=[needs(Right.LOOK)], sync_to_thread=True)
def overview(request: Request[Principal, Any, Any]) -> Response[str]:
    """The page."""
    desk, pulse = _desk_of(request), _pulse_of(request)
    at, rates = pulse.rates()
    return page(request, "overview.html", view=_view(desk, pulse, request.user), at=at, rates=rates)


@get("/live/overview", guards=[needs(Right.LOOK)], opt=WATCHES, sync_to_thread=False)
def live_overview(
    request: Request[Principal, Any, Any], since: FromQuery[float] = 0.0
) -> ServerSentEvent:
    """What changes on it; rates of the seconds after `since`, which the page has."""
    desk, pulse, user = _desk_of(request), _pulse_of(request), request.user
    known = since

    def told() -> Iterator[Told]:
        nonlocal known
        view = _view(desk, pulse, user)
        frame = frame_of(request)
        found = {name: part(f"overview_{name}.html", view=view, frame=frame) for name in _PARTS}
        found["top-state"] = part("top_state.html", frame=frame)
        yield "parts", found
        at, rates = pulse.rates()
        first = bisect_right(at, known)
        if at[first:]:
            known = at[-1]
            fresh = {name: values[first:] for name, values in rates.items()}
            yield "points", {"at": at[first:], "rates": fresh, "since": known}

    return stream(repeated(desk, told, every_s=_EVERY_S, holds=still_in(request)))


def _view(desk: Desk, pulse: Pulse, user: Principal) -> View:
    guard = desk.guard
    switches = guard.kill_switches
    orders = _working(desk, user)
    seen = user.accounts if user.role is Role.TRADER else None
    # Switches stand above, and are not close to anything.
    limits = desk.limits.now(seen=seen, each_order=False, switches=False, most=_MOST_LIMITS)
    return View(
        desk.clock.now_ns(),
        guard.kill_switch("firm"),
        next((each for each in switches if each.target == "firm"), None),
        tuple(
            each
            for each in switches
            if each.target != "firm" and each.state != "active" and sees_target(user, each.target)
        ),
        tuple(sorted(each for each in guard.unreconciled if sees_account(user, each))),
        desk.reloader.health(),
        pulse.loaded_ns,
        pulse.window(_RATE_S),
        pulse.window(_SHARE_S),
        parts_of(desk),
        len(orders),
        tuple(reversed(orders[-_MOST_ORDERS:])),
        tuple(line_of(each, limits.currency, limits.at_ns) for each in limits.limits),
    )


def _working(desk: Desk, user: Principal) -> list[WorkingOrder]:
    if user.role is not Role.TRADER:
        return list(desk.guard.working_orders())
    accounts = sorted(user.accounts)
    return [each for name in accounts for each in desk.guard.working_orders(account=name)]


def _desk_of(request: Request[Principal, Any, Any]) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


def _pulse_of(request: Request[Principal, Any, Any]) -> Pulse:
    pulse: Pulse = request.app.state.pulse
    return pulse
