"""The columns of a dry run's inputs: their names, what they hold, and how SQL brings them to it.

`typed_columns` turns columns of any DuckDB type (or text) into ours: times to int64 nanoseconds UTC, numbers
to float64, words to codes. A row that cannot be replayed keeps its place and gets a reason.
"""

from collections.abc import Container, Mapping
from dataclasses import dataclass

from ringfence.replay.codes import BALANCE_WORDS, SIDE_WORDS, TYPE_WORDS
from ringfence.replay.sql_check import quoted, text_literal

__all__ = ["KINDS", "LEFT_OUT", "UNITS", "Column", "Typed", "priced_by", "raw", "typed_columns"]

#: Not a fault: the mapping's own `where` left the row out.
LEFT_OUT = "left out by the mapping"
#: How a time was written, by the code in the column `unit`.
UNITS = ("", "seconds", "milliseconds", "microseconds", "nanoseconds")


@dataclass(frozen=True, slots=True)
class Column:
    """One canonical column: `kind` is time, id, name, side, type, number, flag, book or balance."""

    name: str
    kind: str
    meaning: str
    required: bool = False
    default: str = ""


KINDS: Mapping[str, tuple[Column, ...]] = {
    "orders": (
        Column("ts", "time", "when the order was sent", required=True),
        Column("order_id", "id", "the order's id; without one, `row-N`"),
        Column("account", "name", "whose order it is", default="main"),
        Column("strategy", "name", "what sent it"),
        Column("venue", "name", "where it was sent"),
        Column("symbol", "name", "the instrument", required=True),
        Column("side", "side", "buy or sell", required=True),
        Column("type", "type", "limit, market, stop or stop_limit"),
        Column("size", "number", "how much, in units of the base", required=True),
        Column("price", "number", "limit or trigger price; missing for market orders"),
        Column("reduce_only", "flag", "the order may only make the position smaller"),
        Column("end_ts", "time", "when it was cancelled or expired; missing otherwise"),
        Column("expired", "flag", "`end_ts` is when it expired; otherwise it was cancelled then"),
    ),
    "marks": (
        Column("ts", "time", "when the prices were seen", required=True),
        Column("symbol", "name", "the instrument", required=True),
        Column("bid", "number", "best bid"),
        Column("ask", "number", "best ask"),
        Column("last", "number", "last trade; `price` is taken for it"),
        Column("bid_depth", "number", "size at the bid, in units of the base"),
        Column("ask_depth", "number", "size at the ask, in units of the base"),
        Column("volume", "number", "recent volume, in units of the base"),
    ),
    "fills": (
        Column("ts", "time", "when it was filled", required=True),
        Column("order_id", "id", "the order that was filled", required=True),
        Column("size", "number", "how much of it", required=True),
        Column("price", "number", "at which price", required=True),
        Column("fee", "number", "what it cost; missing is 0"),
    ),
    "balances": (
        Column(
            "ts",
            "time",
            "when the money moved; an opening balance without one holds from the start",
        ),
        Column("book", "book", "firm, account/NAME or strategy/NAME", required=True),
        Column("kind", "balance", "opening, deposit or withdrawal", required=True),
        Column(
            "amount", "number", "how much; above zero for a deposit or a withdrawal", required=True
        ),
    ),
}

# What the one price of marks stands for: of what is quoted where nothing is, else of the last trade alone.
_QUOTE = ("bid", "ask", "last")


def priced_by(kind: str, given: Container[str]) -> tuple[str, ...]:
    """The columns of `kind` that a column `price` stands for, which is none of its own, beside those `given`."""
    if kind != "marks" or "last" in given:
        return ()
    return ("last",) if "bid" in given or "ask" in given else _QUOTE


_INTEGERS = frozenset(
    ["TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"]
)
_NUMBERS = frozenset(["HUGEINT", "UHUGEINT", "UBIGINT", "FLOAT", "DOUBLE"])
_LARGEST = (100_000_000_000, 100_000_000_000_000, 100_000_000_000_000_000)


@dataclass(frozen=True, slots=True)
class Typed:
    """SQL of canonical columns, in two steps, so that nothing is worked out twice.

    Attributes:
        typed: By canonical column: from the raw columns, named `raw NAME`.
        final: By canonical column: from the typed ones, named `NAME`.
        faults: (condition, reason, detail) over raw and typed columns, in the order in which they count.
    """

    typed: Mapping[str, str]
    final: Mapping[str, str]
    faults: tuple[tuple[str, str, str], ...]


def raw(name: str) -> str:
    """Return the SQL name of a canonical column before it is typed."""
    return quoted(f"raw {name}")


