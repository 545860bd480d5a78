"""The dry run: real orders through policies, and everything that comes of it.

Orders are read once, and each batch is decided by the engines of all sides and modes, tallied and
written. These are stages, done by whichever worker is free: the results are the same bit for bit,
because each stage sees the same batches in the same order.
"""

import copy
import dataclasses
import json
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ringfence import __version__
from ringfence.errors import InputError, reason_of
from ringfence.language.linking import LinkedSet
from ringfence.replay.changed_books import ChangedBooks, changed_books
from ringfence.replay.changes import Changes
from ringfence.replay.engine import HALTS_UNTIL, Engine
from ringfence.replay.rejects import Rejects
from ringfence.replay.request_file import REQUEST_FILE, request_text
from ringfence.replay.results import DecisionsWriter
from ringfence.replay.sources import BATCH_ROWS, Inputs, open_inputs
from ringfence.replay.stages import Replay, Run, depth_of
from ringfence.replay.summary import halts_part, orders_part, run_part, unreplayable_part
from ringfence.replay.tally import Tally
from ringfence.replay.wording import plural
from ringfence.runtime.ports import SYSTEM_FILES
from ringfence.runtime.revisions import link_spec

__all__ = [
    "MODES",
    "Progress",
    "Request",
    "Result",
    "dry_run",
    "own_view",
    "request_data",
    "request_of",
    "table_name",
]

MODES = ("propagated", "frozen")
# Each thread has rooms of its own for what it works on: thousands of them would only fill the memory.
_MOST_WORKERS = 256

#: Told after each batch: orders done, orders in all.
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Request:
    """What a dry run is to do.

    Attributes:
        orders, fills, marks, balances: SRCs, as `sources.open_inputs` takes them.
        policies, base: SPECs, as `revisions.link_spec` takes them; no comparison without a base.
        instruments: A file whose instruments win over those of the policies, on both sides.
        mapping, marks_mapping: Names or paths of mappings.
        mode: `propagated`, `frozen` or `both`.
        equity: What each account opens with where no balance says so, in the policies' currency.
        halts_until: How long a book stays halted by a gate with `on_breach: halt`, one of `engine.HALTS_UNTIL`.
        out: The directory for the results.
        workers: Threads that share the work; the calling one is one of them.
        batch_rows: Orders that are decided at a time.
        report: Whether to write `report.html`.
        of_change: Whether it is of a change alone: both modes are compared, and where that gives the same,
            only the orders of accounts are replayed that the change can touch.
    """

    orders: str
    fills: str | None = None
    marks: str | None = None
    balances: str | None = None
    policies: str = "policies"
    base: str | None = None
    instruments: Path | None = None
    mapping: str | None = None
    marks_mapping: str | None = None
    mode: str = "both"
    equity: float | None = None
    halts_until: str = "day"
    out: Path = Path("build/dry-run")
    workers: int = 1
    batch_rows: int = BATCH_ROWS
    report: bool = True
    of_change: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """What came of it.

    Attributes:
        summary: As `schemas/dry-run-summary.v1.schema.json` describes it.
        files: What was written, label to path.
        interrupted: Whether it was stopped before the last order.
    """

    summary: dict[str, Any]
    files: dict[str, Path]
    interrupted: bool


def dry_run(request: Request, progress: Progress | None = None) -> Result:
    """Replay orders through policies and write the results.

    SIGINT, SIGTERM and SIGHUP end it after the batch at hand (in the main thread; a second one at once):
    what was done until then is written, and marked as interrupted.

    Raises:
        InputError: a source, a SPEC or the place for the results cannot be used.
        PolicyError: policies or a mapping have faults.
    """
    modes = MODES if request.mode == "both" else (request.mode,)
    if not set(modes) <= set(MODES):
        raise InputError(f"`{request.mode}` is no mode", "use propagated, frozen or both")
    if not 1 <= request.workers <= _MOST_WORKERS:
        raise InputError(
            f"`workers` must be 1 to {_MOST_WORKERS}, not {request.workers}",
            "give the number of threads, as 2",
        )
    if request.halts_until not in HALTS_UNTIL:
        raise InputError(f"`{request.halts_until}` is no end of a halt", "use day or end")
    specs = {"head": request.policies, **({"base": request.base} if request.base else {})}
    linked = {side: _linked(spec, request.instruments) for side, spec in specs.items()}
    try:
        request.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _no_directory(request.out, error) from None
    with ExitStack() as stack:
        inputs = stack.enter_context(_opened(request))
        books = _books(request, linked, inputs)
        runs = [
            _start(side, mode, linked[side], inputs, request, stack)
            for mode in modes
            for side in specs
        ]
        compared = modes if request.of_change else modes[:1]
        changes = [each for mode in compared if (each := _comparison(runs, inputs, mode))]
        interrupted = _replay(request, inputs, runs, changes, progress)
        if not interrupted:
            for run in runs:
                run.engine.finish()
        for run in runs:
            run.writer.close()
        summary = _summary(request, inputs, runs, changes, interrupted)
        if books is not None:
            summary["books"] = _books_told(books, inputs)
    files = _write(request, summary, runs)
    return Result(summary, files, interrupted)


