"""`ringfence ci`: the whole gate of a change in one command, on a desk as in a pull request."""

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ringfence.cli.approvals import add_approvals
from ringfence.cli.dry_run import add_inputs
from ringfence.cli.moment import add_now, now_given
from ringfence.cli.output import add_format, findings_text, print_json
from ringfence.cli.plan import refuse_without_orders
from ringfence.errors import InputError, PolicyError, reason_of
from ringfence.runtime.output_files import write_output

__all__ = ["add"]


def add(commands: Any) -> None:
    """Add the command's arguments."""
    parser = commands.add_parser(
        "ci", help="run every check of a change in one go, as in its pull request"
    )
    parser.add_argument(
        "--base",
        metavar="REF",
        help="the branch that the change goes to; by default that of the pull request, or the main branch",
    )
    parser.add_argument(
        "--policies",
        type=Path,
        default=Path("policies"),
        metavar="DIR",
        help="the directory of policies (policies)",
    )
    parser.add_argument(
        "--comment", type=Path, metavar="FILE", help="write the pull request's comment, as Markdown"
    )
    parser.add_argument("--sarif", type=Path, metavar="FILE", help="write the findings as SARIF")
    parser.add_argument("--strict", action="store_true", help="fail on warnings too")
    add_now(parser)
    parser.add_argument(
        "--report", type=Path, metavar="DIR", help="write the HTML report and the dry run there"
    )
    add_inputs(parser, required=False)
    add_approvals(parser)
    parser.add_argument(
        "--no-approvals",
        action="store_true",
        help="say which approvals are missing, and leave it to others to wait for them",
    )
    add_format(parser, ("text", "json", "github"), "ci-result.v1.schema.json")
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Run every step; 0 where all passed, 1 where one failed or approvals are missing, 2 where one could not run."""
    from ringfence.cli.ci_steps import STEPS, Change
    from ringfence.review.gate import EXIT_CODES, run_steps
    from ringfence.review.gate_markdown import headline, render_gate
    from ringfence.review.merge_base import find_base

    if not given.policies.exists():
        raise InputError(
            f"`{given.policies}` does not exist", "name the directory of policies with --policies"
        )
    base = find_base(given.base, os.environ)
    change = Change(given.policies, base, now_given(given), given)
    # A fault in the settings is for the steps to tell.
    with suppress(PolicyError):
        if not change.replays:
            refuse_without_orders(given)
    with _progress() as begins:
        result = run_steps(STEPS, change, begins)
    comment = render_gate(result, base)
    if given.comment is not None:
        _write(given.comment, comment, "--comment")
    if given.sarif is not None:
        _write(given.sarif, findings_text(result.findings, "sarif"), "--sarif")
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(summary).open("a", encoding="utf-8") as file:
            file.write(comment)
    code = EXIT_CODES[result.verdict]
    if given.format == "json":
        from ringfence.review.gate_json import gate_json

        print_json(gate_json(result, base))
        return code
    for step in result.steps:
        print(f"{step.verdict:<8} {step.name:<10} {step.said} ({step.seconds:.1f} s)")
    # Where every program's output is one log, findings stand behind the steps that found them.
    sys.stdout.flush()
    if given.format == "github":
        notes = [note for step in result.steps for note in step.notes]
        print(findings_text([*result.findings, *notes], "github"), end="")
    else:
        print(findings_text(result.findings, "text"), end="", file=sys.stderr)
    print(headline(result))
    return code


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """The name of the step that runs, on standard error, where that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console

    with Console(stderr=True).status("ringfence ci") as status:
        yield lambda name: status.update(f"ringfence {name}")


def _write(path: Path, text: str, option: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_output(path, text)
    except OSError as error:
        reason = reason_of(error)
        raise InputError(
            f"`{path}` cannot be written: {reason}", f"name another file with {option}"
        ) from None
