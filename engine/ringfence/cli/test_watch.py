"""`ringfence test --watch`: the tests run again whenever a file changes."""

import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from ringfence.errors import InputError, PolicyError
from ringfence.language.yaml_files import yaml_files
from ringfence.reload.snapshot import Target
from ringfence.reload.watching import Watching

__all__ = ["watch"]

_QUIET_SECONDS = 0.2
"""A change is looked at once nothing has followed it for so long: editors write a file in several steps."""

_Files = dict[str, bytes]


def watch(paths: Sequence[Path], run: Callable[[], int]) -> int:
    """Run, and run again after every change of a file below the paths, until Ctrl-C ends it.

    Args:
        paths: Files and directories.
        run: Runs the tests and shows what came of it.

    Raises:
        InputError: a path does not exist, or the system gives no more watches.
        KeyboardInterrupt: it was ended.
    """
    for each in paths:
        if not each.exists():
            raise InputError(f"`{each}` does not exist", fix="name a file or a directory")
    changed = threading.Event()
    watching = Watching(lambda _: changed.set())
    targets = [_target(each) for each in dict.fromkeys(paths)]
    files: _Files | None = None
    try:
        while True:
            if not watching.watch(targets):
                raise InputError(
                    "changes of these directories cannot be watched",
                    "raise the system's limit of watches, or run without --watch",
                )
            # What changes while the tests run is looked at afterwards.
            changed.clear()
            before, files = files, _read(paths)
            if files != before:
                _show(run, _changed(before, files))
            changed.wait()
            while changed.is_set():
                changed.clear()
                changed.wait(_QUIET_SECONDS)
    finally:
        watching.close()


def _target(path: Path) -> Target:
    if path.is_dir():
        return Target(path, recursive=True)
    return Target(path.parent, names=frozenset({path.name}))


def _read(paths: Sequence[Path]) -> _Files:
    """Every YAML file below the paths; one that goes meanwhile is not there."""
    found: _Files = {}
    for path in paths:
        try:
            for file in yaml_files(path) if path.is_dir() else [path]:
                found[str(file)] = file.read_bytes()
        except (OSError, InputError):
            continue
    return found


def _changed(before: _Files | None, now: _Files) -> list[str]:
    if before is None:
        return []
    return sorted(name for name in {*before, *now} if before.get(name) != now.get(name))


def _show(run: Callable[[], int], changed: Sequence[str]) -> None:
    if sys.stdout.isatty():
        # Clear the screen, and go to its first line.
        print("\x1b[2J\x1b[H", end="")
    if changed:
        print(f"changed: {', '.join(changed)}")
    try:
        run()
    except PolicyError as error:
        from ringfence.cli.output import show_findings

        show_findings(error.diagnostics, "text")
    except InputError as error:
        print(f"ringfence: {error.message}", file=sys.stderr)
    print("waiting for a change; Ctrl-C ends", flush=True)
