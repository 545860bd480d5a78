"""Records that other records name: each file of a log holds, before the first use, what its records name.

A decision names its policy set, and only the record of that set says what its gates were. Old files are
removed, copied and archived one by one: a file that stands by itself can be read, and its decisions derived
again, whatever became of the files before it.
"""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

__all__ = ["Definitions"]

#: So many of the latest are known; one that was not needed for so long is named by nothing new.
MOST = 100


class Definitions:
    """What was defined, and what of that stands in the file that is written; not thread-safe.

    Args:
        kind: Of the records that define something.
        key: Of their bodies, and of those that name it: the name.
    """

    def __init__(self, kind: str, key: str) -> None:
        self.kind, self._key = kind, key
        self._known: OrderedDict[str, bytes] = OrderedDict()
        self._here: set[str] = set()

    def name_in(self, body: Mapping[str, Any]) -> str | None:
        """What a body defines or names; None for nothing."""
        name = body.get(self._key)
        return name if type(name) is str else None

    def missing(self, name: str, *, new_file: bool) -> bytes | None:
        """The body that has to stand before a record which names it; None where none has to.

        Args:
            name: What the record names.
            new_file: Whether the record would be the first of a file.
        """
        if name in self._here and not new_file:
            return None
        return self._known.get(name)

    def file_begins(self) -> None:
        """Nothing is defined in a file that begins."""
        self._here.clear()

    def defined(self, name: str, content: bytes) -> None:
        """A record with this body was written."""
        self._here.add(name)
        self._known[name] = content
        self._known.move_to_end(name)
        if len(self._known) > MOST:
            self._known.popitem(last=False)
