"""`ringfence serve`: the service."""

import argparse
import os
from typing import Any

__all__ = ["add"]


def add(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "serve", help="serve the API, the dashboard, metrics and health", description=__doc__
    )
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Serve until stopped."""
    del given
    from ringfence.runtime.credentials import (
        API_SECRET_KEY,
        ENVIRONMENT_VARIABLE,
        JWT_SECRET_KEY,
        load_credentials,
    )
    from ringfence.service.desk import open_desk
    from ringfence.service.serve import serve
    from ringfence.service.settings import ServiceSettings

    settings = ServiceSettings()
    environ = {**os.environ, ENVIRONMENT_VARIABLE: settings.environment}
    desk = open_desk(settings, load_credentials((API_SECRET_KEY, JWT_SECRET_KEY), environ))
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
