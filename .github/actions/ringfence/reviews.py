"""Prints the reviews of the pull request that approve it as it stands, as GitHub's API lists them.

An approval counts while it is its reviewer's latest word, was given for the newest commit, and its reviewer
neither opened the pull request nor wrote one of its commits, alone or with others (`Co-authored-by`). Who of them may approve what is not decided
here: `.ringfence/approvals.yaml` says it.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))  # -I leaves it out

from github_api import Api, RefusedError, notice, pull_request

_OPINIONS = ("APPROVED", "CHANGES_REQUESTED", "DISMISSED")
_COMMITS = 250
"""Commits of one pull request that GitHub lists; there may be more where there are so many."""
_AUTHORS = """
query($owner: String!, $name: String!, $number: Int!, $after: String) {
  repository(owner: $owner, name: $name) {
    pullRequest(number: $number) {
      commits(first: 100, after: $after) {
        pageInfo { hasNextPage endCursor }
        nodes { commit { authors(first: 100) { nodes { user { login } } } } }
      }
    }
  }
}
"""


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
    return [
        {
            "user": {"login": login},
            "state": review["state"],
            "commit_id": review["commit_id"],
            "submitted_at": review.get("submitted_at"),
        }
        for login, review in sorted(latest.items())
        if review["state"] == "APPROVED"
        and review.get("commit_id") == change["head"]["sha"]
        and login not in authors
    ]


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
    after = None
    while True:
        found = api.query(_AUTHORS, number=number, after=after)
        try:
            page = found["pullRequest"]["commits"]
            for node in page["nodes"]:
                for author in node["commit"]["authors"]["nodes"]:
                    if author.get("user"):
                        yield author["user"]["login"]
            if not page["pageInfo"]["hasNextPage"]:
                return
            after = page["pageInfo"]["endCursor"]
        except (KeyError, TypeError):
            raise RefusedError(0, "GitHub did not answer what was asked for") from None


if __name__ == "__main__":
    sys.exit(main())
