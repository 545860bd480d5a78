"""A document as a tree that also holds its comments and blank lines, for a printer to lay out anew.

The parser is libyaml, as in the loader. It tells where every value begins and ends; a comment is what starts
with `#` between two of them. Comments above an entry, and behind it on its line, are the entry's own.
"""

import re
from bisect import bisect_right
from collections import deque
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from yaml.cyaml import CParser  # type: ignore[attr-defined]  # its stubs do not list it
from yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    MappingStartEvent,
    ScalarEvent,
    StreamEndEvent,
)

__all__ = ["Alias", "Collection", "Comment", "Entry", "Layout", "Scalar", "Value", "read_layout"]

_LINE_END = re.compile(r"\n")
_LEAD = re.compile(r"[ ?-]*")
_COMMENT = re.compile(r"#[^\n]*")


@dataclass(slots=True)
class Comment:
    """One comment, from `#` to the end of its line."""

    text: str
    after_blank: bool
    """Whether an empty line stands before it."""


@dataclass(slots=True)
class Scalar:
    """A scalar: what it means, how it was written, and the lines that it took."""

    value: str
    style: str
    """Empty for a plain one; else its quote, `|` or `>`."""
    lines: list[str]
    """As written, the first one from where the scalar begins; none for a scalar within a line."""
    anchor: str = ""


@dataclass(slots=True)
class Alias:
    """`*name`."""

    name: str


@dataclass(slots=True)
class Entry:
    """A key with its value, or an item of a list, and what was written around it."""

    key: Scalar | None
    value: "Value"
    above: list[Comment] = field(default_factory=list)
    behind: str = ""
    """The comment at the end of its line."""
    after_blank: bool = False
    below: list[Comment] = field(default_factory=list)
    """Comments that stand where a value could: below a key that has none."""


@dataclass(slots=True)
class Collection:
    """A mapping or a list."""

    is_mapping: bool
    in_flow: bool
    """Whether it is written in brackets; one that holds a comment cannot stay so."""
    entries: list[Entry] = field(default_factory=list)
    below: list[Comment] = field(default_factory=list)
    """Comments after the last entry."""
    anchor: str = ""


Value: TypeAlias = Scalar | Alias | Collection


@dataclass(slots=True)
class Layout:
    """A document: its value, the comments at its very end, and whether it has anchors."""

    root: Value
    above: list[Comment]
    below: list[Comment]
    has_anchors: bool


@dataclass(slots=True)
class _Found:
    """A comment and its place."""

    index: int
    line: int
    column: int
    text: str
    alone: bool
    after_blank: bool

    def comment(self) -> Comment:
        return Comment(self.text, self.after_blank)


