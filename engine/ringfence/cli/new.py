"""`ringfence new`: begin a policy, rule, test or invariant with a file that is valid at once."""

import argparse
import os
import re
from pathlib import Path
from typing import Any

from ringfence.cli.output import add_format, print_json
from ringfence.errors import InputError

__all__ = ["add"]

_POLICIES = Path("policies")
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


def add(commands: Any) -> None:
    """Add the command's arguments."""
    parser = commands.add_parser("new", help="begin a policy, rule, test or invariant")
    parser.add_argument(
        "kind",
        choices=("policy", "rule", "test", "invariant"),
        help="what to begin; a test for the policy of its name, if there is one",
    )
    parser.add_argument("name", metavar="NAME", help="its name, in kebab case")
    parser.add_argument(
        "--in",
        dest="policies",
        type=Path,
        default=_POLICIES,
        metavar="DIR",
        help="the directory of policies, which is made only where it is `policies`; rules, tests and invariants go into "
        "one of their own in it",
    )
    parser.add_argument(
        "--owner", default="", metavar="WHO", help="by default who owns the first policy there"
    )
    add_format(parser, ("text", "json"), "new-files.v1.schema.json")
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Write the file."""
    from ringfence.review.new_documents import new_document
    from ringfence.review.scaffold import write_new
    from ringfence.runtime.repository import repository_of

    if not _NAME.fullmatch(given.name) or len(given.name) > 80:
        raise InputError(
            f"`{given.name}` is no name in kebab case", fix="write for example `desk-limits`"
        )
    _check_there(given.policies)
    top = repository_of(given.policies) or Path.cwd()
    files = new_document(given.kind, given.name, given.policies, top, given.owner)
    written = write_new(top, files)
    if given.format == "json":
        print_json({"created": written.created, "kept": written.kept})
    else:
        for path in written.created:
            print(path)
    return 0


def _check_there(policies: Path) -> None:
    """Refuse a directory that is not there: most often its name is a slip, and nobody would look into a new one."""
    if policies == _POLICIES or os.path.isdir(policies):
        return
    reason = "is no directory" if os.path.lexists(policies) else "does not exist"
    raise InputError(
        f"`{policies}` {reason}",
        fix="name the directory of policies; make it first where it is new",
    )
