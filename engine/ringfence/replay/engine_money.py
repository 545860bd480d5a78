"""The money of a replay: which books know theirs, and the rows of balances as the kernel takes them."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from ringfence.replay.batches import BalanceBatch, Codes, Flags, Floats, Int8s, Times
from ringfence.replay.streams import BalanceStream

__all__ = ["Money", "MoneyBatch"]

#: Before every other time: an opening balance without a time holds from the start.
_START = -(2**63) + 1
_FIRM = "firm"
_OPENING = 0


@dataclass(frozen=True, slots=True)
class MoneyBatch:
    """Rows of money in time order, shape (n,) each.

    Attributes:
        ts: Nanoseconds since 1970, UTC.
        book: Number of the kernel's book.
        kind: Place in `codes.BALANCE_KINDS`.
        amount: In the policy set's currency.
        firm: 1 where the firm's book moves along.
    """

    ts: Times
    book: Codes
    kind: Int8s
    amount: Floats
    firm: Flags


@dataclass(slots=True)
class Money:
    """What the balances say, looked through once beforehand.

    Attributes:
        stream: The balances; None where none were given.
        equity: What an account opens with where no balance says so; None where that is unknown.
        opened: Books that some row opens: `firm`, `account/NAME`, `strategy/NAME`.
        named: All books that rows name, by their codes in the stream.
    """

    stream: BalanceStream | None
    equity: float | None
    opened: frozenset[str] = frozenset()
    named: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.stream is None:
            return
        codes: set[int] = set()
        for batch in self.stream:
            codes.update(np.unique(batch.book[batch.kind == _OPENING]).tolist())
        self.named = list(self.stream.books)
        self.opened = frozenset(self.named[code] for code in codes)

    @property
    def names_firm(self) -> bool:
        """Whether the firm's book has money of its own."""
        return _FIRM in self.named

    def accounts_without_orders(self, accounts: list[str]) -> list[str]:
        """Accounts that have money, but send no order."""
        names = [name for name in self.named if name in self.opened]
        found = [name.removeprefix("account/") for name in names if name.startswith("account/")]
        return [name for name in found if name not in accounts]

    def unopened(self, level: str, names: list[str]) -> list[str]:
        """The names whose book no row opens."""
        return [name for name in names if f"{level}/{name}" not in self.opened]

    def batches(
        self, books: dict[str, int], accounts: list[str], *, with_firm: bool
    ) -> Iterator[MoneyBatch]:
        """All rows in time order; those of books that nothing measures are left out.

        Args:
            books: The kernel's number of each book, by its name.
            accounts: Accounts that send orders.
            with_firm: Whether the firm's book opens and moves with the accounts' money.
        """
        if self.equity is not None:
            assumed = [books[f"account/{name}"] for name in self.unopened("account", accounts)]
            if assumed:
                count = len(assumed)
                yield MoneyBatch(
                    ts=np.full(count, _START, np.int64),
                    book=np.array(assumed, np.int32),
                    kind=np.full(count, _OPENING, np.int8),
                    amount=np.full(count, self.equity),
                    firm=np.full(count, with_firm, np.uint8),
                )
        if self.stream is None:
            return
        places = np.array([books.get(name, -1) for name in self.named], np.int32)
        is_account = np.array([name.startswith("account/") for name in self.named], np.bool_)
        for batch in self.stream:
            yield _placed(batch, places, is_account & with_firm)


def _placed(
    batch: BalanceBatch, places: Codes, moves_firm: np.ndarray[tuple[int], np.dtype[np.bool_]]
) -> MoneyBatch:
    book = places[batch.book]
    keep = book >= 0
    ts = np.where((batch.ts == 0) & (batch.kind == _OPENING), _START, batch.ts)
    return MoneyBatch(
        ts=ts[keep],
        book=book[keep],
        kind=batch.kind[keep],
        amount=batch.amount[keep],
        firm=moves_firm[batch.book][keep].astype(np.uint8),
    )
