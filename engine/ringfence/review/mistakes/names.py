"""Scopes whose names and globs match nothing that the desk declares, and scopes that hold nothing."""

import re
from collections.abc import Iterable, Iterator
from fnmatch import translate
from typing import Any

from ringfence.errors import Diagnostic
from ringfence.language.gates import LimitRow, Policy
from ringfence.language.instruments import Desk, convert
from ringfence.language.scopes import DIMENSIONS, Scope
from ringfence.language.source import Document
from ringfence.language.suggest import closest, one_of
from ringfence.review.mistakes.context import Context, warning

__all__ = ["Universe", "names", "rates"]

_WILD = "*?["


class Universe:
    """The names that the desk declares, by dimension; a dimension without any is open."""

    def __init__(self, desk: Desk) -> None:
        self.names: tuple[frozenset[str], ...] = tuple(
            map(frozenset, (desk.accounts, desk.strategies, desk.venues, desk.instruments))
        )
        # An order need not have a strategy or a venue.
        self._all = tuple(
            found | {""} if found and kind in ("strategies", "venues") else found
            for found, kind in zip(self.names, DIMENSIONS, strict=True)
        )
        self._matched: dict[tuple[int, str], frozenset[str]] = {}

    def matched(self, dimension: int, glob: str) -> frozenset[str]:
        """The names that a name or glob matches: the declared ones, and no name where an order may have none."""
        known = self._all[dimension]
        if not any(sign in glob for sign in _WILD):
            return frozenset((glob,)) & known
        found = self._matched.get((dimension, glob))
        if found is None:
            match = re.compile(translate(glob)).match
            found = frozenset(known if glob == "*" else (name for name in known if match(name)))
            self._matched[dimension, glob] = found
        return found

    def held(self, dimension: int, scope: Scope) -> frozenset[str]:
        """The names that a scope holds in one dimension."""
        included, excluded = scope.parts(dimension)
        held = self._all[dimension] if not included else self._union(dimension, included)
        return held - self._union(dimension, excluded) if excluded else held

    def _union(self, dimension: int, globs: Iterable[str]) -> frozenset[str]:
        return frozenset().union(*(self.matched(dimension, each) for each in globs))


def names(context: Context) -> Iterable[Diagnostic]:
    """Names of scopes that nothing declares (E420), and scopes that hold nothing (E421)."""
    universe = Universe(context.linked.desk)
    for policy in context.linked.policies:
        yield from _scope(universe, policy.document, ("spec", "scope"), policy.scope, "policy")
        for row in _narrower(policy):
            if row.scope is not None:
                at = (*row.at, "scope")
                yield from _scope(universe, row.document, at, row.scope, "override")


def rates(context: Context) -> Iterable[Diagnostic]:
    """Symbols that a scope names, and whose currency has no rate to the set's own (E425)."""
    linked = context.linked
    universe = Universe(linked.desk)
    lacking = {
        symbol: each.quote
        for symbol, each in linked.desk.instruments.items()
        if convert(linked.desk.fx, each.quote, linked.currency) is None
    }
    for policy in linked.policies if lacking else ():
        for number, glob in enumerate(policy.scope.symbols):
            # `*` names nothing: an instruments file may list all that a venue has.
            named = () if glob == "*" else sorted(universe.matched(3, glob) & lacking.keys())
            if named:
                quote = lacking[named[0]]
                yield warning(
                    "E425",
                    f"orders in {one_of(named)} are all rejected: no FX rate between {quote} and "
                    f"{linked.currency} is declared",
                    policy.document.span("spec", "scope", "symbols", number),
                    f"the limits are in {linked.currency}, and what an order is worth in {quote} cannot be "
                    "compared with them",
                    f"declare `fx: {{{quote}/{linked.currency}: ...}}` in an instruments file",
                )


def _narrower(policy: Policy) -> Iterator[LimitRow]:
    for gate in policy.gates:
        yield from gate.rows[1:]


def _scope(
    universe: Universe, document: Document, at: tuple[Any, ...], scope: Scope, owner: str
) -> Iterator[Diagnostic]:
    for dimension, kind in enumerate(DIMENSIONS):
        included, excluded = scope.parts(dimension)
        declared = universe.names[dimension]
        if not (declared and (included or excluded)):
            continue
        unknown = False
        for place, globs in (((*at, kind), included), ((*at, "exclude", kind), excluded)):
            for number, glob in enumerate(globs):
                if not universe.matched(dimension, glob):
                    unknown = True
                    yield _unmatched(document, (*place, number), kind, glob, declared)
        if not unknown and not universe.held(dimension, scope):
            yield Diagnostic(
                "E421",
                f"the scope of this {owner} holds none of the declared {kind}",
                document.span(*at, "exclude", kind),
                why="what it includes it also excludes, so that it binds no order",
                fix=f"take out of `exclude` the {kind} that it is meant for",
            )


def _unmatched(
    document: Document, at: tuple[Any, ...], kind: str, glob: str, declared: frozenset[str]
) -> Diagnostic:
    near = closest(glob, sorted(declared))
    key = "instruments" if kind == "symbols" else kind
    told = f", did you mean `{near}`?" if near else ""
    if any(sign in glob for sign in _WILD):
        message = f"`{glob}` matches none of the declared {kind}{told}"
    else:
        message = f"`{glob}` is none of the declared {kind}{told}"
    return Diagnostic(
        "E420",
        message,
        document.span(*at),
        why=f"declared are {one_of(declared)}; a limit for a name that is mistyped binds nobody",
        fix=(
            f"write `{near}`"
            if near
            else f"mend it, or declare it under `{key}:` in an instruments file"
        ),
    )
