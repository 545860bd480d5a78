"""Policies from directories: read whole, and read again where they changed meanwhile."""

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from ringfence.errors import InputError, reason_of
from ringfence.language.source import MAX_BYTES
from ringfence.language.yaml_files import yaml_files
from ringfence.reload.snapshot import MAX_TOTAL, Snapshot, SourceError, Target
from ringfence.runtime.git_reading import MAX_FILES

__all__ = ["DirectorySource"]

# A link may name a link; more than this is a loop.
_MOST_LINKS = 40


class DirectorySource:
    """The YAML files below some directories, of policies and of rules; links to files are followed.

    A directory may itself be a link, and files in it may be links, as in a mounted config map. Rules given
    here win over those of the same version in the library.

    Args:
        folders: The directories.
        polling: Do not wait for events, which network mounts do not send: read, again and again.
        attempts: So often are the files read while they change.
    """

    def __init__(
        self, *folders: str | os.PathLike[str], polling: bool = False, attempts: int = 5
    ) -> None:
        if not folders or attempts < 1:
            raise InputError("a source needs a directory", fix="name one or more, and an attempt")
        self._folders = tuple(Path(each) for each in folders)
        self._attempts = attempts
        self.polling = polling
        self.place = ", ".join(map(str, self._folders))

    def read(self, known: str = "") -> Snapshot:
        del known
        last = self._files()
        for _ in range(self._attempts):
            # Twice the same, by content: times of files are too coarse to show every change.
            files = self._files()
            if files == last:
                return Snapshot(self.place, files)
            last = files
        raise SourceError(
            f"the files of `{self.place}` kept changing while they were read",
            fix="they are read again by themselves; put files into place by renaming them",
        )

    def targets(self) -> tuple[Target, ...]:
        """The directories, those above them, and those that hold a link on the way to them."""
        found: dict[tuple[Path, bool], set[str] | None] = {}
        for folder in self._folders:
            for place, name in _way(folder):
                names = found.setdefault((place, False), set())
                if names is not None:
                    names.add(name)
            real = Path(os.path.realpath(folder))
            if real.is_dir():
                found[real, True] = None
                for file in _linked_files(real):
                    for place, name in _way(file):
                        if not place.is_relative_to(real):
                            names = found.setdefault((place, False), set())
                            if names is not None:
                                names.add(name)
        return tuple(
            Target(path, recursive, None if names is None else frozenset(names))
            for (path, recursive), names in sorted(found.items())
            if path.is_dir()
        )

    def _files(self) -> Mapping[str, bytes]:
        found: dict[str, bytes] = {}
        total = 0
        for folder in self._folders:
            for path in _listed(folder):
                content = _content(path)
                total += len(content)
                found[str(path)] = content
                if len(found) > MAX_FILES or total > MAX_TOTAL:
                    raise SourceError(
                        f"`{folder}` holds more than {MAX_FILES:,} YAML files, or {MAX_TOTAL:,} bytes",
                        fix="name the directory with the policies",
                    )
        if not found:
            raise SourceError(
                f"`{self.place}` holds no YAML files",
                fix="put the policies back, or name where they are",
            )
        return found


def _listed(folder: Path) -> list[Path]:
    try:
        if folder.is_dir():
            return yaml_files(folder)
        reason = "is no directory" if os.path.lexists(folder) else "does not exist"
        raise SourceError(f"`{folder}` {reason}", fix="put the directory back, or name where it is")
    except OSError as error:
        raise SourceError(
            f"`{folder}` cannot be read: {reason_of(error)}",
            fix="check the permissions on the way to it",
        ) from None
    except SourceError:
        raise
    except InputError as error:
        raise SourceError(error.message, error.fix) from None


def _content(path: Path) -> bytes:
    """The file's bytes, at most one beyond the bound, which shows that there are more."""
    try:
        # Not waiting: a pipe without a writer would block for ever.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise SourceError(
                    f"`{path}` is not a file", fix="remove it, or name a YAML file so"
                )
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise SourceError(
            f"`{path}` cannot be read: {reason_of(error)}",
            fix="check its permissions, and where it leads",
        ) from None


def _way(path: Path) -> Iterator[tuple[Path, str]]:
    """Directory and name of `path` itself, of every link on the way to what it names, and of that."""
    place = Path(os.path.abspath(path))
    yield Path(os.path.realpath(place.parent)), place.name
    for _ in range(_MOST_LINKS):
        links = [each for each in (place, *place.parents) if each.is_symlink()]
        if not links:
            yield place.parent, place.name
            return
        # The one nearest the root: what stands above it is real.
        link = links[-1]
        yield link.parent, link.name
        whole = link.parent / os.readlink(link) / place.relative_to(link)
        place = Path(os.path.normpath(whole))


def _linked_files(folder: Path) -> Iterator[Path]:
    try:
        yield from (each for each in yaml_files(folder) if each.is_symlink())
    except InputError:
        return