def read_layout(text: str) -> Layout:
    """Return the tree of a document that the strict loader has accepted.

    Args:
        text: The document, its lines ended by `\\n`.
    """
    return _Reader(text).read()


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._lines = text.split("\n")
        self._starts = [0, *(each.end() for each in _LINE_END.finditer(text))]
        parser = CParser(text)
        self._events: deque[Any] = deque()
        while not isinstance(event := parser.get_event(), StreamEndEvent):
            self._events.append(event)
        self._comments = deque(self._find_comments())
        self._has_anchors = False
        self._led = -1, 0
        # The line on which the value ends that was read last, where it is not a block.
        self._ended = 0

    def read(self) -> Layout:
        self._events.popleft()  # the stream's start
        self._events.popleft()  # the document's start
        above = []
        if not isinstance(self._events[0], MappingStartEvent) or self._events[0].flow_style:
            above = self._take(self._events[0].start_mark.index)
        root = self._value(-1)
        return Layout(root, above, self._take(len(self._text) + 1), self._has_anchors)

    def _find_comments(self) -> list[_Found]:
        found: list[_Found] = []
        at = 0
        for event in (*self._events, None):
            start, end = (
                (len(self._text), 0)
                if event is None
                else (event.start_mark.index, event.end_mark.index)
            )
            if start > at:
                self._scan(at, start, found)
                at = start
            if not isinstance(event, ScalarEvent):
                continue
            if event.style in ("|", ">"):
                # Behind the sign may stand a comment, which the parser counts to the scalar.
                head = self._text.find("\n", start)
                self._scan(start, end if head < 0 else min(head, end), found)
            at = end
        return found

    def _scan(self, start: int, end: int, found: list[_Found]) -> None:
        for match in _COMMENT.finditer(self._text, start, end):
            line = bisect_right(self._starts, match.start()) - 1
            begins = self._starts[line]
            found.append(
                _Found(
                    match.start(),
                    line,
                    match.start() - begins,
                    match.group().rstrip(),
                    not self._text[begins : match.start()].strip(),
                    self._blank_above(line),
                )
            )

    def _blank_above(self, line: int) -> bool:
        return line > 0 and not self._lines[line - 1].strip()

    def _lead(self, line: int) -> int:
        """How far a line goes before anything but dashes stands in it; asked for line after line."""
        if self._led[0] != line:
            found = _LEAD.match(self._lines[line])
            self._led = line, found.end() if found else 0
        return self._led[1]

    def _take(self, before: int) -> list[Comment]:
        """The comments before a place, and no more."""
        taken = []
        while self._comments and self._comments[0].index < before:
            taken.append(self._comments.popleft().comment())
        return taken

    def _take_behind(self, line: int, before: int) -> str:
        """The comment that follows on a line, if the next token is not before it."""
        if self._comments:
            first = self._comments[0]
            if first.line == line and first.index < before and not first.alone:
                return self._comments.popleft().text
        return ""

    def _take_below(self, column: int, before: int) -> list[Comment]:
        """The comments at the end of a block: as long as they stand as far right as it does."""
        taken = []
        while self._comments:
            first = self._comments[0]
            if first.index >= before or first.column < column or not first.alone:
                break
            taken.append(self._comments.popleft().comment())
        return taken

    def _value(self, above_column: int) -> Value:
        event = self._events.popleft()
        self._ended = event.end_mark.line
        if isinstance(event, AliasEvent):
            return Alias(str(event.anchor))
        self._has_anchors |= event.anchor is not None
        if isinstance(event, ScalarEvent):
            return self._scalar(event)
        return self._collection(event, above_column)

    def _scalar(self, event: Any) -> Scalar:
        start, end = event.start_mark, event.end_mark
        lines: list[str] = []
        if end.line > start.line:
            # Of a long line in brackets each scalar would hold the rest: only where it is needed.
            lines = self._lines[start.line : end.line + (1 if end.column else 0)]
            lines[0] = lines[0][start.column :]
        return Scalar(event.value, event.style or "", lines, event.anchor or "")

    def _collection(self, start: Any, above_column: int) -> Collection:
        made = Collection(
            isinstance(start, MappingStartEvent), bool(start.flow_style), [], [], start.anchor or ""
        )
        counted = len(self._comments)
        column = -1
        while not isinstance(event := self._events[0], CollectionEndEvent):
            if column < 0:
                column = event.start_mark.column
            made.entries.append(self._entry(made, column))
        end = self._events.popleft()
        if made.in_flow:
            self._ended = end.end_mark.line
            made.below = self._take(end.start_mark.index)
            made.in_flow = not made.entries or len(self._comments) == counted
            return made
        if not made.is_mapping:
            column = start.start_mark.column
            # A list may stand as far left as its key; a comment there is about the next key.
            column += column == above_column
        made.below = self._take_below(column, end.start_mark.index)
        return made

    def _entry(self, owner: Collection, column: int) -> Entry:
        first = self._events[0].start_mark
        above = self._take(first.index)
        before_key = len(above)
        after_blank = first.column <= self._lead(first.line) and self._blank_above(first.line)
        key, behind_key = None, ""
        if owner.is_mapping:
            event = self._events.popleft()
            self._has_anchors |= event.anchor is not None
            key = self._scalar(event)
            following = self._events[0].start_mark.index
            behind_key = self._take_behind(event.end_mark.line, following)
        upcoming = self._events[0]
        if key is not None and not _is_block(upcoming):
            above += self._take(upcoming.start_mark.index)
        value = self._value(column if owner.is_mapping else -1)
        behind = self._behind(value, upcoming)
        if behind_key and behind:
            above.insert(before_key, Comment(behind_key, False))
            behind_key = ""
        if isinstance(value, Collection):
            _hoist(value, above)
        below = []
        if key is not None and not owner.in_flow and _is_nothing(value):
            below = self._take_below(column + 1, self._events[0].start_mark.index)
        return Entry(key, value, above, behind or behind_key, after_blank, below)

    def _behind(self, value: Value, begun: Any) -> str:
        """The comment behind a value that has just been read."""
        if isinstance(value, Scalar) and value.style in ("|", ">"):
            return self._take_behind(begun.start_mark.line, begun.end_mark.index)
        if _is_block(begun):
            return ""
        return self._take_behind(self._ended, self._events[0].start_mark.index)


def _is_block(event: Any) -> bool:
    return not isinstance(event, (ScalarEvent, AliasEvent)) and not event.flow_style


def _is_nothing(value: Value) -> bool:
    return isinstance(value, Scalar) and not value.value and not value.style and not value.anchor


def _hoist(value: Collection, above: list[Comment]) -> None:
    """Move comments that would have no line of their own to above the entry."""
    if not value.entries:
        above += value.below
        value.below = []
