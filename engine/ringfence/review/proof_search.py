"""The search for proofs: question after question to the solver, part after part of all orders and times."""

import hashlib
import json
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ringfence.language.gates import to_ns
from ringfence.language.invariant_library import STRICTNESS
from ringfence.language.invariants import Invariant
from ringfence.language.linking import LinkedSet, link
from ringfence.language.source import load
from ringfence.review.cells import Cell, cells
from ringfence.review.counterexamples import Counterexample, Decide, confirmed
from ringfence.review.proof_cache import ProofCache

if TYPE_CHECKING:
    from ringfence.backends.smt.claims import Blame, Claim

__all__ = ["Progress", "Proof", "Question", "Search"]

Progress = Callable[[int, int], None]
Plain = Mapping[str, Any]

_SYMBOLS = 3
"""Of one part's symbols so many are tried for an order that refutes."""
_USUAL_NS = to_ns("2026-01-05T12:00:00Z")
"""A time that reads better than 1970, where any will do."""


@dataclass(slots=True)
class Proof:
    """What became of one invariant.

    Attributes:
        invariant: What was claimed.
        status: `proved`, `refuted`, `unknown`; `skipped` where there is no base to compare with;
            `empty` where no order that is approved is spoken of.
        cells: Parts of all orders and times that it was proved for.
        counterexample: Of a refuted one.
        reason: Why nothing is known, or nothing was asked.
        blame: The terms that the solver cannot be sure of.
        kept: Whether the answer is an earlier one.
    """

    invariant: Invariant
    status: str = "proved"
    cells: int = 0
    counterexample: Counterexample | None = None
    reason: str = ""
    blame: Sequence["Blame"] = ()
    kept: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: do these invariants hold of this policy set?

    Attributes:
        linked: The policy set.
        invariants: What is claimed of it.
        base: The policy set before the change, for `as-strict-as-base`.
        timeout_s: How long the solver may take over one question, in seconds, and so long again over
            looking for an order that refutes.
        check_mandatory: As in `decide`.
        kernel: Decides as the kernel does, and has to confirm what refutes beside the reference.
    """

    linked: LinkedSet
    invariants: Sequence[Invariant]
    base: LinkedSet | None = None
    timeout_s: float = 10.0
    check_mandatory: bool = True
    kernel: Decide | None = None

    def confirmed(self, invariant: Invariant, given: Plain, when: Plain) -> Counterexample | None:
        """An order that breaks an invariant, as those who decide confirm it; None where it does not."""
        return confirmed(
            invariant,
            self.linked,
            given,
            when,
            base=self.base,
            check_mandatory=self.check_mandatory,
            kernel=self.kernel,
        )


class Search:
    """Asks the solver, cell by cell, until each invariant is refuted or no cell is left."""

    def __init__(
        self,
        question: Question,
        proofs: Sequence[Proof],
        progress: Progress | None,
        cache: ProofCache | None,
    ) -> None:
        self._question, self._proofs, self._progress = question, proofs, progress
        self._cache = cache
        self._timeout_ms = max(1, round(question.timeout_s * 1000))
        self._spoken: set[str] = set()
        """Invariants for which an order was found that is approved and that they speak of."""
        self._held: dict[Hashable, set[str]] = {}
        """Invariants that were proved for these gates with these limits, in whatever part they bind."""
        self._searched: dict[str, float] = {}
        """Seconds spent on looking for an order that refutes, by invariant."""

    def run(self) -> None:
        """Fill the proofs in."""
        question = self._question
        scopes = _scopes(question.linked, [each.invariant for each in self._proofs])
        sets = [question.linked, scopes, *([question.base] if question.base is not None else [])]
        found = list(cells(*sets))
        for place, cell in enumerate(found):
            self._cell(cell)
            if self._progress is not None:
                self._progress(place + 1, len(found))
        for proof in self._proofs:
            if proof.status == "proved" and self._is_to_be_seen(proof):
                proof.status = "empty"
                proof.reason = "no order that it speaks of is ever approved"

    def _cell(self, cell: Cell) -> None:
        # Imported here: the solver is needed only where something has to be asked.
        from ringfence.backends.smt.abstract import AbstractInputs
        from ringfence.backends.smt.claims import Claim, Decisions
        from ringfence.backends.smt.gates import bound_gates
        from ringfence.backends.smt.market_facts import market_facts

        question = self._question
        gates = bound_gates(
            question.linked, cell.bounds[0], check_mandatory=question.check_mandatory
        )
        asked = self._asked(cell) if gates.covered else []
        if not asked:
            return
        inputs = AbstractInputs()
        decisions = Decisions(question.linked, gates, inputs)
        base = None
        if question.base is not None:
            before = bound_gates(
                question.base, cell.bounds[-1], check_mandatory=question.check_mandatory
            )
            base = Decisions(question.base, before, inputs)
        claims = [(each, Claim(each.invariant, decisions, base)) for each in asked]
        broken = [claim.broken for _, claim in claims]
        spoken = [
            claim.spoken_of if self._is_to_be_seen(proof) else None for proof, claim in claims
        ]
        facts = market_facts(inputs)
        axioms = [*inputs.axioms(), *facts]
        for (proof, claim), wrong, some in zip(claims, broken, spoken, strict=True):
            if some is not None and self._answer(axioms, some) != "unsat":
                self._spoken.add(proof.invariant.name)
            answer = self._answer(axioms, wrong)
            if answer == "unsat" and claim.base is not None and cell.surroundings_changed:
                # The formulas have one notional, one exposure for both sides, which is not so here.
                answer = "moved" if claim.invariant.standard == STRICTNESS else answer
            if answer == "unsat":
                proof.cells += 1
                self._held[_meaning(cell)].add(proof.invariant.name)
                if self._cache is not None and proof.invariant.shipped:
                    self._cache.keep_part(_part(cell, proof.invariant))
            else:
                self._refute(proof, claim, cell, answer)

    def _is_to_be_seen(self, proof: Proof) -> bool:
        """Whether it is open that a desk's own claim speaks of any order."""
        return not proof.invariant.shipped and proof.invariant.name not in self._spoken

    def _asked(self, cell: Cell) -> list[Proof]:
        """The invariants that speak of a part's orders, but those already proved for the same limits."""
        scopes = {bound.gate.policy.name for bound, _ in cell.bounds[1]}
        known = self._held.setdefault(_meaning(cell), set())
        asked = []
        for proof in self._proofs:
            invariant = proof.invariant
            if not (invariant.name in scopes or not invariant.scope.canonical()):
                continue
            if invariant.standard == STRICTNESS and not cell.changed:
                continue
            if invariant.name in known or self._kept(cell, invariant):
                proof.cells += 1
            elif proof.status == "proved" or self._going(proof):
                asked.append(proof)
        return asked

    def _kept(self, cell: Cell, invariant: Invariant) -> bool:
        """Whether an earlier run proved it here; own claims also have to be seen to speak of an order."""
        if self._cache is None or not invariant.shipped:
            return False
        return self._cache.holds_in(_part(cell, invariant))

    def _answer(self, axioms: Iterable[Any], formula: Any) -> str:
        import z3

        solver = z3.Solver()
        solver.set("timeout", self._timeout_ms)
        solver.add(*axioms)
        solver.add(formula)
        return str(solver.check())

    def _orders(
        self, claim: "Claim", cell: Cell, going: Callable[[], bool]
    ) -> Iterator[tuple[Plain, Plain]]:
        """Orders among concrete books that break the claim by the solver's reckoning."""
        from ringfence.backends.smt.abstract import AbstractInputs
        from ringfence.backends.smt.search import TIMEOUT_MS, candidates
        from ringfence.backends.smt.search import Question as Asked
        from ringfence.backends.smt.setting import Setting

        gates = [*claim.decisions.gates.gates, *(claim.base.gates.gates if claim.base else ())]
        inputs = AbstractInputs()
        claim.over(inputs).broken  # noqa: B018  # read for the fields that it speaks of
        keys = list(inputs.terms)
        for symbol in cell.symbols[:_SYMBOLS]:
            setting = Setting(
                cell.account,
                cell.strategy,
                cell.venue,
                symbol,
                _moment_in(cell),
                self._question.linked,
            )
            asked = Asked(setting, lambda inputs: claim.over(inputs).broken, gates)
            yield from candidates(asked, keys, min(self._timeout_ms, TIMEOUT_MS), going)

    def _going(self, proof: Proof) -> bool:
        """Whether there is time left to look for an order that refutes."""
        spent = self._searched.get(proof.invariant.name, 0.0)
        return proof.status == "unknown" and spent < self._question.timeout_s

    def _refute(self, proof: Proof, claim: "Claim", cell: Cell, answer: str) -> None:
        """Look for an order among concrete books; without one nothing is known."""
        from ringfence.backends.smt.claims import blamed

        if proof.status != "unknown":
            proof.status, proof.blame = "unknown", blamed(claim)
            proof.reason = f"{self._no_proof(answer)}, and no order was found that breaks it"
        name = proof.invariant.name
        before, started = self._searched.get(name, 0.0), time.perf_counter()

        def going() -> bool:
            self._searched[name] = before + time.perf_counter() - started
            return self._going(proof)

        for given, when in self._orders(claim, cell, going):
            found = self._question.confirmed(proof.invariant, given, when)
            if found is not None:
                proof.status, proof.counterexample = "refuted", found
                proof.reason, proof.blame = "", ()
                return

    def _no_proof(self, answer: str) -> str:
        if answer == "moved":
            return "instruments, rates, correlations or the trading day have changed, which is not compared"
        if answer == "unknown":
            return f"the solver gave up after {self._question.timeout_s:g} s"
        return "the solver has no proof"


