"""The summary of a dry run on a terminal: what is at stake first, then how close each limit was."""

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ringfence.replay.wording import (
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
    primary_runs,
    quantity,
    ranked_gates,
    refused,
    remark_of,
    share,
    unreplayable_rows,
    verdict,
    visible,
)

__all__ = ["render_terminal"]

_GATES_SHOWN = 40
_ROWS_SHOWN = 8
_NAME_WIDTH = 24
_ROOMY = 76
_ANY_WIDTH = 10_000
_STYLES = {"APPROVE": "green", "REDUCE_SIZE": "yellow", "REJECT": "red"}

Json = Mapping[str, Any]


def render_terminal(
    summary: dict[str, Any], console: Console, results: Mapping[str, str] | None = None
) -> None:
    """Print a dry run's summary in compact tables.

    Args:
        summary: What `schemas/dry-run-summary.v1.schema.json` describes.
        console: Where to print. Names from the data are printed as they are, never as markup.
        results: What was written, label to path, such as `{"report": "out/report.html"}`.
    """
    _headline(summary, console)
    if summary["orders"]["replayed"]:
        _show(_decisions(summary), console)
        if summary["changes"] and summary["changes"]["orders"]:
            _changes(summary["changes"], console)
        else:
            _decided_by(primary_runs(summary)[0], console)
        _refused(primary_runs(summary)[0], console)
        _halts(primary_runs(summary)[0], console)
        _utilisation(summary, console)
    _unreplayable(summary, console)
    _assumptions(summary, console)
    _results(results or {}, console)


def _headline(summary: Json, console: Console) -> None:
    orders = summary["orders"]
    if summary["interrupted"]:
        console.print(Text("interrupted: the figures cover only what was done", "bold yellow"))
    # Where nobody looks, as in a pipe or a log, a line that is broken would only be hard to find.
    whole = not console.is_terminal
    console.print(Text(verdict(summary), "bold"), soft_wrap=whole)
    stake = _stake(summary)
    if stake and orders["replayed"]:
        console.print(Text(stake), soft_wrap=whole)
    span = f", {moment(orders['first_ts'])} to {moment(orders['last_ts'])}"
    console.print(
        Text(
            f"{count(orders['replayed'])} of {plural(orders['rows'], 'row')} replayed from "
            f"{clip(orders['source'], 60)}{span if orders['first_ts'] else ''}",
            "dim",
        ),
        soft_wrap=whole,
    )


def _stake(summary: Json) -> str:
    """Say what is at stake: between both sides, or, without a base, what the policies held back."""
    changes = summary["changes"]
    if changes:
        currency = changes["currency"]
        return (
            f"At stake: notional {money(changes['notional_at_stake'], currency)}, "
            f"P&L {money(changes['pnl_at_stake'], currency)}."
        )
    held = primary_runs(summary)[0]["notional"]
    currency = held["currency"]
    return (
        f"At stake: notional {money(held['rejected'], currency)} rejected and "
        f"{money(held['cut'], currency)} cut, of {money(held['asked'], currency)} asked."
    )


