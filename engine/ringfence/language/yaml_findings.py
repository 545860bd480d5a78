"""What can be wrong with the YAML of a document: one method per finding, bounded in number."""

import re
from collections.abc import Sequence
from typing import Any, NoReturn

import yaml

from ringfence.errors import Diagnostic, Span
from ringfence.language.codes import MAX_FINDINGS
from ringfence.language.scalars import Fault, clip
from ringfence.language.syntax_faults import TOO_DEEP, explain

__all__ = ["LINE_BREAK", "Findings", "ReadingStopped"]

# What libyaml counts as a line break, less the characters that no file may hold.
LINE_BREAK = re.compile(r"\r\n|\r|\n")


class ReadingStopped(Exception):  # noqa: N818 - not an error: the reason is among the findings
    """Reading this document cannot go on."""


class Findings:
    """Collects the findings of one text, in order; stops the reading when there are too many."""

    def __init__(self, path: str, text: str) -> None:
        self.all: list[Diagnostic] = []
        self._path = path
        self._text = text

    def span(self, event: Any) -> Span:
        """Return the place of a YAML event."""
        start, end = event.start_mark, event.end_mark
        return Span(self._path, start.line + 1, start.column + 1, end.line + 1, end.column + 1)

    def report(
        self,
        event: Any,
        code: str,
        message: str,
        why: str,
        fix: str,
        related: tuple[Span, ...] = (),
    ) -> None:
        """Add a finding at an event."""
        self.add(self.span(event), Fault(code, message, why, fix), related)

    def fault(self, event: Any, fault: Fault) -> None:
        """Add a scalar's fault."""
        self.add(self.span(event), fault)

    def add(self, span: Span, fault: Fault, related: tuple[Span, ...] = ()) -> None:
        """Add a finding at a place; the one beyond the bound ends the reading."""
        if len(self.all) >= MAX_FINDINGS:
            self._stop(
                span,
                Fault(
                    "E117",
                    f"more than {MAX_FINDINGS} problems in one file",
                    "reading stopped here; what follows was not looked at",
                    "mend those above and run again",
                ),
            )
        self.all.append(
            Diagnostic(fault.code, fault.message, span, fault.why, fault.fix, related=related)
        )

    def _stop(self, span: Span, fault: Fault) -> NoReturn:
        self.all.append(Diagnostic(fault.code, fault.message, span, fault.why, fault.fix))
        raise ReadingStopped

    def empty(self) -> None:
        self.add(
            Span(self._path, 1, 1, 1, 2),
            Fault(
                "E103",
                "the file is empty",
                "it holds no document, only blank lines, comments or a null",
                "write a document, or remove the file",
            ),
        )

    def syntax(self, error: yaml.MarkedYAMLError) -> None:
        """Add what libyaml stopped at."""
        context: Any = error.context_mark
        mark: Any = error.problem_mark or context
        doing, problem = error.context or "", error.problem or ""
        if context is not None and "quoted scalar" in doing and "unexpected" in problem:
            # The text was opened here; where it runs out says nothing.
            mark, context = context, None
        lines = LINE_BREAK.split(self._text)
        line = lines[mark.line] if mark.line < len(lines) else ""
        at_tab = line[mark.column : mark.column + 1] == "\t"
        opened = context is not None and "flow" in doing
        self.add(
            self._point(mark),
            explain(problem, at_tab),
            related=(self._point(context),) if opened else (),
        )

    def unreadable(self, error: Exception) -> None:
        """Add a failure of libyaml or its binding that has no place."""
        self.add(
            Span(self._path, 1, 1, 1, 2),
            Fault(
                "E102",
                "the text is not valid YAML",
                clip(str(getattr(error, "reason", error))),
                "remove tags and escapes that are not plain text",
            ),
        )

    def too_many_values(self, event: Any, most: int) -> NoReturn:
        self._stop(
            self.span(event),
            Fault(
                "E118",
                f"more than {most:,} values in one file",
                "reading a policy has to stay quick, whoever wrote it",
                "split the file",
            ),
        )

    def too_deep(self, event: Any) -> NoReturn:
        self._stop(self.span(event), TOO_DEEP)

    def alias_bomb(self, event: Any, most: int) -> NoReturn:
        self._stop(
            self.span(event),
            Fault(
                "E110",
                f"aliases expand to more than {most:,} values",
                "a few lines of aliases to aliases can stand for billions of values",
                "write the values out, or split the file",
            ),
        )

    def unknown_alias(self, event: Any, holds_itself: bool) -> None:
        name = clip(event.anchor)
        reason = (
            "the value it stands for would hold itself"
            if holds_itself
            else "no anchor of this name comes before it"
        )
        self.report(
            event,
            "E111",
            f"the alias `*{name}` stands for nothing",
            f"text that starts with `*` and has no quotes is a YAML alias, and {reason}",
            f'quote it if a glob is meant: "*{name}"',
        )

    def anchor_twice(self, event: Any, first: Any) -> None:
        self.report(
            event,
            "E111",
            f"the anchor `&{clip(event.anchor)}` is set twice",
            "which of the two an alias means would depend on its place",
            "give one of them another name",
            related=(self.span(first),),
        )

    def duplicate(self, event: Any, key: str, first: Sequence[Any]) -> None:
        """Add a key that is there already; `first` is its place: lines and columns from 0."""
        place = Span(self._path, *(number + 1 for number in first[:4]))
        self.report(
            event,
            "E108",
            f"the key `{clip(key)}` is written twice",
            f"it is first at line {place.line}; most YAML readers silently keep only the last",
            "remove one of them",
            related=(place,),
        )

    def key_not_text(self, event: Any, text: str) -> None:
        shown = clip(text)
        self.report(
            event,
            "E114",
            f"the key `{shown}` is not text" if shown else "a key that is not text",
            "numbers, true, false, null, lists, mappings and aliases are values, not names",
            f'quote it: "{shown}"' if shown else "write the key out as text",
        )

    def merge_key(self, event: Any) -> None:
        self.report(
            event,
            "E112",
            "merge keys (`<<`) are not part of this language",
            "what they merge cannot be seen at the place where it binds, and YAML 1.2 dropped them",
            "write the keys out, or alias a whole value",
        )

    def tag(self, event: Any) -> None:
        self.report(
            event,
            "E113",
            f"the tag `{clip(event.tag)}` is not part of this language",
            "tags let a file choose how it is read; in some readers they run code",
            "remove the tag; quote the value if text is meant",
        )

    def escaped_control(self, event: Any) -> None:
        self.report(
            event,
            "E104",
            "an escape makes a control character",
            "control characters hide or move text in a terminal or a review",
            "remove the escape",
        )

    def _point(self, mark: Any) -> Span:
        line, column = mark.line + 1, mark.column + 1
        return Span(self._path, line, column, line, column + 1)
