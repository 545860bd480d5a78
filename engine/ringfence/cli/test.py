"""`ringfence test`: policy tests, the cases inside rules, and what both leave unseen."""

import argparse
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ringfence.cli.output import add_format, compiling_is_said
from ringfence.cli.progress import counted_progress
from ringfence.cli.test_report import Report, show_report
from ringfence.errors import InputError
from ringfence.review.test_runner import BACKENDS, run_case
from ringfence.review.testing.run import Suite, read_suite

if TYPE_CHECKING:
    pass

__all__ = ["add"]

_MAX_MUTANTS = 2_000


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
        "must agree; the kernel is compiled at its first use, which takes about a minute",
    )
    add_format(parser, schema="test-report.v1.schema.json")
    parser.add_argument(
        "--changed-from",
        metavar="REF",
        help="run only what a change since this Git revision can touch, and say what is left out",
    )
    parser.add_argument(
        "--watch", action="store_true", help="run again whenever a file changes, until Ctrl-C"
    )
    parser.add_argument(
        "--coverage",
        action="store_true",
        help="show what no case shows of gates, limits, overrides, scopes and expressions",
    )
    parser.add_argument(
        "--fail-under",
        type=_percent,
        metavar="PCT",
        help="fail where less is covered; turns --coverage on",
    )
    parser.add_argument(
        "--suggest",
        action="store_true",
        help="write the cases at the limits that are missing, as a test file, instead of a report",
    )
    parser.add_argument(
        "-o", "--out", type=Path, metavar="FILE", help="where --suggest writes; standard output"
    )
    parser.add_argument(
        "--mutate",
        action="store_true",
        help="change one thing at a time in policies and rules, and show what no case notices",
    )
    parser.add_argument(
        "--max-mutants",
        type=_positive,
        metavar="N",
        help=f"try at most so many, drawn by --seed ({_MAX_MUTANTS})",
    )
    parser.add_argument("--seed", type=int, metavar="N", help="draws the mutants (0)")
    parser.add_argument(
        "--jobs", type=_positive, metavar="N", help="processes that try mutants (1)"
    )
    parser.add_argument(
        "--fail-under-mutants",
        type=_percent,
        metavar="PCT",
        help="fail where fewer mutants are noticed; turns --mutate on",
    )
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Run all cases below the paths, once or at every change."""
    given.coverage = given.coverage or given.fail_under is not None
    given.mutate = given.mutate or given.fail_under_mutants is not None
    _check(given)
    if given.watch:
        from ringfence.cli.test_watch import watch

        return watch(
            [*given.paths, *([given.policies] if given.policies else [])], lambda: _once(given)
        )
    return _once(given)


def _once(given: argparse.Namespace) -> int:
    suite = read_suite(given.paths, given.policies)
    report = _ran(suite, given)
    if given.suggest:
        from ringfence.cli.test_suggest import write_suggestions

        return write_suggestions(suite, report.results, given.out)
    if given.coverage:
        from ringfence.review.testing.coverage import coverage_of

        report.coverage = coverage_of(report.results, suite.linked, suite.rules)
        report.fail_under = given.fail_under or 0.0
    if given.mutate and not report.failed:
        _mutate(suite, report, given)
    show_report(report, given.format)
    return 0 if report.sound else 1


def _ran(suite: Suite, given: argparse.Namespace) -> Report:
    """Every case, or those that a change can touch."""
    backends = tuple(BACKENDS) if given.backend == "all" else (given.backend,)
    report = Report([], backends)
    cases = suite.cases
    if given.changed_from is not None:
        from ringfence.review.testing.changes import select_changed

        chosen = select_changed(suite, given.changed_from, given.paths, given.policies)
        cases, report.left_out, report.changes = chosen.cases, chosen.left_out, chosen.changes
    silent = backends == ("reference",)
    with nullcontext() if silent else compiling_is_said(json=given.format != "text"):
        report.results = [run_case(each, backends) for each in cases]
    return report


def _mutate(suite: Suite, report: Report, given: argparse.Namespace) -> None:
    from ringfence.review.testing.mutation import mutate
    from ringfence.runtime.ports import SeededRandom

    with counted_progress("trying mutants") as told:
        report.mutation = mutate(
            suite,
            random=SeededRandom(given.seed or 0),
            at_most=given.max_mutants or _MAX_MUTANTS,
            jobs=given.jobs or 1,
            paths=given.paths,
            policies=given.policies,
            told=told,
        )
    report.fail_under_mutants = given.fail_under_mutants or 0.0


def _check(given: argparse.Namespace) -> None:
    """Refuse what does not go together."""
    whole = {
        "--coverage": given.coverage,
        "--mutate": given.mutate,
        "--suggest": given.suggest,
    }
    if given.changed_from is not None:
        for name, asked in whole.items():
            if asked:
                raise InputError(
                    f"{name} needs every case, and --changed-from leaves some out",
                    "give one of the two",
                )
    if given.watch and (given.suggest or given.mutate or given.format != "text"):
        raise InputError(
            "--watch is for people: it goes with --coverage and with text alone",
            "run again without it",
        )
    if given.suggest and (given.mutate or given.coverage or given.format != "text"):
        raise InputError(
            "--suggest writes a test file and no report", "ask for the two in two runs"
        )
    if given.out is not None and not given.suggest:
        raise InputError("-o says where --suggest writes", "add --suggest")
    for name in ("--max-mutants", "--seed", "--jobs"):
        if getattr(given, name[2:].replace("-", "_")) is not None and not given.mutate:
            raise InputError(f"`{name}` says how mutants are tried", "add --mutate")


def _percent(text: str) -> float:
    number = float(text.removesuffix("%"))
    if not 0 <= number <= 100:
        raise ValueError(text)
    return number


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


_percent.__name__ = "percentage"
_positive.__name__ = "whole number above zero"
