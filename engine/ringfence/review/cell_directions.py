"""Two policy sets compared cell by cell; only cells in which a gate differs are looked at."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any

from ringfence.backends.smt import Question, Setting, bound_gates
from ringfence.backends.smt.gates import BoundGate, GateSet
from ringfence.backends.smt.search import candidates, prove
from ringfence.errors import PolicyError
from ringfence.language.decision import Decision
from ringfence.language.gates import to_ns
from ringfence.language.linking import LinkedSet
from ringfence.language.scope_classes import representatives
from ringfence.review.cells import Cell, cells
from ringfence.review.directions import Pair, Witness
from ringfence.review.obligations import (
    Claim,
    Side,
    examples,
    gaps,
    in_context,
    on_their_own,
)
from ringfence.review.plainer import plainer

__all__ = ["CellDirections"]

_QUICK_MS = 500
_LONG_MS = 3_000
_SYMBOLS_TRIED = 5
_VENUES, _SYMBOLS = 2, 3
"""Places in `scopes.DIMENSIONS`."""
_USUAL_NS = to_ns("2026-01-05T12:00:00Z")


@dataclass(slots=True)
class CellDirections:
    """What was found so far: a witness for each direction, or why there is neither witness nor proof."""

    pair: Pair
    looser: Witness | None = None
    tighter: Witness | None = None
    unsure_looser: list[str] = field(default_factory=list)
    unsure_tighter: list[str] = field(default_factory=list)
    _forms: dict[int, str] = field(default_factory=dict)
    _proofs: dict[Any, bool] = field(default_factory=dict)

    def run(self) -> None:
        """Compare all cells, until there is a witness for both directions."""
        pair = self.pair
        for told in _surroundings(pair.base, pair.head, lone=pair.lone):
            self.unsure_looser.append(told)
            self.unsure_tighter.append(told)
        for cell in cells(pair.base, pair.head, since_ns=pair.since_ns):
            if self.looser and self.tighter:
                return
            if cell.changed:
                self._compare(cell)

    def _compare(self, cell: Cell) -> None:
        pair = self.pair
        known = [
            symbol
            for symbol in cell.symbols
            if pair.lone
            or (symbol in pair.base.desk.instruments) == (symbol in pair.head.desk.instruments)
        ]
        if told := _traded(pair.base, pair.head, known):
            self.unsure_looser.append(told)
            self.unsure_tighter.append(told)
        base, head = self._sides(cell)
        if known:
            self._both(_with(cell, known), base, head)
        # No order in a symbol that is not declared is taken.
        for linked, sides in (
            (pair.base, (base, _closed(head))),
            (pair.head, (_closed(base), head)),
        ):
            own = [each for each in cell.symbols if each in linked.desk.instruments]
            if moved := [each for each in own if each not in known]:
                self._both(_with(cell, moved), *sides)

    def _both(self, cell: Cell, base: Side, head: Side) -> None:
        if self.looser is None:
            self._more(cell, head, base, looser=True)
        if self.tighter is None:
            self._more(cell, base, head, looser=False)

    def _sides(self, cell: Cell) -> tuple[Side, Side]:
        """Base and head in a cell."""
        pair = self.pair
        forms = [[cell.form(each) for each in side] for side in cell.bounds]
        # A gate that both have is no change, wherever it stands and whatever it is called.
        shared = Counter(forms[0]) & Counter(forms[-1])
        sides = []
        for linked, pairs, form in zip(
            (pair.base, pair.head),
            (cell.bounds[0], cell.bounds[-1]),
            (forms[0], forms[-1]),
            strict=True,
        ):
            check = pair.check_mandatory and not pair.lone
            gates = bound_gates(linked, pairs, check_mandatory=check)
            if pair.lone and not pairs:
                gates = GateSet((), covered=True)
            left = Counter(shared)
            changed: list[BoundGate] = []
            for gate, each in zip(gates.gates, form, strict=True):
                self._forms[id(gate.row)] = each
                if left[each]:
                    left[each] -= 1
                else:
                    changed.append(gate)
            sides.append(Side(gates, tuple(changed)))
        ages = [{gate.max_age for gate in side.gates.gates} for side in sides]
        if ages[0] != ages[1]:
            # The oldest mark that counts moved: every gate over a book is another one.
            sides = [Side(side.gates, side.gates.gates) for side in sides]
        return sides[0], sides[1]

    def _more(self, cell: Cell, more: Side, less: Side, *, looser: bool) -> None:
        """Whether `more` gives some order more than `less` does: a proof that it does not, or a witness."""
        if self._proved(cell, more, less):
            return
        unsure = self.unsure_looser if looser else self.unsure_tighter
        for setting in self._settings(cell, (*more.gates.gates, *less.gates.gates)):
            for claim in examples(more, less):
                witness = self._witness(setting, claim, more, less, looser=looser)
                if witness is None:
                    continue
                if looser:
                    self.looser = witness
                else:
                    self.tighter = witness
                return
        unsure.append(_blame(more, less))

    def _proved(self, cell: Cell, more: Side, less: Side) -> bool:
        """Whether no order gets more from `more`: by the changed gates alone, or by all of them.

        A proof is kept under what it is about, so that it is not done again for another account.
        """
        forms = self._forms

        def known(about: Any, claims: Iterator[Claim], timeout_ms: int) -> bool:
            if about not in self._proofs:
                self._proofs[about] = self._refuted(cell, claims, timeout_ms)
            return self._proofs[about]

        def told(gates: tuple[BoundGate, ...]) -> tuple[Any, ...]:
            return tuple(sorted((forms[id(each.row)], each.max_age) for each in gates))

        state = tuple((side.gates.covered, side.can_reduce) for side in (more, less))
        changed = (state, told(more.changed), told(less.changed))
        if known(("alone", *changed), on_their_own(more, less), _QUICK_MS) and all(
            known(("gap", *told((gate,))), iter((claim,)), _QUICK_MS)
            for gate, claim in gaps(more, less)
        ):
            return True
        every = (state, told(more.gates.gates), told(less.gates.gates))
        return known(("all", *every), in_context(more, less), _LONG_MS)

    def _refuted(self, cell: Cell, claims: Iterator[Claim], timeout_ms: int) -> bool:
        setting = self._setting(cell, cell.symbol)
        return all(
            prove(Question(setting, claim, ()), timeout_ms)[0] == "unsat" for claim in claims
        )

    def _witness(
        self, setting: Setting, claim: Claim, more: Side, less: Side, *, looser: bool
    ) -> Witness | None:
        gates = (*more.gates.gates, *less.gates.gates)
        varied = frozenset(
            name for side in (more, less) for gate in side.changed for name in gate.fields
        )
        question = Question(setting, claim, gates, varied=varied)
        answer, keys = prove(question, _LONG_MS)
        if answer == "unsat":
            return None
        for given, when in candidates(question, keys, _LONG_MS):
            if _shown(self.pair, given, when, looser=looser):
                return self._plain_witness(given, when, looser=looser)
        return None

    def _plain_witness(
        self, given: Mapping[str, Any], when: Mapping[str, Any], *, looser: bool
    ) -> Witness | None:
        """The case made as plain as it goes, or as it was found where only that is confirmed."""
        # Without the kernel, which is asked about the outcome alone.
        pair = replace(self.pair, kernel=False)

        def shows(given: Mapping[str, Any], when: Mapping[str, Any]) -> bool:
            try:
                return _shown(pair, given, when, looser=looser) is not None
            except PolicyError:
                return False

        for state, order in (plainer(given, when, shows), (given, when)):
            decided = _shown(self.pair, state, order, looser=looser)
            if decided is not None:
                return Witness(state, order, *decided)
        return None

    def _setting(self, cell: Cell, symbol: str) -> Setting:
        # An order without a venue is plainer, where that makes no difference.
        pair = (self.pair.base, self.pair.head)
        same = all(each.mask(_VENUES, "") == each.mask(_VENUES, cell.venue) for each in pair)
        venue = "" if same else cell.venue
        linked = self.pair.head if symbol in self.pair.head.desk.instruments else self.pair.base
        return Setting(cell.account, cell.strategy, venue, symbol, _moment(cell), linked)

    def _settings(self, cell: Cell, gates: tuple[BoundGate, ...]) -> Iterator[Setting]:
        """The cell's symbol, and others of it that lists of permitted symbols tell apart."""
        seen: set[tuple[bool, ...]] = set()
        lists = [
            globs
            for gate in gates
            for name in ("allow", "deny")
            if isinstance(globs := gate.params.get(name), tuple)
        ]
        for symbol in self._symbols(cell, lists):
            told = tuple(any(fnmatchcase(symbol, each) for each in globs) for globs in lists)
            if told not in seen and len(seen) < _SYMBOLS_TRIED:
                seen.add(told)
                yield self._setting(cell, symbol)

    def _symbols(self, cell: Cell, lists: list[tuple[str, ...]]) -> Iterator[str]:
        yield from cell.symbols
        pair = self.pair
        if not lists or (pair.base.desk.instruments and pair.head.desk.instruments):
            return
        wanted = [each.mask(_SYMBOLS, cell.symbol) for each in (pair.base, pair.head)]
        for symbol in representatives(glob for globs in lists for glob in globs):
            if [each.mask(_SYMBOLS, symbol) for each in (pair.base, pair.head)] == wanted:
                yield symbol


