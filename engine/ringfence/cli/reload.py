"""`ringfence reload`: asks a running reloader for something, and tells how it is."""

import argparse
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ringfence.cli.moment import seconds_given
from ringfence.cli.output import print_json
from ringfence.errors import InputError
from ringfence.language.scalars import NOT_PRINTABLE
from ringfence.reload.asking import ask, running_control
from ringfence.reload.control import Control, Request
from ringfence.runtime.ports import SYSTEM_CLOCK, SYSTEM_RANDOM

__all__ = ["add"]

_STORE = Path("policy-store")
_SHOWN = 12
_NOTHING = "off"


def add(commands: Any) -> None:
    """Add the command's arguments."""
    parser = commands.add_parser(
        "reload",
        help="ask a running guard to look at its policies, to go back to a set, or to follow again",
    )
    _store(parser)
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--rollback",
        metavar="SHA",
        help="go back to this set of the store, named by its hash or the beginning of it, and stay there until "
        "the source holds something else than now",
    )
    what.add_argument("--unpin", action="store_true", help="follow the source again")
    _person(parser)
    parser.set_defaults(run=run)
    parts = parser.add_subparsers(dest="part", metavar="COMMAND", help="what else to do")
    each = parts.add_parser(
        "status", help="which set is in force, and whether its source can be followed"
    )
    _store(each, below=True)
    each.set_defaults(run=run_status)
    each = parts.add_parser("history", help="what happened to the policy set, the oldest first")
    _store(each, below=True)
    each.set_defaults(run=run_history)
    each = parts.add_parser(
        "shadow", help="ask another set about each order as well; it decides nothing"
    )
    each.add_argument(
        "policies",
        metavar="SPEC",
        help="a directory, a file, `git:REF` or `git:REF:PATH`; `off` ends it",
    )
    _store(each, below=True)
    _person(each, below=True)
    each.set_defaults(run=run_shadow)


def _store(parser: argparse.ArgumentParser, *, below: bool = False) -> None:
    parser.add_argument(
        "--store",
        type=Path,
        default=_default(_STORE, below),
        metavar="DIR",
        help="the policy store of the guard's reloader",
    )
    parser.add_argument(
        "--json", action="store_true", default=_default(False, below), help="print JSON"
    )


def _person(parser: argparse.ArgumentParser, *, below: bool = False) -> None:
    for name, metavar, text in (("by", "NAME", "who asks"), ("reason", "TEXT", "why")):
        parser.add_argument(
            f"--{name}", default=_default("", below), metavar=metavar, help=f"{text}; required"
        )
    parser.add_argument(
        "--timeout",
        type=float,
        default=_default(300.0, below),
        metavar="SECONDS",
        help="how long to wait for the answer; a set with rules of its own may have to be compiled",
    )


def _default(value: Any, below: bool) -> Any:
    """What a command below `reload` does not say, `reload` says."""
    return argparse.SUPPRESS if below else value


def run(given: argparse.Namespace) -> int:
    """Ask for a look at the source, a rollback or its end; 1 where it was refused or failed."""
    _check_person(given)
    if given.unpin:
        return _asked(given, "unpin")
    if given.rollback is None:
        return _asked(given, "reload")
    from ringfence.runtime.policy_store import PolicyStore

    return _asked(given, "rollback", PolicyStore(given.store).find(given.rollback))


def run_shadow(given: argparse.Namespace) -> int:
    """Ask for a set in the shadow, or for its end."""
    _check_person(given)
    if given.policies == _NOTHING:
        return _asked(given, "shadow")
    from ringfence.runtime.policy_set import PolicySet
    from ringfence.runtime.policy_store import PolicyStore
    from ringfence.runtime.revisions import link_spec

    # Read here, where paths mean what the person means by them; the guard takes it by its hash.
    policy_set = PolicySet(link_spec(given.policies))
    about = {"at_ns": SYSTEM_CLOCK.now_ns(), "by": given.by, "reason": given.reason}
    store = PolicyStore(Control(given.store).shadows)
    return _asked(given, "shadow", store.put(policy_set, about | {"place": given.policies}))


