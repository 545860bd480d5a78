"""The container image.

What is run how:
- always: hadolint, the instructions as they are written, and the image's two scripts as processes;
- always, as processes in a scratch directory: the steps of all stages but the last, with two things left out that cost
  minutes or the network: dependencies come from this environment, and machine code from this user's cache;
- where `RINGFENCE_CONTAINERS` is set (`make containers`): the whole Dockerfile, built and run by podman. Where no registry
  can be reached, `base-image` beside this file makes the base; set `RINGFENCE_BASE_IMAGE=stand-in` for it.
"""

import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployment.compose_file import ROOT
from deployment.dockerfile import stages
from ringfence._resources import cache_directory
from ringfence.reload import DirectorySource
from ringfence.reload.compiling import compile_ahead

pytestmark = pytest.mark.integration

STAGES = {each.name: each for each in stages()}
FINAL = STAGES[""]
SCRIPTS = ROOT / "docker" / "ringfence"


def run(*command: object, **options: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(  # type: ignore[call-overload,no-any-return]
        [str(each) for each in command], capture_output=True, text=True, check=False, **options
    )


def test_hadolint_finds_no_fault() -> None:
    files = (ROOT / "Dockerfile", Path(__file__).with_name("stand-ins") / "Dockerfile")
    done = run(Path(sysconfig.get_path("scripts")) / "hadolint", *files)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_final_image_runs_as_trader_under_tini_and_tells_how_it_is() -> None:
    made = " ".join(FINAL.all("RUN"))
    assert "groupadd --gid 1000 trader" in made
    assert "useradd --uid 1000 --gid trader" in made
    assert FINAL.all("USER") == ["1000:1000"]
    assert FINAL.listed("ENTRYPOINT") == ["/usr/bin/tini", "--", "/usr/local/bin/entrypoint"]
    assert FINAL.listed("CMD") == ["serve"]
    (health,) = FINAL.all("HEALTHCHECK")
    assert health.startswith("--interval=30s ")
    assert FINAL.listed("HEALTHCHECK") == ["/usr/local/bin/healthy"]
    assert FINAL.all("EXPOSE") == ["5000 8000 8001"]


def test_the_final_image_gets_no_compiler_and_leaves_no_cache() -> None:
    installed = re.search(r"apt-get install ([^&]*)", " ".join(FINAL.all("RUN")))
    assert installed is not None
    packages = {each for each in installed[1].split() if not each.startswith("--")}
    assert packages == {"git", "openssh-client", "tini"}
    copied = [text.split()[-2] for text in FINAL.all("COPY") if text.startswith("--from=")]
    assert copied == ["/opt/ringfence", "/opt/compiled"]
    assert "pip install" not in " ".join(FINAL.all("RUN"))
    assert STAGES["wheel"].all("RUN")[0].startswith("--mount=type=cache,target=/root/.cache/pip ")


def test_the_wheel_is_built_once() -> None:
    built = [name for name, stage in STAGES.items() if "pip wheel" in " ".join(stage.all("RUN"))]
    assert built == ["wheel"]


def test_every_stage_has_the_same_base_whose_name_and_version_are_said() -> None:
    bases = {each.base for each in STAGES.values()} - set(STAGES)
    assert bases == {"${PYTHON_IMAGE}"}
    (default,) = re.findall(
        r"(?m)^ARG PYTHON_IMAGE=(.*)$", (ROOT / "Dockerfile").read_text("utf-8")
    )
    assert re.fullmatch(r"docker\.io/library/python:3\.12\.\d+-slim-bookworm", default)
    assert default in (ROOT / "docker-compose.yml").read_text("utf-8")


@pytest.mark.security
def test_the_build_sees_what_it_copies_and_nothing_else() -> None:
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    rules = [each for each in lines if each and not each.startswith("#")]
    let_in = {each.removeprefix("!") for each in rules if each.startswith("!")}
    copied = {
        word.rstrip("/")
        for stage in STAGES.values()
        for text in stage.all("COPY")
        if not text.startswith("--from=")
        for word in text.split()[:-1]
    }
    assert rules[0] == "*"
    assert copied == let_in
    assert not [each for each in copied if not (ROOT / each).exists()]


def test_what_says_one_python_says_it_everywhere() -> None:
    assert STAGES["compiled"].variables()["NUMBA_CPU_NAME"] == "generic"
    assert FINAL.variables()["NUMBA_CPU_NAME"] == "generic"
    assert FINAL.variables()["RINGFENCE_COMPILED_PATH"] == "/opt/ringfence/compiled"


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The steps of the stages before the last one, done in a directory that stands for `/`."""
    top = tmp_path_factory.mktemp("image")
    compile_ahead(DirectorySource(ROOT / "policies").read().files)
    places = {
        name: top / name.strip("/")
        for name in ("/src", "/wheels", "/opt/ringfence", "/opt/compiled")
    }
    site = Path(sysconfig.get_path("purelib"))

    def here(text: str) -> str:
        for name, place in places.items():
            text = re.sub(rf"(?<![\w/.]){name}(?![\w-])", str(place), text)
        return text

    for place in (places["/src"], top / "opt"):
        place.mkdir()
    for name in ("wheel", "installed", "compiled"):
        stage = STAGES[name]
        variables = {key: here(text) for key, text in stage.variables().items()}
        # No network, and no minutes of compiling: see the head of this file.
        variables |= {"PIP_NO_DEPS": "1", "PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0"}
        if name == "compiled":
            del variables["NUMBA_CPU_NAME"]
            variables["RINGFENCE_COMPILED_PATH"] = str(cache_directory())
        path = f"{sysconfig.get_path('scripts')}:{os.environ['PATH']}"
        for word, text in stage.instructions:
            if word == "COPY" and not text.startswith("--from="):
                *sources, target = text.split()
                for each in sources:
                    source, into = ROOT / each, places["/src"] / Path(each).name
                    assert target.startswith(("./", "/src"))
                    copy = shutil.copytree if source.is_dir() else shutil.copy
                    copy(source, into)
            elif word == "RUN":
                command = here(re.sub(r"^--mount=\S+ ", "", text))
                done = run(
                    "sh", "-euc", command, cwd=places["/src"],
                    env={"PATH": path, "HOME": str(top), **variables},
                )  # fmt: skip
                assert done.returncode == 0, done.stdout + done.stderr
        if name == "installed":
            # What the lock file names is installed here already.
            (made,) = (places["/opt/ringfence"] / "lib").glob("python*/site-packages")
            (made / "dependencies.pth").write_text(f"{site}\n")
    return top


def test_the_steps_make_a_program_that_finds_its_rules(steps: Path, tmp_path: Path) -> None:
    program = steps / "opt" / "ringfence" / "bin" / "ringfence"
    done = run(
        program, "validate", ROOT / "policies", env={"PATH": os.environ["PATH"]}, cwd=tmp_path
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert "valid" in done.stdout
    assert not list((steps / "opt" / "ringfence" / "bin").glob("pip*"))
    assert len(list((steps / "wheels").iterdir())) == 1


def test_the_steps_make_code_for_all_to_read_that_is_not_compiled_again(
    steps: Path, tmp_path: Path
) -> None:
    compiled = steps / "opt" / "compiled"
    assert not [each for each in compiled.rglob("*") if each.stat().st_mode & 0o444 != 0o444]
    assert not list(compiled.glob("*.lock"))

    variables = {
        "PATH": os.environ["PATH"],
        "RINGFENCE_COMPILED_PATH": str(compiled),
        "RINGFENCE_CACHE_PATH": str(tmp_path / "cache"),
    }
    command = (
        steps / "opt" / "ringfence" / "bin" / "ringfence",
        "compile",
        ROOT / "policies",
        "--check",
    )
    done = run(*command, "--json", env=variables, cwd=tmp_path)
    assert (done.returncode, json.loads(done.stdout)["compiled"]) == (0, False), done.stderr


def test_what_no_command_reads_is_taken_out_and_the_rest_stays(tmp_path: Path) -> None:
    site = tmp_path / "lib" / "python3.12" / "site-packages"
    gone = {
        "numpy/tests/test_a.py", "ccxt/test/a.py", "ccxt/pro/test/a.py", "pyarrow/include/a.h",
        "numpy/a.pyx", "numpy/a.pyi", "pyarrow/libarrow_flight.so.1", "pyarrow/_s3fs.so",
        "faker/providers/address/de_DE/__init__.py",
    }  # fmt: skip
    kept = {
        "numpy/testing/a.py", "numpy/a.py", "pyarrow/libarrow.so.1", "pyarrow/_fs.so",
        "faker/providers/address/en_US/__init__.py", "z3/lib/libz3.so", "z3/lib/libz3.so.5",
    }  # fmt: skip
    for each in gone | kept:
        (site / each).parent.mkdir(parents=True, exist_ok=True)
        (site / each).write_text(Path(each).name.split(".so")[0])
    # The real one is in the image's build alone.
    (tmp_path / "strip").write_text("#!/bin/sh\n")
    (tmp_path / "strip").chmod(0o755)

    path = f"{tmp_path}:{os.environ['PATH']}"
    done = run("sh", SCRIPTS / "slim", tmp_path, env={"PATH": path})

    assert (done.returncode, done.stderr) == (0, "")
    assert {str(each.relative_to(site)) for each in site.rglob("*") if each.is_file()} == kept
    assert (site / "z3/lib/libz3.so.5").readlink() == Path("libz3.so")


def test_what_is_taken_out_by_name_is_still_called_that() -> None:
    site = Path(sysconfig.get_path("purelib"))
    for each in ("ccxt/test", "ccxt/pro/test", "pyarrow/include", "faker/providers/*/de_DE"):
        assert list(site.glob(each)), each
    for part in ("flight", "s3"):
        assert list(site.glob(f"pyarrow/libarrow_{part}.so*")), part
        assert list(site.glob(f"pyarrow/_{part}*.so")), part
    assert list(site.glob("z3/lib/libz3.so.*"))


def entrypoint(tmp_path: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """The image's entry point, with a program that prints its arguments."""
    program = tmp_path / "bin" / "ringfence"
    program.parent.mkdir(exist_ok=True)
    program.write_text('#!/bin/sh\necho "ringfence $*"\n')
    program.chmod(0o755)
    variables = {
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "RINGFENCE_POLICIES": str(tmp_path / "policies"),
    }
    return run("sh", SCRIPTS / "entrypoint", *words, env=variables)


def test_a_bare_check_means_the_mounted_policies_which_must_be_there(tmp_path: Path) -> None:
    assert entrypoint(tmp_path, "validate").returncode == 2
    assert "no policies in" in entrypoint(tmp_path, "test").stderr

    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "desk.yaml").write_text("")
    told = entrypoint(tmp_path, "validate").stdout
    assert told == f"ringfence validate {tmp_path / 'policies'}\n"
    assert entrypoint(tmp_path, "serve").stdout == "ringfence serve\n"
    assert entrypoint(tmp_path, "validate", "other").stdout == "ringfence validate other\n"


@pytest.fixture
def health_port() -> Iterator[tuple[int, list[int]]]:
    """A port that answers with the status in the list."""
    status = [200]

    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status[0] if self.path == "/health/live" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    with http.server.HTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port, status
        server.shutdown()
        thread.join()


def test_the_health_check_tells_well_from_ill(health_port: tuple[int, list[int]]) -> None:
    port, status = health_port

    def healthy(on: int) -> int:
        variables = {"RINGFENCE_SERVER__HEALTH_PORT": str(on)}
        return run(sys.executable, "-IS", SCRIPTS / "healthy", env=variables).returncode

    assert healthy(port) == 0
    status[0] = 503
    assert healthy(port) == 1
    # Port 1 of this machine: nobody is there.
    assert healthy(1) == 1
