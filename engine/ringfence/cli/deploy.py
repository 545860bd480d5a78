"""`ringfence deploy`: check, build, start and try a deployment with Compose, and go back where it fails."""

import argparse
import getpass
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from ringfence.cli.output import print_json
from ringfence.errors import InputError, reason_of

__all__ = ["add", "run"]

_REPORT = Path("build/deployment")


def add(commands: Any) -> None:
    """Add the command's arguments."""
    from ringfence.runtime.credentials import Environment

    parser = commands.add_parser(
        "deploy", help="check, build, start and try a deployment, and go back where it fails"
    )
    parser.add_argument(
        "--environment",
        choices=get_args(Environment),
        required=True,
        help="how strict: production stops at missing secrets and at what nobody can say, development warns, "
        "testing makes its own secrets",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="run the checks, and say what else would be done"
    )
    parser.add_argument(
        "--skip",
        action="append",
        default=[],
        metavar="STEP",
        help="leave a step out; may be repeated; the report names it",
    )
    parser.add_argument(
        "--reason",
        default="",
        metavar="TEXT",
        help="why; production needs one to skip secrets or a security check",
    )
    parser.add_argument(
        "--root",
        type=Path,
        default=Path(),
        metavar="DIR",
        help="the directory of docker-compose.yml (.)",
    )
    parser.add_argument(
        "--policies", type=Path, metavar="DIR", help="the policies (policies, below the root)"
    )
    parser.add_argument(
        "--engine",
        default="",
        metavar="PROGRAM",
        help="`docker` or `podman`; the first of them that is installed",
    )
    parser.add_argument(
        "--report",
        type=Path,
        metavar="DIR",
        help=f"write report.json and report.txt there ({_REPORT}, below the root)",
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help="print JSON, as schemas/deployment.v1.schema.json has it",
    )
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Deploy; 0 where all went well, 1 where a step failed."""
    from ringfence.cli.deploying.report import headline, outcome_text, report_data, report_text
    from ringfence.cli.deploying.run import Wish, deploy
    from ringfence.runtime.ports import SYSTEM_CLOCK, SYSTEM_FILES

    deployment = _deployment(given, os.environ)
    wish = Wish(given.dry_run, frozenset(given.skip), given.reason)
    if fault := wish.faults(deployment):
        raise InputError(fault, "name a step with --skip, and say why with --reason")
    at_ns = SYSTEM_CLOCK.now_ns()

    def tell(name: str, outcome: Any) -> None:
        if not given.json:
            print(outcome_text(name, outcome), end="", flush=True)

    done = deploy(deployment, wish, tell)
    data = report_data(deployment, wish, done, at_ns)
    folder = given.report or deployment.root / _REPORT
    _write(folder, data, report_text(deployment, wish, done, at_ns), SYSTEM_FILES)
    if given.json:
        print_json(data)
    else:
        print(headline(wish, done))
        print(f"report: {folder / 'report.txt'}", file=sys.stderr)
    return done.exit_code


def _deployment(given: argparse.Namespace, environ: Mapping[str, str]) -> Any:
    from ringfence.cli.deploying.deployment import Deployment
    from ringfence.cli.deploying.engine import COMPOSE_FILE, find_engine

    root = given.root.resolve()
    if not (root / COMPOSE_FILE).is_file():
        raise InputError(
            f"`{root}` holds no {COMPOSE_FILE}", "name the directory that does with --root"
        )
    policies = (given.policies or root / "policies").resolve()
    # A service in `testing` makes up keys that nobody else knows; this one is asked from outside.
    inside = "development" if given.environment == "testing" else given.environment
    environ = {**environ, "RINGFENCE_ENVIRONMENT": inside, "RINGFENCE_POLICIES_DIR": str(policies)}
    return Deployment(
        given.environment,
        root,
        root / "secrets",
        policies,
        environ,
        find_engine(root, environ, given.engine),
        sys.executable,
        by=_person(),
    )


def _person() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return f"user {os.getuid()}"


def _write(folder: Path, data: dict[str, Any], text: str, files: Any) -> None:
    import json

    try:
        folder.mkdir(parents=True, exist_ok=True)
        content = json.dumps(data, indent=2, ensure_ascii=False) + "\n"
        files.write_atomic(folder / "report.json", content.encode())
        files.write_atomic(folder / "report.txt", text.encode())
    except OSError as error:
        raise InputError(
            f"the report cannot be written to `{folder}`: {reason_of(error)}",
            "name another directory with --report",
        ) from None
