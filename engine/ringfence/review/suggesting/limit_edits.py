"""Limits changed where they stand in policy files: only the amount moves, comments and style stay."""

import difflib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ringfence.errors import InputError, Span
from ringfence.language.gates import Gate
from ringfence.language.parameters import Value
from ringfence.language.source import Document
from ringfence.review.sayable import in_style, number_of

__all__ = ["Edit", "edited_files", "limit_edit", "patch"]


@dataclass(frozen=True, slots=True)
class Edit:
    """A limit that moves; `before` and `after` as the file writes them."""

    gate: Gate
    parameter: str
    before: str
    after: str
    value: Value
    span: Span


def limit_edit(gate: Gate, parameter: str, value: Value) -> Edit | None:
    """The edit that gives a gate's own limit another value.

    Returns:
        None where the policy does not write this limit, so that there is nothing to edit.
    """
    row = gate.rows[0]
    span = row.spans.get(parameter)
    number = number_of(value)
    if span is None or number is None or span.line != span.end_line:
        return None
    written = _cut(gate.policy.document, span)
    kind = gate.rule.parameters.parameters[parameter].type
    quote = written[0] if written[:1] in ("'", '"') else ""
    inner = written[1:-1] if quote else written
    after = f"{quote}{in_style(number, row.values[parameter], kind, inner)}{quote}"
    return Edit(gate, parameter, written, after, value, span)


def edited_files(edits: Iterable[Edit]) -> dict[str, tuple[str, str]]:
    """By the path of each file that moves, its text before and after; the policy's version goes up as well.

    A limit that moves is a minor version.
    """
    by_document: dict[str, tuple[Document, list[tuple[Span, str]]]] = {}
    for edit in edits:
        document = edit.gate.policy.document
        _, changes = by_document.setdefault(document.path, (document, []))
        changes.append((edit.span, edit.after))
    found = {}
    for path, (document, changes) in by_document.items():
        version = document.span("metadata", "version")
        changes.append((version, _next_minor(_cut(document, version))))
        before = document.content.decode("utf-8")
        found[path] = (before, _replaced(document, changes))
    return found


def patch(files: Mapping[str, tuple[str, str]]) -> str:
    """The changes as a unified diff that `git apply` takes, in the current directory."""
    parts: list[str] = []
    for path, (before, after) in sorted(files.items()):
        shown = _relative(path)
        lines = difflib.unified_diff(
            before.splitlines(keepends=True),
            after.splitlines(keepends=True),
            f"a/{shown}",
            f"b/{shown}",
        )
        for line in lines:
            parts.append(line)
            if not line.endswith("\n"):
                parts.append("\n\\ No newline at end of file\n")
    return "".join(parts)


def _relative(path: str) -> str:
    shown = os.path.relpath(path) if Path(path).is_absolute() else os.path.normpath(path)
    if shown.startswith(os.pardir):
        raise InputError(
            f"`{path}` lies outside the current directory, so no patch can name it",
            "run this where the policies lie below the current directory",
        )
    return Path(shown).as_posix()


def _cut(document: Document, span: Span) -> str:
    return document.line(span.line)[span.column - 1 : span.end_column - 1]


def _next_minor(written: str) -> str:
    quote = written[0] if written[:1] in ("'", '"') else ""
    major, minor, *_ = written.strip("'\"").split(".")
    return f"{quote}{major}.{int(minor) + 1}.0{quote}"


def _replaced(document: Document, changes: Sequence[tuple[Span, str]]) -> str:
    """The file's text with each span replaced; line ends and a byte order mark stay as they are."""
    whole = document.content.decode("utf-8")
    mark = "\ufeff" if whole.startswith("\ufeff") else ""
    lines = whole.removeprefix("\ufeff").splitlines(keepends=True)
    for span, text in sorted(changes, key=lambda each: each[0], reverse=True):
        line = lines[span.line - 1]
        lines[span.line - 1] = line[: span.column - 1] + text + line[span.end_column - 1 :]
    return mark + "".join(lines)
