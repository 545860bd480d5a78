"""A plan as a comment for a pull request.

Hosts refuse comments above 65,536 characters, so tables are cut, with their counts, to stay below 65,000.
Whatever comes from a file stands inside `<code>` with its special characters as entities: it can make no
link, no image, no mention, and cannot leave its cell.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ringfence.replay.markdown import (
    MAX_CHARACTERS,
    code_text,
    cut_text,
    escaped_text,
    fold_text,
    table_text,
)
from ringfence.replay.wording import percent, plural, share, unreplayable_rows
from ringfence.review.plan_words import (
    DIRECTIONS,
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

__all__ = ["MARKER", "render_markdown"]

#: Stands first in every comment, so that the next one of the same pull request can be put in its place.
MARKER = "<!-- ringfence-plan -->"
_SIZES = ((60, 5, 25), (30, 3, 10), (15, 2, 5), (5, 1, 2))
_WORDS = 300

Json = Mapping[str, Any]


def render_markdown(plan: dict[str, Any], most: int = MAX_CHARACTERS) -> str:
    """Return a plan as GitHub-flavoured Markdown.

    Args:
        plan: What `schemas/plan.v1.schema.json` describes.
        most: Characters that it may have.

    Returns:
        A verdict, what approvals are missing, the table of limits, orders that get more, what a dry run
        changes, and folded details; tables that were cut say how much is missing.
    """
    for rows, witnesses, details in _SIZES:
        text = _document(plan, rows, witnesses, details)
        if len(text) <= most:
            return text
    return f"{MARKER}\n### {escaped_text(headline(plan))}\n\nThe rest is too long for a comment.\n"


def _document(plan: Json, rows: int, witnesses: int, details: int) -> str:
    sign = SIGNS[plan["direction"]] if plan["changes"] else SIGNS["EQUAL"]
    parts = [f"{MARKER}\n### {sign} {escaped_text(headline(plan))}"]
    if plan["blame"]:
        parts.append(f"> [!WARNING]\n> Not proved: {_said(plan['blame'])}")
    parts += _approvals(plan)
    parts += _limits(plan, rows)
    parts += _remarks(plan, rows)
    parts += _checks(plan, rows)
    parts += _witnesses(plan, witnesses)
    parts += _dry_run(plan, details)
    parts.append(_provenance(plan))
    return "\n\n".join(part for part in parts if part) + "\n"


def _said(text: object, most: int = _WORDS) -> str:
    """Text from outside, harmless where it does not stand inside `<code>`.

    Hosts look for mentions and references in what Markdown has made of entities: the sign is parted from the name.
    """
    return (
        escaped_text(str(text)[:most])
        .replace("&#64;", "&#64;&#8203;")
        .replace("&#35;", "&#35;&#8203;")
    )


def _approvals(plan: Json) -> Iterator[str]:
    needs = need_words(plan)
    if not plan["approvals"]["needs"]:
        return
    kind, word = ("NOTE", "complete") if plan["approvals"]["complete"] else ("IMPORTANT", "missing")
    lines = "\n".join(f"> - {_said(line)}" for line in needs[:12])
    yield f"> [!{kind}]\n> Approvals {word}, by {_said(plan['approvals']['source'])}:\n{lines}"


def _limits(plan: Json, most: int) -> Iterator[str]:
    rows = rows_of(plan)
    if not rows:
        return
    head = ["", "policy / gate", "what", "before", "after", "", "where", "file"]
    yield table_text(head, [_row(row) for row in rows[:most]], "lllrrrll")
    yield cut_text(len(rows) - most, "line")


def _row(row: Row) -> list[str]:
    direction = f"{SIGNS[row.direction]} {row.direction.lower()}" if row.first else ""
    return [
        direction,
        code_text(row.subject) if row.first else "",
        _said(row.what),
        _cell(row.old),
        _cell(row.new),
        escaped_text(row.factor.replace("x ", "×")) if row.factor else "",
        _said(row.where, 120),
        " ".join(code_text(each) for each in row.places),
    ]


def _cell(text: str) -> str:
    return _said(text, 160) if text else "-"


def _remarks(plan: Json, most: int) -> Iterator[str]:
    lines = []
    for each in plan["changes"]:
        subject = code_text(
            " / ".join(part for part in (each["policy"], each["gate"]) if part) or "beside"
        )
        lines += [f"- {subject}: {_said(told)}" for told in each["halts"]]
        if each["still"]:
            word = DIRECTIONS[each["direction"]]
            lines.append(f"- {subject} is {word} alone, but {_said(each['still'])}")
        if each["blame"] and each["direction"] in ("UNKNOWN", "INCOMPARABLE"):
            lines.append(f"- {subject} is {DIRECTIONS[each['direction']]}: {_said(each['blame'])}")
    if lines:
        yield "\n".join(lines[:most])
        yield cut_text(len(lines) - most, "remark")


def _checks(plan: Json, most: int) -> Iterator[str]:
    found = plan["checks"]
    if found:
        lines = [
            f"- {_said(check_words(each))} {code_text(place_words(each['head'] or each['base']))}"
            for each in found[:most]
        ]
        yield "**Checks that are gone or weaker**, which are approved as a looser limit is:"
        yield "\n".join(lines)
        yield cut_text(len(found) - most, "check")


def _witnesses(plan: Json, most: int) -> Iterator[str]:
    found = witnesses_of(plan)
    for subject, each in found[:most]:
        lines = [
            f"**An order that gets more** ({code_text(subject)}): {_said(each['order'])}",
            f"- base: {_said(answer_words(each['base']))}",
            f"- head: {_said(answer_words(each['head']))}",
        ]
        folded = fold_text("its books and prices", "<br>".join(map(_said, each["books"])))
        yield "\n".join([lines[0], "", *lines[1:], "", folded])
    yield cut_text(len(found) - most, "such order")


def _dry_run(plan: Json, most: int) -> Iterator[str]:
    summary = plan["dry_run"]
    if summary is None:
        return
    both = compared(plan)
    rows = [
        [each["mode"], *(f"{each[key]:,}" for key in _KINDS), escaped_text(_stake(each))]
        for each in both
    ]
    head = [
        "dry run: state",
        "newly rejected",
        "newly reduced",
        "newly approved",
        "resized",
        "notional",
    ]
    yield table_text(head, rows, "lrrrrr")
    details = [
        *_gates(both, most),
        *_parts(both, most),
        *_uses(plan, most),
        *_unreplayable(summary, most),
    ]
    if told := book_words(summary):
        details.append(_said(told[:1].upper() + told[1:]) + ".")
    if summary["assumptions"]:
        listed = "\n".join(f"- {_said(line)}" for line in summary["assumptions"][:most])
        details += [
            f"**Assumptions**\n\n{listed}",
            cut_text(len(summary["assumptions"]) - most, "assumption"),
        ]
    if summary["interrupted"]:
        yield "> [!WARNING]\n> The dry run was interrupted: its figures cover only what was done."
    yield fold_text("Details of the dry run", *details)


_KINDS = ("newly_rejected", "newly_reduced", "newly_approved", "resized")


def _stake(changes: Json) -> str:
    return seen_words(changes).rpartition("notional ")[2] if changes["orders"] else "-"


def _gates(both: Sequence[Json], most: int) -> Iterator[str]:
    for changes in both:
        rows = changes["by_gate"]
        if rows:
            body = [[code_text(each["gate"]), f"{each['orders']:,}"] for each in rows[:most]]
            yield table_text(
                [f"gate that changes the decision ({changes['mode']})", "orders"], body, "lr"
            )
            yield cut_text(len(rows) - most, "gate")


def _parts(both: Sequence[Json], most: int) -> Iterator[str]:
    for name in ("strategy", "symbol"):
        for changes in both[:1]:
            rows = changes.get(f"by_{name}", [])
            if rows:
                body = [
                    [code_text(each["name"] or "(none)"), *(f"{each[key]:,}" for key in _KINDS)]
                    for each in rows[:most]
                ]
                head = [
                    f"{name} ({changes['mode']})",
                    "newly rejected",
                    "newly reduced",
                    "newly approved",
                    "resized",
                ]
                yield table_text(head, body, "lrrrr")
                yield cut_text(len(rows) - most, name)


def _uses(plan: Json, most: int) -> Iterator[str]:
    uses = uses_of(plan)
    if uses:
        body = [
            [
                code_text(each.gate),
                each.level,
                *("-" if peak is None else percent(peak) for peak in (each.base, each.head)),
            ]
            for each in uses[:most]
        ]
        yield table_text(["peak use of each limit", "level", "before", "after"], body, "llrr")
        yield cut_text(len(uses) - most, "gate")


def _unreplayable(summary: Json, most: int) -> Iterator[str]:
    groups = summary["unreplayable"]
    if groups:
        total = unreplayable_rows(summary)
        body = [[code_text(each["reason"]), f"{each['rows']:,}"] for each in groups[:most]]
        head = [
            f"not replayed: {plural(total, 'row')} ({_said(share(total, summary['orders']['rows']))})",
            "rows",
        ]
        yield table_text(head, body, "lr")
        yield cut_text(len(groups) - most, "reason")


def _provenance(plan: Json) -> str:
    told = []
    for name in ("base", "head"):
        side = plan[name]
        commit = f" {code_text(side['commit'][:12])}" if side["commit"] else ""
        told.append(
            f"{name} {code_text(side['source'])}{commit} {code_text(side['policy_set'][:12])}"
        )
    told.append(f"ringfence {escaped_text(plan['ringfence'])}")
    return f"<sub>{' · '.join(told)}</sub>"
