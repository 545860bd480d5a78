"""Mapping files: a foreign export's columns as ours, said in SQL expressions.

A mapping is YAML (`kind: Mapping`, shape in `schemas/mapping.v1.schema.json`). Each expression is one SQL
expression over one row of the source, vetted by `sql_check` when the file is loaded; the mapping cannot name
a file, a table or a setting. Shipped ones are known by name, such as `binance-order-history`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from ringfence.errors import Diagnostic, InputError, PolicyError, Span
from ringfence.language.source import Document
from ringfence.language.suggest import did_you_mean, one_of
from ringfence.replay.columns import KINDS
from ringfence.replay.mapping_document import read_mapping_document
from ringfence.replay.sql_check import RefusedSqlError, SqlChecker, text_literal

__all__ = ["Mapping", "Reads", "Section", "Unpivot", "load_mapping", "mapping_names"]


@dataclass(frozen=True, slots=True)
class Unpivot:
    """Wide to long: `columns` become rows, their names in the column `name`, their values in `value`."""

    columns: tuple[str, ...]
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Reads:
    """How the source is read.

    Attributes:
        format: `csv`, `json` or `parquet` where the file name does not tell.
        csv, json: Options of the reader, as `key=value` SQL.
        unpivot: Wide to long, where asked.
        newest_first: Rows of one time stand in the source with the latest first.
    """

    format: str | None = None
    csv: tuple[str, ...] = ("header=true", "all_varchar=true")
    json: tuple[str, ...] = ()
    unpivot: Unpivot | None = None
    newest_first: bool = False

    def options(self, file_format: str) -> Sequence[str]:
        """Return the reader's options for a format."""
        return {"csv": self.csv, "json": self.json}.get(file_format, ())


@dataclass(frozen=True, slots=True)
class Section:
    """One way in which rows of the source become rows of ours; all SQL is vetted.

    Attributes:
        columns: Expression by canonical column.
        where: Which rows take part; none means all.
        group_by: Expressions; rows that agree in them become one, and aggregates may be used.
        spans: Place of each expression in the mapping, by column, `where` or `group_by`.
    """

    columns: dict[str, str]
    where: str = ""
    group_by: tuple[str, ...] = ()
    spans: dict[str, Span] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Mapping:
    """A loaded mapping.

    Attributes:
        name, version, description: From its metadata.
        reads: How the source is read.
        constants: SQL literal by name; expressions use them like columns.
        assumptions: What it takes for granted, in sentences.
        sections: Sections by kind: orders, marks, fills, balances. Several give several rows a row.
    """

    name: str
    version: str
    description: str
    reads: Reads
    constants: dict[str, str]
    sections: dict[str, tuple[Section, ...]]
    assumptions: tuple[str, ...] = ()

    def needs(self, kind: str) -> "Mapping":
        """Return this mapping.

        Raises:
            InputError: it says nothing of `kind`.
        """
        if kind not in self.sections:
            raise InputError(
                f"the mapping `{self.name}` gives no {kind}, only {', '.join(self.sections)}",
                f"use another mapping, or add a section `{kind}`",
            )
        return self


def mapping_names() -> list[str]:
    """Return the names of the shipped mappings, sorted."""
    folder = files("ringfence.replay") / "mappings"
    return sorted(
        one.name.removesuffix(".yaml") for one in folder.iterdir() if one.name.endswith(".yaml")
    )


def load_mapping(reference: str) -> Mapping:
    """Return the mapping that `reference` names: a shipped one's name, or a path.

    Raises:
        InputError: there is none.
        PolicyError: the file is no usable mapping; all faults are in it.
    """
    if "/" in reference or reference.endswith((".yaml", ".yml")):
        return _load(read_mapping_document(Path(reference)))
    names = mapping_names()
    if reference not in names:
        raise InputError(
            f"there is no mapping `{reference[:80]}`{did_you_mean(reference, names)}",
            f"use a path, or one of {one_of(names)}",
        )
    shipped = files("ringfence.replay") / "mappings" / f"{reference}.yaml"
    with as_file(shipped) as path:
        return _load(read_mapping_document(path, f"{reference}.yaml"))


