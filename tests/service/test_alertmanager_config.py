"""The configuration that Alertmanager is started with: each combination of receivers, checked by its own tool."""

import os
import subprocess
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = [
    pytest.mark.integration,
    pytest.mark.needs("amtool", "prometheus-alertmanager"),
]

FOLDER = Path(__file__).resolve().parents[2] / "docker" / "alertmanager"
CHANNELS: dict[str, dict[str, str]] = {
    "webhook": {"ALERT_WEBHOOK_URL": "https://hooks.example/a?b='c'"},
    "email": {
        "ALERT_EMAIL_TO": "desk@example.com, risk@example.com",
        "ALERT_EMAIL_FROM": "ringfence@example.com",
        "ALERT_SMTP_HOST": "mail.example:587",
        "ALERT_SMTP_USER": "ringfence",
    },
    "slack": {"ALERT_SLACK_CHANNEL": "#risk"},
}
SECRETS = {
    "alert_webhook_token": "token-of-the-webhook",
    "alert_smtp_password": "password-of-mail",
    "alert_slack_url": "https://hooks.slack.example/secret",
}


def seconds(text: str) -> float:
    assert text.endswith("s")
    return float(text.removesuffix("s"))


def test_what_is_critical_is_told_within_five_seconds() -> None:
    """Also where another one of its kind was told just before."""
    place = FOLDER.parent / "prometheus" / "prometheus.yml"
    prometheus = yaml.safe_load(place.read_text(encoding="utf-8"))
    (service,) = (each for each in prometheus["scrape_configs"] if each["job_name"] == "ringfence")
    looks = seconds(service["scrape_interval"]) + seconds(
        prometheus["global"]["evaluation_interval"]
    )
    told = yaml.safe_load((FOLDER / "alertmanager.yml").read_text(encoding="utf-8"))
    (critical,) = told["route"]["routes"]
    assert looks + max(map(seconds, (critical["group_wait"], critical["group_interval"]))) <= 5


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    for name, text in SECRETS.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def start(environ: dict[str, str], *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["sh", FOLDER / "start", *words],
        env={"PATH": os.environ["PATH"], **environ},
        capture_output=True,
        text=True,
        check=False,
    )


def written(secrets: Path, environ: dict[str, str]) -> tuple[Path, dict[str, Any]]:
    """The file, as Alertmanager would be started with it, and what it holds."""
    path = secrets / "alertmanager.yml"
    places = {"ALERT_SECRETS": str(secrets), "ALERT_CONFIG": str(path), "ALERTMANAGER": "true"}
    done = start({**places, **environ})
    assert done.returncode == 0, done.stderr
    return path, yaml.safe_load(path.read_text(encoding="utf-8"))


def channels_of(config: dict[str, Any], receiver: str) -> set[str]:
    (found,) = (each for each in config["receivers"] if each["name"] == receiver)
    return {name.removesuffix("_configs") for name in found} - {"name"}


def amtool(*words: object) -> str:
    done = subprocess.run(["amtool", *map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("used", list(product((False, True), repeat=3)))
def test_every_combination_of_receivers_is_right_and_reached_by_severity(
    used: tuple[bool, ...], secrets: Path
) -> None:
    names = {name for name, is_used in zip(CHANNELS, used, strict=True) if is_used}
    environ = {key: value for name in names for key, value in CHANNELS[name].items()}

    path, config = written(secrets, environ)

    assert channels_of(config, "critical") == channels_of(config, "warning") == names
    text = path.read_text(encoding="utf-8")
    assert not any(each in text for each in SECRETS.values())
    assert path.stat().st_mode & 0o077 == 0
    amtool("check-config", path)
    for severity in ("critical", "warning"):
        amtool(
            "config", "routes", "test", f"--config.file={path}", f"--verify.receivers={severity}",
            f"severity={severity}", "alertname=RingfenceDown", "instance=ringfence:8000",
        )  # fmt: skip


def test_warnings_can_be_kept_from_who_is_woken(secrets: Path) -> None:
    environ = {key: value for each in CHANNELS.values() for key, value in each.items()}
    path, config = written(secrets, {**environ, "ALERT_WARNINGS_TO": "email slack"})
    assert channels_of(config, "critical") == {"webhook", "email", "slack"}
    assert channels_of(config, "warning") == {"email", "slack"}
    amtool("check-config", path)


def test_values_get_there_as_they_are(secrets: Path) -> None:
    environ = {key: value for each in CHANNELS.values() for key, value in each.items()}
    _, config = written(secrets, {**environ, "ALERT_RUNBOOKS_URL": "https://git.example/main/"})
    critical = config["receivers"][0]
    (webhook,), (email,), (slack,) = (critical[f"{name}_configs"] for name in CHANNELS)
    assert webhook["url"] == CHANNELS["webhook"]["ALERT_WEBHOOK_URL"]
    assert email["to"] == CHANNELS["email"]["ALERT_EMAIL_TO"]
    assert email["require_tls"] is True
    assert email["auth_password_file"] == str(secrets / "alert_smtp_password")
    assert slack["api_url_file"] == str(secrets / "alert_slack_url")
    assert "https://git.example/main/{{ .Annotations.runbook_url }}" in slack["text"]


def test_the_file_that_is_shipped_is_the_one_without_receivers() -> None:
    shipped = (FOLDER / "alertmanager.yml").read_text(encoding="utf-8")
    assert start({}, "--print").stdout == shipped
    done = start({"ALERTMANAGER": "true", "ALERT_CONFIG": os.devnull})
    assert "nobody is told of alerts" in done.stderr


def test_a_service_that_is_down_mutes_what_it_told_last() -> None:
    config = yaml.safe_load((FOLDER / "alertmanager.yml").read_text(encoding="utf-8"))
    first = config["inhibit_rules"][0]
    assert first["source_matchers"] == ['alertname="RingfenceDown"']
    assert first["equal"] == ["instance"]


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({"ALERT_EMAIL_TO": "a@example.com"}, "set ALERT_EMAIL_FROM"),
        (
            {"ALERT_EMAIL_TO": "a@example.com", "ALERT_EMAIL_FROM": "b@example.com"},
            "set ALERT_SMTP_HOST",
        ),
        ({**CHANNELS["email"], "ALERT_SMTP_TLS": "maybe"}, "set it to true or false"),
        ({"ALERT_SLACK_CHANNEL": "#risk"}, "put the secret for ALERT_SLACK_CHANNEL there"),
        (CHANNELS["email"], "put the secret for ALERT_SMTP_USER there"),
        ({"ALERT_WARNINGS_TO": "phone"}, "name some of: webhook email slack"),
        ({"ALERT_WEBHOOK_URL": "https://a\n  evil: true"}, "give it as one line"),
        ({"ALERT_SLACK_CHANNEL": "#a\nb"}, "give it as one line"),
    ],
)
@pytest.mark.security
def test_what_is_missing_or_wrong_is_named_and_nothing_starts(
    environ: dict[str, str], says: str, tmp_path: Path
) -> None:
    path = tmp_path / "alertmanager.yml"
    done = start(
        {
            "ALERT_SECRETS": str(tmp_path),
            "ALERT_CONFIG": str(path),
            "ALERTMANAGER": "true",
            **environ,
        }
    )
    assert done.returncode == 2
    assert says in done.stderr
    assert not path.exists()
