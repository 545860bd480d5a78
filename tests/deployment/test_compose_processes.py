"""What `docker-compose.yml` starts, started: its commands, users, files and health checks, on real servers.

No images are used: programs are this machine's. `contained.py` says what is the same as in a container. Not from the compose
file are (a) the first start of PostgreSQL, where what the image's entry point does is done by `stand-ins/postgres-entrypoint`, and
(b) the image's own files of the service, which come from `docker/ringfence/` and this checkout. Grafana has no package here:
`test_compose_file.py` alone looks at it.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployment.compose_file import ROOT, read_compose
from deployment.contained import PATH, Contained, Pod, this_program, why_not
from ringfence._resources import cache_directory
from ringfence.reload import DirectorySource
from ringfence.reload.compiling import compile_ahead
from ringfence.runtime.secret_files import make_secrets

pytestmark = [
    pytest.mark.integration,
    pytest.mark.needs("initdb", "postgresql"),
    pytest.mark.needs("redis-server", "redis-server"),
    pytest.mark.needs("unshare", "util-linux"),
    pytest.mark.needs("prometheus", "prometheus"),
    pytest.mark.needs("prometheus-alertmanager", "prometheus-alertmanager"),
    pytest.mark.needs("tini", "tini"),
    pytest.mark.needs("wget", "wget"),
]

GROUP = 4711
# What the image's entry point does: without words of its own it leaves the command to what follows.
FIRST_START = (ROOT / "tests/deployment/stand-ins/postgres-entrypoint").read_text("utf-8")
POSTGRES = [
    "postgres", "-c", "listen_addresses=*", "-c", "unix_socket_directories=/var/run/postgresql",
]  # fmt: skip
IMAGE_FILES = {
    **this_program(),
    "/usr/local/bin/entrypoint": ROOT / "docker" / "ringfence" / "entrypoint",
    "/usr/local/bin/healthy": ROOT / "docker" / "ringfence" / "healthy",
}
IMAGE_VARIABLES = {
    "PATH": f"/opt/ringfence/bin:{PATH}",
    "PYTHONPATH": str(ROOT / "engine"),
    "PYTHONDONTWRITEBYTECODE": "1",
    "XDG_CACHE_HOME": "/tmp/.cache",
}


@pytest.fixture(scope="module")
def pod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pod]:
    if reason := why_not():
        # Namespaces and mounts are root's; elsewhere nothing stands for them.
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("pod")
    make_secrets(folder / "secrets", group=GROUP)
    # An engine opens the directory as root and mounts file by file.
    made = Pod(read_compose({"RINGFENCE_SECRETS_GID": str(GROUP)}), folder)
    yield made
    made.close()


@pytest.fixture(scope="module")
def redis(pod: Pod) -> Contained:
    started = pod.start("redis")
    started.wait_healthy()
    return started


@pytest.fixture(scope="module")
def postgres(pod: Pod) -> Contained:
    # The image knows the user that the compose file names; which numbers this machine knows is chance.
    users = pod.folder / "postgres-passwd"
    users.write_text("postgres:x:999:999::/var/lib/postgresql:/bin/sh\n")
    started = pod.start(
        "postgres", before=FIRST_START, program=POSTGRES, paths={"/etc/passwd": users}
    )
    started.wait_healthy()
    return started


@pytest.fixture(scope="module")
def compiled(pod: Pod) -> Path:
    """Machine code for the shipped policies, as the image holds it; taken from this user's cache where it is there."""
    compile_ahead(DirectorySource(ROOT / "policies").read().files)
    place = pod.folder / "compiled"
    variables = {
        "RINGFENCE_CACHE_PATH": str(place),
        "RINGFENCE_COMPILED_PATH": str(cache_directory()),
    }
    subprocess.run(
        [sys.executable, "-m", "ringfence.cli.main", "compile", ROOT / "policies"],
        env={**os.environ, "PYTHONPATH": str(ROOT / "engine"), **variables},
        check=True,
    )
    for each in (place, *place.rglob("*")):
        each.chmod(0o755 if each.is_dir() else 0o644)
    return place


@pytest.fixture(scope="module")
def service(pod: Pod, redis: Contained, migrated: Contained, compiled: Path) -> Contained:
    assert (redis.process.poll(), migrated.process.poll()) == (None, 0)
    started = pod.start(
        "ringfence",
        program=["tini", "--", "entrypoint"],
        environment={**IMAGE_VARIABLES, "RINGFENCE_COMPILED_PATH": "/opt/ringfence/compiled"},
        paths={**IMAGE_FILES, "/opt/ringfence/compiled": compiled},
    )
    started.wait_healthy()
    return started


