"""What the machine and the checkout must have before anything is built."""

import json
import re
import socket
from pathlib import Path

import pytest
import yaml

from cli.deploying.deployments import COMPOSE, ROOT, Make, quiet, real, results
from cli.recording_engine import NEW, OLD, RecordingEngine
from ringfence.cli.deploying import changing, machine_checks, security_checks
from ringfence.cli.deploying.compose_file import mounted_files, read_compose
from ringfence.cli.deploying.deployment import PORTS, Machine
from ringfence.cli.deploying.engine import COMPOSE_FILE, find_engine
from ringfence.cli.deploying.run import STEPS, Wish, deploy
from ringfence.cli.deploying.step import Result, Severity
from ringfence.errors import InputError
from ringfence.runtime.credentials import PRODUCTION_SECRETS
from ringfence.runtime.secret_files import make_secrets

pytestmark = pytest.mark.integration


def test_all_checks_run_and_all_faults_are_told(make: Make, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        (tmp_path / "meminfo").write_text("MemTotal: 100 kB\n")
        machine = Machine(
            ports={port: "metrics"}, disk_bytes=10**18, memory_file=tmp_path / "meminfo"
        )
        empty = tmp_path / "empty"
        empty.mkdir()
        done = deploy(
            make(engine=None, root=empty, secrets=empty, policies=empty / "none", machine=machine),
            Wish(),
            quiet,
            real(*(each.name for each in STEPS if each.stage == "check"), "hardening"),
        )

    checks = [each.name for each in STEPS if each.stage == "check"]
    assert done.failed == [*checks, "hardening"]
    told = {name: [each.message for each in done.outcomes[name].findings] for name in done.failed}
    assert "neither `docker` nor `podman`" in told["engine"][0]
    assert told["ports"] == [f"port {port} (metrics) is taken"]
    assert len(told["files"]) == len(machine_checks.NEEDED_FILES) + 1
    assert len(told["secrets"]) == len(PRODUCTION_SECRETS)
    assert "more than 1e+09 GB" in told["disk"][0]
    assert "0.0 GB of memory" in told["memory"][0]
    assert all(each.fix for name in done.failed for each in done.outcomes[name].findings)
    after = [each.name for each in STEPS if each.stage not in ("check", "security")]
    assert {results(done)[name] for name in after} == {"not-run"}
    assert done.exit_code == 1


def test_the_ports_are_those_that_are_documented() -> None:
    assert set(PORTS) == {5000, 8000, 8001, 5432, 6379, 9090, 3000, 9093}
    assert (Machine().disk_bytes, Machine().memory_bytes) == (10 * 10**9, 4 * 10**9)


def test_a_port_that_this_deployment_has_is_no_fault(make: Make, engine: RecordingEngine) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        deployment = make(machine=Machine(ports={port: "metrics"}))
        assert machine_checks.check_ports(deployment).result is Result.FAILED
        engine.change(ports=[port])
        assert (
            machine_checks.check_ports(deployment).said
            == "1 ports, 1 of them held by what runs now"
        )
        # Podman does not tell Compose of all.
        engine.change(ports=[], published=[port, "3000-3005"])
        assert machine_checks.check_ports(deployment).result is Result.PASSED
        engine.change(runs="")
        assert machine_checks.check_ports(deployment).result is Result.FAILED
        engine.change(runs=OLD, fail=["compose ps"])
        assert machine_checks.check_ports(deployment).result is Result.FAILED
    engine.change(fail=[], published=[])
    assert machine_checks.check_ports(deployment).result is Result.PASSED


def test_a_machine_that_does_not_tell_its_memory_is_unknown(make: Make, tmp_path: Path) -> None:
    machine = Machine(ports={}, memory_file=tmp_path / "none")

    assert machine_checks.check_memory(make(machine=machine)).result is Result.FAILED
    mild = machine_checks.check_memory(make("development", machine=machine))
    assert (mild.result, mild.findings[0].severity) == (Result.WARNED, Severity.UNKNOWN)


def test_this_machine_is_measured(make: Make) -> None:
    wide = Machine(ports={}, disk_bytes=1, memory_bytes=1)

    assert machine_checks.check_disk(make(machine=wide)).result is Result.PASSED
    assert machine_checks.check_memory(make(machine=wide)).result is Result.PASSED


@pytest.mark.parametrize("fail", ["version", "compose version", "compose config"])
def test_an_engine_that_does_not_answer_is_told_in_its_own_words(
    fail: str, make: Make, engine: RecordingEngine
) -> None:
    engine.change(fail=[fail])
    done = deploy(make(), Wish(), quiet, real("engine", "compose"))

    (failed,) = done.failed
    assert failed == ("engine" if fail == "version" else "compose")
    (finding,) = done.outcomes[failed].findings
    assert "failed with 17: first line | no space left on device" in finding.message


def test_what_cannot_be_read_or_run_is_told(
    make: Make, engine: RecordingEngine, root: Path
) -> None:
    (engine.folder / "docker").write_text("#!/bin/sh\necho 'no json'\n")
    assert machine_checks.check_compose(make()).result is Result.FAILED
    with pytest.raises(InputError, match="cannot be read"):
        make().engine.running()
    (engine.folder / "docker").write_text("#!/nowhere\n")
    with pytest.raises(InputError, match="cannot be run"):
        make().engine.build()
    (engine.folder / "docker").write_text("#!/bin/sh\nexec sleep 60\n")
    slow = find_engine(root, make().environ)
    assert slow is not None
    from dataclasses import replace

    with pytest.raises(InputError, match=r"took longer than 0\.1 s"):
        replace(slow, timeout_s=0.1).build()
    assert find_engine(root, {"PATH": "/nowhere"}) is None


def test_what_compose_prints_is_read_in_both_of_its_forms(
    make: Make, engine: RecordingEngine
) -> None:
    lines = make().engine.running()
    (engine.folder / "docker").write_text(
        "#!/bin/sh\n"
        """echo '[{"Service": "ringfence", "ID": "c", "State": "Running", "Publishers": null}, 1]'\n"""
    )

    assert [each.service for each in lines] == ["ringfence", "migrate", "postgres"]
    (found,) = make().engine.running()
    assert (found.service, found.state, found.health, found.ports) == (
        "ringfence",
        "running",
        "",
        (),
    )
    (engine.folder / "docker").write_text("#!/bin/sh\n")
    assert make().engine.running() == []


def test_each_environment_takes_missing_secrets_its_own_way(
    make: Make, engine: RecordingEngine, tmp_path: Path
) -> None:
    nothing = tmp_path / "none"

    assert security_checks.check_secrets(make(secrets=nothing)).result is Result.FAILED
    assert (
        security_checks.check_secrets(make("development", secrets=nothing)).result is Result.WARNED
    )
    testing = make("testing", secrets=nothing)
    assert security_checks.check_secrets(testing).result is Result.PASSED
    assert not nothing.exists()
    changing.build(testing)
    assert security_checks.check_secrets(make(secrets=nothing)).result is Result.PASSED
    assert engine.state["images"]["ringfence:local"] == NEW


def test_what_the_compose_file_mounts_has_to_be_there(make: Make, root: Path) -> None:
    compose = json.loads(json.dumps(COMPOSE))
    compose["services"]["ringfence"]["volumes"] = [
        "${RINGFENCE_POLICIES_DIR:-./policies}:/policies:ro",
        "./docker/settings.yaml:/etc/ringfence/ringfence.yaml:ro",
        {"type": "bind", "source": "./docker/rules", "target": "/rules", "read_only": True},
        "data:/var/lib/ringfence",
    ]
    names = ("grafana_admin_password", "database_owner_password", "redis_password")
    compose["secrets"] = {name: {"file": f"./secrets/{name}"} for name in names}
    (root / COMPOSE_FILE).write_text(yaml.safe_dump(compose))
    (root / "secrets" / "grafana_admin_password").write_text("short")

    files, secrets = machine_checks.check_files(make()), security_checks.check_secrets(make())

    assert [each.message for each in files.findings] == [
        f"`{root / 'docker' / name}` is missing" for name in ("settings.yaml", "rules")
    ]
    assert [each.message for each in secrets.findings] == [
        "`DATABASE_OWNER_PASSWORD` is not set",
        "`GRAFANA_ADMIN_PASSWORD` has fewer than 16 characters",
    ]
    made = make_secrets(root / "secrets")
    assert "grafana_admin_password" in {each.path.name for each in made if each.result == "kept"}
    assert len(security_checks.check_secrets(make()).findings) == 1


def test_nothing_that_the_image_is_built_from_is_left_out() -> None:
    copied = re.findall(r"(?m)^COPY (?!--from)(.*) \S+$", (ROOT / "Dockerfile").read_text("utf-8"))
    needed = {word.split("/")[0] for text in copied for word in text.split()}
    assert {"engine", "rules", "README.md"} <= needed
    assert needed <= {*machine_checks.NEEDED_FILES, "policies"}


def test_this_checkout_has_all_that_its_compose_file_mounts(make: Make) -> None:
    assert {"docker/redis/start", "docker/grafana/dashboards"} <= {
        *mounted_files(read_compose(ROOT))
    }
    assert machine_checks.check_files(make(root=ROOT, policies=ROOT / "policies")).findings == ()


@pytest.mark.security
def test_an_unsound_secret_is_told_and_never_shown(make: Make, root: Path) -> None:
    weak = "hunter2hunter2"
    (root / "secrets" / "api_secret_key").write_text(weak)
    environ = {**make().environ, "OPENAI_API_KEY": "nonsense"}

    found = security_checks.check_secrets(make(environ=environ))

    told = str(found)
    assert [each.message.split("`")[1] for each in found.findings] == [
        "API_SECRET_KEY",
        "OPENAI_API_KEY",
    ]
    assert weak not in told
    assert "nonsense" not in told


@pytest.mark.security
def test_a_secret_that_others_may_read_is_found(make: Make, root: Path, tmp_path: Path) -> None:
    assert security_checks.check_modes(make()).result is Result.PASSED
    (root / "secrets" / "api_secret_key").chmod(0o644)
    (root / "secrets").chmod(0o755)
    (root / "secrets" / "elsewhere").symlink_to(tmp_path)

    found = security_checks.check_modes(make())

    assert [each.fix.split(" ")[0] + " " + each.fix.split(" ")[1] for each in found.findings] == [
        "chmod 700",
        "chmod 640",
        "put the",
    ]
    assert security_checks.check_modes(make(secrets=tmp_path / "none")).result is Result.PASSED
