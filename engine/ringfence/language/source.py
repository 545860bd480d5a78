"""Strict YAML with positions: text in, plain data and the place of every value out.

The text is hostile until shown otherwise, so everything is bounded: bytes, depth, values, what
aliases expand to, and the number of findings.
"""

from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from ringfence.errors import InputError, PolicyError, Span, reason_of
from ringfence.language.document_builder import (
    Builder,
    MappingNode,
    Node,
    Place,
    ScalarNode,
    SequenceNode,
)
from ringfence.language.scalars import NOT_PRINTABLE, Fault
from ringfence.language.yaml_findings import LINE_BREAK, Findings, ReadingStopped

__all__ = ["MAX_BYTES", "Document", "Key", "Source", "load", "load_file"]

MAX_BYTES = 1 << 20
_MARK = "\ufeff"

Key: TypeAlias = str | int


@dataclass(frozen=True, slots=True)
class Source:
    """A text, the path it is shown under, and whether a byte order mark stood before it."""

    path: str
    text: str
    has_mark: bool = False


class Document:
    """One YAML document: `data` is plain dicts, lists and scalars; places are found by key path.

    A path is the keys and list positions that lead to a value: `span("spec", "gates", 0, "rule")`.
    Where a path does not exist, the place of its deepest existing part is returned, so that a
    finding about something missing points at what lacks it.
    """

    __slots__ = ("_lines", "_root", "data", "has_nonfinite", "source")

    def __init__(self, source: Source, data: Any, root: Node, has_nonfinite: bool) -> None:
        self.source = source
        self.data = data
        self.has_nonfinite = has_nonfinite
        """Whether any number is NaN or infinite, which only test cases may use."""
        self._root = root
        self._lines: list[str] | None = None

    def with_data(self, data: Any) -> "Document":
        """The same text with other data in its place, for what-if questions; places stay those of the text."""
        return Document(self.source, data, self._root, self.has_nonfinite)

    @property
    def path(self) -> str:
        """The path that findings show."""
        return self.source.path

    @property
    def content(self) -> bytes:
        """The bytes that were read."""
        return (_MARK * self.source.has_mark + self.source.text).encode("utf-8")

    def span(self, *keys: Key) -> Span:
        """Return the place of the value at a key path."""
        return self._node_span(self._find(keys)[0])

    def key_span(self, *keys: Key) -> Span:
        """Return the place of the key itself; of a list item, or of the root, the first line."""
        node, key = self._find(keys)
        if key is not None:
            return self._span_at(key)
        return self._first_line(self._node_span(node))

    def text_of(self, *keys: Key) -> str:
        """Return a scalar as it is written, unquoted; numbers are exact only in this form.

        Raises:
            KeyError: the path does not lead to a scalar.
        """
        node: Node = self._root
        for key in keys:
            child = _child(node, key)
            if child is None:
                raise KeyError(keys)
            node = child[0]
        if isinstance(node, MappingNode | SequenceNode):
            raise KeyError(keys)
        return node[4]

    def line(self, number: int) -> str:
        """Return a line of the text, counting from 1, without its end; empty beyond the text."""
        lines = self._split()
        return lines[number - 1] if 0 < number <= len(lines) else ""

    def _split(self) -> list[str]:
        if self._lines is None:
            self._lines = LINE_BREAK.split(self.source.text)
        return self._lines

    def _find(self, keys: tuple[Key, ...]) -> tuple[Node, ScalarNode | None]:
        node: Node = self._root
        key_node: ScalarNode | None = None
        for key in keys:
            child = _child(node, key)
            if child is None:
                break
            node, key_node = child
        return node, key_node

    def _node_span(self, node: Node) -> Span:
        return self._span_at(node if isinstance(node, tuple) else node.place)

    def _span_at(self, place: Place | ScalarNode) -> Span:
        line, column, end_line, end_column = place[:4]
        if end_line > line and end_column <= _indent(self._split(), end_line):
            end_line, end_column = self._end_of_text(line, end_line)
        return Span(self.path, line + 1, column + 1, end_line + 1, end_column + 1)

    def _end_of_text(self, start_line: int, end_line: int) -> tuple[int, int]:
        # libyaml ends a block where the next token starts; people end it where its text does.
        lines = self._split()
        line = end_line - 1
        while line > start_line and lines[line].lstrip()[:1] in ("", "#"):
            line -= 1
        return line, len(lines[line].rstrip())

    def _first_line(self, span: Span) -> Span:
        if span.line == span.end_line:
            return span
        end = max(span.column + 1, len(self.line(span.line).rstrip()) + 1)
        return Span(span.path, span.line, span.column, span.line, end)


