"""`ringfence fields`: what a rule may read."""

import argparse
from typing import Any

from ringfence.cli.output import print_json
from ringfence.language.fields import FIELDS

__all__ = ["add"]


def add(commands: Any) -> None:
    """Add the command's arguments."""
    parser = commands.add_parser("fields", help="the input fields that a rule may read")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Print the table of input fields."""
    rows = [
        {
            "name": each.name,
            "unit": str(each.unit),
            "source": each.source,
            "meaning": each.meaning,
            "missing": each.missing,
            "uses": list(each.uses),
            "rises_with_size": each.rises,
        }
        for each in FIELDS.values()
    ]
    if given.json:
        print_json(rows)
        return 0
    for row in rows:
        print(f"{row['name']}  [{row['unit']}]")
        print(f"    {row['meaning']}")
        used = f"; computed with {', '.join(row['uses'])}" if row["uses"] else ""  # type: ignore[arg-type]  # a list
        print(f"    from {row['source']}; missing: {row['missing']}{used}")
    return 0
