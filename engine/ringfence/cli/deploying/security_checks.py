"""Is it safe to run: secrets, who may read them, the source, what it depends on, the compose file.

A check that cannot find out says `unknown`, and never that all is well.
"""

import importlib.util
import json
import stat
import subprocess  # nosec B404  # checkers that are run as programs
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ringfence.cli.deploying.compose_file import read_compose, secret_files
from ringfence.cli.deploying.deployment import Deployment
from ringfence.cli.deploying.engine import COMPOSE_FILE
from ringfence.cli.deploying.hardening import find_soft_spots
from ringfence.cli.deploying.step import Finding, Outcome, Severity, judged
from ringfence.runtime.credentials import (
    ALL_SECRETS,
    ENVIRONMENT_VARIABLE,
    OPENAI_API_KEY,
    PRODUCTION_SECRETS,
    SecretKind,
    load_credentials,
)
from ringfence.runtime.secret_files import file_of

__all__ = [
    "check_compose_file",
    "check_dependencies",
    "check_modes",
    "check_secrets",
    "check_source",
    "secrets_environment",
]

LOCK = "requirements.lock"
# Has had known faults for years. Where it is found to have none, nobody looked.
_KNOWN_BAD = "django==2.0.0"
_TIMEOUT_S = 600.0
_OPEN = stat.S_IRWXO | stat.S_IWGRP | stat.S_IXGRP


def check_secrets(deployment: Deployment) -> Outcome:
    """Every secret is there and well-formed, in its file or in its variable."""
    if deployment.environment == "testing":
        return judged([], "testing makes its own", strict=False)
    environ = secrets_environment(deployment)
    wanted = [*PRODUCTION_SECRETS, *_of_compose(deployment)]
    if environ.get("OPENAI_API_KEY") or environ.get("OPENAI_API_KEY_FILE"):
        wanted.append(OPENAI_API_KEY)
    # As in development, where each fault is told by itself.
    found = load_credentials(tuple(wanted), {**environ, ENVIRONMENT_VARIABLE: "development"})
    findings = []
    for told in found.warnings:
        fault, _, fix = told.partition("; ")
        findings.append(Finding(deployment.mild(), fault, fix or "run `ringfence secrets init`"))
    return judged(findings, f"{len(wanted)} secrets", strict=deployment.strict)


def secrets_environment(deployment: Deployment) -> dict[str, str]:
    """The environment, with `NAME_FILE` for each secret that lies in the directory of secrets."""
    environ = dict(deployment.environ)
    for kind in ALL_SECRETS:
        path = file_of(deployment.secrets, kind)
        given = environ.get(kind.name) or environ.get(f"{kind.name}_FILE")
        if not given and path.is_file():
            environ[f"{kind.name}_FILE"] = str(path)
    return environ


def _of_compose(deployment: Deployment) -> list[SecretKind]:
    """What the compose file mounts beyond what every deployment needs: passwords of databases' other users, of Grafana."""
    import yaml

    try:
        named = secret_files(read_compose(deployment.root))
    except (OSError, ValueError, yaml.YAMLError):
        # The step that looks at its hardening tells what is wrong with it.
        return []
    return [
        kind
        for kind in ALL_SECRETS
        if kind not in (*PRODUCTION_SECRETS, OPENAI_API_KEY)
        and file_of(deployment.secrets, kind).name in named
    ]


def check_modes(deployment: Deployment) -> Outcome:
    """No file of a secret is open to everybody on this machine."""
    if not deployment.secrets.is_dir():
        return judged([], "there is no directory of secrets", strict=deployment.strict)
    findings, count = [], 0
    held = [each for each in deployment.secrets.iterdir() if each.name != ".gitignore"]
    for path in [deployment.secrets, *sorted(held)]:
        count += 1
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            findings.append(
                Finding(
                    Severity.ERROR,
                    f"`{path}` is a link",
                    "put the file itself there: `chmod` sees no further",
                )
            )
        elif mode & _OPEN:
            closed = 0o700 if stat.S_ISDIR(mode) else 0o640
            findings.append(
                Finding(
                    Severity.ERROR,
                    f"`{path}` is open to others: mode {stat.S_IMODE(mode):o}",
                    f"chmod {closed:o} {path}",
                )
            )
    return judged(findings, f"{count} files and directories", strict=deployment.strict)


