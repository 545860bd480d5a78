"""Denials: a stable code and named values with their units."""

import math

from ringfence.language.decision import GateResult, Outcome

__all__ = ["amount", "denial"]


def amount(value: float, unit: str, currency: str) -> str:
    """A measure or limit with its unit, such as `3.4%`, `104,000 USD`, `5s`."""
    if not math.isfinite(value):
        return "unknown"
    if unit == "money":
        return f"{value:,.10g} {currency}".strip()
    if unit == "ratio":
        return f"{value * 100:.10g}%"
    if unit == "duration":
        return f"{value:.10g}s"
    return f"{value:,.10g}"


def denial(code: str, result: GateResult, currency: str) -> str:
    """One line: the rule's code, measure, limit, gate, policy; and why, where an input is unknown."""
    parts = [
        code,
        f"measure={amount(result.measure, result.unit, currency)}",
        f"limit={amount(result.limit, result.unit, currency)}",
        f"gate={result.gate}",
        f"policy={result.policy}",
    ]
    if result.outcome is Outcome.UNKNOWN:
        parts.insert(1, f"check={result.check}" if result.check else "check=none")
        parts.append(f"({result.reason or 'an input is missing or stale'})")
    return " ".join(parts)
