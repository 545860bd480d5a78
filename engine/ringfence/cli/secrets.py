"""`ringfence secrets`: make the files of a deployment's secrets, check them, and tell which there are."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ringfence.cli.output import print_json
from ringfence.errors import InputError

if TYPE_CHECKING:
    from ringfence.runtime.secret_files import MadeSecret

__all__ = ["add"]

_DIRECTORY = Path("secrets")


def add(commands: Any) -> None:
    """Add the command's arguments."""
    parser = commands.add_parser(
        "secrets", help="make and check the files of a deployment's secrets"
    )
    parts = parser.add_subparsers(dest="part", required=True, metavar="COMMAND")
    each = _part(parts, "init", run_init, "make the files that are missing; none is overwritten")
    each.add_argument(
        "--ask",
        action="store_true",
        help="ask for those that others give out, as an exchange does; they are left out otherwise",
    )
    each.add_argument(
        "--group",
        type=int,
        metavar="GID",
        help="the number of the group that may read the files; by default that of this user, and as root that of "
        "the container's user, 1000",
    )
    each = _part(
        parts, "check", run_check, "fail where a file is missing, unsound or open to others"
    )
    each.add_argument(
        "--environment",
        choices=("production", "development"),
        default="production",
        help="in development what is missing is no fault",
    )
    _part(parts, "list", run_list, "which secrets there are, and what each is for")


def _part(parts: Any, name: str, run: Any, text: str) -> argparse.ArgumentParser:
    each: argparse.ArgumentParser = parts.add_parser(name, help=text)
    each.add_argument(
        "directory",
        nargs="?",
        type=Path,
        default=_DIRECTORY,
        metavar="DIR",
        help="where the files are; `secrets` by default",
    )
    each.add_argument("--json", action="store_true", help="print JSON")
    each.set_defaults(run=run)
    return each


def run_init(given: argparse.Namespace) -> int:
    """Make what is missing."""
    from ringfence.cli.secret_group import group_of_secrets, tell_compose
    from ringfence.runtime.secret_files import make_secrets

    group = group_of_secrets() if given.group is None else given.group
    if group < 0:
        raise InputError(f"`{group}` is no group", "give its number, as `id -g` prints it")
    made = make_secrets(
        given.directory, given=_asked(given.directory) if given.ask else {}, group=group
    )
    told = tell_compose(given.directory, group)
    if given.json:
        print_json({each.kind.name: each.result for each in made})
        return 0
    for each in made:
        print(f"{each.path}: {_words(each)}")
    if told:
        print(told)
    return 0


def run_check(given: argparse.Namespace) -> int:
    """Look at every file."""
    from ringfence.runtime.secret_files import look_at_secrets

    found = look_at_secrets(given.directory)
    strict = given.environment == "production"
    failed = [each for each in found if each.fault and (each.there or strict)]
    if given.json:
        print_json(
            [
                {
                    "name": each.kind.name,
                    "file": str(each.path),
                    "there": each.there,
                    "fault": each.fault,
                    "fix": each.fix,
                }
                for each in found
            ]
        )
        return int(bool(failed))
    for each in found:
        if each.fault:
            word = "error" if each in failed else "warning"
            print(f"{word}: `{each.kind.name}` {each.fault}\n  fix: {each.fix}")
    there = sum(each.there for each in found)
    print(f"{there} of {len(found)} secrets are there, {len(failed)} with a fault")
    return int(bool(failed))


def run_list(given: argparse.Namespace) -> int:
    """Tell which there are; shows none."""
    from ringfence.runtime.credentials import ALL_SECRETS, PRODUCTION_SECRETS
    from ringfence.runtime.secret_files import check_directory, file_of

    check_directory(given.directory)
    rows = [
        {
            "name": kind.name,
            "file": str(file_of(given.directory, kind)),
            "there": file_of(given.directory, kind).exists(),
            "needed_in_production": kind in PRODUCTION_SECRETS,
            "purpose": kind.purpose,
        }
        for kind in ALL_SECRETS
    ]
    if given.json:
        print_json(rows)
        return 0
    for row in rows:
        state = "there" if row["there"] else "missing"
        needed = ", needed in production" if row["needed_in_production"] else ""
        print(f"{row['name']}: {row['purpose']} ({row['file']}, {state}{needed})")
    return 0


def _asked(directory: Path) -> dict[str, str]:
    """What a person types for the secrets that others give out; nothing is echoed."""
    import getpass

    from ringfence.runtime.credentials import ALL_SECRETS
    from ringfence.runtime.secret_files import file_of

    typed: dict[str, str] = {}
    for kind in ALL_SECRETS:
        if kind.issued_elsewhere and not file_of(directory, kind).exists():
            try:
                text = getpass.getpass(f"{kind.name}, {kind.purpose} (empty to leave it out): ")
            except EOFError:
                raise InputError(
                    "there is nobody to ask", "leave `--ask` out and put the files there yourself"
                ) from None
            if text.strip():
                typed[kind.name] = text.strip()
    return typed


def _words(made: "MadeSecret") -> str:
    if made.result == "left-out":
        return f"left out: {made.kind.fix}, or run again with --ask"
    return "made" if made.result == "made" else "was there, and is left as it is"