def _linked(spec: str, instruments: Path | None) -> LinkedSet:
    linked = link_spec(spec, instruments)
    if not linked.gates:
        raise InputError(
            f"`{spec}` holds no policies", "name the directory with your policies by --policies"
        )
    return linked


def _opened(request: Request) -> Inputs:
    return open_inputs(
        request.orders,
        fills=request.fills,
        marks=request.marks,
        balances=request.balances,
        mapping=request.mapping,
        marks_mapping=request.marks_mapping,
        batch_rows=request.batch_rows,
        threads=request.workers,
        survey=True,
    )


def _books(request: Request, linked: dict[str, LinkedSet], inputs: Inputs) -> ChangedBooks | None:
    """Which books the change can touch; the stream of orders leaves the others out."""
    if not request.of_change or "base" not in linked:
        return None
    orders = inputs.orders
    if inputs.fills is not None:
        books = ChangedBooks(None, "fills are given, which name orders by their place among all")
    elif inputs.marks is None:
        books = ChangedBooks(
            None, "no marks are given: one account's prices are what another's are held against"
        )
    else:
        tables = (orders.accounts, orders.strategies, orders.venues, orders.symbols)
        books = changed_books(linked["base"], linked["head"], *map(list, tables))
    orders.only = books.accounts
    return books


def _books_told(books: ChangedBooks, inputs: Inputs) -> dict[str, Any]:
    every = len(inputs.orders.accounts)
    touched = every if books.accounts is None else len(books.accounts)
    return {
        "touched": touched,
        "accounts": every,
        "left_out": inputs.orders.left_out,
        "why": books.why,
    }


def _start(
    side: str, mode: str, linked: LinkedSet, inputs: Inputs, request: Request, stack: ExitStack
) -> Run:
    own = own_view(inputs)
    standing = depth_of(request.workers)
    engine = Engine(
        linked,
        own,
        mode=mode,
        equity=request.equity,
        halts_until=request.halts_until,
        standing=standing,
    )
    orders = inputs.orders
    writer = DecisionsWriter(
        request.out / table_name(side, mode, request.mode),
        columns=engine.columns,
        codes=engine.codes,
        names={
            "account": orders.accounts,
            "strategy": orders.strategies,
            "venue": orders.venues,
            "symbol": orders.symbols,
        },
        id_type=orders.order_id_type,
        sha256=engine.sha256,
        currency=engine.currency,
        mode=mode,
    )
    stack.callback(writer.abandon)
    return Run(side, mode, engine, own, Tally(engine.columns, len(engine.codes)), writer)


def own_view(inputs: Inputs) -> Inputs:
    """The inputs with rejects of their own: engines read marks and fills each for itself."""

    def own(stream: Any) -> Any:
        if stream is None or not stream.direct:
            return stream
        mine = copy.copy(stream)
        mine.rejects = Rejects(stream.rejects.limit)
        return mine

    return dataclasses.replace(
        inputs, fills=own(inputs.fills), marks=own(inputs.marks), balances=own(inputs.balances)
    )


def table_name(side: str, mode: str, asked: str) -> str:
    """The file that holds a side's decisions in a mode, where `asked` is the mode of the whole run."""
    main = "frozen" if asked == "frozen" else "propagated"
    parts = ["decisions", *(["base"] if side == "base" else []), *([mode] if mode != main else [])]
    return "-".join(parts) + ".parquet"


def _comparison(runs: list[Run], inputs: Inputs, mode: str) -> Changes | None:
    columns = {run.side: run.engine.columns for run in runs if run.mode == mode}
    if "base" not in columns:
        return None
    return Changes(mode, columns["base"], columns["head"], len(inputs.symbols))


def _replay(
    request: Request,
    inputs: Inputs,
    runs: list[Run],
    changes: list[Changes],
    progress: Progress | None,
) -> bool:
    """Decide every batch; returns whether it was stopped before the last."""
    with _stoppable() as stopped:

        def told(done: int) -> None:
            if progress is not None and not stopped.is_set():
                progress(done, inputs.orders.rows)

        Replay(inputs.orders, runs, changes, request.workers).go(stopped.is_set, told)
        return stopped.is_set()


