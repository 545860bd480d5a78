"""Where a change began: the commit that it and its target have in common."""

from pathlib import Path

import pytest

from review.pull_requests import commit, git
from ringfence.errors import InputError
from ringfence.review.merge_base import find_base

pytestmark = [pytest.mark.integration, pytest.mark.needs("git", "git")]


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`main` went on after `change` left it; `change` is checked out."""
    git(tmp_path, "init", "-q", "-b", "main")
    monkeypatch.chdir(tmp_path)
    for name, *words in (["one"], ["two", "-c", "change"], ["three", "main"]):
        if words:
            git(tmp_path, "switch", "-q", *words)
        (tmp_path / name).write_text(name)
        commit(tmp_path, name, "ann")
    git(tmp_path, "switch", "-q", "change")
    return tmp_path


def first(repository: Path) -> str:
    return git(repository, "rev-list", "--max-parents=0", "HEAD").strip()


@pytest.mark.parametrize("named", ["main", None])
def test_the_base_is_what_both_have_in_common(named: str | None, repository: Path) -> None:
    base = find_base(named, {})

    assert base is not None
    assert base.name == "main"
    assert base.commit == first(repository)
    assert base.head == git(repository, "rev-parse", "change").strip()


def test_on_the_main_branch_itself_the_base_is_its_last_commit(repository: Path) -> None:
    git(repository, "switch", "-q", "main")

    base = find_base(None, {})

    assert base is not None
    assert base.commit == base.head


@pytest.mark.parametrize(
    "variable", ["GITHUB_BASE_REF", "CI_MERGE_REQUEST_DIFF_BASE_SHA"], ids=["github", "gitlab"]
)
def test_a_pull_request_names_its_base_in_the_environment(variable: str, repository: Path) -> None:
    git(repository, "update-ref", "refs/remotes/origin/release", "main")
    value = "release" if variable == "GITHUB_BASE_REF" else first(repository)

    base = find_base(None, {variable: value})

    assert base is not None
    assert base.commit == first(repository)


def test_a_shallow_checkout_is_told_how_to_fetch_the_rest(repository: Path) -> None:
    git(repository, "checkout", "-q", "--orphan", "other")
    (repository / "one").write_text("another")
    commit(repository, "other", "ann")

    with pytest.raises(InputError, match=r"have no commit in common here; .*fetch-depth: 0"):
        find_base("main", {})
    with pytest.raises(InputError, match=r"`origin/main` is no revision .*fetch-depth: 0"):
        find_base(None, {"GITHUB_BASE_REF": "main"})


def test_outside_a_repository_there_is_no_base(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert find_base(None, {}) is None
    with pytest.raises(InputError, match="there is no commit here to compare"):
        find_base("main", {})


def test_without_a_usual_branch_there_is_no_base(repository: Path) -> None:
    git(repository, "branch", "-q", "-D", "main")

    assert find_base(None, {}) is None


@pytest.mark.security
@pytest.mark.parametrize("named", ["--output=x", "main\n"])
def test_a_base_is_a_revision_and_never_an_option(named: str, repository: Path) -> None:
    with pytest.raises(InputError, match="cannot be a revision"):
        find_base(named, {})
    assert not (repository / "x").exists()
