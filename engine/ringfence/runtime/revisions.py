"""Policies as they were: `git:REF[:PATH]` read out of a repository, beside files and directories.

Nothing is checked out and nothing of the repository runs: objects alone are read, with hooks, file
system monitors, replacements, lazy fetching and the machine's configuration switched off.
"""

import os
from pathlib import Path, PurePosixPath

from ringfence.errors import Diagnostic, InputError, PolicyError, Span
from ringfence.language.gates import Policy
from ringfence.language.linking import LinkedSet, link, link_path
from ringfence.language.source import MAX_BYTES, Document, load, load_file
from ringfence.language.yaml_files import yaml_files
from ringfence.runtime.git_reading import Blob, Git, NoFilesError, quiet_git, yaml_blobs

__all__ = ["documents_at", "link_as_it_was", "link_spec", "named_revision", "read_at"]

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
    named = named_revision(spec)
    if named is None:
        return link_path(Path(spec)) if extra is None else _link_with(Path(spec), extra)
    revision, path = named
    documents, findings = _documents(revision, path or default)
    if extra is not None:
        documents, findings = _with_extra(documents, findings, extra)
    return link(documents, findings)


def named_revision(spec: str) -> tuple[str, str] | None:
    """Revision and path of `git:REF` or `git:REF:PATH`, the path empty where there is none; None for other text."""
    if not spec.startswith(_PREFIX):
        return None
    revision, _, path = spec.removeprefix(_PREFIX).partition(":")
    return revision, path


def read_at(revision: str, path: str) -> bytes | None:
    """The bytes of one file, named from the top of the repository, in a revision; None where it is not there.

    Raises:
        InputError: there is no repository, no such revision, or the file is larger than 1 MiB.
    """
    _check_revision(revision)
    with quiet_git() as git:
        _, commit = _commit(git, revision)
        try:
            blob, *more = yaml_blobs(git, commit, revision, path)
        except NoFilesError:
            return None
        if more or blob.name != path:
            raise InputError(f"`{path}` of {revision} is a directory", "name a file in it")
        if blob.size > MAX_BYTES:
            raise InputError(f"`{path}` of {revision} is larger than 1 MiB", "split the file")
        return git.read([blob.object])[0]


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


def documents_at(revision: str, path: str) -> dict[str, Document | None]:
    """Every YAML document at or below `path` in a revision, by the path it would have here now.

    Args:
        revision: A branch, a tag or a commit.
        path: Relative to the current directory, or absolute.

    Returns:
        The documents, None for one that cannot be read; nothing where the path held none.

    Raises:
        InputError: there is no repository, or no such revision.
    """
    try:
        inside, files = _files(revision, path)
    except NoFilesError:
        return {}
    found: dict[str, Document | None] = {}
    for blob, content in files:
        below = PurePosixPath(blob.name).relative_to(inside or ".")
        here = path if blob.name == inside else str(Path(path, below))
        try:
            found[here] = load(content, here) if content is not None else None
        except PolicyError:
            found[here] = None
    return found


def link_as_it_was(revision: str, path: str, known: LinkedSet | None = None) -> LinkedSet:
    """Link the policies that stood at a path, to be compared with what they are now.

    With `known`, what did not change since is taken over instead of being read again: of the set that comes
    back `policies` and `documents` then say what was, and nothing else. Mandatory gates are not asked for.

    Args:
        revision: A branch, a tag or a commit.
        path: Relative to the current directory, or absolute.
        known: The set as it is now; without it the set that comes back is whole.

    Raises:
        NoFilesError: there is nothing at this path in the revision.
        InputError: there is no repository, or no such revision.
        PolicyError: with every finding of the files that changed.
    """
    policies: dict[bytes, Policy] = {}
    kept: dict[bytes, Document] = {}
    if known is not None:
        policies = {policy.document.content: policy for policy in known.policies}
        rest = (each for each in known.documents.values() if each.data["kind"] != "Policy")
        kept = {each.content: each for each in rest}
    same: list[Policy] = []
    documents: list[Document] = []
    findings: list[Diagnostic] = []
    _, files = _files(revision, path)
    for blob, content in files:
        if content is not None and content in policies:
            same.append(policies[content])
        elif content is not None and content in kept:
            documents.append(kept[content])
        else:
            _load(f"{revision}:{blob.name}", content, documents, findings)
    linked = link(documents, findings, check_mandatory=False)
    linked.policies.extend(same)
    return linked


def _documents(revision: str, path: str) -> tuple[list[Document], list[Diagnostic]]:
    """Every YAML document at or below `path` in `revision`, and the findings met while loading."""
    documents: list[Document] = []
    findings: list[Diagnostic] = []
    _, files = _files(revision, path)
    for blob, content in files:
        _load(f"{revision}:{blob.name}", content, documents, findings)
    return documents, findings


def _load(
    shown: str, content: bytes | None, documents: list[Document], findings: list[Diagnostic]
) -> None:
    if content is None:
        findings.append(_too_large(shown))
        return
    try:
        documents.append(load(content, shown))
    except PolicyError as error:
        findings.extend(error.diagnostics)


def _files(revision: str, path: str) -> tuple[str, list[tuple[Blob, bytes | None]]]:
    """What the repository calls `path`, and every YAML file there; None for what is too large to read."""
    _check_revision(revision)
    with quiet_git() as git:
        top, commit = _commit(git, revision)
        inside = _inside(top, path)
        blobs = yaml_blobs(git, commit, revision, inside)
        sound = [each for each in blobs if each.size <= MAX_BYTES]
        contents = dict(zip(sound, git.read([each.object for each in sound]), strict=True))
        return inside, [(each, contents.get(each)) for each in blobs]


def _commit(git: Git, revision: str) -> tuple[Path, str]:
    """The top of the repository, and the commit that a revision names."""
    top = git.run("rev-parse", "--show-toplevel", otherwise=_NO_REPOSITORY).strip()
    commit = git.run(
        "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}",
        otherwise=InputError(
            f"`{revision}` is no revision of the repository at {top}",
            "name a branch, a tag or a commit; fetch it first where it is a remote one",
        ),
    ).strip()  # fmt: skip
    return Path(top), commit


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
