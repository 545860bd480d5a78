"""`ringfence dry-run`: real orders through policies, and what would have become of them."""

import argparse
import math
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ringfence.cli.output import compiling_is_said, print_json
from ringfence.errors import InputError, reason_of
from ringfence.language.differences import QUANTA
from ringfence.language.orders import COUNTABLE

if TYPE_CHECKING:
    from ringfence.replay.dry_run import Progress

__all__ = [
    "add",
    "add_inputs",
    "add_sources",
    "amount_given",
    "halts_of",
    "progress_bar",
    "refuse_none_replayed",
    "workers_of",
]

_SRC = "a Parquet, CSV or JSON path or glob, or a SELECT over such files"
_SPEC = "a directory, a file, git:REF or git:REF:PATH"
# Of one run in one mode two find something to do, of a comparison in both modes more.
_MOST_WORKERS = 4


def add(commands: Any) -> None:
    """Add the command's arguments."""
    parser = commands.add_parser(
        "dry-run",
        help="replay real orders through policies, without sending anything",
        description="Replay real orders through policies, without sending anything. Ends with 0 whatever was decided, and "
        "with 2 where there are orders and not one of them can be replayed: the reasons are counted, and the results are "
        "written all the same.",
    )
    add_inputs(parser, required=True)
    parser.add_argument("--policies", default="policies", metavar="SPEC", help=_SPEC)
    parser.add_argument("--base", metavar="SPEC", help="policies to compare with")
    parser.add_argument(
        "--mode",
        choices=("propagated", "frozen", "both"),
        default="both",
        help="state follows the decisions (propagated), or is as it really was (frozen)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("build/dry-run"),
        metavar="DIR",
        help="the directory for the results",
    )
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")
    parser.add_argument("--markdown", type=Path, metavar="F", help="write a pull request's comment")
    parser.add_argument("--batch-rows", type=int, metavar="N", help="orders decided at a time")
    parser.add_argument("--no-report", action="store_true", help="leave report.html out")
    parser.set_defaults(run=run)


def add_sources(parser: argparse.ArgumentParser, *, required: bool) -> None:
    """Add the arguments of what a dry run reads.

    Args:
        parser: The command's parser.
        required: Whether there must be orders.
    """
    parser.add_argument("--orders", required=required, metavar="SRC", help=_SRC)
    parser.add_argument("--fills", metavar="SRC", help="what was filled, of which order")
    parser.add_argument("--marks", metavar="SRC", help="prices over time")
    parser.add_argument("--balances", metavar="SRC", help="opening money, deposits, withdrawals")
    parser.add_argument(
        "--instruments", type=Path, metavar="F", help="an instruments file; it wins over others"
    )
    parser.add_argument("--mapping", metavar="F", help="a shipped mapping's name, or a file")
    parser.add_argument("--marks-mapping", metavar="F", help="another mapping, for the marks")
    parser.add_argument(
        "--equity", metavar="AMOUNT", help="what an account opens with where no balance says so"
    )


def add_inputs(parser: argparse.ArgumentParser, *, required: bool) -> None:
    """Add the arguments of what a dry run reads, as `add_sources`, and how many threads it has."""
    add_sources(parser, required=required)
    parser.add_argument(
        "--halts-until",
        choices=("day", "end"),
        help="how long a book that a gate halts stays so: to its next trading day, as where nothing is said, or to the "
        "end of the orders",
    )
    parser.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help=f"threads; as many as the processors it may use where nothing is said, at most {_MOST_WORKERS}",
    )


def halts_of(given: argparse.Namespace) -> str:
    """How long a book stays halted: as asked, else to its next trading day."""
    return given.halts_until or "day"


def workers_of(given: argparse.Namespace) -> int:
    """How many threads share the work: as asked, else the processors that this process may use, up to four."""
    if given.workers is not None:
        return int(given.workers)
    # macOS knows no processors that a process may not use.
    known = getattr(os, "sched_getaffinity", None)
    processors = len(known(0)) if known else os.cpu_count() or 1
    return min(processors, _MOST_WORKERS)


def run(given: argparse.Namespace) -> int:
    """Run it; 0 when done, whatever was decided, 2 when no row could be replayed, 130 when interrupted."""
    equity = amount_given(given.equity)
    from ringfence.replay.dry_run import Request, dry_run
    from ringfence.replay.sources import BATCH_ROWS

    request = Request(
        orders=given.orders,
        fills=given.fills,
        marks=given.marks,
        balances=given.balances,
        policies=given.policies,
        base=given.base,
        instruments=given.instruments,
        mapping=given.mapping,
        marks_mapping=given.marks_mapping,
        mode=given.mode,
        equity=equity,
        halts_until=halts_of(given),
        out=given.out,
        workers=workers_of(given),
        batch_rows=BATCH_ROWS if given.batch_rows is None else given.batch_rows,
        report=not given.no_report,
    )
    with compiling_is_said(json=given.json), progress_bar() as progress:
        result = dry_run(request, progress)
    files = dict(result.files)
    if given.markdown is not None:
        _write_markdown(given.markdown, result.summary)
        files["markdown"] = given.markdown
    if given.json:
        print_json(result.summary)
    else:
        _show(result.summary, files)
    if result.interrupted:
        print(
            f"ringfence: interrupted; what was done lies in {given.out} and can be read",
            file=sys.stderr,
        )
        return 130
    refuse_none_replayed(result.summary)
    return 0


def refuse_none_replayed(summary: Mapping[str, Any]) -> None:
    """Raise InputError where orders were given and not one of them could be replayed."""
    from ringfence.replay.wording import none_replayed

    if why := none_replayed(summary):
        raise InputError(
            why, "mend the rows, or say with --mapping what the columns mean; nothing was decided"
        )


def amount_given(text: str | None) -> float | None:
    """The amount of `--equity`."""
    if text is None:
        return None
    # A comma sets thousands apart or is refused: to half of the world it begins the decimals.
    plain = re.sub(r",([0-9]{3})(?![0-9])", r"\1", text.replace("_", ""))
    try:
        found = float(plain)
    except ValueError:
        found = math.nan
    if not (math.isfinite(found) and found >= 0):
        raise InputError(
            f"`--equity {text}` is no amount", "give a number in the policies' currency, as 100_000"
        )
    if found * QUANTA > COUNTABLE:
        raise InputError(
            f"`--equity {text}` is more than can be counted to the millionth: {COUNTABLE / QUANTA:,.0f}",
            "let the policies count in a larger currency, with rates under `fx`",
        )
    return found


@contextmanager
def progress_bar() -> Iterator["Progress | None"]:
    """A bar with rate and time left, on standard error, where that is a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    bar = Progress(
        TextColumn("replaying"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]} orders/s"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    with bar:
        task = bar.add_task("", total=None, rate="-")

        def told(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)
            speed = bar.tasks[0].speed
            bar.update(task, rate=f"{speed:,.0f}" if speed else "-")

        yield told


def _write_markdown(path: Path, summary: dict[str, Any]) -> None:
    from ringfence.replay.markdown import render_markdown
    from ringfence.runtime.output_files import write_output

    try:
        write_output(path, render_markdown(summary))
    except OSError as error:
        reason = reason_of(error)
        raise InputError(
            f"`{path}` cannot be written: {reason}", "name another file with --markdown"
        ) from None


def _show(summary: dict[str, Any], files: dict[str, Path]) -> None:
    from ringfence.cli.consoles import output_console
    from ringfence.replay.terminal import render_terminal

    render_terminal(summary, output_console(), {label: str(path) for label, path in files.items()})
