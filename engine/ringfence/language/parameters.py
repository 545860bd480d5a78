"""Rule parameters: Cerberus schemas with units, and the values that policies give them.

`3%`, `250 bps`, `50_000 USD`, `5s`, `10/s` become typed numbers; whatever leaves room for doubt (a
bare `3` for a ratio, money without a currency) is refused with the reading that was probably meant.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import inf
from typing import Any

from ringfence.language.units import (
    COUNT,
    DURATION,
    MONEY,
    PRICE,
    QUANTITY,
    RATIO,
    Unit,
    choice,
    money_in,
)

__all__ = [
    "CURRENCY",
    "DURATIONS",
    "NUMBER",
    "RATES",
    "TYPES",
    "Money",
    "Parameter",
    "ParameterSet",
    "Value",
    "fitting",
    "parse_duration",
    "parse_money",
]


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in one currency."""

    amount: float
    currency: str

    def __str__(self) -> str:
        return f"{self.amount:,.15g} {self.currency}"


TYPES = (
    "money",
    "quantity",
    "price",
    "ratio",
    "multiple",
    "count",
    "duration",
    "choice",
    "choices",
    "globs",
)

Value = float | Money | str | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A declared parameter: its type, whether it is a limit, what it defaults to."""

    name: str
    type: str
    limit: bool = False
    required: bool = False
    default: Any = None
    allowed: tuple[str, ...] = ()
    window: str = ""
    currency: str = ""
    description: str = ""

    @property
    def unit(self) -> Unit:
        """Unit of the parameter inside an expression."""
        if self.type == "money" and self.currency:
            return money_in(self.currency)
        if self.type == "choice":
            return choice(*self.allowed)
        if self.type in ("choices", "globs"):
            return Unit("list")
        return _UNITS[self.type]


_UNITS = {
    "money": MONEY,
    "quantity": QUANTITY,
    "price": PRICE,
    "ratio": RATIO,
    "multiple": RATIO,
    "count": COUNT,
    "duration": DURATION,
}


class _BadValueError(ValueError):
    """Why a value does not fit; shown as it is."""


NUMBER = r"[+-]?(?:[0-9][0-9_]*(?:\.[0-9_]+)?|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9]{1,3})?"
"""Pattern of a number in text; the editor schema is made of these patterns as well."""
CURRENCY = r"[A-Z][A-Z0-9]{1,9}"
DURATIONS = {
    "ns": 1e-9,
    "us": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "min": 60.0,
    "h": 3600.0,
    "d": 86400.0,
    "w": 604800.0,
}
"""Seconds by unit of time."""
RATES = {"s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
"""Seconds by what may stand after the slash of a rate."""


def _number(value: object, written: object = None) -> float:
    """A finite number from zero up; `written` is what findings show for it."""
    shown = _shown(value if written is None else written)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _BadValueError(f"`{shown}` is not a number")
    try:
        number = float(value)
    except OverflowError:
        raise _BadValueError("the number is too large") from None
    if number == inf and written is not None:
        raise _BadValueError(f"the number in `{shown}` is too large")
    if number != number or number in (inf, -inf):
        raise _BadValueError(f"`{shown}` is not a finite number")
    if number < 0:
        raise _BadValueError(f"`{shown}` is below zero")
    return number


def _shown(value: object) -> str:
    """As YAML has it."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)


def _from_text(number: str, written: object) -> float:
    return _number(float(number.replace("_", "")), written)


def _match(pattern: str, value: object) -> re.Match[str] | None:
    return re.fullmatch(pattern, value.strip()) if isinstance(value, str) else None


def parse_money(value: object) -> Money:
    """Read `50_000 USD`; raises ValueError that says what is missing."""
    if found := _match(rf"({NUMBER})\s*({CURRENCY})", value):
        return Money(_from_text(found[1], value), found[2])
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise _BadValueError(f"`{value}` has no currency: write `{value} USD`")
    if _match(NUMBER, value):
        raise _BadValueError(f"`{value}` has no currency: write `{value} USD`")
    raise _BadValueError(f"`{_shown(value)}` is not an amount of money: write `50_000 USD`")


def parse_duration(value: object) -> float:
    """Read `5s`, `250 ms`, `1h` into seconds; raises ValueError that says what is missing."""
    if found := _match(rf"({NUMBER})\s*([a-z]+)", value):
        if found[2] in DURATIONS:
            if (seconds := _from_text(found[1], value) * DURATIONS[found[2]]) < inf:
                return seconds
            raise _BadValueError(f"`{value}` is too long")
        raise _BadValueError(f"`{found[2]}` is no unit of time: use {', '.join(DURATIONS)}")
    if value == 0 and not isinstance(value, bool):
        return 0.0
    if isinstance(value, bool) or (isinstance(value, str) and not _match(NUMBER, value)):
        raise _BadValueError(f"`{_shown(value)}` is not a duration: write `5s` or `250ms`")
    raise _BadValueError(f"`{value}` has no unit of time: write `{value}s` or `{value}ms`")


