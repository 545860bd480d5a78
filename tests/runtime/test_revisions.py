"""`git:REF[:PATH]`: reads what was committed, runs nothing of the repository, names files by revision."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from ringfence.errors import InputError, PolicyError
from ringfence.runtime.revisions import link_as_it_was, link_spec

pytestmark = [pytest.mark.security, pytest.mark.needs("git", "git")]

ROOT = Path(__file__).parents[2]


def git(*arguments):
    identity = ["-c", "user.name=Tester", "-c", "user.email=tester@example.com"]
    quiet = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(["git", *identity, *arguments], check=True, capture_output=True, env=quiet)


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """The shipped policies, committed as `main`; the current directory is its top."""
    top = tmp_path / "repository"
    shutil.copytree(ROOT / "policies", top / "policies")
    monkeypatch.chdir(top)
    git("init", "-q", "-b", "main")
    git("add", ".")
    git("commit", "-q", "-m", "policies")
    return top


@pytest.mark.usefixtures("repository")
def test_a_revision_links_to_the_same_policy_set_as_its_directory():
    assert link_spec("git:main").sha256 == link_spec("policies").sha256
    assert link_spec("git:HEAD:policies").sha256 == link_spec("policies").sha256


def test_what_was_committed_is_read_whatever_lies_in_the_directory_now(repository):
    before = link_spec("policies").sha256
    policy = repository / "policies" / "desk.yaml"
    policy.write_text(policy.read_text().replace("max_positions: 10", "max_positions: 9"))

    assert link_spec("policies").sha256 != before
    assert link_spec("git:main").sha256 == before
    assert "max_positions: 9" in policy.read_text()


def test_paths_count_from_the_current_directory(repository, monkeypatch):
    monkeypatch.chdir(repository / "policies")

    assert link_spec("git:main:.").sha256 == link_spec(".").sha256


@pytest.mark.usefixtures("repository")
def test_a_single_file_can_be_read():
    with pytest.raises(PolicyError) as refused:
        link_spec("git:main:policies/firm.yaml")

    assert {each.code for each in refused.value.diagnostics} == {"E301"}


def test_findings_name_files_by_revision(repository):
    policy = repository / "policies" / "desk.yaml"
    policy.write_text(policy.read_text().replace("rule: drawdown@1", "rule: drawdwn@1"))
    git("commit", "-q", "-am", "a slip")

    with pytest.raises(PolicyError) as refused:
        link_spec("git:main")
    assert {each.span.path for each in refused.value.diagnostics} == {"main:policies/desk.yaml"}


@pytest.mark.usefixtures("repository")
def test_an_instruments_file_adds_to_a_revision_and_wins(tmp_path):
    extra = tmp_path / "more.yaml"
    extra.write_text(
        "apiVersion: ringfence/v1\nkind: Instruments\nmetadata: {name: more, version: 1.0.0}\n"
        'spec:\n  instruments:\n    BTC/USDT: {lot_step: "0.5", min_size: "0.5", tick_size: "0.1", multiplier: 1, base: BTC, quote: USDT}\n'
    )

    for spec in ("git:main", "policies"):
        desk = link_spec(spec, extra).desk
        assert str(desk.instruments["BTC/USDT"].lot_step) == "0.5"
        assert "ETH/USDT" in desk.instruments


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("git:", "names no revision"),
        ("git:-main", "cannot be a revision"),
        ("git:--upload-pack=touch x", "cannot be a revision"),
        ("git:nothing", "is no revision"),
        ("git:main:missing", "holds no YAML files in `main`"),
        ("git:main:../outside", "lies outside the repository"),
        ("git:main:/etc", "lies outside the repository"),
        ("missing", "does not exist"),
    ],
)
@pytest.mark.usefixtures("repository")
def test_bad_specs_say_what_is_wrong(spec, says):
    with pytest.raises(InputError, match=says) as refused:
        link_spec(spec)
    assert refused.value.fix


def test_outside_a_repository(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    with pytest.raises(InputError, match="in no git repository"):
        link_spec("git:main")


@pytest.mark.usefixtures("repository")
def test_without_git(monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")

    with pytest.raises(InputError, match="git is not installed"):
        link_spec("git:main")


def test_instruments_must_be_an_instruments_file(repository):
    with pytest.raises(InputError, match="no instruments file"):
        link_spec("git:main", repository / "policies" / "firm.yaml")
    with pytest.raises(InputError, match="does not exist"):
        link_spec("git:main", repository / "missing.yaml")


def test_nothing_of_the_repository_runs(repository, tmp_path):
    ran = tmp_path / "ran"
    script = repository / "evil.sh"
    script.write_text(f"#!/bin/sh\ntouch {ran}\ncat\n")
    script.chmod(0o755)
    (repository / ".gitattributes").write_text("*.yaml filter=evil diff=evil\n")
    for key in ("core.fsmonitor", "filter.evil.smudge", "diff.evil.textconv", "core.pager"):
        git("config", key, str(script))
    hook = repository / ".git" / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    shutil.copy(script, hook)

    assert link_spec("git:main").sha256 == link_spec("policies").sha256
    assert not ran.exists()


def test_an_ending_in_capitals_counts_in_a_revision_as_in_a_directory(repository):
    desk = repository / "policies" / "desk.yaml"
    more = desk.read_text(encoding="utf-8").replace("name: desk", "name: more", 1)
    (repository / "policies" / "MORE.YAML").write_text(more, encoding="utf-8")
    before = link_spec("git:main").sha256
    git("add", ".")
    git("commit", "-q", "-m", "one more")

    assert link_spec("git:main").sha256 == link_spec("policies").sha256 != before


def test_links_in_a_revision_are_not_followed(repository):
    (repository / "policies" / "passwd.yaml").symlink_to("/etc/passwd")
    git("add", ".")
    git("commit", "-q", "-m", "a link")

    assert link_spec("git:main").gates


@pytest.mark.usefixtures("repository")
def test_a_variable_cannot_point_to_another_repository(monkeypatch):
    monkeypatch.setenv("GIT_DIR", "/nonexistent")

    assert link_spec("git:main").gates


def test_what_was_is_whole_or_holds_what_changed_and_the_policies_that_did_not(repository):
    now = link_spec("policies")
    desk = repository / "policies" / "desk.yaml"
    desk.write_text(desk.read_text().replace("max_positions: 10", "max_positions: 9"))
    after = link_spec("policies")

    assert link_as_it_was("main", "policies").sha256 == now.sha256
    quick = link_as_it_was("main", "policies", after)
    assert sorted(each.name for each in quick.policies) == sorted(
        each.name for each in now.policies
    )
    taken_over = {each.name for each in quick.policies if each in after.policies}
    assert {each.name for each in now.policies} - taken_over == {"desk"}
