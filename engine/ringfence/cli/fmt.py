"""`ringfence fmt`: documents in one layout, their comments and meaning kept."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ringfence.cli.output import add_format, show_findings
from ringfence.errors import Diagnostic

if TYPE_CHECKING:
    from ringfence.review.layout_files import LaidOut

__all__ = ["add"]


def add(commands: Any) -> None:
    """Add the command's arguments."""
    parser = commands.add_parser("fmt", help="lay out documents in the one canonical way")
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="a file or directory")
    parser.add_argument(
        "--check", action="store_true", help="write nothing; 1 where a file would change"
    )
    parser.add_argument(
        "--diff", action="store_true", help="write nothing; print what would change"
    )
    add_format(parser)
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Lay out every document below the paths; 1 where one cannot be, or `--check` finds one that would change."""
    from ringfence.review.layout_files import lay_out, not_canonical, write_layout
    from ringfence.runtime.ports import SYSTEM_FILES

    only_told = given.check or given.diff
    findings: list[Diagnostic] = []
    changed: list[str] = []
    sound: list[str] = []
    diffs = []
    for file in lay_out(given.paths):
        findings += file.findings
        if not file.changes:
            sound += [] if file.findings else [str(file.path)]
            continue
        changed.append(str(file.path))
        if given.diff:
            diffs.append(_diff(file))
        if given.check:
            findings.append(not_canonical(file))
        if not only_told:
            write_layout(file, SYSTEM_FILES)
    more = {"changed": changed, "written": not only_told}
    if given.format == "text":
        sys.stdout.writelines(diffs)
    show_findings(findings, given.format, checked=sound, more=more, command="fmt")
    if given.format == "text":
        _tell(changed, len(sound), written=not only_told)
    return 1 if findings else 0


def _tell(changed: list[str], sound: int, *, written: bool) -> None:
    if written:
        for path in changed:
            print(f"{path}: laid out")
    count = len(changed)
    files = f"{count} file{'' if count == 1 else 's'}"
    said = f"{files} {'changed' if written else 'would change'}" if count else "nothing to change"
    print(f"{said}, {sound} as {'it' if sound == 1 else 'they'} should be", file=sys.stderr)


def _diff(file: "LaidOut") -> str:
    from difflib import unified_diff

    lines = unified_diff(
        file.before.splitlines(keepends=True),
        file.after.splitlines(keepends=True),
        str(file.path),
        f"{file.path} (laid out)",
    )
    return "".join(
        each if each.endswith("\n") else f"{each}\n\\ No newline at end of file\n" for each in lines
    )
