"""Gateways ready to use. No other part of the package can make one that reaches an exchange."""

from collections.abc import Callable, Mapping

from ringfence.adapters.exchange_kraken import KrakenClient, KrakenExchange
from ringfence.adapters.exchange_paper import PaperExchange, PaperSettings
from ringfence.gateway.gateway import Gateway, HoldsBack, RefusalLog
from ringfence.language.instruments import Instrument
from ringfence.language.orders import Market
from ringfence.runtime.approvals import Signer
from ringfence.runtime.credentials import (
    API_SECRET_KEY,
    KRAKEN_API_KEY,
    KRAKEN_SECRET,
    Credentials,
)
from ringfence.runtime.ports import SYSTEM_CLOCK, Clock
from ringfence.runtime.used_approvals import UsedApprovals

__all__ = ["PaperSettings", "connect_kraken", "connect_paper", "renew_signer", "signer_of"]


def signer_of(credentials: Credentials) -> Signer:
    """The signer that guard and gateway share.

    Raises:
        InputError: `API_SECRET_KEY`, or a key before it, is missing or too short.
    """
    return Signer(*_keys(credentials))


def renew_signer(signer: Signer, credentials: Credentials) -> None:
    """Have a signer use the keys of newly read credentials, while orders go on.

    Raises:
        InputError: as `signer_of`; the signer then keeps its keys.
    """
    signer.renew(*_keys(credentials))


def _keys(credentials: Credentials) -> tuple[bytes, list[bytes]]:
    key, *previous = (
        each.reveal().encode("utf-8", "surrogatepass")
        for each in credentials.all_of(API_SECRET_KEY)
    )
    return key, previous


def connect_paper(
    credentials: Credentials,
    used: UsedApprovals,
    audit: RefusalLog | None = None,
    *,
    instruments: Mapping[str, Instrument],
    accounts: frozenset[str],
    seed: int = 0,
    venue: str = "paper",
    settings: PaperSettings | None = None,
    signer: Signer | None = None,
    guard: HoldsBack | None = None,
    clock: Clock = SYSTEM_CLOCK,
) -> tuple[Gateway, Callable[[str, Market], None]]:
    """A gateway to a paper exchange, and the function that tells it a symbol's market data.

    Args:
        venue: What orders and approvals call it; another venue's approvals are refused.
        signer: The guard's, so that one `renew_signer` reaches both; made of the credentials where not given.
        guard: As `Gateway` takes it.
    """
    exchange = PaperExchange(instruments, accounts, seed, venue, settings or PaperSettings(), clock)
    gateway = Gateway(
        exchange, signer or signer_of(credentials), used, audit, guard=guard, clock=clock
    )
    return gateway, exchange.on_market


def connect_kraken(
    credentials: Credentials,
    account: str,
    used: UsedApprovals,
    audit: RefusalLog | None = None,
    *,
    url: str = "https://api.kraken.com",
    stream_url: str | None = "wss://ws-auth.kraken.com/v2",
    timeout_s: float = 10.0,
    pace_s: float = 1.0,
    signer: Signer | None = None,
    guard: HoldsBack | None = None,
    clock: Clock = SYSTEM_CLOCK,
) -> Gateway:
    """A gateway to Kraken's spot market, for the account that the API key belongs to.

    Args:
        account: What orders and policies call it.
        url, timeout_s, pace_s: As `KrakenClient` takes them.
        stream_url: Kraken's private websocket, which a `Follower` is told over; None to ask and never be told.
        signer, guard: As for `connect_paper`.

    Raises:
        InputError: a secret is missing.
        ExchangeError: Kraken cannot be reached.
    """
    client = KrakenClient(
        credentials.get(KRAKEN_API_KEY),
        credentials.get(KRAKEN_SECRET),
        url=url,
        timeout_s=timeout_s,
        pace_s=pace_s,
    )
    exchange = KrakenExchange(client, account, stream_url=stream_url, clock=clock)
    return Gateway(
        exchange, signer or signer_of(credentials), used, audit, guard=guard, clock=clock
    )
