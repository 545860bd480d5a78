"""Stands for Grafana where it cannot be had: answers its health check once all that is mounted for it was read.

It is no Grafana, and shows nothing. What it can tell: the container's user reads its password, the provisioned source of
data and boards are where the files say, each board asks that source, the volume takes a file, and the source's address
answers from here. `/api/health` tells what was read.
"""

import http.server
import json
import os
import pathlib
import urllib.request
from collections.abc import Iterator
from typing import Any

import yaml

PROVISIONING = pathlib.Path("/etc/grafana/provisioning")
PASSWORD = "GF_SECURITY_ADMIN_PASSWORD__FILE"


class NotThereError(Exception):
    """Something is missing, or does not fit."""


def provisioned(kind: str, name: str) -> Iterator[dict[str, Any]]:
    """The entries of the files for one kind."""
    for file in sorted((PROVISIONING / kind).glob("*.yml")):
        yield from yaml.safe_load(file.read_text(encoding="utf-8"))[name]


def sources_asked(part: Any) -> Iterator[str]:
    """The names of the sources that a board's parts ask."""
    if isinstance(part, dict):
        source = part.get("datasource")
        if isinstance(source, dict) and "uid" in source:
            yield source["uid"]
        for each in part.values():
            yield from sources_asked(each)
    elif isinstance(part, list):
        for each in part:
            yield from sources_asked(each)


def look() -> dict[str, Any]:
    """What is found."""
    if len(pathlib.Path(os.environ[PASSWORD]).read_text(encoding="utf-8")) < 16:
        raise NotThereError("the password is short")
    sources, boards = {}, {}
    for each in provisioned("datasources", "datasources"):
        with urllib.request.urlopen(f"{each['url']}/-/ready", timeout=2) as answer:
            sources[each["uid"]] = answer.status
    kinds = {each["type"] for each in provisioned("datasources", "datasources")}
    for provider in provisioned("dashboards", "providers"):
        for file in sorted(pathlib.Path(provider["options"]["path"]).glob("*.json")):
            board = json.loads(file.read_text(encoding="utf-8"))
            chosen = {
                f"${{{each['name']}}}"
                for each in board["templating"]["list"]
                if each["type"] == "datasource" and each["query"] in kinds
            }
            if unknown := set(sources_asked(board)) - chosen - set(sources):
                raise NotThereError(f"{file.name} asks {sorted(unknown)}")
            boards[board["uid"]] = len(board["panels"])
    if not sources or not boards:
        raise NotThereError("nothing is provisioned")
    pathlib.Path("/var/lib/grafana/kept").write_text("kept", encoding="utf-8")
    return {"sources": sources, "boards": boards}


class Answers(http.server.BaseHTTPRequestHandler):
    """`/api/health`, as Grafana has it."""

    def do_GET(self) -> None:
        """Look anew, and tell."""
        try:
            status, told = 200, look()
        except (OSError, KeyError, ValueError, NotThereError) as error:
            status, told = 503, {"error": f"{type(error).__name__}: {error}"}
        body = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    http.server.ThreadingHTTPServer(("0.0.0.0", 3000), Answers).serve_forever()
