"""What tests of the audit sinks share: waiting for a writer, and writers that are killed."""

import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ringfence.runtime.audit_writer import AuditWriter
from runtime.audit_logs import read

PATIENCE = 60.0


def in_log(folder: Path) -> list[Any]:
    return [(record.sequence, record.hash) for record in read(folder)]


def until(condition: Callable[[], bool]) -> None:
    """Return once the condition holds."""
    end, pause = time.monotonic() + PATIENCE, threading.Event()
    while not condition():
        assert time.monotonic() < end, "it never happened"
        pause.wait(0.01)


def waits_for(writer: AuditWriter, kind: str) -> None:
    """Return once the writer's one sink has failed in this way."""
    until(lambda: writer.status()[0].errors.get(kind, 0) > 0)


def follow(log: Path, words: list[str]) -> "subprocess.Popen[str]":
    """`ringfence audit write` as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "ringfence.cli.main", "audit", "write", "--log", str(log), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


WRITER = """
import sys
from ringfence.cli.main import main
from ringfence.runtime import audit_feed

audit_feed.BATCH = 20
step = audit_feed.Feed.step

def told(self):
    print("step", flush=True)
    return step(self)

audit_feed.Feed.step = told
sys.exit(main(["audit", "write", *sys.argv[1:]]))
"""


def killed_writers(
    log: Path, words: list[str], source: random.Random, *, times: int, check: Callable[[], Any]
) -> None:
    """Start writers of small batches, kill each in the middle of one, and check after each."""
    for _ in range(times):
        child = subprocess.Popen(
            [sys.executable, "-c", WRITER, "--log", str(log), *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert child.stdout is not None
        for _ in range(source.randint(1, 12)):
            child.stdout.readline()
        # Somewhere within the batch that was begun.
        threading.Event().wait(source.random() * 0.02)
        child.kill()
        child.communicate()
        check()
