"""Policies from a repository: what was committed on one branch, and signed where that is asked for."""

import os
import re
import shutil
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from ringfence.errors import InputError
from ringfence.language.source import MAX_BYTES
from ringfence.reload.snapshot import MAX_TOTAL, Revision, Snapshot, SourceError, Target
from ringfence.runtime.git_reading import Git, quiet_git, yaml_blobs

__all__ = ["GitSource", "Signers"]

_BRANCH = re.compile(r"[A-Za-z0-9][\w./+-]*")
_PERSON = re.compile(r"(.*) (\d+) [+-]\d{4}")
_SSH_GOOD = re.compile(r'^Good "git" signature for (.+) with \S+ key (\S+)$', re.MULTILINE)
_GPG_GOOD = re.compile(r"^\[GNUPG:\] VALIDSIG .*?([0-9A-F]{40})$", re.MULTILINE)
_SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Signers:
    """Whose signatures of commits count.

    Attributes:
        allowed: A file of allowed signers, as `ssh-keygen` reads it (`ALLOWED SIGNERS` in its manual).
        revoked: A file of SSH keys that count no more.
        gnupg_home: A directory with a GPG keyring; its keys have to be trusted fully there.
    """

    allowed: Path | None = None
    revoked: Path | None = None
    gnupg_home: Path | None = None


class GitSource:
    """What a branch of a repository holds, read from its objects: no checkout, no hooks, no working tree.

    Args:
        repository: Where it is; a bare one will do.
        branch: A local branch, or a full name such as `refs/remotes/origin/main`.
        paths: Files or directories in it, from its top.
        signers: Where given, a commit without a good signature of one of them does not count.
        follow_rewrites: Whether a commit counts that does not descend from the one in force, as after a
            forced push. It is recorded in any case.
        polling: Do not wait for events: ask for the branch, again and again.
    """

    def __init__(
        self,
        repository: str | os.PathLike[str],
        branch: str,
        paths: tuple[str, ...] = ("policies",),
        *,
        signers: Signers | None = None,
        follow_rewrites: bool = True,
        polling: bool = False,
    ) -> None:
        if not _BRANCH.fullmatch(branch) or ".." in branch:
            raise InputError(f"`{branch}` cannot be a branch", fix="name one, as main")
        for path in paths:
            if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
                raise InputError(
                    f"`{path}` is no path in a repository", fix="name it from the repository's top"
                )
        self._repository = Path(os.path.abspath(repository))
        self._ref = branch if branch.startswith("refs/") else f"refs/heads/{branch}"
        self._paths = tuple(PurePosixPath(each).as_posix().removeprefix(".") for each in paths)
        self._signers = signers
        self._follow_rewrites = follow_rewrites
        self._read: Snapshot | None = None
        self.polling = polling
        self.place = f"git:{branch}:{','.join(paths)} in {self._repository}"

    def read(self, known: str = "") -> Snapshot:
        try:
            with quiet_git(self._repository) as git:
                commit = git.run(
                    "rev-parse", "--verify", "--quiet", "--end-of-options", f"{self._ref}^{{commit}}",
                    otherwise=InputError(
                        f"`{self._ref}` is no branch of the repository at {self._repository}",
                        "name a branch that is there, or fetch it",
                    ),
                ).strip()  # fmt: skip
                if self._read is None or _commit_of(self._read) != commit:
                    self._read = self._snapshot(git, commit)
                return self._compared(git, self._read, known)
        except SourceError:
            raise
        except InputError as error:
            raise SourceError(error.message, error.fix) from None

    def targets(self) -> tuple[Target, ...]:
        """The repository's refs; a repository that cannot be asked has none."""
        try:
            with quiet_git(self._repository) as git:
                said = git.run(
                    "rev-parse", "--git-common-dir", otherwise=InputError("no repository")
                )
        except InputError:
            return ()
        common = Path(os.path.normpath(self._repository / said.rstrip("\n")))
        names = frozenset(("packed-refs", "refs", "reftable"))
        return (
            Target(common, names=names),
            *(
                Target(common / each, True)
                for each in ("refs", "reftable")
                if (common / each).is_dir()
            ),
        )

    def _snapshot(self, git: Git, commit: str) -> Snapshot:
        signer = "" if self._signers is None else _signer(git, commit, self._signers)
        revision = _revision(commit, git.read([commit], "commit")[0])
        # A policy that is passed over is a gate that does not bind.
        blobs = [
            blob
            for path in self._paths
            for blob in yaml_blobs(git, commit, self._ref, path, whole=True)
        ]
        if sum(each.size for each in blobs) > MAX_TOTAL:
            raise SourceError(
                f"the commit {commit[:12]} holds more than {MAX_TOTAL:,} bytes of YAML",
                fix="name the directory with the policies",
            )
        large = [each.name for each in blobs if each.size > MAX_BYTES]
        if large:
            raise SourceError(f"`{large[0]}` is larger than 1 MiB", fix="split the file")
        contents = git.read([each.object for each in blobs])
        files = {blob.name: content for blob, content in zip(blobs, contents, strict=True)}
        return Snapshot(self.place, files, replace(revision, signer=signer))

    def _compared(self, git: Git, found: Snapshot, known: str) -> Snapshot:
        """The snapshot, saying whether its commit descends from the one in force."""
        revision = found.revision
        if revision is None or not known or known == revision.commit:
            return found
        asked = ("merge-base", "--is-ancestor", "--end-of-options", known, revision.commit)
        if git.answer(*asked).code == 0:
            return found
        if not self._follow_rewrites:
            raise SourceError(
                f"the commit {revision.commit[:12]} does not descend from {known[:12]}, which is in force",
                fix="commit on top of it, or let the source follow rewritten branches",
            )
        return replace(found, revision=replace(revision, rewritten=True))


