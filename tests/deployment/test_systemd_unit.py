"""The systemd unit: read by systemd itself, hardened, and in keeping with the program and its settings.

No systemd runs here, so the unit is not started: `systemd-analyze` reads and judges it.
"""

import configparser
import re
import subprocess
from pathlib import Path

import pytest

from deployment.compose_file import ROOT
from ringfence.cli.main import build_parser
from ringfence.runtime.credentials import ALL_SECRETS
from ringfence.service.settings import load_settings

pytestmark = pytest.mark.unit

UNIT = ROOT / "docker" / "systemd" / "ringfence.service"
SETTINGS = ROOT / "docker" / "systemd" / "ringfence.yaml"
# Of ten: the network, which it needs, and code that is written and then run, are most of it.
MOST_EXPOSED = 2.0


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit, with a program that is there: systemd looks whether it is."""
    placed = tmp_path / UNIT.name
    placed.write_text(UNIT.read_text("utf-8").replace("/opt/ringfence/bin/ringfence", "/bin/true"))
    return placed


def lines(name: str) -> list[str]:
    return re.findall(rf"(?m)^{name}=(.*)$", UNIT.read_text("utf-8"))


@pytest.mark.needs("systemd-analyze", "systemd")
def test_systemd_finds_no_fault(unit: Path) -> None:
    done = subprocess.run(
        ["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.security
@pytest.mark.needs("systemd-analyze", "systemd")
def test_systemd_finds_it_hardened(unit: Path) -> None:
    command = ["systemd-analyze", "security", "--offline=yes", "--no-pager"]
    done = subprocess.run(
        [*command, f"--threshold={MOST_EXPOSED * 10:.0f}", unit],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-300:]


def test_the_command_is_one_that_the_program_takes() -> None:
    (command,) = lines("ExecStart")
    given = build_parser("serve").parse_args(command.split()[1:])
    assert given.config == Path("/etc/ringfence/ringfence.yaml")


def test_every_secret_is_handed_over_and_named() -> None:
    credentials = [each.partition(":") for each in lines("LoadCredential")]
    assert {name: path for name, _, path in credentials} == {
        name: f"/etc/ringfence/secrets/{name}" for name, _, _ in credentials
    }
    assert {name for name, _, _ in credentials} <= {kind.name.lower() for kind in ALL_SECRETS}
    named = [each for each in lines("Environment") if "_FILE=" in each]
    assert sorted(named) == sorted(f"{name.upper()}_FILE=%d/{name}" for name, _, _ in credentials)


def test_it_has_longer_to_stop_than_the_service_takes() -> None:
    loaded = load_settings(SETTINGS, environ={}).settings
    assert int(lines("TimeoutStopSec")[0]) * 1e9 > loaded.server.stop_within
    assert loaded.data == Path("/var/lib/ringfence/data")


def test_it_is_a_unit_of_three_sections() -> None:
    parser = configparser.RawConfigParser(strict=False, interpolation=None)
    parser.read_string(UNIT.read_text("utf-8"))
    assert parser.sections() == ["Unit", "Service", "Install"]
    assert parser["Service"]["User"] == "trader"
