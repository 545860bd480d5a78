"""`ringfence deploy`: real ports, files and checkers; only the container engine writes down what it is asked."""

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from cli.recording_engine import NEW, OLD, OLD_SET, RecordingEngine
from ringfence._resources import bundled
from ringfence.cli.deploying import changing, machine_checks, run, security_checks
from ringfence.cli.deploying.compose_file import mounted_files, read_compose
from ringfence.cli.deploying.deployment import PORTS, Deployment, Machine
from ringfence.cli.deploying.engine import COMPOSE_FILE, find_engine
from ringfence.cli.deploying.report import report_data
from ringfence.cli.deploying.run import STEPS, Deployed, Wish, deploy
from ringfence.cli.deploying.step import Outcome, Result, Severity, Step, judged
from ringfence.cli.main import main
from ringfence.errors import InputError
from ringfence.runtime.credentials import PRODUCTION_SECRETS
from ringfence.runtime.ports import SYSTEM_RANDOM
from ringfence.runtime.secret_files import make_secrets

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = json.loads(bundled("schemas").joinpath("deployment.v1.schema.json").read_text("utf-8"))
COMPOSE: dict[str, Any] = {
    "services": {
        "ringfence": {
            "image": "ringfence:local",
            "build": ".",
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges:true"],
            "read_only": True,
            "mem_limit": "2g",
            "ports": ["${RINGFENCE_BIND:-127.0.0.1}:5000:5000"],
            "environment": {"JWT_SECRET_KEY_FILE": "/run/secrets/jwt_secret_key"},
        }
    }
}


def never(seconds: float) -> None:
    raise AssertionError(f"nobody waits {seconds} s in a test")


@pytest.fixture
def engine(tmp_path: Path) -> RecordingEngine:
    return RecordingEngine(tmp_path / "bin", runs=OLD)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A checkout with all that a deployment needs, and sound secrets."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    for name in machine_checks.NEEDED_FILES:
        if (ROOT / name).is_dir():
            (folder / name).mkdir()
        else:
            (folder / name).touch()
    (folder / COMPOSE_FILE).write_text(yaml.safe_dump(COMPOSE))
    (folder / "policies").mkdir()
    given = {each.name: each.make(SYSTEM_RANDOM) for each in PRODUCTION_SECRETS}
    make_secrets(folder / "secrets", PRODUCTION_SECRETS, given=given)
    return folder


Make = Callable[..., Deployment]


@pytest.fixture
def make(root: Path, engine: RecordingEngine) -> Make:
    """A deployment of that checkout with that engine; fields may be given otherwise."""
    environ = {"PATH": f"{engine.folder}:{os.environ['PATH']}"}

    def made(environment: Any = "production", **changed: Any) -> Deployment:
        fields: dict[str, Any] = {
            "root": root,
            "secrets": root / "secrets",
            "policies": root / "policies",
            "environ": environ,
            "engine": find_engine(root, environ),
            "python": sys.executable,
            "machine": Machine(ports={}),
            "wait": never,
        }
        return Deployment(environment, **{**fields, **changed})

    return made


def passed(_: Deployment) -> Outcome:
    return judged([], "well", strict=True)


def real(*names: str, **others: Callable[[Deployment], Outcome]) -> tuple[Step, ...]:
    """The steps of these names as they are; of the others what was given, or one that passes."""
    from dataclasses import replace

    return tuple(
        step if step.name in names else replace(step, run=others.get(step.name, passed))
        for step in STEPS
    )


def results(done: Deployed) -> dict[str, str]:
    return {name: str(each.result) for name, each in done.outcomes.items()}


def quiet(name: str, outcome: Outcome) -> None:
    assert name
    assert outcome.said


CHANGES = ("build", "start", "health")


def test_what_is_sound_is_deployed(make: Make, engine: RecordingEngine) -> None:
    deployment = make()
    done = deploy(
        deployment,
        Wish(),
        quiet,
        real("engine", "compose", "files", "secrets", "modes", "hardening", *CHANGES),
    )

    assert set(results(done).values()) == {"passed"}, done
    assert list(done.outcomes) == [each.name for each in STEPS]
    assert (done.exit_code, engine.state["runs"]) == (0, NEW)
    assert (deployment.previous.image, deployment.previous.policy_set) == (OLD, OLD_SET)
    changing_words = [each for each in engine.asked if "build" in each or " up" in each]
    assert changing_words == ["compose build", "compose up --detach --no-build"]


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


