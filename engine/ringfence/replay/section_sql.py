"""The SQL that reads one source: its columns through a mapping, typed, each row with its fault if any."""

import re
from collections import abc
from collections.abc import Callable, Container, Sequence

import duckdb

from ringfence.errors import Diagnostic, InputError, PolicyError, Span
from ringfence.language.scalars import clip
from ringfence.language.suggest import did_you_mean
from ringfence.replay.columns import KINDS, LEFT_OUT, priced_by, raw, typed_columns
from ringfence.replay.locate import Source
from ringfence.replay.locked import full_disk
from ringfence.replay.mapping import Mapping, Section
from ringfence.replay.source_columns import named_in, refuse_repeated, refuse_unequal
from ringfence.replay.sql_check import quoted, text_literal

# `nosec B608`: the SQL is put together from our own words, quoted names, and expressions that
# `sql_check` wrote; nothing else from outside gets in, and the database is locked.
__all__ = ["default_notes", "describe_columns", "first_line", "price_notes", "run", "union_sql"]

_ROW = "ringfence_row"
_CSV_ROW = re.compile(r"CSV Error on Line: (\d+)")
_CSV_COUNTS = re.compile(r"Expected Number of Columns: (\d+) Found: (\d+)")
_NO_CONDITIONS = ("VARCHAR", "DOUBLE", "FLOAT", "DECIMAL", "DATE", "TIME")
_TEXTS = ("id", "name", "side", "type", "book", "balance")
# All rows of all files, and not a sample of them.
_WHOLE_JSON = ("sample_size=-1", "maximum_sample_files=1000000")
# What a JSON reader makes of texts, and of values of more than one type.
_GUESSED = ("DATE", "TIME", "UUID", "JSON")
_NOT_UTF8 = "it is not UTF-8"
_ALIASES = {"marks": {"price"}}


def union_sql(
    database: duckdb.DuckDBPyConnection,
    kind: str,
    source: Source,
    mapping: Mapping | None,
    notes: list[str],
) -> str:
    """Return SQL of all rows of the source, typed, each with the reason why it cannot be replayed.

    Columns: `row`, `part` (which section), those of `kind`, `unit` where there is a time, `reason` (null
    for a good row, `LEFT_OUT` for one that the mapping leaves out) and `detail`.

    Args:
        database: Can reach the source.
        kind: orders, marks, fills or balances.
        source, mapping: What is read, and how; without a mapping its columns must have our names.
        notes: Gets what is taken for granted.

    Raises:
        InputError: the source cannot be read, or lacks columns.
        PolicyError: an expression of the mapping does not fit the source.
    """
    reading = _source_sql(database, kind, source, mapping)
    described = describe_columns(database, f"SELECT * FROM {reading}", source)  # nosec B608
    if mapping is None:
        _find_uneven_row(database, kind, source, described)
        ours = {column.name for column in KINDS[kind]} | _ALIASES.get(kind, set())
        _refuse_columns(database, source, described, lambda name: name.lower() in ours)
        sections: Sequence[Section] = [_identity(kind, source, described, notes)]
    else:
        sections = mapping.sections[kind]
        _refuse_named(database, source, described, mapping, sections)
    numbered = f"(SELECT row_number() OVER () AS {_ROW}, * FROM {reading})"  # nosec B608
    parts = []
    for part, section in enumerate(sections):
        mapped = _mapped_sql(section, numbered, part)
        types = _section_types(database, section, described)
        parts.append(_typed_sql(kind, mapped, types, notes))
    return " UNION ALL ".join(parts)


def _source_sql(
    database: duckdb.DuckDBPyConnection, kind: str, source: Source, mapping: Mapping | None
) -> str:
    """SQL for a FROM that yields the source's own columns, constants added and unpivoted where asked."""
    if source.format == "csv" and mapping is None:
        # As text, so that ids keep their zeros and sizes their digits.
        options: Sequence[str] = ("header=true", "all_varchar=true")
    else:
        options = mapping.reads.options(source.format) if mapping is not None else ()
        if source.format == "json" and not options:
            options = _json_options(database, kind, source, mapping)
    reader = source.reader(options)
    if mapping is None:
        return f"(SELECT * FROM {reader})"  # nosec B608
    if mapping.constants:
        columns_there = describe_columns(database, f"SELECT * FROM {reader}", source)  # nosec B608
        if taken := sorted(set(mapping.constants) & set(columns_there)):
            raise InputError(
                f"`{source.text}` has a column `{taken[0]}`, which the mapping `{mapping.name}` also "
                "has as a constant",
                "give the constant another name",
            )
    constants = "".join(f", {sql} AS {quoted(name)}" for name, sql in mapping.constants.items())
    rows = f"(SELECT *{constants} FROM {reader})"  # nosec B608
    if (unpivot := mapping.reads.unpivot) is None:
        return rows
    columns = ", ".join(quoted(name) for name in unpivot.columns)
    return (
        f"(SELECT * FROM {rows} UNPIVOT INCLUDE NULLS "  # nosec B608
        f"({quoted(unpivot.value)} FOR {quoted(unpivot.name)} IN ({columns})))"
    )


