"""A server on this machine that speaks the part of GitHub's REST API which the gate needs."""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

REPOSITORY = "desk/limits"
TOKEN = "a token of this run"


@dataclass
class GitHub:
    """What GitHub knows of one pull request, and every request that changed it."""

    url: str = ""
    writable: bool = True
    comments: list[dict[str, Any]] = field(default_factory=list)
    reviews: list[dict[str, Any]] = field(default_factory=list)
    commits: list[dict[str, Any]] = field(default_factory=list)
    writes: list[tuple[str, str]] = field(default_factory=list)
    wrote: list[list[str | None]] = field(default_factory=list)
    """The logins of the authors of each commit, co-authors too; None for an address that nobody has."""
    outsiders: set[str] = field(default_factory=set)
    """Who may review, as anybody may in public, and not push."""
    down: bool = False

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        """The status and the body of an answer."""
        where = urlsplit(path)
        at = where.path.removeprefix(f"/repos/{REPOSITORY}")
        if self.down:
            return 503, {"message": "Service Unavailable"}
        if (method, path) == ("POST", "/graphql"):
            return 200, self._queried(body["query"], body["variables"])
        if method == "GET":
            lists = {
                "/issues/7/comments": self.comments,
                "/pulls/7/reviews": self.reviews,
                "/pulls/7/commits": self.commits,
            }
            if at not in lists:
                return 404, {"message": "Not Found"}
            query = parse_qs(where.query)
            size, page = int(query["per_page"][0]), int(query["page"][0])
            return 200, lists[at][(page - 1) * size : page * size]
        if not self.writable:
            return 403, {"message": "Resource not accessible by integration"}
        self.writes.append((method, at))
        if method == "POST" and at == "/issues/7/comments":
            comment = {"id": 1000 + len(self.comments), "user": {"type": "Bot"}, **body}
            self.comments.append(comment)
            return 201, comment
        found = re.fullmatch(r"/issues/comments/(\d+)", at)
        if method == "PATCH" and found:
            comment = next(each for each in self.comments if each["id"] == int(found[1]))
            comment.update(body)
            return 200, comment
        return 404, {"message": "Not Found"}

    def _queried(self, query: str, asked: Any) -> Any:
        """A page of two nodes, as the queries of `reviews.py` ask for them."""
        nodes = self._approving() if "reviews(" in query else self._authors()
        about = f"{asked['owner']}/{asked['name']}", asked["number"]
        if about != (REPOSITORY, 7) or not nodes:
            return {"data": {"repository": None}, "errors": [{"type": "NOT_FOUND"}]}
        start = int(asked["after"] or 0)
        more = {"hasNextPage": len(nodes) > start + 2, "endCursor": str(start + 2)}
        page = {"pageInfo": more, "nodes": nodes[start : start + 2]}
        return {"data": {"repository": {"pullRequest": {"page": page}}}}

    def _authors(self) -> list[Any]:
        return [
            {
                "commit": {
                    "authors": {"nodes": [{"user": each and {"login": each}} for each in names]}
                }
            }
            for names in self.wrote
        ]

    def _approving(self) -> list[Any]:
        users = [each["user"] for each in self.reviews if each["state"] == "APPROVED"]
        return [
            {
                "author": user,
                "authorCanPushToRepository": user is not None
                and user["login"] not in self.outsiders,
            }
            for user in users
        ]


@contextmanager
def github() -> Iterator[GitHub]:
    """The server, until the block ends."""
    known = GitHub()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(size)) if size else None
            if self.headers["Authorization"] != f"Bearer {TOKEN}":
                status, told = 401, {"message": "Bad credentials"}
            else:
                status, told = known.answer(self.command, self.path, body)
            content = json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json; charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = _answer  # noqa: N815  # the library's names

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    known.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield known
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
