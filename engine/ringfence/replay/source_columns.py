"""Columns that a database would leave out in silence: the second of a name, and those of later files alone.

Names that differ only in their case are the same name here, as in SQL.
"""

import glob
import re
from collections.abc import Callable, Collection, Iterable, Sequence

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from ringfence.errors import InputError
from ringfence.replay.locate import Source
from ringfence.replay.sql_check import text_literal

# `nosec B608`: only our own words and quoted names of files are put into the SQL.
__all__ = ["named_in", "refuse_repeated", "refuse_unequal"]

_RENAMED = re.compile(r"(.+?)(?:_[0-9]+)+")


def named_in(expressions: Iterable[str]) -> Callable[[str], bool]:
    """Return whether a column is named in any of these SQL expressions."""
    whole = "\n".join(expressions)

    def named(column: str) -> bool:
        return re.search(rf"(?<!\w){re.escape(column)}(?!\w)", whole, re.IGNORECASE) is not None

    return named


def refuse_repeated(
    database: duckdb.DuckDBPyConnection,
    source: Source,
    described: Collection[str],
    is_read: Callable[[str], bool],
    options: Sequence[str] = (),
) -> None:
    """Raise where a column that is read occurs twice in the source.

    Args:
        database: Can reach the source.
        source: What is read.
        described: Its columns, as the database calls them: the second `size` is `size_1`.
        is_read: Whether a column is one that anybody looks at.
        options: The CSV reader's, `header` apart.

    Raises:
        InputError: it does; the message names the places.
    """
    if source.format == "select":
        selected = _described(database, source.select)
        if twice := _repeated(selected, is_read):
            raise InputError(
                f"the SELECT yields `{twice[0]}` twice, as columns {_places(twice[1])}: only one can be meant",
                "give each of them a name of its own with AS, or leave one out",
            )
    lowered = {name.lower() for name in described}
    renamed = [found[1] for name in lowered if (found := _RENAMED.fullmatch(name))]
    if source.format == "json" or not any(name in lowered for name in renamed):
        return
    for path in source.files:
        if twice := _repeated(_header(database, path, options), is_read):
            raise InputError(
                f"`{path if len(source.files) > 1 else source.text}` has `{twice[0]}` twice, "
                f"as columns {_places(twice[1])}: only one can be meant",
                "rename one of them, or choose by a SELECT that names its columns: there the second "
                f"is called `{twice[0]}_1`",
            )


def refuse_unequal(
    database: duckdb.DuckDBPyConnection,
    source: Source,
    is_read: Callable[[str], bool],
    options: Sequence[str] = (),
) -> None:
    """Raise where a column that is read is in some files of a source and not in others.

    Args:
        database: Can reach the source.
        source: What is read.
        is_read: Whether a column is one that anybody looks at.
        options: The CSV reader's, `header` apart.

    Raises:
        InputError: it is; the message names the column and two of the files.
    """
    if source.format not in ("csv", "parquet"):
        return
    first, *others = source.files
    if not others:
        return
    wanted = _lowered(_header(database, first, options))
    for path in others:
        found = _lowered(_header(database, path, options))
        if not (wanted and found):
            # Whatever keeps it from being read is told by whoever reads it.
            continue
        for name in [*wanted, *found]:
            if (name in wanted) is not (name in found) and is_read(name):
                has, lacks = (first, path) if name in wanted else (path, first)
                raise InputError(
                    f"`{has}` has a column `{name}` and `{lacks}` has none: files of one source have the "
                    "same columns",
                    "name the files that do, or choose by a SELECT: `read_csv('*.csv', union_by_name=true)` "
                    "leaves empty what a file has not",
                )


def _lowered(names: Iterable[str]) -> dict[str, None]:
    return dict.fromkeys(name.lower() for name in names if name)


def _described(database: duckdb.DuckDBPyConnection, select: str) -> list[str]:
    # A subquery's columns would be renamed.
    try:
        return [str(row[0]) for row in database.execute(f"DESCRIBE {select}").fetchall()]
    except duckdb.Error:
        return []


def _header(database: duckdb.DuckDBPyConnection, path: str, options: Sequence[str]) -> list[str]:
    """The names of a file's columns as they stand in it; empty where it has none to compare."""
    try:
        with pq.ParquetFile(path) as file:
            return list(file.schema_arrow.names)
    except (pa.ArrowException, OSError):
        pass
    others = ", ".join(["header=false", "all_varchar=true", *options])
    query = f"SELECT * FROM read_csv([{text_literal(glob.escape(path))}], {others}) LIMIT 1"  # nosec B608
    try:
        rows = database.execute(query).fetchall()
    except duckdb.Error:
        return []
    return ["" if value is None else str(value).strip() for row in rows for value in row]


def _repeated(names: Sequence[str], is_read: Callable[[str], bool]) -> tuple[str, list[int]] | None:
    """The first column that is read and occurs twice, with its places from 1."""
    lowered = [name.lower() for name in names]
    for name, low in zip(names, lowered, strict=True):
        if low and lowered.count(low) > 1 and is_read(name):
            return name, [place for place, each in enumerate(lowered, 1) if each == low]
    return None


def _places(places: Sequence[int]) -> str:
    *others, last = map(str, places)
    return f"{', '.join(others)} and {last}"
