"""The one comment of a pull request, and whose reviews count, against a server that answers as GitHub does."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from workflows.github_server import REPOSITORY, TOKEN, GitHub, github
from workflows.workflow_steps import ACTION

pytestmark = pytest.mark.integration

MARKER = "<!-- ringfence -->"


@pytest.fixture
def server() -> Iterator[GitHub]:
    with github() as running:
        yield running


def run(
    server: GitHub,
    folder: Path,
    script: str,
    *arguments: str,
    event: object = None,
    token: str = TOKEN,
):
    """Run a script of the action as its step does."""
    change = {"number": 7, "head": {"sha": "head"}, "user": {"login": "author"}}
    path = folder / "event.json"
    path.write_text(json.dumps({"pull_request": change} if event is None else event))
    environment = {
        "GITHUB_API_URL": server.url,
        "GITHUB_GRAPHQL_URL": f"{server.url}/graphql",
        "GITHUB_EVENT_PATH": str(path),
        "GITHUB_REPOSITORY": REPOSITORY,
        "GITHUB_TOKEN": token,
        "PATH": os.environ["PATH"],
    }
    return subprocess.run(
        [sys.executable, "-I", str(ACTION / script), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip


def body(folder: Path, text: str) -> str:
    path = folder / "comment.md"
    path.write_text(f"{MARKER}\n{text}\n", encoding="utf-8")
    return str(path)


def test_the_first_run_writes_a_comment_and_later_ones_update_it(
    server: GitHub, tmp_path: Path
) -> None:
    assert run(server, tmp_path, "comment.py", body(tmp_path, "failed")).returncode == 0
    assert run(server, tmp_path, "comment.py", body(tmp_path, "passed: a → b")).returncode == 0

    assert [each["body"] for each in server.comments] == [f"{MARKER}\npassed: a → b\n"]
    assert server.writes == [("POST", "/issues/7/comments"), ("PATCH", "/issues/comments/1000")]


def test_a_comment_that_says_the_same_is_left_alone(server: GitHub, tmp_path: Path) -> None:
    for _ in range(2):
        run(server, tmp_path, "comment.py", body(tmp_path, "passed"))

    assert server.writes == [("POST", "/issues/7/comments")]


def test_the_comment_is_found_behind_many_others(server: GitHub, tmp_path: Path) -> None:
    server.comments = [{"id": n, "body": "talk", "user": {"type": "User"}} for n in range(250)]
    server.comments.insert(230, {"id": 999, "body": f"{MARKER}\nold", "user": {"type": "Bot"}})

    run(server, tmp_path, "comment.py", body(tmp_path, "new"))

    assert server.writes == [("PATCH", "/issues/comments/999")]


@pytest.mark.security
def test_what_a_person_wrote_under_the_marker_is_not_replaced(
    server: GitHub, tmp_path: Path
) -> None:
    server.comments = [
        {"id": 1, "body": f"{MARKER}\nmine", "user": {"type": "User"}},
        {"id": 2, "body": f"see {MARKER}", "user": {"type": "Bot"}},
        {"id": 3, "body": None, "user": None},
    ]

    run(server, tmp_path, "comment.py", body(tmp_path, "new"))

    assert server.writes == [("POST", "/issues/7/comments")]


@pytest.mark.security
def test_a_run_that_may_not_write_says_so_and_passes(server: GitHub, tmp_path: Path) -> None:
    server.writable = False

    done = run(server, tmp_path, "comment.py", body(tmp_path, "passed"))

    assert done.returncode == 0
    assert "::notice title=Ringfence::this run may not write a comment" in done.stderr


def test_without_a_pull_request_there_is_nothing_to_comment_on(
    server: GitHub, tmp_path: Path
) -> None:
    done = run(server, tmp_path, "comment.py", body(tmp_path, "passed"), event={"ref": "main"})

    assert (done.returncode, server.writes) == (0, [])


def test_a_fault_of_the_server_fails_the_step(server: GitHub, tmp_path: Path) -> None:
    server.down = True

    done = run(server, tmp_path, "comment.py", body(tmp_path, "passed"))

    assert done.returncode == 1
    assert "the comment was not written: Service Unavailable (503)" in done.stdout


@pytest.mark.security
@pytest.mark.parametrize("text", ["no marker", f"{MARKER}\n{'x' * 70_000}"])
def test_a_file_that_the_gate_did_not_write_is_refused(
    text: str, server: GitHub, tmp_path: Path
) -> None:
    path = tmp_path / "comment.md"
    path.write_text(text)

    done = run(server, tmp_path, "comment.py", str(path))

    assert (done.returncode, server.writes) == (1, [])


def review(login: str, state: str, commit: str = "head"):
    return {"user": {"login": login}, "state": state, "commit_id": commit}


def wrote(author: str, committer: str | None = None, message: str = "a change"):
    return {
        "author": {"login": author},
        "committer": committer and {"login": committer},
        "commit": {"message": message},
    }


@pytest.mark.security
def test_an_approval_counts_while_it_is_the_last_word_of_another_on_the_newest_commit(
    server: GitHub, tmp_path: Path
) -> None:
    server.commits = [wrote("author", "web-flow"), wrote("helps")]
    server.reviews = [
        review("zoe", "APPROVED"),
        review("anna", "CHANGES_REQUESTED"),
        review("anna", "APPROVED"),
        review("anna", "COMMENTED"),
        review("turns", "APPROVED"),
        review("turns", "CHANGES_REQUESTED"),
        review("late", "APPROVED", "an older commit"),
        review("gone", "DISMISSED"),
        review("author", "APPROVED"),
        review("helps", "APPROVED"),
        {"user": None, "state": "APPROVED", "commit_id": "head"},
    ]

    done = run(server, tmp_path, "reviews.py")

    assert done.returncode == 0
    assert [each["user"]["login"] for each in json.loads(done.stdout)] == ["anna", "zoe"]


@pytest.mark.security
def test_who_wrote_a_commit_with_others_does_not_approve_it(server: GitHub, tmp_path: Path) -> None:
    with_others = "a change\n\nco-authored-by: Cara <cara@example.com>"
    server.commits = [wrote("author"), wrote("author", message=with_others), wrote("author")]
    server.reviews = [review(name, "APPROVED") for name in ("anna", "cara", "dan")]
    server.wrote = [["author"], ["author", "cara", None], ["dan"]]

    done = run(server, tmp_path, "reviews.py")

    assert [each["user"]["login"] for each in json.loads(done.stdout)] == ["anna"]
    # Where it is not known who they are, nobody's approval counts.
    server.wrote = []
    done = run(server, tmp_path, "reviews.py")
    assert (done.returncode, json.loads(done.stdout)) == (0, [])
    assert "no approval counts" in done.stderr


@pytest.mark.security
def test_who_may_not_push_to_a_public_repository_approves_nothing(
    server: GitHub, tmp_path: Path
) -> None:
    server.commits = [wrote("author")]
    server.reviews = [review(name, "APPROVED") for name in ("anna", "passer-by", "zoe")]
    server.outsiders = {"passer-by"}

    done = run(server, tmp_path, "reviews.py")

    assert [each["user"]["login"] for each in json.loads(done.stdout)] == ["anna", "zoe"]
    assert "the approval of passer-by does not count" in done.stderr


@pytest.mark.security
def test_where_there_are_more_commits_than_are_listed_nobody_approves(
    server: GitHub, tmp_path: Path
) -> None:
    server.reviews = [review("anna", "APPROVED")]
    server.commits = [wrote("author")] * 249
    assert json.loads(run(server, tmp_path, "reviews.py").stdout)
    server.commits = [wrote("author")] * 250

    done = run(server, tmp_path, "reviews.py")

    assert (done.returncode, json.loads(done.stdout)) == (0, [])
    assert "not every author is listed" in done.stderr


@pytest.mark.security
@pytest.mark.parametrize("event", [None, {"ref": "main"}])
def test_where_reviews_cannot_be_read_nobody_approves(
    event: object, server: GitHub, tmp_path: Path
) -> None:
    server.reviews = [review("anna", "APPROVED")]

    done = run(server, tmp_path, "reviews.py", event=event, token="another")

    assert (done.returncode, json.loads(done.stdout)) == (0, [])
    assert "::notice" in done.stderr


@pytest.mark.security
def test_the_token_goes_nowhere_without_encryption(server: GitHub, tmp_path: Path) -> None:
    server.url = "http://example.com"

    done = run(server, tmp_path, "comment.py", body(tmp_path, "passed"))

    assert done.returncode == 1
    assert "http://example.com is not https" in done.stdout
