"""`ringfence schema`: JSON Schemas for editors; that of policies completes each rule's parameters."""

import argparse
import json
from pathlib import Path
from typing import Any

from ringfence.cli.output import print_json
from ringfence.errors import InputError, reason_of
from ringfence.language.editor_schema import editor_schema
from ringfence.language.rule_library import load_rule_library
from ringfence.language.schema import KINDS
from ringfence.runtime.output_files import write_output

__all__ = ["add"]


def add(commands: Any) -> None:
    """Add the command's arguments."""
    parser = commands.add_parser("schema", help="a JSON Schema for editors")
    parser.add_argument(
        "--kind",
        choices=tuple(KINDS),
        default="Policy",
        help="of which documents; in those that bind rules each rule's parameters are checked",
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="write it there")
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Print the schema, or write it to a file."""
    whole = editor_schema(given.kind, load_rule_library())
    if given.out is None:
        print_json(whole)
        return 0
    try:
        write_output(given.out, json.dumps(whole, indent=2, ensure_ascii=False) + "\n")
    except OSError as error:
        raise InputError(
            f"`{given.out}` cannot be written: {reason_of(error)}",
            fix="name another file with --out",
        ) from None
    print(given.out)
    return 0
