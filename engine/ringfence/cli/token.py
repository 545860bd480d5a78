"""`ringfence token`: makes a token for the API, signed with `JWT_SECRET_KEY`, and ends one early."""

import argparse
import os
from typing import Any

from ringfence.cli.access_options import (
    add_holder,
    add_place,
    add_span,
    caller,
    folder_of,
    line,
    record,
    span_ns,
)
from ringfence.cli.output import print_json
from ringfence.errors import InputError

__all__ = ["add"]


def add(commands: Any) -> None:
    """Add the command and its parts."""
    parser = commands.add_parser(
        "token",
        help="make a token for the API, or end one early",
        description=__doc__,
    )
    parts = parser.add_subparsers(dest="part", required=True, metavar="COMMAND")
    each = parts.add_parser("make", help="make a token, and print it")
    each.add_argument("--name", required=True, metavar="NAME", help="who it stands for")
    add_holder(each, machine=True)
    add_span(each, "1h")
    add_place(each)
    each.set_defaults(run=run_make)
    each = parts.add_parser("revoke", help="honour a token no more")
    each.add_argument("id", metavar="ID", help="its id, the claim `jti`")
    add_place(each)
    each.set_defaults(run=run_revoke)


def run_make(given: argparse.Namespace) -> int:
    """Make one."""
    from ringfence.runtime.credentials import (
        ENVIRONMENT_VARIABLE,
        JWT_SECRET_KEY,
        load_credentials,
    )
    from ringfence.runtime.ports import SYSTEM_CLOCK
    from ringfence.service.access.names import checked_holder, is_subject
    from ringfence.service.access.revoked import LONGEST_NS
    from ringfence.service.access.rights import Principal, Role
    from ringfence.service.access.tokens import Tokens

    settings, folder = folder_of(given)
    about = settings.access
    if about.jwks_url is not None:
        raise InputError(
            "tokens are made by the issuer whose keys `access.jwks_url` names",
            "ask it for one, or make an API key",
        )
    if settings.environment == "testing":
        raise InputError(
            "with `testing` every process makes a key of its own, and no other takes its tokens",
            "give --environment development or production, and JWT_SECRET_KEY",
        )
    if not is_subject(given.name):
        raise InputError("this is no name", "use letters, digits, `.`, `_`, `@` and `-`")
    role = Role(given.role)
    accounts = checked_holder(role, given.account or [])
    valid_ns = span_ns(given.valid)
    if not 0 < valid_ns <= LONGEST_NS:
        raise InputError(f"a token is not valid for {given.valid}", "at most 400d")
    environ = {**os.environ, ENVIRONMENT_VARIABLE: settings.environment}
    keys = load_credentials((JWT_SECRET_KEY,), environ).all_of(JWT_SECRET_KEY)
    tokens = Tokens(
        keys,
        SYSTEM_CLOCK,
        issuer=about.issuer,
        audience=about.audience,
    )
    holder = Principal(given.name, role, frozenset(accounts))
    made = tokens.issue(holder, max(1, valid_ns // 1_000_000_000))
    if settings.data.exists():
        told = {"token": made.id, "for": holder.name, "role": holder.role}
        record(folder, "token-made", {**told, "accounts": sorted(holder.accounts)})
    if given.json:
        print_json({"token": made.text, "id": made.id, "expires_ns": made.expires_ns})
    else:
        print(made.text)
    return 0


def run_revoke(given: argparse.Namespace) -> int:
    """End one."""
    from ringfence.runtime.ports import SYSTEM_CLOCK
    from ringfence.service.access.revoked import RevokedTokens

    _, folder = folder_of(given)
    RevokedTokens(folder, SYSTEM_CLOCK).add(given.id, caller())
    record(folder, "token-revoked", {"id": given.id})
    if given.json:
        print_json({"id": given.id})
    else:
        line(f"{given.id} is honoured no more")
    return 0
