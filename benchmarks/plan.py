"""`ringfence plan`: a change of some books among many orders, and of one policy among a thousand."""

import shutil
from pathlib import Path
from statistics import median

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.generate import Workload, account_name, marks_file, orders_file
from benchmarks.measure import Figure, pinned, run_child, seconds_of
from benchmarks.policy_files import EQUITY, policy_directory

__all__ = ["plan", "plan_of_policies"]

RUNS = 3
POLICIES, CHANGED = 10, 2
MANY = 1_000


def plan(orders: int, directory: Path) -> list[Figure]:
    """Measure a plan, and two dry runs of the changed books, in turns, each in processes of their own on one core."""
    workload = Workload(orders)
    whole, marks = orders_file(workload, directory), marks_file(workload, directory)
    names = [account_name(k) for k in range(workload.accounts * CHANGED // POLICIES)]
    part = _part(whole, names, directory / "plan-changed.parquet")
    sides = _sides(directory, workload.accounts, POLICIES, CHANGED)
    given = ("--marks", str(marks), "--equity", f"{EQUITY:g}")
    scratch = directory / "plan-dry-run"
    picked = f"SELECT * FROM '{whole}' WHERE account < '{account_name(len(names))}'"

    def planned() -> float:
        words = (
            "plan",
            "--base",
            str(sides[0]),
            "--head",
            str(sides[1]),
            "--orders",
            str(whole),
            *given,
        )
        return _seconds(*words, "--json")

    def twice(source: str) -> float:
        return sum(
            _seconds(
                "dry-run", "--orders", source, "--policies", str(side), *given, "--out", str(scratch),
                "--no-report", "--json",
            )
            for side in sides
        )  # fmt: skip

    with pinned():
        planned()
        taken = [(planned(), twice(str(part)), twice(picked)) for _ in range(RUNS)]
    shutil.rmtree(scratch, ignore_errors=True)
    part.unlink()
    seconds = [median(each) for each in zip(*taken, strict=True)]
    return [
        Figure("plan", f"{len(names):,} of {workload.accounts:,} books change", seconds[0], "s"),
        Figure(
            "plan", "plan / two dry runs of those books, in a file of their own", seconds[0] / seconds[1], "times",
            at_most=1.3,
        ),
        Figure("plan", "plan / two dry runs of those books, out of all orders", seconds[0] / seconds[2], "times"),
    ]  # fmt: skip


def plan_of_policies(orders: int, directory: Path) -> list[Figure]:
    """Measure a plan without orders of a thousand policies, of which one has changed."""
    del orders
    base, head = _sides(directory, MANY, MANY, 1)
    words = ("plan", "--base", str(base), "--head", str(head), "--json")
    with pinned():
        _seconds(*words)
        seconds = median(_seconds(*words) for _ in range(RUNS))
    return [Figure("plan", f"one of {MANY:,} policies changes", seconds, "s", at_most=5.0)]


def _sides(directory: Path, accounts: int, policies: int, changed: int) -> tuple[Path, Path]:
    """A set, and the same with lower limits of exposure in its first policies."""
    made = policy_directory(directory, accounts, policies)
    sides = directory / "plan-base", directory / "plan-head"
    for side in sides:
        shutil.rmtree(side, ignore_errors=True)
        shutil.copytree(made, side)
    for k in range(changed):
        path = sides[1] / f"desk-{k:04d}.yaml"
        text = path.read_text("utf-8")
        path.write_text(text.replace(f"max: {440_000 + k % 100} USDT", "max: 200000 USDT"), "utf-8")
    return sides


def _part(whole: Path, names: list[str], path: Path) -> Path:
    """The orders of some accounts, in a file of their own."""
    wanted = pa.array(names)
    with pq.ParquetFile(whole) as file, pq.ParquetWriter(path, file.schema_arrow) as writer:
        for batch in file.iter_batches(1 << 18):
            account = batch.column("account").cast(pa.string())
            writer.write_batch(batch.filter(pc.is_in(account, wanted)))
    return path


def _seconds(*words: str) -> float:
    return seconds_of(lambda: run_child(["-m", "ringfence.cli.main", *words]))
