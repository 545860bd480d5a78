"""The pages of the language's own tables: input fields and error codes."""

from collections.abc import Iterable
from pathlib import Path

from ringfence.language.codes import CODES
from ringfence.language.fields import FIELDS, InputField

from .markdown_text import page, sentence, table

__all__ = ["errors_page", "fields_page"]

ERROR_CASES = Path(__file__).resolve().parents[2] / "tests" / "cases" / "errors"

_FIELD_LEVELS = {
    "order": "The order",
    "instrument": "The instrument",
    "market": "Market data",
    "book": "The book of the gate's level",
    "control": "Control",
}

_ERROR_GROUPS = {
    "E10": "The text and its YAML",
    "E15": "The shape of a document",
    "E18": "Mappings of foreign exports",
    "E20": "Names, types, units and values",
    "E30": "The policy set as a whole",
    "E40": "Mistakes: against the revision before",
    "E41": "Mistakes: overrides and days",
    "E42": "Mistakes: names and values",
    "E43": "Mistakes: limits beside one another",
    "E44": "Mistakes: trials, old rules, acceptances",
    "E45": "Layout and taste",
    "E53": "Invariants and their proofs",
    "E56": "Plans and approvals",
}
"""Title of a run of codes by the first code in it, without its last digit."""


def fields_page() -> str:
    """Return the page of the input fields, one table for each part of the input."""
    parts = []
    for level, title in _FIELD_LEVELS.items():
        rows = [
            [
                f"`{field.name}`",
                str(field.unit),
                field.meaning,
                field.missing,
                ", ".join(f"`{name}`" for name in field.uses),
            ]
            for field in FIELDS.values()
            if field.level == level
        ]
        parts += [
            f"## {title}",
            f"Source: {_source(level)}.",
            table(["field", "unit", "meaning", "missing", "computed with"], rows),
        ]
    return page(
        "Input fields",
        "What a rule's expressions may read. Missing, NaN and infinite values are unknown, and a "
        "gate never passes on an unknown measure. A field that is *computed with* parameters uses "
        "the gate's own values of them, so a rule that reads it has to declare them.",
        *parts,
        "## What the language knows of them",
        "A gate may reduce an order's size only where its measure never falls as the size grows; "
        "the fields in the first row do. Those in the last are unknown while the mark of a held "
        "symbol is too old.",
        table(
            ["property", "fields"],
            [
                ["never falls as the size grows", _names(f for f in FIELDS.values() if f.rises)],
                ["never below zero", _names(f for f in FIELDS.values() if f.nonnegative)],
                ["of the whole portfolio", _names(f for f in FIELDS.values() if f.portfolio)],
            ],
        ),
    )


def errors_page() -> str:
    """Return the page of the error codes, each with a finding as it is shown."""
    parts = []
    for code, title in CODES.items():
        if heading := _ERROR_GROUPS.get(code[:3]) if _opens(code) else None:
            parts.append(f"## {heading}")
        parts += [f"### {code}", sentence(title), f"```\n{_finding(code)}\n```"]
    return page(
        "Error codes",
        "Every finding has a code, a place, what is wrong, why it matters and how to mend it. All "
        "findings of all files are shown at once. `--json` and `--format github` give the same for "
        "programs. Below, each code with a finding as it is shown.",
        *parts,
    )


def _opens(code: str) -> bool:
    """Whether a code is the first of its group."""
    return next(each for each in CODES if each[:3] == code[:3]) == code


def _finding(code: str) -> str:
    """The first finding of a code in its case, which a test holds against the program."""
    text = (ERROR_CASES / code / "expected.txt").read_text(encoding="utf-8")
    blocks: list[str] = []
    for line in text.splitlines():
        if line[:1].strip():
            blocks.append(line)
        elif blocks:
            blocks[-1] += f"\n{line}"
    return next(each.rstrip() for each in blocks if f"[{code}]" in each)


def _names(fields: Iterable[InputField]) -> str:
    return ", ".join(f"`{field.name}`" for field in fields)


def _source(level: str) -> str:
    return next(field.source for field in FIELDS.values() if field.level == level)
