"""`ringfence explain`: one order, every gate with its arithmetic, and what another size would need."""

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ringfence.cli.output import compiling_is_said, print_json
from ringfence.errors import InputError
from ringfence.language.fields import ORDER_TYPES
from ringfence.language.gates import to_ns
from ringfence.runtime.ports import SYSTEM_CLOCK, Clock

if TYPE_CHECKING:
    from ringfence.language.linking import LinkedSet
    from ringfence.language.orders import Case
    from ringfence.review.explaining.explanation import Explanation, Origin

__all__ = ["add"]

_FLAGS = ("account", "strategy", "venue", "symbol", "side", "type", "size", "price")


def add(commands: Any) -> None:
    """Add the command's arguments."""
    parser = commands.add_parser(
        "explain", help="one order: every gate's arithmetic, and what another size would need"
    )
    parser.add_argument(
        "order",
        nargs="?",
        metavar="ORDER",
        help="a file with `given` and `when` (YAML or JSON), or a case of a policy test: FILE:NAME, FILE:LINE",
    )
    order = parser.add_argument_group("the order, by flags; they win over what ORDER says")
    order.add_argument("--account", metavar="NAME", help="whose order it is")
    order.add_argument("--strategy", metavar="NAME", help="what sends it")
    order.add_argument("--venue", metavar="NAME", help="where it goes")
    order.add_argument("--symbol", metavar="NAME", help="the instrument")
    order.add_argument("--side", choices=("buy", "sell"), help="what it does")
    order.add_argument("--type", choices=ORDER_TYPES, help="its type; limit where not given")
    order.add_argument("--size", metavar="SIZE", help="in units of the base")
    order.add_argument("--price", metavar="PRICE", help="limit price; a stop's trigger price")
    order.add_argument(
        "--reduce-only", action="store_true", help="the order may only shrink a position"
    )
    order.add_argument(
        "--state",
        metavar="FILE",
        help="books, market and controls: a file with `given`, or FILE:NAME of a policy test",
    )
    order.add_argument("--at", metavar="TIME", help="when it is asked, as 2026-01-31T08:00:00Z")
    kept = parser.add_argument_group("an order that was decided before")
    kept.add_argument("--dry-run", type=Path, metavar="DIR", help="results of a dry run")
    kept.add_argument("--row", type=int, metavar="N", help="a row of its decisions, from 1")
    kept.add_argument("--order-id", metavar="ID", help="the order of that id, in place of a row")
    kept.add_argument("--mode", choices=("propagated", "frozen"), help="which of its modes")
    kept.add_argument(
        "--side-of", choices=("head", "base"), default="head", help="which side (head)"
    )
    kept.add_argument("--audit", type=Path, metavar="LOG", help="an audit log's directory")
    kept.add_argument("--id", metavar="ID", help="a decision's id or its number in the log")
    kept.add_argument("--store", type=Path, metavar="DIR", help="policy sets that the log lacks")
    parser.add_argument(
        "--policies",
        metavar="SPEC",
        help="a directory, a file, git:REF or git:REF:PATH; `policies` where not given",
    )
    parser.add_argument(
        "--gate",
        default="",
        metavar="NAME",
        help="explain the gates of this name alone, or `level.name`",
    )
    parser.add_argument(
        "--why-not", metavar="SIZE", help="say what would have to change for this size to pass"
    )
    parser.add_argument(
        "--format",
        choices=("text", "json", "markdown"),
        default="text",
        help="how it is printed; `json` has the shape of schemas/explanation.v1.schema.json",
    )
    parser.add_argument(
        "--json",
        dest="format",
        action="store_const",
        const="json",
        default="text",
        help="the same as --format json",
    )
    parser.set_defaults(run=run)


def run(given: argparse.Namespace, clock: Clock = SYSTEM_CLOCK) -> int:
    """Print the explanation; 0 whatever was decided."""
    form = given.format
    _check(given)
    if given.dry_run is not None:
        told = _kept(given, _of_dry_run(given, form))
    elif given.audit is not None:
        told = _kept(given, _of_audit(given, form))
    else:
        told = _asked(given, clock)
    if form == "json":
        from ringfence.review.explaining.explanation_data import explanation_data

        print_json(explanation_data(told))
    elif form == "markdown":
        from ringfence.review.explaining.explanation_words import explanation_markdown

        print(explanation_markdown(told), end="")
    else:
        _print(told)
    return 0