def _shown(
    pair: Pair, given: Mapping[str, Any], when: Mapping[str, Any], *, looser: bool
) -> tuple[Decision, Decision] | None:
    """Base's and head's decision, where the order gets more from head, or with `looser` false less."""
    decided = pair.decide(given, when)
    if decided is None:
        return None
    base, head = decided
    return decided if (head.size > base.size if looser else head.size < base.size) else None


def _moment(cell: Cell) -> int:
    """A moment of the cell: the usual one where it lies there, else one in whole microseconds."""
    if cell.from_ns <= _USUAL_NS < cell.until_ns:
        return _USUAL_NS
    return cell.moment_ns // 1_000 * 1_000


def _surroundings(base: LinkedSet, head: LinkedSet, *, lone: bool) -> Iterator[str]:
    """What differs beside gates, and makes two sets' books hard to compare."""
    if base.currency != head.currency:
        yield f"the books are kept in {head.currency}, and were in {base.currency}"
    if base.desk.fx != head.desk.fx:
        yield "the FX rates of the instruments file changed"
    if base.desk.correlations != head.desk.correlations:
        yield "the correlations of the instruments file changed"
    days = [{each.day for each in linked.policies if each.day} for linked in (base, head)]
    if days[0] != days[1] and not lone:
        yield "the trading day starts at another time"


def _traded(base: LinkedSet, head: LinkedSet, symbols: Sequence[str]) -> str:
    """A symbol whose trading rules changed, in words."""
    for symbol in symbols:
        if base.desk.instruments.get(symbol) != head.desk.instruments.get(symbol):
            return f"the trading rules of `{symbol}` changed"
    return ""


def _with(cell: Cell, symbols: Sequence[str]) -> Cell:
    """The part of a cell that is about some of its symbols."""
    return replace(cell, symbol=symbols[0], symbols=tuple(symbols))


def _closed(side: Side) -> Side:
    """A side that takes no order."""
    return Side(GateSet(side.gates.gates, covered=False), side.changed)


def _blame(more: Side, less: Side) -> str:
    products = dict.fromkeys((*more.gates.products, *less.gates.products))
    if products:
        return "not linear: " + ", ".join(products)
    names = dict.fromkeys(f"`{gate.gate.name}`" for side in (more, less) for gate in side.differing)
    return f"no order was found and none ruled out for gate {', '.join(names)}"
