"""Commits of the repository that the current directory is in: which one, and by whom."""

import hashlib
import re
from collections.abc import Collection, Sequence
from pathlib import Path

from ringfence.errors import InputError
from ringfence.runtime.git_reading import Git, quiet_git, yaml_blobs

__all__ = ["authors_since", "commit_holding", "commit_of", "top_directory"]

# Of an author the address, of a co-author the line that git knows them by: `NAME <ADDRESS>`.
_AUTHORS = "--format=%ae%n%(trailers:key=Co-authored-by,valueonly)"
_HIDDEN = re.compile(r"(?:\d+\+)?([^@+]+)@users\.noreply\.github\.com", re.IGNORECASE)


def commit_of(revision: str) -> str:
    """The commit that a branch, tag or other revision names.

    Raises:
        InputError: there is no repository, or no such revision.
    """
    with quiet_git() as git:
        return _commit(git, revision)


def commit_holding(folder: Path, contents: Collection[bytes]) -> str:
    """The commit checked out here, where it holds just these YAML files; empty where it does not.

    Args:
        folder: Where they lie.
        contents: What they hold.
    """
    try:
        with quiet_git() as git:
            inside = folder.resolve().relative_to(_top(git).resolve()).as_posix()
            commit = _commit(git, "HEAD")
            blobs = yaml_blobs(git, commit, "HEAD", "" if inside == "." else inside)
    except (InputError, ValueError):
        return ""
    known = sorted(each.object for each in blobs)
    return commit if known == _objects(contents, len(known[0])) else ""


def _objects(contents: Collection[bytes], digits: int) -> Sequence[str]:
    """The names that git gives to contents, as many digits as its hashes have here."""
    kind = "sha1" if digits == 40 else "sha256"
    return sorted(
        hashlib.new(kind, b"blob %d\0" % len(each) + each, usedforsecurity=False).hexdigest()
        for each in contents
    )


def top_directory() -> Path | None:
    """The top of the repository that the current directory is in; None where it is in none."""
    try:
        with quiet_git() as git:
            return _top(git)
    except InputError:
        return None


def authors_since(base: str, head: str) -> tuple[str, ...]:
    """Addresses of the authors of the commits that lead from one commit to another, and of their co-authors, each once.

    An address that GitHub gives to those who hide theirs is followed by the login in it, by which they approve.

    Raises:
        InputError: there is no repository, or it does not hold them.
    """
    with quiet_git() as git:
        said = git.run(
            "log", _AUTHORS, "--end-of-options", f"{base}..{head}",
            otherwise=InputError(
                f"the way from {base[:12]} to {head[:12]} cannot be read", "fetch the whole history"
            ),
        )  # fmt: skip
    found: dict[str, None] = {}
    for line in said.splitlines():
        address = line.rpartition("<")[2].rstrip("> ")
        login = _HIDDEN.fullmatch(address)
        found |= dict.fromkeys(each for each in (address, login and login[1]) if each)
    return tuple(found)


def _top(git: Git) -> Path:
    no_repository = InputError(
        "this directory is in no git repository", "run this inside one, or name a directory"
    )
    return Path(git.run("rev-parse", "--show-toplevel", otherwise=no_repository).strip())


def _commit(git: Git, revision: str) -> str:
    top = _top(git)
    return git.run(
        "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}",
        otherwise=InputError(
            f"`{revision}` is no revision of the repository at {top}",
            "name a branch, a tag or a commit; fetch it first where it is a remote one",
        ),
    ).strip()  # fmt: skip
