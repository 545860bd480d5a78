"""A plan on a terminal."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.text import Text

from ringfence.replay.wording import clip, percent, plural, visible
from ringfence.review.plan_words import (
    SIGNS,
    Row,
    answer_words,
    book_words,
    check_words,
    compared,
    headline,
    need_words,
    place_words,
    rows_of,
    seen_words,
    uses_of,
    witnesses_of,
)

__all__ = ["render_text"]

_ROWS, _WITNESSES, _USES = 200, 5, 12
_STYLES = {"LOOSER": "red", "TIGHTER": "green", "UNKNOWN": "yellow", "INCOMPARABLE": "yellow"}

Json = Mapping[str, Any]


def render_text(
    plan: dict[str, Any], console: Console, results: Mapping[str, str] | None = None
) -> None:
    """Print a plan; names from files are printed as they are, never as markup.

    Args:
        plan: What `schemas/plan.v1.schema.json` describes.
        console: Where to print.
        results: What was written, label to path.
    """
    # Where nobody looks, as in a pipe or a log, a line that is broken would only be hard to find.
    console.print(Text(headline(plan), "bold"), soft_wrap=not console.is_terminal)
    if plan["blame"]:
        console.print(Text(f"not proved: {visible(plan['blame'])}", "yellow"))
    _line(console, "base", plan["base"])
    _line(console, "head", plan["head"])
    rows = rows_of(plan)
    if rows:
        _limits(rows[:_ROWS], console)
        if len(rows) > _ROWS:
            console.print(f"... and {plural(len(rows) - _ROWS, 'more line')}, in the JSON")
    _remarks(plan, console)
    _checks(plan, console)
    _witnesses(plan, console)
    if plan["dry_run"] is not None:
        _dry_run(plan, console)
    _approvals(plan, console)
    if results:
        console.print(Text("\nResults", "bold"))
        width = max(map(len, results))
        for label, path in results.items():
            console.print(Text(f"  {label:<{width}}  {visible(path)}"), soft_wrap=True)


def _line(console: Console, name: str, side: Json) -> None:
    commit = f", commit {side['commit'][:12]}" if side["commit"] else ""
    text = f"{name}  {clip(side['source'], 80)}{commit}, policy set {side['policy_set'][:12]}"
    console.print(Text(text, "dim"))


def _limits(rows: list[Row], console: Console) -> None:
    """A line for each change, and below it one for each limit: a table would not fit a terminal."""
    for row in rows:
        if row.first:
            console.print()
            sign = Text(f"{SIGNS[row.direction]} {row.direction}", _STYLES.get(row.direction, ""))
            console.print(sign, Text(visible(row.subject), "bold"), sep="  ", soft_wrap=True)
        moved = f"{row.old or 'nothing'} -> {row.new or 'nothing'}"
        line = "  ".join(part for part in (f"    {row.what}: {moved}", row.factor) if part)
        console.print(Text(visible(line)), soft_wrap=True)
        at = f"      {row.where}  {'  '.join(row.places)}"
        console.print(Text(visible(at).rstrip(), "dim"), soft_wrap=True)


def _remarks(plan: Json, console: Console) -> None:
    for each in plan["changes"]:
        subject = visible(
            " / ".join(part for part in (each["policy"], each["gate"]) if part) or "beside"
        )
        for told in each["halts"]:
            console.print(Text(f"{subject}: {each['direction']}: {visible(told)}"))
        if each["still"]:
            console.print(
                Text(f"{subject}: {each['direction']} alone, but {visible(each['still'])}")
            )
        if each["blame"] and each["direction"] in ("UNKNOWN", "INCOMPARABLE"):
            console.print(Text(f"{subject}: {each['direction']}: {visible(each['blame'])}"))


def _checks(plan: Json, console: Console) -> None:
    found = plan["checks"]
    if found:
        console.print(Text("\nChecks that are gone or weaker", "bold"))
    for each in found[:_ROWS]:
        console.print(Text(f"  {visible(check_words(each))}"), soft_wrap=True)
        places = [place_words(each[side]) for side in ("head", "base")]
        at = "  ".join(part for part in (places[0], places[1] and f"was {places[1]}") if part)
        console.print(Text(f"    {visible(at)}", "dim"), soft_wrap=True)
    if len(found) > _ROWS:
        console.print(f"... and {plural(len(found) - _ROWS, 'more check')}, in the JSON")


def _witnesses(plan: Json, console: Console) -> None:
    found = witnesses_of(plan)
    for subject, each in found[:_WITNESSES]:
        console.print(Text(f"\nAn order that gets more: {visible(subject)}", "bold"))
        console.print(Text(f"  order  {visible(each['order'])}"))
        for line in each["books"]:
            console.print(Text(f"         {visible(line)}"))
        console.print(Text(f"  base   {visible(answer_words(each['base']))}"))
        console.print(Text(f"  head   {visible(answer_words(each['head']))}"))
    if len(found) > _WITNESSES:
        console.print(f"... and {plural(len(found) - _WITNESSES, 'more order')}, in the JSON")


def _dry_run(plan: Json, console: Console) -> None:
    summary = plan["dry_run"]
    console.print(Text("\nDry run", "bold"))
    for changes in compared(plan):
        console.print(Text(f"  {visible(seen_words(changes))}"))
    if told := book_words(summary):
        console.print(Text(f"  {visible(told)}", "dim"))
    for group in summary["unreplayable"]:
        console.print(
            Text(f"  not replayed: {plural(group['rows'], 'row')}, {visible(group['reason'])}")
        )
    moved = [each for each in uses_of(plan) if each.base != each.head]
    for use in moved[:_USES]:
        peaks = ["-" if each is None else percent(each) for each in (use.base, use.head)]
        console.print(Text(f"  peak of {visible(use.gate)}: {peaks[0]} before, {peaks[1]} after"))


def _approvals(plan: Json, console: Console) -> None:
    if not plan["approvals"]["needs"]:
        return
    missing = not plan["approvals"]["complete"]
    console.print(
        Text(
            f"\nApprovals: {'missing' if missing else 'complete'}",
            "bold red" if missing else "bold green",
        )
    )
    for line in need_words(plan):
        console.print(Text(f"  {visible(line)}"))
    console.print(Text(f"  by {visible(plan['approvals']['source'])}", "dim"))
