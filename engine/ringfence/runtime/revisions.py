"""Policies as they were: `git:REF[:PATH]` read out of a repository, beside files and directories.

Nothing is checked out and nothing of the repository runs: objects alone are read, with hooks, file
system monitors, replacements, lazy fetching and the machine's configuration switched off.
"""

import os
import shutil
import subprocess  # nosec B404
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from ringfence.errors import Diagnostic, InputError, PolicyError, Span
from ringfence.language.linking import LinkedSet, link, link_path
from ringfence.language.source import MAX_BYTES, Document, load, load_file
from ringfence.language.yaml_files import yaml_files
from ringfence.runtime.temporary import temporary_directory

__all__ = ["MAX_FILES", "link_spec"]

#: The most YAML files that are read from a revision.
MAX_FILES = 10_000

_PREFIX = "git:"
_SUFFIXES = (".yaml", ".yml")
_SECONDS = 60


def link_spec(spec: str, extra: Path | None = None, default: str = "policies") -> LinkedSet:
    """Link the policies that a SPEC names.

    Args:
        spec: A directory, a file, `git:REF` or `git:REF:PATH`. PATH is relative to the current
            directory, as other paths are; `default` where it is not given. Findings in a revision
            name their files `REF:PATH`.
        extra: An instruments file whose entries are added, and win over those of the policies.

    Raises:
        InputError: there is nothing to read, no repository, or no such revision or path.
        PolicyError: with every finding of every file.
    """
    if not spec.startswith(_PREFIX):
        return link_path(Path(spec)) if extra is None else _link_with(Path(spec), extra)
    revision, _, path = spec.removeprefix(_PREFIX).partition(":")
    documents, findings = _documents(revision, path or default)
    if extra is not None:
        documents, findings = _with_extra(documents, findings, extra)
    return link(documents, findings)


def _link_with(path: Path, extra: Path) -> LinkedSet:
    """Link a file or directory together with an instruments file, without which it may not link."""
    files = yaml_files(path) if path.is_dir() else [path]
    documents: list[Document] = []
    findings: list[Diagnostic] = []
    for file in files:
        try:
            documents.append(load_file(file))
        except PolicyError as error:
            findings.extend(error.diagnostics)
    return link(*_with_extra(documents, findings, extra))


def _with_extra(
    documents: list[Document], findings: list[Diagnostic], extra: Path
) -> tuple[list[Document], list[Diagnostic]]:
    """The documents and, last, so that its entries win, the instruments file."""
    try:
        document = load_file(extra)
    except PolicyError as error:
        return documents, [*findings, *error.diagnostics]
    kind = document.data.get("kind") if isinstance(document.data, dict) else None
    if kind != "Instruments":
        raise InputError(
            f"`{extra}` is no instruments file", fix="name a file with `kind: Instruments`"
        )
    kept = [each for each in documents if each.path != document.path]
    return [*kept, document], findings


def _documents(revision: str, path: str) -> tuple[list[Document], list[Diagnostic]]:
    """Every YAML document at or below `path` in `revision`, and the findings met while loading."""
    _check_revision(revision)
    with _quiet_git() as git:
        top = git.run("rev-parse", "--show-toplevel", otherwise=_NO_REPOSITORY).strip()
        inside = _inside(Path(top), path)
        commit = git.run(
            "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}",
            otherwise=InputError(
                f"`{revision}` is no revision of the repository at {top}",
                "name a branch, a tag or a commit; fetch it first where it is a remote one",
            ),
        ).strip()  # fmt: skip
        blobs = _blobs(git, commit, revision, inside)
        documents: list[Document] = []
        findings: list[Diagnostic] = []
        for name, blob, size in blobs:
            shown = f"{revision}:{name}"
            if size > MAX_BYTES:
                findings.append(_too_large(shown))
                continue
            try:
                documents.append(load(git.read(blob), shown))
            except PolicyError as error:
                findings.extend(error.diagnostics)
    return documents, findings


