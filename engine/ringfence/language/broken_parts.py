"""Which parts of a document its schema found fault with: those are not read any further, all others are."""

from collections.abc import Sequence

from ringfence.errors import Diagnostic, Span
from ringfence.language.source import Document, Key

__all__ = ["BrokenParts"]


class BrokenParts:
    """The faults of one document by their places.

    Args:
        document: As loaded.
        faults: What `schema.check` found in it.
    """

    def __init__(self, document: Document, faults: Sequence[Diagnostic]) -> None:
        self._document = document
        self._places = [
            (each.span.line, each.span.column) for each in faults if each.span is not None
        ]

    def at(self, *keys: Key) -> bool:
        """Whether there is a fault inside the value at a path, or at the key of it."""
        return bool(self._places) and self._held(keys) > 0

    def beside(self, *keys: Key) -> bool:
        """Whether there is a fault in the value that holds the one at a path, but not in that one."""
        return bool(self._places) and self._held(keys[:-1]) > self._held(keys)

    def _held(self, keys: tuple[Key, ...]) -> int:
        spans = (self._document.span(*keys), self._document.key_span(*keys))
        return sum(any(_holds(span, place) for span in spans) for place in self._places)


def _holds(span: Span, place: tuple[int, int]) -> bool:
    return (span.line, span.column) <= place <= (span.end_line, span.end_column)
