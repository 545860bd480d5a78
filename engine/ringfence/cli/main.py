"""`ringfence`: reads the arguments, runs one command, and turns every failure into one line.

Exit codes: 0 fine, 1 the check failed, 2 bad usage or input.
"""

import argparse
import errno
import io
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module

from ringfence import __version__
from ringfence.cli.ending import Ended, tidily
from ringfence.cli.usage import UsageParser, parse
from ringfence.errors import InputError, PolicyError, reason_of

__all__ = ["build_parser", "leaves", "main"]

# What DuckDB makes of Ctrl-C while it is at work.
_DATABASE_STOPPED = "Query interrupted"
# What is wrong with a path itself, whoever reads or writes there.
_OF_THE_PATH = (
    errno.ENAMETOOLONG,
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ELOOP,
    errno.ENOTDIR,
)
_COMMANDS = {
    "ci": "ci",
    "validate": "validate",
    "test": "test",
    "fmt": "fmt",
    "lint": "lint",
    "prove": "prove",
    "dry-run": "dry_run",
    "plan": "plan",
    "apply": "apply",
    "explain": "explain",
    "suggest": "suggest",
    "effective": "effective",
    "fields": "fields",
    "rules": "rules",
    "schema": "schema",
    "init": "init",
    "new": "new",
    "correlations": "correlations",
    "audit": "audit",
    "reload": "reload",
    "compile": "compile",
    "secrets": "secrets",
    "backup": "backup",
    "deploy": "deploy",
    "serve": "serve",
    "users": "users",
    "api-keys": "api_keys",
    "token": "token",  # nosec B105  # a module, no password
    "config": "config",
    "completion": "completion",
}
"""The commands in the order in which they are listed, each with its module in `ringfence.cli`."""


def build_parser(command: str | None = None) -> argparse.ArgumentParser:
    """The parser of all commands, or of one: the modules of the others are then not imported.

    Args:
        command: One of the commands.
    """
    parser = UsageParser(prog="ringfence", description="Pre-trade risk limits as code.")
    parser.add_argument("--version", action="version", version=f"ringfence {__version__}")
    parser.add_argument("--debug", action="store_true", help="show the traceback of a failure")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in [command] if command else _COMMANDS:
        import_module(f"ringfence.cli.{_COMMANDS[name]}").add(commands)
    for each in leaves(parser).values():
        each.set_defaults(read_by=each)
        # Without a default of its own, so that `--debug` before the command is not undone.
        each.add_argument(
            "--debug",
            action="store_true",
            default=argparse.SUPPRESS,
            help="show the traceback of a failure",
        )
    return parser


def leaves(parser: argparse.ArgumentParser, above: str = "") -> dict[str, argparse.ArgumentParser]:
    """The parsers that run something, by their words, such as `audit tail`."""
    found: dict[str, argparse.ArgumentParser] = {}
    for action in parser._actions:  # argparse has no public way to them
        if isinstance(action, argparse._SubParsersAction):
            for name, each in action.choices.items():
                words = f"{above} {name}".strip()
                below = leaves(each, words)
                if not below or each.get_default("run") is not None:
                    found[words] = each
                found |= below
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: The arguments, those of the process where not given.

    Returns:
        The exit code.
    """
    arguments = sys.argv[1:] if argv is None else argv
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        # A terminal of another encoding shows what it cannot as `\xf6`, and ends nothing.
        if isinstance(stream, io.TextIOWrapper) and stream.encoding.lower() != "utf-8":
            stream.reconfigure(errors="backslashreplace")
    # Whatever else stands first (an option, a slip) is answered by the parser that knows all commands.
    command = arguments[0] if arguments and arguments[0] in _COMMANDS else None
    try:
        given = parse(build_parser(command), arguments)
    except SystemExit as leaving:
        return int(leaving.code or 0)
    except KeyboardInterrupt:
        return _stopped()
    try:
        with tidily(given.command):
            code = int(given.run(given))
        # Here, where a disk that is full can still be told; what is left at the end would only be lost.
        sys.stdout.flush()
        return code
    except PolicyError as error:
        from ringfence.cli.output import show_findings

        form = "json" if getattr(given, "json", False) else getattr(given, "format", "text")
        show_findings(error.diagnostics, form, command=given.command)
        return 1
    except InputError as error:
        print(f"ringfence: {error.message}", file=sys.stderr)
        if error.fix:
            print(f"  fix: {error.fix}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # The reader (`head`, a pager) has gone; nothing more can be said to it.
        _write_nowhere()
        return 0
    except SystemExit as leaving:
        # The same, told by rich, which would end with 1: as if a check had failed.
        if isinstance(leaving.__context__, BrokenPipeError):
            return 0
        raise
    except KeyboardInterrupt as error:
        return _stopped(error)
    except Exception as error:  # the last resort: no traceback reaches a user
        if isinstance(error, RuntimeError) and str(error) == _DATABASE_STOPPED:
            return _stopped(error.__cause__ or error.__context__)
        _tell_unforeseen(error, debug=given.debug)
        return 2


def _tell_unforeseen(error: Exception, *, debug: bool) -> None:
    """Say in two lines what no command expected; with `debug` where it comes from."""
    if debug:
        import traceback

        traceback.print_exc()
    elif isinstance(error, OSError) and error.errno == errno.ENOSPC:
        print(
            "ringfence: no space is left where the output goes\n"
            "  fix: make room, or write to another place",
            file=sys.stderr,
        )
        _drop_what_cannot_be_written()
    elif isinstance(error, OSError) and error.errno in _OF_THE_PATH and error.filename:
        from ringfence.language.scalars import clip

        print(
            f"ringfence: `{clip(os.fsdecode(error.filename))}` cannot be used: {reason_of(error)}\n"
            "  fix: check the path, and the permissions on the way to it",
            file=sys.stderr,
        )
    else:
        print(
            f"ringfence: {type(error).__name__}: {error}\n"
            "  fix: this should not happen; run again with --debug and report it",
            file=sys.stderr,
        )


def _open_closed_streams() -> None:
    """Let what is said go nowhere where a stream is closed, as `>&-` does.

    Python then has none, and the next file that is opened would take its number.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115


def _write_nowhere() -> None:
    """Let standard output go nowhere from here on, what it has yet to write included."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _drop_what_cannot_be_written() -> None:
    """Python would try once more at the end, and end with a code of its own."""
    try:
        sys.stdout.flush()
    except OSError:
        _write_nowhere()


def _stopped(why: BaseException | None = None) -> int:
    # A terminal that was closed takes no last word.
    with suppress(OSError):
        print("ringfence: stopped", file=sys.stderr, flush=True)
    return 128 + (why.number if isinstance(why, Ended) else signal.SIGINT)


if __name__ == "__main__":
    sys.exit(main())
