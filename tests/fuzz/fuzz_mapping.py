"""Coverage-guided fuzzing of mapping files with atheris, by hand: `python tests/fuzz/fuzz_mapping.py`.

Needs the `fuzz` extra (`pip install 'ringfence[fuzz]'`). Arguments go to libFuzzer, such as a corpus
directory or `-max_total_time=600`. A finding is any exception but a refusal, SQL that is vetted to another
text the second time, or a hang; the input that caused it is written to the working directory.
"""

import sys
import tempfile
from contextlib import suppress
from pathlib import Path

try:
    import atheris
except ImportError:
    sys.exit("fuzz_mapping needs atheris; install it with: pip install 'ringfence[fuzz]'")

with atheris.instrument_imports(include=["ringfence", "yaml"]):
    from ringfence.errors import PolicyError
    from ringfence.replay.mapping import load_mapping
    from ringfence.replay.sql_check import RefusedSqlError, SqlChecker

PIECES = (
    *("ts", "symbol", "size", '"side"', "'x'", "1", "0", "-1", "1e308", "NULL", "true", "+", "-", "*", "/", "||"),
    *("(", ")", ",", ";", "--", "/*", "*/", "$$", "'", '"', "SELECT", "FROM", "WHERE", "UNION", "COPY", "TO"),
    *("ATTACH", "INSTALL", "LOAD", "SET", "PRAGMA", "CALL", "CREATE", "read_text('/etc/passwd')", "getenv('HOME')"),
    *("CASE", "WHEN", "THEN", "ELSE", "END", "CAST(", "AS", "DOUBLE", "VARCHAR", "[", "]", "{", "}", ":", "::"),
    *("lower(", "replace(", "regexp_extract(", "concat(", "sum(", "OVER ()", "IN", "IS", "NOT", "EXISTS", "?", "$1"),
    *("COLUMNS('.*')", "current_setting('x')", "main.lower(", "x -> x", "ORDER BY", "LIMIT", "INTERVAL", "range(9)"),
)  # fmt: skip
DOCUMENT = """\
apiVersion: ringfence/v1
kind: Mapping
metadata: {name: any, version: 1.0.0}
spec:
"""
CHECKER = SqlChecker()
FILE = Path(tempfile.mkdtemp(prefix="fuzz-mapping-")) / "mapping.yaml"


def sql_of(data: "atheris.FuzzedDataProvider") -> str:
    """Any text, or one of SQL's words."""
    if data.ConsumeBool():
        return str(data.ConsumeUnicode(500))
    count = data.ConsumeIntInRange(1, 25)
    return " ".join(PIECES[data.ConsumeIntInRange(0, len(PIECES) - 1)] for _ in range(count))


def fuzz_expression(data: "atheris.FuzzedDataProvider") -> None:
    """One expression: refused, or vetted to a text that is vetted to itself."""
    aggregates = data.ConsumeBool()
    with suppress(RefusedSqlError):
        safe = CHECKER.expression(sql_of(data), aggregates=aggregates)
        try:
            again = CHECKER.expression(safe, aggregates=aggregates)
        except RefusedSqlError as error:
            raise AssertionError(f"vetted, then refused: {safe}") from error
        assert again == safe


def fuzz_select(data: "atheris.FuzzedDataProvider") -> None:
    """One SELECT: refused, or one statement."""
    with suppress(RefusedSqlError):
        _, tree = CHECKER.select(f"SELECT {sql_of(data)}")
        assert len(tree["statements"]) == 1


def fuzz_file(data: "atheris.FuzzedDataProvider") -> None:
    """A whole file, with or without the head that every mapping has."""
    head = DOCUMENT if data.ConsumeBool() else ""
    FILE.write_bytes(head.encode() + data.ConsumeBytes(data.remaining_bytes()))
    with suppress(PolicyError):
        load_mapping(str(FILE))


def fuzz_one(content: bytes) -> None:
    """One of the three."""
    data = atheris.FuzzedDataProvider(content)
    which = (fuzz_expression, fuzz_select, fuzz_file)
    which[data.ConsumeIntInRange(0, 2)](data)


if __name__ == "__main__":
    atheris.Setup(sys.argv, fuzz_one)
    atheris.Fuzz()
