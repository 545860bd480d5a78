"""The dashboard's files: scripts, styles, pictures. Their address holds a digest of all, so that they can be kept for good."""

from functools import cache
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from litestar import Response, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

__all__ = ["Assets", "asset", "assets"]

_TYPES = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
}
_FOR_GOOD = "public, max-age=31536000, immutable"
_NOT_KEPT = "no-store"


class Assets:
    """All files of a folder, read once.

    Attributes:
        digest: Of all names and contents; changes with any of them.
    """

    def __init__(self, folder: Traversable) -> None:
        self._content = dict(sorted(_found(folder, "")))
        whole = sha256()
        for name, content in self._content.items():
            whole.update(f"{name}:{len(content)}:".encode())
            whole.update(content)
        self.digest = whole.hexdigest()[:16]

    @property
    def names(self) -> tuple[str, ...]:
        """Every file, by its path in the folder."""
        return tuple(self._content)

    def address(self, name: str) -> str:
        """Where a file is served; KeyError where there is none."""
        self._content[name]
        return f"/static/{self.digest}/{name}"

    def read(self, name: str) -> bytes | None:
        """A file's content; None where there is none."""
        return self._content.get(name)


def _found(folder: Traversable, before: str) -> list[tuple[str, bytes]]:
    found = []
    for each in folder.iterdir():
        name = before + each.name
        if each.is_dir():
            found += _found(each, f"{name}/")
        elif _type_of(name):
            found.append((name, each.read_bytes()))
    return found


def _type_of(name: str) -> str:
    return _TYPES.get(name[name.rfind(".") :], "")


@cache
def assets() -> Assets:
    """The dashboard's own."""
    return Assets(files("ringfence.service.dashboard") / "static")


@get("/static/{digest:str}/{name:path}", opt={"open": True}, sync_to_thread=False)
def asset(digest: FromPath[str], name: FromPath[Path]) -> Response[bytes]:
    """A file. A page made by another version names another digest: it gets the file, and does not keep it."""
    known = assets()
    path = str(name).lstrip("/")
    content = known.read(path)
    if content is None:
        raise NotFoundException("there is no such file")
    kept = _FOR_GOOD if digest == known.digest else _NOT_KEPT
    headers = {"cache-control": kept, "x-content-type-options": "nosniff"}
    return Response(content, media_type=_type_of(path), headers=headers)
