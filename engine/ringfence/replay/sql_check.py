"""What SQL may come from outside: single expressions in a mapping, one read-only SELECT as a source.

Text from outside is parsed, walked and written out again from its tree; only what was written out is
ever run. So a comment, a semicolon or an unbalanced bracket cannot reach the query it is placed in.
Expressions are held to a list of node kinds and of functions that neither read anything, nor have an
effect, nor make big values out of small ones.
"""

import json
from collections.abc import Iterator
from typing import Any

import duckdb

from ringfence.errors import InputError
from ringfence.language.suggest import did_you_mean
from ringfence.replay.sql_allowed import (
    AGGREGATES,
    EFFECTS,
    FUNCTIONS,
    MAX_GROWTH,
    MAX_REPLACEMENTS,
    NODE_KINDS,
    OPERATOR_NODES,
    OPERATORS,
    READERS,
    SESSION_WORDS,
    TABLE_FUNCTIONS,
    TYPES,
)

__all__ = [
    "MAX_EXPRESSION_CHARS",
    "RefusedSqlError",
    "SqlChecker",
    "named_tables",
    "quoted",
    "reader_calls",
    "text_literal",
]

#: Longer expressions are refused unread.
MAX_EXPRESSION_CHARS = 4000
_MAX_SELECT_CHARS = 100_000


class RefusedSqlError(Exception):
    """SQL that is refused; the message says what is wrong, `fix` how to mend it."""

    def __init__(self, message: str, fix: str = "") -> None:
        self.fix = fix
        super().__init__(message)


def quoted(name: str) -> str:
    """Return `name` as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def text_literal(text: str) -> str:
    """Return `text` as an SQL string."""
    return "'" + text.replace("'", "''") + "'"


class SqlChecker:
    """Parses and vets SQL in a DuckDB of its own that can reach nothing; close it, or use `with`."""

    def __init__(self) -> None:
        # The parser alone is used here: nothing that it parses is run.
        self._connection = duckdb.connect(config={"threads": 1})
        self._connection.execute("SET enable_external_access=false")
        self._connection.execute("SET lock_configuration=true")

    def __enter__(self) -> "SqlChecker":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let the parser go."""
        self._connection.close()

    def expression(self, text: str, *, aggregates: bool = False) -> str:
        """Return `text`, one SQL expression over the source's columns, as SQL that is safe to embed.

        Args:
            text: The expression.
            aggregates: Whether `sum`, `min` and the like may appear (below a `group_by`).

        Raises:
            RefusedSqlError: it does not parse, is not one expression, or uses what a mapping may not.
        """
        if len(text) > MAX_EXPRESSION_CHARS:
            raise RefusedSqlError(
                f"the expression is longer than {MAX_EXPRESSION_CHARS:,} characters",
                "split it, or prepare the column in a SELECT",
            )
        tree, serialized = self._parse(f"SELECT {text}", "expression", offset=len("SELECT "))
        node = _only_select(tree)
        columns = node["select_list"]
        if len(columns) != 1:
            raise RefusedSqlError(
                "this is not one expression", "give one value, without commas around it"
            )
        if columns[0].get("alias"):
            raise RefusedSqlError("an expression takes no `AS`", "the key already names the column")
        _plain_select(node)
        inner = list(_nodes(columns[0]))
        for one in inner:
            _check_node(one, aggregates)
        _check_growth(inner)
        return self._written(serialized).removeprefix("SELECT ")

    def select(self, text: str) -> tuple[str, dict[str, Any]]:
        """Return `text`, a read-only SELECT, as safe SQL, with its tree.

        Raises:
            RefusedSqlError: it does not parse, is not one SELECT, or calls something with an effect.
        """
        if len(text) > _MAX_SELECT_CHARS:
            raise RefusedSqlError(f"the SELECT is longer than {_MAX_SELECT_CHARS:,} characters")
        tree, serialized = self._parse(text, "SELECT")
        for node in _nodes(tree):
            name = str(node.get("function_name", "")).lower()
            if name in EFFECTS or (node.get("class") == "PARAMETER"):
                raise RefusedSqlError(f"`{name or 'a parameter'}` may not be used here")
        for call in _table_calls(tree):
            name = str(call["function_name"]).lower()
            if name not in TABLE_FUNCTIONS:
                raise RefusedSqlError(
                    f"the table function `{name}` may not be used here"
                    + did_you_mean(name, TABLE_FUNCTIONS)
                )
        return self._written(serialized), tree

    def _parse(self, sql: str, taken: str, offset: int = 0) -> tuple[dict[str, Any], str]:
        if "\0" in sql:
            raise RefusedSqlError("the SQL holds a zero byte", "remove it")
        try:
            row = self._connection.execute("SELECT json_serialize_sql(?)", [sql]).fetchone()
            serialized = str(row[0]) if row else ""
            tree: dict[str, Any] = json.loads(serialized)
        except RecursionError:
            raise RefusedSqlError("the SQL is nested too deeply", "make it simpler") from None
        except duckdb.Error as error:
            raise RefusedSqlError(_first_line(error)) from None
        if tree.get("error"):
            message = _first_line(tree.get("error_message", "it does not parse"))
            if "only select" in message.lower():
                raise RefusedSqlError(f"only a single {taken} is taken")
            if "expression depth" in message:
                raise RefusedSqlError("the SQL is nested too deeply", "make it simpler")
            place = str(tree.get("position") or "")
            where = f" (character {max(1, int(place) - offset + 1)})" if place.isdigit() else ""
            raise RefusedSqlError(f"{message}{where}")
        if not tree["statements"]:
            raise RefusedSqlError("there is none", "write a SELECT")
        if len(tree["statements"]) != 1:
            raise RefusedSqlError(
                "this is more than one statement", "remove the `;` and what follows it"
            )
        return tree, serialized

    def _written(self, serialized: str) -> str:
        """The SQL of a tree; it must itself be read as a tree that is written the same way."""
        written = self._write(serialized)
        try:
            again = self._write(self._parse(written, "SELECT")[1])
        except RefusedSqlError:
            again = ""
        if again != written:
            raise RefusedSqlError("the SQL cannot be written out again", "make it simpler")
        return written

    def _write(self, serialized: str) -> str:
        try:
            row = self._connection.execute(
                "SELECT json_deserialize_sql(?)", [serialized]
            ).fetchone()
        except duckdb.Error:
            raise RefusedSqlError("the SQL is nested too deeply", "make it simpler") from None
        return str(row[0]).rstrip().rstrip(";") if row else ""