def _json_options(
    database: duckdb.DuckDBPyConnection, kind: str, source: Source, mapping: Mapping | None
) -> Sequence[str]:
    """Options of the reader that say of each column what it holds, found in the whole of the source.

    Left to itself it looks at the first rows alone: what follows is rounded to whole numbers where these are, and
    a column that comes later is not there. It also takes texts for dates and times, whichever of day and month
    it thinks comes first, drops their nanoseconds, and makes numbers of long ids that are no longer they; without
    a mapping, which may count on all that, ids, names and times stay as they are written.
    """
    kinds = dict.fromkeys(_ALIASES.get(kind, ()), "number")
    kinds |= {column.name: column.kind for column in KINDS[kind]}
    types = describe_columns(
        database, f"SELECT * FROM {source.reader(_WHOLE_JSON)}", source  # nosec B608
    )
    if list(types) == ["json"]:
        return ()
    for name, typed in types.items() if mapping is None else ():
        held = kinds.get(name.lower())
        if held in _TEXTS or (held is not None and typed.startswith(_GUESSED)):
            types[name] = "VARCHAR"
    pairs = ", ".join(f"{text_literal(n)}: {text_literal(t)}" for n, t in types.items())
    return (f"columns={{{pairs}}}",)


def _first_line(database: duckdb.DuckDBPyConnection, source: Source) -> str:
    options = (
        "auto_detect=false",
        "header=false",
        "delim='\x01'",
        "quote=''",
        "columns={'line': 'VARCHAR'}",
    )
    rows = run(database, f"SELECT line FROM {source.reader(options)} LIMIT 1", source)  # nosec B608
    return str(rows[0][0] or "") if rows else ""


def _refuse_named(
    database: duckdb.DuckDBPyConnection,
    source: Source,
    described: dict[str, str],
    mapping: Mapping,
    sections: Sequence[Section],
) -> None:
    options = mapping.reads.options("csv")
    if any(option.startswith("names=") for option in options):
        return
    read = [sql for each in sections for sql in (*each.columns.values(), each.where)]
    read += [sql for each in sections for sql in each.group_by]
    read += mapping.reads.unpivot.columns if mapping.reads.unpivot is not None else ()
    others = [o for o in options if not o.startswith(("header=", "all_varchar="))]
    _refuse_columns(database, source, described, named_in(read), others)


def _refuse_columns(
    database: duckdb.DuckDBPyConnection,
    source: Source,
    described: dict[str, str],
    is_read: Callable[[str], bool],
    options: Sequence[str] = (),
) -> None:
    refuse_repeated(database, source, described, is_read, options)
    refuse_unequal(database, source, is_read, options)


def _find_uneven_row(
    database: duckdb.DuckDBPyConnection, kind: str, source: Source, described: dict[str, str]
) -> None:
    """Name the row of a CSV that keeps its columns from being told apart, such as one that was cut off.

    Where some row has another number of values than the header, the database takes each line for one value, or
    a later line for the header.
    """
    named = {name.lower() for name in described}
    if source.format != "csv" or any(c.name in named for c in KINDS[kind] if c.required):
        return
    header = _first_line(database, source)
    if not header.strip():
        raise InputError(f"`{source.text}` is empty", "give a file with the names of its columns")
    for separator in (each for each in ",;\t|" if each in header):
        names = (f"c{place}: 'VARCHAR'" for place in range(header.count(separator) + 1))
        options = (
            "auto_detect=false",
            "header=true",
            f"delim={text_literal(separator)}",
            "quote='\"'",
            f"columns={{{', '.join(names)}}}",
        )
        # Counting alone would not look at the values.
        query = f"SELECT count(COLUMNS(*)) FROM {source.reader(options)}"  # nosec B608
        run(database, query, source)


