"""Policies as they were: `git:REF[:PATH]` read out of a repository, beside files and directories.

Nothing is checked out and nothing of the repository runs: objects alone are read, with hooks, file
system monitors, replacements, lazy fetching and the machine's configuration switched off.
"""

import hashlib
import os
from collections.abc import Collection
from pathlib import Path, PurePosixPath

from ringfence.errors import Diagnostic, InputError, PolicyError, Span
from ringfence.language.linking import LinkedSet, link, link_path
from ringfence.language.source import MAX_BYTES, Document, load, load_file
from ringfence.language.yaml_files import yaml_files
from ringfence.runtime.git_reading import Git, quiet_git, yaml_blobs

__all__ = ["authors_since", "commit_holding", "commit_of", "file_at", "link_spec", "top_directory"]

_PREFIX = "git:"


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
    with quiet_git() as git:
        top = git.run("rev-parse", "--show-toplevel", otherwise=_NO_REPOSITORY).strip()
        inside = _inside(Path(top), path)
        commit = _commit(git, revision, top)
        documents: list[Document] = []
        findings: list[Diagnostic] = []
        blobs = yaml_blobs(git, commit, revision, inside)
        sound = [each for each in blobs if each.size <= MAX_BYTES]
        findings.extend(
            _too_large(f"{revision}:{each.name}") for each in blobs if each.size > MAX_BYTES
        )
        for blob, content in zip(sound, git.read([each.object for each in sound]), strict=True):
            try:
                documents.append(load(content, f"{revision}:{blob.name}"))
            except PolicyError as error:
                findings.extend(error.diagnostics)
    return documents, findings


def commit_of(spec: str) -> str:
    """The commit that a SPEC names; empty for a file or directory.

    Raises:
        InputError: there is no repository, or no such revision.
    """
    if not spec.startswith(_PREFIX):
        return ""
    revision, _, _ = spec.removeprefix(_PREFIX).partition(":")
    _check_revision(revision)
    with quiet_git() as git:
        top = git.run("rev-parse", "--show-toplevel", otherwise=_NO_REPOSITORY).strip()
        return _commit(git, revision, top)


def commit_holding(path: str, contents: Collection[bytes]) -> str:
    """The commit checked out here, where it holds just these YAML files at a path; empty where it does not.

    Args:
        path: A directory, relative to the current one.
        contents: What the files hold.
    """
    try:
        with quiet_git() as git:
            top = git.run("rev-parse", "--show-toplevel", otherwise=_NO_REPOSITORY).strip()
            commit = _commit(git, "HEAD", top)
            blobs = yaml_blobs(git, commit, "HEAD", _inside(Path(top), path))
    except InputError:
        return ""
    size = len(blobs[0].object)
    return commit if sorted(each.object for each in blobs) == _objects(contents, size) else ""


def _objects(contents: Collection[bytes], size: int) -> list[str]:
    """The names that git gives to contents, as many digits as its hashes have here."""
    kind = "sha1" if size == 40 else "sha256"
    return sorted(
        hashlib.new(kind, b"blob %d\0" % len(each) + each, usedforsecurity=False).hexdigest()
        for each in contents
    )


def top_directory() -> Path | None:
    """The top of the repository that the current directory is in; None where it is in none."""
    try:
        with quiet_git() as git:
            return Path(git.run("rev-parse", "--show-toplevel", otherwise=_NO_REPOSITORY).strip())
    except InputError:
        return None


def file_at(commit: str, name: str) -> bytes | None:
    """What a file held in a commit, named from the repository's top; None where it was not there.

    Raises:
        InputError: there is no repository, or it cannot be read.
    """
    with quiet_git() as git:
        said = git.answer("ls-tree", "-z", "--full-tree", commit, "--", name).out
        facts, tab, _ = said.decode("utf-8", "surrogateescape").partition("\t")
        if not tab or facts.split()[1] != "blob":
            return None
        return git.read([facts.split()[2]])[0]


def authors_since(base: str, head: str) -> tuple[str, ...]:
    """Addresses of the authors of the commits that lead from one commit to another, each once.

    Raises:
        InputError: there is no repository, or it does not hold them.
    """
    with quiet_git() as git:
        said = git.run(
            "log", "--format=%ae", "--end-of-options", f"{base}..{head}",
            otherwise=InputError(
                f"the way from {base[:12]} to {head[:12]} cannot be read", "fetch the whole history"
            ),
        )  # fmt: skip
    return tuple(dict.fromkeys(line for line in said.splitlines() if line))


def _commit(git: Git, revision: str, top: str) -> str:
    return git.run(
        "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}",
        otherwise=InputError(
            f"`{revision}` is no revision of the repository at {top}",
            "name a branch, a tag or a commit; fetch it first where it is a remote one",
        ),
    ).strip()  # fmt: skip


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
