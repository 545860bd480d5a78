"""Which decisions are searched: what stands in the address of the page."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ringfence.errors import InputError
from ringfence.service.archive import Filter

__all__ = ["Wanted", "read_wanted"]

_NAMES = ("account", "symbol", "strategy", "decision", "code", "order", "request")
_TIMES = ("from", "until")
_LONGEST = 200


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is searched.

    Attributes:
        given: What was given and is not empty, as it was.
        from_ns, until_ns: Times in ns since 1970, UTC.
    """

    given: Mapping[str, str] = field(default_factory=dict)
    from_ns: int | None = None
    until_ns: int | None = None

    def value(self, name: str) -> str:
        """What was given under a name; empty where nothing was."""
        return self.given.get(name, "")

    def filter(self, accounts: frozenset[str] | None) -> Filter:
        """The same for the archive.

        Args:
            accounts: Those that may be seen; None for all.
        """
        account, symbol, strategy, decision, code, order, request = (
            self.given.get(name) for name in _NAMES
        )
        return Filter(
            accounts=accounts,
            account=account,
            symbol=symbol,
            strategy=strategy,
            decision=decision,
            code=code,
            client_order_id=order,
            request_id=request,
            from_ns=self.from_ns,
            until_ns=self.until_ns,
        )


def read_wanted(given: Mapping[str, str]) -> Wanted:
    """Read it from an address.

    Raises:
        InputError: a time is none, or something is far too long.
    """
    known = {
        name: text for name in (*_NAMES, *_TIMES) if (text := str(given.get(name, "")).strip())
    }
    if any(len(text) > _LONGEST for text in known.values()):
        raise InputError(f"nothing that is searched has more than {_LONGEST} letters", "shorten it")
    return Wanted(known, _moment(known, "from"), _moment(known, "until"))


def _moment(known: Mapping[str, str], name: str) -> int | None:
    text = known.get(name)
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(f"`{text}` is no time", "write it as 2026-01-31T08:00, in UTC") from None
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
    return int(at.timestamp()) * 1_000_000_000 + at.microsecond * 1_000
