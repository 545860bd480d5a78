"""Roles and what each may do. A route says which right it needs; a person or a machine has one role."""

from dataclasses import dataclass
from typing import Any

from litestar.connection import ASGIConnection
from litestar.exceptions import PermissionDeniedException
from litestar.handlers.base import BaseRouteHandler
from litestar.types import Guard

from ringfence.service.access.csrf import LoggedIn, check_form
from ringfence.service.access.roles import Right, Role
from ringfence.service.settings.access import AccessSettings

__all__ = [
    "RIGHTS_OF",
    "PasswordDue",
    "Principal",
    "Right",
    "Role",
    "check_account",
    "may_tell_prices",
    "needs",
]

RIGHTS_OF: dict[Role, frozenset[Right]] = {
    Role.VIEWER: frozenset({Right.LOOK}),
    Role.TRADER: frozenset({Right.LOOK, Right.TRADE}),
    # Whoever sets limits aside does not trade: the two are kept apart on purpose.
    Role.RISK_OFFICER: frozenset({Right.LOOK, Right.TELL_PRICES, Right.MANAGE}),
    Role.ADMIN: frozenset(Right),
    # A feed that is broken into moves prices, and sees and sends nothing.
    Role.MARKET_DATA: frozenset({Right.TELL_PRICES}),
}


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody who has proven who they are.

    Attributes:
        name: As it stands in the audit log.
        role: What they may do.
        accounts: Those a trader trades for, each by its name; of no meaning for other roles.
        machine: Whether it came with an API key.
    """

    name: str
    role: Role
    accounts: frozenset[str] = frozenset()
    machine: bool = False

    def may(self, right: Right) -> bool:
        """Whether the role has the right."""
        return right in RIGHTS_OF[self.role]


class PasswordDue(PermissionDeniedException):
    """403: somebody else set their password, and nothing is open to them before they have changed it."""


def needs(right: Right, *, with_first_password: bool = False) -> Guard:
    """A route's guard: 403 for whoever lacks the right, and for forms that are not of the session's own pages.

    Args:
        with_first_password: Whether it is open to those, too, who have yet to change a password that somebody else set.
    """

    # A coroutine: anything else would go through a thread.
    async def check(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
        user: Principal = connection.user
        if not _has(connection, user, right):
            raise PermissionDeniedException(f"the role {user.role} may not {right} here")
        found = connection.scope.get("auth")
        if isinstance(found, LoggedIn) and found.must_change and not with_first_password:
            raise PasswordDue("change your password first: somebody else has set it")
        await check_form(connection)

    check.right = right  # type: ignore[attr-defined]  # the table of routes and roles reads it
    return check


def may_tell_prices(user: Principal, about: AccessSettings) -> bool:
    """Whether somebody may tell market data: a trader, who could move limits by it, where the settings say so."""
    if user.role is Role.TRADER:
        return about.traders_tell_prices
    return user.may(Right.TELL_PRICES)


def check_account(user: Principal, account: str) -> None:
    """Let a trader touch its own accounts alone.

    Raises:
        PermissionDeniedException: the account is another's.
    """
    if user.role is Role.TRADER and account not in user.accounts:
        raise PermissionDeniedException(f"{user.name} does not trade for the account `{account}`")


def _has(connection: ASGIConnection[Any, Any, Any, Any], user: Principal, right: Right) -> bool:
    if right is Right.TELL_PRICES:
        return may_tell_prices(user, connection.app.state.desk.settings.access)
    return user.may(right)
