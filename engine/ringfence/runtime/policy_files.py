"""The files of a policy set as bytes and as data for JSON, and back; in their order, which counts."""

import base64
import binascii
import json
import zlib
from collections.abc import Mapping
from typing import Any

from ringfence.errors import InputError

__all__ = ["compressed", "expanded", "files_in", "files_told"]

#: Files of more bytes than this are compressed where they stand in JSON.
PLAIN_BYTES = 64 << 10
#: So many bytes of files are taken out of what was compressed, and no more.
MOST_BYTES = 256 << 20
# Policies resemble one another: the quickest level finds most of it.
_LEVEL = 1


def compressed(files: Mapping[str, bytes]) -> bytes:
    """Return the files as bytes, for `expanded`."""
    pairs = [[path, content.decode("utf-8")] for path, content in files.items()]
    return zlib.compress(json.dumps(pairs, separators=(",", ":")).encode("ascii"), _LEVEL)


def expanded(content: bytes) -> dict[str, bytes]:
    """Return what `compressed` was given.

    Raises:
        InputError: it is nothing that `compressed` gave, or holds more than 256 MiB.
    """
    reader = zlib.decompressobj()
    try:
        text = reader.decompress(content, MOST_BYTES)
        if not reader.eof:
            raise _unreadable()
        return _files(json.loads(text))
    except (zlib.error, ValueError, RecursionError):
        raise _unreadable() from None


def files_told(files: Mapping[str, bytes]) -> dict[str, Any]:
    """Return the files as part of a record's body.

    `files` is a list of path and text; where there is much, `files_zlib` is the base64 of `compressed`.
    """
    if sum(map(len, files.values())) > PLAIN_BYTES:
        return {"files_zlib": base64.b64encode(compressed(files)).decode("ascii")}
    return {"files": [[path, content.decode("utf-8")] for path, content in files.items()]}


def files_in(body: Mapping[str, Any]) -> dict[str, bytes]:
    """Return the files that a body holds; none where it does not speak of any.

    Raises:
        InputError: they cannot be read.
    """
    packed = body.get("files_zlib")
    if packed is None:
        return _files(body.get("files", []))
    try:
        return expanded(base64.b64decode(packed, validate=True))
    except (binascii.Error, TypeError, ValueError):
        raise _unreadable() from None


def _files(pairs: Any) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for pair in pairs if isinstance(pairs, list) else [None]:
        match pair:
            case [str(path), str(text)] if path not in found:
                found[path] = text.encode("utf-8", "surrogatepass")
            case _:
                raise _unreadable()
    return found


def _unreadable() -> InputError:
    return InputError(
        "the files of the policy set cannot be read", "see whether the record was changed"
    )
