"""One copy of each text that very many entries hold: names of accounts, symbols, policy sets."""

__all__ = ["SharedNames"]

_MOST = 10_000


class SharedNames(dict[str, str]):
    """`names[text]` is the copy of a text that was seen first.

    Each order brings its names anew, from JSON or a request; what is kept of a hundred thousand orders would hold
    as many copies. Past `_MOST` texts it begins anew: then a text has two copies for a while.
    """

    def __missing__(self, text: str) -> str:
        if len(self) >= _MOST:
            self.clear()
        self[text] = text
        return text
