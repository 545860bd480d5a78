"""YAML events in, plain data and a tree of places out; all that is refused is refused here."""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import yaml
from yaml.events import (
    AliasEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    StreamEndEvent,
)

from ringfence.errors import InputError
from ringfence.language.scalars import MAYBE_SPECIAL, NOT_PRINTABLE, Fault, resolve_plain
from ringfence.language.syntax_faults import MAX_DEPTH
from ringfence.language.yaml_findings import Findings, ReadingStopped

try:
    from yaml.cyaml import CParser  # type: ignore[attr-defined]  # its stubs do not list it
except ImportError:  # pragma: no cover - a PyYAML built without libyaml
    CParser = None  # type: ignore[assignment, misc]

__all__ = [
    "MAX_ALIAS_NODES",
    "MAX_DEPTH",
    "MAX_NODES",
    "Builder",
    "MappingNode",
    "Node",
    "Place",
    "ScalarNode",
    "SequenceNode",
]

MAX_ALIAS_NODES = 10_000
MAX_NODES = 200_000

# What an unquoted scalar starts with, or nothing at all, where it may be other than text, or no key.
_MAYBE_NO_TEXT = frozenset({*MAYBE_SPECIAL, ""})
_MAYBE_NO_KEY = frozenset({*_MAYBE_NO_TEXT, "<"})

# The same keys and values come again and again; bounded, for hostile files hold long ones.
_resolve = lru_cache(maxsize=4096)(resolve_plain)
_LONGEST_KEPT = 64


# Line and column of the start, line and column of the end, all from 0. Tuples of plain values, and not
# libyaml's events, because the garbage collector need not visit them: over a thousand files that is
# most of the time. A scalar's node also holds its text as written.
Place: TypeAlias = tuple[int, int, int, int]
ScalarNode: TypeAlias = tuple[int, int, int, int, str]


@dataclass(slots=True, eq=False)
class MappingNode:
    """Where a mapping stands, and each of its keys and values."""

    place: Place
    entries: "dict[str, tuple[ScalarNode, Node]]"


@dataclass(slots=True, eq=False)
class SequenceNode:
    """Where a list stands, and each of its items."""

    place: Place
    items: "list[Node]"


Node: TypeAlias = MappingNode | SequenceNode | ScalarNode


@dataclass(slots=True)
class _Anchor:
    event: Any
    # None while the anchored value is being read: an alias to it would hold itself.
    value: tuple[Any, Node] | None = None
    size: int = 0


def _scalar_node(event: Any) -> ScalarNode:
    start, end = event.start_mark, event.end_mark
    return (start.line, start.column, end.line, end.column, event.value)


def _place(first: Any, last: Any) -> Place:
    start, end = first.start_mark, last.end_mark
    return (start.line, start.column, end.line, end.column)


