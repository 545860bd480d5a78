"""`ringfence serve`: the service."""

import argparse
from typing import Any

from ringfence.cli.service_options import add_settings, settings_given

__all__ = ["add"]


def add(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "serve", help="serve the API, the dashboard, metrics and health", description=__doc__
    )
    add_settings(parser)
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Serve until stopped."""
    loaded = settings_given(given)
    from ringfence.service.desk import open_desk
    from ringfence.service.opening.secrets import credentials_for
    from ringfence.service.serve import serve

    settings = loaded.settings
    desk = open_desk(settings, credentials_for(settings))
    try:
        serve(
            desk,
            lambda: print(
                f"serving on http://{settings.server.host}:{settings.server.port}", flush=True
            ),
        )
    finally:
        desk.close()
    return 0
