"""`ringfence users`: the people who log in to the dashboard."""

import argparse
import getpass
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ringfence.cli.access_options import (
    add_holder,
    add_place,
    caller,
    folder_of,
    line,
    moment,
    record,
)
from ringfence.cli.output import print_json
from ringfence.errors import InputError, reason_of

if TYPE_CHECKING:
    from ringfence.service.access.users import User, Users

__all__ = ["add"]


def add(commands: Any) -> None:
    """Add the command and its parts."""
    parser = commands.add_parser(
        "users",
        help="let people log in to the dashboard, change what they may do, or shut them out",
        description=f"{__doc__} A service that runs takes changes over within a second.",
    )
    parts = parser.add_subparsers(dest="part", required=True, metavar="COMMAND")
    each = parts.add_parser("list", help="everybody, with roles and accounts")
    add_place(each)
    each.set_defaults(run=run_list)
    each = _part(parts, "add", "let a person in", run_add)
    add_holder(each)
    _password(each)
    each = _part(parts, "change", "give a person another role or other accounts", run_change)
    add_holder(each, required=False)
    each = _part(
        parts,
        "password",
        "set a password, which they have to change; they are logged out",
        run_password,
    )
    _password(each)
    _part(parts, "disable", "shut a person out, at once and everywhere", run_disable)
    _part(parts, "enable", "let a person in again", run_enable)
    _part(
        parts, "remove", "forget a person; to disable them keeps the name from others", run_remove
    )


def _part(parts: Any, name: str, text: str, run: Any) -> argparse.ArgumentParser:
    each: argparse.ArgumentParser = parts.add_parser(name, help=text)
    each.add_argument("name", metavar="NAME", help="the user's name")
    add_place(each)
    each.set_defaults(run=run)
    return each


def _password(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--password-file",
        metavar="FILE",
        help="file with the password, `-` for standard input; asked for where not given",
    )


def run_list(given: argparse.Namespace) -> int:
    """Tell who there is."""
    held = _users(given)[0].all()
    if given.json:
        print_json([_told(each) for each in held])
        return 0
    width = max((len(each.name) for each in held), default=0)
    for each in held:
        state = "enabled" if each.enabled else "disabled"
        accounts = f"accounts {', '.join(each.accounts)}" if each.accounts else ""
        made = f"since {moment(each.made_ns)} by {each.made_by}"
        due = "has to change the password" if each.must_change else ""
        line(f"{each.name:<{width}}", f"{each.role:<12}", f"{state:<8}", made, accounts, due)
    if not held:
        print("nobody yet: `ringfence users add NAME --role admin`")
    return 0


def run_add(given: argparse.Namespace) -> int:
    """Let a person in."""
    from ringfence.service.access.names import checked_holder
    from ringfence.service.access.roles import Role

    users, folder = _users(given)
    # Before anybody is asked for a password.
    accounts = checked_holder(Role(given.role), given.account or [])
    password = _asked(given.password_file, given.name)
    user = users.add(given.name, Role(given.role), accounts, password, caller())
    told = {"user": user.name, "role": user.role, "accounts": user.accounts}
    return _done(
        given,
        folder,
        "user-added",
        told,
        user,
        "can log in, and then has to take a password of their own",
    )


def run_change(given: argparse.Namespace) -> int:
    """Change role or accounts."""
    from ringfence.service.access.roles import Role

    if given.role is None and given.account is None:
        raise InputError("nothing to change is given", "give --role or --account")
    users, folder = _users(given)
    role = None if given.role is None else Role(given.role)
    user = users.change(given.name, role=role, accounts=given.account)
    return _changed(given, folder, user, f"is {user.role} now")


def run_password(given: argparse.Namespace) -> int:
    """Set a password."""
    users, folder = _users(given)
    if users.find(given.name) is None:
        raise InputError("there is no such user", "see `ringfence users list`")
    user = users.change(given.name, password=_asked(given.password_file, given.name))
    return _changed(
        given,
        folder,
        user,
        "has another password, which they have to change, and is logged out",
        password=True,
    )


def run_disable(given: argparse.Namespace) -> int:
    """Shut a person out."""
    users, folder = _users(given)
    return _changed(given, folder, users.change(given.name, enabled=False), "is shut out")


def run_enable(given: argparse.Namespace) -> int:
    """Let a person in again."""
    users, folder = _users(given)
    return _changed(given, folder, users.change(given.name, enabled=True), "can log in again")


def run_remove(given: argparse.Namespace) -> int:
    """Forget a person."""
    users, folder = _users(given)
    user = users.remove(given.name)
    return _done(given, folder, "user-removed", {"user": user.name}, user, "is forgotten")


def _users(given: argparse.Namespace) -> "tuple[Users, Path]":
    from ringfence.runtime.ports import SYSTEM_CLOCK
    from ringfence.service.access.passwords import Passwords
    from ringfence.service.access.users import Users

    _, folder = folder_of(given)
    return Users(folder, Passwords(), SYSTEM_CLOCK), folder


def _asked(file: str | None, name: str) -> str:
    if file == "-":
        return sys.stdin.readline().rstrip("\n")
    if file is not None:
        try:
            return Path(file).read_text(encoding="utf-8").rstrip("\r\n")
        # Not its name: somebody may have put the password there.
        except OSError as error:
            reason = reason_of(error)
            raise InputError(
                f"the file of the password cannot be read: {reason}", "name a file that holds it"
            ) from None
        except UnicodeDecodeError:
            raise InputError(
                "the file of the password is not UTF-8", "save it as UTF-8, or name another one"
            ) from None
    if not sys.stdin.isatty():
        raise InputError("no password is given", "add --password-file FILE, or `-` and pipe it in")
    first = getpass.getpass(f"Password of {name}: ")
    if getpass.getpass("Once more: ") != first:
        raise InputError("the two are not the same", "try again")
    return first


def _changed(
    given: argparse.Namespace, folder: Path, user: "User", said: str, *, password: bool = False
) -> int:
    told = {"user": user.name, "role": user.role, "accounts": user.accounts}
    body = {**told, "enabled": user.enabled, "password": password}
    return _done(given, folder, "user-changed", body, user, said)


def _done(
    given: argparse.Namespace,
    folder: Path,
    kind: str,
    body: dict[str, Any],
    user: "User",
    said: str,
) -> int:
    record(folder, kind, body)
    if given.json:
        print_json(_told(user))
    else:
        line(f"{user.name} {said}")
    return 0


def _told(user: "User") -> dict[str, Any]:
    names = ("name", "role", "accounts", "enabled", "made_ns", "made_by", "must_change")
    return {name: getattr(user, name) for name in names}
