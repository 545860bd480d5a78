"""`ringfence correlations`: how symbols move together, estimated from marks."""

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ringfence.cli.output import print_json
from ringfence.errors import InputError, reason_of
from ringfence.language.gates import to_ns
from ringfence.language.parameters import parse_duration
from ringfence.runtime.output_files import write_output

if TYPE_CHECKING:
    from ringfence.replay.correlations import Estimate, Sampling

__all__ = ["add"]

DESCRIPTION = """\
Samples each symbol's price (the middle of bid and ask, without them the last trade) once an interval,
within the window that ends at --as-of, and correlates the log returns; recent ones count more, by
--half-life. Writes a `kind: Instruments` document that stands beside the policies.
"""


def add(commands: Any) -> None:
    """Add the command's arguments."""
    parser = commands.add_parser(
        "correlations",
        help="estimate correlations of symbols from marks",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--marks", required=True, metavar="SRC", help="a file, a glob or a SELECT over local files"
    )
    parser.add_argument("--mapping", metavar="F", help="a shipped mapping's name, or a file")
    parser.add_argument("--window", default="30d", metavar="DUR", help="how far back (default 30d)")
    parser.add_argument(
        "--half-life",
        default="7d",
        metavar="DUR",
        help="age at which a return counts half (default 7d)",
    )
    parser.add_argument(
        "--interval", default="5m", metavar="DUR", help="distance of two samples (default 5m)"
    )
    parser.add_argument(
        "--as-of",
        metavar="TIME",
        help="no later mark is looked at; the time of the last mark where not given",
    )
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="write the document here")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Estimate, then write the document, or print it."""
    from ringfence.replay.correlations import Sampling, correlate, document, sample
    from ringfence.replay.sources import open_marks
    from ringfence.replay.wording import plural

    sampling = Sampling(
        as_of=_as_of(given),
        window=_duration(given.window, "--window"),
        interval=_duration(given.interval, "--interval"),
        half_life=_duration(given.half_life, "--half-life"),
    )
    stream = open_marks(given.marks, given.mapping)
    symbols, prices = sample(stream, stream.symbols, sampling)
    for reason, rows in sorted(stream.rejects.counts.items()):
        print(f"ringfence: {plural(rows, 'mark')} left out: {reason}", file=sys.stderr)
    estimate = correlate(symbols, prices, sampling)
    text = document(estimate, _comments(given, sampling))
    if given.output is not None:
        _write(given.output, text)
    if given.json:
        print_json(_as_json(estimate, sampling, given.output))
    elif given.output is None:
        print(text, end="")
    else:
        count = len(estimate.pairs)
        print(f"{given.output}: {count} pair{'' if count == 1 else 's'} of {len(symbols)} symbols")
    for (low, high), reason in estimate.omitted.items():
        print(f"ringfence: {low}|{high} left out: {reason}", file=sys.stderr)
    return 0


def _as_of(given: argparse.Namespace) -> int:
    if given.as_of:
        try:
            return to_ns(given.as_of)
        except ValueError as error:
            raise InputError(str(error), fix="write --as-of 2026-01-31T08:00:00Z") from None
    from ringfence.replay.sources import describe

    last = describe(given.marks, "marks", given.mapping).last_ts
    if not last:
        raise InputError("no mark has a usable time", "give --marks a source that has marks")
    return last


def _duration(text: str, option: str) -> int:
    try:
        # What is longer than some 300 years is refused later, whatever its length.
        return round(min(parse_duration(text), 1e10) * 1e9)
    except ValueError as error:
        raise InputError(f"{option}: {error}", fix=f"write {option} 5m, or 30d") from None


def _comments(given: argparse.Namespace, sampling: "Sampling") -> list[str]:
    mapping = f" --mapping {given.mapping}" if given.mapping else ""
    return [
        "Written by `ringfence correlations`; made again, it comes out the same.",
        f"marks: {given.marks}{mapping}",
        f"window: {given.window}, half-life: {given.half_life}, interval: {given.interval}, "
        f"as of: {_time(sampling.as_of)}",
    ]


def _time(moment_ns: int) -> str:
    whole, rest = divmod(moment_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def _write(path: Path, text: str) -> None:
    try:
        write_output(path, text)
    except OSError as error:
        reason = reason_of(error)
        raise InputError(
            f"`{path}` cannot be written: {reason}", "name another file with -o"
        ) from None


def _as_json(estimate: "Estimate", sampling: "Sampling", output: Path | None) -> dict[str, Any]:
    return {
        "as_of": _time(sampling.as_of),
        "window_ns": sampling.window,
        "interval_ns": sampling.interval,
        "half_life_ns": sampling.half_life,
        "output": None if output is None else str(output),
        "correlations": {
            f"{low}|{high}": {"rho": each.rho, "observations": each.observations}
            for (low, high), each in estimate.pairs.items()
        },
        "omitted": {f"{low}|{high}": reason for (low, high), reason in estimate.omitted.items()},
    }
