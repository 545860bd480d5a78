"""A DuckDB that can read the files of one source, write to one scratch directory, and nothing else.

Memory is capped and spills into the scratch directory; extensions, the network, other files, Python's
variables and any later change of these settings are out of reach of what is run in it.
"""

import errno
import glob
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa

from ringfence.errors import InputError
from ringfence.replay.sql_check import text_literal

__all__ = ["full_disk", "locked_database"]


@contextmanager
def locked_database(
    scratch: Path,
    files: Iterable[str] = (),
    directories: Iterable[str] = (),
    *,
    threads: int = 1,
    memory_mb: int = 512,
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a database in memory that reaches `files`, `directories` and `scratch` alone.

    Args:
        scratch: An existing directory of ours, for results and for what does not fit in memory.
        files: Files that may be read.
        directories: Directories whose files may be read.
        threads: Threads that queries may use.
        memory_mb: What the database may hold in memory before it spills, in MiB.

    Raises:
        InputError: a query inside failed for want of memory or disk, or in a way that no one expected.
    """
    connection = duckdb.connect(
        config={
            "python_enable_replacements": "false",
            "autoload_known_extensions": "false",
            "autoinstall_known_extensions": "false",
        }
    )
    try:
        # Files that the query names by a relative path are allowed by that spelling too, and by the one in which
        # no character of their name is a pattern.
        paths = {*files, *(os.path.relpath(path) for path in files)}
        paths |= {glob.escape(path) for path in paths}
        for setting, value in (
            ("allowed_paths", _list(sorted(paths))),
            ("allowed_directories", _list([str(scratch), *directories])),
            ("temp_directory", text_literal(str(scratch / "spill"))),
            ("memory_limit", text_literal(f"{memory_mb}MiB")),
            ("threads", str(threads)),
            ("TimeZone", "'UTC'"),
            ("preserve_insertion_order", "true"),
            ("enable_progress_bar", "false"),
            ("enable_external_access", "false"),
            ("lock_configuration", "true"),
        ):
            connection.execute(f"SET {setting}={value}")
        yield connection
    except (duckdb.Error, pa.ArrowException) as error:
        if full := full_disk(error, f"in `{scratch}`, where the source is sorted"):
            raise full from error
        reason = str(error).strip().splitlines()[0] if str(error).strip() else "no reason given"
        raise InputError(
            f"the source could not be prepared: {reason}",
            f"give it more memory or disk ({scratch} is where it spills)",
        ) from error
    finally:
        connection.close()


def full_disk(error: object, where: str) -> InputError | None:
    """What is told of a database's error where its disk is full; None where it failed for something else.

    Args:
        error: The database's.
        where: Where no space is left, in words.
    """
    if os.strerror(errno.ENOSPC) not in str(error):
        return None
    return InputError(
        f"no space is left {where}", "make room, or set TMPDIR to a directory of another disk"
    )


def _list(paths: Iterable[str]) -> str:
    return "[" + ", ".join(text_literal(path) for path in paths) + "]"
