"""Hostile mappings: whatever is in one, it is refused or it works; nothing runs, nothing is written."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from replay.stream_rows import columns_of
from ringfence.errors import Diagnostic, InputError, PolicyError
from ringfence.replay.columns import KINDS
from ringfence.replay.mapping import load_mapping
from ringfence.replay.sources import open_orders
from ringfence.replay.sql_check import RefusedSqlError, SqlChecker

pytestmark = pytest.mark.security

# A whole run opens two databases; a tenth of the profile's examples is as long as a profile should take.
WHOLE_RUNS = max(20, settings.default.max_examples // 10)

PIECES = [
    "ts", "symbol", "size", '"side"', "'x'", "1", "0", "-1", "1e308", "NULL", "true", "+", "-", "*", "/", "||",
    "(", ")", ",", ";", "--", "/*", "*/", "$$", "'", '"', "SELECT", "FROM", "WHERE", "UNION", "COPY", "TO",
    "ATTACH", "INSTALL", "LOAD", "SET", "PRAGMA", "CALL", "CREATE", "read_csv", "read_text('/etc/passwd')",
    "glob('*')", "getenv('HOME')", "write_log('x')", "sleep_ms(100000)", "repeat('x', 1000000000)", "range(1000000000)",
    "CASE", "WHEN", "THEN", "ELSE", "END", "CAST(", "AS", "DOUBLE", "VARCHAR", "[", "]", "{", "}", ":", "::",
    "lower(", "replace(", "regexp_extract(", "concat(", "sum(", "OVER ()", "IN", "IS", "NOT", "EXISTS", "?", "$1",
    "COLUMNS('.*')", "current_setting('temp_directory')", "main.lower(", "x -> x", "ORDER BY", "LIMIT", "INTERVAL",
]  # fmt: skip
PIECES_TEXT = st.lists(st.sampled_from(PIECES), min_size=1, max_size=12).map(" ".join)
VALID = st.sampled_from(
    [
        "ts", "symbol", "size", "side", "NULL", "1", "'buy'", "size * 2", "size / 0", "-size", "CAST(size AS VARCHAR)",
        "lower(side)", "symbol || '/' || side", "CASE WHEN size > 1 THEN 'sell' ELSE 'buy' END", "exp(size * 1000)",
        "CAST(symbol AS DOUBLE)", "to_timestamp(size)", "DATE '2024-01-01'", "regexp_extract(symbol, '[A-Z]+')",
        "9223372036854775807", "1e400", "'Infinity'", "'NaN'", "'2024-01-01'", "TRUE", "list_extract(ts, 1)",
        "strptime(side, '%')", "split_part(symbol, '', 999999999)", "right(symbol, -9223372036854775808)",
        "substr(symbol, 9223372036854775807)", "ts + INTERVAL '300000 years'", "log(-1)", "sqrt(-1)",
    ]
)  # fmt: skip
EXPRESSION = st.one_of(VALID, PIECES_TEXT, st.text(max_size=40))


@pytest.fixture(scope="module")
def checker() -> Iterator[SqlChecker]:
    with SqlChecker() as one:
        yield one


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("fuzz")
    (made / "work").mkdir()
    (made / "scratch").mkdir()
    (made / "orders.csv").write_text(
        "ts,symbol,side,size\n2024-01-01,BTC/USDT,buy,1.5\n1700000000,,sell,x\n,ETH,,\n",
        encoding="utf-8",
    )
    return made


@given(text=st.one_of(PIECES_TEXT, st.text(max_size=200)), aggregates=st.booleans())
def test_an_expression_is_refused_or_comes_back_as_one_safe_expression(
    checker: SqlChecker, text: str, aggregates: bool
) -> None:
    try:
        safe = checker.expression(text, aggregates=aggregates)
    except RefusedSqlError:
        return
    # What was written out is itself one expression with the same meaning.
    assert checker.expression(safe, aggregates=aggregates) == safe


@given(text=st.one_of(PIECES_TEXT, st.text(max_size=200)).map("SELECT {}".format))
def test_a_select_is_refused_or_stays_one_select(checker: SqlChecker, text: str) -> None:
    try:
        safe, tree = checker.select(text)
    except RefusedSqlError:
        return
    assert len(tree["statements"]) == 1
    assert safe.upper().startswith(("SELECT", "WITH", "(", "FROM", "VALUES"))


@given(
    depth=st.integers(100, 1900),
    pair=st.sampled_from(["()", "NOT ", "- ", "lower()", "1+", "a||", "CASE WHEN true THEN "]),
)
def test_deep_nesting_is_refused_or_fine_and_never_fatal(
    checker: SqlChecker, depth: int, pair: str
) -> None:
    closing = {"(": ")", "lower(": ")"}
    head = pair.removesuffix(")")
    text = (
        head * depth + "size" + closing.get(head, " END" if head.startswith("CASE") else "") * depth
    )
    with suppress(RefusedSqlError):
        checker.expression(text)


@settings(max_examples=WHOLE_RUNS)
@given(
    columns=st.dictionaries(
        st.sampled_from([column.name for column in KINDS["orders"]]), EXPRESSION, min_size=1
    ),
    where=st.one_of(st.none(), EXPRESSION),
)
def test_a_run_through_any_mapping_ends_and_leaves_no_file(
    folder: Path, columns: dict[str, str], where: str | None
) -> None:
    section = {"ts": "ts", "symbol": "symbol", "side": "side", "size": "size", **columns}
    if where is not None:
        section["where"] = where
    document = {
        "apiVersion": "ringfence/v1",
        "kind": "Mapping",
        "metadata": {"name": "any", "version": "1.0.0"},
        "spec": {"orders": section},
    }
    path = folder / "mapping.yaml"
    path.write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    before = os.getcwd()
    os.chdir(folder / "work")
    try:
        stream = open_orders(str(folder / "orders.csv"), str(path), scratch=folder / "scratch")
        orders = columns_of(stream)
        left_out = 3 - len(orders.get("ts", [])) - stream.rejects.total
        assert left_out >= 0 if where is not None else left_out == 0
        assert all(size > 0 for size in orders.get("size", []))
    except (InputError, PolicyError):
        return
    finally:
        os.chdir(before)
        assert list((folder / "work").iterdir()) == []
        assert sorted(one.name for one in folder.iterdir()) == [
            "mapping.yaml",
            "orders.csv",
            "scratch",
            "work",
        ]


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), VALID
)
NAMES = st.sampled_from(
    ["orders", "marks", "fills", "balances", "reads", "constants", "assumptions", "where", "group_by", "ts", "symbol",
     "side", "size", "unpivot", "columns", "names", "types", "format", "delimiter", "x"]
)  # fmt: skip
TREES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=4)),
    max_leaves=12,
)


@given(spec=TREES)
def test_a_document_of_any_shape_loads_or_is_refused_with_findings(
    folder: Path, spec: object
) -> None:
    document = {
        "apiVersion": "ringfence/v1",
        "kind": "Mapping",
        "metadata": {"name": "x", "version": "1.0.0"},
        "spec": spec,
    }
    path = folder / "mapping.yaml"
    path.write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    findings: tuple[Diagnostic, ...] = ()
    loaded = False
    try:
        loaded = bool(load_mapping(str(path)).sections)
    except PolicyError as error:
        findings = error.diagnostics
    assert loaded or findings
    assert all(finding.message for finding in findings)


@settings(max_examples=WHOLE_RUNS)
@given(
    content=st.one_of(
        st.binary(max_size=300),
        st.text(max_size=300).map(lambda text: text.encode("utf-8", "replace")),
    )
)
@pytest.mark.parametrize("suffix", ["csv", "json", "parquet", "csv.gz"])
def test_a_source_of_any_bytes_is_read_or_refused(
    folder: Path, content: bytes, suffix: str
) -> None:
    path = folder / "scratch" / f"any.{suffix}"
    path.write_bytes(content)
    with suppress(InputError):
        columns_of(open_orders(str(path)))
    path.unlink()
