"""The little of GitHub's APIs that the gate needs, with nothing but the standard library.

Run by the Python of the runner, not by the environment that Ringfence is installed in: what holds a
token imports nothing from packages.
"""

import json
import os
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["Api", "RefusedError", "notice", "pull_request"]

_PAGES = 50
_SECONDS = 30


class RefusedError(Exception):
    """An answer other than success; `status` is HTTP's, 0 where there was no answer."""

    def __init__(self, status: int, reason: str) -> None:
        self.status = status
        super().__init__(f"{reason} ({status})" if status else reason)


class Api:
    """One repository, as the variables of the workflow name it.

    GITHUB_API_URL, GITHUB_GRAPHQL_URL, GITHUB_REPOSITORY, GITHUB_TOKEN.
    """

    def __init__(self) -> None:
        url = os.environ.get("GITHUB_API_URL", "https://api.github.com")
        self._graphql = os.environ.get("GITHUB_GRAPHQL_URL", f"{url}/graphql")
        for each in (url, self._graphql):
            if not each.startswith(("https://", "http://127.0.0.1:", "http://localhost:")):
                raise RefusedError(0, f"{each} is not https")
        self._repository = os.environ["GITHUB_REPOSITORY"]
        self._root = f"{url}/repos/{self._repository}"
        self._token = os.environ.get("GITHUB_TOKEN", "")

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """One request; what was answered, read as JSON.

        Raises:
            RefusedError: an answer other than success, or none.
        """
        return self._answer(method, f"{self._root}{path}", body)

    def query(self, text: str, **variables: Any) -> dict[str, Any]:
        """What GraphQL answers of the repository, for a query that takes its `$owner` and `$name`.

        Raises:
            RefusedError: an answer other than success, or none.
        """
        owner, _, name = self._repository.partition("/")
        given = {"owner": owner, "name": name, **variables}
        answer = self._answer("POST", self._graphql, {"query": text, "variables": given})
        found = (answer.get("data") or {}).get("repository") if isinstance(answer, dict) else None
        if not isinstance(found, dict) or answer.get("errors"):
            raise RefusedError(0, "GitHub did not answer what was asked for")
        return found

    def _answer(self, method: str, url: str, body: Any) -> Any:
        request = urllib.request.Request(
            url,
            data=None if body is None else json.dumps(body).encode(),
            method=method,
            headers={
                "Accept": "application/vnd.github+json",
                "Authorization": f"Bearer {self._token}",
                "Content-Type": "application/json",
                "X-GitHub-Api-Version": "2022-11-28",
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=_SECONDS) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                raise RefusedError(error.code, error.reason) from None
        except (urllib.error.URLError, TimeoutError, ValueError) as error:
            raise RefusedError(0, f"GitHub did not answer: {error}") from None

    def each(self, path: str) -> Iterator[dict[str, Any]]:
        """Every entry of a list, page by page.

        Raises:
            RefusedError: an answer other than success, or none; or a list with no end.
        """
        for page in range(1, _PAGES + 1):
            entries = self.ask("GET", f"{path}?per_page=100&page={page}")
            yield from entries
            if len(entries) < 100:
                return
        raise RefusedError(0, f"more than {_PAGES * 100} entries in {path}")


def pull_request() -> dict[str, Any] | None:
    """The pull request of the event that started the workflow, or None."""
    event = json.loads(Path(os.environ["GITHUB_EVENT_PATH"]).read_text(encoding="utf-8"))
    found: dict[str, Any] | None = event.get("pull_request")
    return found


def notice(text: str) -> None:
    """Say something in the list of annotations; on standard error, which the runner reads too."""
    print(f"::notice title=Ringfence::{text}", file=sys.stderr)
