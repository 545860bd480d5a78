"""What steps of the gate have to show beyond their findings, as Markdown that is folded."""

import re
from collections.abc import Sequence
from dataclasses import replace

from ringfence.language.linking import LinkedSet
from ringfence.replay.markdown import code_text, cut_text, escaped_text, table_text
from ringfence.replay.wording import plural
from ringfence.review.proof_words import proof_lines
from ringfence.review.proofs import Proof
from ringfence.review.testing.coverage import Coverage

__all__ = ["proof_details", "uncovered_details", "uncovered_title"]

_ROWS = 10


def uncovered_title(coverage: Coverage) -> str:
    """How much no case shows, in plain text."""
    lacking = len(coverage.uncovered)
    return f"What no test shows: {lacking} of {plural(len(coverage.items), 'item')}"


def uncovered_details(coverage: Coverage) -> str:
    """What no case shows, with its place; nothing where all is shown."""
    lacking = coverage.uncovered
    if not lacking:
        return ""
    body = []
    for item in lacking[:_ROWS]:
        place = f"{code_text(item.span.path)}:{item.span.line}" if item.span is not None else "-"
        body.append([place, code_text(item.group), escaped_text(item.label.replace("`", ""))])
    table = table_text(["where", "of", "what no case shows"], body, "lll")
    return "\n\n".join(part for part in (table, cut_text(len(lacking) - _ROWS, "item")) if part)


def proof_details(proofs: Sequence[Proof], linked: LinkedSet) -> tuple[str, str]:
    """What was shown of each invariant, and the orders that break one: a title and Markdown."""
    # Whether an answer is an earlier one is no part of it.
    lines = [line for each in proofs for line in proof_lines(replace(each, kept=False), linked)]
    proved = sum(each.status == "proved" for each in proofs)
    title = f"Invariants: {proved} of {len(proofs)} proved"
    return title, _fenced("\n".join(lines))


def _fenced(text: str) -> str:
    """Text in a block that nothing in it can end."""
    longest = max((len(each) for each in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text}\n{fence}"
