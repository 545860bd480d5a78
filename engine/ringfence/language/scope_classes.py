"""One example name for every way in which a name may match a list of globs.

Names that match the same globs face the same gates, so that what holds for one example of each class holds
for every name there can be. The classes are found exactly: all globs are followed side by side, character
by character, as one automaton (the product of the globs' own), and every combination of matches that some
name reaches gets the shortest name found for it.
"""

import sys
from collections import deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ringfence.errors import InputError

__all__ = ["MAX_STATES", "TooManyClassesError", "representatives"]

MAX_STATES = 200_000
"""States of the product that are looked at; globs such as `*a*`, `*b*`, `*c*` multiply one another."""

# Shown to people, so that readable characters are taken where any would do.
_READABLE = "xyzabcdefghijklmnopqrstuvwABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./"
_LAST = sys.maxunicode
# Not characters by themselves, and not to be encoded.
_SURROGATES = (0xD800, 0xDFFF)

_State = frozenset[tuple[int, int]]
"""Where each glob that can still match stands: its number, and how many of its tokens are done."""


class TooManyClassesError(InputError):
    """The globs of a policy set fall into more classes than are looked at."""


@dataclass(frozen=True, slots=True)
class _Characters:
    """What one token takes: the characters of some ranges, or all others."""

    ranges: tuple[tuple[int, int], ...]
    others: bool = False

    def holds(self, code: int) -> bool:
        return any(low <= code <= high for low, high in self.ranges) != self.others


_ANY = _Characters((), others=True)
_Token = _Characters | None
"""None stands for `*`."""


def representatives(globs: Iterable[str]) -> tuple[str, ...]:
    """One name for every set of globs that some name matches together, the names without wildcards first.

    Args:
        globs: As in a scope: `*`, `?`, `[a-z]`, `[!a-z]`; names without them match themselves alone.

    Returns:
        Names of which no two match the same globs. The empty name stands for a class only where no
        other name is in it.

    Raises:
        TooManyClassesError: more than `MAX_STATES` states.
    """
    given = tuple(dict.fromkeys(globs))
    literals = [each for each in given if not _is_glob(each)]
    true_globs = [each for each in given if _is_glob(each) and each != "*"]
    return (*literals, *_words([_tokens(each) for each in true_globs], frozenset(literals)))


def _is_glob(text: str) -> bool:
    return any(sign in text for sign in "*?[")


def _words(globs: Sequence[Sequence[_Token]], literals: Collection[str]) -> list[str]:
    """The shortest word, none of the literals, for each set of globs that match together."""
    classes = _character_classes(globs)
    children = _children(literals)
    # The second part is the word itself as long as it may still become one of the literals.
    first: tuple[_State, str | None] = (
        _closure(((number, 0) for number in range(len(globs))), globs),
        "" if literals else None,
    )
    # Without the first, so that a way back to it gives its class a name that is not empty.
    seen: set[tuple[_State, str | None]] = set()
    pending = deque([(first, "")])
    found: dict[frozenset[int], str] = {}
    while pending:
        (state, path), word = pending.popleft()
        matched = frozenset(number for number, done in state if done == len(globs[number]))
        if word not in literals and not found.get(matched):
            found[matched] = word
        for sign in _signs(classes, children[path] if path is not None else ""):
            onward = path + sign if path is not None else None
            following = (
                _step(state, ord(sign), globs),
                onward if onward in children else None,
            )
            if following in seen:
                continue
            if len(seen) >= MAX_STATES:
                raise TooManyClassesError(
                    f"the globs of the scopes fall into more than {MAX_STATES:,} classes",
                    fix="name accounts, strategies and symbols in full, or by their beginnings: `BTC*`",
                )
            seen.add(following)
            pending.append((following, word + sign))
    return [*found.values()]


def _children(names: Collection[str]) -> dict[str, str]:
    """For every beginning of the names, itself included, the characters that may follow."""
    following: dict[str, str] = {}
    for name in names:
        following.setdefault(name, "")
        for end in range(len(name)):
            before = following.setdefault(name[:end], "")
            if name[end] not in before:
                following[name[:end]] = before + name[end]
    return following