@pytest.fixture(scope="module")
def alertmanager(pod: Pod) -> Contained:
    program = {"ALERTMANAGER": shutil.which("prometheus-alertmanager") or "alertmanager"}
    started = pod.start("alertmanager", environment=program)
    started.wait_healthy()
    return started


@pytest.fixture(scope="module")
def prometheus(pod: Pod, alertmanager: Contained) -> Contained:
    assert alertmanager.process.poll() is None
    started = pod.start("prometheus", program=["prometheus"])
    started.wait_healthy()
    return started


@pytest.fixture(scope="module")
def migrated(pod: Pod, postgres: Contained) -> Contained:
    assert postgres.process.poll() is None
    done = pod.start(
        "migrate",
        program=["tini", "--", "entrypoint"],
        environment=IMAGE_VARIABLES,
        paths=IMAGE_FILES,
    )
    assert done.wait() == 0, done.said()
    return done


def redis_cli(redis: Contained, *words: str, password: bool = True) -> str:
    told = "REDISCLI_AUTH=$(cat /run/secrets/redis_password) " if password else ""
    done = redis.run(["sh", "-c", f"{told}exec redis-cli -h redis {' '.join(words)}"])
    return done.stdout.strip()


def psql(postgres: Contained, user: str, secret: str, sql: str) -> str:
    words = ["psql", "--host=postgres", f"--username={user}", "--dbname=ringfence", "-qAtc", sql]
    script = f'PGPASSWORD="$(cat /run/secrets/{secret})" exec "$@"'
    done = postgres.run(["sh", "-c", script, "sh", *words])
    return (done.stdout + done.stderr).strip()


def assert_contained(service: Contained) -> None:
    status = service.status()
    uid, gid = service.about["user"].split(":")
    assert set(status["Uid"].split()) == {uid}
    assert set(status["Gid"].split()) == {gid}
    assert (status["CapEff"], status["CapBnd"], status["NoNewPrivs"]) == ("0" * 16, "0" * 16, "1")
    assert "Read-only file system" in service.run(["touch", "/usr/a-file"]).stderr


def test_redis_runs_as_the_file_says_and_asks_for_its_password(redis: Contained) -> None:
    assert_contained(redis)
    assert redis_cli(redis, "ping", password=False).startswith("NOAUTH")
    assert redis_cli(redis, "config", "get", "maxmemory-policy").split()[-1] == "noeviction"
    assert redis_cli(redis, "config", "get", "appendonly").split()[-1] == "yes"
    assert "NOPERM" in redis_cli(redis, "config", "set", "maxmemory-policy", "allkeys-lru")
    assert "NOPERM" in redis_cli(redis, "acl", "list")


def test_redis_tells_its_password_to_nobody(redis: Contained, pod: Pod) -> None:
    password = (pod.folder / "secrets" / "redis_password").read_text()
    shown = [redis.said()]
    for name in ("cmdline", "environ"):
        shown.append(Path(f"/proc/{redis.pid}/{name}").read_bytes().decode())
    shown.append(redis.run(["cat", "/tmp/users.acl"]).stdout)

    assert "user default" in shown[-1]
    assert not [each for each in shown if password in each]


def test_redis_does_not_start_without_a_password(redis: Contained) -> None:
    script = "echo short >/tmp/short; exec sh /usr/local/etc/redis/start"
    done = redis.run(["sh", "-c", script], {"REDIS_SECRET": "/tmp/short"})
    assert done.returncode == 2
    assert "fewer than 16 characters" in done.stderr


def test_the_password_of_redis_changes_without_a_pause(redis: Contained, pod: Pod) -> None:
    secret = pod.folder / "secrets" / "redis_password"
    old, new = secret.read_text(), "another-password-0123456789"

    def taken(password: str) -> bool:
        return redis.run(["redis-cli", "ping"], {"REDISCLI_AUTH": password}).stdout == "PONG\n"

    def reload(also: str) -> None:
        script = f"printf '{also}' | sh /usr/local/etc/redis/start --reload"
        assert redis.run(["sh", "-c", script]).stdout == "OK\n"

    assert (taken(old), taken(new)) == (True, False)
    reload(f"{new}\\n")
    assert (taken(old), taken(new)) == (True, True)
    # Into the file: what is mounted is the file itself.
    secret.write_text(new)
    reload("")
    assert (taken(old), taken(new)) == (False, True)
    assert redis.health().returncode == 0


def test_postgres_runs_as_the_file_says_and_asks_for_passwords(postgres: Contained) -> None:
    assert_contained(postgres)
    nobody = postgres.run(
        ["psql", "-w", "-h", "postgres", "-U", "ringfence", "ringfence", "-c", ""]
    )
    assert "no password supplied" in nobody.stderr
    owner = [
        "psql",
        "-w",
        "-h",
        "/var/run/postgresql",
        "-U",
        "ringfence_owner",
        "ringfence",
        "-c",
        "",
    ]
    assert "no password supplied" in postgres.run(owner).stderr


