"""Findings as text for people, JSON for programs, and annotations for pull requests."""

import unicodedata
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from ringfence.errors import Diagnostic, Span
from ringfence.language.codes import CODES
from ringfence.language.scalars import NOT_PRINTABLE

__all__ = ["ReadLine", "render_github", "render_json", "render_text"]

ReadLine: TypeAlias = Callable[[str, int], str]
"""Gives a line of a file by path and number (from 1); an empty text where there is none."""

_WIDEST = 120
_BEFORE = 40
_COLOURS = {"error": "\x1b[1;31m", "warning": "\x1b[1;33m"}
_BOLD, _DIM, _RESET = "\x1b[1m", "\x1b[2m", "\x1b[0m"


def render_text(diagnostics: Iterable[Diagnostic], read_line: ReadLine, color: bool = False) -> str:
    """Return findings as text, each with its source line underlined, an empty line between two.

    Args:
        diagnostics: In the order to be shown.
        read_line: Gives the source lines; they are shown cut to 120 columns, control characters
            replaced.
        color: Whether to add ANSI colours.
    """
    return "\n".join(_text(each, read_line, color) for each in diagnostics)


def render_json(diagnostics: Iterable[Diagnostic]) -> list[dict[str, Any]]:
    """Return findings as plain data; lines and columns from 1, `end_column` exclusive, or null."""
    return [
        {
            "code": each.code,
            "severity": each.severity,
            "title": CODES.get(each.code, ""),
            "message": each.message,
            "why": each.why,
            "fix": each.fix,
            **_place(each.span),
            "related": [_place(span) for span in each.related],
        }
        for each in diagnostics
    ]


def render_github(diagnostics: Iterable[Diagnostic]) -> str:
    """Return findings as GitHub workflow commands, one a line, which annotate a pull request."""
    return "".join(f"{_command(each)}\n" for each in diagnostics)


def _text(diagnostic: Diagnostic, read_line: ReadLine, color: bool) -> str:
    colour = _COLOURS.get(diagnostic.severity, _BOLD) if color else ""
    bold, dim, reset = (_BOLD, _DIM, _RESET) if color else ("", "", "")
    span = diagnostic.span
    place = f"{bold}{_printable(str(span))}:{reset} " if span is not None else ""
    kind = f"{colour}{diagnostic.severity}[{diagnostic.code}]{reset}"
    lines = [f"{place}{kind}: {bold}{_printable(diagnostic.message)}{reset}"]
    source = read_line(span.path, span.line) if span is not None else ""
    if span is not None and source.strip():
        shown, pad, carets = _excerpt(source, span)
        gutter = f"  {span.line} | "
        lines.append(f"{dim}{gutter}{reset}{shown}".rstrip())
        lines.append(f"{' ' * (len(gutter) + pad)}{colour}{'^' * carets}{reset}")
    for name, text in (("why", diagnostic.why), ("fix", diagnostic.fix)):
        if text:
            lines.append(f"  {dim}{name}:{reset} {_printable(text)}")
    lines.extend(f"  {dim}see:{reset} {_printable(str(each))}" for each in diagnostic.related)
    return "\n".join(lines) + "\n"


def _excerpt(source: str, span: Span) -> tuple[str, int, int]:
    """Return the line as shown, the columns before the carets, and how many carets."""
    line = _printable(source.rstrip())
    start = min(span.column - 1, len(line))
    end = min(span.end_column - 1, len(line)) if span.end_line == span.line else len(line)
    end = max(end, start + 1)
    before, after = "", ""
    if len(line) > _WIDEST:
        # A window around the place: a line of a hostile file can be a megabyte long.
        first = max(0, min(start - _BEFORE, len(line) - _WIDEST))
        last = first + _WIDEST
        before, after = ("…" if first else ""), ("…" if last < len(line) else "")
        line, start, end = line[first:last], start - first, min(end, last) - first
    return (
        f"{before}{line}{after}",
        len(before) + _width(line[:start]),
        max(1, _width(line[start:end])),
    )


def _width(text: str) -> int:
    """Columns that a terminal needs: wide characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(each) else 2 if unicodedata.east_asian_width(each) in "WF" else 1
        for each in text
    )


def _printable(text: str) -> str:
    # One character for one, so that columns stay where they are.
    return NOT_PRINTABLE.sub("\ufffd", text.replace("\t", " ").replace("\n", " "))


def _place(span: Span | None) -> dict[str, Any]:
    if span is None:
        return dict.fromkeys(("path", "line", "column", "end_line", "end_column"))
    return {
        "path": span.path,
        "line": span.line,
        "column": span.column,
        "end_line": span.end_line,
        "end_column": span.end_column,
    }


def _command(diagnostic: Diagnostic) -> str:
    level = diagnostic.severity if diagnostic.severity in ("error", "warning") else "notice"
    properties: dict[str, object] = {}
    if (span := diagnostic.span) is not None:
        properties |= {"file": span.path, "line": span.line, "endLine": span.end_line}
        properties["col"] = span.column
        # GitHub takes columns only within one line.
        if span.line == span.end_line:
            properties["endColumn"] = span.end_column
    properties["title"] = diagnostic.code
    parts = [diagnostic.message]
    parts += [f"why: {diagnostic.why}"] if diagnostic.why else []
    parts += [f"fix: {diagnostic.fix}"] if diagnostic.fix else []
    given = ",".join(f"{name}={_property(str(value))}" for name, value in properties.items())
    return f"::{level} {given}::{_data(chr(10).join(parts))}"


def _data(text: str) -> str:
    # As in GitHub's own toolkit: the percent sign first.
    text = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return NOT_PRINTABLE.sub("\ufffd", text)


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
