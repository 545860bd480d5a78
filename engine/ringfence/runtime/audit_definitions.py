"""Records that other records name: each file of a log holds, before the first use, what its records name.

A decision names its policy set, and only the record of that set says what its gates were. Old files are
removed, copied and archived one by one: a file that stands by itself can be read, and its decisions derived
again, whatever became of the files before it.
"""

from collections import OrderedDict

__all__ = ["Definitions"]

#: So many of the latest are known; one that was not needed for so long is named by nothing new.
MOST = 100


class Definitions:
    """What was defined, and what of that stands in the file that is written; not thread-safe.

    Bodies are canonical JSON, in which a key never looks like text does: that escapes its quotes.

    Args:
        kind: Of the records that define something.
        key: Of their bodies, and at any depth of those that name it: the name.

    Attributes:
        absent: By their names, those that this file lacks: none, mostly, and then no body is looked through.
    """

    def __init__(self, kind: str, key: str) -> None:
        self.kind = kind
        self._key = f'"{key}":"'.encode("ascii")
        self._known: OrderedDict[bytes, bytes] = OrderedDict()
        self.absent: dict[bytes, bytes] = {}

    def missing(self, kind: str, content: bytes, *, new_file: bool) -> list[bytes]:
        """The bodies that have to stand before a record.

        Args:
            kind, content: Of the record.
            new_file: Whether it would be the first of a file.
        """
        lacking = self._known if new_file else self.absent
        if not lacking or kind == self.kind:
            return []
        return [lacking[name] for name in self._names(content) if name in lacking]

    def file_begins(self) -> None:
        """Nothing is defined in a file that begins."""
        self.absent = dict(self._known)

    def defined(self, content: bytes) -> None:
        """A record with this body, which defines something, was written."""
        names = self._names(content)
        if not names:
            return
        name = names[0]
        self.absent.pop(name, None)
        self._known[name] = content
        self._known.move_to_end(name)
        if len(self._known) > MOST:
            self.absent.pop(self._known.popitem(last=False)[0], None)

    def _names(self, content: bytes) -> list[bytes]:
        """What a body defines or names, each once."""
        key, found = self._key, []
        # Much quicker than a regular expression, and on the way of an order.
        at = content.find(key)
        while at >= 0:
            start = at + len(key)
            end = content.find(b'"', start)
            found.append(content[start:end])
            at = content.find(key, end)
        return list(dict.fromkeys(found)) if len(found) > 1 else found