def typed_columns(kind: str, given: Mapping[str, str]) -> Typed:
    """Return the SQL of the columns of `kind`, from columns that are there.

    Args:
        kind: `orders`, `marks`, `fills` or `balances`.
        given: DuckDB type by canonical name of the raw columns that there are; a missing column gets
            its default.
    """
    typing = _Typing(given)
    for column in KINDS[kind]:
        getattr(typing, column.kind)(column)
    getattr(typing, f"finish_{kind}")()
    final = {name: typing.final.get(name, quoted(name)) for name in typing.typed}
    return Typed(typing.typed, final, tuple(typing.faults))


class _Typing:
    """Collects select items and faults, one method for a kind of column."""

    def __init__(self, given: Mapping[str, str]) -> None:
        self._given = given
        self.typed: dict[str, str] = {}
        self.final: dict[str, str] = {}
        self.faults: list[tuple[str, str, str]] = []

    def _ref(self, column: Column) -> str:
        return raw(column.name) if column.name in self._given else "NULL"

    def _type(self, column: Column) -> str:
        return self._given.get(column.name, "VARCHAR").upper()

    def _is_text(self, column: Column) -> bool:
        return column.name in self._given and self._type(column) == "VARCHAR"

    def _missing(self, column: Column, reason: str, *, where_given: bool = False) -> None:
        """A fault where the typed column is missing; `where_given`: although the raw one is there."""
        test = f"{quoted(column.name)} IS NULL"
        ref = self._ref(column)
        if where_given:
            if column.name not in self._given:
                return
            test += f" AND {_is_given(ref)}"
        self.faults.append((test, reason, _shown(ref)))

    def time(self, column: Column) -> None:
        nanoseconds, unit = _nanoseconds(self._ref(column), self._type(column))
        self.typed[column.name] = nanoseconds
        if column.name == "ts":
            self.typed["unit"] = unit
        if column.required:
            self._missing(column, "no usable time")
        elif column.name == "end_ts":
            self._missing(column, "end_ts is not a time", where_given=True)
            self.final[column.name] = f"coalesce({quoted(column.name)}, 0)"

    def id(self, column: Column) -> None:
        text = f"nullif({_trimmed(self._ref(column))}, '')"
        self.typed[column.name] = text if column.required else f"coalesce({text}, 'row-' || row)"
        if column.required:
            self._missing(column, "no order id")

    def name(self, column: Column) -> None:
        if column.name not in self._given:
            self.typed[column.name] = text_literal(column.default)
            return
        self.typed[column.name] = f"coalesce({_trimmed(self._ref(column))}, '')"
        if column.required or column.default:
            self.faults.append((f"{quoted(column.name)} = ''", f"no {column.name}", "''"))

    def side(self, column: Column) -> None:
        # Not `_word_key`: a side has a sign to keep.
        self.typed[column.name] = _code(f"lower({_trimmed(self._ref(column))})", SIDE_WORDS)
        self._missing(column, "side is neither buy nor sell")

    def type(self, column: Column) -> None:
        self.typed[column.name] = _code(_word_key(self._ref(column)), TYPE_WORDS)
        self._missing(column, "unknown order type", where_given=True)

    def balance(self, column: Column) -> None:
        self.typed[column.name] = _code(_word_key(self._ref(column)), BALANCE_WORDS)
        self._missing(column, "unknown kind of balance")

    def book(self, column: Column) -> None:
        self.typed[column.name] = _trimmed(self._ref(column))
        good = f"regexp_full_match({quoted(column.name)}, 'firm|(account|strategy)/.+')"
        self.faults.append(
            (f"NOT coalesce({good}, false)", "unknown book", _shown(self._ref(column)))
        )

    def number(self, column: Column) -> None:
        self.typed[column.name] = f"TRY_CAST({self._ref(column)} AS DOUBLE)"
        self.final[column.name] = f"coalesce({quoted(column.name)}, CAST('NaN' AS DOUBLE))"
        if self._is_text(column):
            self._missing(column, f"{column.name} is not a number", where_given=True)

    def flag(self, column: Column) -> None:
        self.typed[column.name] = f"TRY_CAST({self._ref(column)} AS BOOLEAN)"
        self.final[column.name] = f"CAST(coalesce({quoted(column.name)}, false) AS UTINYINT)"
        if self._is_text(column):
            self._missing(column, f"{column.name} is neither true nor false", where_given=True)

    def _above_zero(self, name: str) -> None:
        number = quoted(name)
        shown = _shown(raw(name))
        self.faults += [
            (f"{number} IS NULL", f"no {name}", shown),
            (f"NOT isfinite({number})", f"{name} is not finite", shown),
            (f"{number} <= 0", f"{name} is not above zero", shown),
        ]

    def finish_orders(self) -> None:
        # A type that is not said: a price makes it a limit order.
        unsaid = "CASE WHEN price IS NULL OR isnan(price) THEN 1 ELSE 0 END"
        self.final["type"] = f'CAST(coalesce("type", {unsaid}) AS TINYINT)'
        self._above_zero("size")

    def finish_marks(self) -> None:
        none = " AND ".join(
            f"({name} IS NULL OR isnan({name}))" for name in ("bid", "ask", '"last"')
        )
        self.faults.append((none, "no price at all", "''"))

    def finish_fills(self) -> None:
        self._above_zero("size")
        self._above_zero("price")
        self.final["fee"] = "CASE WHEN fee IS NULL OR isnan(fee) THEN 0 ELSE fee END"

    def finish_balances(self) -> None:
        opening = "coalesce(kind = 0, false)"
        # An opening balance without a time holds from the start.
        self.final["ts"] = f"coalesce(ts, CASE WHEN {opening} THEN 0 END)"
        self.faults += [
            (f"ts IS NULL AND NOT {opening}", "no usable time", "''"),
            ("NOT coalesce(isfinite(amount), false)", "no usable amount", "''"),
            (
                f"NOT {opening} AND amount <= 0",
                "amount is not above zero",
                "CAST(amount AS VARCHAR)",
            ),
        ]


