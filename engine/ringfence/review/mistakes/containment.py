"""Is one scope within another? Told from the globs alone, so that it holds for names nobody has declared."""

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from ringfence.language.scopes import DIMENSIONS, Scope, ScopeIndex

__all__ = ["Wider", "apart", "holds", "within"]

Globs = Sequence[str]


def within(narrow: Sequence[Scope], wide: Scope) -> bool:
    """Whether every order that is in all of `narrow` is in `wide`; False where it cannot be told."""
    return all(_dimension(narrow, wide, number) for number in range(len(DIMENSIONS)))


def apart(one: Scope, other: Scope) -> bool:
    """Whether no order is in both; False where it cannot be told."""
    return any(
        _no_name_in_both(one.parts(number), other.parts(number))
        for number in range(len(DIMENSIONS))
    )


def _no_name_in_both(one: tuple[Globs, Globs], other: tuple[Globs, Globs]) -> bool:
    (mine, without), (theirs, others_without) = one, other
    if mine and theirs:
        return not any(_may_meet(glob, each) for glob in mine for each in theirs)
    # What the other one takes out whole.
    return bool(
        (mine and all(_any_holds(others_without, glob) for glob in mine))
        or (theirs and all(_any_holds(without, glob) for glob in theirs))
    )


def _may_meet(one: str, other: str) -> bool:
    if _is_glob(one) and _is_glob(other):
        return True
    return fnmatchcase(one, other) or fnmatchcase(other, one)


class Wider:
    """Finds the scopes that may hold a narrower one whole, without a look at each."""

    def __init__(self, scopes: Sequence[Scope]) -> None:
        self._scopes = scopes
        self._index = ScopeIndex(scopes)

    def of(self, narrow: Sequence[Scope]) -> Iterator[int]:
        """The places of the scopes that hold all that is in each of `narrow`."""
        held = (1 << len(self._scopes)) - 1
        for number in range(len(DIMENSIONS)):
            held &= self._candidates(narrow, number)
        while held:
            bit = held & -held
            held ^= bit
            place = bit.bit_length() - 1
            if within(narrow, self._scopes[place]):
                yield place

    def _candidates(self, narrow: Sequence[Scope], number: int) -> int:
        # A glob's own text matches each glob that holds it; a scope that names nothing holds no name, so that
        # only those that take all hold it.
        found = self._index.mask(number, "")
        for scope in narrow:
            included, _ = scope.parts(number)
            if included:
                mask = -1
                for glob in included:
                    mask &= self._index.mask(number, glob)
                found |= mask
        return found


def _dimension(narrow: Sequence[Scope], wide: Scope, number: int) -> bool:
    included, excluded = wide.parts(number)
    parts = [scope.parts(number) for scope in narrow]
    if included and "*" not in included:
        held = (own for own, _ in parts if own)
        if not any(all(_any_holds(included, glob) for glob in own) for own in held):
            return False
    return all(_spared(glob, parts) for glob in excluded)


def _spared(excluded: str, parts: Sequence[tuple[Globs, Globs]]) -> bool:
    """Whether nothing of the narrow scopes is what the wide one takes out."""
    for included, without in parts:
        if _any_holds(without, excluded):
            return True
        if included and not any(_is_glob(each) or fnmatchcase(each, excluded) for each in included):
            return True
    return False


def _any_holds(globs: Globs, other: str) -> bool:
    return any(holds(glob, other) for glob in globs)


def holds(glob: str, other: str) -> bool:
    """Whether every name that matches `other` matches `glob`."""
    if glob == other:
        return True
    # Where the wider one has no wildcard but `*`, none of its characters can stand for one of the other's.
    if _is_glob(other) and ("[" in other or "?" in glob or "[" in glob):
        return False
    return fnmatchcase(other, glob)


def _is_glob(text: str) -> bool:
    return any(sign in text for sign in "*?[")