@pytest.mark.parametrize(("fail", "step"), [("compose up", "start"), ("compose ps", "health")])
def test_a_step_that_fails_after_the_start_goes_back(
    fail: str, step: str, make: Make, engine: RecordingEngine
) -> None:
    def break_it(_: Deployment) -> Outcome:
        engine.change(fail=[fail])
        return Outcome(Result.PASSED, "broken")

    def mend_it(deployment: Deployment) -> Outcome:
        engine.change(fail=[])
        return changing.go_back(deployment)

    steps = real(*CHANGES)
    # Broken once the images are built; whole again on the way back.
    build = next(each for each in steps if each.name == "build")

    def build_and_break(deployment: Deployment) -> Outcome:
        built = build.run(deployment)
        break_it(deployment)
        return built

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "go_back", mend_it)
        done = deploy(make(), Wish(), quiet, real("start", "health", build=build_and_break))

    assert done.failed == [step]
    assert results(done)["smoke"] == "not-run"
    assert results(done)["rollback"] == "passed"
    assert (engine.state["runs"], engine.state["policy_set"]) == (OLD, OLD_SET)
    assert done.exit_code == 1


@pytest.mark.parametrize("health", ["unhealthy", "exited"])
def test_an_image_that_does_not_get_well_is_taken_back_with_its_policy_set(
    health: str, make: Make, engine: RecordingEngine
) -> None:
    engine.change(health={NEW: health})
    moments = iter(range(100))
    waited: list[float] = []

    done = deploy(
        make(
            machine=Machine(ports={}, patience_s=5),
            elapsed=lambda: next(moments),
            wait=waited.append,
        ),
        Wish(),
        quiet,
        real(*CHANGES),
    )

    assert done.failed == ["health"]
    (finding,) = done.outcomes["health"].findings
    told = "ended with 3" if health == "exited" else "is unhealthy"
    assert finding.message == f"service `ringfence` {told}"
    # What has ended gets no better by waiting.
    assert bool(waited) == (health == "unhealthy")
    assert (engine.state["runs"], engine.state["policy_set"]) == (OLD, OLD_SET)
    back = engine.asked[engine.asked.index("compose up --detach --no-build") + 1 :]
    assert "tag ringfence:before-deployment ringfence:local" in back
    assert any(f"--rollback {OLD_SET} --by" in each for each in back)
    assert "policy set aaaaaaaaaaaa is in force" in done.outcomes["rollback"].said


