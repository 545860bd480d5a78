"""`ringfence validate`: every fault of every file at once.

It runs on every commit, and most of the time is its start: what a valid set does not need is imported
where it is used.
"""

import argparse
import atexit
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ringfence.cli.moment import add_now, now_given
from ringfence.cli.output import add_format, has_errors, show_findings
from ringfence.errors import Diagnostic, PolicyError

if TYPE_CHECKING:
    from ringfence.language.linking import LinkedSet
    from ringfence.runtime.ports import Clock

__all__ = ["add"]


def add(commands: Any) -> None:
    """Add the command's arguments."""
    parser = commands.add_parser(
        "validate", help="check policies, rules, tests, instruments and invariants"
    )
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="a file or directory")
    parser.add_argument(
        "--base",
        metavar="REF",
        help="the revision that is to change, also as git:REF or git:REF:PATH: what moved too far since, or without its version, is "
        "found; a directory is named with its `./` or `/`",
    )
    add_now(parser)
    parser.add_argument("--strict", action="store_true", help="fail on warnings too")
    add_format(parser)
    parser.set_defaults(run=run)


def run(given: argparse.Namespace, clock: "Clock | None" = None) -> int:
    """Validate each path as a policy set of its own; without `--now` at the clock's time."""
    # What is left when the process ends goes with it: to look through it for cycles first is no use.
    atexit.register(gc.freeze)
    with _without_looking_for_cycles():
        return _validate(given, now_given(given, clock))


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


def _validate(given: argparse.Namespace, now_ns: int) -> int:
    from ringfence.language.linking import link_path

    findings: list[Diagnostic] = []
    valid: list[dict[str, Any]] = []
    for path in given.paths:
        try:
            linked = link_path(path)
            if wrong := _wrong_beside(linked):
                raise PolicyError(wrong)
            found = _mistakes(linked, path, given.base, now_ns)
        except PolicyError as error:
            findings.extend(error.diagnostics)
            continue
        findings.extend(found)
        if has_errors(found) or (given.strict and found):
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
    failed = has_errors(findings) or (given.strict and bool(findings))
    show_findings(findings, given.format, failed=failed, checked=sound, more={"sets": valid})
    if failed:
        return 1
    if given.format in ("text", "github"):
        for each in valid:
            print(
                f"{each['path']}: {_counted(each['policies'], 'policy', 'policies')}, "
                f"{_counted(each['gates'], 'gate', 'gates')}, "
                f"policy set {each['policy_set'][:12]}: valid"
            )
    return 0


def _counted(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _mistakes(linked: "LinkedSet", path: Path, base: str | None, now_ns: int) -> list[Diagnostic]:
    """What people get wrong in a set that links, against a revision of it too where one is named."""
    if not linked.policies:
        return []
    from ringfence.review.mistakes import Context, find_mistakes
    from ringfence.review.mistakes.previous import Previous, previous_of, settings_of

    previous = previous_of(base, path, linked) if base is not None else Previous(None)
    settings = settings_of(path, base, previous)
    found = find_mistakes(Context(linked, now_ns, previous.linked, settings))
    return [*(each for each in previous.findings if each.code not in settings.off), *found]


def _wrong_beside(linked: "LinkedSet") -> list[Diagnostic]:
    """What is wrong in the files of a set that say nothing of limits: tests, invariants, approvals."""
    found: list[Diagnostic] = []
    for document in linked.documents.values():
        if document.data["kind"] == "PolicyTest" and document.data.get("policy") is not None:
            from ringfence.review.test_runner import check_own_policy

            try:
                check_own_policy(document)
            except PolicyError as error:
                found.extend(error.diagnostics)
        elif document.data["kind"] == "Approvals":
            from ringfence.review.approval_rules import approval_findings

            found.extend(approval_findings(document))
    if any(each.data["kind"] == "Invariant" for each in linked.documents.values()):
        from ringfence.language.invariant_library import invariants_for

        found.extend(invariants_for(linked)[1])
    return found
