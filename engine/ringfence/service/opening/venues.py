"""Exchanges: a gateway each, what follows its orders, and what cancels them when a switch is set."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from ringfence.gateway import (
    Cursor,
    FileCursor,
    Follower,
    FollowSettings,
    Gateway,
    MemoryCursor,
    PaperSettings,
    SwitchCancels,
    connect_kraken,
    connect_paper,
)
from ringfence.language.instruments import Instrument
from ringfence.language.orders import Market
from ringfence.runtime.approvals import Signer
from ringfence.runtime.audit_log import AuditLog
from ringfence.runtime.credentials import Credentials
from ringfence.runtime.guard import CentralRiskGuard
from ringfence.runtime.ports import Clock
from ringfence.runtime.used_approvals import UsedApprovals
from ringfence.service.opening.parts import opening
from ringfence.service.settings import VenueSettings

__all__ = ["Venues", "open_venue"]

TellPaper = Callable[[str, Market], None]
_QUOTE = ("bid", "ask", "last", "bid_depth", "ask_depth", "volume")


@dataclass(slots=True)
class Venues:
    """What is open, by venue where there is one of each."""

    gateways: dict[str, Gateway] = field(default_factory=dict)
    cancels: list[SwitchCancels] = field(default_factory=list)
    followers: list[Follower] = field(default_factory=list)
    tell_paper: dict[str, TellPaper] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Trade:
    """What every venue is opened with."""

    guard: CentralRiskGuard
    log: AuditLog
    credentials: Credentials
    signer: Signer
    clock: Clock
    used: UsedApprovals
    data: Path


class _Instruments(Mapping[str, Instrument]):
    """Those of the policy set in force, whichever that is."""

    def __init__(self, guard: CentralRiskGuard) -> None:
        self._guard = guard

    def __getitem__(self, symbol: str) -> Instrument:
        return self._guard.linked.desk.instruments[symbol]

    def __iter__(self) -> Iterator[str]:
        return iter(self._guard.linked.desk.instruments)

    def __len__(self) -> int:
        return len(self._guard.linked.desk.instruments)


def open_venue(
    name: str, about: VenueSettings, trade: Trade, venues: Venues, opened: ExitStack
) -> None:
    """Open an exchange; its threads run from here on, and `opened` ends them.

    Raises:
        InputError: it cannot be reached or used.
    """
    accounts = frozenset(about.accounts or trade.guard.linked.desk.accounts)
    with opening(f"the venue `{name}`", "see that the exchange answers, and that its key holds"):
        gateway = _gateway(name, about, accounts, trade, venues)
    venues.gateways[name] = gateway
    cancels = SwitchCancels(trade.guard, gateway, trade.log)
    trade.guard.listen(cancels.heard)
    venues.cancels.append(cancels)
    opened.enter_context(cancels)
    for account in sorted(accounts):
        follower = Follower(
            trade.guard,
            gateway,
            account,
            _cursor(name, account, about, trade.data),
            trade.log,
            settings=FollowSettings(poll_s=about.poll / 1e9),
            clock=trade.clock,
        )
        venues.followers.append(follower)
        follower.start()
        opened.callback(follower.stop)


def _cursor(venue: str, account: str, about: VenueSettings, data: Path) -> Cursor:
    # A paper exchange begins anew with its process, and so do the numbers of its fills.
    if about.kind == "paper":
        return MemoryCursor()
    folder = data / "cursors"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return FileCursor(folder / f"{venue}-{account}")


def _gateway(
    name: str,
    about: VenueSettings,
    accounts: frozenset[str],
    trade: Trade,
    venues: Venues,
) -> Gateway:
    if about.kind == "kraken":
        (account,) = accounts
        given: dict[str, Any] = {"url": about.url, "stream_url": about.stream_url}
        known = {key: value for key, value in given.items() if value is not None}
        if not about.stream:
            known["stream_url"] = None
        return connect_kraken(
            trade.credentials,
            account,
            trade.used,
            trade.log,
            timeout_s=about.timeout / 1e9,
            pace_s=about.pace / 1e9,
            signer=trade.signer,
            guard=trade.guard,
            clock=trade.clock,
            **known,
        )
    gateway, tell = connect_paper(
        trade.credentials,
        trade.used,
        trade.log,
        instruments=_Instruments(trade.guard),
        accounts=accounts,
        venue=name,
        settings=PaperSettings(
            maker_fee=about.maker_fee,
            taker_fee=about.taker_fee,
            owned=_owned(trade.guard, accounts),
        ),
        signer=trade.signer,
        guard=trade.guard,
        clock=trade.clock,
    )
    venues.tell_paper[name] = tell
    trade.guard.listen(_teller(tell))
    return gateway


def _owned(guard: CentralRiskGuard, accounts: frozenset[str]) -> dict[str, dict[str, Decimal]]:
    """What the books hold, so that a paper exchange goes on where its last process ended."""
    owned: dict[str, dict[str, Decimal]] = {}
    for account in accounts:
        held = owned.setdefault(account, {})
        for symbol, position in guard.book(f"account/{account}").positions.items():
            base = symbol.partition("/")[0]
            held[base] = held.get(base, Decimal(0)) + position.size
    return owned


def _teller(tell: TellPaper) -> Callable[[list[Any]], None]:
    """Tells a paper exchange the market data that the guard is told, by whomever."""

    def heard(event: list[Any]) -> None:
        data = event[2:] if event[0] == "mark" else event[3] if event[0] == "order" else None
        if data:
            symbol, _, *numbers = data
            known = zip(_QUOTE, numbers, strict=True)
            tell(symbol, Market(**{name: each for name, each in known if each is not None}))

    return heard
