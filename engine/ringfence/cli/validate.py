"""`ringfence validate`: every fault of every file at once.

It runs on every commit, and most of the time is its start: what a valid set does not need is imported
where it is used.
"""

import argparse
import atexit
import gc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ringfence.cli.output import add_format, has_errors, show_findings
from ringfence.errors import Diagnostic, PolicyError

if TYPE_CHECKING:
    from ringfence.language.source import Document

__all__ = ["add"]


def add(commands: Any) -> None:
    """Add the command's arguments."""
    parser = commands.add_parser("validate", help="check policies, rules, tests and instruments")
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="a file or directory")
    add_format(parser)
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Validate each path as a policy set of its own."""
    # What is left when the process ends goes with it: to look through it for cycles first is no use.
    atexit.register(gc.freeze)
    with _without_looking_for_cycles():
        return _validate(given)


@contextmanager
def _without_looking_for_cycles() -> Iterator[None]:
    """Halt the garbage collector: a quarter of the time of a large set, and it finds nothing in it.

    What is made while files are read stays until the end, or goes without it. How much that can be is
    bounded, for each file is.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _validate(given: argparse.Namespace) -> int:
    from ringfence.language.linking import link_path

    findings: list[Diagnostic] = []
    valid: list[dict[str, Any]] = []
    for path in given.paths:
        try:
            linked = link_path(path)
            _check_tests(linked.documents.values())
        except PolicyError as error:
            findings.extend(error.diagnostics)
            continue
        valid.append(
            {
                "path": str(path),
                "policies": len(linked.policies),
                "gates": len(linked.gates),
                "policy_set": linked.sha256,
            }
        )
    sound = [each["path"] for each in valid]
    show_findings(findings, given.format, checked=sound, more={"sets": valid})
    if has_errors(findings):
        return 1
    if given.format in ("text", "github"):
        for each in valid:
            print(
                f"{each['path']}: {each['policies']} policies, {each['gates']} gates, "
                f"policy set {each['policy_set'][:12]}: valid"
            )
    return 0


def _check_tests(documents: "Iterable[Document]") -> None:
    """Link the policies that stand inside tests."""
    for document in documents:
        if document.data["kind"] == "PolicyTest" and document.data.get("policy") is not None:
            from ringfence.review.test_runner import check_own_policy

            check_own_policy(document)
