"""`ringfence lint`: taste: names, owners, descriptions, spelling, tests."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ringfence.cli.output import add_format, show_findings

if TYPE_CHECKING:
    from ringfence.review.lint import Linted

__all__ = ["add"]


def add(commands: Any) -> None:
    """Add the command's arguments."""
    parser = commands.add_parser(
        "lint",
        help="taste: names, owners, descriptions, how values are spelled, tests",
        description="Findings of taste are warnings, and `lint` ends with 1 where there is one: it is "
        "run by those who ask for it.",
    )
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="a file or directory")
    parser.add_argument(
        "--strict",
        action="store_true",
        help="findings are errors, in every form that tells the two apart",
    )
    parser.add_argument(
        "--fix", action="store_true", help="spell values as they should be, and write the files"
    )
    add_format(parser)
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Look at every document below the paths; 1 where something is found."""
    from ringfence.review.lint import lint, switched_off
    from ringfence.runtime.repository import repository_of

    root = repository_of(given.paths[0]) or Path.cwd()
    off = switched_off(root)
    found = lint(given.paths, root, off)
    fixed = _fix(found) if given.fix else []
    if fixed:
        found = lint(given.paths, root, off)
    findings = found.findings
    if given.strict:
        findings = [replace(each, severity="error") for each in findings]
    failing = {each.span.path for each in findings if each.span is not None}
    sound = [each.path for each in found.documents if each.path not in failing]
    show_findings(
        findings,
        given.format,
        failed=bool(findings),
        checked=sound,
        more={"changed": fixed, "written": given.fix},
        command="lint",
    )
    if given.format == "text":
        for path in fixed:
            print(f"{path}: spelled anew")
        if not findings:
            count = len(found.documents)
            print(f"{count} document{'' if count == 1 else 's'}: nothing to say")
    return 1 if findings else 0


def _fix(found: "Linted") -> list[str]:
    """Write what can be spelled anew; the paths. What a link leads to is left as it is."""
    from ringfence.review.layout_files import LaidOut, write_layout
    from ringfence.review.lint import mended
    from ringfence.runtime.ports import SYSTEM_FILES

    written = []
    for document in found.documents:
        path = Path(document.path)
        if not (spelled := found.spelled.get(document.path)) or path.is_symlink():
            continue
        after = mended(document, spelled)
        write_layout(LaidOut(path, document.source.text, after), SYSTEM_FILES)
        written.append(document.path)
    return written
