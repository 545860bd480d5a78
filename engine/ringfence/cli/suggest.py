"""`ringfence suggest`: limits out of a dry run, as a patch to the policy files."""

import argparse
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ringfence.cli.dry_run import add_sources, amount_given
from ringfence.cli.output import add_format, compiling_is_said, print_json
from ringfence.errors import InputError, reason_of

if TYPE_CHECKING:
    from ringfence.review.suggesting.suggestion import Goal, Suggestion

__all__ = ["add"]

_LEAST_RUNS = 4


def add(commands: Any) -> None:
    """Add the command's arguments."""
    parser = commands.add_parser(
        "suggest", help="limits out of history: a rejection rate, or what was never used"
    )
    add_sources(parser, required=True)
    parser.add_argument(
        "--policies", default="policies", metavar="DIR", help="the policies to suggest changes of"
    )
    goal = parser.add_mutually_exclusive_group(required=True)
    goal.add_argument(
        "--reject-rate",
        metavar="PCT",
        help="the tightest limits with which at most this share of the orders is rejected, as 2%%",
    )
    goal.add_argument(
        "--unused-above",
        metavar="PCT",
        help="lower each limit that was never used above this share, so that its peak is at most that",
    )
    parser.add_argument(
        "--gate",
        default="*",
        metavar="GLOB",
        help="which gates' limits may move: by name, level.name or policy/name (all)",
    )
    parser.add_argument(
        "--runs", type=int, default=16, metavar="N", help="the most replays of a search (16)"
    )
    parser.add_argument(
        "--write", action="store_true", help="change the policy files, in place of printing a patch"
    )
    add_format(parser, ("text", "json"), "suggestion.v1.schema.json")
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Print the patch; 1 where the goal cannot be reached."""
    goal, equity = _goal(given), amount_given(given.equity)
    if given.policies.startswith("git:"):
        raise InputError(
            f"`{given.policies}` is a revision, and a patch needs files",
            "check it out, and name the directory with --policies",
        )
    from ringfence.replay.sources import open_inputs
    from ringfence.review.suggesting.suggestion import suggest
    from ringfence.review.suggesting.suggestion_data import suggestion_data
    from ringfence.runtime.revisions import link_spec

    linked = link_spec(given.policies, given.instruments)
    as_json = given.format == "json"
    with (
        compiling_is_said(json=as_json),
        open_inputs(
            given.orders,
            fills=given.fills,
            marks=given.marks,
            balances=given.balances,
            mapping=given.mapping,
            marks_mapping=given.marks_mapping,
            survey=True,
        ) as inputs,
        _progress() as progress,
    ):
        told = suggest(linked, inputs, goal, equity=equity, progress=progress)
    written = _write(told) if given.write else []
    if as_json:
        print_json(suggestion_data(told, written))
    else:
        _show(told, written)
    return 0 if told.reached else 1


def _goal(given: argparse.Namespace) -> "Goal":
    from ringfence.review.suggesting.suggestion import Goal

    if given.runs < _LEAST_RUNS:
        raise InputError(
            f"`--runs {given.runs}` is too few for a search", f"give {_LEAST_RUNS} or more"
        )
    rate = _share("--reject-rate", given.reject_rate)
    above = _share("--unused-above", given.unused_above)
    if above == 0.0:
        raise InputError("`--unused-above 0%` would lower every limit to nothing", "give 80%")
    return Goal(rate, above, given.gate, given.runs)


def _share(flag: str, text: str | None) -> float | None:
    if text is None:
        return None
    found = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(%|bps)\s*", text)
    share = float(found[1]) / (100 if found[2] == "%" else 10_000) if found else -1.0
    if not 0 <= share <= 1:
        fix = f"write {text.strip()}%" if re.fullmatch(r"[0-9.]+", text.strip()) else "write 2%"
        raise InputError(f"`{flag} {text}` is no share from 0% to 100%", fix)
    return share


def _write(told: "Suggestion") -> list[str]:
    from ringfence.runtime.ports import SYSTEM_FILES

    for path, (_, after) in told.files.items():
        try:
            SYSTEM_FILES.write_atomic(Path(path), after.encode("utf-8"))
        except OSError as error:
            reason = reason_of(error)
            raise InputError(
                f"`{path}` cannot be written: {reason}", "check its permissions"
            ) from None
    return sorted(told.files)


def _show(told: "Suggestion", written: list[str]) -> None:
    """The patch on standard output, so that it can be piped; what was tried and found beside it."""
    from ringfence.review.suggesting.limit_edits import patch

    # With `--write` there is no patch, and the words are the result.
    words = sys.stdout if written else sys.stderr
    for line in _words(told):
        print(line, file=words)
    if written:
        for path in written:
            print(f"changed {path}")
        return
    print(patch(told.files), end="")


def _words(told: "Suggestion") -> Iterator[str]:
    goal, before, after = told.goal, told.before, told.after
    yield f"as it is: {_rates(before.orders, before.rejected, before.reduced)}"
    if goal.reject_rate is not None:
        yield f"wanted: at most {goal.reject_rate * 100:g}% rejected, by the limits of `{goal.gates}`"
        for each in told.trials[1:]:
            use = each.use
            yield f"  limits x {each.factor:<8.4g} {_rates(use.orders, use.rejected, use.reduced)}"
        if not told.monotone:
            yield "  not monotone: see the note"
    elif goal.unused_above is not None:
        yield f"wanted: no limit of `{goal.gates}` that is never used above {goal.unused_above * 100:g}%"
    for edit in told.edits:
        from ringfence.replay.limit_use import gate_key

        key = gate_key(edit.gate)
        peaks = f"peak use {before.peak.get(key, 0.0) * 100:.3g}%"
        if after is not None:
            peaks += f", then {after.peak.get(key, 0.0) * 100:.3g}%"
        yield f"  {key} {edit.parameter}: {edit.before} -> {edit.after} ({peaks}; {edit.span.path}:{edit.span.line})"
    yield from (f"note: {note}" for note in told.notes)
    if after is not None:
        proof = _rates(after.orders, after.rejected, after.reduced)
        yield f"replayed with the files as suggested: {proof}"
    elif told.reached:
        yield "nothing to change"
    if not told.reached:
        yield "the goal is not reached"


def _rates(orders: int, rejected: int, reduced: int) -> str:
    share = rejected / orders * 100 if orders else 0.0
    return f"{rejected:,} of {orders:,} orders rejected ({share:.3g}%), {reduced:,} reduced"


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None] | None]:
    """A bar for each replay, on standard error, where that is a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda what, done, rows: bar.update(
            task, description=what, completed=done, total=rows
        )
