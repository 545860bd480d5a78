"""Flags of the service's settings, for the commands that read them."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ringfence.errors import InputError

if TYPE_CHECKING:
    from ringfence.service.settings import Loaded

__all__ = ["add_settings", "settings_given"]

_FLAGS = {
    "environment": ("environment", "NAME", "production, development or testing"),
    "policies": ("policies", "DIR", "directory of the policies; several with commas between"),
    "data": ("data", "DIR", "directory of state, audit log and accepted policy sets"),
    "host": ("server.host", "ADDRESS", "address to listen on"),
    "port": ("server.port", "PORT", "port of dashboard and API"),
    "metrics-port": ("server.metrics_port", "PORT", "port of /metrics"),
    "health-port": ("server.health_port", "PORT", "port of /health"),
    "workers": (
        "server.workers",
        "COUNT",
        "processes that answer; more than one needs Redis, and opens no venue: orders are decided, not sent",
    ),
    "log-format": ("log.format", "FORMAT", "text or json"),
}


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Add the flags to a command."""
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="the settings' file; RINGFENCE_CONFIG, or ringfence.yaml here, where not given",
    )
    for flag, (_, metavar, text) in _FLAGS.items():
        parser.add_argument(f"--{flag}", metavar=metavar, help=text)
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="any setting, as `server.max_body=4 MiB`; may be given again",
    )


def settings_given(given: argparse.Namespace, more: dict[str, str] | None = None) -> "Loaded":
    """The settings that flags, environment and file give together.

    Args:
        given: The arguments.
        more: Settings that the command itself sets, by their dotted names, where no flag does.

    Raises:
        InputError: one is unknown or wrong.
    """
    from ringfence.service.settings import load_settings

    flags = {name: (text, "this command") for name, text in (more or {}).items()}
    for flag, (name, _, _) in _FLAGS.items():
        text = getattr(given, flag.replace("-", "_"))
        if text is not None:
            flags[name] = (text, f"--{flag}")
    for each in given.set:
        name, equals, text = each.partition("=")
        if not equals or not name.strip():
            raise InputError(f"`--set {name}` gives no value", "write --set server.port=5001")
        flags[name.strip()] = (text.strip(), f"--set {name.strip()}")
    return load_settings(given.config, flags)
