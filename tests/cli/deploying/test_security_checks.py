"""What the compose file, the source and the packages must not have."""

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.deploying.deployments import COMPOSE, ROOT, Make
from ringfence.cli.deploying import security_checks
from ringfence.cli.deploying.engine import COMPOSE_FILE
from ringfence.cli.deploying.step import Outcome, Result, Severity

pytestmark = pytest.mark.integration

SOFT: list[tuple[dict[str, Any], str]] = [
    ({"cap_drop": None}, "keeps capabilities"),
    ({"cap_drop": ["NET_RAW"]}, "keeps capabilities"),
    ({"security_opt": []}, "may gain rights"),
    ({"security_opt": ["no-new-privileges:false"]}, "may gain rights"),
    ({"privileged": True}, "is privileged"),
    ({"network_mode": "host"}, "shares the machine's `network_mode`"),
    ({"pid": "host"}, "shares the machine's `pid`"),
    ({"volumes": ["/var/run/docker.sock:/var/run/docker.sock"]}, "the engine's socket"),
    ({"volumes": [{"type": "bind", "source": "/run/podman/podman.sock"}]}, "the engine's socket"),
    ({"ports": ["5000:5000"]}, "listens on every address"),
    ({"ports": ["0.0.0.0:5000:5000"]}, "listens on every address"),
    ({"ports": [5000]}, "listens on every address"),
    ({"ports": ["${BIND:-0.0.0.0}:5000:5000"]}, "listens on every address"),
    ({"ports": ["${BIND}:5000:5000"]}, "listens on every address"),
    ({"ports": [{"target": 5000, "published": 5000}]}, "listens on every address"),
    ({"environment": {"POSTGRES_PASSWORD": "postgres"}}, "has `POSTGRES_PASSWORD` in the file"),
    ({"environment": ["REDIS_PASSWORD=${REDIS_PASSWORD:-redis}"]}, "has `REDIS_PASSWORD` in"),
    ({"build": None, "image": "redis"}, "runs whatever `redis` is today"),
    ({"build": None, "image": "registry:5000/redis:latest"}, "runs whatever"),
    ({"image": None}, "has no name for its image"),
]
GENTLE: list[tuple[dict[str, Any], str]] = [
    ({"build": None, "image": "${IMAGE:-redis:7.4}"}, "which others can replace"),
    ({"mem_limit": None}, "may take all memory"),
    ({"read_only": False}, "may write its own programs"),
]
SOUND: list[dict[str, Any]] = [
    {},
    {"ports": ["[::1]:5000:5000", {"target": 1, "published": 1, "host_ip": "127.0.0.1"}]},
    {"ports": [{"target": 5000}]},
    {"environment": ["REDIS_PASSWORD", "TOKEN=${TOKEN:?set it}", "PASSWORD_FILE=/run/x"]},
    {"mem_limit": None, "deploy": {"resources": {"limits": {"memory": "1g"}}}},
    {"build": None, "image": f"redis:7.4@sha256:{'0' * 64}"},
    {"volumes": [{"type": "volume", "source": "data"}, "data:/data"]},
]


def judged_compose(make: Make, root: Path, changed: dict[str, Any]) -> Outcome:
    service = {**COMPOSE["services"]["ringfence"], **changed}
    text = yaml.safe_dump(
        {"services": {"ringfence": {k: v for k, v in service.items() if v is not None}}}
    )
    (root / COMPOSE_FILE).write_text(text)
    return security_checks.check_compose_file(make())


@pytest.mark.security
@pytest.mark.parametrize(("changed", "told"), SOFT)
def test_a_compose_file_that_gives_more_than_is_needed_is_refused(
    changed: dict[str, Any], told: str, make: Make, root: Path
) -> None:
    found = judged_compose(make, root, changed)

    assert found.result is Result.FAILED
    assert any(told in each.message for each in found.findings), found


@pytest.mark.security
@pytest.mark.parametrize(("changed", "told"), GENTLE)
def test_what_could_be_harder_is_a_warning(
    changed: dict[str, Any], told: str, make: Make, root: Path
) -> None:
    found = judged_compose(make, root, changed)

    assert (found.result, [told in each.message for each in found.findings]) == (
        Result.WARNED,
        [True],
    )


