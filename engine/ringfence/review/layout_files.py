"""`ringfence fmt` for files: which ones, what each would become, and writing it."""

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ringfence.errors import Diagnostic, InputError, PolicyError, Span, reason_of
from ringfence.language.schema import kind_of
from ringfence.language.source import Document, load_file
from ringfence.language.yaml_files import named_files
from ringfence.review.layout import format_document
from ringfence.runtime.ports import Files

__all__ = ["LaidOut", "lay_out", "not_canonical", "write_layout"]


@dataclass(frozen=True, slots=True)
class LaidOut:
    """A file, and what it would become; `findings` say why it stays as it is."""

    path: Path
    before: str = ""
    after: str = ""
    findings: tuple[Diagnostic, ...] = ()

    @property
    def changes(self) -> bool:
        """Whether the file is not in the canonical layout."""
        return self.before != self.after


def lay_out(paths: Sequence[Path]) -> Iterator[LaidOut]:
    """Give every document of Ringfence below the paths, as it is and as it would be laid out.

    In a directory, other YAML files are left out; a file that is named has to be a document.

    Args:
        paths: Files and directories; a directory's hidden files are left out.

    Raises:
        InputError: a path does not exist, cannot be read, holds no YAML files, or is a link to a file elsewhere.
    """
    seen = set()
    for path in paths:
        for file in named_files(path):
            if file in seen:
                continue
            seen.add(file)
            found = _one(file, path)
            if found is not None:
                yield found


def not_canonical(file: LaidOut) -> Diagnostic:
    """Return the finding that a file would change, at the first line that does."""
    before, after = file.before.splitlines(), file.after.splitlines()
    pairs = enumerate(zip(before, after, strict=False), 1)
    # Where all lines of the shorter one agree, the difference is behind them; or in how lines end.
    shorter = min(len(before), len(after))
    line = next((number for number, (one, other) in pairs if one != other), shorter)
    width = len(before[line - 1]) if 0 < line <= len(before) else 0
    return Diagnostic(
        "E451",
        "the file is not in the canonical layout",
        Span(str(file.path), max(line, 1), 1, max(line, 1), width + 1),
        why="one layout for all keeps a review to what has changed in meaning",
        fix=f"ringfence fmt {file.path}",
    )


def write_layout(file: LaidOut, files: Files) -> None:
    """Write a file in its new layout, whole or not at all, with the permissions that it has.

    Args:
        file: One that changes.
        files: Writes it.

    Raises:
        InputError: it cannot be written.
    """
    # What a link leads to, within the directory that was named, is written; the link stays.
    real = file.path.resolve()
    try:
        mode = stat.S_IMODE(real.stat().st_mode)
        files.write_atomic(real, file.after.encode("utf-8"), mode=mode)
    except OSError as error:
        raise InputError(
            f"`{file.path}` cannot be written: {reason_of(error)}",
            fix="check its permissions and those of its directory",
        ) from None


def _one(file: Path, named: Path) -> LaidOut | None:
    if file.is_symlink() and not _leads_inside(file, named):
        raise InputError(
            f"`{file}` is a link to a file elsewhere, which is not laid out",
            fix="name the file itself",
        )
    try:
        document = load_file(file)
        if not _is_ringfence(document):
            if named.is_dir():
                return None
            return LaidOut(file, findings=tuple(kind_of(document)[1]) or (_no_document(document),))
        after = format_document(document)
    except PolicyError as error:
        return LaidOut(file, findings=error.diagnostics)
    return LaidOut(file, document.content.decode("utf-8"), after)


def _leads_inside(file: Path, named: Path) -> bool:
    top = named if named.is_dir() else named.parent
    # Unlike `resolve`, this takes a link that leads to itself; reading it tells.
    return Path(os.path.realpath(file)).is_relative_to(os.path.realpath(top))


def _is_ringfence(document: Document) -> bool:
    data = document.data
    return isinstance(data, dict) and str(data.get("apiVersion", "")).startswith("ringfence/")


def _no_document(document: Document) -> Diagnostic:
    return Diagnostic(
        "E150",
        "the file is no document of Ringfence",
        document.key_span(),
        why="only documents that start with `apiVersion: ringfence/v1` have a canonical layout",
        fix="name another file, or a directory: other files in it are left alone",
    )
