"""How a dry run's summary is put into words: one place for numbers, units, times and the verdict.

The terminal, the pull-request comment and the HTML report all speak through this module, so that the
same figure reads the same everywhere. Nothing here knows about colours, tables or markup. Missing
numbers (`None`, NaN, infinities) read `n/a`, never zero.
"""

import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

__all__ = [
    "DECISIONS",
    "MODES",
    "all_runs",
    "clip",
    "count",
    "decision_word",
    "duration",
    "measured",
    "moment",
    "money",
    "none_replayed",
    "percent",
    "plural",
    "primary_mode",
    "primary_runs",
    "quantity",
    "ranked_gates",
    "refused",
    "remark_of",
    "share",
    "unreplayable_rows",
    "verdict",
    "visible",
]

Json = Mapping[str, Any]

#: The decisions in the order in which they are listed, with the word for each.
DECISIONS: Mapping[str, str] = {
    "APPROVE": "approved",
    "REDUCE_SIZE": "reduced",
    "REJECT": "rejected",
}

#: What each way of keeping state means, in one sentence.
MODES: Mapping[str, str] = {
    "propagated": "state follows the policy's own decisions",
    "frozen": "state is as it really was, whatever the policy would have decided",
}

#: Why an order is rejected whatever its gates say, by the code of its reason.
_REFUSED: Mapping[str, str] = {
    "UNKNOWN_INSTRUMENT": "no instruments file knows the symbol",
    "INVALID_SIDE": "the side is neither buy nor sell",
    "INVALID_TYPE": "the type is none that is known",
    "INVALID_SIZE": "the size is not above zero",
    "SIZE_OFF_STEP": "the size is no multiple of the lot step",
    "NO_FX_RATE": "no rate leads from its currency to the policies'",
    "INVALID_PRICE": "the price is not above zero",
    "NO_PRICE": "there is neither a price nor a mark",
    "NO_POLICY": "no policy covers the order",
    "MANDATORY_GATE_MISSING": "a mandatory gate is missing",
    "REDUCE_ONLY_UNTRUE": "reduce-only, and would not only reduce",
}

_STATES = {0: "active", 1: "reducing", 2: "halted"}
_MISSING = "n/a"
# Control characters and bidirectional overrides: a name must not be able to move the cursor of a
# terminal or to reverse the text around it.
_UNPRINTABLE = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]"
)


def visible(text: object) -> str:
    """Return `text` on one line with control and direction characters made visible as `\ufffd`."""
    return _UNPRINTABLE.sub("\ufffd", "" if text is None else str(text))


def clip(text: object, width: int) -> str:
    """Return `text` in at most `width` characters; the middle gives way to `…`."""
    whole = visible(text)
    if len(whole) <= width:
        return whole
    head = (width - 1 + 1) // 2
    tail = width - 1 - head
    return f"{whole[:head]}…{whole[len(whole) - tail :] if tail else ''}"


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def count(value: object) -> str:
    """Return a whole number with thousands separated: `1,234`."""
    number = _number(value)
    return _MISSING if number is None else f"{number:,.0f}"


def plural(value: int, noun: str, many: str = "") -> str:
    """Return `1 order`, `2 orders`; `many` is the plural where it is not `noun` and an s."""
    return f"{count(value)} {noun if value == 1 else many or noun + 's'}"


def quantity(value: object) -> str:
    """Return a quantity or a price with the digits that carry meaning: `1,250`, `0.0042`."""
    number = _number(value)
    if number is None:
        return _MISSING
    size = abs(number)
    if size >= 1e15 or 0 < size < 1e-8:
        return f"{number:.4g}"
    if size >= 1000:
        text = f"{number:,.4f}"
    else:
        digits = 4 if size == 0 else max(4, 5 - math.floor(math.log10(size)))
        text = f"{number:,.{min(digits, 12)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def money(value: object, currency: object) -> str:
    """Return an amount with its currency: `1,234.56 USDT`; amounts below 1 keep four digits."""
    number = _number(value)
    if number is None:
        return _MISSING
    size = abs(number)
    if size >= 1e15:
        text = f"{number:.4g}"
    elif size >= 1e6:
        text = f"{number:,.0f}"
    elif size >= 1 or number == 0:
        text = f"{number:,.2f}"
    else:
        text = f"{number:.4g}"
    return f"{text} {clip(currency, 12)}".rstrip()