def _nanoseconds(ref: str, typed: str) -> tuple[str, str]:
    """SQL of a time in nanoseconds, and of the unit in which it was written."""
    if ref == "NULL":
        return "CAST(NULL AS BIGINT)", "0"
    if typed.startswith("TIMESTAMP"):
        return f"TRY(epoch_ns({ref}))", "0"
    if typed == "DATE":
        return f"TRY(epoch_ns(CAST({ref} AS TIMESTAMP)))", "0"
    if typed in _INTEGERS:
        whole = f"CAST({ref} AS BIGINT)"
        return f"TRY({whole} * CAST({_factor(whole)} AS BIGINT))", _unit(whole)
    if typed in _NUMBERS or typed.startswith("DECIMAL"):
        return _decimal_time(f"TRY_CAST({ref} AS DECIMAL(28, 9))")
    text = _trimmed(ref)
    number, unit = _decimal_time(f"TRY_CAST({text} AS DECIMAL(28, 9))")
    # TIMESTAMPTZ holds microseconds; what is finer is added again.
    stamp = rf"TRY_CAST(regexp_replace({text}, '(\.\d{{6}})\d+', '\1') AS TIMESTAMPTZ)"
    finer = rf"CAST(rpad(regexp_extract({text}, '\.\d{{6}}(\d{{1,3}})', 1), 3, '0') AS BIGINT)"
    iso = f"TRY(epoch_us({stamp}) * 1000 + {finer})"
    is_number = rf"regexp_full_match({text}, '[-+]?\d+(\.\d*)?')"
    return (
        f"CASE WHEN {is_number} THEN {number} ELSE {iso} END",
        f"CASE WHEN {is_number} THEN {unit} ELSE 0 END",
    )


def _decimal_time(value: str) -> tuple[str, str]:
    factor = f"CAST({_factor(value)} AS DECIMAL(10, 0))"
    return f"TRY(CAST({value} * {factor} AS BIGINT))", _unit(value)


def _factor(value: str) -> str:
    # Every date from 1973 to the end of int64 nanoseconds has exactly one of these readings.
    return _by_magnitude(value, (1_000_000_000, 1_000_000, 1000, 1))


def _unit(value: str) -> str:
    return _by_magnitude(value, (1, 2, 3, 4))


def _by_magnitude(value: str, results: tuple[int, int, int, int]) -> str:
    steps = zip(_LARGEST, results, strict=False)
    cases = " ".join(f"WHEN abs({value}) < {largest} THEN {result}" for largest, result in steps)
    return f"CASE {cases} ELSE {results[3]} END"


def _code(key: str, words: Mapping[str, int]) -> str:
    cases = " ".join(f"WHEN {text_literal(word)} THEN {code}" for word, code in words.items())
    return f"CAST(CASE {key} {cases} END AS TINYINT)"


def _word_key(ref: str) -> str:
    return f"replace(replace(lower({_trimmed(ref)}), '-', '_'), ' ', '_')"


def _trimmed(ref: str) -> str:
    return f"trim(CAST({ref} AS VARCHAR))"


def _is_given(ref: str) -> str:
    return f"coalesce({_trimmed(ref)}, '') <> ''"


def _shown(ref: str) -> str:
    return f"coalesce(left(CAST({ref} AS VARCHAR), 80), '')"
