"""`ringfence audit`: reads, checks and exports the audit log of a guard, also while it is running."""

import argparse
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ringfence.cli.audit_sinks import add_sinks, postgres_argument, server_of
from ringfence.cli.output import print_json
from ringfence.errors import InputError, PolicyError, reason_of
from ringfence.runtime.audit_decision import DECISION, POLICY_SET
from ringfence.runtime.audit_head import check_there
from ringfence.runtime.audit_mask import Mask
from ringfence.runtime.audit_reader import AuditReader, Record, tail
from ringfence.runtime.output_files import write_output
from ringfence.runtime.ports import SYSTEM_CLOCK, SYSTEM_FILES, Clock

if TYPE_CHECKING:
    from ringfence.language.linking import LinkedSet
    from ringfence.runtime.audit_anchor import Anchor
    from ringfence.runtime.audit_verify import Verification
    from ringfence.runtime.policy_store import PolicyStore

__all__ = ["add"]

# How often `tail --follow` looks for new records.
_LOOK_SECONDS = 0.2


def add(commands: Any) -> None:
    """Add the command's arguments."""
    parser = commands.add_parser("audit", help="read, check and export a guard's audit log")
    parts = parser.add_subparsers(
        dest="part", required=True, metavar="COMMAND", help="what to do with the log"
    )
    each = _part(parts, "tail", run_tail, "the last records, one a line", masked=True, json=True)
    each.add_argument("-n", type=int, default=10, metavar="N", help="how many")
    each.add_argument("--follow", action="store_true", help="go on with those that are added")
    each = _part(parts, "show", run_show, "one record; a decision in words", masked=True, json=True)
    each.add_argument("id", metavar="ID", help="a sequence number, or the id of a decision")
    each = _part(parts, "verify", run_verify, "find what was changed or is missing", json=True)
    each.add_argument("--anchor", type=Path, metavar="FILE", help="what `audit anchor` wrote")
    each.add_argument("--key", type=Path, metavar="FILE", help="the key that signed the anchor")
    each.add_argument(
        "--recompute", action="store_true", help="derive every decision again, and compare"
    )
    each.add_argument(
        "--reference",
        action="store_true",
        help="with --recompute: ask the reference interpreter about each, too; slower",
    )
    _store(each)
    each = _part(
        parts, "reproduce", run_reproduce, "derive one decision again, and compare", json=True
    )
    each.add_argument("id", metavar="ID", help="a sequence number, or the id of a decision")
    _store(each)
    each = _part(parts, "anchor", run_anchor, "sign the last record's hash, to be kept elsewhere")
    each.add_argument(
        "--key", type=Path, required=True, metavar="FILE", help="the key, at least 32 bytes"
    )
    each.add_argument("-o", "--output", type=Path, metavar="FILE", help="write it there")
    each = _part(parts, "export", run_export, "records as JSON lines or Parquet", masked=True)
    each.add_argument("--jsonl", type=Path, metavar="FILE", help="write JSON, one record a line")
    each.add_argument("--parquet", type=Path, metavar="FILE", help="write Parquet")
    each.add_argument("--after", type=int, default=0, metavar="N", help="records after number N")
    each = _part(
        parts,
        "query",
        run_query,
        "a SELECT over the log, or over a database that it was written to",
        masked=True,
        json=True,
    )
    each.add_argument(
        "sql", metavar="SQL", help="a SELECT over the tables `records`, `decisions` and `gates`"
    )
    each.add_argument("--after", type=int, default=0, metavar="N", help="records after number N")
    each.add_argument("--duckdb", type=Path, metavar="FILE", help="ask this file, not the log")
    postgres_argument(each)
    add_sinks(parts, _part)


def _part(
    parts: Any, name: str, run: Any, text: str, *, masked: bool = False, json: bool = False
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = parts.add_parser(name, help=text)
    parser.add_argument(
        "--log",
        type=Path,
        default=Path("audit"),
        metavar="DIR",
        help="the log's directory",
    )
    if masked:
        parser.add_argument(
            "--mask-key",
            action="append",
            metavar="GLOB",
            help="hide the values of such keys as well; may be repeated",
        )
        parser.add_argument(
            "--mask-value",
            action="append",
            metavar="REGEX",
            help="hide such text in values as well; may be repeated",
        )
    if json:
        parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)
    return parser


def _store(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--store",
        type=Path,
        metavar="DIR",
        help="where policy sets are that the log does not hold",
    )


def run_tail(given: argparse.Namespace) -> int:
    """Print the last records, and with `--follow` each new one."""
    from ringfence.replay.audit_words import record_line, record_text

    if given.n < 0:
        raise InputError(f"`-n {given.n}` is no number of records", "give 0 or more")
    mask = _mask(given)
    records = tail(given.log, given.n)
    if not (records or given.follow):
        check_there(given.log)

    def show(record: Record) -> None:
        print(record_text(record, mask) if given.json else record_line(record, mask), flush=True)

    for record in records:
        show(record)
    if given.follow:
        after = records[-1].sequence if records else _last(given.log)
        reader = AuditReader(given.log, after=after)
        pause = threading.Event()
        while True:
            for record in reader.poll():
                show(record)
            pause.wait(_LOOK_SECONDS)
    return 0


