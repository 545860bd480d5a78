"""`ringfence compile`: compile ahead of time what a policy set needs, as an image or an init container does."""

import argparse
from pathlib import Path
from typing import Any

from ringfence.cli.output import print_json
from ringfence.errors import InputError

__all__ = ["add"]


def add(commands: Any) -> None:
    """Add the command's arguments."""
    parser = commands.add_parser(
        "compile",
        help="compile ahead of time what a policy set needs",
        description="Compile the gates of a policy set to machine code and keep it in RINGFENCE_CACHE_PATH, so "
        "that a service, a reload or a dry run of it starts at once. It takes about a minute, once.",
    )
    parser.add_argument("policies", type=Path, metavar="DIR", help="a directory of policies")
    parser.add_argument(
        "--check",
        action="store_true",
        help="fail where something had to be compiled, or cannot be kept",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Compile, and say whether anything was."""
    from ringfence.cli.output import compiling_is_said
    from ringfence.language.yaml_files import yaml_files
    from ringfence.reload import DirectorySource
    from ringfence.reload.compiling import compile_ahead

    # A source says of what it lacks that it be put back; here it was never there.
    if not given.policies.is_dir():
        what = "is no directory" if given.policies.exists() else "does not exist"
        raise InputError(f"`{given.policies}` {what}", "name a directory of policies")
    if not yaml_files(given.policies):
        raise InputError(
            f"`{given.policies}` holds no YAML files", "name a directory with policies"
        )
    with compiling_is_said(json=given.json):
        report = compile_ahead(DirectorySource(given.policies).read().files)
    failed = given.check and (report.compiled or report.kept_in is None)
    if given.json:
        kept_in = None if report.kept_in is None else str(report.kept_in)
        print_json(
            {"policy_set": report.policy_set, "compiled": report.compiled, "kept_in": kept_in}
        )
        return int(failed)
    if report.kept_in is None:
        raise InputError(
            "the compiled code cannot be kept",
            "name a directory that this user may write, and nobody else, with RINGFENCE_CACHE_PATH",
        )
    done = "compiled and kept" if report.compiled else "nothing to do: all is there"
    print(f"{done} ({report.kept_in})")
    return int(failed)
