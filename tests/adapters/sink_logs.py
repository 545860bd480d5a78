"""What tests of the audit sinks share: waiting for a writer, and writers that are killed."""

import base64
import math
import random
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from ringfence.runtime.audit_decision import OUTCOMES, gates_in
from ringfence.runtime.audit_writer import AuditWriter
from runtime.audit_logs import opened, read

PATIENCE = 60.0


def in_log(folder: Path) -> list[Any]:
    return [(record.sequence, record.hash) for record in read(folder)]


def packed(*gates: tuple[str, str, float, float]) -> dict[str, Any]:
    """Gates as a guard records them, their columns in another order than their names."""
    turned = gates[::-1]
    numbers = [gate[at] for at in (2, 3) for gate in turned]
    content = struct.pack(f"<{len(numbers)}d", *numbers)
    content += bytes(OUTCOMES.index(gate[1]) for gate in turned)
    return {
        "names": [gate[0] for gate in gates],
        "columns": list(range(len(gates)))[::-1],
        "found": base64.b64encode(content).decode(),
    }


def log_of_gates(directory: Path) -> list[tuple[Any, ...]]:
    """A log with gates in every form; returns (seq, gate, file, line, outcome, measure, limit) of each gate."""
    source = random.Random(5)
    some = [struct.unpack("<d", source.randbytes(8))[0] for _ in range(40)]
    hard = [0.0, 1.0, -1.0, 5e-324, -2.5e-310, 1.7e308, 0.1, math.nan, math.inf, -math.inf, *some]
    about = {
        "policy_set": "p",
        "gates": [
            {"gate": "a", "file": "desk.yaml", "line": 3, "rule": "a@1"},
            {"gate": "b", "file": "desk.yaml", "line": 4},
            {"gate": "b", "file": "desk.yaml", "line": 5},
        ],
    }
    bodies: list[dict[str, Any]] = [
        {
            "policy_set": "p",
            "gates": packed(("a", "pass", 1.5, 2.0), ("b", "breach", math.nan, 3.0)),
        },
        {"policy_set": "p", "gates": [["a", "reduce", 1.5, 2.0], {"gate": "z", "line": 9}]},
        {"policy_set": "q", "gates": packed(("a", "exempt", math.inf, -0.25))},
        {"gates": packed(*((f"n{at}", "pass", value, -value) for at, value in enumerate(hard)))},
        {"gates": packed()},
        {"gates": {"names": ["a"], "columns": [7], "found": ""}},
        {"gates": {"a": 1}},
        {"gates": None},
    ]
    with opened(directory) as log:
        log.append("policy-set", about)
        for body in bodies:
            log.append("decision", body)
    found = []
    for record in read(directory):
        if record.kind == "decision" and record.body.get("gates") != bodies[5]["gates"]:
            known = about if record.body.get("policy_set") == "p" else {}
            for gate in gates_in(record.body, known):
                numbers = (gate.get("measure"), gate.get("limit"))
                told = [None if x is None or not math.isfinite(x) else x for x in numbers]
                names = ("gate", "file", "line", "outcome")
                found.append((record.sequence, *(gate.get(name) for name in names), *told))
    # Its one place lies outside of what it holds.
    return sorted([*found, (7, "a", None, None, None, None, None)], key=repr)


def log_of_margins(directory: Path) -> list[tuple[str, float | None]]:
    """A log with limits that are the most, and such as are the least that may be; returns each gate's margin."""
    gates: list[tuple[str, str, float, float]] = [
        ("least-kept", "pass", 1.0, 0.75),
        ("least-missed", "breach", 0.5, 0.75),
        ("most-kept", "pass", 1.5, 2.0),
        ("most-passed", "reduce", 3.0, 2.0),
        ("unknown", "unknown", math.nan, 2.0),
    ]
    with opened(directory) as log:
        log.append("decision", {"gates": packed(*gates)})
    told = next(gates_in(record.body, {}) for record in read(directory))
    found = [(gate["gate"], gate["margin"]) for gate in told]
    assert math.isnan(found[-1][1])
    return [*found[:-1], ("unknown", None)]


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


def line_with(stream: IO[str] | None, words: str) -> str:
    """The next line that holds these words; those before it are passed over."""
    assert stream is not None
    while words not in (line := stream.readline()):
        assert line, f"`{words}` was never said"
    return line


WRITER = """
import sys
from ringfence.cli.main import main
from ringfence.runtime import audit_batches, audit_feed

audit_batches.BATCH = 20
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
