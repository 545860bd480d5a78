"""Markdown by hand: a page, a table, and the small turns of text that the pages share."""

from collections.abc import Iterable, Sequence

__all__ = ["one_line", "page", "sentence", "table"]

_NOTE = "<!-- Written by `make docs`; a change made here is lost. -->"


def page(title: str, *parts: str) -> str:
    """Return a page of blocks, each apart from the next by an empty line; empty ones are left out."""
    return "\n\n".join([_NOTE, f"# {title}", *(part for part in parts if part)]) + "\n"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; a cell is one line, and a bar in it does not end it."""
    lines = [heads, ["---"] * len(heads), *([_cell(cell) for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def one_line(text: str) -> str:
    """Return the text with every run of white space as one blank."""
    return " ".join(text.split())


def sentence(text: str) -> str:
    """Return a phrase as a sentence: a capital first, a stop at the end."""
    return f"{text[:1].upper()}{text[1:]}".rstrip(".") + "." if text else ""


def _cell(text: str) -> str:
    return one_line(text).replace("|", "\\|")