def named_tables(tree: dict[str, Any]) -> list[str]:
    """Return the names that a SELECT reads `FROM` and that are files (CTEs and dotted names aside)."""
    defined = {
        str(entry.get("key", "")).lower()
        for node in _nodes(tree, every=True)
        for entry in (node.get("cte_map") or {}).get("map", [])
        if isinstance(entry, dict)
    }
    found = []
    for node in _nodes(tree, every=True):
        if node.get("type") == "BASE_TABLE":
            name = str(node.get("table_name", ""))
            if name.lower() not in defined and not node.get("schema_name"):
                found.append(name)
    return found


def reader_calls(tree: dict[str, Any]) -> list[str]:
    """Return the file names and globs that a SELECT gives to `read_csv` and its like.

    Raises:
        RefusedSqlError: a name is not written out as text, so that it cannot be known what will be read.
    """
    found: list[str] = []
    for call in _table_calls(tree):
        if str(call["function_name"]).lower() not in READERS:
            continue
        arguments = [one.get("expression", {}) for one in call.get("arguments", [])]
        texts = list(_texts(arguments[0])) if arguments else []
        if not texts:
            raise RefusedSqlError(
                f"`{call['function_name']}` needs its file written out as text",
                "name the files in quotes",
            )
        found += texts
    return found


def _texts(node: dict[str, Any]) -> Iterator[str]:
    if node.get("class") == "CONSTANT" and node.get("literal", {}).get("kind") == "STRING":
        yield str(node["literal"].get("text", ""))
        return
    inner = [one.get("expression", {}) for one in node.get("arguments", [])]
    inner += list(node.get("children", []))
    if node.get("function_name") in (None, "list_value") and inner:
        for one in inner:
            yield from _texts(one)


def _only_select(tree: dict[str, Any]) -> dict[str, Any]:
    node: dict[str, Any] = tree["statements"][0]["node"]
    if node.get("type") != "SELECT_NODE":
        raise RefusedSqlError(
            "this is not one expression", "give one value over the source's columns"
        )
    return node


def _plain_select(node: dict[str, Any]) -> None:
    extras = (
        "where_clause",
        "group_expressions",
        "group_sets",
        "having",
        "sample",
        "qualify",
        "modifiers",
    )
    if (
        (node.get("from_table") or {}).get("type") != "EMPTY"
        or any(node.get(extra) for extra in extras)
        or (node.get("cte_map") or {}).get("map")
        or node.get("aggregate_handling", "STANDARD_HANDLING") != "STANDARD_HANDLING"
    ):
        raise RefusedSqlError(
            "an expression takes no FROM, WHERE, GROUP BY, ORDER BY or LIMIT",
            "filter rows with `where`, group them with `group_by`",
        )


