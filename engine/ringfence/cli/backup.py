"""`ringfence backup`: a guard's directory copied while it runs, checked, and put back."""

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ringfence.cli.audit_sinks import postgres_argument, server_of
from ringfence.cli.output import print_json
from ringfence.errors import InputError

if TYPE_CHECKING:
    from ringfence.runtime.backups.manifest import Manifest, Part

__all__ = ["add"]

_DATA = Path("ringfence-data")
_WHICH = "a backup, or a directory of backups, of which the newest is taken"


def add(commands: Any) -> None:
    """Add the command's arguments."""
    parser = commands.add_parser(
        "backup", help="copy a guard's directory while it runs, check copies, put one back"
    )
    parts = parser.add_subparsers(
        dest="part", required=True, metavar="COMMAND", help="what to do with backups"
    )
    each = _part(parts, "create", run_create, "copy a guard's directory, and say what it holds")
    each.add_argument(
        "data",
        nargs="?",
        type=Path,
        default=_DATA,
        metavar="DIR",
        help=f"the directory with the audit log, the state, the policy store ({_DATA})",
    )
    each.add_argument(
        "--to", type=Path, required=True, metavar="DIR", help="the directory that backups stand in"
    )
    each.add_argument(
        "--keep",
        type=int,
        metavar="N",
        help="afterwards remove what is older than the newest N sound backups",
    )
    postgres_argument(each)
    each = _part(parts, "list", run_list, "the backups of a directory, the oldest first")
    each.add_argument("backups", type=Path, metavar="DIR", help="the directory that they stand in")
    each = _part(parts, "verify", run_verify, "read every file of a backup again, and check it")
    each.add_argument("backup", type=Path, metavar="BACKUP", help=_WHICH)
    each = _part(parts, "restore", run_restore, "put a backup into an empty directory")
    each.add_argument("backup", type=Path, metavar="BACKUP", help=_WHICH)
    each.add_argument(
        "--to",
        type=Path,
        required=True,
        metavar="DIR",
        help="where the guard's directory is to be; empty, or not there",
    )
    each.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="PATH",
        help="this part alone, as `backup verify` lists them; may be repeated",
    )
    postgres_argument(each)


def _part(parts: Any, name: str, run: Any, text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = parts.add_parser(name, help=text)
    parser.add_argument(
        "--json", action="store_true", help="print JSON, as schemas/backup.v1.schema.json has it"
    )
    parser.set_defaults(run=run)
    return parser


def run_create(given: argparse.Namespace) -> int:
    """Make a backup; 1 where something of it is not sound."""
    from ringfence.adapters.audit_duckdb import copy_file
    from ringfence.runtime.backups.shelf import Shelf

    dump = None
    if given.postgres is not None:
        from ringfence.adapters.audit_postgres import dump as dump_server

        server = server_of(given)

        def dump(path: Path) -> None:
            dump_server(server, path)

    made = Shelf(given.to).create(given.data, copy_database=copy_file, dump=dump, keep=given.keep)
    if given.json:
        removed = [str(each) for each in made.removed]
        print_json({**made.manifest.as_json(), "removed": removed})
    else:
        print(f"{made.path}: {_said(made.manifest)}")
        _tell_parts(made.manifest.parts)
        for told in made.manifest.left_out:
            print(f"  left out {told}")
        for path in made.removed:
            print(f"  removed {path}")
    return _tell_findings(made.manifest.findings)


def run_list(given: argparse.Namespace) -> int:
    """Tell which backups there are; 1 where one cannot be used."""
    from ringfence.runtime.backups.shelf import Shelf

    backups = Shelf(given.backups).list()
    if given.json:
        print_json([manifest.as_json() for _, manifest in backups if manifest is not None])
    for path, manifest in backups:
        if manifest is None:
            print(f"ringfence: {path}: its manifest cannot be used", file=sys.stderr)
        elif not given.json:
            wrong = f"; {_findings(len(manifest.findings))}" if manifest.findings else ""
            print(f"{path}: {_said(manifest)}{wrong}")
    if not backups and not given.json:
        print(f"none yet: `ringfence backup create DIR --to {given.backups}`")
    return 1 if any(manifest is None or manifest.findings for _, manifest in backups) else 0


def run_verify(given: argparse.Namespace) -> int:
    """Check a backup; 1 where something of it is not sound."""
    from ringfence.runtime.backups.shelf import check_backup, newest

    backup = newest(given.backup)
    manifest, findings = check_backup(backup)
    if given.json:
        print_json({**manifest.as_json(), "findings": list(findings)})
    else:
        print(f"{backup}: {_said(manifest)}")
        _tell_parts(manifest.parts)
    return _tell_findings(findings)


def run_restore(given: argparse.Namespace) -> int:
    """Put a backup back, and say what is missing from then on."""
    from ringfence.runtime.backups.restoring import restore_backup
    from ringfence.runtime.backups.shelf import DUMP, newest

    backup = newest(given.backup)
    if given.postgres is not None:
        from ringfence.adapters.audit_postgres import restore_dump

        if not (backup / DUMP).is_file():
            raise InputError(
                f"`{backup}` holds no dump of a server",
                "leave --postgres out, or restore a backup that was created with it",
            )
        server = server_of(given)
    restored = restore_backup(backup, given.to, only=tuple(given.only))
    if given.postgres is not None:
        restore_dump(server, backup / DUMP)
    if given.json:
        print_json({**restored.manifest.as_json(), "restored": [p.path for p in restored.parts]})
        return 0
    print(f"{given.to}: restored from {restored.manifest.name}, {_said(restored.manifest)}")
    _tell_parts(restored.parts)
    at = _when(restored.manifest.at_ns)
    for part in restored.parts:
        if part.kind == "audit":
            print(f"missing: what {part.path} recorded from record {part.last + 1} on")
        elif part.kind == "state":
            print(
                f"missing: what the guard was told and approved after {at}; reconcile each account with its venue, "
                "and set kill switches that were set since"
            )
    return 0


def _said(manifest: "Manifest") -> str:
    count = sum(len(part.files) for part in manifest.parts)
    return f"{_files(count)}, {manifest.size_bytes:,} bytes, begun {_when(manifest.at_ns)}"


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"


def _tell_parts(parts: "tuple[Part, ...]") -> None:
    for part in parts:
        what = f"{_files(len(part.files))}, {sum(each.size for each in part.files):,} bytes"
        if part.kind == "audit":
            what = f"records {part.first} to {part.last}, until {_when(part.last_ns)}; {what}"
        print(f"  {part.kind:9} {part.path}: {what}")


def _findings(count: int) -> str:
    return "1 finding" if count == 1 else f"{count} findings"


def _tell_findings(findings: tuple[str, ...]) -> int:
    for each in findings:
        print(f"ringfence: {each}", file=sys.stderr)
    return 1 if findings else 0


def _when(at_ns: int) -> str:
    return datetime.fromtimestamp(at_ns / 1e9, UTC).isoformat(timespec="seconds")
