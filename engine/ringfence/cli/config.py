"""`ringfence config`: the service's settings, and where each is from; never a secret."""

import argparse
import os
from typing import Any

from ringfence.cli.output import print_json
from ringfence.cli.service_options import add_settings, settings_given

__all__ = ["add"]


def add(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "config",
        help="print the service's settings and where each is from",
        description=__doc__,
    )
    add_settings(parser)
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument("--json", action="store_true", help="print JSON")
    shape.add_argument(
        "--schema", action="store_true", help="print the JSON Schema of the settings' file"
    )
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Print the settings; 0 where they are right."""
    from ringfence.service.settings import settings_schema, shown_settings

    if given.schema:
        print_json(settings_schema())
        return 0
    loaded = settings_given(given)
    rows = shown_settings(loaded)
    secrets = _secrets(loaded.settings)
    if given.json:
        print_json(
            {
                "file": None if loaded.file is None else str(loaded.file),
                "settings": {
                    name: {"value": value, "from": origin.kind, "place": str(origin)}
                    for name, value, origin in rows
                },
                "secrets": secrets,
            }
        )
        return 0
    width = max(len(name) for name, _, _ in rows)
    texts = [_text(value) for _, value, _ in rows]
    wide = min(max(map(len, texts)), 40)
    for (name, _, origin), text in zip(rows, texts, strict=True):
        print(f"{name:<{width}}  {text:<{wide}}  {origin}")
    print("\nsecrets, which are never shown")
    for name, state in secrets.items():
        print(f"{name:<{width}}  {state}")
    return 0


def _secrets(settings: Any) -> dict[str, str]:
    """Each secret that the settings need: where it is from, or that it is missing."""
    from ringfence.service.opening.secrets import needed_names

    found = {}
    for name in needed_names(settings):
        if settings.environment == "testing":
            found[name] = "made at the start, for tests"
        elif os.environ.get(f"{name}_FILE"):
            found[name] = f"in the file that {name}_FILE names"
        else:
            found[name] = "in the environment" if os.environ.get(name) else "not set"
    return found


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "-"
    return str(value) if value not in ("", {}) else "-"