def _ratio(value: object) -> float:
    if found := _match(rf"({NUMBER})\s*(%|bps|bp)", value):
        return _from_text(found[1], value) / (100.0 if found[2] == "%" else 10_000.0)
    if isinstance(value, str):
        if not _match(NUMBER, value):
            raise _BadValueError(f"`{value}` is not a ratio: write `3%` or `0.03`")
        number = _from_text(value.strip(), value)
        # In quotes or not, a `1` leaves the same doubt.
        whole = value.strip().lstrip("+-").replace("_", "").isdigit()
    else:
        number = _number(value)
        whole = not isinstance(value, float)
    if number > 1 or (number == 1 and whole):
        meant = f"`{number:g}%`"
        if number < 100:
            meant += f" or `{number / 100:g}`"
        if number < 20:
            meant += f" (or `{number * 100:g}%` if that is meant)"
        raise _BadValueError(f"a bare `{number:g}` is not a ratio: write {meant}")
    return number


def _multiple(value: object) -> float:
    if found := _match(rf"({NUMBER})\s*x", value):
        return _from_text(found[1], value)
    if found := _match(rf"({NUMBER})\s*%", value):
        return _from_text(found[1], value) / 100.0
    if isinstance(value, str) and not _match(NUMBER, value):
        raise _BadValueError(f"`{value}` is not a multiple: write `3x` or `300%`")
    return _plain(value)


def _plain(value: object) -> float:
    return _from_text(str(value).strip(), value) if _match(NUMBER, value) else _number(value)


def _count(value: object) -> float:
    number = _plain(value)
    if number != int(number):
        raise _BadValueError(f"`{value}` is not a whole number")
    return number


def _names(value: object) -> tuple[str, ...]:
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list | tuple) or not all(isinstance(each, str) for each in values):
        raise _BadValueError("needs a list of names")
    return tuple(values)


_FITTING = {
    "money": "write an amount with its currency, as `50_000 USD`",
    "quantity": "write a number from zero up, as `0.5`",
    "price": "write a number from zero up, as `100.5`",
    "ratio": "write a share from zero up, as `3%` or `0.03`",
    "multiple": "write a multiple from zero up, as `3x` or `300%`",
    "count": "write a whole number from zero up, as `10`",
    "duration": "write a span of time, as `5s` or `250ms`",
    "choices": "write a list of names, as `[one, another]`",
    "globs": "write a list of names, as `[BTC/*, ETH/*]`",
}


def fitting(parameter: Parameter) -> str:
    """What to write for a parameter, for whoever has written something else."""
    if parameter.allowed:
        form = "a list of" if parameter.type == "choices" else "one of"
        return f"write {form} {', '.join(f'`{each}`' for each in parameter.allowed)}"
    return _FITTING[parameter.type]


_READ: dict[str, Callable[[object], Value]] = {
    "money": parse_money,
    "quantity": _plain,
    "price": _plain,
    "ratio": _ratio,
    "multiple": _multiple,
    "count": _count,
    "duration": parse_duration,
    "choices": _names,
    "globs": _names,
}