def test_the_service_may_add_and_read_and_the_auditor_only_read(
    postgres: Contained, migrated: Contained
) -> None:
    assert "applied 0001_audit.sql" in migrated.said()
    writer, reader = ("ringfence", "database_password"), (
        "ringfence_auditor",
        "database_reader_password",
    )

    assert psql(postgres, *writer, "SELECT * FROM ringfence.audit_begin('a')") == "|"
    # It tells of decisions that are older than those in memory.
    assert psql(postgres, *writer, "SELECT count(*) FROM ringfence.records") == "0"
    for sql in ("DELETE FROM", "TRUNCATE"):
        assert "permission denied" in psql(postgres, *writer, f"{sql} ringfence.records")
    assert "permission denied" in psql(postgres, *writer, "CREATE TABLE public.a ()")
    assert psql(postgres, *reader, "SELECT count(*) FROM ringfence.records") == "0"
    assert "permission denied" in psql(postgres, *reader, "DELETE FROM ringfence.records")


def test_postgres_keeps_the_passwords_out_of_its_log(postgres: Contained, pod: Pod) -> None:
    for each in (pod.folder / "secrets").glob("database_*"):
        assert each.read_text() not in postgres.said()


def test_each_service_finds_its_own_secrets_and_no_others(
    redis: Contained, postgres: Contained
) -> None:
    for service in (redis, postgres):
        listed = service.run(["ls", "/run/secrets"]).stdout.split()
        assert sorted(listed) == sorted(service.about["secrets"])
        owner = service.run(["sh", "-c", "stat -c '%u %g %a' /run/secrets/*"]).stdout.splitlines()
        assert set(owner) == {f"0 {GROUP} 640"}
        assert "Read-only" in service.run(["sh", "-c", "echo x >/run/secrets/another"]).stderr


def asked(service: Contained, url: str) -> str:
    done = service.run(["wget", "-q", "-O", "-", "--content-on-error", url])
    return done.stdout


def test_the_service_runs_as_the_file_says(service: Contained) -> None:
    assert_contained(service)
    service.wait_until(lambda: json.loads(asked(service, "http://ringfence:8001/health"))["ready"])
    assert json.loads(asked(service, "http://ringfence:8001/health/live"))
    whole = json.loads(asked(service, "http://ringfence:8001/health"))
    assert (whole["phase"], whole["ready"]) == ("serving", True), whole
    well = {name: each["status"] for name, each in whole["checks"].items()}
    assert {well["db"], well["cache"], well["policies"]} == {"ok"}, whole
    assert "ringfence_" in asked(service, "http://ringfence:8000/metrics")


def test_a_start_with_the_shipped_policies_compiles_nothing(
    service: Contained, compiled: Path
) -> None:
    listed = service.run(["ls", "/var/cache/ringfence/compiled"]).stdout.split()
    kept = {each for each in listed if not each.endswith(".lock")}
    assert kept
    assert kept <= {each.name for each in compiled.iterdir()}
    done = service.run(["ringfence", "compile", "/policies", "--check"])
    assert (done.returncode, "nothing to do" in done.stdout) == (0, True)


def test_prometheus_and_alertmanager_run_as_the_file_says(
    prometheus: Contained, alertmanager: Contained
) -> None:
    assert_contained(prometheus)
    assert_contained(alertmanager)
    assert "nobody is told of alerts" in alertmanager.said()


def test_prometheus_reaches_the_service_and_alertmanager(
    prometheus: Contained, service: Contained
) -> None:
    assert service.process.poll() is None

    def up() -> dict[str, str]:
        query = "http://prometheus:9090/api/v1/query?query=up"
        found = json.loads(asked(prometheus, query))["data"]["result"]
        return {each["metric"]["job"]: each["value"][1] for each in found}

    wanted = {"ringfence": "1", "prometheus": "1", "alertmanager": "1"}
    prometheus.wait_until(lambda: up() == wanted)
    rules = json.loads(asked(prometheus, "http://prometheus:9090/api/v1/rules"))
    assert rules["data"]["groups"]
    told = json.loads(asked(prometheus, "http://prometheus:9090/api/v1/alertmanagers"))
    assert len(told["data"]["activeAlertmanagers"]) == 1


def test_the_service_ends_when_it_is_told_to(service: Contained) -> None:
    os.kill(service.pid, signal.SIGTERM)
    assert service.wait() == 0, service.said()
