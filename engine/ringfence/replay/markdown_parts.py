"""The parts of a comment for a pull request: tables, folded blocks, and text that can do nothing in it."""

import re
from collections.abc import Iterable, Sequence

from ringfence.replay.wording import clip, plural

__all__ = ["code", "cut", "escaped", "fold", "table"]

_PLAIN = re.compile(r"[^A-Za-z0-9 ,()%=+/.-]")
_NAME_WIDTH = 64


def table(head: Sequence[str], body: Iterable[Sequence[str]], align: str) -> str:
    """Return a table; of `align` one letter a column, `l` or `r`."""
    rule = ["---:" if side == "r" else "---" for side in align]
    rows = [head, rule, *body]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def fold(title: str, *blocks: str) -> str:
    """Return blocks that are folded under a title."""
    inside = "\n\n".join(block for block in blocks if block)
    return f"<details><summary>{title}</summary>\n\n{inside}\n\n</details>"


def cut(hidden: int, noun: str) -> str:
    """Return how much is not listed; nothing where all is."""
    return f"... and {plural(hidden, 'more ' + noun)}, not listed here." if hidden > 0 else ""


def escaped(text: object) -> str:
    """Return text with all that Markdown or HTML could take for its own as character references."""
    plain = _PLAIN.sub(lambda found: f"&#{ord(found.group())};", clip(text, 500))
    return re.sub(r"(?i)www\.", lambda found: f"{found.group()[:3]}&#46;", plain)


def code(text: object) -> str:
    """Return a name, cut to 64 characters, in `<code>`."""
    return f"<code>{escaped(clip(text, _NAME_WIDTH))}</code>" if text else "-"
