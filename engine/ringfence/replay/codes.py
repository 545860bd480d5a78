"""Names and words as small integers: what the replay's columns hold instead of text.

Sides, order types and kinds of balance have fixed codes. Accounts, strategies, venues and symbols get
theirs in a `NameTable` that grows while rows stream past: the code of a name is its place in order of
first appearance, whatever the size of the batches.
"""

from collections.abc import Iterable, Iterator, Mapping

__all__ = [
    "BALANCE_KINDS",
    "BALANCE_WORDS",
    "BUY",
    "ORDER_TYPES",
    "SELL",
    "SIDE_WORDS",
    "TYPE_WORDS",
    "UNKNOWN",
    "NameTable",
    "word_key",
]

BUY = 1
SELL = -1
#: The code of a word that means nothing to us.
UNKNOWN = -128

#: What a source may write for a side, after `word_key`.
SIDE_WORDS: Mapping[str, int] = {
    "buy": BUY,
    "b": BUY,
    "bid": BUY,
    "1": BUY,
    "+1": BUY,
    "sell": SELL,
    "s": SELL,
    "ask": SELL,
    "-1": SELL,
}

#: Order types by code; the language knows the same four.
ORDER_TYPES = ("limit", "market", "stop", "stop_limit")

#: What a source may write for a type, after `word_key`. A take-profit and a trailing stop wait for a
#: trigger as a stop does, and are held at the trigger price like one.
TYPE_WORDS: Mapping[str, int] = {
    "limit": 0,
    "limit_maker": 0,
    "post_only": 0,
    "market": 1,
    "liquidation_market": 1,
    "stop": 2,
    "stop_market": 2,
    "stop_loss": 2,
    "take_profit": 2,
    "take_profit_market": 2,
    "touched_market": 2,
    "trailing_stop": 2,
    "trailing_stop_market": 2,
    "stop_limit": 3,
    "stop_loss_limit": 3,
    "take_profit_limit": 3,
    "trailing_stop_limit": 3,
}

#: Kinds of balance rows by code: money a book starts with, money that comes, money that goes.
BALANCE_KINDS = ("opening", "deposit", "withdrawal")
BALANCE_WORDS: Mapping[str, int] = {word: code for code, word in enumerate(BALANCE_KINDS)}


def word_key(text: str) -> str:
    """Return `text` as the tables of words spell it: trimmed, lower case, `_` between words."""
    return text.strip(" ").lower().replace("-", "_").replace(" ", "_")


class NameTable:
    """Names in order of first appearance; a name's place is its code.

    Several streams may share one table, so that a symbol has one code in orders and marks.
    """

    __slots__ = ("_codes", "names")

    def __init__(self, names: Iterable[str] = ()) -> None:
        self.names: list[str] = []
        self._codes: dict[str, int] = {}
        for name in names:
            self.add(name)

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __getitem__(self, code: int) -> str:
        return self.names[code]

    def __repr__(self) -> str:
        return f"NameTable({len(self.names)} names)"

    def code(self, name: str) -> int | None:
        """Return the code of `name`, or None where it has none yet."""
        return self._codes.get(name)

    def add(self, name: str) -> int:
        """Return the code of `name`, giving it the next one where it has none."""
        code = self._codes.get(name)
        if code is None:
            code = self._codes[name] = len(self.names)
            self.names.append(name)
        return code