@contextmanager
def _stoppable() -> Iterator[threading.Event]:
    """An event that SIGINT, SIGTERM and SIGHUP set; the second one acts as it would have before."""
    stopped = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return
    before: dict[int, Any] = {}

    def stop(number: int, _frame: object) -> None:
        stopped.set()
        signal.signal(number, before[number])

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # `nohup` has said that a closed terminal ends nothing.
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            before[number] = signal.signal(number, stop)
    try:
        yield stopped
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _summary(
    request: Request,
    inputs: Inputs,
    runs: list[Run],
    changes: list[Changes],
    interrupted: bool,
) -> dict[str, Any]:
    orders = inputs.orders
    tables = (orders.accounts, orders.strategies, orders.symbols)
    # A directly streamed file counts its rejects among its rows, a sorted copy leaves them out.
    rows = orders.rows + (0 if orders.direct else orders.rejects.total)
    sides: dict[str, Any] = {}
    for run in sorted(runs, key=lambda run: run.side != "head"):
        engine = run.engine
        source = request.policies if run.side == "head" else request.base
        side = sides.setdefault(
            run.side, {"policy_set": engine.sha256, "source": source, "modes": {}}
        )
        side["modes"][run.mode] = run_part(
            run.tally,
            codes=engine.codes,
            currency=engine.currency,
            totals=engine.totals(),
            halts=halts_part(engine),
            tables=tables,
        )
    return {
        "schema": "ringfence/dry-run-summary/v1",
        "ringfence": __version__,
        "interrupted": interrupted,
        "orders": orders_part(request.orders, rows, runs[0].tally),
        "unreplayable": unreplayable_part(orders.rejects),
        "assumptions": _assumptions(inputs, runs),
        "sides": sides,
        "changes": _changes(changes[0], inputs, runs) if changes else None,
        **({"changes_beside": _changes(changes[1], inputs, runs)} if len(changes) > 1 else {}),
    }


def _changes(changes: Changes, inputs: Inputs, runs: list[Run]) -> dict[str, Any]:
    head = next(run for run in runs if run.side == "head" and run.mode == changes.mode)
    return changes.result(
        currency=head.engine.currency,
        last_marks=head.engine.last_marks(),
        money_per_price=head.engine.money_per_price(),
        accounts=inputs.orders.accounts,
        strategies=inputs.orders.strategies,
        symbols=inputs.orders.symbols,
    )


def _assumptions(inputs: Inputs, runs: list[Run]) -> list[str]:
    said = [*inputs.assumptions, *(text for run in runs for text in run.engine.assumptions)]
    unpriced = int(runs[0].tally.sums[4])
    if unpriced:
        said.append(
            f"sums of notional leave out {plural(unpriced, 'order')} with neither a price nor a mark, or in an "
            "unknown symbol"
        )
    for kind, rejects in runs[0].inputs.rejects.items():
        if kind != "orders":
            said += [
                f"{kind}: {plural(rows, 'row')} left out: {reason}"
                for reason, rows in sorted(rejects.counts.items())
            ]
    return list(dict.fromkeys(said))


def _write(request: Request, summary: dict[str, Any], runs: list[Run]) -> dict[str, Path]:
    """Write the summary and the report; results of an earlier run that this one lacks go."""
    out = request.out
    files = {
        "decisions" if run.writer.path.stem == "decisions" else run.writer.path.stem: (
            run.writer.path
        )
        for run in sorted(runs, key=lambda run: run.writer.path.name)
    }
    written = set(files.values())
    text = json.dumps(summary, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    try:
        for stem in ("decisions-base", "decisions-frozen", "decisions-base-frozen"):
            stale = out / f"{stem}.parquet"
            if stale not in written:
                stale.unlink(missing_ok=True)
        files["summary"] = out / "summary.json"
        SYSTEM_FILES.write_atomic(out / REQUEST_FILE, request_text(request_data(request)))
        SYSTEM_FILES.write_atomic(files["summary"], text.encode("utf-8"))
        report = out / "report.html"
        if request.report:
            from ringfence.replay.report import render_html

            SYSTEM_FILES.write_atomic(report, render_html(summary).encode("utf-8"))
            files["report"] = report
        else:
            report.unlink(missing_ok=True)
    except OSError as error:
        raise _no_directory(out, error) from None
    return files


def request_data(request: Request) -> dict[str, Any]:
    """A request as plain data; `request_of` reads it again. Where and how results are written is left out."""
    named = ("orders", "fills", "marks", "balances", "policies", "base", "mapping", "marks_mapping")
    given: dict[str, Any] = {name: getattr(request, name) for name in named}
    given["instruments"] = None if request.instruments is None else str(request.instruments)
    own = {
        "mode": request.mode,
        "equity": request.equity,
        "halts_until": request.halts_until,
    }
    return {**given, **own}


def request_of(given: dict[str, Any]) -> Request:
    """The request that `request_data` made data of."""
    instruments = given["instruments"]
    return Request(
        **{**given, "instruments": None if instruments is None else Path(instruments)},
        report=False,
    )


def _no_directory(out: Path, error: OSError) -> InputError:
    reason = reason_of(error)
    return InputError(
        f"results cannot be written to `{out}`: {reason}", "name another directory with --out"
    )
