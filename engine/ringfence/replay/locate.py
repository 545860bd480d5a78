"""Where rows come from: what `--orders SRC` and its like may name, resolved before anything is read.

A SRC is a local path, a glob, or a `SELECT` over local files. Whatever it is, the files are known by name
before the database is opened, so that it can be locked to exactly those.
"""

import glob
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field

from ringfence.errors import InputError, reason_of
from ringfence.language.suggest import did_you_mean
from ringfence.replay.sql_check import (
    RefusedSqlError,
    SqlChecker,
    as_input_error,
    named_tables,
    reader_calls,
    text_literal,
)

__all__ = ["FORMATS", "Source", "locate"]

FORMATS = ("parquet", "csv", "json")
_SUFFIXES = {
    ".parquet": "parquet",
    ".parq": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
}
_PACKED = (".gz", ".zst")
_SELECT_WORDS = ("select", "with", "from", "(")


@dataclass(frozen=True, slots=True)
class Source:
    """A resolved SRC.

    Attributes:
        text: As it was given.
        format: `parquet`, `csv`, `json` or `select`.
        files: Absolute paths in the order in which they are read.
        select: For `select`, the SQL that is safe to run.
        directories: For `select`, directories whose files a glob may name.
    """

    text: str
    format: str
    files: tuple[str, ...]
    select: str = ""
    directories: tuple[str, ...] = field(default=())

    @property
    def bytes(self) -> int:
        """Size of the files together, in bytes; 0 where they are not known."""
        return sum(os.path.getsize(path) for path in self.files if os.path.exists(path))

    def reader(self, options: Iterable[str] = ()) -> str:
        """Return SQL for a `FROM` that reads this source; `options` are a reader's `key=value`."""
        if self.format == "select":
            return f"({self.select})"
        # Each is one file, whatever a pattern of its name would match as well.
        names = ", ".join(text_literal(glob.escape(path)) for path in self.files)
        arguments = ", ".join([f"[{names}]", *options])
        return f"read_{self.format}({arguments})"


def locate(text: str, *, file_format: str | None = None) -> Source:
    """Return what `text` names.

    Args:
        text: A path, a glob (`**` goes deep) or a SELECT.
        file_format: One of `FORMATS` where the file name does not tell.

    Raises:
        InputError: nothing is there, it is no plain file, its format cannot be told, it is not
            local, or the SELECT does more than read.
    """
    stripped = text.strip()
    if not stripped or "\x00" in stripped:
        raise InputError("the source is empty", "give a file, a glob or a SELECT")
    if not os.path.lexists(stripped) and _looks_like_select(stripped):
        return _select(stripped)
    files = tuple(_expand(stripped))
    formats = {file_format or _format_of(path) for path in files}
    if len(formats) > 1:
        raise InputError(
            f"`{text}` names files of different formats: {', '.join(sorted(formats))}",
            "name files of one format",
        )
    return Source(text, formats.pop(), files)


def _looks_like_select(text: str) -> bool:
    first = text.split(None, 1)[0].lower() if text[0] != "(" else "("
    return first in _SELECT_WORDS and (first == "(" or len(text.split(None, 1)) > 1)


def _expand(text: str) -> list[str]:
    """Absolute paths of the plain files that a path or glob names."""
    if "://" in text:
        raise InputError(f"`{text}` is not a local file", "download it first, and name the copy")
    if os.path.isdir(text):
        raise InputError(
            f"`{text}` is a directory", f"name its files: `{text.rstrip('/')}/*.parquet`"
        )
    if os.path.exists(text):
        found = [text]
    elif glob.has_magic(text):
        found = sorted(path for path in glob.glob(text, recursive=True) if not os.path.isdir(path))
        if not found:
            raise InputError(
                f"no file matches `{text}`", "check the pattern; quote it in the shell"
            )
    else:
        raise InputError(f"there is no file `{text}`{_near(text)}", "check the path")
    for path in found:
        _readable(path)
    return [os.path.abspath(path) for path in found]


def _readable(path: str) -> None:
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        raise InputError(
            f"cannot read `{path}`: {reason_of(error)}",
            "check the path, and the permissions on the way to it",
        ) from None
    if not stat.S_ISREG(mode):
        # A source is read more than once, which a pipe cannot be.
        raise InputError(f"`{path}` is not a plain file", "write it to a file first")
    if not os.access(path, os.R_OK):
        raise InputError(f"cannot read `{path}`: permission denied", "make it readable")


def _near(text: str) -> str:
    try:
        names = os.listdir(os.path.dirname(text) or ".")
    except OSError:
        return ""
    return did_you_mean(os.path.basename(text), names[:1000])


def _format_of(path: str) -> str:
    stem, suffix = os.path.splitext(path.lower())
    if suffix in _PACKED:
        suffix = os.path.splitext(stem)[1]
    if suffix in _SUFFIXES:
        return _SUFFIXES[suffix]
    with open(path, "rb") as file:
        if file.read(4) == b"PAR1":
            return "parquet"
    raise InputError(
        f"cannot tell the format of `{path}` from its name",
        "name it .parquet, .csv or .json (.gz may follow), or set `reads: {format: ...}` in a mapping",
    )


def _select(text: str) -> Source:
    try:
        with SqlChecker() as checker:
            safe, tree = checker.select(text)
        names = [*named_tables(tree), *reader_calls(tree)]
    except RefusedSqlError as error:
        raise as_input_error(
            error,
            "the SELECT cannot be used as a source",
            "give one SELECT over files, read with read_csv, read_json or read_parquet",
        ) from None
    files: list[str] = []
    directories: list[str] = []
    for name in dict.fromkeys(names):
        files += [path for path in _expand(name) if path not in files]
        if glob.has_magic(name) and not os.path.exists(name):
            directories.append(_fixed_part(name))
    return Source(text, "select", tuple(files), safe, tuple(directories))


def _fixed_part(pattern: str) -> str:
    """The directory before the first wildcard of a pattern, absolute."""
    parts = []
    for part in os.path.dirname(pattern).split(os.sep):
        if glob.has_magic(part):
            break
        parts.append(part)
    return os.path.abspath(os.sep.join(parts) or (os.sep if pattern.startswith(os.sep) else "."))
