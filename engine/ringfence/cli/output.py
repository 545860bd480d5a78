"""What commands share: findings in their forms, JSON, and numbers that JSON can hold.

Every command that takes a format imports this module as it starts, so what renders is imported where it
is used.
"""

import argparse
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ringfence.errors import Diagnostic

__all__ = [
    "FORMS",
    "add_format",
    "compiling_is_said",
    "findings_text",
    "finite",
    "has_errors",
    "plain_data",
    "print_json",
    "show_findings",
]

FORMS: dict[str, str] = {
    "text": "is for people",
    "json": "has the shape of schemas/{schema}",
    "github": "makes annotations of a pull request",
    "sarif": "is SARIF 2.1.0, for code scanning",
    "junit": "is JUnit XML, for lists of tests",
}
"""Every form of findings, and what it is for."""


def add_format(
    parser: argparse.ArgumentParser,
    forms: Sequence[str] = tuple(FORMS),
    schema: str = "findings.v1.schema.json",
) -> None:
    """Add `--format`, and `--json` as its short form; what was chosen is in `format`.

    Args:
        parser: The command's parser.
        forms: Those of `FORMS` that the command has.
        schema: The file in `schemas/` that describes what the command prints as JSON.
    """
    told = "; ".join(f"`{each}` {FORMS[each]}" for each in forms if each != "text")
    parser.add_argument(
        "--format",
        choices=tuple(forms),
        default="text",
        help=f"how the result is printed; {told.format(schema=schema)}",
    )
    parser.add_argument(
        "--json",
        dest="format",
        action="store_const",
        const="json",
        default="text",
        help="the same as --format json",
    )


@contextmanager
def compiling_is_said(*, json: bool) -> Iterator[None]:
    """Say on standard error why nothing happens for a minute, where code has to be compiled.

    With `json`, whose readers may take any word there for a fault, only to a terminal.
    """
    from ringfence.backends.numba_kernel.disk_cache import told_of_compiling

    def tell(kept_in: Path | None) -> None:
        if json and not sys.stderr.isatty():
            return
        kept = (
            f"once: it is kept in {kept_in}"
            if kept_in is not None
            else "each time, for it cannot be kept (RINGFENCE_CACHE_PATH names another place)"
        )
        print(
            f"ringfence: compiling the gates to machine code; this takes about a minute, {kept}",
            file=sys.stderr,
            flush=True,
        )

    with told_of_compiling(tell):
        yield


def has_errors(findings: Sequence[Diagnostic]) -> bool:
    """Whether a finding is more than a warning, so that a check fails."""
    return any(each.severity == "error" for each in findings)


def show_findings(
    findings: Sequence[Diagnostic],
    form: str,
    *,
    failed: bool | None = None,
    checked: Sequence[str] = (),
    more: Mapping[str, Any] | None = None,
    command: str = "validate",
) -> None:
    """Print findings: text on standard error, every other form on standard output.

    A form that another program reads is printed also where there are no findings.

    Args:
        findings: In the order to be shown.
        form: One of `FORMS`.
        failed: Whether the check failed; by default where a finding is an error, not a warning.
        checked: What was found sound, named in `junit` as cases that passed.
        more: Further keys of the JSON.
        command: The command's name, which is the suite's in `junit`.
    """
    text = findings_text(findings, form, failed=failed, checked=checked, more=more, command=command)
    if text:
        print(text, end="", file=sys.stderr if form == "text" else sys.stdout)


def findings_text(
    findings: Sequence[Diagnostic],
    form: str,
    *,
    failed: bool | None = None,
    checked: Sequence[str] = (),
    more: Mapping[str, Any] | None = None,
    command: str = "validate",
) -> str:
    """Return what `show_findings` prints; the arguments are the same."""
    from ringfence.language.render import render_github, render_json, render_text

    if form == "json":
        wrong = has_errors(findings) if failed is None else failed
        return _json({"valid": not wrong, **(more or {}), "findings": render_json(findings)})
    if form == "github":
        return render_github(findings)
    if form == "sarif":
        from ringfence import __version__
        from ringfence.language.render_sarif import sarif_log

        return _json(sarif_log(findings, _read_line, version=__version__, root=Path.cwd()))
    if form == "junit":
        from ringfence.cli.junit import finding_cases, junit_xml

        return junit_xml(f"ringfence {command}", finding_cases(findings, checked))
    if not findings:
        return ""
    return f"{render_text(findings, _read_line)}\n{_count(findings)}\n"


def _count(findings: Sequence[Diagnostic]) -> str:
    count = len(findings)
    warnings = sum(each.severity != "error" for each in findings)
    told = f"{count} finding{'s' if count != 1 else ''}"
    if not warnings:
        return told
    if warnings == count:
        return f"{count} warning{'s' if count != 1 else ''}"
    return f"{told}, {warnings} of them warnings" if warnings > 1 else f"{told}, one a warning"


def print_json(value: Any) -> None:
    """Print JSON that any reader takes: no NaN."""
    print(_json(value), end="")


def finite(value: float) -> float | None:
    """The number, or None where JSON has no word for it."""
    return value if math.isfinite(value) else None


def plain_data(value: Any) -> Any:
    """A case's data in JSON, which has no word for NaN and infinity: they are text there."""
    if isinstance(value, Mapping):
        return {str(key): plain_data(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain_data(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
    return value


def _json(value: Any) -> str:
    import json

    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False, default=str) + "\n"


def _read_line(path: str, number: int) -> str:
    try:
        lines = Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return lines[number - 1] if 0 < number <= len(lines) else ""
