"""Proofs: each invariant over all orders at all times, or an order that breaks it."""

from typing import Any

from ringfence.language.invariant_library import STRICTNESS
from ringfence.language.invariants import Invariant
from ringfence.review.halt_changes import lost_halts
from ringfence.review.proof_cache import ProofCache
from ringfence.review.proof_search import Progress, Proof, Question, Search

__all__ = ["Progress", "Proof", "Question", "prove"]


def prove(
    question: Question, *, cache: ProofCache | None = None, progress: Progress | None = None
) -> list[Proof]:
    """Prove each invariant over all orders, books and market data, or find an order that breaks it.

    Args:
        question: What is asked.
        cache: What was found before, and where what is found is kept.
        progress: Told how many parts of all orders and times are done, of how many.

    Returns:
        One proof for each invariant, in their order.

    Raises:
        TooManyClassesError: the globs of the scopes multiply one another beyond reason.
    """
    proofs = [Proof(each) for each in question.invariants]
    asked = []
    for proof in proofs:
        if proof.invariant.standard == STRICTNESS and question.base is None:
            proof.status = "skipped"
            proof.reason = "there is no base to compare with: `--base REF` names one"
        elif cache is None or not _recalled(proof, question, cache):
            asked.append(proof)
    if asked:
        Search(question, asked, progress, cache).run()
    _count_halts(question, proofs)
    if cache is not None:
        cache.keep(
            (_name(proof.invariant, question), _kept(proof))
            for proof in asked
            if proof.status in ("proved", "refuted")
        )
    return proofs


def _count_halts(question: Question, proofs: list[Proof]) -> None:
    """A head that halts books less is not as strict: it takes orders that follow, whatever a single one gets."""
    for proof in proofs:
        if (
            proof.invariant.standard == STRICTNESS
            and proof.status == "proved"
            and question.base is not None
            and (words := lost_halts(question.base, question.linked))
        ):
            proof.status, proof.cells, proof.kept = "unknown", 0, False
            proof.reason = f"{'; '.join(words)}, which no single order shows"


def _name(invariant: Invariant, question: Question) -> str:
    """What an answer is kept under; only a comparison rests on the base as well."""
    if invariant.standard != STRICTNESS or question.base is None:
        return invariant.sha256
    return f"{invariant.sha256}:{question.base.sha256}"


def _kept(proof: Proof) -> dict[str, Any]:
    found: dict[str, Any] = {"status": proof.status, "cells": proof.cells}
    if proof.counterexample is not None:
        found |= {"given": proof.counterexample.given, "when": proof.counterexample.when}
    return found


def _recalled(proof: Proof, question: Question, cache: ProofCache) -> bool:
    """Whether an earlier answer still answers; an order that refutes is asked about again."""
    match cache.get(_name(proof.invariant, question)):
        case {"status": "proved", "cells": int(number)}:
            proof.cells, proof.kept = number, True
            return True
        case {"status": "refuted", "given": dict(given), "when": dict(when)}:
            found = question.confirmed(proof.invariant, given, when)
            if found is not None:
                proof.status, proof.counterexample, proof.kept = "refuted", found, True
                return True
    return False