def _check(given: argparse.Namespace) -> None:
    """Refuse what does not go together."""
    flags = [f"--{name}" for name in _FLAGS if getattr(given, name) is not None]
    flags += ["--reduce-only"] if given.reduce_only else []
    flags += ["--state"] if given.state is not None else []
    flags += ["--at"] if given.at is not None else []
    flags += ["ORDER"] if given.order is not None else []
    kept = [f"--{name}" for name in ("dry-run", "audit") if getattr(given, name.replace("-", "_"))]
    if len(kept) > 1 or (kept and flags):
        both = f"{kept[0]}` and `{(kept[1:] + flags)[0]}"
        raise InputError(f"`{both}` each name an order", "give one of them")
    if given.dry_run is not None and (given.row is None) == (given.order_id is None):
        raise InputError("`--dry-run` needs one row", "give --row N or --order-id ID")
    if given.audit is not None and given.id is None:
        raise InputError("`--audit` needs one decision", "give its --id")
    if given.audit is not None and given.policies is not None:
        raise InputError(
            "the policies of a recorded decision are those of its log",
            "leave --policies out; --store names where else the set may be",
        )
    alone = {
        "row": "dry_run",
        "order_id": "dry_run",
        "mode": "dry_run",
        "id": "audit",
        "store": "audit",
    }
    for name, needs in alone.items():
        if getattr(given, name) is not None and getattr(given, needs) is None:
            flag = name.replace("_", "-")
            raise InputError(f"`--{flag}` goes with `--{needs.replace('_', '-')}`", "give both")


def _asked(given: argparse.Namespace, clock: Clock) -> "Explanation":
    from ringfence.review.explaining.asked_orders import Asked, asked_case, read_asked
    from ringfence.review.explaining.explanation import Origin
    from ringfence.runtime.revisions import link_spec

    asked = read_asked(given.order) if given.order is not None else Asked()
    if given.state is not None:
        state = read_asked(given.state)
        # Of a test, its order alone; the policy that it brings is still asked.
        asked = replace(state, when=asked.when, own=asked.own or state.own)
    when: dict[str, Any] = {
        name: getattr(given, name) for name in _FLAGS if getattr(given, name) is not None
    }
    if given.reduce_only:
        when["reduce_only"] = True
    own = asked.own is not None and given.policies is None
    linked = asked.own if own and asked.own is not None else link_spec(given.policies or "policies")
    moment: str | int = clock.now_ns()
    if given.at is not None:
        try:
            moment = to_ns(given.at)
        except ValueError as error:
            raise InputError(str(error), fix="write --at 2026-01-31T08:00:00Z") from None
        asked = replace(asked, given={**asked.given, "clock": moment})
    case = asked_case(asked, linked, when, moment)
    return _explained(given, linked, case, Origin(asked.kind, asked.told), mandatory=not own)


def _kept(given: argparse.Namespace, kept: "tuple[LinkedSet, Case, Origin]") -> "Explanation":
    linked, case, origin = kept
    return _explained(given, linked, case, origin, mandatory=True)


def _of_dry_run(given: argparse.Namespace, form: str) -> "tuple[LinkedSet, Case, Origin]":
    from ringfence.cli.dry_run import progress_bar
    from ringfence.review.explaining.explanation import Origin
    from ringfence.review.explaining.kept_orders import from_dry_run

    with compiling_is_said(json=form == "json"), progress_bar() as progress:
        kept = from_dry_run(
            given.dry_run,
            row=given.row,
            order_id=given.order_id,
            mode=given.mode,
            side=given.side_of,
            policies=given.policies,
            progress=progress,
        )
    return kept.linked, kept.case, Origin("dry-run", kept.told, kept.checks)


def _of_audit(given: argparse.Namespace, form: str) -> "tuple[LinkedSet, Case, Origin]":
    from ringfence.review.explaining.explanation import Origin
    from ringfence.review.explaining.kept_orders import from_audit

    with compiling_is_said(json=form == "json"):
        kept = from_audit(given.audit, given.id, given.store)
    return kept.linked, kept.case, Origin("audit", kept.told, kept.checks)


def _explained(
    given: argparse.Namespace,
    linked: "LinkedSet",
    case: "Case",
    origin: "Origin",
    *,
    mandatory: bool,
) -> "Explanation":
    from ringfence.review.explaining.explanation import explain
    from ringfence.review.explaining.why_not import why_not

    told = explain(linked, case, check_mandatory=mandatory, only=given.gate, origin=origin)
    if given.why_not is None:
        return told
    return replace(told, why_not=why_not(linked, case, given.why_not, check_mandatory=mandatory))


def _print(told: "Explanation") -> None:
    from ringfence.review.explaining.explanation_words import explanation_lines

    if not sys.stdout.isatty():
        for text, _ in explanation_lines(told):
            print(text)
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    for text, style in explanation_lines(told):
        console.print(Text(text, style=style))