def _signs(classes: Sequence["_CharacterClass"], taken: str) -> list[str]:
    """One character of each class, preferably one that leads away from every literal."""
    signs = []
    for each in classes:
        away = each.pick(taken)
        if away is not None:
            signs.append(away)
        else:
            signs.extend(sign for sign in taken if each.holds(ord(sign)))
    return signs


def _step(state: _State, code: int, globs: Sequence[Sequence[_Token]]) -> _State:
    after = []
    for number, done in state:
        tokens = globs[number]
        if done == len(tokens):
            continue
        token = tokens[done]
        if token is None:
            after.append((number, done))
        elif token.holds(code):
            after.append((number, done + 1))
    return _closure(after, globs)


def _closure(places: Iterable[tuple[int, int]], globs: Sequence[Sequence[_Token]]) -> _State:
    """With the places behind a `*`, which may take nothing."""
    found = set()
    for number, done in places:
        tokens = globs[number]
        found.add((number, done))
        while done < len(tokens) and tokens[done] is None:
            done += 1
            found.add((number, done))
    return frozenset(found)


def _tokens(glob: str) -> list[_Token]:
    """The parts of a glob, as `fnmatch` reads them: a bracket that is never closed is a character."""
    tokens: list[_Token] = []
    at = 0
    while at < len(glob):
        sign = glob[at]
        at += 1
        if sign == "*":
            tokens.append(None)
        elif sign == "?":
            tokens.append(_ANY)
        elif sign == "[":
            end = _bracket_end(glob, at)
            if end < 0:
                tokens.append(_one(sign))
            else:
                tokens.append(_bracket(glob[at:end]))
                at = end + 1
        else:
            tokens.append(_one(sign))
    return tokens


def _one(sign: str) -> _Characters:
    return _Characters(((ord(sign), ord(sign)),))


def _bracket_end(glob: str, at: int) -> int:
    end = at
    if glob[end : end + 1] == "!":
        end += 1
    # A closing bracket that comes first is one of the characters.
    return glob.find("]", end + 1 if glob[end : end + 1] == "]" else end)


def _bracket(inside: str) -> _Characters:
    others = inside.startswith("!")
    signs = inside[1:] if others else inside
    ranges, at = [], 0
    while at < len(signs):
        if signs[at + 1 : at + 2] == "-" and at + 2 < len(signs):
            low, high = ord(signs[at]), ord(signs[at + 2])
            if low <= high:
                ranges.append((low, high))
            at += 3
        else:
            ranges.append((ord(signs[at]), ord(signs[at])))
            at += 1
    return _Characters(tuple(ranges), others)


@dataclass(frozen=True, slots=True)
class _CharacterClass:
    """Characters that no token tells apart."""

    ranges: tuple[tuple[int, int], ...]

    def holds(self, code: int) -> bool:
        return any(low <= code <= high for low, high in self.ranges)

    def pick(self, taken: str) -> str | None:
        """A character of the class, a readable one where there is one, that is not among `taken`."""
        for sign in _READABLE:
            if sign not in taken and self.holds(ord(sign)):
                return sign
        for low, high in self.ranges:
            # Printable ones first; there are never more in the way than are taken.
            for code in range(max(low, 0x20), high + 1):
                if _SURROGATES[0] <= code <= _SURROGATES[1]:
                    continue
                if chr(code) not in taken:
                    return chr(code)
            for code in range(low, min(high, 0x1F) + 1):
                if chr(code) not in taken:
                    return chr(code)
        return None


def _character_classes(globs: Sequence[Sequence[_Token]]) -> list[_CharacterClass]:
    kinds = {token for tokens in globs for token in tokens if token is not None}
    edges = {0, _LAST + 1}
    for kind in kinds:
        for low, high in kind.ranges:
            edges |= {low, high + 1}
    ordered = sorted(edges)
    by_signature: dict[tuple[bool, ...], list[tuple[int, int]]] = {}
    asked = list(kinds)
    for low, after in pairwise(ordered):
        signature = tuple(kind.holds(low) for kind in asked)
        by_signature.setdefault(signature, []).append((low, after - 1))
    return [_CharacterClass(tuple(ranges)) for ranges in by_signature.values()]
