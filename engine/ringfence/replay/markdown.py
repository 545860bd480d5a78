"""The summary of a dry run as a comment for a pull request.

Hosts refuse comments above 65,536 characters, so sections are cut, with their counts, to stay below
65,000. Every name from the data is inside `<code>` with its special characters as entities: it can
make no link, no image, no mention, and cannot leave its cell.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

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
    refused,
    remark_of,
    share,
    unreplayable_rows,
    verdict,
)

__all__ = [
    "MAX_CHARACTERS",
    "code_text",
    "cut_text",
    "escaped_text",
    "fold_text",
    "render_markdown",
    "table_text",
]

#: The longest comment that `render_markdown` writes, in characters.
MAX_CHARACTERS = 65_000

_PLAIN = re.compile(r"[^A-Za-z0-9 ,()%=+/.-]")
_NAME_WIDTH = 64
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
        parts.append(_refused(summary))
        parts.append(_halts(summary, rows))
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
    return table_text(head, body, "ll" + "r" * 6)


def _changes(summary: Json, rows: int) -> Iterable[str]:
    changes = summary["changes"]
    if not changes or not changes["orders"]:
        return
    currency = changes["currency"]
    by_gate = changes["by_gate"]
    body = [
        [code_text(row["gate"]), count(row["orders"]), _money(row["notional"], currency)]
        for row in by_gate[:rows]
    ]
    yield table_text(["gate that changes the decision", "orders", "notional"], body, "lrr")
    yield cut_text(len(by_gate) - rows, "gate")
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
    more = cut_text(changes["orders"] - len(examples), "order")
    title = f"The {plural(len(examples), 'changed order')} with the most notional"
    yield fold_text(title, table_text(head, body, "l" * 7 + "rrr"), more)


def _example(row: Json, currency: object) -> list[str]:
    price = "at market" if row["price"] is None else f"at {quantity(row['price'])}"
    wants = f"{row['side']} {quantity(row['size'])} {code_text(row['symbol'])} {price}"
    return [
        moment(row["ts"]),
        code_text(row["order_id"]),
        code_text(row["account"]),
        wants,
        _outcome(row["base"]),
        _outcome(row["head"]),
        code_text(row["gate"]),
        escaped_text(measured(row["measure"], row["unit"], clip(currency, 12))),
        escaped_text(measured(row["limit"], row["unit"], clip(currency, 12))),
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
            [
                code_text(gate["gate"]),
                gate["level"],
                *figures,
                *stopped,
                escaped_text(remark_of(gate)),
            ]
        )
    head = ["gate", "level", "peak", "p99", "p90", "p50", "breach", "reduce", "exempt", "remark"]
    nearest = next((g["utilisation"]["peak"] for g in gates if g["utilisation"]), None)
    title = "How close to each limit" + (f": at most {percent(nearest)} used" if nearest else "")
    return fold_text(
        title, table_text(head, body, "ll" + "r" * 7 + "l"), cut_text(len(gates) - rows, "gate")
    )


def _decided_by(summary: Json, rows: int) -> str:
    run, _ = primary_runs(summary)
    if not run["by_gate"]:
        return ""
    currency = run["notional"]["currency"]
    body = [
        [
            code_text(row["gate"]),
            count(row["reject"]),
            count(row["reduce"]),
            _money(row["notional"], currency),
        ]
        for row in run["by_gate"][:rows]
    ]
    table = table_text(["gate", "rejected", "reduced", "notional"], body, "lrrr")
    more = cut_text(len(run["by_gate"]) - rows, "gate")
    return fold_text("Rejections and reductions by gate (head)", table, more)


def _refused(summary: Json) -> str:
    found = refused(primary_runs(summary)[0])
    if not found:
        return ""
    body = [[code_text(code), meaning, count(orders)] for code, meaning, orders in found]
    return fold_text(
        "Rejected whatever the gates say (head)",
        table_text(["reason", "meaning", "orders"], body, "llr"),
    )


def _halts(summary: Json, rows: int) -> str:
    halts = primary_runs(summary)[0]["halts"]
    if not halts["count"]:
        return ""
    body = [
        [moment(each["ts"]), code_text(each["book"]), code_text(each["gate"])]
        for each in halts["first"][:rows]
    ]
    return fold_text(
        f"Books that a gate halted: {plural(halts['count'], 'time')} (head)",
        table_text(["from", "book", "gate"], body, "lll"),
        cut_text(halts["count"] - len(body), "halt"),
    )


def _unreplayable(summary: Json, rows: int) -> str:
    groups = summary["unreplayable"]
    if not groups:
        return ""
    body = []
    for group in groups[:rows]:
        first = group["examples"][0] if group["examples"] else None
        detail = f"row {count(first['row'])}: {code_text(first['detail'])}" if first else ""
        body.append([code_text(group["reason"]), count(group["rows"]), detail])
    total = unreplayable_rows(summary)
    title = f"{plural(total, 'row')} not replayed ({share(total, summary['orders']['rows'])})"
    table = table_text(["reason", "rows", "first"], body, "lrl")
    return fold_text(title, table, cut_text(len(groups) - rows, "reason"))


def _assumptions(summary: Json, rows: int) -> str:
    lines = summary["assumptions"]
    if not lines:
        return ""
    listed = "\n".join(f"- {escaped_text(clip(line, 400))}" for line in lines[:rows])
    return fold_text("Assumptions", listed, cut_text(len(lines) - rows, "assumption"))


def _provenance(summary: Json) -> str:
    orders, sides = summary["orders"], summary["sides"]
    mode = primary_mode(summary)
    told = [
        f"{count(orders['replayed'])} of {plural(orders['rows'], 'row')} of {code_text(orders['source'])}",
    ]
    if orders["first_ts"]:
        told.append(f"{moment(orders['first_ts'])} to {moment(orders['last_ts'])}")
    told += [
        f"{name} {code_text(sides[name]['source'])} <code>{escaped_text(sides[name]['policy_set'][:12])}</code>"
        for name in ("base", "head")
        if name in sides
    ]
    told += [f"{mode}: {MODES.get(mode, '')}", f"ringfence {escaped_text(summary['ringfence'])}"]
    return f"<sub>{' · '.join(told)}</sub>"


def table_text(head: Sequence[str], body: Iterable[Sequence[str]], align: str) -> str:
    """A table; `align` has `r` for each column of numbers, and anything else for the others."""
    rule = ["---:" if side == "r" else "---" for side in align]
    rows = [head, rule, *body]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def fold_text(title: str, *blocks: str) -> str:
    """A part that opens on a click."""
    inside = "\n\n".join(block for block in blocks if block)
    return f"<details><summary>{title}</summary>\n\n{inside}\n\n</details>"


def cut_text(hidden: int, noun: str) -> str:
    """How many lines a table lacks; empty where it is whole."""
    return f"... and {plural(hidden, 'more ' + noun)}, not listed here." if hidden > 0 else ""


def escaped_text(text: object) -> str:
    """Return text with all that Markdown or HTML could take for its own as character references."""
    plain = _PLAIN.sub(lambda found: f"&#{ord(found.group())};", clip(text, 500))
    return re.sub(r"(?i)www\.", lambda found: f"{found.group()[:3]}&#46;", plain)


def _sentence(text: str) -> str:
    return text[:1].lower() + text[1:]


def code_text(text: object) -> str:
    """A name from outside, clipped and made harmless."""
    return f"<code>{escaped_text(clip(text, _NAME_WIDTH))}</code>" if text else "-"


def _money(value: object, currency: object) -> str:
    return escaped_text(money(value, clip(currency, 12)))