def _load(document: Document) -> Mapping:
    spec: dict[str, Any] = document.data["spec"]
    faults: list[Diagnostic] = []
    with SqlChecker() as checker:
        sections = {
            kind: tuple(_sections(kind, spec[kind], document, checker, faults))
            for kind in KINDS
            if kind in spec
        }
    if not sections:
        faults.append(
            Diagnostic(
                "E152",
                "the mapping has no section",
                document.key_span("spec"),
                why="it has to say what the rows of the source are",
                fix=f"add one of {one_of(KINDS)}",
            )
        )
    if faults:
        raise PolicyError(faults)
    metadata = document.data["metadata"]
    return Mapping(
        name=metadata["name"],
        version=metadata["version"],
        description=metadata.get("description", ""),
        reads=_reads(spec.get("reads", {})),
        constants={name: _literal(value) for name, value in spec.get("constants", {}).items()},
        sections=sections,
        assumptions=tuple(spec.get("assumptions", ())),
    )


def _sections(
    kind: str,
    given: dict[str, Any] | list[dict[str, Any]],
    document: Document,
    checker: SqlChecker,
    faults: list[Diagnostic],
) -> Iterable[Section]:
    several = isinstance(given, list)
    for place, one in enumerate(given if isinstance(given, list) else [given]):
        path: tuple[str | int, ...] = ("spec", kind, place) if several else ("spec", kind)
        section = _section(one, path, document, checker, faults)
        required = {c.name for c in KINDS[kind] if c.required}
        if kind == "orders" and several:
            # Two orders of one row cannot both be called after it.
            required.add("order_id")
        for name in sorted(required - set(one)):
            faults.append(
                Diagnostic(
                    "E152",
                    f"`{kind}` needs `{name}`",
                    document.key_span(*path),
                    why=f"{name} is {_meaning(kind, name)}",
                    fix=f"add `{name}:` with an expression",
                )
            )
        yield section


def _section(
    given: dict[str, Any],
    path: tuple[str | int, ...],
    document: Document,
    checker: SqlChecker,
    faults: list[Diagnostic],
) -> Section:
    spans = {name: document.span(*path, name) for name in given}
    group_by = tuple(
        _expression(text, document.span(*path, "group_by", place), checker, faults)
        for place, text in enumerate(given.get("group_by", ()))
    )
    columns: dict[str, str] = {}
    where = ""
    for name, text in given.items():
        if name == "where":
            where = _expression(text, spans[name], checker, faults)
        elif name != "group_by":
            columns[name] = _expression(
                text, spans[name], checker, faults, aggregates=bool(group_by)
            )
    return Section(columns, where, group_by, spans)


def _expression(
    text: str,
    span: Span,
    checker: SqlChecker,
    faults: list[Diagnostic],
    *,
    aggregates: bool = False,
) -> str:
    try:
        return checker.expression(text, aggregates=aggregates)
    except RefusedSqlError as error:
        faults.append(
            Diagnostic(
                "E180",
                str(error),
                span,
                why="a mapping holds single SQL expressions over one row, which can reach nothing else",
                fix=error.fix or "write one expression, such as `CAST(qty AS DOUBLE)`",
            )
        )
        return "NULL"


def _meaning(kind: str, name: str) -> str:
    return next(column.meaning for column in KINDS[kind] if column.name == name)


def _reads(given: dict[str, Any]) -> Reads:
    csv = [f"header={str(given.get('header', 'names' not in given)).lower()}", "all_varchar=true"]
    for key, option in (("delimiter", "delim"), ("quote", "quote"), ("null_text", "nullstr")):
        if key in given:
            csv.append(f"{option}={text_literal(given[key])}")
    if "skip" in given:
        csv.append(f"skip={int(given['skip'])}")
    if "names" in given:
        csv.append(f"names=[{', '.join(text_literal(name) for name in given['names'])}]")
    json: tuple[str, ...] = ()
    if "types" in given:
        pairs = ", ".join(
            f"{text_literal(n)}: {text_literal(t)}" for n, t in given["types"].items()
        )
        json = (f"columns={{{pairs}}}",)
    unpivot = None
    if "unpivot" in given:
        asked = given["unpivot"]
        unpivot = Unpivot(tuple(asked["columns"]), asked["name"], asked["value"])
    return Reads(
        given.get("format"), tuple(csv), json, unpivot, bool(given.get("newest_first", False))
    )


def _literal(value: str | int | float | bool) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return (
            f"CAST({format(Decimal(str(value)), 'f')} AS DOUBLE)"
            if isinstance(value, float)
            else str(value)
        )
    return text_literal(value)
