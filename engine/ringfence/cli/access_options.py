"""What the commands about users, keys and tokens share."""

import argparse
import getpass
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ringfence.cli.service_options import add_settings, settings_given
from ringfence.errors import InputError
from ringfence.language.parameters import parse_duration
from ringfence.language.scalars import NOT_PRINTABLE

if TYPE_CHECKING:
    from ringfence.service.settings import ServiceSettings

__all__ = [
    "add_holder",
    "add_place",
    "add_span",
    "caller",
    "folder_of",
    "line",
    "moment",
    "record",
    "span_ns",
]

ROLES = ("viewer", "trader", "risk-officer", "admin")
MACHINES = ("market-data",)


def add_place(parser: argparse.ArgumentParser) -> None:
    """Where the service's data is, and JSON."""
    add_settings(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")


def add_holder(
    parser: argparse.ArgumentParser, *, required: bool = True, machine: bool = False
) -> None:
    """Role and accounts.

    Args:
        machine: Whether roles of machines can be given as well.
    """
    roles = (*ROLES, *MACHINES) if machine else ROLES
    parser.add_argument("--role", choices=roles, required=required, help="what they may do")
    parser.add_argument(
        "--account",
        action="append",
        metavar="NAME",
        help="an account that a trader trades for; may be given again",
    )


def add_span(parser: argparse.ArgumentParser, usual: str) -> None:
    """For how long something holds."""
    parser.add_argument(
        "--valid",
        default=usual,
        metavar="SPAN",
        help=f"for how long, at most 400d; {usual} where not given",
    )


def folder_of(given: argparse.Namespace) -> "tuple[ServiceSettings, Path]":
    """The settings, and where access is kept.

    Raises:
        InputError: the data are another user's: what is written there now, the service could not read.
    """
    from ringfence.service.access.table import FOLDER

    settings = settings_given(given).settings
    if settings.data.exists() and settings.data.stat().st_uid != os.geteuid():
        raise InputError(
            f"`{settings.data}` belongs to the user `{_owner(settings.data)}`",
            f"run it as that user: sudo -u {_owner(settings.data)} ringfence ...",
        )
    return settings, settings.data / FOLDER


def caller() -> str:
    """Who changes something at the command line, as it stands in the audit log."""
    return f"cli/{getpass.getuser()}"


def record(folder: Path, kind: str, body: dict[str, Any]) -> None:
    """Have a change put into the audit log by the service, which writes it."""
    from ringfence.runtime.ports import SYSTEM_CLOCK
    from ringfence.service.access.outbox import Outbox

    Outbox(folder, SYSTEM_CLOCK).put(kind, caller(), body)


def span_ns(text: str) -> int:
    """A span of time in ns.

    Raises:
        InputError: it is none.
    """
    try:
        return round(parse_duration(text) * 1e9)
    except (ValueError, OverflowError) as error:
        raise InputError(
            f"`{text}` is no span of time", "write for example `8h` or `90d`"
        ) from error


def moment(at_ns: int) -> str:
    """A moment as people read it."""
    if not at_ns:
        return "never"
    return datetime.fromtimestamp(at_ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M UTC")


def line(*words: str) -> None:
    """Print a line fit for a terminal."""
    print(NOT_PRINTABLE.sub("\ufffd", "  ".join(words)).rstrip(), file=sys.stdout)


def _owner(path: Path) -> str:
    try:
        return path.owner()
    except KeyError:
        return str(path.stat().st_uid)
