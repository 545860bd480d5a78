"""`ringfence`: reads the arguments, runs one command, and turns every failure into one line.

Exit codes: 0 fine, 1 the check failed, 2 bad usage or input.
"""

import argparse
import os
import sys
import traceback
from collections.abc import Sequence

from ringfence import __version__
from ringfence.cli import (
    completion,
    correlations,
    dry_run,
    effective,
    fields,
    rules,
    schema,
    test,
    validate,
)
from ringfence.cli.output import show_findings
from ringfence.errors import InputError, PolicyError

__all__ = ["main"]

_COMMANDS = (validate, test, dry_run, effective, fields, rules, schema, correlations, completion)


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = argparse.ArgumentParser(prog="ringfence", description="Pre-trade risk limits as code.")
    parser.add_argument("--version", action="version", version=f"ringfence {__version__}")
    parser.add_argument("--debug", action="store_true", help="show the traceback of a failure")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in _COMMANDS:
        module.add(commands)
    for each in commands.choices.values():
        # Without a default of its own, so that `--debug` before the command is not undone.
        each.add_argument(
            "--debug",
            action="store_true",
            default=argparse.SUPPRESS,
            help="show the traceback of a failure",
        )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: The arguments, those of the process where not given.

    Returns:
        The exit code.
    """
    try:
        given = build_parser().parse_args(argv)
    except SystemExit as leaving:
        return int(leaving.code or 0)
    try:
        return int(given.run(given))
    except PolicyError as error:
        show_findings(error.diagnostics, getattr(given, "format", "text"))
        return 1
    except InputError as error:
        print(f"ringfence: {error.message}", file=sys.stderr)
        if error.fix:
            print(f"  fix: {error.fix}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # The reader (`head`, a pager) has gone; nothing more can be said to it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("ringfence: stopped", file=sys.stderr)
        return 130
    except Exception as error:  # the last resort: no traceback reaches a user
        if given.debug:
            traceback.print_exc()
        else:
            print(
                f"ringfence: {type(error).__name__}: {error}\n"
                "  fix: this should not happen; run again with --debug and report it",
                file=sys.stderr,
            )
        return 2


if __name__ == "__main__":
    sys.exit(main())
