"""Prints who approves the pull request as it stands, one login a line.

An approval counts while it is its reviewer's latest word, was given for the newest commit, and its reviewer
neither opened the pull request nor wrote one of its commits. Who of them may approve what is not decided here: `.ringfence/approvals.yaml` says it.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))  # -I leaves it out

from github_api import Api, RefusedError, notice, pull_request

_OPINIONS = ("APPROVED", "CHANGES_REQUESTED", "DISMISSED")


def main() -> int:
    """Print the logins; the exit code."""
    change = pull_request()
    if change is None:
        notice("no pull request started this run, so nobody reviewed it")
        return 0
    number = int(change["number"])
    authors = {change["user"]["login"]}
    latest: dict[str, tuple[str, str | None]] = {}
    try:
        api = Api()
        for commit in api.each(f"/pulls/{number}/commits"):
            authors |= {(commit.get(role) or {}).get("login") for role in ("author", "committer")}
        # In the order in which they were given.
        for review in api.each(f"/pulls/{number}/reviews"):
            if review["state"] in _OPINIONS and review.get("user"):
                latest[review["user"]["login"]] = (review["state"], review.get("commit_id"))
    except RefusedError as refused:
        # Nobody's approval is known then, and none counts.
        notice(f"the reviews cannot be read ({refused}): no approval counts")
        return 0
    for login, (state, commit) in sorted(latest.items()):
        if state == "APPROVED" and commit == change["head"]["sha"] and login not in authors:
            print(login)
    return 0


if __name__ == "__main__":
    sys.exit(main())
