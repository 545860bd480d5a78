"""First money: a book that has none rejects new risk."""

import math

from ringfence.errors import InputError, LedgerError
from ringfence.gateway import Gateway
from ringfence.runtime.guard import CentralRiskGuard
from ringfence.service.settings import ServiceSettings

__all__ = ["open_balances"]


def open_balances(
    settings: ServiceSettings, guard: CentralRiskGuard, gateways: dict[str, Gateway]
) -> tuple[str, ...]:
    """Give each book that has no money yet what the settings or its exchange say.

    Returns:
        Accounts that still have none: until somebody tells the guard, they take only orders that reduce risk.

    Raises:
        InputError: a book of the settings does not exist.
        ExchangeError: an exchange cannot be asked for balances.
    """
    for book, amount in settings.opening_balances.items():
        _open(guard, book, amount)
    for name, about in settings.open_venues.items():
        if about.kind == "kraken" and about.cash_currency:
            (account,) = about.accounts
            if _is_empty(guard, f"account/{account}"):
                balances = gateways[name].balances(account)
                _open(guard, f"account/{account}", str(balances.get(about.cash_currency, 0)))
    books = (each for each in guard.books if each.startswith("account/"))
    return tuple(each for each in books if _is_empty(guard, each))


def _open(guard: CentralRiskGuard, book: str, amount: str) -> None:
    if book not in guard.books:
        raise InputError(
            f"`opening_balances` names `{book}`, which is no book of the policies",
            f"name one of {', '.join(guard.books)}",
        )
    if not _is_empty(guard, book):
        return
    try:
        guard.on_balance(book, "opening", amount)
    except LedgerError:
        # Another guard of the same books was quicker.
        if _is_empty(guard, book):
            raise


def _is_empty(guard: CentralRiskGuard, book: str) -> bool:
    return math.isnan(guard.book(book).cash)
