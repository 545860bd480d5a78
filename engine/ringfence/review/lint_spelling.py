"""How amounts, shares and times are spelled in the limits of policies, and the spelling that is asked for."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ringfence.errors import Diagnostic, Span
from ringfence.language.parameters import CURRENCY, DURATIONS, NUMBER, Parameter
from ringfence.language.rule_library import RuleLibrary
from ringfence.language.rules import Rule
from ringfence.language.source import Document, Key

__all__ = ["Respelled", "respelled", "spelling"]

_MONEY = re.compile(rf"({NUMBER})\s*({CURRENCY})")
_SHARE = re.compile(rf"({NUMBER})\s*(%|bps|bp|x)?")
_TIME = re.compile(rf"({NUMBER})\s*([a-z]+)")
_UNITS = ("ns", "us", "ms", "s", "m", "h", "d")
# From so many of a unit on, a larger one reads better where it is a whole number of those.
_MANY = 100


@dataclass(frozen=True, slots=True)
class Respelled:
    """A limit, and how it should be written; both are the same value."""

    span: Span
    code: str
    written: str
    wanted: str

    def finding(self) -> Diagnostic:
        """Return it as a finding."""
        why, what = _WHY[self.code]
        return Diagnostic(
            self.code,
            f"`{self.written}` is {what}",
            self.span,
            why=why,
            fix=f"write `{self.wanted}`",
            severity="warning",
        )


_WHY = {
    "E456": (
        "a zero too many is seen where digits stand in groups of three",
        "an amount without its digits in groups",
    ),
    "E457": (
        "a share is read at a glance with its sign, and takes no moving of points",
        "a share without its usual sign",
    ),
    "E458": (
        "the largest unit that fits takes no arithmetic to read",
        "a time in an unusual unit",
    ),
}


def respelled(document: Document, library: RuleLibrary) -> Iterator[Respelled]:
    """Give every limit of a policy, or of the policy inside a test, that is spelled in another way.

    Args:
        document: One that has the shape of its kind.
        library: Knows the parameters' types; limits of unknown rules are left out.
    """
    top = "policy" if document.data["kind"] == "PolicyTest" else "spec"
    for index, gate in enumerate((document.data.get(top) or {}).get("gates") or ()):
        name, _, version = str(gate["rule"]).partition("@")
        rule, _ = library.find(name, version)
        if rule is None:
            continue
        at: tuple[Key, ...] = (top, "gates", index)
        yield from _limits(document, rule, (*at, "limits"), gate.get("limits"))
        for number, override in enumerate(gate.get("overrides") or ()):
            place = (*at, "overrides", number, "limits")
            yield from _limits(document, rule, place, override.get("limits"))


def _limits(
    document: Document, rule: Rule, at: tuple[Key, ...], limits: Mapping[str, Any] | None
) -> Iterator[Respelled]:
    for name, value in (limits or {}).items():
        parameter = rule.parameters.parameters.get(name)
        if parameter is None or isinstance(value, list | dict) or value is None:
            continue
        written = document.text_of(*at, name)
        code, wanted = spelling(parameter, written)
        same = rule.parameters.plainly
        for each in wanted:
            if each == written:
                break
            # Dividing by a hundred may round: only what is the same number to the last bit is offered.
            if (one := _value(same, name, value)) is not None and one == _value(same, name, each):
                yield Respelled(document.span(*at, name), code, written, each)
                break


def _value(plainly: Any, name: str, value: object) -> Any:
    typed = plainly({name: value})
    return None if typed is None else typed[name]


def spelling(parameter: Parameter, written: str) -> tuple[str, list[str]]:
    """Return the code for a value that is spelled in another way, and how it could be, the best first.

    Args:
        parameter: Whose value it is.
        written: The value as it is written. Where it is fine, it is the first of the spellings.
    """
    text = written.strip()
    if parameter.type == "money" and (found := _MONEY.fullmatch(text)):
        return "E456", _money(found[1], found[2])
    # The reference of a correlation is no limit, and is written as people write correlations.
    shares = parameter.type == "ratio" and parameter.limit
    if (shares or parameter.type == "multiple") and (found := _SHARE.fullmatch(text)):
        return "E457", _share(Decimal(found[1].replace("_", "")), found[2] or "", parameter.type)
    if parameter.type == "duration" and (found := _TIME.fullmatch(text)):
        return "E458", _time(Decimal(found[1].replace("_", "")), found[2])
    return "", []


def _money(number: str, currency: str) -> list[str]:
    whole, point, rest = number.partition(".")
    if "e" in number.lower():
        plain = f"{Decimal(number.replace('_', '')):f}"
        whole, point, rest = plain.partition(".")
    digits = whole.replace("_", "")
    if not digits.isdigit():
        return []
    grouped = f"{int(digits):_}"
    # Four digits are read as they are.
    shown = whole if whole in (grouped, digits) and len(digits) <= 4 else grouped
    return [f"{shown}{point}{rest} {currency}"]


def _share(number: Decimal, sign: str, kind: str) -> list[str]:
    if kind == "multiple":
        times = number / 100 if sign == "%" else number
        return [f"{_plain(times)}x"]
    if sign in ("bps", "bp"):
        return [f"{_plain(number)} bps"]
    if sign == "%":
        return [f"{_plain(number)}%"]
    if not number:
        return ["0", "0%"]
    return [f"{_plain(number * 100)}%", f"{_plain(number * 10_000)} bps"]


def _time(number: Decimal, unit: str) -> list[str]:
    unit = "m" if unit == "min" else unit
    if unit not in _UNITS:
        return []
    wanted, count = unit, number
    for larger in _UNITS[_UNITS.index(unit) + 1 :]:
        ratio = Decimal(round(DURATIONS[larger] / DURATIONS[unit]))
        if number >= _MANY and number % ratio == 0:
            wanted, count = larger, number / ratio
    return [f"{_plain(count)}{wanted}"]


def _plain(number: Decimal) -> str:
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
