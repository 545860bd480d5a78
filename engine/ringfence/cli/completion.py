"""`ringfence completion`: a script that completes commands, flags, files and rule names in a shell."""

import argparse
from pathlib import Path
from typing import Any

from ringfence.language.rule_library import load_rule_library

__all__ = ["add", "completion_script"]

_HELP = """\
Print a script that completes commands, flags, files and rule names:

  bash:  ringfence completion bash > ~/.local/share/bash-completion/completions/ringfence
  zsh:   ringfence completion zsh > DIR/_ringfence      with DIR in $fpath
  fish:  ringfence completion fish > ~/.config/fish/completions/ringfence.fish
"""


def add(commands: Any) -> None:
    """Add the command's arguments."""
    parser = commands.add_parser(
        "completion",
        help="a completion script for bash, zsh or fish",
        description=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), help="the shell to complete in")
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Print the script."""
    # The parser of all commands holds this one, so it cannot be had any earlier.
    from ringfence.cli.main import build_parser

    print(completion_script(build_parser(), given.shell))
    return 0


def completion_script(parser: argparse.ArgumentParser, shell: str) -> str:
    """Return the completion script of a parser and all its commands.

    Args:
        parser: The parser of all commands; its path arguments are marked for completion.
        shell: `bash`, `zsh` or `fish`.
    """
    # Imported here: only this command needs it.
    import shtab

    from ringfence.cli.main import leaves

    commands = leaves(parser)
    for command in commands.values():
        for action in command._actions:
            if action.type is Path:
                place = shtab.DIRECTORY if action.metavar == "DIR" else shtab.FILE
                action.complete = place  # type: ignore[attr-defined]  # what shtab reads
    _offer_rule_names(commands["rules"])
    script: str = shtab.complete(parser, shell=shell)  # nosec B604  # names a shell, runs none
    return script


def _offer_rule_names(command: argparse.ArgumentParser) -> None:
    name = next(action for action in command._actions if action.dest == "name")
    name.choices = sorted({rule.name for rule in load_rule_library()})
