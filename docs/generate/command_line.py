"""The page of the command line: every command with all its arguments, read from its parsers."""

import argparse
from collections.abc import Iterable, Iterator

from ringfence.cli.main import build_parser, leaves

from .markdown_text import page, sentence, table

__all__ = ["ENVIRONMENT", "cli_page"]

ENVIRONMENT = {
    "CI_MERGE_REQUEST_DIFF_BASE_SHA": "set by GitLab: what `ci` compares with where `--base` is not given",
    "DATABASE_PASSWORD": "password for the PostgreSQL database, where `RINGFENCE_POSTGRES_URL` holds none",
    "DATABASE_PASSWORD_FILE": "a file that holds that password, instead",
    "GITHUB_BASE_REF": "set by GitHub: the branch that `ci` compares with where `--base` is not given",
    "GITHUB_STEP_SUMMARY": "set by GitHub: the file that `ci` adds its comment to, for the summary of the job",
    "DASHBOARD_ADMIN_PASSWORD": "password of the user `admin`, who is made when the service starts and nobody can log in "
    "yet; `DASHBOARD_ADMIN_PASSWORD_FILE` names a file that holds it, instead",
    "RINGFENCE_CACHE_PATH": "directory of compiled code and of proofs, instead of `ringfence` below the user's cache "
    "directory; not used where others may write to it",
    "RINGFENCE_COMPILED_PATH": "directory of code compiled beforehand, as `ringfence compile` leaves it: copied to the "
    "cache instead of compiling; used only where it is this user's or root's and nobody else may write to it",
    "RINGFENCE_CONFIG": "the service's settings' file, where `--config` names none; other variables of the service "
    "are in [its settings](settings.md)",
    "RINGFENCE_ENVIRONMENT": "how strictly secrets are checked: `production` (where not set) refuses what is missing or "
    "unsound, `development` warns, `testing` makes its own and reads none",
    "RINGFENCE_POSTGRES_URL": "address of the PostgreSQL database that `--postgres` means, "
    "`postgresql://user:password@host:5432/database`",
    "RINGFENCE_POSTGRES_URL_FILE": "a file that holds that address, instead",
    "RINGFENCE_RULES_PATH": "directory of the rule library, instead of the one that is installed",
    "RINGFENCE_SECRETS_GID": "Compose file only: number of the group that may read the files in `secrets/`; 1000 where "
    "not set, and written to `.env` by `secrets init` where it is another one",
    "RINGFENCE_SCHEMAS_PATH": "directory of the JSON Schemas, instead of the one that is installed",
    "RINGFENCE_POLICIES_DIR": "Compose file only: directory of the policies, instead of `policies`; `ringfence deploy` sets it",
    "RINGFENCE_POLICIES": "container image only: directory of the policies that `validate` and "
    "`test` take where no path is given; `/policies` where not set",
}
"""Every variable that the program reads, and what it does."""


def cli_page() -> str:
    """Return the page of the command line: each command with all its arguments."""
    parser = build_parser()
    commands = leaves(parser)
    helps = _helps(parser)
    parts = []
    for name, command in commands.items():
        parts += [f"## ringfence {name}", sentence(helps.get(name, ""))]
        parts.append(f"```\n{_synopsis(f'ringfence {name}', command)}\n```")
        if command.description:
            parts.append(f"```text\n{command.description.strip()}\n```")
        parts.append(_arguments(command))
    exits = [["0", "fine"], ["1", "the check failed"], ["2", "bad usage or input"]]
    return page(
        "Command line",
        "Every failure is one line with its reason, and one with the fix.",
        table(["exit code", "meaning"], [*exits, ["130", "stopped by Ctrl-C"]]),
        table(
            ["command", "what it does"],
            [
                [f"[{name}](#ringfence-{name.replace(' ', '-')})", helps.get(name, "")]
                for name in commands
            ],
        ),
        "Before any command:",
        _arguments(parser),
        *parts,
        "## Environment",
        table(["variable", "what it does"], [[f"`{k}`", v] for k, v in ENVIRONMENT.items()]),
    )


def _helps(parser: argparse.ArgumentParser, above: str = "") -> dict[str, str]:
    """What each command is for, by its words."""
    found: dict[str, str] = {}
    # argparse has no public way to its own arguments.
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            found |= {f"{above}{a.dest}": a.help or "" for a in action._choices_actions}
            for name, each in action.choices.items():
                found |= _helps(each, f"{above}{name} ")
    return found


def _plain(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    return [
        action
        for action in parser._actions
        if not isinstance(action, argparse._SubParsersAction) and action.help != argparse.SUPPRESS
    ]


def _synopsis(name: str, command: argparse.ArgumentParser) -> str:
    # Written here and not by argparse, whose wording changes with Python's version.
    words = [name]
    for action in _plain(command):
        if "-h" in action.option_strings:
            continue
        word = " ".join(filter(None, [*action.option_strings[:1], _metavar(action)]))
        optional = action.nargs in ("?", "*") if not action.option_strings else not action.required
        words.append(f"[{word}]" if optional else word)
    return "\n    ".join(_wrapped(words))


def _wrapped(words: Iterable[str], width: int = 88) -> Iterator[str]:
    line = ""
    for word in words:
        if line and len(line) + len(word) >= width:
            yield line
            line = ""
        line = f"{line} {word}".strip()
    yield line


def _metavar(action: argparse.Action) -> str:
    if action.nargs == 0:
        return ""
    name = action.metavar if isinstance(action.metavar, str) else None
    if name is None and action.choices is not None:
        name = "|".join(str(each) for each in action.choices)
    name = name or action.dest.upper()
    return f"{name}..." if action.nargs in ("+", "*") else name


def _arguments(parser: argparse.ArgumentParser) -> str:
    rows = []
    for action in _plain(parser):
        written = " or ".join(
            f"`{' '.join(filter(None, [each, _metavar(action)]))}`"
            for each in action.option_strings or [""]
        )
        given = action.default not in (None, False, "", argparse.SUPPRESS)
        rows.append([written, _argparse_help(action), f"`{action.default}`" if given else ""])
    return table(["argument", "meaning", "default"], rows)


def _argparse_help(action: argparse.Action) -> str:
    return (action.help or "").replace("%%", "%")
