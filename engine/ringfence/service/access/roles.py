"""The roles there are, and what a route can ask for."""

from enum import StrEnum

__all__ = ["Right", "Role"]


class Right(StrEnum):
    """What a route asks for."""

    LOOK = "look"
    """See books, limits, decisions, policies."""
    TRADE = "trade"
    """Have orders decided and sent, tell what became of them."""
    TELL_PRICES = "tell prices"
    """Tell market data, which every book is valued by."""
    MANAGE = "manage"
    """Kill switches, reload, rollback, shadow sets, accepting differences."""
    ADMINISTER = "administer"
    """Users and API keys."""


class Role(StrEnum):
    """What somebody is; people from few rights to all, then what only machines are."""

    VIEWER = "viewer"
    TRADER = "trader"
    RISK_OFFICER = "risk-officer"
    ADMIN = "admin"
    MARKET_DATA = "market-data"
