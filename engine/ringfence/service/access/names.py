"""Names of people, machines and accounts, as they may stand in the audit log.

Plain letters only, so that no two names look alike; no comma and no colon, so that none reads as `ann, confirmed by bob`
or `rule:drawdown`; no slash but in the names of API keys (`key/NAME`), so that a key is never taken for a person.
"""

import re
from collections.abc import Iterable

from ringfence.errors import InputError
from ringfence.service.access.roles import Role

__all__ = ["checked_accounts", "checked_holder", "checked_name", "is_subject"]

_NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")
# Issuers name people in ways of their own, as `auth0|5f7c8ec7c33c6c004bbafe82`.
_SUBJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@|+= -]{0,127}")
_ACCOUNT = re.compile(r"[^\x00-\x20\x7f*?\[\]{}!,]{1,128}")


def checked_name(name: str) -> str:
    """The name of a user or a key.

    Raises:
        InputError: it is none.
    """
    if not _NAME.fullmatch(name):
        raise InputError(
            "this is no name", "use lower-case letters, digits, `.`, `_`, `@` and `-`, at most 64"
        )
    return name


def is_subject(name: object) -> bool:
    """Whether a token may be for somebody of that name."""
    return isinstance(name, str) and _SUBJECT.fullmatch(name) is not None


def checked_holder(role: Role, accounts: Iterable[str]) -> list[str]:
    """The accounts that somebody of a role is given, sorted: a trader has one or more, all others none.

    Raises:
        InputError: it is otherwise, or one is no name.
    """
    found = checked_accounts(accounts)
    if found and role is not Role.TRADER:
        raise InputError(
            f"accounts mean nothing for the role {role}", "name accounts for a trader alone"
        )
    if role is Role.TRADER and not found:
        raise InputError(
            "a trader without accounts could trade for nobody",
            "name each account that they trade for, or give the role viewer",
        )
    return found


def checked_accounts(accounts: Iterable[str]) -> list[str]:
    """Accounts by their names, sorted. There are no patterns here: `*` would be every account.

    Raises:
        InputError: one is no name.
    """
    found = sorted(set(accounts))
    for each in found:
        if not _ACCOUNT.fullmatch(each):
            raise InputError(
                "this is no name of an account", "name each account in full, without `*`"
            )
    return found