def percent(ratio: object) -> str:
    """Return a ratio as a percentage: `0.4137` reads `41.4 %`, and tiny ones never read zero."""
    number = _number(ratio)
    if number is None:
        return _MISSING
    value = number * 100
    size = abs(value)
    if size >= 1e7:
        return f"{value:.3g} %"
    if size >= 1000:
        return f"{value:,.0f} %"
    if size >= 0.1 or size == 0:
        # Rounding must not turn "just above the limit" into "at the limit", nor the reverse.
        digits = 1 if f"{size:.1f}" != "100.0" or size == 100 else 4
        return f"{value:.{digits}f} %"
    return "< 0.1 %" if value > 0 else "> -0.1 %"


def share(part: object, whole: object) -> str:
    """Return `part` of `whole` as a percentage, or `n/a` where there is no whole."""
    upper, lower = _number(part), _number(whole)
    return _MISSING if upper is None or not lower else percent(upper / lower)


def duration(seconds: object) -> str:
    """Return a span of time given in seconds: `250 ms`, `5 s`, `3 min`, `2.5 h`."""
    number = _number(seconds)
    if number is None:
        return _MISSING
    size = abs(number)
    for divisor, unit in ((86400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s")):
        if size >= divisor and (divisor == 1.0 or size >= 2 * divisor):
            return f"{number / divisor:.4g} {unit}"
    return f"{number * 1000:.4g} ms" if number else "0 s"


def measured(value: object, unit: object, currency: object) -> str:
    """Return a gate's measure or limit in the gate's unit.

    Args:
        value: The number, or None. Money in `currency`, ratios as 1.0 = 100 %, durations in seconds.
        unit: `money`, `ratio`, `count`, `duration`, `state` or `quantity`.
        currency: The currency of the book, for money.
    """
    if unit == "money":
        return money(value, currency)
    if unit == "ratio":
        return percent(value)
    if unit == "count":
        return count(value)
    if unit == "duration":
        return duration(value)
    if unit == "state":
        number = _number(value)
        return _MISSING if number is None else _STATES.get(int(number), quantity(number))
    return quantity(value)


def moment(iso: object) -> str:
    """Return an ISO 8601 time as `2025-11-28 13:04:05 UTC`; what is not a time is shown as it is."""
    if not iso:
        return _MISSING
    try:
        when = datetime.fromisoformat(str(iso))
    except ValueError:
        return visible(iso)
    when = when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    return f"{when:%Y-%m-%d %H:%M:%S} UTC"


def decision_word(decision: object) -> str:
    """Return the word for a decision: `REDUCE_SIZE` reads `reduced`."""
    return DECISIONS.get(str(decision), visible(decision))


def primary_mode(summary: Json) -> str:
    """Return the mode that the renderers lead with: that of the comparison, else `propagated`."""
    modes = summary["sides"]["head"]["modes"]
    changes = summary.get("changes")
    wanted = changes["mode"] if changes else "propagated"
    return str(wanted if wanted in modes else next(iter(modes)))


def primary_runs(summary: Json) -> tuple[Json, Json | None]:
    """Return the runs of head and base (None without one) in the primary mode."""
    mode = primary_mode(summary)
    sides = summary["sides"]
    base = sides.get("base")
    return sides["head"]["modes"][mode], base["modes"].get(mode) if base else None


def all_runs(summary: Json) -> list[tuple[str, str, Json]]:
    """Return every run as (side, mode, run): base before head, the primary mode first."""
    first = primary_mode(summary)
    runs: list[tuple[str, str, Json]] = []
    for mode in sorted(MODES, key=lambda name: name != first):
        for side in ("base", "head"):
            run = summary["sides"].get(side, {}).get("modes", {}).get(mode)
            if run is not None:
                runs.append((side, mode, run))
    return runs


def ranked_gates(run: Json) -> list[Json]:
    """Return the run's gates, closest to their limit first; gates without utilisation come last."""

    def rank(gate: Json) -> tuple[bool, float, int, str]:
        use = gate.get("utilisation")
        peak = _number(use.get("peak")) if use else None
        stopped = int(gate["breach"]) + int(gate["reduce"]) + int(gate["unknown"])
        return (peak is None, -(peak or 0.0), -stopped, str(gate["gate"]))

    return sorted(run["gates"], key=rank)


def remark_of(gate: Json) -> str:
    """Return what must be said of a gate's use: its remark, shadow mode, and unknown inputs."""
    use = gate.get("utilisation") or {}
    said = [visible(use["remark"])] if use.get("remark") else []
    if gate.get("shadow"):
        said.append("shadow: changes no decision")
    if gate["unknown"]:
        said.append(f"{count(gate['unknown'])} unknown")
    if gate["orders"] == 0:
        said.append("evaluated for no order")
    return "; ".join(said)


def unreplayable_rows(summary: Json) -> int:
    """Return how many rows could not be replayed, over all reasons."""
    return sum(int(group["rows"]) for group in summary["unreplayable"])


def refused(run: Json) -> list[tuple[str, str, int]]:
    """Return of what is rejected whatever the gates say: code, meaning and orders, most orders first."""
    return [
        (str(each["code"]), _REFUSED[each["code"]], int(each["orders"]))
        for each in run["reasons"]
        if each["code"] in _REFUSED
    ]


def none_replayed(summary: Json) -> str:
    """Say that not one row of the orders could be replayed, and why; empty where one could, or none is there."""
    rows = int(summary["orders"]["rows"])
    if summary["interrupted"] or not rows or unreplayable_rows(summary) < rows:
        return ""
    reasons = [
        f"{count(each['rows'])} {clip(each['reason'], 60)}" for each in summary["unreplayable"]
    ]
    source = f"`{clip(summary['orders']['source'], 60)}`"
    none = (
        f"not one of {count(rows)} rows of {source} can be replayed"
        if rows > 1
        else f"the one row of {source} cannot be replayed"
    )
    return f"{none}: {'; '.join(reasons)}"


def verdict(summary: Json) -> str:
    """Return one plain sentence: what the policies would have done, or what the change would do."""
    replayed = int(summary["orders"]["replayed"])
    books = summary.get("books")
    if books and not books["touched"]:
        return (
            f"This change alters no decision: none of {plural(books['accounts'], 'account')} "
            "with orders faces other gates than before."
        )
    if not summary["orders"]["rows"]:
        return "There is no order to replay, so nothing can be said about these policies."
    if not replayed:
        return "No order could be replayed, so nothing can be said about these policies."
    changes = summary.get("changes")
    if not changes:
        made = primary_runs(summary)[0]["decisions"]
        return f"Of {plural(replayed, 'order')}: {_listed(made, DECISIONS)}."
    if not changes["orders"]:
        return f"This change alters no decision: {plural(replayed, 'order')} decided as before."
    kinds = {
        "newly_rejected": "newly rejected",
        "newly_reduced": "newly reduced",
        "newly_approved": "newly approved",
        "resized": "resized",
    }
    part = f"{count(changes['orders'])} of {plural(replayed, 'order')}"
    return (
        f"This change alters {part} ({share(changes['orders'], replayed)}): "
        f"{_listed(changes, kinds)}."
    )


def _listed(numbers: Json, words: Mapping[str, str]) -> str:
    parts: Sequence[str] = [f"{count(numbers[k])} {w}" for k, w in words.items() if numbers.get(k)]
    return ", ".join(parts) or "none decided"
