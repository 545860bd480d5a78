"""Mutation testing of policies: one thing is changed at a time, and some case has to notice."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

from ringfence.backends.reference.decide import decide
from ringfence.errors import PolicyError
from ringfence.language.decision import Outcome
from ringfence.language.linking import LinkedSet, link
from ringfence.language.orders import Case
from ringfence.review.test_runner import CaseResult, differences, run_case
from ringfence.review.testing.cases import TestCase
from ringfence.review.testing.comparisons import comparison_mutants_of_set, mutants_of_rule
from ringfence.review.testing.mutants import Mutant, apply_edits, mutants_of_set
from ringfence.review.testing.run import Suite, read_suite
from ringfence.runtime.ports import Random

__all__ = ["MutationResult", "mutate"]

Told = Callable[[int, int], None]
"""How many mutants are done, and how many there are."""

_REFUSED, _NOTICED, _SURVIVED = range(3)
_CHUNK = 8
_ELSEWHERE = 2


@dataclass(frozen=True, slots=True)
class MutationResult:
    """The mutants that were tried, and those that no case noticed.

    `refused` counts those that are no policies; `left_out` those beyond the bound.
    """

    tried: tuple[Mutant, ...]
    survivors: tuple[Mutant, ...]
    refused: int
    left_out: int

    @property
    def percent(self) -> float:
        """Noticed of those tried; 100 where there are none."""
        if not self.tried:
            return 100.0
        return 100.0 * (1 - len(self.survivors) / len(self.tried))


def mutate(
    suite: Suite,
    *,
    random: Random,
    at_most: int,
    jobs: int = 1,
    paths: Sequence[Path] = (),
    policies: Path | None = None,
    told: Told | None = None,
) -> MutationResult:
    """Change policies and rules, one thing at a time, and run the cases that can notice.

    Args:
        suite: Cases that pass; those of a rule's own are asked about that rule first.
        random: Draws the mutants that are tried where there are more than `at_most`.
        at_most: So many are tried.
        jobs: Processes; with more than one, each reads the suite anew from `paths` and `policies`.
        paths: What the suite was read from.
        policies: As `paths`.
        told: Is told of the progress.
    """
    whole = _mutants(suite)
    chosen = _chosen(len(whole), at_most, random)
    answers: list[int] = []
    for answer in _answers(suite, chosen, jobs, paths, policies):
        answers.append(answer)
        if told is not None:
            told(len(answers), len(chosen))
    tried = [(whole[number], answer) for number, answer in zip(chosen, answers, strict=True)]
    return MutationResult(
        tried=tuple(mutant for mutant, answer in tried if answer != _REFUSED),
        survivors=tuple(mutant for mutant, answer in tried if answer == _SURVIVED),
        refused=answers.count(_REFUSED),
        left_out=len(whole) - len(chosen),
    )


def _mutants(suite: Suite) -> list[Mutant]:
    found: list[Mutant] = []
    if suite.linked is not None:
        found += mutants_of_set(suite.linked)
        found += comparison_mutants_of_set(suite.linked)
    for rule in suite.rules:
        found += mutants_of_rule(rule)
    return found


def _chosen(count: int, at_most: int, random: Random) -> list[int]:
    """Which mutants are tried, in their order."""
    if count <= at_most:
        return list(range(count))
    drawn = sorted(range(count), key=lambda _: random.bytes(8))
    return sorted(drawn[:at_most])


def _answers(
    suite: Suite, chosen: Sequence[int], jobs: int, paths: Sequence[Path], policies: Path | None
) -> Iterable[int]:
    if jobs <= 1 or len(chosen) <= _CHUNK:
        bench = _Bench(suite)
        return map(bench.answer, chosen)
    return _spread(chosen, jobs, paths, policies)


def _spread(
    chosen: Sequence[int], jobs: int, paths: Sequence[Path], policies: Path | None
) -> Iterable[int]:
    with ProcessPoolExecutor(
        jobs,
        mp_context=get_context("spawn"),
        initializer=_start,
        initargs=(tuple(paths), policies),
    ) as pool:
        yield from pool.map(_answer, chosen, chunksize=_CHUNK)


class _Bench:
    """The cases of a suite with the questions already read, to be asked of many mutants."""

    def __init__(self, suite: Suite) -> None:
        self._suite = suite
        self._mutants = _mutants(suite)
        self._asked: list[tuple[CaseResult, Case]] = [
            (result, result.question)
            for result in map(run_case, suite.cases)
            if result.question is not None
        ]

    def answer(self, number: int) -> int:
        """Whether a mutant is refused, noticed, or survives."""
        mutant = self._mutants[number]
        if mutant.rule is not None:
            return self._answer_of_rule(mutant)
        linked = self._suite.linked
        if linked is None:
            return _REFUSED
        try:
            changed = _linked(linked, mutant)
        except PolicyError:
            return _REFUSED
        asked = [
            (nearness, result, question)
            for result, question in self._asked
            if result.case.asks_the_set
            # Where the gate does not bind, it can change nothing.
            and (
                (nearness := _nearness(result, mutant.subject)) < _ELSEWHERE
                or not mutant.binds_as_before
            )
        ]
        asked.sort(key=lambda each: each[0])
        return _noticed((result.case, question, changed) for _, result, question in asked)

    def _answer_of_rule(self, mutant: Mutant) -> int:
        changed: dict[int, LinkedSet | None] = {}
        asked = []
        for result, question in self._asked:
            case = result.case
            if mutant.gate and not case.asks_the_set:
                continue
            if id(case.linked) not in changed:
                changed[id(case.linked)] = _with_rule(case.linked, mutant)
            linked = changed[id(case.linked)]
            if linked is not None:
                asked.append((case, question, linked))
        asked.sort(key=lambda each: each[0].rule != mutant.subject)
        return _noticed(asked)


def _linked(linked: LinkedSet, mutant: Mutant) -> LinkedSet:
    """The set with one document changed; of a large set only that one is linked again, where that is enough."""
    if mutant.binds_as_before:
        document = apply_edits(linked.documents[mutant.path], mutant)
        shared = [
            each
            for each in linked.documents.values()
            if each.data["kind"] in ("Instruments", "Rule")
        ]
        alone = link([*shared, *([document] if document else [])], check_mandatory=False)
        old = [gate for gate in linked.gates if gate.policy.document.path == mutant.path]
        return linked.with_gates(dict(zip(old, alone.gates, strict=True)))
    documents = [
        apply_edits(each, mutant) if each.path == mutant.path else each
        for each in linked.documents.values()
        if each.data["kind"] != "PolicyTest"
    ]
    return link([each for each in documents if each is not None])


def _with_rule(linked: LinkedSet, mutant: Mutant) -> LinkedSet | None:
    """The set with the mutant's rule in the place of its own; None where it does not use it."""
    rule = mutant.rule
    if rule is None:
        return None
    gates = {
        gate: replace(gate, rule=rule)
        for gate in linked.gates
        if gate.rule.key == rule.key and mutant.gate in ("", gate.label)
    }
    return linked.with_gates(gates) if gates else None


def _nearness(result: CaseResult, subject: str) -> int:
    """Cases in which the gate breaches come first, then those in which it is asked."""
    gates = result.decision.gates if result.decision is not None else ()
    found = [each.outcome for each in gates if subject.startswith(f"{each.policy}/{each.gate}")]
    if not found:
        return _ELSEWHERE
    return int(found[0] in (Outcome.PASS, Outcome.EXEMPT))


def _noticed(asked: Iterable[tuple[TestCase, Case, LinkedSet]]) -> int:
    for case, question, linked in asked:
        decision = decide(linked, question, check_mandatory=case.asks_the_set)
        if differences(case.expected, decision):
            return _NOTICED
    return _SURVIVED


_BENCH: list[_Bench] = []


def _start(paths: tuple[Path, ...], policies: Path | None) -> None:
    """In a process of the pool: read the suite anew, for a linked set does not travel."""
    _BENCH.append(_Bench(read_suite(paths, policies)))


def _answer(number: int) -> int:
    return _BENCH[0].answer(number)
