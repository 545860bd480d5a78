"""`kind: Instruments`: symbols with their trading rules, FX rates, and who may trade."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from ringfence.errors import Diagnostic, Span
from ringfence.language.source import Document

__all__ = [
    "Desk",
    "Instrument",
    "convert",
    "countable",
    "declared_otherwise",
    "read_correlation",
    "read_instruments",
    "to_decimal",
]


def to_decimal(value: Any) -> Decimal | None:
    """An exact decimal from text, int, float (by its shortest text) or Decimal; None if none."""
    if isinstance(value, Decimal):
        return value if value.is_finite() else None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = Decimal(str(value).strip().replace("_", ""))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


# Beyond it no venue has a step, size or rate, and float64 cannot count any more.
_MOST_DIGITS = 30


def countable(number: Decimal) -> bool:
    """Whether a size, price or rate is of a magnitude that can be counted with."""
    return not number or abs(number.adjusted()) <= _MOST_DIGITS


@dataclass(slots=True)
class Instrument:
    """A symbol's trading rules; `fx` turns its quote currency into the policy set's currency."""

    symbol: str
    lot_step: Decimal = Decimal("0.00000001")
    min_size: Decimal | None = None
    max_size: Decimal | None = None
    tick_size: Decimal | None = None
    multiplier: float = 1.0
    base: str = ""
    quote: str = ""
    min_notional: float = 0.0
    full_close_exempt: bool = False
    fx: float = 1.0

    @property
    def lot_multiplier(self) -> float:
        """Money per lot and unit of price: lot step x multiplier x FX."""
        return float(self.lot_step) * self.multiplier * self.fx


@dataclass(slots=True)
class Desk:
    """Everything declared beside the policies; `fx` holds `("EUR", "USD") -> rate`."""

    instruments: dict[str, Instrument] = field(default_factory=dict)
    fx: dict[tuple[str, str], float] = field(default_factory=dict)
    accounts: tuple[str, ...] = ()
    strategies: tuple[str, ...] = ()
    venues: tuple[str, ...] = ()
    correlations: dict[tuple[str, str], tuple[float, float]] = field(default_factory=dict)

    def merge(self, other: "Desk") -> None:
        """Add what another document declares."""
        self.instruments.update(other.instruments)
        self.fx.update(other.fx)
        self.correlations.update(other.correlations)
        for name in ("accounts", "strategies", "venues"):
            setattr(self, name, tuple(dict.fromkeys((*getattr(self, name), *getattr(other, name)))))

    def canonical(self) -> dict[str, Any]:
        """For the policy set's hash."""
        return {
            "instruments": {
                symbol: [
                    str(each.lot_step.normalize()),
                    str(each.min_size),
                    str(each.max_size),
                    str(each.tick_size),
                    repr(each.multiplier),
                    each.base,
                    each.quote,
                    repr(each.min_notional),
                    each.full_close_exempt,
                ]
                for symbol, each in sorted(self.instruments.items())
            },
            "fx": [[*pair, repr(rate)] for pair, rate in sorted(self.fx.items())],
            "universe": [sorted(self.accounts), sorted(self.strategies), sorted(self.venues)],
            "correlations": [
                [*pair, repr(rho), repr(count)]
                for pair, (rho, count) in sorted(self.correlations.items())
            ],
        }


def convert(fx: Mapping[tuple[str, str], float], source: str, target: str) -> float | None:
    """Rate from `source` to `target`: declared, or the inverse of a declared one; None without."""
    if source == target or not source or not target:
        return 1.0
    if (source, target) in fx:
        return fx[source, target]
    if (target, source) in fx:
        return 1.0 / fx[target, source]
    return None


_NUMBERS = ("lot_step", "min_size", "max_size", "tick_size", "multiplier", "min_notional")


