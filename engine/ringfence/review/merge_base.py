"""Where a change began: the commit that it and the branch it goes to have in common."""

from collections.abc import Mapping
from dataclasses import dataclass

from ringfence.errors import InputError
from ringfence.runtime.git_reading import Git, quiet_git

__all__ = ["Base", "find_base"]

_USUAL = ("origin/HEAD", "origin/main", "origin/master", "main", "master")


@dataclass(frozen=True, slots=True)
class Base:
    """What a change is compared with.

    Attributes:
        name: The branch, tag or commit that was asked for.
        commit: The commit that it and the head have in common.
        head: The commit that is checked out.
    """

    name: str
    commit: str
    head: str

    @property
    def short(self) -> str:
        """The commit, as people write it and git takes it."""
        return self.commit[:12]


def find_base(named: str | None, environment: Mapping[str, str]) -> Base | None:
    """The base of what is checked out in the current directory.

    Args:
        named: A branch, tag or commit; else what the variables of GitHub or GitLab name; else the first of
            the usual main branches that there is.
        environment: The variables of the process.

    Returns:
        The base, or None outside a repository and where no main branch is known.

    Raises:
        InputError: what is named is no revision, or has nothing in common with the head.
    """
    asked = named or _of_pull_request(environment)
    if asked and (asked.startswith("-") or not asked.isprintable()):
        raise InputError(f"`{asked}` cannot be a revision", "name a branch, a tag or a commit")
    with quiet_git() as git:
        head = _commit(git, "HEAD")
        if head is None:
            if asked:
                raise InputError(
                    "there is no commit here to compare", "run this inside a repository"
                )
            return None
        name = asked or next((each for each in _USUAL if _commit(git, each)), None)
        if name is None:
            return None
        if _commit(git, name) is None:
            raise InputError(
                f"`{name}` is no revision of this repository",
                "fetch it first: in GitHub's checkout action, `fetch-depth: 0`",
            )
        common = git.answer("merge-base", "--end-of-options", name, "HEAD")
        if common.code != 0:
            raise InputError(
                f"`{name}` and the head have no commit in common here",
                "fetch the whole history: in GitHub's checkout action, `fetch-depth: 0`",
            )
        return Base(name, common.out.decode().strip(), head)


def _of_pull_request(environment: Mapping[str, str]) -> str | None:
    if branch := environment.get("GITHUB_BASE_REF"):
        return f"origin/{branch}"
    return environment.get("CI_MERGE_REQUEST_DIFF_BASE_SHA") or None


def _commit(git: Git, name: str) -> str | None:
    answer = git.answer(
        "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"
    )
    return answer.out.decode().strip() if answer.code == 0 else None