def _meaning(cell: Cell) -> Hashable:
    """The gates and limits of a part, whatever policies they stand in."""
    sides = [cell.bounds[0], *cell.bounds[2:]]
    forms = tuple(tuple(sorted(map(cell.form, side))) for side in sides)
    return cell.surroundings_changed, forms


def _part(cell: Cell, invariant: Invariant) -> str:
    """The hash of a part's gates and limits, and of a claim about them."""
    text = json.dumps([_meaning(cell), invariant.sha256])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _moment_in(cell: Cell) -> int:
    return _USUAL_NS if cell.from_ns <= _USUAL_NS < cell.until_ns else cell.moment_ns


def _scopes(linked: LinkedSet, invariants: Sequence[Invariant]) -> LinkedSet:
    """The scopes of invariants as a policy set: a gate binds where an invariant speaks of an order."""
    documents = [
        load(
            json.dumps(
                {
                    "apiVersion": "ringfence/v1",
                    "kind": "Policy",
                    "metadata": {
                        "name": each.name,
                        "version": "1.0.0",
                        "owner": "none",
                        "description": "The scope of an invariant.",
                    },
                    "spec": {
                        "scope": each.document.data["spec"]["scope"],
                        "gates": [{"rule": "kill-switch@1"}],
                    },
                }
            ),
            each.document.path,
        )
        for each in invariants
        if each.scope.canonical()
    ]
    found = link(documents, check_mandatory=False)
    # Without instruments of its own it would let in symbols that nobody trades.
    found.desk = linked.desk
    return found