def test_the_set_is_looked_at_once_the_service_has_started_again(
    make: Make, engine: RecordingEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it starts nobody takes a rollback, and none may be needed."""
    waits = {"compose exec": True}
    engine.change(health={NEW: "exited"})

    def start(_: Deployment) -> None:
        engine.change(fail=[], policy_set=OLD_SET)
        waits.clear()

    def began(deployment: Deployment) -> Outcome:
        outcome = changing.start(deployment)
        engine.change(fail=list(waits))
        return outcome

    monkeypatch.setattr(changing, "wait_for_start", start)
    done = deploy(make(), Wish(), quiet, real("build", "health", start=began))

    assert (done.failed, results(done)["rollback"]) == (["health"], "passed")
    assert not [each for each in engine.asked if "--rollback" in each]
    assert "policy set aaaaaaaaaaaa is in force" in done.outcomes["rollback"].said


def test_what_ran_before_comes_back_where_the_image_was_built_elsewhere(
    make: Make, engine: RecordingEngine
) -> None:
    engine.change(health={NEW: "exited"}, images={"ringfence:local": NEW})

    done = deploy(make(), Wish(skip=frozenset({"build"})), quiet, real(*CHANGES))

    assert (done.failed, results(done)["build"]) == (["health"], "skipped")
    assert (engine.state["runs"], engine.state["policy_set"]) == (OLD, OLD_SET)


def test_a_new_one_that_does_not_answer_as_it_should_is_taken_back(
    make: Make, engine: RecordingEngine
) -> None:
    def fails(_: Deployment) -> Outcome:
        raise InputError("the guard does not decide", "see the log")

    done = deploy(make(), Wish(), quiet, real(*CHANGES, smoke=fails))

    assert (done.failed, engine.state["runs"]) == (["smoke"], OLD)
    assert done.outcomes["smoke"].findings[0].message == "the guard does not decide"


def test_a_first_deployment_that_fails_leaves_nothing_running(
    make: Make, engine: RecordingEngine
) -> None:
    engine.write(images={}, runs="", fail=[], health={NEW: "exited"}, policy_set="", ports=[])

    done = deploy(make(), Wish(), quiet, real(*CHANGES))

    assert done.outcomes["rollback"].said == "stopped: nothing ran before"
    assert (engine.asked[-1], engine.state["runs"]) == ("compose down", "")


def test_a_way_back_that_fails_says_so(make: Make, engine: RecordingEngine) -> None:
    engine.change(health={NEW: "exited", OLD: "unhealthy"})
    moments = iter(range(100))
    deployment = make(
        machine=Machine(ports={}, patience_s=5), elapsed=lambda: next(moments), wait=str
    )

    done = deploy(deployment, Wish(), quiet, real(*CHANGES))

    assert done.failed == ["health", "rollback"]
    assert "see to it now" in report_data(deployment, Wish(), done, 0)["headline"]


def test_a_policy_set_that_nobody_can_tell_is_left_alone(
    make: Make, engine: RecordingEngine
) -> None:
    engine.change(health={NEW: "exited"}, fail=["compose exec"])

    done = deploy(make(), Wish(), quiet, real(*CHANGES))

    assert (results(done)["rollback"], engine.state["runs"]) == ("passed", OLD)
    assert "policy set" not in done.outcomes["rollback"].said


def test_a_build_that_fails_touches_nothing_that_runs(make: Make, engine: RecordingEngine) -> None:
    engine.change(fail=["compose build"])

    done = deploy(make(), Wish(), quiet, real(*CHANGES))

    assert done.failed == ["build"]
    assert "rollback" not in done.outcomes
    assert (engine.state["runs"], engine.state["images"]["ringfence:local"]) == (OLD, OLD)


def test_both_gates_are_run_and_nothing_is_changed_after_one_failed(
    make: Make, engine: RecordingEngine
) -> None:
    def fails(_: Deployment) -> Outcome:
        raise InputError("no", "")

    done = deploy(make(), Wish(), quiet, real(*CHANGES, policies=fails))

    assert {name: results(done)[name] for name in ("policies", "tests", "build")} == {
        "policies": "failed",
        "tests": "passed",
        "build": "not-run",
    }
    assert engine.asked == []


def test_a_dry_run_changes_nothing_and_says_what_it_would_do(
    make: Make, engine: RecordingEngine
) -> None:
    deployment, wish = make(), Wish(dry_run=True)
    before = engine.state

    done = deploy(deployment, wish, quiet, real("engine", "compose", "ports", *CHANGES))

    assert engine.state == before
    assert done.outcomes["build"] == Outcome(Result.PLANNED, "would build the images")
    assert done.outcomes["health"].said == "would see that every service is healthy"
    assert report_data(deployment, wish, done, 0)["headline"].startswith(
        "dry run: nothing was changed"
    )


def test_what_is_skipped_is_named_and_production_wants_a_reason(make: Make) -> None:
    done = deploy(make(), Wish(skip=frozenset({"tests"}), reason="CI ran them"), quiet, real())
    assert done.outcomes["tests"] == Outcome(Result.SKIPPED, "skipped: CI ran them")

    for name in ("secrets", "modes", "hardening", "bandit", "pip-audit"):
        skip = frozenset({name})
        assert "only with a reason" in Wish(skip=skip, reason=" ").faults(make())
        assert Wish(skip=skip, reason="offline").faults(make()) == ""
        assert Wish(skip=skip).faults(make("development")) == ""
    assert "`all` is no step" in Wish(skip=frozenset({"all"})).faults(make())


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


def test_policies_that_do_not_validate_stop_at_their_gate(make: Make, root: Path) -> None:
    environ = {**os.environ, "PYTHONPATH": str(ROOT / "engine")}
    desk = (ROOT / "policies" / "desk.yaml").read_text("utf-8")
    (root / "policies" / "desk.yaml").write_text(desk.replace("kind: Policy\n", "kind: Polity\n"))

    (finding,) = changing.policy_gate(make(environ=environ)).findings

    assert (
        "`python -m ringfence.cli.main ci --policies policies --no-approvals` ended with"
        in finding.message
    )
    assert "Polity" in finding.message


def test_the_tests_are_run_where_they_are(make: Make, root: Path) -> None:
    assert changing.tests(make()).findings[0].severity is Severity.UNKNOWN
    (root / "tests").mkdir()
    test = root / "tests" / "test_it.py"
    test.write_text("import pytest\n\n@pytest.mark.smoke\ndef test_it():\n    assert 1\n")
    options = {
        **os.environ,
        "PYTEST_ADDOPTS": "-p no:cacheprovider -W ignore::pytest.PytestUnknownMarkWarning",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    assert changing.tests(make(environ=options)).result is Result.PASSED
    test.write_text(test.read_text().replace("assert 1", "assert 0"))
    assert changing.tests(make(environ=options)).result is Result.FAILED
    assert changing.tests(make(python="/nowhere")).result is Result.FAILED


def test_without_an_engine_nothing_is_changed(make: Make) -> None:
    for step in (changing.build, changing.start, changing.health, changing.go_back):
        with pytest.raises(InputError, match="no container engine"):
            step(make(engine=None))


@pytest.fixture
def command(root: Path, engine: RecordingEngine, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("PATH", f"{engine.folder}:{os.environ['PATH']}")
    skip = [
        word
        for each in STEPS
        if each.stage in ("security", "gate")
        for word in ("--skip", each.name)
    ]
    skip += ["--skip", "ports", "--skip", "disk", "--skip", "memory"]
    return ["--environment", "production", "--root", str(root), *skip]


def test_the_command_writes_its_report_in_both_forms(
    command: list[str], root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["deploy", *command, "--reason", "a test", "--dry-run"]
    assert main(words) == 0
    text = capsys.readouterr().out
    assert "skipped  pip-audit  skipped: a test" in text
    assert text.endswith("dry run: nothing was changed, and nothing stands in the way\n")
    assert main([*words, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    jsonschema.validate(printed, SCHEMA)
    written = json.loads((root / "build/deployment/report.json").read_text())
    assert written.keys() == printed.keys()
    assert written["steps"][0]["name"] == "engine"
    report = (root / "build/deployment/report.txt").read_text()
    assert "planned  build" in report
    assert "deployment to production by" in report


def test_the_command_fails_where_a_step_does(
    command: list[str], root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "secrets" / "jwt_secret_key").unlink()

    assert main(["deploy", *command, "--reason", "a test"]) == 1
    out = capsys.readouterr().out
    assert "error: `JWT_SECRET_KEY` is not set" in out
    assert out.endswith("failed: `secrets`; nothing was started\n")


@pytest.mark.parametrize(
    "words", [[], ["--skip", "nothing"], ["--root", "/nowhere"], ["--report", "/proc/none"]]
)
def test_wrong_use_is_refused(
    words: list[str], command: list[str], root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reason = [] if not words else ["--reason", "a test"]
    if "--root" in words:
        command = [each for each in command if each not in ("--root", str(root))]

    assert main(["deploy", *command, "--dry-run", *reason, *words]) == 2
    assert "fix:" in capsys.readouterr().err


def test_the_program_at_the_root_is_the_command(root: Path, engine: RecordingEngine) -> None:
    environ = {
        **os.environ,
        "PYTHONPATH": str(ROOT / "engine"),
        "PATH": f"{engine.folder}:{os.environ['PATH']}",
    }
    done = subprocess.run(
        [sys.executable, ROOT / "production_deployment.py", "--environment", "production",
         "--root", root, "--skip", "secrets"],
        env=environ, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 2
    assert "production skips `secrets` only with a reason" in done.stderr
