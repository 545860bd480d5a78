"""`ringfence init`: a new policy repository, with everything wired."""

import argparse
import os
import re
import shlex
import shutil
import subprocess  # nosec B404  # git, with fixed arguments, and only where it was asked for
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ringfence import __version__
from ringfence.cli.output import add_format, print_json
from ringfence.errors import InputError

if TYPE_CHECKING:
    from ringfence.review.scaffold import Written

__all__ = ["add"]

_ACTION = f"ringfence/ringfence/.github/actions/ringfence@v{__version__}"


def add(commands: Any) -> None:
    """Add the command's arguments."""
    parser = commands.add_parser(
        "init",
        help="begin a policy repository",
        description="Write policies with all mandatory gates, their tests, instruments, a workflow, hooks, "
        "editor settings and owners. What is there already is left as it is.",
    )
    parser.add_argument(
        "directory",
        nargs="?",
        type=Path,
        default=Path(),
        metavar="DIR",
        help="where; here by default",
    )
    parser.add_argument(
        "--policies",
        default="policies",
        metavar="NAME",
        help="what to call the directory of policies",
    )
    parser.add_argument("--name", help="the desk's name; by default that of the directory")
    parser.add_argument(
        "--currency", default="USD", metavar="CURRENCY", help="in which money is counted"
    )
    parser.add_argument(
        "--accounts", default="main", metavar="NAMES", help="who trades, with commas between"
    )
    parser.add_argument(
        "--bases",
        default="BTC,ETH",
        metavar="NAMES",
        help="what is traded against the currency, with commas between; two at least",
    )
    parser.add_argument(
        "--owner",
        default="risk@example.com",
        metavar="WHO",
        help="an address, or a team such as @firm/risk",
    )
    parser.add_argument(
        "--action", default=_ACTION, metavar="REF", help="the GitHub action that the workflow uses"
    )
    parser.add_argument(
        "--git", action="store_true", help="make it a Git repository with a first commit as well"
    )
    add_format(parser, ("text", "json"), "new-files.v1.schema.json")
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Write the files."""
    from ringfence.review.scaffold import Desk, repository_files, write_new

    top: Path = given.directory
    name = given.name or _name_from(os.path.basename(os.path.realpath(top)))
    desk = Desk(
        name=name,
        currency=given.currency,
        accounts=_list(given.accounts),
        bases=_list(given.bases),
        owner=given.owner,
        action=given.action,
        version=__version__,
    )
    files = repository_files(desk, given.policies)
    if given.git:
        _check_git(top)
    written = write_new(top, files, new_set=given.policies)
    if given.git:
        _first_commit(top, written.created)
    if given.format == "json":
        print_json({"created": written.created, "kept": written.kept, "committed": given.git})
    else:
        _tell(top, written, given.policies, committed=given.git)
    return 0


def _tell(top: Path, written: "Written", policies: str, *, committed: bool) -> None:
    from ringfence.runtime.repository import repository_of

    for path in written.created:
        print(f"{top / path}")
    for path in written.kept:
        print(f"{top / path}: was there, and is left as it is")
    steps = [f"ringfence {each} {policies}" for each in ("validate", "test", "lint", "prove")]
    around = repository_of(top)
    if around is None:
        steps += ["git init", "git add ."]
    elif not committed:
        # Of a repository with other work in it what was written here, and nothing else.
        heads = sorted({path.partition("/")[0] for path in written.created})
        steps += [f"git add {' '.join(heads)}"] if heads else []
    if not committed:
        steps.append("git commit -m 'The first limits'")
    # A shell takes the line as it stands, and `cd` no name that begins with a dash.
    place = shlex.quote(f"./{top}" if str(top).startswith("-") else str(top))
    if around is not None and not os.path.samefile(around, top):
        print(
            f"note: `{top}` lies in the repository `{around}`, and `.github`, `.ringfence` and `.pre-commit-config.yaml` are read at "
            "its top alone: move them there, or begin anew there, with `--policies`",
            file=sys.stderr,
        )
    print("next: " + ("" if top == Path() else f"cd {place}; ") + "; ".join(steps))


def _name_from(directory: str) -> str:
    words = re.findall(r"[a-z0-9]+", directory.lower())
    # No document has a longer name.
    name = "-".join(words)[:80].rstrip("-")
    return name if name[:1].isalpha() and name not in ("firm", "instruments") else "desk"


def _list(text: str) -> list[str]:
    return [each.strip() for each in text.split(",") if each.strip()]


def _check_git(top: Path) -> None:
    from ringfence.runtime.repository import repository_of

    if shutil.which("git") is None:
        raise InputError("`git` is not installed", fix="leave `--git` out")
    if (around := repository_of(top)) is not None:
        raise InputError(
            f"`{around}` is a Git repository already", fix="leave `--git` out, and commit there"
        )


def _first_commit(top: Path, paths: list[str]) -> None:
    for words in (
        ["init", "--quiet", "--initial-branch", "main"],
        ["add", "--", *paths],
        ["commit", "--quiet", "--message", "The first limits"],
    ):
        ran = subprocess.run(  # nosec B603 B607  # the user's own git
            ["git", *words], cwd=top, capture_output=True, text=True, check=False
        )
        if ran.returncode:
            said = (ran.stderr or ran.stdout).strip().splitlines()
            raise InputError(
                f"the files are written, but `git {words[0]}` failed: {said[-1] if said else 'no reason given'}",
                fix="mend that and commit them yourself",
            )