def check_compose_file(deployment: Deployment) -> Outcome:
    """The compose file gives no service more than it needs."""
    import yaml

    path = deployment.root / COMPOSE_FILE
    try:
        compose = read_compose(deployment.root)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        wrong = Finding(Severity.ERROR, f"`{path}` cannot be read: {error}", "restore the file")
        return judged([wrong], "", strict=deployment.strict)
    found = find_soft_spots(compose)
    return judged(found, "every service has what it needs, and no more", strict=deployment.strict)


def check_source(deployment: Deployment) -> Outcome:
    """bandit finds nothing of high severity in the source."""
    source = deployment.root / "engine"
    if not source.is_dir():
        return judged([], "there is no source here", strict=deployment.strict)
    command = ["bandit", "--quiet", "--recursive", "--format", "json", "--severity-level", "high"]
    report = _report(deployment, [*command, str(source)])
    if report is None or not isinstance(report.get("results"), list):
        unknown = Finding(
            Severity.UNKNOWN,
            "the source could not be looked through: bandit is missing or failed",
            _SETUP,
        )
        return judged([unknown], "", strict=deployment.strict)
    findings = [
        Finding(
            Severity.ERROR,
            f"{each.get('filename')}:{each.get('line_number')}: {each.get('test_id')}: {each.get('issue_text')}",
            "mend it; where it is meant, say so behind the line, with `# nosec` and the reason",
        )
        for each in report["results"]
    ]
    return judged(findings, "nothing of high severity", strict=deployment.strict)


def check_dependencies(deployment: Deployment, lock: Path | None = None) -> Outcome:
    """pip-audit knows of no fault in what is locked, and could have known of one."""
    lock = lock or deployment.root / LOCK
    with tempfile.TemporaryDirectory(prefix="ringfence-") as folder:
        bad = Path(folder) / "known-bad.txt"
        bad.write_text(f"{_KNOWN_BAD}\n", encoding="utf-8")
        looked = _audited(deployment, bad)
    if looked is None or not any(faults for _, faults, _ in looked):
        unknown = Finding(
            Severity.UNKNOWN,
            f"nobody can say whether {lock.name} names something with known faults: pip-audit is missing, or cannot "
            "reach its database",
            "run it where the database can be reached, or skip this step and say why",
        )
        return judged([unknown], "", strict=deployment.strict)
    found = _audited(deployment, lock)
    if found is None:
        unknown = Finding(Severity.UNKNOWN, f"pip-audit cannot read `{lock}`", "run it by hand")
        return judged([unknown], "", strict=deployment.strict)
    findings = [
        Finding(
            Severity.ERROR, f"{name} has known faults: {', '.join(faults)}", "raise it: `make lock`"
        )
        for name, faults, _ in found
        if faults
    ]
    findings += [
        Finding(Severity.UNKNOWN, f"{name} was not looked at: {skipped}", "look it up by hand")
        for name, _, skipped in found
        if skipped
    ]
    return judged(findings, f"{len(found)} packages, no known fault", strict=deployment.strict)


_SETUP = "run `make setup`, or skip this step and say why"


def _audited(deployment: Deployment, lock: Path) -> list[tuple[str, list[str], str]] | None:
    """Each package, the names of its faults, and why it was not looked at; None where pip-audit gave no report."""
    options = ["--no-deps", "--disable-pip", "--format", "json", "--progress-spinner", "off"]
    report = _report(deployment, ["pip_audit", "--requirement", str(lock), *options])
    if report is None or not isinstance(report.get("dependencies"), list):
        return None
    return list(_packages(report["dependencies"]))


def _packages(dependencies: list[Any]) -> Iterator[tuple[str, list[str], str]]:
    for each in dependencies:
        faults = [str(fault.get("id")) for fault in each.get("vulns") or ()]
        named = f"{each.get('name')} {each.get('version', '')}".strip()
        yield named, faults, str(each.get("skip_reason") or "")


def _report(deployment: Deployment, words: list[str]) -> dict[str, Any] | None:
    """What a checker that is a Python module prints as JSON; None where it cannot be run or read."""
    if importlib.util.find_spec(words[0]) is None:
        return None
    try:
        done = subprocess.run(  # nosec B603  # no shell; the checker's name is one of two
            [deployment.python, "-m", *words],
            cwd=deployment.root,
            env=dict(deployment.environ),
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
        found = json.loads(done.stdout)
    except (OSError, subprocess.TimeoutExpired, ValueError):
        return None
    return found if isinstance(found, dict) else None
