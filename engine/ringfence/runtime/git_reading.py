"""Git for reading alone: objects are read, nothing is checked out, and nothing of the repository runs.

Hooks, file system monitors, replacements, lazy fetching and the machine's configuration are switched off.
"""

import os
import shutil
import subprocess  # nosec B404
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from ringfence.errors import InputError
from ringfence.runtime.temporary import temporary_directory

__all__ = ["MAX_FILES", "Blob", "Git", "NoFilesError", "quiet_git", "yaml_blobs"]

#: The most YAML files that are read from a revision.
MAX_FILES = 10_000

_SUFFIXES = (".yaml", ".yml")
_SECONDS = 60


class Blob(NamedTuple):
    """A file of a revision: its name from the top, its object, its size in bytes."""

    name: str
    object: str
    size: int


class NoFilesError(InputError):
    """A path that held no YAML files in a revision."""


class Answer(NamedTuple):
    """What a run of git gave."""

    code: int
    out: bytes
    err: str


class Git:
    """Runs git for reading alone; in `directory`, the current one where not given."""

    def __init__(self, program: str, home: str, directory: Path | None = None) -> None:
        self._command = [
            program, *(["-C", str(directory)] if directory is not None else []), "--no-replace-objects", "--no-optional-locks", "--literal-pathspecs",
            "-c", "core.fsmonitor=false", "-c", f"core.hooksPath={os.devnull}",
            "-c", "protocol.allow=never", "-c", "core.pager=cat",
        ]  # fmt: skip
        # Only what git needs: a GIT_DIR, an alternate object store or a trace file must not come in.
        self._environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": home,
            "LC_ALL": "C",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.environ.get("GIT_CONFIG_GLOBAL", os.devnull),
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_OPTIONAL_LOCKS": "0",
        }

    def answer(
        self,
        *arguments: str,
        given: bytes = b"",
        environment: Mapping[str, str] | None = None,
    ) -> Answer:
        """Run git, whatever comes of it.

        Args:
            arguments: What a user gives among them is checked, or stands behind `--end-of-options`.
            given: What git reads from its standard input.
            environment: Variables beside those that git needs.

        Raises:
            InputError: git did not answer in time, or refuses this repository.
        """
        try:
            done = subprocess.run(  # nosec B603  # no shell
                [*self._command, *arguments],
                env={**self._environment, **(environment or {})},
                input=given,
                capture_output=True,
                timeout=_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise InputError(
                f"git did not answer in {_SECONDS} s", "look at the repository, and run it again"
            ) from None
        said = done.stderr.decode("utf-8", "replace")
        if done.returncode != 0 and "dubious ownership" in said:
            raise InputError(
                "git refuses to read this repository: it belongs to another user",
                "run as its owner, or copy the policies and name their directory",
            )
        return Answer(done.returncode, done.stdout, said)

    def run(self, *arguments: str, otherwise: InputError) -> str:
        """What git prints; `otherwise` is raised where it fails."""
        answer = self.answer(*arguments)
        if answer.code != 0:
            raise otherwise
        return answer.out.decode("utf-8", "surrogateescape")

    def read(self, objects: Sequence[str], kind: str = "blob") -> list[bytes]:
        """The bytes of objects, as they were stored: no filter runs.

        Raises:
            InputError: one of them cannot be read, or is of another kind.
        """
        answer = self.answer(
            "cat-file", "--batch", given="".join(f"{o}\n" for o in objects).encode()
        )
        found, at = [], 0
        for name in objects:
            end = answer.out.find(b"\n", at)
            words = answer.out[at:end].decode("utf-8", "replace").split()
            if answer.code != 0 or end < 0 or len(words) != 3 or words[1] != kind:
                raise InputError(
                    f"the object {name} cannot be read", "run `git fsck` in the repository"
                )
            size = int(words[2])
            found.append(answer.out[end + 1 : end + 1 + size])
            at = end + 1 + size + 1
        return found


@contextmanager
def quiet_git(directory: Path | None = None) -> Iterator[Git]:
    """Git, for reading in a directory; the current one where not given.

    Raises:
        InputError: git is not installed.
    """
    program = shutil.which("git")
    if program is None:
        raise InputError(
            "git is not installed", "install it, or name a directory instead of git:REF"
        )
    home = temporary_directory()
    try:
        yield Git(program, str(home), directory)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def yaml_blobs(
    git: Git, commit: str, revision: str, inside: str, *, whole: bool = False
) -> list[Blob]:
    """Every YAML file at or below a path in a commit, sorted; symbolic links and submodules are none.

    Args:
        git: Runs in the repository.
        commit: The commit's hash.
        revision: What messages call it.
        inside: A file or directory, from the top; everything where it is empty.
        whole: Refuse a link or a submodule behind which there may be more YAML files.

    Raises:
        NoFilesError: there is none.
        InputError: there are too many, or the commit cannot be read.
    """
    listed = git.run(
        "ls-tree", "-r", "-z", "-l", "--full-tree", commit, *(["--", inside] if inside else []),
        otherwise=InputError(f"`{revision}` cannot be read", "run `git fsck` in the repository"),
    )  # fmt: skip
    found = []
    for entry in listed.split("\0"):
        facts, tab, name = entry.partition("\t")
        if not tab:
            continue
        mode, kind, blob, size = facts.split()
        below = name.removeprefix(inside).lstrip("/")
        hidden = any(part.startswith(".") for part in PurePosixPath(below).parts)
        if kind != "blob" or mode not in ("100644", "100755"):
            if whole and not hidden and PurePosixPath(name).suffix.lower() in ("", *_SUFFIXES):
                raise InputError(
                    f"`{name}` in `{revision}` is a link or a submodule, which is not followed",
                    "commit the files themselves, or move it away from the policies",
                )
            continue
        if name == inside or (name.lower().endswith(_SUFFIXES) and not hidden):
            found.append(Blob(name, blob, int(size)))
    if not found:
        raise NoFilesError(
            f"`{inside or '.'}` holds no YAML files in `{revision}`",
            "name the path as it was then: git:REF:PATH",
        )
    if len(found) > MAX_FILES:
        raise InputError(
            f"`{inside or '.'}` holds more than {MAX_FILES:,} YAML files in `{revision}`",
            "name the directory with the policies: git:REF:PATH",
        )
    # As a directory's files are sorted, for the order of policies is part of their meaning.
    return sorted(found, key=lambda each: PurePosixPath(each.name))
