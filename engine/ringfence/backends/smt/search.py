"""The two phases of a question: prove that no state does it, or find one that does."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import z3

from ringfence.backends.smt.abstract import AbstractInputs, Key
from ringfence.backends.smt.concrete import plain_case
from ringfence.backends.smt.gates import BoundGate
from ringfence.backends.smt.inputs import Inputs, Size
from ringfence.backends.smt.scene import LEVELS, Scene
from ringfence.backends.smt.scenes import scenes
from ringfence.backends.smt.setting import Setting
from ringfence.backends.smt.state import BookState, Holding, State
from ringfence.backends.smt.state_inputs import StateInputs
from ringfence.backends.smt.terms import TRUE, Expr, opposite

__all__ = ["TIMEOUT_MS", "Answer", "Found", "Proved", "Question", "Unsure", "prove", "search"]

TIMEOUT_MS = 2_000
"""How long one call of the solver may take, on a machine that does nothing else."""
_STEPS_IN_MS, _CLOCK_SLACK = 10_000, 5
_WISH_PART, _PATIENCE = 8, 4
"""Plainness is worth a part of that, and so many tries that come to nothing."""
_MOST_SCENES = 60
_MOST_LOTS = 10**12


@dataclass(frozen=True, slots=True)
class Proved:
    """No order, book or market does what was asked for."""


@dataclass(frozen=True, slots=True)
class Found:
    """An order and its surroundings that do it, as the `given` and `when` of a policy test."""

    given: dict[str, Any]
    when: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Unsure:
    """Neither; `blame` names the terms that were too hard."""

    blame: str


Answer = Proved | Found | Unsure


@dataclass(frozen=True, slots=True)
class Question:
    """Is there a state in which `claim` holds?

    Attributes:
        setting: Who orders what, where and when.
        claim: The formula, over whatever inputs it is given.
        gates: The gates whose limits it speaks of; scenes are chosen by them.
        products: Terms that make it non-linear, to be named where the solver gives up.
        permitted: Whether the symbol is permitted, by `allow` and `deny`, where that is known.
        varied: The fields that unusual markets are tried for; None for all that the claim reads.
    """

    setting: Setting
    claim: Callable[[Inputs], Expr]
    gates: Sequence[BoundGate]
    products: Sequence[str] = ()
    permitted: dict[tuple[Any, ...], bool] = field(default_factory=dict)
    varied: frozenset[str] | None = None


def prove(question: Question, timeout_ms: int = TIMEOUT_MS) -> tuple[str, list[Key]]:
    """The first phase: `unsat` where no state does it, else `sat` or `unknown`; and the fields read."""
    inputs = AbstractInputs(permitted=question.permitted)
    claim = question.claim(inputs)
    if z3.is_false(claim):
        return "unsat", []
    solver = _solver(timeout_ms)
    solver.add(claim)
    keys = list(inputs.terms)
    solver.add(*inputs.axioms())
    return str(solver.check()), keys


def search(
    question: Question,
    confirm: Callable[[dict[str, Any], dict[str, Any]], bool],
    *,
    timeout_ms: int = TIMEOUT_MS,
) -> Answer:
    """Prove that no state does it, or find one.

    Args:
        question: What is asked.
        confirm: Says of a `given` and `when` whether they do it indeed, by the interpreter. What it denies
            is passed over.
        timeout_ms: Bound on one call of the solver.
    """
    proof, keys = prove(question, timeout_ms)
    if proof == "unsat":
        return Proved()
    for given, when in candidates(question, keys, timeout_ms):
        if confirm(given, when):
            return Found(given, when)
    return Unsure(_blame(question, keys, proof))


def candidates(
    question: Question,
    keys: Sequence[Key],
    timeout_ms: int = TIMEOUT_MS,
    going: Callable[[], bool] = lambda: True,
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """The second phase: states that do it by the solver's reckoning, one for each scene that has one.

    It ends once `going` says no, which is asked before each scene.
    """
    for count, scene in enumerate(scenes(question.setting, keys, question.gates, question.varied)):
        if count >= _MOST_SCENES or not going():
            return
        found = _state_of(question, scene, timeout_ms)
        if found is not None:
            yield found


def _state_of(
    question: Question, scene: Scene, timeout_ms: int
) -> tuple[dict[str, Any], dict[str, Any]] | None:
    state = State(scene)
    inputs = StateInputs(state)
    claim = question.claim(inputs)
    if z3.is_false(claim):
        return None
    solver = _solver(timeout_ms)
    solver.add(claim, *state.sound(), *_possible(state, question.setting))
    names: list[list[Expr]] = []
    for place, group in enumerate(_wishes(state)):
        names.append([z3.Bool(f"wish {place} {number}") for number in range(len(group))])
        solver.add(*map(z3.Implies, names[-1], group))
    if solver.check() != z3.sat:
        return None
    # Any state will do where a plain one takes too long to find.
    model = solver.model()
    solver.set("rlimit", timeout_ms * _STEPS_IN_MS // _WISH_PART)
    patience = _PATIENCE
    while any(names) and patience:
        answer = solver.check(*(each for group in names for each in group))
        if answer == z3.sat:
            model = solver.model()
            break
        # Of the wishes that cannot be had together, or not soon, the least important group goes.
        core = {str(each) for each in solver.unsat_core()} if answer == z3.unsat else set()
        patience -= answer != z3.unsat
        for place, group in enumerate(names):
            if group and (not core or any(str(each) in core for each in group)):
                names[place] = []
                break
    return plain_case(question.setting, state, model)


def _solver(timeout_ms: int) -> Any:
    solver = z3.Solver()
    # Counted in steps, so that a busy machine gives the same answers; the clock is for what steps miss.
    solver.set("rlimit", timeout_ms * _STEPS_IN_MS)
    solver.set("timeout", timeout_ms * _CLOCK_SLACK)
    solver.set("random_seed", 7)
    return solver


def _possible(state: State, setting: Setting) -> list[Expr]:
    """What a policy test can say, in numbers that float64 holds."""
    facts = [state.lots[Size.ASKED] <= _MOST_LOTS]
    for level, book in state.books.items():
        facts.append(
            z3.Implies(
                z3.And(book.peak.known, book.equity.known), book.equity.value <= book.peak.value
            )
        )
        for holding in (book.own, *(each for _, each in book.others)):
            facts += [holding.lots <= 10**15, holding.lots >= -(10**15)]
            facts += [holding.buys <= 10**15, holding.sells <= 10**15]
            facts += [holding.buy_orders <= 400, holding.sell_orders <= 400]
        for place in book.picks.values():
            facts += [place >= 0, place < len(state.scene.capital[level].starts)]
        for cents in book.cents.values():
            facts += [cents <= 10**15, cents >= -(10**15)]
    facts += [each <= 2_000 for each in state.past]
    for term in (state.age, *state.ages.values(), state.bid_depth, state.ask_depth, state.volume):
        facts += [term.value <= 10**9, term.value >= -(10**6)]
    facts += [state.completeness.value >= 0, state.completeness.value <= 1]
    for level, name in (("strategy", setting.strategy), ("account", setting.account)):
        if not name:
            facts.append(opposite(state.books[level].exists))
    return facts


def _wishes(state: State) -> list[list[Expr]]:
    """What makes a state plain: groups of wishes that go together, the least important first."""
    books = [state.books[level] for level in LEVELS]
    account = state.books["account"]
    groups = [
        [book.equity.value == book.start.value for book in books],
        [book.equity.value == book.peak.value for book in books],
        [place == 0 for book in books for name, place in book.picks.items() if name != "balance"],
        [state.buy],
        [account.own.lots == 0],
    ]
    for place in range(len(account.others)):
        groups.append([book.others[place][1].lots == 0 for book in books])
    if account.others:
        groups.append([_round_lots(state.books[each].others[0][1], each) for each in LEVELS])
    groups += [
        [opposite(each.known) for each in (state.bid_depth, state.ask_depth, state.volume)],
        [each == 0 for each in state.past],
        [state.age.value == 1],
        [state.completeness.value == 1],
        [state.age.known, state.completeness.known],
    ]
    holdings = [[book.own, *(each for _, each in book.others)] for book in books]
    groups += [
        [z3.And(each.buys == 0, each.buy_orders == 0) for held in holdings for each in held],
        [z3.And(each.sells == 0, each.sell_orders == 0) for held in holdings for each in held],
        [_same(book, account) for book in books if book is not account],
        [z3.And(each.known, each.value == 0) for each in state.ages.values()],
        [state.kill == 0],
        [opposite(state.reduce_only)],
    ]
    for book in books:
        groups += [
            [book.fillers == 0],
            [book.cents["deposits"] == 0, opposite(book.balance.known)],
            [book.exists, book.equity.known, book.start.known, book.peak.known],
        ]
    return [[each for each in group if each is not TRUE] for group in groups]


def _round_lots(held: Holding, level: str) -> Expr:
    """Whole units of a symbol, where one would do."""
    return held.lots == 10**8 * z3.Int(f"{level} round")


def _same(one: BookState, other: BookState) -> Expr:
    """Two levels' books hold the same: the plainest desk has one account and one strategy."""
    pairs = [(one.own, other.own)]
    pairs += [
        (mine, theirs) for (_, mine), (_, theirs) in zip(one.others, other.others, strict=True)
    ]
    return z3.And(
        one.cents["equity"] == other.cents["equity"],
        *(one.picks[name] == other.picks[name] for name in one.picks),
        *(mine.lots == theirs.lots for mine, theirs in pairs),
        *(mine.buys == theirs.buys for mine, theirs in pairs),
        *(mine.sells == theirs.sells for mine, theirs in pairs),
    )


def _blame(question: Question, keys: Sequence[Key], proof: str) -> str:
    if question.products:
        return "not linear: " + ", ".join(dict.fromkeys(question.products))
    names = ", ".join(f"`{name}`" for name in dict.fromkeys(key.name for key in keys))
    if proof == "unknown":
        return f"the solver ran out of time over {names}"
    return f"no order and book were found, and none could be ruled out, over {names}"