def _check_revision(revision: str) -> None:
    if not revision:
        raise InputError("`git:` names no revision", "write git:REF or git:REF:PATH, as git:main")
    if revision.startswith("-") or not revision.isprintable() or any(c in revision for c in " \\"):
        raise InputError(
            f"`{revision}` cannot be a revision", "name a branch, a tag or a commit, as git:main"
        )


def _inside(top: Path, path: str) -> str:
    """`path`, relative to the current directory, as the repository names it."""
    whole = os.path.normpath(Path.cwd() / path)
    relative = os.path.relpath(os.path.realpath(whole), os.path.realpath(top))
    if relative == os.pardir or relative.startswith(os.pardir + os.sep):
        raise InputError(
            f"`{path}` lies outside the repository at {top}",
            "give a path inside it: git:REF:PATH",
        )
    return "" if relative == os.curdir else PurePosixPath(relative).as_posix()


def _blobs(git: "_Git", commit: str, revision: str, inside: str) -> list[tuple[str, str, int]]:
    """Name, object and size of each YAML file; symbolic links and submodules are none."""
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
        if kind != "blob" or mode not in ("100644", "100755"):
            continue
        below = name.removeprefix(inside).lstrip("/")
        hidden = any(part.startswith(".") for part in PurePosixPath(below).parts)
        if name == inside or (name.endswith(_SUFFIXES) and not hidden):
            found.append((name, blob, int(size)))
    if not found:
        raise InputError(
            f"`{inside or '.'}` holds no YAML files in `{revision}`",
            "name the path as it was then: git:REF:PATH",
        )
    if len(found) > MAX_FILES:
        raise InputError(
            f"`{inside or '.'}` holds more than {MAX_FILES:,} YAML files in `{revision}`",
            "name the directory with the policies: git:REF:PATH",
        )
    # As a directory's files are sorted, for the order of policies is part of their meaning.
    return sorted(found, key=lambda each: PurePosixPath(each[0]))


def _too_large(shown: str) -> Diagnostic:
    return Diagnostic(
        "E101",
        "the file is larger than 1 MiB",
        Span(shown, 1, 1, 1, 2),
        why="reading a policy has to stay quick, whoever wrote it",
        fix="split the file",
    )


_NO_REPOSITORY = InputError(
    "this directory is in no git repository", "run this inside one, or name a directory of policies"
)


class _Git:
    """Runs git for reading alone."""

    def __init__(self, program: str, home: str) -> None:
        self._command = [
            program, "--no-replace-objects", "--no-optional-locks", "--literal-pathspecs",
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

    def _bytes(self, arguments: list[str], otherwise: InputError) -> bytes:
        # No shell; what a user gives is a checked revision behind --end-of-options, or a literal path.
        try:
            done = subprocess.run(  # nosec B603
                [*self._command, *arguments],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise InputError(
                f"git did not answer in {_SECONDS} s", "look at the repository, and run it again"
            ) from None
        if done.returncode == 0:
            return done.stdout
        said = done.stderr.decode("utf-8", "replace")
        if "dubious ownership" in said:
            raise InputError(
                "git refuses to read this repository: it belongs to another user",
                "run as its owner, or copy the policies and name their directory",
            )
        raise otherwise

    def run(self, *arguments: str, otherwise: InputError) -> str:
        """What git prints; `otherwise` is raised where it fails."""
        return self._bytes(list(arguments), otherwise).decode("utf-8", "surrogateescape")

    def read(self, blob: str) -> bytes:
        """The bytes of one file, as they were stored: no filter runs."""
        return self._bytes(
            ["cat-file", "blob", blob],
            InputError(f"the object {blob} cannot be read", "run `git fsck` in the repository"),
        )


@contextmanager
def _quiet_git() -> Iterator[_Git]:
    program = shutil.which("git")
    if program is None:
        raise InputError(
            "git is not installed", "install it, or name a directory instead of git:REF"
        )
    home = temporary_directory()
    try:
        yield _Git(program, str(home))
    finally:
        shutil.rmtree(home, ignore_errors=True)