def _identity(kind: str, source: Source, described: dict[str, str], notes: list[str]) -> Section:
    """The section of a source whose columns already bear our names."""
    by_name = {name.lower(): name for name in described}
    columns: dict[str, str] = {}
    for column in KINDS[kind]:
        if column.name in by_name:
            columns[column.name] = quoted(by_name[column.name])
    if "price" in by_name:
        columns |= dict.fromkeys(priced_by(kind, columns), quoted(by_name["price"]))
    missing = [c.name for c in KINDS[kind] if c.required and c.name not in columns]
    if missing:
        if source.format == "json" and list(described) == ["json"]:
            raise InputError(
                f"`{source.text}` holds no objects, and so no columns",
                "give a list of objects, or one object a line",
            )
        near = did_you_mean(missing[0], by_name)
        raise InputError(
            f"`{source.text}` has no column {', '.join(f'`{m}`' for m in missing)}"
            f" for {kind}{near}; it has {', '.join(f'`{clip(n)}`' for n in list(described)[:20])}",
            "rename the columns, or say with --mapping what they mean",
        )
    known = {column.name for column in KINDS[kind]} | _ALIASES.get(kind, set())
    ignored = [name for name in described if name.lower() not in known]
    if ignored:
        notes.append(f"columns of {kind} not used: {', '.join(ignored)}")
    notes += price_notes(kind, columns)
    return Section(columns=columns)


def _mapped_sql(section: Section, numbered: str, part: int) -> str:
    keep = f"coalesce(TRY({section.where}), false)" if section.where else "true"
    if section.group_by:
        items = [f"{sql} AS {raw(name)}" for name, sql in section.columns.items()]
        # What is left out must not count in a sum, and is a group of its own for each key.
        head = f"SELECT min({_ROW}) AS row, {part} AS part, {keep} AS keep"
        groups = ", ".join([*section.group_by, keep] if section.where else section.group_by)
        return f"({', '.join([head, *items])} FROM {numbered} GROUP BY {groups})"
    items = [f"TRY({sql}) AS {raw(name)}" for name, sql in section.columns.items()]
    head = f"SELECT {_ROW} AS row, {part} AS part, {keep} AS keep"
    return f"({', '.join([head, *items])} FROM {numbered})"


def _section_types(
    database: duckdb.DuckDBPyConnection, section: Section, described: dict[str, str]
) -> dict[str, str]:
    """DuckDB types of a section's columns; an expression that does not fit is named with its place."""
    # Binding against a row of NULLs of the same types needs no second look at the files.
    empty = ", ".join(
        f"CAST(NULL AS {typed}) AS {quoted(name)}" for name, typed in described.items()
    )
    types: dict[str, str] = {}
    faults: list[Diagnostic] = []
    tail = f" GROUP BY {', '.join(section.group_by)}" if section.group_by else ""
    pairs = [*section.columns.items(), *([("where", section.where)] if section.where else [])]
    for name, sql in pairs:
        grouped = tail if name != "where" else ""
        try:
            rows = database.execute(
                f"DESCRIBE SELECT {sql} AS value FROM (SELECT {empty}){grouped}"  # nosec B608
            ).fetchall()
        except duckdb.Error as error:
            faults.append(_misfit(name, error, section, described))
        else:
            types[name] = str(rows[0][1])
    if types.get("where", "").startswith(_NO_CONDITIONS):
        faults.append(_no_condition(section.spans.get("where"), types["where"]))
    if faults:
        raise PolicyError(faults)
    types.pop("where", None)
    return types


def _no_condition(span: Span | None, found: str) -> Diagnostic:
    return Diagnostic(
        "E181",
        f"`where` is no condition: it yields {found}",
        span,
        why="it says of each row whether it takes part",
        fix="compare something, as in `state = 'DONE'`",
    )


def _misfit(
    name: str, error: duckdb.Error, section: Section, described: dict[str, str]
) -> Diagnostic:
    columns = ", ".join(f"`{column}`" for column in list(described)[:30])
    span: Span | None = section.spans.get(name)
    return Diagnostic(
        "E181",
        f"`{name}` does not fit the source: {first_line(error)}",
        span,
        why=f"the source has the columns {columns}",
        fix="use these names; quote those with spaces in double quotes",
    )


