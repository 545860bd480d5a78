"""Limits as they are written, and one step of their last digit up or down."""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ringfence.language.gates import Gate, LimitRow
from ringfence.language.parameters import NUMBER

__all__ = ["Written", "limits_as_given", "written_limit"]

_AMOUNT = re.compile(rf"\s*({NUMBER})(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Written:
    """A number as it is written, and what stands behind it: a unit, a currency, a rate."""

    number: Decimal
    rest: str
    grouped: bool = False
    quoted: bool = True
    """Whether it is text; a bare number is not."""

    @property
    def step(self) -> Decimal:
        """One unit of the last digit written: 0.1 for `2.5%`, 1 for `4_000_000 USD`."""
        exponent = self.number.as_tuple().exponent
        return Decimal(1).scaleb(exponent) if isinstance(exponent, int) else Decimal(1)

    def stepped(self, steps: int) -> "Written":
        """The same with its last digit moved."""
        return self.at(self.number + steps * self.step)

    def at(self, number: Decimal) -> "Written":
        """The same with another number."""
        return Written(number, self.rest, self.grouped, self.quoted)

    @property
    def text(self) -> str:
        """As it would be written."""
        digits = f"{self.number:,f}".replace(",", "_") if self.grouped else f"{self.number:f}"
        return f"{digits}{self.rest}"

    @property
    def value(self) -> str | int | float:
        """As YAML would read it."""
        if self.quoted:
            return self.text
        whole = self.number.to_integral_value()
        return int(whole) if whole == self.number else float(self.number)


def limits_as_given(gate: Gate, row: LimitRow) -> dict[str, Any]:
    """The limits of a row as the file has them; those of the gate stay where an override names no others."""
    base = _given(gate.rows[0])
    return base if row is gate.rows[0] else {**base, **_given(row)}


def written_limit(row: LimitRow, name: str) -> Written | None:
    """A limit of a row as it is written there; None for a list, a choice, or what is not given there."""
    if name not in row.given:
        return None
    given = _given(row)[name]
    if isinstance(given, bool) or not isinstance(given, str | int | float):
        return None
    try:
        text = row.document.text_of(*row.at, "limits", name)
    except KeyError:
        text = str(given)
    found = _AMOUNT.fullmatch(text)
    if found is None:
        return None
    digits = found[1]
    return Written(
        Decimal(digits.replace("_", "")), found[2], "_" in digits, quoted=isinstance(given, str)
    )


def _given(row: LimitRow) -> dict[str, Any]:
    given: Any = row.document.data
    for key in row.at:
        given = given[key]
    return dict(given.get("limits") or {})
