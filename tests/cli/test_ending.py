"""Signals that end a command while it prepares: nothing temporary stays."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ringfence.cli.ending import Ended, tidily

pytestmark = pytest.mark.unit

DATA = Path(__file__).resolve().parents[2] / "examples" / "data"
# The signal comes as the sorted file is there, before a first order is decided.
SCRIPT = """\
import os, sys
from ringfence.replay.prepare import Preparation
prepare = Preparation.prepare
def then_end(self, *arguments):
    prepare(self, *arguments)
    assert os.listdir(os.environ["TMPDIR"])
    os.kill(os.getpid(), int(sys.argv[1]))
Preparation.prepare = then_end
from ringfence.{0} import main
sys.exit(main({1}))
"""


def script(module: str, given: str) -> str:
    """What ends itself as its first source is prepared."""
    return SCRIPT.replace("{0}", module).replace("{1}", given)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_command_that_is_ended_while_it_prepares_leaves_no_temporary_file(
    number: signal.Signals, tmp_path: Path
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    command = ["correlations", "--marks", f"SELECT * FROM '{DATA / 'marks.parquet'}'"]

    ran = subprocess.run(
        [sys.executable, "-c", script("cli.main", "sys.argv[2:]"), str(int(number)), *command],
        capture_output=True,
        text=True,
        env={**os.environ, "TMPDIR": str(scratch)},
        check=False,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )

    assert (ran.returncode, ran.stdout) == (128 + number, "")
    assert ran.stderr == "ringfence: stopped\n"
    assert list(scratch.iterdir()) == []


def test_a_job_that_is_taken_back_while_it_prepares_leaves_no_temporary_file(
    tmp_path: Path,
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    asked = {
        "kind": "dry-run",
        "report": str(tmp_path / "report"),
        "orders": f"SELECT * FROM '{DATA / 'orders.parquet'}'",
        "policies": str(DATA.parents[1] / "policies"),
    }

    ran = subprocess.run(
        [sys.executable, "-c", script("service.job_process", ""), str(int(signal.SIGTERM))],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        env={**os.environ, "TMPDIR": str(scratch)},
        check=False,
    )

    assert (ran.returncode, ran.stdout, ran.stderr) == (128 + signal.SIGTERM, "", "")
    assert list(scratch.iterdir()) == []


def test_what_was_set_before_holds_again_and_what_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with pytest.raises(Ended), tidily("dry-run"):
            signal.raise_signal(signal.SIGTERM)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_service_ends_as_it_sees_fit() -> None:
    with tidily("serve"):
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