def run_show(given: argparse.Namespace) -> int:
    """Print one record."""
    from ringfence.replay.audit_words import explained, record_dict

    mask = _mask(given)
    record = _find(given.log, given.id)
    if given.json:
        print_json(record_dict(record, mask))
    else:
        about = _policy_set(given.log, record)
        print(explained(record, about, mask, _linked(about)))
    return 0


def _linked(about: dict[str, Any]) -> "LinkedSet | None":
    """The policy set that a record holds; None where it holds none that links to the hash it names."""
    from ringfence.runtime.policy_files import files_in
    from ringfence.runtime.policy_set import PolicySet

    try:
        found = PolicySet.from_files(files_in(about)).linked
    except (InputError, PolicyError):
        return None
    return found if found.sha256 == about.get("policy_set") else None


def run_verify(given: argparse.Namespace) -> int:
    """Check the log; 1 where something is wrong."""
    from dataclasses import asdict

    from ringfence.runtime.audit_anchor import read_anchor
    from ringfence.runtime.audit_verify import verify

    if (given.anchor is None) != (given.key is None):
        raise InputError("an anchor and its key go together", "give both --anchor and --key")
    anchor = None
    if given.anchor is not None:
        text = _read(given.anchor).decode("utf-8", "replace")
        anchor = read_anchor(text, _read(given.key))
    if given.reference and not given.recompute:
        raise InputError("`--reference` goes with `--recompute`", "give both, or neither")
    if given.recompute:
        return _verify_recomputed(given, anchor)
    found = verify(given.log, anchor=anchor)
    if given.json:
        print_json({"whole": not found.findings, **asdict(found)})
    else:
        for line in _chain_lines(found):
            print(line)
    return 1 if found.findings else 0


def _chain_lines(found: "Verification") -> Iterator[str]:
    for each in found.findings:
        yield f"{each.segment}:{each.offset}: {each.what}: {each.message}"
    if found.unfinished_bytes:
        yield f"the last file ends in {found.unfinished_bytes:,} bytes of an unfinished record"
    count = len(found.findings)
    said = f"{count} finding{'' if count == 1 else 's'}" if count else "the chain is whole"
    yield f"records {found.first} to {found.last}: {said}"


def _verify_recomputed(given: argparse.Namespace, anchor: "Anchor | None") -> int:
    from dataclasses import asdict
    from time import perf_counter

    from ringfence.cli.audit_derive import recomputed_dict, recomputed_lines, told
    from ringfence.cli.output import compiling_is_said
    from ringfence.runtime.audit_recompute import Recomputer
    from ringfence.runtime.audit_verify import verify

    with compiling_is_said(json=given.json):
        work = Recomputer(_opened(given.store), second=given.reference, progress=told)
        started = perf_counter()
        chain = verify(given.log, anchor=anchor, each=work.take)
        found = work.done()
        seconds = perf_counter() - started
    wrong = bool(chain.findings or found.wrong_count)
    if given.json:
        recomputed = recomputed_dict(found, seconds)
        print_json({"whole": not chain.findings, **asdict(chain), "recomputed": recomputed})
        return int(wrong)
    for line in (*_chain_lines(chain), *recomputed_lines(found, seconds)):
        print(line)
    return int(wrong)


def run_reproduce(given: argparse.Namespace) -> int:
    """Derive one decision again; 1 where it is not what was recorded."""
    from ringfence.cli.audit_derive import reproduced_dict, reproduced_lines
    from ringfence.cli.output import compiling_is_said
    from ringfence.runtime.audit_recompute import deriver_of
    from ringfence.runtime.recompute_record import head_of, recompute

    record = _find(given.log, given.id)
    if record.kind != DECISION:
        raise InputError(f"record {record.sequence} holds no decision", "give the id of a decision")
    name = str(record.body.get("policy_set"))
    original = None
    if record.body.get("repeated") is True:
        original = _original(given.log, record)
    with compiling_is_said(json=given.json):
        deriver = deriver_of(name, _policy_set(given.log, record) or None, _opened(given.store))
        found = recompute(
            record.body, deriver, original=None if original is None else head_of(original.body)
        )
    if given.json:
        print_json(reproduced_dict(record, found))
    else:
        for line in reproduced_lines(record, found):
            print(line)
    return 1 if found.differences else 0


def _opened(store: Path | None) -> "PolicyStore | None":
    from ringfence.runtime.policy_store import PolicyStore

    return None if store is None else PolicyStore(store)


