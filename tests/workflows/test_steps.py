"""Each `run` step of the workflows, executed in the environment that it would have."""

import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from workflows.github_server import REPOSITORY, TOKEN, GitHub, github
from workflows.workflow_steps import GITHUB, ROOT, execute, run_steps

pytestmark = [pytest.mark.integration, pytest.mark.needs("git", "git")]

NETWORK = "installs from a package registry"
WHOLE = "checks the whole repository: a part of `make check`, which takes minutes"
NOT_HERE = {
    "ci/quality/Set up": NETWORK,
    "ci/quality/black": WHOLE,
    "ci/quality/mypy": WHOLE,
    "ci/quality/bandit, no finding of high severity": WHOLE,
    "ci/tests/Set up": NETWORK,
    "ci/tests/Every test has a mark": "collects every test, which takes as long as many of them",
    "ci/tests/smoke": WHOLE,
    "ci/tests/unit": WHOLE,
    "ci/tests/security": WHOLE,
    "ci/tests/performance": WHOLE,
    "ci/tests/integration": WHOLE,
    "ci/tests/Coverage is at least 90 %": "needs what the tests before it measured",
    "ci/package/Build": NETWORK,
    "ci/package/Install the wheel and delete the sources": NETWORK,
    "ci/package/Test it": "needs the wheel, installed without sources",
    "ci/audit/Install pip-audit": NETWORK,
    "ci/image/Build": NETWORK,
    "ci/image/Use it": "needs the image",
    "ci/image/Nothing is compiled at a start": "needs the image",
    "release/build/Build": NETWORK,
    "release/build/Bill of materials": NETWORK,
}
"""Steps that are not executed here, and why."""
HERE = {
    "ci/quality/ruff",
    "ci/quality/order of imports (ruff's isort)",
    "ci/quality/layers",
    "ci/quality/zizmor",
    "ci/package/Use it",
    "ci/audit/pip-audit",
    "ci/production-ready/Every job succeeded",
    "policy-gate/say/Comment",
    "release/build/The tag is the version",
    "release/image/Name of the image",
    "release/github/Release",
}
ACTION = {
    "action ringfence/Places",
    "action ringfence/Install",
    "action ringfence/Approving reviews",
    "action ringfence/Gate",
    "action ringfence/Comment",
    "action ringfence/Verdict",
}
"""Executed in `test_action.py`."""


def test_every_step_is_executed_in_a_test_or_named_with_a_reason() -> None:
    places = [step.place for step in run_steps()]

    assert len(places) == len(set(places))
    assert set(places) == HERE | ACTION | set(NOT_HERE)
    assert not HERE & set(NOT_HERE)


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A checkout with the virtual environment that a job would have made."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    for name in (".github", "engine", "policies", "pyproject.toml", "CHANGELOG.md"):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder)
    (folder / ".venv").symlink_to(sys.prefix)
    return folder


@pytest.mark.parametrize("name", ["ruff", "order of imports (ruff's isort)", "layers", "zizmor"])
def test_a_check_of_quality_passes(name: str, workspace: Path) -> None:
    ran = execute(
        f"ci/quality/{name}", workspace, variables={"PYTHONPATH": str(workspace / "engine")}
    )

    assert ran.code == 0, ran.out


def test_the_order_of_imports_is_checked(workspace: Path) -> None:
    wrong = workspace / "engine" / "ringfence" / "wrong.py"
    wrong.write_text("import sys\nimport os\n\nprint(os, sys)\n")

    ran = execute("ci/quality/order of imports (ruff's isort)", workspace)

    assert ran.code == 1
    assert "I001" in ran.out


def test_the_installed_package_is_used_on_the_policies(workspace: Path) -> None:
    ran = execute("ci/package/Use it", workspace, variables={"PYTHONPATH": str(ROOT / "engine")})

    assert ran.code == 0, ran.out
    assert "policies: " in ran.out


AUDITOR = """#!/bin/sh
echo "$@" >>asked
case "$2" in
*/known-bad.txt) exit {bad} ;;
esac
exit {lock}
"""


@pytest.mark.parametrize(
    ("bad", "lock", "ci", "code"),
    # 1: faults were found.
    [(1, 0, "true", 0), (1, 1, "true", 1), (0, 0, "true", 1), (0, 0, "", 0), (1, 1, "", 1)],
)
def test_what_pip_audit_says_counts_once_it_has_found_what_is_known_to_be_bad(
    bad: int, lock: int, ci: str, code: int, tmp_path: Path
) -> None:
    folder, programs = tmp_path / "checkout", tmp_path / "bin"
    for each in (folder, programs):
        each.mkdir()
    shutil.copytree(ROOT / ".ci", folder / ".ci")
    (programs / "pip-audit").write_text(AUDITOR.format(bad=bad, lock=lock))
    (programs / "pip-audit").chmod(0o755)

    ran = execute(
        "ci/audit/pip-audit",
        folder,
        variables={"PATH": f"{programs}:{os.environ['PATH']}", "CI": ci},
    )

    assert ran.code == code, ran.out
    assert ("nobody can say" in ran.out) == (bad == 0)
    asked = (folder / "asked").read_text().splitlines()
    assert len(asked) == (2 if bad else 1)
    assert not bad or asked[1].startswith("--requirement requirements.lock")