def _typed_sql(kind: str, mapped: str, types: dict[str, str], notes: list[str]) -> str:
    typed = typed_columns(kind, types)
    moment = types.get("ts", "").upper()
    if moment == "VARCHAR":
        _note(notes, f"times of {kind}, where they name no zone, are read as UTC")
    elif moment.startswith("TIMESTAMP") and "ZONE" not in moment:
        _note(notes, f"times of {kind} without a zone are read as UTC")
    for note in default_notes(kind, types):
        _note(notes, note)
    first = ", ".join(f"{sql} AS {quoted(name)}" for name, sql in typed.typed.items())
    second = ", ".join(f"{sql} AS {quoted(name)}" for name, sql in typed.final.items())
    reasons = " ".join(f"WHEN {test} THEN {text_literal(why)}" for test, why, _ in typed.faults)
    details = " ".join(f"WHEN {text_literal(why)} THEN {detail}" for _, why, detail in typed.faults)
    found = f"CASE WHEN NOT keep THEN {text_literal(LEFT_OUT)} {reasons} END"
    return (
        f"SELECT row, part, {second}, reason, CASE reason {details} END AS detail "  # nosec B608
        f"FROM (SELECT *, {found} AS reason FROM (SELECT *, {first} FROM {mapped}))"
    )


def default_notes(kind: str, given: Container[str]) -> list[str]:
    """Return what is taken for granted where columns of `kind` are not `given`, in sentences."""
    if kind == "fills":
        return [] if "fee" in given else ["fills without a fee cost nothing"]
    if kind == "marks":
        lacking = [name for name in ("bid", "ask", "last") if name not in given]
        if not lacking:
            return []
        told = " nor ".join(lacking) if len(lacking) > 1 else lacking[0]
        return [
            f"marks have {'neither' if len(lacking) > 1 else 'no'} {told}: data-quality gates reject new risk where "
            "`required` names what is missing, as it does by default"
        ]
    if kind != "orders":
        return []
    notes = {
        "order_id": "orders have no ids: each is called `row-N` after its row",
        "account": "orders have no account: it is `main`",
        "strategy": "orders have no strategy: it is empty",
        "venue": "orders have no venue: it is empty",
        "type": "orders have no type: with a price they are limit orders, without one market orders",
        "price": "orders have no price",
        "reduce_only": "orders do not say whether they are reduce-only: none is",
        "end_ts": "orders do not say when they were cancelled or expired: none was",
    }
    return [note for name, note in notes.items() if name not in given]


def price_notes(kind: str, columns: abc.Mapping[str, str]) -> list[str]:
    """Return what the one price of marks is taken for, where `columns` take several from it."""
    if kind == "marks" and "bid" in columns and columns["bid"] == columns.get("last"):
        return ["marks have one price: it is bid, ask and last trade"]
    return []


def _note(notes: list[str], text: str) -> None:
    if text not in notes:
        notes.append(text)


def describe_columns(
    database: duckdb.DuckDBPyConnection, query: str, source: Source
) -> dict[str, str]:
    """Return the DuckDB type of each column of `query` over `source`."""
    return {str(row[0]): str(row[1]) for row in run(database, f"DESCRIBE {query}", source)}


def run(
    database: duckdb.DuckDBPyConnection, query: str, source: Source
) -> list[tuple[object, ...]]:
    """Return the rows of `query`.

    Raises:
        InputError: it fails; whatever goes wrong in it lies in the source.
    """
    try:
        return database.execute(query).fetchall()
    except duckdb.Error as error:
        why = first_line(error)
        fix = "check that the file is whole and in the format its name says"
        if source.format == "select":
            fix = "mend the SELECT, or the files that it reads"
        if full := full_disk(why, "for temporary files"):
            raise full from None
        if why.endswith(_NOT_UTF8):
            fix = "save it as UTF-8, and check that it is a CSV"
        raise InputError(f"`{source.text}` cannot be read: {why}", fix) from None


def first_line(error: object) -> str:
    """Return the telling line of a database error, without its class."""
    lines = str(error).strip().splitlines() or ["unknown error"]
    head, _, tail = lines[0].partition(": ")
    message = tail if head.endswith("Error") and tail else lines[0]
    if row := _CSV_ROW.search(message):
        message = f"line {row[1]}: {_csv_fault(lines[1:])}"
    elif message.lower().startswith("error when sniffing"):
        message = "its columns cannot be told apart"
    # An abbreviation keeps its capitals.
    return message if message[1:2].isupper() else message[:1].lower() + message[1:]


def _csv_fault(lines: Sequence[str]) -> str:
    for line in lines:
        if counts := _CSV_COUNTS.search(line):
            return f"it has {counts[2]} values where the first line has {counts[1]}"
        if "unicode" in line:
            return _NOT_UTF8
    told = [line.strip() for line in lines if line.strip() and not line.startswith("Original Line")]
    return told[0] if told else "it is no CSV"