@pytest.mark.parametrize("changed", SOUND)
def test_what_is_hard_enough_passes(changed: dict[str, Any], make: Make, root: Path) -> None:
    found = judged_compose(make, root, changed)

    assert found.findings == ()


@pytest.mark.parametrize("text", ["", "services: {}", "services: [", "\udce4"])
def test_a_compose_file_that_says_nothing_is_refused(text: str, make: Make, root: Path) -> None:
    (root / COMPOSE_FILE).write_bytes(text.encode("utf-8", "surrogateescape"))

    assert security_checks.check_compose_file(make()).result is Result.FAILED


@pytest.mark.security
def test_the_shipped_compose_file_has_no_error(make: Make) -> None:
    found = security_checks.check_compose_file(make(root=ROOT))

    assert [each for each in found.findings if each.severity is Severity.ERROR] == []


@pytest.mark.security
def test_a_fault_in_the_source_is_found(make: Make, root: Path) -> None:
    """By the real bandit."""
    (root / "engine").rmdir()
    assert security_checks.check_source(make()).said == "there is no source here"
    (root / "engine").mkdir()
    (root / "engine" / "sound.py").write_text("print(1)\n")
    assert security_checks.check_source(make()).result is Result.PASSED
    (root / "engine" / "bad.py").write_text(
        "import os\nos.system(input())\nimport hashlib\nhashlib.md5()\n"
    )

    found = security_checks.check_source(make())

    assert found.result is Result.FAILED
    assert any("bad.py:" in each.message for each in found.findings)
    nobody = security_checks.check_source(make(python="/nowhere"))
    assert [each.severity for each in nobody.findings] == [Severity.UNKNOWN]


@pytest.mark.security
def test_a_package_that_is_known_to_be_bad_is_a_finding_or_unknown_and_never_a_pass(
    make: Make, root: Path
) -> None:
    """By the real pip-audit, which says that all is well where it cannot reach its database."""
    (root / "requirements.lock").write_text("flask==0.5\n")
    environ = {**os.environ, **make().environ}

    found = security_checks.check_dependencies(make(environ=environ))

    assert found.result is Result.FAILED
    assert found.findings
    assert {each.severity for each in found.findings} <= {Severity.ERROR, Severity.UNKNOWN}


AUDITOR = """
import json, sys
file = sys.argv[sys.argv.index("--requirement") + 1]
bad, found = "known-bad" in file, {answer}
print(json.dumps({{"dependencies": found["bad" if bad else "lock"]}}))
"""
FAULT = {"id": "PYSEC-1", "fix_versions": []}
CANARY = [{"name": "django", "version": "2.0.0", "vulns": [FAULT]}]


@pytest.mark.security
@pytest.mark.parametrize(
    ("answer", "result", "told"),
    [
        ({"bad": CANARY, "lock": [{"name": "a", "version": "1", "vulns": []}]}, Result.PASSED, ""),
        (
            {"bad": CANARY, "lock": [{"name": "a", "version": "1", "vulns": [FAULT]}]},
            Result.FAILED,
            "a 1 has known faults: PYSEC-1",
        ),
        (
            {"bad": CANARY, "lock": [{"name": "a", "skip_reason": "not on PyPI"}]},
            Result.FAILED,
            "a was not looked at: not on PyPI",
        ),
        (
            {"bad": [{"name": "django", "skip_reason": "x"}], "lock": []},
            Result.FAILED,
            "nobody can say",
        ),
        ({"bad": CANARY, "lock": 1}, Result.FAILED, "pip-audit cannot read"),
        ({"bad": 1, "lock": []}, Result.FAILED, "nobody can say"),
    ],
)
def test_what_pip_audit_says_is_believed_once_it_has_found_what_is_bad(
    answer: dict[str, Any], result: Result, told: str, make: Make, tmp_path: Path
) -> None:
    planted = tmp_path / "planted"
    planted.mkdir()
    (planted / "pip_audit.py").write_text(AUDITOR.format(answer=repr(answer)))
    environ = {**make().environ, "PYTHONPATH": str(planted)}

    found = security_checks.check_dependencies(make(environ=environ))

    assert found.result is result
    assert told in " ".join(each.message for each in found.findings)