def read_instruments(document: Document) -> tuple[Desk, list[Diagnostic]]:
    """Read a document already checked against its schema; findings are `E218`."""
    spec, desk, findings = document.data["spec"], Desk(), list[Diagnostic]()
    for symbol, given in (spec.get("instruments") or {}).items():
        at = ("spec", "instruments", symbol)
        numbers = {
            name: _decimal(
                document, findings, (*at, name), given[name], positive=name != "min_notional"
            )
            for name in _NUMBERS
            if given.get(name) is not None
        }
        desk.instruments[symbol] = Instrument(
            symbol=symbol,
            lot_step=numbers.get("lot_step") or Decimal("0.00000001"),
            min_size=numbers.get("min_size"),
            max_size=numbers.get("max_size"),
            tick_size=numbers.get("tick_size"),
            multiplier=float(numbers.get("multiplier") or 1),
            base=str(given.get("base") or ""),
            quote=str(given.get("quote") or ""),
            min_notional=float(numbers.get("min_notional") or 0),
            full_close_exempt=bool(given.get("full_close_exempt", False)),
        )
    for pair, rate in (spec.get("fx") or {}).items():
        number = _decimal(document, findings, ("spec", "fx", pair), rate)
        source, _, target = pair.partition("/")
        if number is not None:
            desk.fx[source, target] = float(number)
    _read_correlations(document, findings, desk)
    for name in ("accounts", "strategies", "venues"):
        setattr(desk, name, tuple(spec.get(name) or ()))
    return desk, findings


def _decimal(
    document: Document,
    findings: list[Diagnostic],
    path: tuple[str | int, ...],
    value: Any,
    *,
    positive: bool = True,
) -> Decimal | None:
    """A number above zero, or zero where it need not be `positive`; None, and a finding, where it is none."""
    number = to_decimal(value)
    if number is None or number < 0 or (positive and number == 0):
        findings.append(
            Diagnostic(
                "E218",
                f"`{value}` is not a number above zero",
                document.span(*path),
                why="sizes, steps, prices and rates are positive",
                fix="give a number above zero, in quotes where digits matter",
            )
        )
        return None
    if not countable(number):
        findings.append(
            Diagnostic(
                "E218",
                f"`{value}` is beyond any size, price or rate",
                document.span(*path),
                why=f"numbers of more than {_MOST_DIGITS} digits before or behind the point cannot be counted with",
                fix="give the number that the venue states",
            )
        )
        return None
    return number


def _read_correlations(document: Document, findings: list[Diagnostic], desk: Desk) -> None:
    for pair, rho in (document.data["spec"].get("correlations") or {}).items():
        read = read_correlation(pair, rho)
        if read is None:
            findings.append(
                Diagnostic(
                    "E218",
                    f"`{pair}: {rho}` is not a correlation of two symbols",
                    document.span("spec", "correlations", pair),
                    why="a correlation is a number from -1 to 1 for two symbols",
                    fix='write "BTC/USD|ETH/USD": 0.85',
                )
            )
        elif desk.correlations.setdefault(*read) != read[1]:
            other = "|".join(reversed(pair.split("|")))
            findings.append(
                Diagnostic(
                    "E218",
                    f"`{pair}` is declared a second time, and otherwise",
                    document.key_span("spec", "correlations", pair),
                    why=f"`{other}` names the same two symbols",
                    fix="declare it once",
                    related=(document.key_span("spec", "correlations", other),),
                )
            )


def read_correlation(pair: str, given: Any) -> tuple[tuple[str, str], tuple[float, float]] | None:
    """`"A|B": 0.8` or `"A|B": {rho: 0.8, observations: 500}`; None where it is neither."""
    first, _, second = pair.partition("|")
    rho, count = given, None
    if isinstance(given, dict):
        rho = given.get("rho")
        if "observations" in given and (count := to_decimal(given["observations"])) is None:
            return None
    number = to_decimal(rho)
    if number is None or abs(number) > 1 or not first or not second:
        return None
    low, high = sorted((first, second))
    # Without their number the observations count as enough.
    return (low, high), (float(number), float("inf") if count is None else float(count))


def declared_otherwise(
    desk: Desk, declared: Desk, document: Document, places: dict[tuple[str, str], Span]
) -> Iterator[Diagnostic]:
    """What a document declares in another way than one before it, of which `places` says where it stood."""
    for part, mark in (("instruments", ""), ("fx", "/"), ("correlations", "|")):
        there: dict[Any, Any] = getattr(desk, part)
        for key, value in getattr(declared, part).items():
            name = mark.join(key) if mark else key
            place = document.key_span("spec", part, name)
            first = places.setdefault((part, name), place)
            if key in there and there[key] != value:
                yield Diagnostic(
                    "E218",
                    f"`{name}` is declared a second time, and otherwise",
                    place,
                    why=f"the first one stands at {first}; which of them held would hang on the names of files",
                    fix="declare it once",
                    related=(first,),
                )