def load(text: str | bytes, path: str) -> Document:
    """Read one strict YAML document.

    Args:
        text: The document, as text or as the bytes of a file (UTF-8, a byte order mark is skipped).
        path: What findings call the file.

    Raises:
        PolicyError: the text is refused; holds all findings, codes E100 to E118.
    """
    decoded = _decode(text, path)
    bare = decoded.removeprefix(_MARK)
    source = Source(path, bare, has_mark=bare != decoded)
    _check_characters(source)
    builder = Builder(path, source.text)
    result = builder.build()
    if builder.findings.all or result is None:
        raise PolicyError(builder.findings.all)
    data, root = result
    return Document(source, data, root, builder.has_nonfinite)


def load_file(path: Path, shown: str | None = None) -> Document:
    """Read one strict YAML document from a file, at most one byte beyond the bound of it.

    Args:
        path: A regular file; pipes and devices are refused, for they may never end.
        shown: What findings call the file, the path where not given.

    Raises:
        InputError: the file cannot be read.
        PolicyError: its text is refused.
    """
    name = shown if shown is not None else str(path)
    if not path.is_file():
        if path.is_symlink() and not path.exists():
            raise InputError(
                f"`{name}` is a link that leads nowhere",
                fix="remove the link, or put back what it leads to",
            )
        reason = "is not a file" if path.exists() else "does not exist"
        raise InputError(f"`{name}` {reason}", fix="name a YAML file")
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError(
            f"`{name}` cannot be read: {reason_of(error)}",
            fix="check its permissions",
        ) from None
    return load(content, name)


def _child(node: Node, key: Key) -> tuple[Node, ScalarNode | None] | None:
    if isinstance(node, MappingNode):
        entry = node.entries.get(key) if isinstance(key, str) else None
        return None if entry is None else (entry[1], entry[0])
    if isinstance(node, SequenceNode) and isinstance(key, int) and 0 <= key < len(node.items):
        return node.items[key], None
    return None


def _indent(lines: list[str], line: int) -> int:
    text = lines[line] if line < len(lines) else ""
    return len(text) - len(text.lstrip())


def _decode(text: str | bytes, path: str) -> str:
    # A file beyond the bound is not decoded at all.
    if len(text) > MAX_BYTES:
        raise _too_large(path)
    if isinstance(text, bytes):
        try:
            return text.decode("utf-8")
        except UnicodeDecodeError as error:
            raise _not_utf8(path, text, error.start) from None
    if not text.isascii() and len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise _too_large(path)
    return text


def _too_large(path: str) -> PolicyError:
    return _refused(
        Span(path, 1, 1, 1, 2),
        "E101",
        "the file is larger than 1 MiB",
        "reading a policy has to stay quick, whoever wrote it",
        "split the file",
    )


def _not_utf8(path: str, content: bytes, at: int) -> PolicyError:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        found, span = "the file is UTF-16", Span(path, 1, 1, 1, 2)
    else:
        before = LINE_BREAK.split(content[:at].decode("utf-8").removeprefix(_MARK))
        column = len(before[-1]) + 1
        found = f"the byte 0x{content[at]:02x} is not UTF-8"
        span = Span(path, len(before), column, len(before), column + 1)
    return _refused(
        span,
        "E100",
        found,
        "YAML is UTF-8 here, so that every reader sees the same names",
        "save the file as UTF-8",
    )


def _refused(span: Span, code: str, message: str, why: str, fix: str) -> PolicyError:
    findings = Findings(span.path, "")
    findings.add(span, Fault(code, message, why, fix))
    return PolicyError(findings.all)


def _check_characters(source: Source) -> None:
    match = NOT_PRINTABLE.search(source.text)
    if match is None:
        return
    starts = [0, *(end.end() for end in LINE_BREAK.finditer(source.text))]
    findings = Findings(source.path, "")
    try:
        for match in NOT_PRINTABLE.finditer(source.text):
            line = bisect_right(starts, match.start())
            column = match.start() - starts[line - 1] + 1
            findings.add(Span(source.path, line, column, line, column + 1), _control(match.group()))
    except ReadingStopped:
        pass
    raise PolicyError(findings.all)


def _control(character: str) -> Fault:
    return Fault(
        "E104",
        f"the character U+{ord(character):04X} cannot be part of a document",
        "control characters hide or move text in a terminal or a review",
        "remove it",
    )
