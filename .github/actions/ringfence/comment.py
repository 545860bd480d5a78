"""Writes the gate's comment into the pull request: one, found by its first line, and updated in place.

usage: comment.py FILE

What the file holds is data: nothing of it is run or looked at beyond its first line. A token that may not
write (a pull request from a fork) is no failure: the job summary says the same.
"""

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))  # -I leaves it out

from github_api import Api, RefusedError, notice, pull_request

LONGEST = 65_536
"""Characters that GitHub takes in one comment."""
MARKER = "<!-- ringfence -->"
"""The first line of the comment."""


def main(path: str) -> int:
    """Write or update the comment; the exit code."""
    body = Path(path).read_text(encoding="utf-8")
    if body.partition("\n")[0].strip() != MARKER or len(body) > LONGEST:
        print(f"::error title=Ringfence::{path} is no comment of the gate")
        return 1
    change = pull_request()
    if change is None:
        notice("no pull request started this run, so there is none to comment on")
        return 0
    try:
        _write(Api(), int(change["number"]), body)
    except RefusedError as refused:
        if refused.status in (401, 403, 404):
            notice(f"this run may not write a comment ({refused}); the job summary says the same")
            return 0
        print(f"::error title=Ringfence::the comment was not written: {refused}")
        return 1
    return 0


def _write(api: Api, number: int, body: str) -> None:
    for comment in api.each(f"/issues/{number}/comments"):
        if _is_ours(comment):
            if comment["body"] != body:
                api.ask("PATCH", f"/issues/comments/{comment['id']}", {"body": body})
            return
    api.ask("POST", f"/issues/{number}/comments", {"body": body})


def _is_ours(comment: dict[str, Any]) -> bool:
    # Anybody can write the marker; only what a bot wrote is ours to replace.
    first = (comment.get("body") or "").partition("\n")[0].strip()
    return first == MARKER and (comment.get("user") or {}).get("type") == "Bot"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