def _table(title: str, *columns: str, numbers: int) -> Table:
    """Return an empty table whose last `numbers` columns are aligned to the right."""
    table = Table(
        title=Text(title, "bold"),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    for position, name in enumerate(columns):
        right = position >= len(columns) - numbers
        table.add_column(
            name,
            justify="right" if right else "left",
            no_wrap=right,
            # A name that is cut would not tell what it is of.
            overflow="ellipsis" if right else "fold",
        )
    return table


def _show(table: Table, console: Console) -> None:
    """Print a table; where it need not fit a terminal it is as wide as its words, so that none is broken."""
    width = console.width
    if not console.is_terminal:
        console.width = _keep_words_whole(table, console)
    console.print(table)
    console.width = width


def _keep_words_whole(table: Table, console: Console) -> int:
    """Give each column the width of its longest word, and what is left in the console's; returns the width needed."""
    options = console.options.update(width=_ANY_WIDTH)
    wanted = []
    for column in table.columns:
        sizes = [console.measure(each, options=options) for each in (column.header, *column.cells)]
        wanted.append(max(each.maximum for each in sizes))
        column.width = wanted[-1] if column.no_wrap else max(each.minimum for each in sizes)
    needed = console.measure(table, options=options).maximum
    for column, most in zip(table.columns, wanted, strict=True):
        least = column.width or 0
        column.width = min(most, least + max(0, console.width - needed))
        needed += column.width - least
    return max(console.width, needed)


def _decisions(summary: Json) -> Table:
    table = _table(
        "Decisions",
        "side",
        "state",
        "approved",
        "reduced",
        "rejected",
        "notional held back",
        numbers=4,
    )
    for side, mode, run in all_runs(summary):
        made, notional = run["decisions"], run["notional"]
        held = sum(part or 0.0 for part in (notional["cut"], notional["rejected"]))
        table.add_row(
            side,
            mode,
            *(Text(count(made[key]), style) for key, style in _STYLES.items()),
            clip(money(held, notional["currency"]), 24),
        )
    shown = {mode for _, mode, _ in all_runs(summary)}
    table.caption = Text("\n".join(f"{m}: {MODES[m]}" for m in MODES if m in shown), "dim")
    table.caption_justify = "left"
    return table


def _changes(changes: Json, console: Console) -> None:
    table = _table("The gates that change decisions", "gate", "orders", "notional", numbers=2)
    currency = changes["currency"]
    for row in changes["by_gate"][:_ROWS_SHOWN]:
        table.add_row(
            _name(row["gate"]), count(row["orders"]), clip(money(row["notional"], currency), 28)
        )
    _show(table, console)
    _more(len(changes["by_gate"]) - _ROWS_SHOWN, "gate", console)
    _largest(changes, console)


def _largest(changes: Json, console: Console) -> None:
    examples = sorted(changes["examples"], key=lambda row: -(row["notional"] or 0.0))[:_ROWS_SHOWN]
    if not examples:
        return
    table = _table(
        "The largest orders that change",
        "order",
        "base",
        "head",
        "gate, measure against limit",
        "notional",
        numbers=1,
    )
    currency = changes["currency"]
    for row in examples:
        figures = [measured(row[k], row["unit"], currency) for k in ("measure", "limit")]
        side = f"{row['side']} {quantity(row['size'])} {clip(row['symbol'], 16)}"
        table.add_row(
            Text(f"{clip(row['order_id'], 20)}\n{side}"),
            _outcome(row["base"]),
            _outcome(row["head"]),
            Text(f"{clip(row['gate'], 32)}\n{clip(' vs '.join(figures), 40)}"),
            clip(money(row["notional"], currency), 20),
        )
    _show(table, console)
    _more(changes["orders"] - len(examples), "order", console)


def _outcome(side: Json) -> Text:
    decision = str(side["decision"])
    size = f"\n{quantity(side['size'])}" if decision == "REDUCE_SIZE" else ""
    return Text(decision_word(decision) + size, _STYLES.get(decision, ""))


def _decided_by(run: Json, console: Console) -> None:
    if not run["by_gate"]:
        return
    table = _table(
        "The gates that held orders back", "gate", "rejected", "reduced", "notional", numbers=3
    )
    currency = run["notional"]["currency"]
    for row in run["by_gate"][:_ROWS_SHOWN]:
        table.add_row(
            _name(row["gate"]),
            count(row["reject"]),
            count(row["reduce"]),
            clip(money(row["notional"], currency), 24),
        )
    _show(table, console)
    _more(len(run["by_gate"]) - _ROWS_SHOWN, "gate", console)


def _refused(run: Json, console: Console) -> None:
    found = refused(run)
    if not found:
        return
    table = _table("Rejected whatever the gates say", "reason", "meaning", "orders", numbers=1)
    for code, meaning, orders in found:
        table.add_row(Text(code), Text(meaning), count(orders))
    _show(table, console)


def _halts(run: Json, console: Console) -> None:
    halts = run["halts"]
    if not halts["count"]:
        return
    table = _table("Books that a gate halted", "from", "book", "gate", numbers=0)
    for each in halts["first"][:_ROWS_SHOWN]:
        table.add_row(moment(each["ts"]), _name(each["book"]), _name(each["gate"]))
    _show(table, console)
    _more(halts["count"] - _ROWS_SHOWN, "halt", console)


def _utilisation(summary: Json, console: Console) -> None:
    run, _ = primary_runs(summary)
    gates = ranked_gates(run)
    if not gates:
        return
    # A figure that is cut says nothing, so a narrow terminal gets fewer of them.
    quantiles = ("p99", "p90", "p50") if console.width >= _ROOMY else ("p90",)
    table = _table(
        "How close to each limit (head; 100 % is at the limit)",
        "gate",
        "peak",
        *quantiles,
        "stopped",
        numbers=2 + len(quantiles),
    )
    # So they stay in one piece on a terminal of 80 columns, and the remark is broken instead.
    names = [_name(gate["gate"]) for gate in gates[:_GATES_SHOWN]]
    table.columns[0].no_wrap = max(map(len, names)) <= _NAME_WIDTH
    table.add_column("remark", overflow="fold")
    for gate in gates[:_GATES_SHOWN]:
        use = gate["utilisation"] or {}
        stopped = gate["breach"] + gate["reduce"] + gate["unknown"]
        table.add_row(
            _name(gate["gate"]),
            Text(percent(use.get("peak")) if use else "-", _heat(use.get("peak"))),
            *(percent(use.get(key)) if use else "-" for key in quantiles),
            count(stopped),
            Text(remark_of(gate), "dim"),
        )
    _show(table, console)
    _more(len(gates) - _GATES_SHOWN, "gate", console)


def _heat(peak: float | None) -> str:
    if peak is None:
        return ""
    return "red" if peak > 1 else "yellow" if peak > 0.8 else ""


def _unreplayable(summary: Json, console: Console) -> None:
    groups = summary["unreplayable"]
    if not groups:
        return
    rows = unreplayable_rows(summary)
    part = share(rows, summary["orders"]["rows"])
    table = _table(
        f"Not replayed: {plural(rows, 'row')} ({part})", "reason", "first", "rows", numbers=1
    )
    for group in groups[:_ROWS_SHOWN]:
        first = group["examples"][0] if group["examples"] else None
        place = f"row {count(first['row'])}: {clip(first['detail'], 30)}" if first else ""
        table.add_row(Text(clip(group["reason"], 60)), Text(place), count(group["rows"]))
    _show(table, console)
    _more(len(groups) - _ROWS_SHOWN, "reason", console)


def _assumptions(summary: Json, console: Console) -> None:
    if summary["assumptions"]:
        console.print(Text("Assumptions", "bold"))
    for line in summary["assumptions"]:
        console.print(Text(f"- {visible(line)}"), soft_wrap=not console.is_terminal)


def _results(results: Mapping[str, str], console: Console) -> None:
    if not results:
        return
    console.print(Text("\nResults", "bold"))
    width = max(len(label) for label in results)
    for label, path in results.items():
        # A path that is wrapped cannot be copied.
        console.print(Text(f"{label:<{width}}  {visible(path)}"), soft_wrap=True)


def _more(hidden: int, noun: str, console: Console) -> None:
    if hidden > 0:
        console.print(Text(f"... and {plural(hidden, 'more ' + noun)}", "dim"))


def _name(gate: object) -> Text:
    return Text(clip(gate, 36))