def run_status(given: argparse.Namespace) -> int:
    """Tell how the reloader is; 1 where it does not run, or cannot follow its source."""
    control = Control(given.store)
    status = control.status()
    if status is None:
        raise InputError(
            f"no reloader ever ran on `{given.store}`", fix="name the policy store of the guard"
        )
    running = control.is_held
    ok = running and bool(status.get("ok"))
    pin = control.pin()
    if given.json:
        held = None if pin is None else {"by": pin.by, "reason": pin.reason, "at_ns": pin.at_ns}
        print_json({**status, "ok": ok, "running": running, "pin": held})
        return 0 if ok else 1
    since = status.get("since_ns") or 0
    _line("policy set", f"{status.get('policy_set')}{f', since {_when(since)}' if since else ''}")
    _line("source", str(status.get("source")))
    if commit := status.get("commit"):
        _line("commit", str(commit))
    _line("checked", _when(status.get("checked_ns") or 0))
    if pin is not None:
        _line("pinned", f"since {_when(pin.at_ns)} by {pin.by}: {pin.reason}")
    if status.get("message"):
        _line("failing", f"since {_when(status['failing_since_ns'])}: {status['message']}")
        _line("fix", str(status.get("fix")))
    if status.get("trouble"):
        _line("trouble", str(status["trouble"]))
    if not running:
        _line("not running", f"the reloader ended, or was killed, after {_when(status['at_ns'])}")
    return 0 if ok else 1


def run_history(given: argparse.Namespace) -> int:
    """Tell what happened."""
    control = Control(given.store)
    outcomes = control.history()
    if not outcomes and control.status() is None:
        raise InputError(
            f"no reloader ever ran on `{given.store}`", fix="name the policy store of the guard"
        )
    if given.json:
        print_json(outcomes)
        return 0
    for each in outcomes:
        said = each.get("message") or each.get("reason") or ""
        place = (each.get("about") or {}).get("commit") or (each.get("about") or {}).get(
            "place", ""
        )
        words = (
            _when(each.get("at_ns", 0)),
            each.get("result", ""),
            str(each.get("policy_set", ""))[:_SHOWN],
            f"by {each.get('by', '')}",
            str(place),
            said,
        )
        print(_plain("  ".join(word for word in words if word)))
    return 0


def _check_person(given: argparse.Namespace) -> None:
    if not given.by.strip() or not given.reason.strip():
        raise InputError("who asks, and why?", fix="add --by NAME --reason TEXT")


def _asked(given: argparse.Namespace, action: str, policy_set: str = "") -> int:
    """Put the request where the reloader finds it, and wait for what comes of it."""
    seconds = seconds_given(given)
    control = running_control(given.store)
    expires = SYSTEM_CLOCK.now_ns() + int(seconds * 1e9)
    request = Request(SYSTEM_RANDOM.token(8), action, policy_set, given.by, given.reason, expires)
    answer = ask(control, request, seconds)
    if given.json:
        print_json(answer)
    else:
        _tell(answer)
    return 0 if answer.get("ok") else 1


def _tell(answer: dict[str, Any]) -> None:
    shown = str(answer.get("policy_set", ""))[:_SHOWN]
    beside = str((answer.get("about") or {}).get("policy_set") or "")[:_SHOWN]
    said = {
        "accepted": f"policy set {shown} is in force",
        "current": f"policy set {shown} is in force, and what the source holds",
        "pinned": f"policy set {shown} stays: it is pinned, and the source holds what it held then",
        "rolled-back": f"policy set {shown} is in force again, and stays until the source changes",
        "applied": f"policy set {shown} is in force, and stays until the source changes",
        "shadow": (
            f"policy set {beside} runs in the shadow" if beside else "no set runs in the shadow"
        ),
    }.get(str(answer.get("result")))
    if said is None:
        said = f"{answer.get('result')}: {answer.get('message')}\n  fix: {answer.get('fix')}"
    for line in said.splitlines():
        print(_plain(line))


def _line(name: str, text: str) -> None:
    print(f"{name:12}{_plain(text)}")


def _plain(text: str) -> str:
    """The text, fit for a terminal: names and messages hold what others wrote."""
    return NOT_PRINTABLE.sub("\ufffd", text.replace("\n", " "))


def _when(at_ns: int) -> str:
    if not at_ns:
        return "never"
    return datetime.fromtimestamp(at_ns / 1e9, UTC).isoformat(timespec="seconds")
