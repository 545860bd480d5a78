"""`ringfence api-keys`: keys with which machines use the API."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ringfence.cli.access_options import (
    add_holder,
    add_place,
    add_span,
    caller,
    folder_of,
    line,
    moment,
    record,
    span_ns,
)
from ringfence.cli.output import print_json

if TYPE_CHECKING:
    from ringfence.service.access.api_keys import ApiKey, ApiKeys

__all__ = ["add"]


def add(commands: Any) -> None:
    """Add the command and its parts."""
    parser = commands.add_parser(
        "api-keys",
        help="make, list and revoke the keys with which machines use the API",
        description=f"{__doc__} A service that runs takes changes over within a second.",
    )
    parts = parser.add_subparsers(dest="part", required=True, metavar="COMMAND")
    each = parts.add_parser("list", help="all keys, with their last use; never the keys themselves")
    add_place(each)
    each.set_defaults(run=run_list)
    each = parts.add_parser("make", help="make a key, and print it this once")
    each.add_argument("name", metavar="NAME", help="what it is for")
    add_holder(each, machine=True)
    add_span(each, "90d")
    add_place(each)
    each.set_defaults(run=run_make)
    each = parts.add_parser("revoke", help="end a key")
    each.add_argument("name", metavar="NAME", help="its name, or its id")
    add_place(each)
    each.set_defaults(run=run_revoke)


def run_list(given: argparse.Namespace) -> int:
    """Tell which there are."""
    held = _keys(given)[0].all()
    if given.json:
        print_json([_told(each) for each in held])
        return 0
    width = max((len(each.name) for each in held), default=0)
    for each in held:
        accounts = f"accounts {', '.join(each.accounts)}" if each.accounts else ""
        until, used = f"until {moment(each.expires_ns)}", f"used {moment(each.used_ns)}"
        line(f"{each.name:<{width}}", each.id, f"{each.role:<12}", until, used, accounts)
    if not held:
        print("none yet: `ringfence api-keys make NAME --role trader --account ACCOUNT`")
    return 0


def run_make(given: argparse.Namespace) -> int:
    """Make one."""
    from ringfence.service.access.roles import Role

    keys, folder = _keys(given)
    valid_ns = span_ns(given.valid)
    kept, key = keys.make(given.name, Role(given.role), given.account or [], valid_ns, caller())
    told = {"key": kept.name, "id": kept.id, "role": kept.role, "accounts": kept.accounts}
    record(folder, "key-made", {**told, "expires_ns": kept.expires_ns})
    if given.json:
        print_json({"key": key.reveal(), "about": _told(kept)})
    else:
        print(key.reveal())
    return 0


def run_revoke(given: argparse.Namespace) -> int:
    """End one."""
    keys, folder = _keys(given)
    kept = keys.revoke(given.name)
    record(folder, "key-revoked", {"key": kept.name, "id": kept.id})
    if given.json:
        print_json(_told(kept))
    else:
        line(f"{kept.name} is no key any more")
    return 0


def _keys(given: argparse.Namespace) -> "tuple[ApiKeys, Path]":
    from ringfence.runtime.ports import SYSTEM_CLOCK
    from ringfence.service.access.api_keys import ApiKeys

    _, folder = folder_of(given)
    return ApiKeys(folder, SYSTEM_CLOCK), folder


def _told(key: "ApiKey") -> dict[str, Any]:
    names = ("id", "name", "role", "accounts", "made_ns", "made_by", "expires_ns", "used_ns")
    return {name: getattr(key, name) for name in names}