def _commit_of(snapshot: Snapshot) -> str:
    return "" if snapshot.revision is None else snapshot.revision.commit


def _revision(commit: str, content: bytes) -> Revision:
    head = content.decode("utf-8", "replace").partition("\n\n")[0]
    facts = dict(line.partition(" ")[::2] for line in reversed(head.split("\n")))
    people = [_PERSON.fullmatch(facts.get(name, "")) for name in ("author", "committer")]
    author, committer = (each[1] if each else "" for each in people)
    committed = int(people[1][2]) * _SECOND if people[1] else 0
    return Revision(commit, author, committer, committed)


def _signer(git: Git, commit: str, signers: Signers) -> str:
    """Who signed the commit.

    The repository's own configuration names programs that git would run, so all of them are given here.
    """
    ssh, gpg = shutil.which("ssh-keygen"), shutil.which("gpg")
    nothing = shutil.which("false") or os.devnull
    settings = {
        "gpg.ssh.program": ssh or nothing,
        "gpg.ssh.allowedSignersFile": str(_absolute(signers.allowed)),
        "gpg.ssh.revocationFile": (
            "" if signers.revoked is None else str(_absolute(signers.revoked))
        ),
        "gpg.program": gpg or nothing,
        "gpg.openpgp.program": gpg or nothing,
        "gpg.x509.program": nothing,
        "gpg.minTrustLevel": "fully",
    }
    given = [
        word for name, value in settings.items() if value for word in ("-c", f"{name}={value}")
    ]
    home = signers.gnupg_home
    environment = {} if home is None else {"GNUPGHOME": str(_absolute(home))}
    answer = git.answer(*given, "verify-commit", "--raw", commit, environment=environment)
    found = _SSH_GOOD.search(answer.err) if signers.allowed is not None else None
    if found is None and home is not None:
        found = _GPG_GOOD.search(answer.err)
    if answer.code == 0 and found is not None:
        return found[1]
    signed = b"\ngpgsig" in git.read([commit], "commit")[0].partition(b"\n\n")[0]
    what = "is not signed by anyone who is allowed to" if signed else "is not signed"
    raise SourceError(
        f"the commit {commit[:12]} {what}",
        fix="sign it with a key of the allowed signers: git commit --amend --gpg-sign",
    )


def _absolute(path: Path | None) -> Path:
    return Path(os.devnull) if path is None else Path(os.path.abspath(path))
