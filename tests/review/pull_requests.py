"""Pull requests as Git histories: a base that all share, and what each one changes in it.

A case is `tests/cases/pull_requests/NAME/change.yaml`:

    title       of its commit
    author      who made it
    approved_by who approves it
    orders      whether the base's orders are replayed; others change which code is compiled, or nothing
    arguments   of the command, beside those of every case
    before      changes that are part of the base already, written as the ones below
    replace     path: a list of [text that stands there once, what stands there then]
    write       path: the whole file
    remove      a list of paths
    move        old path: new path
    expect      verdict; step (the one that does not pass), codes of findings, says (texts of the comment)
"""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

CASES = Path(__file__).resolve().parents[1] / "cases" / "pull_requests"
NAMES = sorted(path.parent.name for path in CASES.glob("*/change.yaml"))


def read(name: str) -> dict[str, Any]:
    """A case's description."""
    found: dict[str, Any] = yaml.safe_load((CASES / name / "change.yaml").read_text("utf-8"))
    return found


def arguments(case: Mapping[str, Any]) -> list[str]:
    """Those of `ringfence ci`: the day on which the cases are set, who approves, what is replayed."""
    people = [word for who in case.get("approved_by", ()) for word in ("--approved-by", who)]
    replayed = (
        ["--orders", "orders/orders.csv", "--marks", "orders/marks.csv", "--balances", "orders/balances.csv"]
        if case.get("orders")
        else []
    )  # fmt: skip
    now = ["--now", "2026-03-02T09:00:00Z"]
    return [*now, *people, "--author", case["author"], *replayed, *case.get("arguments", ())]


def build(case: Mapping[str, Any], folder: Path) -> None:
    """Make a repository whose `main` is the base and whose checked-out branch `change` is the head."""
    shutil.copytree(CASES / "base", folder)
    apply(case.get("before") or {}, folder)
    git(folder, "init", "-q", "-b", "main")
    commit(folder, "The policies as they are", "dora")
    git(folder, "switch", "-q", "-c", "change")
    apply(case, folder)
    commit(folder, case["title"], case["author"])


def apply(change: Mapping[str, Any], folder: Path) -> None:
    """Do to the files what a change says."""
    for path, pairs in (change.get("replace") or {}).items():
        text = (folder / path).read_text(encoding="utf-8")
        for old, new in pairs:
            assert text.count(old) == 1, f"{path} holds {old!r} {text.count(old)} times"
            text = text.replace(old, new)
        (folder / path).write_text(text, encoding="utf-8")
    for path, text in (change.get("write") or {}).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    for path in change.get("remove") or ():
        (folder / path).unlink()
    for old, new in (change.get("move") or {}).items():
        (folder / new).parent.mkdir(parents=True, exist_ok=True)
        (folder / old).rename(folder / new)


def commit(folder: Path, title: str, author: str) -> None:
    """Commit everything, at the same time on every machine: equal files make equal commits."""
    git(folder, "add", "--all")
    git(
        folder, "commit", "-q", "--no-gpg-sign", "-m", title,
        GIT_AUTHOR_NAME=author, GIT_AUTHOR_EMAIL=f"{author}@example.com",
        GIT_COMMITTER_NAME=author, GIT_COMMITTER_EMAIL=f"{author}@example.com",
        GIT_AUTHOR_DATE="2026-03-02T08:00:00Z", GIT_COMMITTER_DATE="2026-03-02T08:00:00Z",
    )  # fmt: skip


def git(folder: Path, *words: str, **variables: str) -> str:
    """Run git in a folder, whatever the machine's own settings are."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        **variables,
    }
    done = subprocess.run(
        ["git", "-c", "core.autocrlf=false", *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout
