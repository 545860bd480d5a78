"""The summary of a dry run as a comment for a pull request.

Hosts refuse comments above 65,536 characters, so sections are cut, with their counts, to stay below
65,000. Every name from the data is inside `<code>` with its special characters as entities: it can
make no link, no image, no mention, and cannot leave its cell.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from ringfence.replay.markdown_parts import code, cut, escaped, fold, table
from ringfence.replay.wording import (
    DECISIONS,
    MODES,
    all_runs,
    clip,
    count,
    decision_word,
    measured,
    moment,
    money,
    percent,
    plural,
    primary_mode,
    primary_runs,
    quantity,
    ranked_gates,
    remark_of,
    share,
    unreplayable_rows,
    verdict,
)

__all__ = ["MAX_CHARACTERS", "render_markdown"]

#: The longest comment that `render_markdown` writes, in characters.
MAX_CHARACTERS = 65_000

_CUTS = (50, 25, 10, 5, 2)

Json = Mapping[str, Any]


def render_markdown(summary: dict[str, Any]) -> str:
    """Return a dry run's summary as GitHub-flavoured Markdown below `MAX_CHARACTERS`.

    Args:
        summary: What `schemas/dry-run-summary.v1.schema.json` describes.

    Returns:
        A verdict, a table of what changes, and folded details; tables that were cut say how much
        is missing.
    """
    for rows in _CUTS:
        text = _document(summary, rows)
        if len(text) <= MAX_CHARACTERS:
            return text
    return text[: MAX_CHARACTERS - 40].rpartition("\n")[0] + "\n\n(cut: the rest is too long)\n"


def _document(summary: Json, rows: int) -> str:
    parts = [f"### Ringfence dry run: {_sentence(verdict(summary))}", *_stake(summary)]
    if summary["interrupted"]:
        parts.insert(0, "> [!WARNING]\n> Interrupted: the figures cover only what was done.")
    if summary["orders"]["replayed"]:
        parts.append(_decisions(summary))
        parts.extend(_changes(summary, rows))
        parts.append(_utilisation(summary, rows))
        parts.append(_decided_by(summary, rows))
    parts.append(_unreplayable(summary, rows))
    parts.append(_assumptions(summary, rows))
    parts.append(_provenance(summary))
    return "\n\n".join(part for part in parts if part) + "\n"


def _stake(summary: Json) -> list[str]:
    changes = summary["changes"]
    if not summary["orders"]["replayed"]:
        return []
    if changes:
        if not changes["orders"]:
            return []
        currency = changes["currency"]
        return [
            f"**At stake:** notional {_money(changes['notional_at_stake'], currency)}, "
            f"P&L {_money(changes['pnl_at_stake'], currency)}."
        ]
    held = primary_runs(summary)[0]["notional"]
    rejected, cut = (_money(held[key], held["currency"]) for key in ("rejected", "cut"))
    return [f"**Held back:** notional {rejected} rejected, {cut} cut."]


def _decisions(summary: Json) -> str:
    body = []
    for side, mode, run in all_runs(summary):
        made, held = run["decisions"], run["notional"]
        figures = [_money(held[key], held["currency"]) for key in ("approved", "cut", "rejected")]
        body.append([side, mode, *(count(made[key]) for key in DECISIONS), *figures])
    head = ["side", "state", *DECISIONS.values(), "notional approved", "cut", "notional rejected"]
    return table(head, body, "ll" + "r" * 6)


def _changes(summary: Json, rows: int) -> Iterable[str]:
    changes = summary["changes"]
    if not changes or not changes["orders"]:
        return
    currency = changes["currency"]
    by_gate = changes["by_gate"]
    body = [
        [code(row["gate"]), count(row["orders"]), _money(row["notional"], currency)]
        for row in by_gate[:rows]
    ]
    yield table(["gate that changes the decision", "orders", "notional"], body, "lrr")
    yield cut(len(by_gate) - rows, "gate")
    examples = sorted(changes["examples"], key=lambda row: -(row["notional"] or 0.0))[:rows]
    head = [
        "time",
        "order",
        "account",
        "wants",
        "base",
        "head",
        "gate",
        "measure",
        "limit",
        "notional",
    ]
    body = [_example(row, currency) for row in examples]
    more = cut(changes["orders"] - len(examples), "order")
    title = f"The {plural(len(examples), 'changed order')} with the most notional"
    yield fold(title, table(head, body, "l" * 7 + "rrr"), more)


def _example(row: Json, currency: object) -> list[str]:
    price = "at market" if row["price"] is None else f"at {quantity(row['price'])}"
    wants = f"{row['side']} {quantity(row['size'])} {code(row['symbol'])} {price}"
    return [
        moment(row["ts"]),
        code(row["order_id"]),
        code(row["account"]),
        wants,
        _outcome(row["base"]),
        _outcome(row["head"]),
        code(row["gate"]),
        escaped(measured(row["measure"], row["unit"], clip(currency, 12))),
        escaped(measured(row["limit"], row["unit"], clip(currency, 12))),
        _money(row["notional"], currency),
    ]


def _outcome(side: Json) -> str:
    word = decision_word(side["decision"])
    return f"{word} to {quantity(side['size'])}" if side["decision"] == "REDUCE_SIZE" else word


def _utilisation(summary: Json, rows: int) -> str:
    gates = ranked_gates(primary_runs(summary)[0])
    if not gates:
        return ""
    body = []
    for gate in gates[:rows]:
        use = gate["utilisation"] or {}
        figures = [percent(use.get(key)) if use else "-" for key in ("peak", "p99", "p90", "p50")]
        peak = use.get("peak")
        if peak is not None and peak > 1:
            figures[0] = f"**{figures[0]}**"
        stopped = [count(gate[key]) for key in ("breach", "reduce", "exempt")]
        body.append(
            [code(gate["gate"]), gate["level"], *figures, *stopped, escaped(remark_of(gate))]
        )
    head = ["gate", "level", "peak", "p99", "p90", "p50", "breach", "reduce", "exempt", "remark"]
    nearest = next((g["utilisation"]["peak"] for g in gates if g["utilisation"]), None)
    title = "How close to each limit" + (f": at most {percent(nearest)} used" if nearest else "")
    return fold(title, table(head, body, "ll" + "r" * 7 + "l"), cut(len(gates) - rows, "gate"))


def _decided_by(summary: Json, rows: int) -> str:
    run, _ = primary_runs(summary)
    if not run["by_gate"]:
        return ""
    currency = run["notional"]["currency"]
    body = [
        [
            code(row["gate"]),
            count(row["reject"]),
            count(row["reduce"]),
            _money(row["notional"], currency),
        ]
        for row in run["by_gate"][:rows]
    ]
    listed = table(["gate", "rejected", "reduced", "notional"], body, "lrrr")
    more = cut(len(run["by_gate"]) - rows, "gate")
    return fold("Rejections and reductions by gate (head)", listed, more)


def _unreplayable(summary: Json, rows: int) -> str:
    groups = summary["unreplayable"]
    if not groups:
        return ""
    body = []
    for group in groups[:rows]:
        first = group["examples"][0] if group["examples"] else None
        detail = f"row {count(first['row'])}: {code(first['detail'])}" if first else ""
        body.append([code(group["reason"]), count(group["rows"]), detail])
    total = unreplayable_rows(summary)
    title = f"{plural(total, 'row')} not replayed ({share(total, summary['orders']['rows'])})"
    listed = table(["reason", "rows", "first"], body, "lrl")
    return fold(title, listed, cut(len(groups) - rows, "reason"))


def _assumptions(summary: Json, rows: int) -> str:
    lines = summary["assumptions"]
    if not lines:
        return ""
    listed = "\n".join(f"- {escaped(clip(line, 400))}" for line in lines[:rows])
    return fold("Assumptions", listed, cut(len(lines) - rows, "assumption"))


def _provenance(summary: Json) -> str:
    orders, sides = summary["orders"], summary["sides"]
    mode = primary_mode(summary)
    told = [
        f"{count(orders['replayed'])} of {plural(orders['rows'], 'row')} of {code(orders['source'])}",
    ]
    if orders["first_ts"]:
        told.append(f"{moment(orders['first_ts'])} to {moment(orders['last_ts'])}")
    told += [
        f"{name} {code(sides[name]['source'])} <code>{escaped(sides[name]['policy_set'][:12])}</code>"
        for name in ("base", "head")
        if name in sides
    ]
    told += [f"{mode}: {MODES.get(mode, '')}", f"ringfence {escaped(summary['ringfence'])}"]
    return f"<sub>{' · '.join(told)}</sub>"


def _sentence(text: str) -> str:
    return text[:1].lower() + text[1:]


def _money(value: object, currency: object) -> str:
    return escaped(money(value, clip(currency, 12)))
