"""Hypothesis profiles, the `needs` mark, and the list of what could not be run on this machine."""

import ctypes
import os
import shutil
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A shell starts what it puts in the background deaf to Ctrl-C, and so would be every process that a test stops by it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# And `nohup` what it starts, to a terminal that goes away.
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

# No deadline and no wall clock anywhere: a busy machine must not fail a test. The same examples in every
# run of CI; the nightly profile looks for new ones.
settings.register_profile(
    "ci",
    max_examples=500,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "nightly",
    max_examples=20_000,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
# Minutes of kills and faults: `make soak` alone.
collect_ignore = [] if "RINGFENCE_SOAK_SECONDS" in os.environ else ["soak"]

settings.load_profile(os.environ.get("RINGFENCE_HYPOTHESIS_PROFILE", "ci"))


def _has(name: str) -> bool:
    if name == "initdb":
        # Debian keeps PostgreSQL's programs out of the PATH.
        return shutil.which(name) is not None or any(
            Path("/usr/lib/postgresql").glob("*/bin/initdb")
        )
    if ".so." not in name:
        return shutil.which(name) is not None
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test marked `needs(command, package)` where the command, or library, is missing."""
    for mark in item.iter_markers("needs"):
        command, package = mark.args
        if not _has(command):
            # The real program cannot run here; the summary below names what was left out.
            pytest.skip(f"needs `{command}`: apt-get install {package}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name every skipped test and why, so that a pass with gaps does not look like a full one."""
    skipped = terminalreporter.stats.get("skipped", [])
    if not skipped:
        return
    terminalreporter.section("could not be run here")
    for report in skipped:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        terminalreporter.line(f"{report.nodeid}: {reason}")