class ParameterSet:
    """The parameters of one rule, checked by Cerberus.

    Nearly every value is fine. What plainly is gets read without Cerberus, which takes longer to import
    and to prepare than a policy set to load; whatever leaves a doubt is Cerberus' to judge. A test
    holds the two against each other.
    """

    def __init__(
        self, parameters: Mapping[str, Parameter], default_limits: Mapping[str, Any]
    ) -> None:
        self.parameters = dict(parameters)
        self.default_limits = dict(default_limits)
        # Texts that were plainly fine before: large policy sets repeat theirs.
        self._known: dict[tuple[str, str], Value] = {}

    def read(self, given: Mapping[str, Any]) -> tuple[dict[str, Value], dict[str, str]]:
        """Check and normalise the values that a policy gives.

        Returns:
            The typed values (defaults filled in; the rule's default limits where no limit is
            given), and per parameter what is wrong with it.
        """
        if wrong := self._other_windows(given):
            return {}, wrong
        values = self._expand_rates(given)
        if not any(self.parameters[key].limit for key in values if key in self.parameters):
            values = {**self.default_limits, **values}
        typed = self.plainly(values)
        return (typed, {}) if typed is not None else self.judged(values)

    def plainly(self, values: Mapping[str, Any]) -> dict[str, Value] | None:
        """The typed values, as `judged` gives them, where none leaves a doubt; else None."""
        typed: dict[str, Value] = {}
        for name, value in values.items():
            known = self._known.get((name, value)) if type(value) is str else None
            if known is None and (known := self._plain_value(name, value)) is None:
                return None
            typed[name] = known
        for name, default in self._defaults.items():
            if name not in typed:
                if default is None:
                    return None
                typed[name] = default
        return typed if self._required <= typed.keys() else None

    def value(self, name: str, given: object) -> Value | None:
        """The typed value of one parameter; None where there is no such parameter, or it does not fit."""
        return self.values(name, given).get(name)

    def values(self, name: str, given: object) -> dict[str, Value]:
        """What one given value sets: its parameter, and of a rate the window too; without what does not fit."""
        expanded = self._expand_rates({name: given})
        typed = {key: self._plain_value(key, each) for key, each in expanded.items()}
        return {key: each for key, each in typed.items() if each is not None}

    def _plain_value(self, name: str, value: object) -> Value | None:
        parameter = self.parameters.get(name)
        if parameter is None or value is None:
            return None
        if parameter.type == "choice":
            return value if isinstance(value, str) and value in parameter.allowed else None
        try:
            typed = _READ[parameter.type](value)
        except Exception:  # whatever it is, Cerberus says it in its way
            return None
        if parameter.type == "choices":
            names = _as_names(typed)
            return typed if names and all(each in parameter.allowed for each in names) else None
        if type(value) is str:
            self._known[name, value] = typed
        return typed

    @cached_property
    def _defaults(self) -> dict[str, Value | None]:
        """What each parameter with a default has without a value; None where that leaves a doubt."""
        return {
            name: self._plain_value(name, each.default)
            for name, each in self.parameters.items()
            if each.default is not None
        }

    @cached_property
    def _required(self) -> frozenset[str]:
        return frozenset(name for name, each in self.parameters.items() if each.required)

    def judged(self, values: Mapping[str, Any]) -> tuple[dict[str, Value], dict[str, str]]:
        """What Cerberus makes of the values: typed, or per parameter what is wrong with it."""
        validator = self._validator
        if not validator.validate(values):
            return {}, {
                key: self._message(key, values.get(key), problems)
                for key, problems in validator.errors.items()
            }
        wrong: dict[str, str] = {}
        typed = dict(validator.document)
        for name, value in typed.items():
            parameter = self.parameters[name]
            if parameter.type == "choices":
                outside = [each for each in _as_names(value) if each not in parameter.allowed]
                if outside:
                    allowed = ", ".join(parameter.allowed)
                    wrong[name] = f"`{outside[0]}` is not one of {allowed}"
                elif not value:
                    wrong[name] = "the list is empty"
        return typed, wrong

    def _message(self, name: str, value: object, problems: Any) -> str:
        """Cerberus' own wording turned into ours."""
        first = problems[0] if isinstance(problems, list) and problems else problems
        text = str(first)
        if text == "required field":
            return f"`{name}` is required"
        parameter = self.parameters.get(name)
        if parameter is not None and parameter.window and isinstance(value, str) and "/" in value:
            return f"`{value}` is not a rate: write `10/s`"
        if parameter is not None and parameter.type == "choice":
            return f"`{_shown(value)}` is not one of {', '.join(parameter.allowed)}"
        # Our own words, behind those of Cerberus.
        return text.removeprefix(f"field '{name}' cannot be coerced: ")

    @cached_property
    def _validator(self) -> Any:
        # Imported here: it is needed for findings alone.
        from cerberus import Validator

        return Validator(
            {name: self._cerberus(each) for name, each in self.parameters.items()},
            purge_readonly=False,
            require_all=False,
        )

    def _cerberus(self, parameter: Parameter) -> dict[str, Any]:
        """One parameter as a Cerberus rule: coercion reads the unit, `allowed` keeps the list."""
        rule: dict[str, Any] = {"required": parameter.required, "nullable": False}
        if parameter.type == "choice":
            rule |= {"type": "string", "allowed": list(parameter.allowed)}
        else:
            rule["coerce"] = _READ[parameter.type]
        if parameter.default is not None:
            rule["default"] = parameter.default
        return rule

    def _expand_rates(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """`10/s` for a count that has a window sets both."""
        values = dict(given)
        for name, (count, seconds) in self._rates(given).items():
            values[name] = count
            values.setdefault(self.parameters[name].window, f"{seconds:g}s")
        return values

    def _rates(self, given: Mapping[str, Any]) -> dict[str, tuple[str, float]]:
        """Of each count that is given as a rate: the count, and the seconds of its window."""
        rates = {}
        for name, value in given.items():
            parameter = self.parameters.get(name)
            if parameter is None or not parameter.window:
                continue
            found = _match(rf"({NUMBER})\s*/\s*({NUMBER})?\s*([a-z]+)", value)
            seconds = RATES.get(found[3], inf) * float(found[2] or 1) if found else inf
            if found and seconds < inf:
                rates[name] = found[1], seconds
        return rates

    def _other_windows(self, given: Mapping[str, Any]) -> dict[str, str]:
        """What is wrong with rates of another window than the first of them, or than the window itself, has."""
        first: dict[str, tuple[str, float]] = {}
        wrong = {}
        for name, (_, seconds) in self._rates(given).items():
            window = self.parameters[name].window
            said = self._plain_value(window, given[window]) if window in given else None
            before, other = first.setdefault(window, (name, seconds))
            if isinstance(said, float) and f"{said:g}" != f"{seconds:g}":
                wrong[name] = (
                    f"`{given[name]}` is of a window of {seconds:g}s, and `{window}` is one of {said:g}s: "
                    "leave one of them out"
                )
            elif seconds != other:
                wrong[name] = (
                    f"`{given[name]}` is of a window of {seconds:g}s, `{before}` of one of {other:g}s: "
                    "they share one, so use a second gate"
                )
        return wrong


def _as_names(value: Value) -> tuple[str, ...]:
    return value if isinstance(value, tuple) else ()