def _original(log: Path, repeated: Record) -> Record | None:
    """The decision that an answer repeats."""
    for record in AuditReader(log).poll(complete=False):
        if record.sequence >= repeated.sequence:
            break
        if record.kind == DECISION and record.body.get("id") == repeated.body.get("id"):
            return record
    return None


def run_anchor(given: argparse.Namespace, clock: Clock = SYSTEM_CLOCK) -> int:
    """Check the log and sign its head; 1, and no anchor, where something is wrong."""
    from ringfence.runtime.audit_anchor import anchor_text, sign_anchor
    from ringfence.runtime.audit_verify import verify

    key = _read(given.key)
    found = verify(given.log)
    if found.findings:
        print(
            "ringfence: the log is not whole, and is not signed\n"
            f"  fix: see `ringfence audit verify --log {given.log}`",
            file=sys.stderr,
        )
        return 1
    if not found.last:
        raise InputError("the log holds no record yet", "sign it later")
    anchor = sign_anchor(
        key, chain=found.chain, sequence=found.last, head=found.head, ts_ns=clock.now_ns()
    )
    text = anchor_text(anchor)
    if given.output is None:
        print(text, end="")
        return 0
    try:
        write_output(given.output, text)
    except OSError as error:
        raise _unwritable(given.output, error) from None
    print(f"{given.output}: record {anchor.sequence}")
    return 0


def run_export(given: argparse.Namespace) -> int:
    """Write all records to files."""
    from ringfence.cli.audit_export import write_jsonl, write_parquet

    if given.jsonl is None and given.parquet is None:
        raise InputError("nothing to export to", "give --jsonl FILE or --parquet FILE")
    # Else an export of nothing would take the place of one from before.
    check_there(given.log)
    mask = _mask(given)
    for path, write in ((given.jsonl, write_jsonl), (given.parquet, write_parquet)):
        if path is None:
            continue
        try:
            count = write(path, AuditReader(given.log, after=given.after).poll(), mask)
        except OSError as error:
            raise _unwritable(path, error) from None
        print(f"{path}: {count:,} record{'' if count == 1 else 's'}")
    return 0


def run_query(given: argparse.Namespace) -> int:
    """Answer a SELECT over the log, or over a database."""
    from ringfence.cli.audit_query import query, query_file, show_rows

    if given.duckdb is None and given.postgres is None:
        check_there(given.log)
        records = AuditReader(given.log, after=given.after).poll_raw(complete=True)
        names, rows = query(given.sql, records, _mask(given))
    elif (
        given.after
        or given.mask_key
        or given.mask_value
        or None not in (given.duckdb, given.postgres)
    ):
        raise InputError(
            "`--after` and `--mask-...` go with the log, and one database is asked at a time",
            "say it in the SELECT: `WHERE seq > 100`",
        )
    elif given.duckdb is not None:
        names, rows = query_file(given.sql, given.duckdb)
    else:
        from ringfence.adapters.audit_postgres import ask

        names, rows = ask(server_of(given), given.sql)
    if given.json:
        print_json([dict(zip(names, row, strict=True)) for row in rows])
    else:
        show_rows(names, rows)
    return 0


def _mask(given: argparse.Namespace) -> Mask:
    return Mask(given.mask_key or (), given.mask_value or ())


def _last(log: Path) -> int:
    newest = tail(log, 1)
    return newest[0].sequence if newest else 0


def _find(log: Path, wanted: str) -> Record:
    if wanted.isascii() and wanted.isdigit():
        after = max(0, int(wanted) - 1)
        record = next(AuditReader(log, after=after).poll(), None) if int(wanted) else None
        if record is not None and record.sequence == int(wanted):
            return record
    reader = AuditReader(log)
    for record in reader.poll(complete=False):
        if record.body.get("id") == wanted:
            return reader.completed(record)
    check_there(log)
    raise InputError(
        f"the log holds no record `{wanted}`",
        "give a sequence number (`ringfence audit tail` lists the last) or the id of a decision",
    )


def _policy_set(log: Path, decision: Record) -> dict[str, Any]:
    """What the log says of the policy set that decided; empty where it says nothing.

    What it said last before the decision, else what it said first afterwards.
    """
    wanted = decision.body.get("policy_set")
    found: dict[str, Any] = {}
    for record in AuditReader(log).poll(complete=False):
        if found and record.sequence > decision.sequence:
            break
        if record.kind == POLICY_SET and record.body.get("policy_set") == wanted:
            found = record.body
    return found


def _read(path: Path) -> bytes:
    try:
        return SYSTEM_FILES.read_bytes(path)
    except OSError as error:
        reason = reason_of(error)
        raise InputError(f"`{path}` cannot be read: {reason}", "name a file that exists") from None


def _unwritable(path: Path, error: OSError) -> InputError:
    reason = reason_of(error)
    return InputError(f"`{path}` cannot be written: {reason}", "name a file in a writable folder")
