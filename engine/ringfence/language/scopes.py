"""Scopes: which orders a policy or an override applies to, matched fast for thousands of policies.

Each dimension (accounts, strategies, venues, symbols) keeps a bit per scope. Names without a wildcard
are found in a dictionary; only true globs are tried one by one, once per new name.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import translate
from typing import Any

__all__ = ["DIMENSIONS", "Scope", "ScopeIndex"]

DIMENSIONS = ("accounts", "strategies", "venues", "symbols")


@dataclass(frozen=True, slots=True)
class Scope:
    """Globs per dimension; an empty tuple means all. `exclude` takes names out of its dimension."""

    accounts: tuple[str, ...] = ()
    strategies: tuple[str, ...] = ()
    venues: tuple[str, ...] = ()
    symbols: tuple[str, ...] = ()
    exclude_accounts: tuple[str, ...] = ()
    exclude_strategies: tuple[str, ...] = ()
    exclude_venues: tuple[str, ...] = ()
    exclude_symbols: tuple[str, ...] = ()

    @classmethod
    def read(cls, given: Mapping[str, Any] | None) -> "Scope":
        """From the YAML form, already checked against the schema."""
        given = given or {}
        exclude = given.get("exclude") or {}
        return cls(
            *(tuple(given.get(name) or ()) for name in DIMENSIONS),
            *(tuple(exclude.get(name) or ()) for name in DIMENSIONS),
        )

    def parts(self, dimension: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Included and excluded globs of one dimension (its place in `DIMENSIONS`)."""
        name = DIMENSIONS[dimension]
        included: tuple[str, ...] = getattr(self, name)
        excluded: tuple[str, ...] = getattr(self, f"exclude_{name}")
        return included, excluded

    def canonical(self) -> dict[str, list[str]]:
        """For the policy set's hash: only what is given, sorted."""
        return {
            key: sorted(set(getattr(self, key))) for key in self.__slots__ if getattr(self, key)
        }


@dataclass(slots=True)
class _Dimension:
    everyone: int = 0
    literal: dict[str, int] = field(default_factory=dict)
    globs: list[tuple[re.Pattern[str], int]] = field(default_factory=list)
    without_literal: dict[str, int] = field(default_factory=dict)
    without_globs: list[tuple[re.Pattern[str], int]] = field(default_factory=list)
    known: dict[str, int] = field(default_factory=dict)

    def add(self, bit: int, included: Sequence[str], excluded: Sequence[str]) -> None:
        if not included or "*" in included:
            self.everyone |= bit
        else:
            _register(included, bit, self.literal, self.globs)
        _register(excluded, bit, self.without_literal, self.without_globs)

    def match(self, name: str) -> int:
        found = self.known.get(name)
        if found is None:
            found = self.everyone | self.literal.get(name, 0)
            for pattern, bit in self.globs:
                if pattern.match(name):
                    found |= bit
            without = self.without_literal.get(name, 0)
            for pattern, bit in self.without_globs:
                if pattern.match(name):
                    without |= bit
            found &= ~without
            self.known[name] = found
        return found


def _register(
    names: Sequence[str],
    bit: int,
    literal: dict[str, int],
    globs: list[tuple[re.Pattern[str], int]],
) -> None:
    for name in names:
        if any(sign in name for sign in "*?["):
            globs.append((re.compile(translate(name)), bit))
        else:
            literal[name] = literal.get(name, 0) | bit


class ScopeIndex:
    """Finds all scopes that hold a given (account, strategy, venue, symbol)."""

    def __init__(self, scopes: Sequence[Scope]) -> None:
        self._dimensions = tuple(_Dimension() for _ in DIMENSIONS)
        for index, scope in enumerate(scopes):
            for number, dimension in enumerate(self._dimensions):
                dimension.add(1 << index, *scope.parts(number))

    def mask(self, dimension: int, name: str) -> int:
        """Bits of the scopes whose one dimension holds `name`."""
        return self._dimensions[dimension].match(name)

    def match(self, account: str, strategy: str, venue: str, symbol: str) -> int:
        """Bits of the scopes that hold the order, one bit per scope in the order given."""
        first, second, third, fourth = self._dimensions
        return (
            first.match(account)
            & second.match(strategy)
            & third.match(venue)
            & fourth.match(symbol)
        )
