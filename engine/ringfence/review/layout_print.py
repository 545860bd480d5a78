"""Prints a document's tree in the one canonical layout.

Two columns a level, lists below their key one level in. What is in brackets stays so while it fits in a
line. What does not fit is opened, one entry a line; where nothing is nested in it, it stays in brackets, on
lines of its own.
"""

from collections.abc import Sequence

from ringfence.review.layout_scalars import block_lines, inline_text
from ringfence.review.layout_tree import Alias, Collection, Comment, Entry, Layout, Scalar, Value

__all__ = ["WIDTH", "print_layout"]

WIDTH = 120
"""Columns that brackets may take up to; comments and text keep the lines that they have."""

_STEP = 2


def print_layout(layout: Layout) -> str:
    """Return the text of a document, its last line ended."""
    printer = _Printer()
    printer.comments(layout.above, 0)
    if isinstance(layout.root, Collection) and not layout.root.in_flow:
        printer.block(layout.root, 0)
    else:
        printer.value("", layout.root, 0, False)
    printer.comments(layout.below, 0)
    return "\n".join(printer.lines) + "\n"


class _Printer:
    def __init__(self) -> None:
        self.lines: list[str] = []
        # Where a block begins no empty line is kept.
        self._fresh = True

    def comments(self, comments: Sequence[Comment], indent: int) -> None:
        for each in comments:
            self._blank(each.after_blank)
            self._add(" " * indent + each.text)

    def block(self, block: Collection, indent: int) -> None:
        for entry in block.entries:
            self._entry(entry, indent)
        self.comments(block.below, indent)

    def value(self, head: str, value: Value, indent: int, in_list: bool, behind: str = "") -> None:
        """Print a value behind its key or dash.

        Args:
            head: The line so far.
            value: What follows.
            indent: Columns before the key or dash.
            in_list: Whether a dash is before it.
            behind: The comment at the end of its line.
        """
        note = f"  {behind}" if behind else ""
        if isinstance(value, Alias):
            self._add(_joined(head, f"*{value.name}") + note)
            return
        if value.anchor:
            head = _joined(head, f"&{value.anchor}")
        if isinstance(value, Scalar):
            self._scalar(head, value, indent, note)
            return
        if value.in_flow:
            text = _brackets(value)
            if len(head) + 1 + len(text) <= WIDTH or not value.entries:
                self._add(_joined(head, text) + note)
                return
            if _holds_scalars(value):
                self._filled(head, value, indent + _STEP, in_list, note)
                return
        if in_list and not value.anchor and not behind:
            self._items_on(head, value, indent + _STEP)
            return
        self._add(head + note)
        self._fresh = True
        self.block(value, indent + _STEP)

    def _entry(self, entry: Entry, indent: int) -> None:
        in_list = entry.key is None
        above = list(entry.above)
        value, behind = entry.value, entry.behind
        if in_list and self._opens(value, indent):
            if behind:
                above.append(Comment(behind, False))
                behind = ""
            # The first entry stands on the dash's line, so what is above it goes above the dash.
            while isinstance(value, Collection) and value.entries:
                above += value.entries[0].above
                value.entries[0].above = []
                value = value.entries[0].value if not value.is_mapping else Alias("")
        self.comments(above, indent)
        self._blank(entry.after_blank)
        head = " " * indent + ("-" if entry.key is None else _key(entry.key, False))
        self.value(head, entry.value, indent, in_list, behind)
        self.comments(entry.below, indent + _STEP)

    def _opens(self, value: Value, indent: int) -> bool:
        """Whether an item of a list is a block that begins on the dash's line."""
        if not isinstance(value, Collection) or value.anchor or not value.entries:
            return False
        if not value.in_flow:
            return True
        return not _holds_scalars(value) and indent + _STEP + len(_flow(value)) > WIDTH

    def _filled(self, head: str, value: Collection, indent: int, in_list: bool, note: str) -> None:
        """Print brackets over several lines, each as full as it gets."""
        opening, closing = "{}" if value.is_mapping else "[]"
        if in_list:
            line = f"{head} {opening}"
        else:
            self._add(head)
            line = " " * indent + opening
        parts = [f"{each}," for each in _flow_parts(value)]
        parts[-1] = parts[-1][:-1] + closing
        begun = False
        for part in parts:
            if begun and len(line) + 1 + len(part) > WIDTH:
                self._add(line)
                line, begun = " " * (indent + 1), False
            line = f"{line} {part}" if begun else line + part
            begun = True
        self._add(line + note)

    def _items_on(self, head: str, value: Collection, indent: int) -> None:
        """Print a block whose first entry follows a dash on its line."""
        at = len(self.lines)
        self._fresh = True
        self.block(value, indent)
        first = self.lines[at]
        self.lines[at] = f"{head} {first[indent:]}"

    def _scalar(self, head: str, scalar: Scalar, indent: int, note: str) -> None:
        inner = indent + _STEP
        if (found := block_lines(scalar, inner, WIDTH - len(head) - 1)) is not None:
            sign, lines = found
            self._add(_joined(head, sign) + note)
            self.lines += lines
            return
        self._add(_joined(head, inline_text(scalar, False)) + note)

    def _blank(self, wanted: bool) -> None:
        if wanted and not self._fresh and self.lines and self.lines[-1]:
            self.lines.append("")

    def _add(self, line: str) -> None:
        self.lines.append(line)
        self._fresh = False


def _joined(head: str, text: str) -> str:
    return f"{head} {text}" if head and text else head + text


def _key(key: Scalar, in_flow: bool) -> str:
    anchor = f"&{key.anchor} " if key.anchor else ""
    return f"{anchor}{inline_text(key, in_flow)}:"


def _holds_scalars(value: Collection) -> bool:
    return all(
        not isinstance(each.value, Collection) or not each.value.entries for each in value.entries
    )


def _flow(value: Value) -> str:
    if isinstance(value, Alias):
        return f"*{value.name}"
    anchor = f"&{value.anchor} " if value.anchor else ""
    if isinstance(value, Scalar):
        return anchor + inline_text(value, True)
    return anchor + _brackets(value)


def _brackets(value: Collection) -> str:
    inner = ", ".join(_flow_parts(value))
    return f"{{{inner}}}" if value.is_mapping else f"[{inner}]"


def _flow_parts(value: Collection) -> list[str]:
    return [
        f"{_key(each.key, True)} {_flow(each.value)}" if each.key is not None else _flow(each.value)
        for each in value.entries
    ]
