"""Prints the reviews of the pull request that approve it as it stands, as GitHub's API lists them.

An approval counts while it is its reviewer's latest word, was given for the newest commit, and its reviewer may push to the
repository, and neither opened the pull request nor wrote one of its commits, alone or with others (`Co-authored-by`). Who of
them may approve what is not decided here: `.ringfence/approvals.yaml` says it.
"""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))  # -I leaves it out

from github_api import Api, RefusedError, notice, pull_request

_OPINIONS = ("APPROVED", "CHANGES_REQUESTED", "DISMISSED")
_COMMITS = 250
"""Commits of one pull request that GitHub lists; there may be more where there are so many."""
_PAGE = """
query($owner: String!, $name: String!, $number: Int!, $after: String) {
  repository(owner: $owner, name: $name) {
    pullRequest(number: $number) {
      page: %s {
        pageInfo { hasNextPage endCursor }
        nodes { %s }
      }
    }
  }
}
"""
_AUTHORS = _PAGE % (
    "commits(first: 100, after: $after)",
    "commit { authors(first: 100) { nodes { user { login } } } }",
)
_APPROVING = _PAGE % (
    "reviews(first: 100, after: $after, states: [APPROVED])",
    "author { login } authorCanPushToRepository",
)


def main() -> int:
    """Print them; the exit code."""
    change = pull_request()
    found: list[dict[str, Any]] = []
    if change is None:
        notice("no pull request started this run, so nobody reviewed it")
    else:
        try:
            found = _approvals(Api(), change)
        except RefusedError as refused:
            # Nobody's approval is known then, and none counts.
            notice(f"the reviews cannot be read ({refused}): no approval counts")
    print(json.dumps(found, indent=2))
    return 0


def _approvals(api: Api, change: dict[str, Any]) -> list[dict[str, Any]]:
    number = int(change["number"])
    authors = {change["user"]["login"], *_authors(api, number)}
    latest: dict[str, dict[str, Any]] = {}
    # In the order in which they were given.
    for review in api.each(f"/pulls/{number}/reviews"):
        if review["state"] in _OPINIONS and review.get("user"):
            latest[review["user"]["login"]] = review
    found = {
        login: review
        for login, review in sorted(latest.items())
        if review["state"] == "APPROVED"
        and review.get("commit_id") == change["head"]["sha"]
        and login not in authors
    }
    # Anybody may review a public repository.
    may_push = set(_pushing(api, number)) if found else set()
    for login in sorted(found.keys() - may_push):
        notice(f"the approval of {login} does not count, who may not push to the repository")
    return [
        {
            "user": {"login": login},
            "state": review["state"],
            "commit_id": review["commit_id"],
            "submitted_at": review.get("submitted_at"),
        }
        for login, review in found.items()
        if login in may_push
    ]


def _pushing(api: Api, number: int) -> Iterator[str]:
    """Who of those that approved may push to the repository."""

    def pushes(review: Any) -> list[str]:
        may = review["authorCanPushToRepository"] is True and review["author"]
        return [review["author"]["login"]] if may else []

    return _logins(api, _APPROVING, number, pushes)


def _authors(api: Api, number: int) -> Iterator[str]:
    """Who wrote the commits; of a co-author the commit names an address alone, and GitHub knows whose that is."""
    commits = list(api.each(f"/pulls/{number}/commits"))
    if len(commits) >= _COMMITS:
        raise RefusedError(0, f"of {_COMMITS} commits and more not every author is listed")
    for commit in commits:
        yield from ((commit.get(role) or {}).get("login") for role in ("author", "committer"))
    if any("co-authored-by" in commit["commit"]["message"].lower() for commit in commits):
        yield from _with_others(api, number)


def _with_others(api: Api, number: int) -> Iterator[str]:
    def wrote(node: Any) -> list[str]:
        authors = node["commit"]["authors"]["nodes"]
        return [each["user"]["login"] for each in authors if each.get("user")]

    return _logins(api, _AUTHORS, number, wrote)


def _logins(api: Api, query: str, number: int, of: Callable[[Any], list[str]]) -> Iterator[str]:
    """Whom GraphQL names, page by page.

    Args:
        of: Whom one node of a page names.

    Raises:
        RefusedError: it did not answer what was asked for.
    """
    after = None
    while True:
        found = api.query(query, number=number, after=after)
        try:
            page = found["pullRequest"]["page"]
            names = [name for node in page["nodes"] for name in of(node)]
            more, after = page["pageInfo"]["hasNextPage"], page["pageInfo"]["endCursor"]
        except (KeyError, TypeError):
            raise RefusedError(0, "GitHub did not answer what was asked for") from None
        yield from names
        if not more:
            return


if __name__ == "__main__":
    sys.exit(main())