class Builder:
    """Reads one document; `findings` is complete when `build` returns."""

    def __init__(self, path: str, text: str) -> None:
        self.findings = Findings(path, text)
        self.has_nonfinite = False
        self._text = text
        self._nodes = 0
        self._alias_nodes = 0
        self._anchors: dict[str, _Anchor] = {}

    def build(self) -> tuple[Any, Node] | None:
        """Return data and nodes, or None when there is no document or reading had to stop."""
        if CParser is None:  # pragma: no cover - a PyYAML built without libyaml
            raise InputError(
                "PyYAML was installed without libyaml",
                fix="install a wheel: pip install --force-reinstall --only-binary :all: pyyaml",
            )
        try:
            return self._read()
        except ReadingStopped:
            return None

    def _read(self) -> tuple[Any, Node] | None:
        # Reporting a failure can itself stop the reading, hence inside the caller's `try`.
        try:
            # The parser reads the start of the text at once, so it can already fail here.
            self._next: Any = CParser(self._text).get_event
            return self._document()
        except yaml.MarkedYAMLError as error:
            self.findings.syntax(error)
        except (yaml.YAMLError, ValueError) as error:
            # libyaml lets some escapes through that are no text; PyYAML then fails to decode them.
            self.findings.unreadable(error)
        return None

    def _document(self) -> tuple[Any, Node] | None:
        self._next()
        if type(self._next()) is StreamEndEvent:
            self.findings.empty()
            return None
        result = self._value(self._next(), 0)
        self._next()
        event = self._next()
        if type(event) is not StreamEndEvent:
            self.findings.report(
                event,
                "E106",
                "a second document starts here",
                "a file holds one document, so that nothing in it can be overlooked",
                "move it to a file of its own",
            )
        if result[0] is None and not self.findings.all:
            self.findings.empty()
        return result

    def _value(self, event: Any, depth: int) -> tuple[Any, Node]:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            self.findings.too_many_values(event, MAX_NODES)
        kind = type(event)
        if kind is ScalarEvent:
            data = event.value
            if event.style or event.tag is not None or data[:1] in _MAYBE_NO_TEXT:
                data = self._scalar(event)
            node = _scalar_node(event)
            if event.anchor is not None:
                self._new_anchor(event).value = (data, node)
            return data, node
        if kind is AliasEvent:
            return self._alias(event, depth)
        if depth >= MAX_DEPTH:
            self.findings.too_deep(event)
        if event.tag is not None:
            self.findings.tag(event)
        if event.anchor is None:
            return self._container(event, depth + 1)
        anchor = self._new_anchor(event)
        before = self._nodes
        anchor.value = self._container(event, depth + 1)
        anchor.size = self._nodes - before
        return anchor.value

    def _container(self, start: Any, depth: int) -> tuple[Any, Node]:
        if type(start) is MappingStartEvent:
            return self._mapping(start, depth)
        data: list[Any] = []
        items: list[Node] = []
        while type(event := self._next()) is not SequenceEndEvent:
            value, node = self._value(event, depth)
            data.append(value)
            items.append(node)
        return data, SequenceNode(_place(start, event), items)

    def _mapping(self, start: Any, depth: int) -> tuple[dict[str, Any], Node]:
        data: dict[str, Any] = {}
        entries: dict[str, tuple[ScalarNode, Node]] = {}
        while type(event := self._next()) is not MappingEndEvent:
            # Nearly every key is one that `_key` would give back as it is.
            if (
                type(event) is ScalarEvent
                and not event.style
                and event.tag is None
                and event.anchor is None
                and event.value[:1] not in _MAYBE_NO_KEY
            ):
                key: str | None = event.value
            else:
                key = self._key(event, depth)
            value, node = self._value(self._next(), depth)
            if key is None:
                continue
            if key in entries:
                self.findings.duplicate(event, key, entries[key][0])
                continue
            data[key] = value
            entries[key] = (_scalar_node(event), node)
        return data, MappingNode(_place(start, event), entries)

    def _key(self, event: Any, depth: int) -> str | None:
        # None: reported, and the entry is left out.
        if type(event) is not ScalarEvent:
            self.findings.key_not_text(event, "")
            if type(event) is not AliasEvent:
                self._value(event, depth)
            return None
        if event.value == "<<" and not event.style:
            self.findings.merge_key(event)
            return None
        before = len(self.findings.all)
        key = self._scalar(event)
        if len(self.findings.all) > before:
            return None
        if type(key) is not str:
            self.findings.key_not_text(event, event.value)
            return None
        if event.anchor is not None:
            self._new_anchor(event).value = (key, _scalar_node(event))
        return key

    def _scalar(self, event: Any) -> Any:
        text: str = event.value
        if event.tag is not None:
            self.findings.tag(event)
            return text
        if event.style:
            if event.style == '"' and NOT_PRINTABLE.search(text):
                self.findings.escaped_control(event)
            return text
        value = _resolve(text) if len(text) <= _LONGEST_KEPT else resolve_plain(text)
        if type(value) is Fault:
            self.findings.fault(event, value)
            return text
        if type(value) is float and not math.isfinite(value):
            self.has_nonfinite = True
        return value

    def _alias(self, event: Any, depth: int) -> tuple[Any, Node]:
        anchor = self._anchors.get(event.anchor)
        if anchor is None or anchor.value is None:
            self.findings.unknown_alias(event, holds_itself=anchor is not None)
            return None, (*_place(event, event), "")
        self._alias_nodes += anchor.size + 1
        if self._alias_nodes > MAX_ALIAS_NODES:
            self.findings.alias_bomb(event, MAX_ALIAS_NODES)
        self._nodes += anchor.size
        data, node = anchor.value
        return self._copy(data, depth, event), node

    def _copy(self, data: Any, depth: int, event: Any) -> Any:
        # Each use has data of its own: filling a default in one place must not show in another.
        if type(data) is not dict and type(data) is not list:
            return data
        if depth >= MAX_DEPTH:
            self.findings.too_deep(event)
        if type(data) is dict:
            return {key: self._copy(value, depth + 1, event) for key, value in data.items()}
        return [self._copy(value, depth + 1, event) for value in data]

    def _new_anchor(self, event: Any) -> _Anchor:
        if event.anchor in self._anchors:
            self.findings.anchor_twice(event, self._anchors[event.anchor].event)
        anchor = self._anchors[event.anchor] = _Anchor(event)
        return anchor
