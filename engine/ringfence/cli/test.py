"""`ringfence test`: policy tests, and the cases inside rules."""

import argparse
import json
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from ringfence.cli.output import compiling_is_said, finite, print_json
from ringfence.errors import InputError, PolicyError
from ringfence.language import schema
from ringfence.language.linking import LinkedSet, link_path
from ringfence.language.rules import read_rule
from ringfence.language.source import Document, load_file
from ringfence.language.yaml_files import yaml_files
from ringfence.review.test_runner import BACKENDS, CaseResult, run_file, run_rule_cases

__all__ = ["add"]


def add(commands: Any) -> None:
    """Add the command's arguments."""
    parser = commands.add_parser("test", help="run policy tests and rules' own cases")
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="a file or directory")
    parser.add_argument(
        "--policies",
        type=Path,
        metavar="DIR",
        help="the policy set under test; by default the policies among the paths",
    )
    parser.add_argument(
        "--backend",
        choices=(*BACKENDS, "all"),
        default="reference",
        help="what answers: the reference interpreter, the compiled kernel (numba), or both, which "
        "must agree; the kernel is compiled at its first use",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Run all cases below the paths."""
    linked = link_path(given.policies) if given.policies else _policies_in(given.paths)
    backends = tuple(BACKENDS) if given.backend == "all" else (given.backend,)
    results: list[CaseResult] = []
    with nullcontext() if backends == ("reference",) else compiling_is_said(json=given.json):
        for file in _files(given.paths):
            results.extend(_run_file(load_file(file), linked, backends))
    if not results:
        raise InputError("no test cases found", fix="name a PolicyTest file or a rule with cases")
    failed = [each for each in results if not each.passed]
    if given.json:
        print_json(
            {
                "passed": len(results) - len(failed),
                "failed": len(failed),
                "cases": [_as_json(each) for each in results],
            }
        )
    else:
        for each in failed:
            _show(each)
        print(f"{len(results) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


def _policies_in(paths: Sequence[Path]) -> LinkedSet | None:
    """The policy set of the first directory that holds policies beside its tests."""
    for path in paths:
        if path.is_dir():
            linked = link_path(path)
            if linked.policies:
                return linked
    return None


def _files(paths: Sequence[Path]) -> list[Path]:
    files: list[Path] = []
    for path in paths:
        if not path.exists():
            raise InputError(f"`{path}` does not exist", fix="name a file or a directory")
        files.extend(yaml_files(path) if path.is_dir() else [path])
    return files


def _run_file(
    document: Document, linked: LinkedSet | None, backends: Sequence[str]
) -> list[CaseResult]:
    kind, findings = schema.kind_of(document)
    if kind is not None:
        findings = schema.check(document, kind)
    if findings:
        raise PolicyError(findings)
    if kind == "PolicyTest":
        return run_file(document, linked, backends)
    if kind != "Rule":
        return []
    rule, found = read_rule(document)
    if rule is None:
        raise PolicyError(found)
    return run_rule_cases(rule, backends)


def _show(result: CaseResult) -> None:
    print(f"{result.span}: {result.name}")
    for problem in result.problems:
        print(f"  {problem}")
    print(f"  given: {json.dumps(result.given, default=str)}")
    print(f"  expected: {json.dumps(result.expected, default=str)}")
    if result.decision is not None:
        for gate in result.decision.gates:
            print(
                f"  {gate.gate}: {gate.outcome} measure={gate.measure:g} limit={gate.limit:g}"
                + (f" ({gate.reason})" if gate.reason else "")
            )


def _as_json(result: CaseResult) -> dict[str, Any]:
    decision = result.decision
    return {
        "name": result.name,
        "place": str(result.span),
        "passed": result.passed,
        "problems": result.problems,
        "decision": decision.decision if decision else None,
        "size": str(decision.size) if decision else None,
        "reason": decision.reason if decision else None,
        "gates": {
            gate.gate: {
                "outcome": gate.outcome,
                "measure": finite(gate.measure),
                "limit": finite(gate.limit),
            }
            for gate in (decision.gates if decision else ())
        },
    }