@pytest.mark.parametrize(
    ("results", "code"),
    [("success success success", 0), ("success failure success", 1), ("success skipped", 1)],
)
def test_production_is_ready_when_every_job_succeeded(
    results: str, code: int, tmp_path: Path
) -> None:
    (tmp_path / "checkout").mkdir()

    ran = execute(
        "ci/production-ready/Every job succeeded",
        tmp_path / "checkout",
        given={"join(needs.*.result, ' ')": results},
    )

    assert ran.code == code


@pytest.mark.parametrize(
    ("tag", "line", "code"),
    [("v1.2.3", "## 1.2.3", 0), ("v1.2.4", "## 1.2.3", 1), ("v1.2.3", "## Unreleased", 1)],
)
def test_a_release_bears_the_version_that_its_tag_says(
    tag: str, line: str, code: int, tmp_path: Path
) -> None:
    folder = tmp_path / "checkout"
    (folder / "engine/ringfence").mkdir(parents=True)
    (folder / "engine/ringfence/__init__.py").write_text('__version__ = "1.2.3"\n')
    (folder / "CHANGELOG.md").write_text(f"# Changelog\n\n{line}\n")

    ran = execute(
        "release/build/The tag is the version", folder, variables={"GITHUB_REF_NAME": tag}
    )

    assert ran.code == code, ran.out


def test_the_version_is_found_where_the_program_keeps_it(workspace: Path) -> None:
    import ringfence

    (workspace / "CHANGELOG.md").write_text(f"## {ringfence.__version__}\n")

    ran = execute(
        "release/build/The tag is the version",
        workspace,
        variables={"GITHUB_REF_NAME": f"v{ringfence.__version__}"},
    )

    assert ran.code == 0, ran.out


def test_the_image_is_named_after_the_repository_in_lower_case(tmp_path: Path) -> None:
    (tmp_path / "checkout").mkdir()

    ran = execute(
        "release/image/Name of the image",
        tmp_path / "checkout",
        variables={"GITHUB_REPOSITORY": "Desk/Ringfence", "GITHUB_REF_NAME": "v1.2.3"},
    )

    assert ran.outputs == {"image": "ghcr.io/desk/ringfence", "version": "1.2.3"}


def test_a_release_holds_the_packages_and_the_bill_of_materials(tmp_path: Path) -> None:
    folder = tmp_path / "checkout"
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "gh").write_text('#!/bin/sh\nprintf "%s\\n" "$GH_TOKEN" "$@"\n')
    (programs / "gh").chmod(0o755)
    for name in (
        "dist/ringfence-1.2.3.whl",
        "dist/ringfence-1.2.3.tar.gz",
        "sbom/ringfence.cdx.json",
    ):
        (folder / "files" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "files" / name).touch()

    ran = execute(
        "release/github/Release",
        folder,
        given={"github.token": TOKEN},
        variables={
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_REF_NAME": "v1.2.3",
            "PATH": f"{programs}:{os.environ['PATH']}",
        },
    )

    assert ran.code == 0, ran.out
    assert ran.out.splitlines() == [
        TOKEN, "release", "create", "v1.2.3", "--repo", REPOSITORY, "--verify-tag", "--generate-notes",
        "files/dist/ringfence-1.2.3.tar.gz", "files/dist/ringfence-1.2.3.whl", "files/sbom/ringfence.cdx.json",
    ]  # fmt: skip


@pytest.fixture
def server() -> Iterator[GitHub]:
    with github() as running:
        yield running


def test_the_comment_is_written_by_the_programs_of_the_base(server: GitHub, tmp_path: Path) -> None:
    folder = tmp_path / "checkout"
    # As the checkout leaves it: the action alone.
    shutil.copytree(GITHUB / "actions" / "ringfence", folder / ".github/actions/ringfence")
    (folder / "said").mkdir()
    (folder / "said" / "comment.md").write_text("<!-- ringfence -->\n## passed\n")
    event = tmp_path / "event.json"
    event.write_text(json.dumps({"pull_request": {"number": 7}}))

    ran = execute(
        "policy-gate/say/Comment",
        folder,
        given={"github.token": TOKEN},
        variables={
            "GITHUB_API_URL": server.url,
            "GITHUB_EVENT_PATH": str(event),
            "GITHUB_REPOSITORY": REPOSITORY,
        },
    )

    assert ran.code == 0, ran.out
    assert [each["body"] for each in server.comments] == ["<!-- ringfence -->\n## passed\n"]
