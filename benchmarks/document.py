"""The figures as a table: on the terminal, in build/bench/results.json, and in docs/benchmarks.md."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.machine import machine_facts
from benchmarks.measure import Figure

__all__ = ["BEGIN", "END", "print_figures", "results_text", "write_document", "write_json"]

BEGIN = "<!-- results: written by `python -m benchmarks --write-docs` -->"
END = "<!-- end of results -->"
HEADINGS = ("benchmark", "what", "measured", "asked", "")


def _rows(figures: Sequence[Figure]) -> list[tuple[str, str, str, str, str]]:
    return [(each.benchmark, each.name, each.shown, each.target, each.verdict) for each in figures]


def print_figures(figures: Sequence[Figure], orders: int) -> None:
    """Show the table on the terminal."""
    table = Table(title=f"{orders:,} orders")
    for heading in HEADINGS:
        table.add_column(heading, justify="right" if heading == "measured" else "left")
    for row in _rows(figures):
        table.add_row(*row, style="red" if row[-1] == "missed" else None)
    Console().print(table)


def write_json(figures: Sequence[Figure], orders: int, path: Path) -> None:
    """Write figures and machine as JSON."""
    found = {
        "orders": orders,
        "machine": machine_facts(),
        "figures": [{**asdict(each), "verdict": each.verdict} for each in figures],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def results_text(figures: Sequence[Figure], orders: int) -> str:
    """The results section in Markdown."""
    lines = [f"Measured with {orders:,} orders.", ""]
    lines += [f"| {' | '.join(HEADINGS)} |", "| --- | --- | ---: | --- | --- |"]
    lines += [f"| {' | '.join(row)} |" for row in _rows(figures)]
    facts = [f"{name} {value}" for name, value in machine_facts().items()]
    lines += ["", "On: " + ", ".join(facts) + "."]
    return "\n".join(lines)


def write_document(figures: Sequence[Figure], orders: int, path: Path) -> None:
    """Put the results between the two markers of the document.

    Raises:
        ValueError: it has no such markers.
    """
    text = path.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{path} lacks the lines that stand before and after the results")
    path.write_text(
        f"{before}{BEGIN}\n{results_text(figures, orders)}\n{END}{after}", encoding="utf-8"
    )
