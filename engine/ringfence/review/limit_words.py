"""Limits, scopes and windows of policies in words."""

from datetime import UTC, datetime

from ringfence.language.gates import ALWAYS, LimitRow
from ringfence.language.parameters import Money, Value
from ringfence.language.rules import Rule
from ringfence.language.scopes import DIMENSIONS, Scope
from ringfence.replay.wording import duration, percent, quantity

__all__ = ["moment_words", "scope_words", "value_words", "window_moves", "window_words"]

_SHOWN = 6


def value_words(rule: Rule, name: str, value: Value | None) -> str | None:
    """A parameter's value with its unit: `250,000 USD`, `25 %`; None where there is none."""
    if value is None:
        return None
    if isinstance(value, Money):
        return str(value)
    if isinstance(value, tuple):
        return ", ".join(sorted(value)) or "none"
    if isinstance(value, str):
        return value
    parameter = rule.parameters.parameters.get(name)
    match parameter.type if parameter is not None else "":
        case "ratio":
            return _exact_percent(value)
        case "duration":
            return duration(value)
        case "multiple":
            return f"{value:,.10g} x"
    return f"{value:,.15g}" if abs(value) < 1e15 else quantity(value)


def _exact_percent(ratio: float) -> str:
    """As a dry run shows it, but with every digit that a policy gave."""
    text = f"{ratio * 100:.10g} %"
    return text if len(text) <= 16 else percent(ratio)


def scope_words(scope: Scope | None) -> str:
    """What a scope holds: `accounts alpha, beta; not symbols DOGE/*`; `all orders` for no bound."""
    parts = []
    for dimension, name in enumerate(DIMENSIONS):
        included, excluded = (scope or Scope()).parts(dimension)
        if included:
            parts.append(f"{name} {_listed(included)}")
        if excluded:
            parts.append(f"not {name} {_listed(excluded)}")
    return "; ".join(parts) or "all orders"


def _listed(globs: tuple[str, ...]) -> str:
    shown = ", ".join(globs[:_SHOWN])
    return shown + (f" and {len(globs) - _SHOWN} more" if len(globs) > _SHOWN else "")


def window_words(row: LimitRow) -> str:
    """When an override holds; `always` without a window."""
    return _window(row, first=True, last=True) or "always"


def window_moves(base: LimitRow, head: LimitRow) -> tuple[str, str]:
    """The ends of two windows that differ, in words; empty where none does."""
    first, last = base.from_ns != head.from_ns, base.until_ns != head.until_ns
    if not first and not last:
        return "", ""
    sides = [_window(each, first=first, last=last) for each in (base, head)]
    return sides[0] or "without an end", sides[1] or "without an end"


def _window(row: LimitRow, *, first: bool, last: bool) -> str:
    parts = []
    if first and row.from_ns != ALWAYS[0]:
        parts.append(f"from {moment_words(row.from_ns)}")
    if last and row.until_ns != ALWAYS[1]:
        parts.append(f"until {moment_words(row.until_ns)}")
    return " ".join(parts)


def moment_words(at_ns: int) -> str:
    """A moment (ns since 1970), UTC, to the second: `2026-02-02 08:00:00 UTC`."""
    return datetime.fromtimestamp(at_ns // 1_000_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
