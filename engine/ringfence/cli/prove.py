"""`ringfence prove`: what must hold of every order, shown by a solver, or an order for which it does not."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ringfence.cli.moment import seconds_given
from ringfence.cli.output import add_format, compiling_is_said, finite, plain_data, show_findings
from ringfence.cli.progress import counted_progress
from ringfence.errors import InputError, PolicyError

if TYPE_CHECKING:
    from ringfence.language.linking import LinkedSet
    from ringfence.language.source import Document
    from ringfence.review.counterexamples import Counterexample, Decide
    from ringfence.review.proofs import Proof

__all__ = ["add"]

_SECONDS = 10.0


def add(commands: Any) -> None:
    """Add the command's arguments."""
    parser = commands.add_parser(
        "prove",
        help="prove what must hold of every order that is approved, or show one that breaks it",
    )
    parser.add_argument(
        "path",
        nargs="?",
        type=Path,
        default=Path("policies"),
        metavar="PATH",
        help="the policy set; its own invariants are among its files",
    )
    parser.add_argument(
        "--invariants",
        type=Path,
        metavar="DIR",
        help="more invariants, in a file or directory outside of PATH",
    )
    parser.add_argument(
        "--base",
        metavar="REF",
        help="the policies before the change: a revision, git:REF:PATH, or a directory",
    )
    parser.add_argument(
        "--claim-strict",
        action="store_true",
        help="claim that nothing is approved that the base did not approve, at no larger size",
    )
    parser.add_argument(
        "--timeout",
        type=float,
        default=_SECONDS,
        metavar="S",
        help="seconds that the solver may take over one question",
    )
    parser.add_argument(
        "--allow-unknown",
        action="store_true",
        help="do not fail where an invariant can be neither proved nor refuted",
    )
    parser.add_argument(
        "--write-tests",
        type=Path,
        metavar="FILE",
        help="add each order that breaks an invariant to this policy test, which fails until the "
        "policies are mended",
    )
    parser.add_argument(
        "--no-cache", action="store_true", help="ask again what was proved before, and keep nothing"
    )
    add_format(parser, schema="proof.v1.schema.json")
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Prove; 1 where an invariant is refuted, or, unless that is allowed, unknown."""
    timeout_s = seconds_given(given)
    from ringfence.language.invariant_library import invariants_for
    from ringfence.language.linking import link_path
    from ringfence.review.proof_cache import ProofCache, proofs_key
    from ringfence.review.proof_words import FAILURES, findings_of
    from ringfence.review.proofs import Question, prove

    linked = link_path(given.path)
    if not linked.policies:
        raise InputError(f"`{given.path}` holds no policies", fix="name a directory with policies")
    base = _base(given.base, given.path) if given.base else None
    if given.claim_strict and base is None:
        raise InputError(
            "`--claim-strict` has nothing to compare with", fix="name the base: `--base main`"
        )
    more = _documents(given.invariants) if given.invariants else []
    invariants, findings = invariants_for(linked, more, strict=given.claim_strict)
    if findings:
        raise PolicyError(findings)
    cache = None
    if not given.no_cache:
        cache = ProofCache(proofs_key(linked.sha256))
    question = Question(linked, invariants, base, timeout_s=timeout_s, kernel=_kernel(given.format))
    with counted_progress("proving") as progress:
        proofs = prove(question, cache=cache, progress=progress)
    allowed = {"unknown"} if given.allow_unknown else set()
    failed = any(each.status in FAILURES and each.status not in allowed for each in proofs)
    findings = findings_of(proofs, linked, allowed=allowed)
    written = _write_tests(given.write_tests, proofs) if given.write_tests else []
    if given.format == "text":
        _show(proofs, linked, given.path)
    else:
        show_findings(
            findings,
            given.format,
            failed=failed,
            checked=[each.invariant.name for each in proofs if each.status == "proved"],
            more=_as_json(proofs, linked, base),
            command="prove",
        )
    if given.write_tests and given.format == "text":
        print(f"{given.write_tests}: {len(written)} case{'s' if len(written) != 1 else ''} added")
    return 1 if failed else 0


def _base(ref: str, path: Path) -> "LinkedSet":
    from ringfence.runtime.revisions import link_spec

    if ref.startswith("git:") or Path(ref).exists():
        return link_spec(ref, default=str(path))
    return link_spec(f"git:{ref}:{path}")


def _documents(path: Path) -> "list[Document]":
    from ringfence.language import schema
    from ringfence.language.source import load_file
    from ringfence.language.yaml_files import yaml_files

    if not path.exists():
        raise InputError(f"`{path}` does not exist", fix="name a file or a directory")
    documents = [load_file(each) for each in (yaml_files(path) if path.is_dir() else [path])]
    findings = [each for document in documents for each in schema.check(document, "Invariant")]
    if findings:
        raise PolicyError(findings)
    return documents


def _write_tests(path: Path, proofs: "Sequence[Proof]") -> list[str]:
    from ringfence.review.case_text import add_cases

    cases = [each.counterexample.test for each in proofs if each.counterexample is not None]
    return add_cases(path, cases, name="counterexamples") if cases else []


def _kernel(form: str) -> "Decide":
    def decide(*given: Any, **options: Any) -> Any:
        from ringfence.backends import numba_kernel

        with compiling_is_said(json=form != "text"):
            return numba_kernel.decide(*given, **options)

    return decide


def _show(proofs: "Sequence[Proof]", linked: "LinkedSet", path: Path) -> None:
    from ringfence.review.proof_words import proof_lines

    print(f"{path}: policy set {linked.sha256[:12]}")
    for each in proofs:
        for line in proof_lines(each, linked):
            print(line)
    counts = {each.status: 0 for each in proofs}
    for each in proofs:
        counts[each.status] += 1
    print(", ".join(f"{number} {status}" for status, number in counts.items()))


def _as_json(
    proofs: "Sequence[Proof]", linked: "LinkedSet", base: "LinkedSet | None"
) -> dict[str, Any]:
    return {
        "policy_set": linked.sha256,
        "base": base.sha256 if base is not None else None,
        "proofs": [_proof_json(each) for each in proofs],
    }


def _proof_json(proof: "Proof") -> dict[str, Any]:
    invariant = proof.invariant
    return {
        "invariant": invariant.name,
        "version": invariant.version,
        "shipped": invariant.shipped,
        "place": str(invariant.span),
        "claim": " ".join(invariant.says.split()),
        "status": proof.status,
        "parts": proof.cells,
        "known_before": proof.kept,
        "reason": proof.reason,
        "to_blame": [
            {
                "term": each.text,
                "gate": each.gate or None,
                "place": str(each.span) if each.span is not None else None,
            }
            for each in proof.blame
        ],
        "counterexample": _example_json(proof.counterexample) if proof.counterexample else None,
    }


def _example_json(found: "Counterexample") -> dict[str, Any]:
    from ringfence.review.case_text import case_yaml

    return {
        "given": plain_data(found.given),
        "when": plain_data(found.when),
        "decision": str(found.decision.decision),
        "size": str(found.decision.size),
        "reason": found.decision.reason,
        "broken": found.words,
        "values": {
            name: {"value": finite(value), "unit": unit.kind}
            for name, (value, unit) in found.values.items()
        },
        "confirmed_by": list(found.confirmed_by),
        "test": case_yaml(found.test),
    }
