"""`docker-compose.yml`: valid, hardened, and whole. What it starts is started in `test_compose_processes.py`."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from deployment.compose_file import (
    COMPOSE_FILE,
    ROOT,
    Mount,
    compose_program,
    mounts_of,
    read_compose,
)
from ringfence.runtime.credentials import ALL_SECRETS
from ringfence.runtime.secret_files import file_of

pytestmark = pytest.mark.unit

COMPOSE = read_compose()
SERVICES: dict[str, Any] = COMPOSE["services"]
# They run once, and end.
ONE_SHOT = {"migrate", "validate"}
PORTS = {
    "ringfence": {5000, 8000, 8001},
    "postgres": {5432},
    "redis": {6379},
    "prometheus": {9090},
    "grafana": {3000},
    "alertmanager": {9093},
}

each_service = pytest.mark.parametrize("name", SERVICES)


def test_it_keeps_to_the_compose_specification() -> None:
    schema = Path(__file__).parent / "compose-specification" / "compose-spec.json"
    jsonschema.Draft7Validator(json.loads(schema.read_text("utf-8"))).validate(COMPOSE)


def test_compose_itself_takes_it() -> None:
    done = subprocess.run(
        [compose_program(), "--file", COMPOSE_FILE, "--profile", "*", "config", "--quiet"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_all_parts_are_there_at_their_ports() -> None:
    published = {
        name: {int(each.rsplit(":", 1)[1]) for each in about["ports"]}
        for name, about in SERVICES.items()
        if "ports" in about
    }
    assert published == PORTS
    assert set(SERVICES) == {*PORTS, *ONE_SHOT}


def test_every_port_is_bound_to_loopback_unless_told_otherwise() -> None:
    told = read_compose({"RINGFENCE_BIND": "192.0.2.1"})["services"]
    for name in PORTS:
        assert all(each.startswith("127.0.0.1:") for each in SERVICES[name]["ports"])
        assert all(each.startswith("192.0.2.1:") for each in told[name]["ports"])


@each_service
def test_a_service_has_no_more_rights_than_it_needs(name: str) -> None:
    about = SERVICES[name]
    assert about["cap_drop"] == ["ALL"]
    assert about["security_opt"] == ["no-new-privileges:true"]
    assert about["read_only"] is True
    assert re.fullmatch(r"[1-9]\d*:\d+", about["user"])
    assert not set(about) & {"privileged", "cap_add", "devices", "pid", "ipc", "userns_mode"}
    assert not [each for each in mounts_of(COMPOSE, name) if "docker.sock" in each.source]


@each_service
def test_a_service_has_limits(name: str) -> None:
    limits = SERVICES[name]["deploy"]["resources"]["limits"]
    assert float(limits["cpus"]) > 0
    assert re.fullmatch(r"\d+[mg]", limits["memory"])
    assert limits["pids"] >= 16
    assert SERVICES[name]["logging"]["options"] == {"max-size": "10m", "max-file": "5"}


@each_service
def test_a_service_is_asked_how_it_is(name: str) -> None:
    health = SERVICES[name]["healthcheck"]
    if name in ONE_SHOT:
        assert health == {"disable": True}
        assert SERVICES[name]["restart"] == "no"
        return
    assert health["test"][0] in ("CMD", "CMD-SHELL")
    assert {"interval", "timeout", "retries", "start_period"} <= set(health)
    assert SERVICES[name]["restart"] == "unless-stopped"


def test_the_service_is_asked_every_30_seconds() -> None:
    assert SERVICES["ringfence"]["healthcheck"]["interval"] == "30s"


@each_service
def test_an_image_has_a_version_and_may_be_another(name: str) -> None:
    image = SERVICES[name]["image"]
    if image == "ringfence:local":
        assert SERVICES[name]["build"]["context"] == "."
    else:
        assert re.fullmatch(r"docker\.io/[a-z]+/[a-z]+:v?\d+\.\d+\.?\d*(-bookworm)?", image)
    variables = {"ringfence", "migrate", "validate"}
    variable = "RINGFENCE_IMAGE" if name in variables else f"RINGFENCE_{name.upper()}_IMAGE"
    pinned = f"registry.example/{name}@sha256:{'0' * 64}"
    assert read_compose({variable: pinned})["services"][name]["image"] == pinned


def test_who_needs_another_waits_until_it_is_well() -> None:
    for name, about in SERVICES.items():
        for other, how in about.get("depends_on", {}).items():
            ends = other in ONE_SHOT
            wanted = "service_completed_successfully" if ends else "service_healthy"
            assert how == {"condition": wanted}, (name, other)
    assert set(SERVICES["ringfence"]["depends_on"]) == {"postgres", "redis", "migrate"}


def test_networks_keep_people_data_and_watching_apart() -> None:
    on = {name: set(about.get("networks", ())) for name, about in SERVICES.items()}
    assert on["postgres"] == on["redis"] == on["migrate"] == {"data"}
    assert on["prometheus"] == {"watch"}
    assert on["ringfence"] == {"front", "data", "watch"}
    assert not {"data"} & (on["grafana"] | on["prometheus"] | on["alertmanager"])
    assert SERVICES["validate"]["network_mode"] == "none"
    assert set(COMPOSE["networks"]) == {"front", "data", "watch"}


def test_no_secret_is_in_the_file_and_every_one_is_a_file_that_secrets_init_makes() -> None:
    made = {
        f"./{file_of(Path('secrets'), kind)}" for kind in ALL_SECRETS if not kind.issued_elsewhere
    }
    assert {each["file"] for each in COMPOSE["secrets"].values()} == made

    used = {each for about in SERVICES.values() for each in about.get("secrets", ())}
    assert used == set(COMPOSE["secrets"])
    for about in SERVICES.values():
        for variable, text in about.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|TOKEN", variable):
                assert variable.endswith("_FILE"), variable
                assert text.removeprefix("/run/secrets/") in about["secrets"]
    assert not re.search(r"(?i)password[:=] *[\"']?[a-z0-9]{4,}", COMPOSE_FILE.read_text("utf-8"))


def test_only_who_is_given_secrets_may_read_their_group() -> None:
    for name, about in SERVICES.items():
        if about.get("secrets"):
            assert about["group_add"] == ["1000"], name
    assert not [name for name in ("prometheus", "alertmanager") if "group_add" in SERVICES[name]]


def test_each_service_is_given_only_its_own_secrets() -> None:
    given = {name: set(about.get("secrets", ())) for name, about in SERVICES.items()}
    assert given["ringfence"] == {
        "api_secret_key",
        "jwt_secret_key",
        "database_password",
        "redis_password",
        "dashboard_admin_password",
    }
    assert given["migrate"] == {"database_owner_password"}
    assert given["redis"] == {"redis_password"}
    assert given["grafana"] == {"grafana_admin_password"}


@pytest.mark.parametrize(
    "mount",
    [each for name in SERVICES for each in mounts_of(COMPOSE, name) if each.kind == "bind"],
    ids=lambda mount: mount.target,
)
def test_a_mounted_file_is_in_the_repository_and_mounted_read_only(mount: Mount) -> None:
    assert mount.read_only
    assert (ROOT / mount.source).exists()


def test_every_volume_is_declared() -> None:
    used = {
        each.source
        for name in SERVICES
        for each in mounts_of(COMPOSE, name)
        if each.kind == "volume"
    }
    assert used == set(COMPOSE["volumes"])


def test_redis_drops_nothing_and_loses_nothing() -> None:
    lines = (ROOT / "docker" / "redis" / "redis.conf").read_text("utf-8").splitlines()
    settings = dict(line.split(" ", 1) for line in lines if line and not line.startswith("#"))
    assert settings["maxmemory-policy"] == "noeviction"
    assert settings["appendonly"] == "yes"
    assert settings["appendfsync"] in ("everysec", "always")
    assert "requirepass" not in settings


def test_the_variables_of_the_file_are_in_the_example() -> None:
    used = set(re.findall(r"\$\{(\w+)", COMPOSE_FILE.read_text("utf-8")))
    told = set(re.findall(r"(?m)^#?([A-Z]\w+)=", (ROOT / ".env.example").read_text("utf-8")))
    assert used == told


def test_settings_of_the_service_are_settings() -> None:
    from ringfence.service.settings import load_settings

    for name in ("ringfence.yaml", "image.yaml"):
        file = ROOT / "docker" / "ringfence" / name
        loaded = load_settings(file, environ={})
        assert loaded.settings.server.host == "0.0.0.0"
        assert loaded.settings.policies.directories == (Path("/policies"),)
        assert loaded.settings.data == Path("/var/lib/ringfence")
        assert yaml.safe_load(file.read_text("utf-8"))