def _check_node(node: dict[str, Any], aggregates: bool) -> None:
    kind = str(node.get("class"))
    if kind not in NODE_KINDS:
        raise RefusedSqlError(f"{_WORDS.get(kind, kind.lower())} may not be used in a mapping")
    if kind == "COLUMN_REF":
        names = [str(name).lower() for name in node.get("column_names", [])]
        if len(names) == 1 and names[0] in SESSION_WORDS:
            raise RefusedSqlError(
                f"`{names[0]}` is not a column of the source, and differs from run to run"
            )
    elif kind == "FUNCTION":
        _check_function(node, aggregates)
    elif kind == "OPERATOR" and node.get("type") not in OPERATOR_NODES:
        what = str(node.get("type")).lower().replace("_", " ")
        raise RefusedSqlError(f"{what} may not be used in a mapping")
    elif kind == "TYPE":
        name = str(node.get("type_name", "")).lower()
        if node.get("schema") or node.get("catalog") or name not in TYPES:
            raise RefusedSqlError(
                f"the type `{name}` may not be used in a mapping" + did_you_mean(name, TYPES)
            )


def _check_growth(nodes: list[dict[str, Any]]) -> None:
    """Refuse replacements that, one inside the other, could blow a short text up."""
    calls = [
        n for n in nodes if str(n.get("function_name")).lower() in ("replace", "regexp_replace")
    ]
    if len(calls) > MAX_REPLACEMENTS:
        raise RefusedSqlError(f"more than {MAX_REPLACEMENTS} replacements in one expression")
    for call in calls:
        name = str(call["function_name"]).lower()
        arguments = [list(_texts(one.get("expression", {}))) for one in call.get("arguments", [])]
        if len(arguments) < 3 or not all(len(one) == 1 for one in arguments[1:]):
            raise RefusedSqlError(
                f"`{name}` needs what to replace, and by what, written out as text"
            )
        old, new = arguments[1][0], arguments[2][0]
        if name == "replace":
            grows = len(new) > MAX_GROWTH * max(1, len(old))
        else:
            grows = len(new) > 32 or new.count("\\") > MAX_GROWTH
        if grows or (name == "regexp_replace" and len(arguments) > 3 and len(new) > MAX_GROWTH):
            raise RefusedSqlError(f"`{name}` makes the text too long", "use a shorter replacement")


def _check_function(node: dict[str, Any], aggregates: bool) -> None:
    name = str(node.get("function_name", "")).lower()
    if node.get("schema") or node.get("catalog"):
        raise RefusedSqlError(f"`{name}` takes no schema before it")
    if node.get("is_operator") and name in OPERATORS:
        return
    if name in FUNCTIONS or (aggregates and name in AGGREGATES):
        return
    if name in AGGREGATES:
        raise RefusedSqlError(f"`{name}` needs a `group_by` in its section")
    raise RefusedSqlError(
        f"the function `{name}` may not be used in a mapping" + did_you_mean(name, FUNCTIONS),
        "use arithmetic, CASE, casts, and the text and time functions of DuckDB that have no effect",
    )


def _table_calls(tree: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for node in _nodes(tree, every=True):
        if node.get("type") == "TABLE_FUNCTION" and isinstance(node.get("function"), dict):
            yield node["function"]


def _nodes(tree: Any, *, every: bool = False) -> Iterator[dict[str, Any]]:
    """Every dict below `tree` that is an expression node, or every dict at all."""
    pending = [tree]
    while pending:
        item = pending.pop()
        if isinstance(item, dict):
            if every or "class" in item:
                yield item
            pending.extend(item.values())
        elif isinstance(item, list):
            pending.extend(item)


def _first_line(error: object) -> str:
    text = str(error).strip().splitlines()[0] if str(error).strip() else "it does not parse"
    for prefix in ("Parser Error: ", "Binder Error: ", "Invalid Input Error: "):
        text = text.removeprefix(prefix)
    # A word of SQL keeps its capitals.
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]


_WORDS = {
    "SUBQUERY": "a subquery",
    "WINDOW": "a window function",
    "STAR": "`*`",
    "PARAMETER": "a parameter",
    "LAMBDA": "a lambda",
    "COLLATE": "a collation",
    "DEFAULT": "`DEFAULT`",
    "POSITIONAL_REFERENCE": "a position such as `#1`",
}


def as_input_error(error: RefusedSqlError, what: str, fix: str) -> InputError:
    """Return a refused SELECT as the error that the user sees.

    Args:
        error: Why it is refused.
        what: What the SELECT is for.
        fix: What to do where the error does not say.
    """
    return InputError(f"{what}: {error}", error.fix or fix)
