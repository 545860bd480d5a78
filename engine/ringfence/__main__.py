"""The command, as `ringfence` and as `python -m ringfence`, where the directory of scripts is on no path.

Nothing is imported before Ctrl-C can be told from a fault: half of the time of a short command is its imports.
"""

import sys

__all__ = ["main"]


def main() -> int:
    """Run one command, with the arguments of the process; returns the exit code."""
    try:
        from ringfence.cli.main import main as run

        return run()
    except KeyboardInterrupt:
        # It came before the command could answer it, or while it did.
        from contextlib import suppress

        # A terminal that was closed takes no last word.
        with suppress(OSError):
            if sys.stderr is not None:
                print("ringfence: stopped", file=sys.stderr, flush=True)
        return 130


if __name__ == "__main__":
    sys.exit(main())
