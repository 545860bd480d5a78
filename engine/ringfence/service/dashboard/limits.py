"""The page of limits: each one that binds, how much of it is used, and where it is written."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import PurePath
from typing import Any
from urllib.parse import urlencode

from litestar import Request, Response, get
from litestar.params import FromQuery
from litestar.response import ServerSentEvent

from ringfence.language.fields import noun_of_count
from ringfence.language.orders import KILL_STATES
from ringfence.runtime.limit_rows import LimitNow, LimitsNow
from ringfence.service.access.authentication import still_in
from ringfence.service.access.rights import Principal, Right, Role, needs
from ringfence.service.dashboard.live import WATCHES, Told, repeated, stream
from ringfence.service.dashboard.rendering import page, part
from ringfence.service.dashboard.words import amount, number, utc
from ringfence.service.desk import Desk

__all__ = ["ROUTES"]

_MOST = 100
# A switch of the firm stands with every account and symbol; so many say it, and hide nothing else.
_MOST_SWITCHES = 10
_EVERY_S = 2.0
# Digits that a changing number is shown with; of a ratio those of its percentage, and two.
_PLACES = {"money": 2, "ratio": 4, "duration": 1}
_FIELD = re.compile(r"[a-z]+\.[a-z_]+")
# What is so or is not has no room left.
_NO_ROOM = ("state", "number")
_OUTCOMES = {
    "pass": ("ok", "Within"),
    "breach": ("bad", "Breached"),
    "unknown": ("warn", "Unknown"),
    "each-order": ("plain", "Each order"),
}


@dataclass(frozen=True, slots=True)
class Filters:
    """What is asked for; empty texts stand for all.

    Attributes:
        orders: Also limits of single orders alone.
    """

    account: str
    symbol: str
    gate: str
    orders: bool

    @property
    def query(self) -> str:
        """The same as the query of an address, with its question mark; empty where nothing is asked for."""
        asked = {
            name: value for name in ("account", "symbol", "gate") if (value := getattr(self, name))
        }
        if self.orders:
            asked["orders"] = "1"
        return f"?{urlencode(asked)}" if asked else ""


@dataclass(frozen=True, slots=True)
class Line:
    """A limit in words.

    Attributes:
        kind, word: How it stands: of a badge.
        large: Largest orders that pass, both ways; nothing where that says nothing.
        peak_at: When the peak was; without the day where it is the same as now.
        place: File and line, short; `whole_place` in full.
    """

    limit: LimitNow
    kind: str
    word: str
    measure: str
    bound: str
    left: str
    large: tuple[str, ...]
    peak_at: str
    place: str
    whole_place: str


@dataclass(frozen=True, slots=True)
class View:
    """What the page shows; `accounts`, `symbols` and `gates` are what can be chosen.

    Attributes:
        last_switch: Which line is the last of kill switches that are beyond; none where all of them are shown.
        switches_query: The query of an address with all of them.
    """

    filters: Filters
    now: LimitsNow
    lines: tuple[Line, ...]
    last_switch: int | None
    switches_query: str
    accounts: tuple[str, ...]
    symbols: tuple[str, ...]
    gates: tuple[str, ...]


@get("/limits", guards=[needs(Right.LOOK)], sync_to_thread=True)
def limits(
    request: Request[Principal, Any, Any],
    account: FromQuery[str] = "",
    symbol: FromQuery[str] = "",
    gate: FromQuery[str] = "",
    orders: FromQuery[bool] = False,
) -> Response[str]:
    """The page."""
    view = _view(_desk_of(request), request.user, Filters(account, symbol, gate, orders))
    return page(request, "limits.html", view=view)


@get("/live/limits", guards=[needs(Right.LOOK)], opt=WATCHES, sync_to_thread=False)
def live_limits(
    request: Request[Principal, Any, Any],
    account: FromQuery[str] = "",
    symbol: FromQuery[str] = "",
    gate: FromQuery[str] = "",
    orders: FromQuery[bool] = False,
) -> ServerSentEvent:
    """What changes on it."""
    desk, user, filters = _desk_of(request), request.user, Filters(account, symbol, gate, orders)

    def told() -> Iterator[Told]:
        view = _view(desk, user, filters)
        yield "parts", {
            "limits-count": part("limits_count.html", view=view),
            "limits-rows": part("limits_rows.html", view=view),
        }

    return stream(repeated(desk, told, every_s=_EVERY_S, holds=still_in(request)))


def line_of(limit: LimitNow, currency: str, now_ns: int) -> Line:
    """A limit in words."""
    kind, word = _OUTCOMES[limit.outcome]

    def said(value: float | None) -> str:
        return _said(value, limit, currency)

    if limit.headroom is None or limit.unit in _NO_ROOM:
        left = ""
    elif limit.headroom < 0:
        left = f"{_said(-limit.headroom, limit, currency)} {'beyond' if limit.compare == '<=' else 'short'}"
    else:
        left = said(limit.headroom)
    floor = "at least " if limit.compare == ">=" else ""
    path = PurePath(limit.file)
    return Line(
        limit,
        kind,
        word,
        "" if limit.outcome == "each-order" else said(limit.measure),
        f"{floor}{said(limit.limit)}" if limit.limit is not None else _unbounded(limit),
        left,
        _large(limit),
        _when(limit.peak_ns, now_ns),
        f"{'/'.join(path.parts[-2:])}:{limit.line}",
        f"{limit.file}:{limit.line}:{limit.column}",
    )


def _unbounded(limit: LimitNow) -> str:
    return "none" if limit.outcome == "each-order" else "unknown"


def _said(value: float | None, limit: LimitNow, currency: str) -> str:
    if value is None:
        return "unknown"
    if limit.unit == "state":
        return KILL_STATES[int(value)] if value in (0, 1, 2) else f"{value:g}"
    value = round(value, _PLACES.get(limit.unit, 9))
    if limit.unit == "count" and (
        noun := noun_of_count(tuple(_FIELD.findall(limit.measured)), value)
    ):
        return f"{amount(value, 'count')} {noun}"
    if limit.unit == "quantity" and limit.base:
        return f"{amount(value, 'number')} {limit.base}"
    return amount(value, limit.unit, currency)


def _when(ns: int | None, now_ns: int) -> str:
    if ns is None:
        return ""
    day, _, clock = utc(ns).partition(" ")
    return clock if utc(now_ns).startswith(day) else f"{day} {clock}"


def _large(limit: LimitNow) -> tuple[str, ...]:
    if limit.largest_buy is None and limit.largest_sell is None:
        return ()
    return tuple(
        f"{side} {'any size' if size is None else f'{number(Decimal(size))} {limit.base}'}"
        for side, size in (("buy", limit.largest_buy), ("sell", limit.largest_sell))
    )


def _view(desk: Desk, user: Principal, filters: Filters) -> View:
    seen = user.accounts if user.role is Role.TRADER else None
    now = desk.limits.now(
        account=filters.account,
        symbol=filters.symbol,
        gate=filters.gate,
        seen=seen,
        each_order=filters.orders,
        most_switches=None if filters.gate else _MOST_SWITCHES,
        most=_MOST,
        largest=True,
    )
    names = desk.limits.names()
    last = _last_switch(now)
    return View(
        filters,
        now,
        tuple(line_of(each, now.currency, now.at_ns) for each in now.limits),
        last,
        "" if last is None else replace(filters, gate=now.limits[last].gate).query,
        tuple(each for each in names.accounts if seen is None or each in seen),
        names.symbols,
        names.gates,
    )


def _last_switch(now: LimitsNow) -> int | None:
    if not now.switches_left:
        return None
    beyond = [
        at
        for at, each in enumerate(now.limits)
        if each.unit == "state" and each.outcome == "breach"
    ]
    return beyond[-1] if beyond else None


def _desk_of(request: Request[Principal, Any, Any]) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


ROUTES = (limits, live_limits)
