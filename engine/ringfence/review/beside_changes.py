"""What differs beside the policies: instruments, exchange rates, correlations, and who trades."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ringfence.errors import Span
from ringfence.language.instruments import Desk
from ringfence.language.linking import LinkedSet
from ringfence.language.source import Key

__all__ = ["Move", "beside_changes"]


@dataclass(frozen=True, slots=True)
class Move:
    """One thing that moved.

    Attributes:
        what: `limit`, `override`, `scope`, `window`, `mode`, `on_breach`, `confirm_ticks`, `applies_to`, `level`, `rule`,
            `gate`, `policy`, `name`, `version`, `owner`, `ticket`, `currency`, `day`, `order`, `instrument`, `rate`,
            `correlation` or `universe`.
        name: The parameter, or what is declared beside the policies; empty for the whole.
        where: Of an override: where and when it holds.
        old, new: In words; None where it was not there.
        factor: New over old, where both are numbers of one kind.
        base, head: Where it stands on either side; None where it does not.
    """

    what: str
    name: str
    where: str
    old: str | None
    new: str | None
    factor: float | None
    base: Span | None
    head: Span | None


def beside_changes(base: LinkedSet, head: LinkedSet) -> Iterator[Move]:
    """What differs in what the instruments files of two sets declare."""
    for what, section, declared in _SECTIONS:
        before, now = declared(base.desk), declared(head.desk)
        for name in dict.fromkeys((*before, *now)):
            old, new = before.get(name), now.get(name)
            if old == new:
                continue
            spans = (
                None if value is None else _span(side, section, name)
                for side, value in ((base, old), (head, new))
            )
            yield Move(what, name, "", _words(old), _words(new), _factor(old, new), *spans)


_FIELDS = (
    "lot_step", "min_size", "max_size", "tick_size", "multiplier", "base", "quote", "min_notional",
    "full_close_exempt",
)  # fmt: skip


def _instruments(desk: Desk) -> dict[str, Any]:
    canonical = desk.canonical()["instruments"]
    return {
        f"{symbol} {name}": value
        for symbol, values in canonical.items()
        for name, value in zip(_FIELDS, values, strict=True)
        if value not in ("None", "", False)
    }


def _rates(desk: Desk) -> dict[str, Any]:
    return {"/".join(pair): rate for pair, rate in desk.fx.items()}


def _correlations(desk: Desk) -> dict[str, Any]:
    return {"|".join(pair): value for pair, value in desk.correlations.items()}


_SECTIONS: tuple[tuple[str, str, Callable[[Desk], dict[str, Any]]], ...] = (
    ("instrument", "instruments", _instruments),
    ("rate", "fx", _rates),
    ("correlation", "correlations", _correlations),
    ("universe", "accounts", lambda desk: {"accounts": tuple(sorted(desk.accounts))}),
    ("universe", "strategies", lambda desk: {"strategies": tuple(sorted(desk.strategies))}),
    ("universe", "venues", lambda desk: {"venues": tuple(sorted(desk.venues))}),
)


def _words(value: Any) -> str | None:
    match value:
        case None:
            return None
        case (float(rho), float(count)):
            return f"{rho:.10g}" + (
                f" over {count:.0f} observations" if math.isfinite(count) else ""
            )
        case tuple():
            return ", ".join(value) or "none"
        case float():
            return f"{value:.15g}"
    return str(value)


def _factor(old: Any, new: Any) -> float | None:
    try:
        before, after = float(old), float(new)
    except (TypeError, ValueError):
        return None
    return after / before if before and not isinstance(old, bool) else None


def _span(linked: LinkedSet, section: str, name: str) -> Span | None:
    """Where the last file that declares it does so: that one counts."""
    symbol, _, part = name.partition(" ")
    keys: tuple[Key, ...] = (symbol, part) if section == "instruments" else (name,)
    if section in ("accounts", "strategies", "venues"):
        keys = ()
    for document in reversed(linked.documents.values()):
        spec = document.data.get("spec") if document.data.get("kind") == "Instruments" else None
        declared = spec.get(section) if isinstance(spec, dict) else None
        if declared is not None and (not keys or keys[0] in declared):
            return document.span("spec", section, *keys)
    return None
