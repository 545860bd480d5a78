"""Near misses: which known name a mistyped one was probably meant to be."""

from collections.abc import Iterable

__all__ = ["closest", "did_you_mean", "one_of", "suggestion"]

# Comparing is quadratic in the length, and nobody mistypes a name this long.
_LONGEST_NAME = 80
_MOST_LISTED = 12


def closest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name most like `name`, or None where none is close.

    Case and the choice between `-`, `_` and a space count for nothing.
    """
    if not name or len(name) > _LONGEST_NAME:
        return None
    by_plain: dict[str, str] = {}
    for candidate in known:
        if len(candidate) <= _LONGEST_NAME:
            by_plain.setdefault(_plain(candidate), candidate)
    plain = _plain(name)
    if plain in by_plain:
        return by_plain[plain]
    # Imported here: most runs have no near miss to name.
    from difflib import get_close_matches

    matches = get_close_matches(plain, by_plain, n=1, cutoff=0.6)
    return by_plain[matches[0]] if matches else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `, did you mean ...?` to end a message with, or an empty text."""
    text = suggestion(name, known)
    return f", {text}" if text else ""


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return `did you mean ...?` as a line of its own, such as a fix, or an empty text."""
    match = closest(name, known)
    return f"did you mean `{match}`?" if match is not None else ""


def one_of(names: Iterable[str]) -> str:
    """Return names as text for a message: sorted, in backticks, cut after a dozen."""
    ordered = sorted(names)
    shown = ", ".join(f"`{name}`" for name in ordered[:_MOST_LISTED])
    hidden = len(ordered) - _MOST_LISTED
    return f"{shown} and {hidden} more" if hidden > 0 else shown


def _plain(name: str) -> str:
    return name.casefold().replace("-", "_").replace(" ", "_")
