"""`ringfence plan`: what a change of policies does, in trading terms, and what it needs."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ringfence.cli.approvals import (
    APPROVALS,
    add_approvals,
    approvals_given,
    file_at,
    revision_of,
    shown_as,
)
from ringfence.cli.dry_run import (
    add_inputs,
    amount_given,
    halts_of,
    progress_bar,
    refuse_none_replayed,
    workers_of,
)
from ringfence.cli.moment import add_now, now_given
from ringfence.cli.output import compiling_is_said, print_json
from ringfence.errors import InputError, reason_of

if TYPE_CHECKING:
    from ringfence.review.lost_checks import LostCheck
    from ringfence.review.plan import Side

__all__ = [
    "add",
    "plan_of",
    "refuse_without_orders",
]

_FORMS = ("text", "json", "markdown", "github", "sarif", "junit")
_POLICIES = "policies"
# What is read beside orders, and by whom a plan is approved, as the arguments are called.
_OF_ORDERS = (
    "fills",
    "marks",
    "balances",
    "instruments",
    "mapping",
    "marks_mapping",
    "equity",
    "halts_until",
    "workers",
)
_OF_APPROVALS = ("approved_by", "approvals_from", "author", "approvals", "commit")


def add(commands: Any) -> None:
    """Add the command's arguments."""
    parser = commands.add_parser(
        "plan",
        help="what a change of policies does: limits, directions, a dry run of both sides, approvals",
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--base",
        metavar="REF",
        help="what is changed: a branch, tag or commit, a directory, or git:REF:PATH",
    )
    what.add_argument("--show", type=Path, metavar="FILE", help="show a saved plan again")
    parser.add_argument(
        "--head",
        metavar="DIR|REF",
        help="what it becomes; the policies of the working tree where not given",
    )
    parser.add_argument(
        "--policies", default=_POLICIES, metavar="DIR", help="where policies lie in the repository"
    )
    add_inputs(parser, required=False)
    add_now(parser)
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="write the report, the comment and the dry run there",
    )
    parser.add_argument(
        "-o", dest="save", type=Path, metavar="FILE", help="save the plan, for `ringfence apply`"
    )
    add_approvals(parser)
    parser.add_argument(
        "--check-approvals", action="store_true", help="end with 1 where approvals are missing"
    )
    parser.add_argument(
        "--detailed-exitcode",
        action="store_true",
        help="end with 0 where nothing changes, 2 where something does, 1 on any error",
    )
    parser.add_argument(
        "--format",
        choices=_FORMS,
        default="text",
        help="how the plan is printed; `json` has the shape of schemas/plan.v1.schema.json, `markdown` is a "
        "comment for a pull request; `github`, `sarif` and `junit` tell what is looser or may be, each on its line",
    )
    parser.add_argument(
        "--json", dest="format", action="store_const", const="json", default="text",
        help="the same as --format json",
    )  # fmt: skip
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Make a plan and show it; the exit code is that of its options."""
    try:
        _check_together(given)
        return _show(given) if given.show is not None else _plan(given)
    except InputError as error:
        if not given.detailed_exitcode:
            raise
        # 2 means that something changes.
        print(f"ringfence: {error.message}\n  fix: {error.fix}", file=sys.stderr)
        return 1


def _check_together(given: argparse.Namespace) -> None:
    """Refuse options that would change nothing: whoever gives them believes that they do.

    Raises:
        InputError: with the first of them.
    """
    read = [name for name in _OF_ORDERS if _is_given(given, name)]
    if given.show is not None:
        making = ("head", "orders", "now", "out", "save", *_OF_ORDERS, *_OF_APPROVALS)
        for name in making:
            if name in read or _is_given(given, name):
                raise InputError(
                    f"`--show` shows a plan as it was saved, and `{_option(name)}` changes how one is made",
                    "leave it out, or make the plan anew: ringfence plan --base REF",
                )
    elif given.orders is None:
        refuse_without_orders(given)


def refuse_without_orders(given: argparse.Namespace) -> None:
    """Refuse options that say how orders are replayed, for there are none.

    Raises:
        InputError: with the first of them.
    """
    for name in _OF_ORDERS:
        if _is_given(given, name):
            raise InputError(
                f"`{_option(name)}` goes with `--orders`: without orders nothing is replayed",
                "give both",
            )


def _is_given(given: argparse.Namespace, name: str) -> bool:
    return getattr(given, name) not in (None, "", [], APPROVALS)


def _option(name: str) -> str:
    return "-o" if name == "save" else f"--{name.replace('_', '-')}"


def _show(given: argparse.Namespace) -> int:
    from ringfence.review.plan_file import load_plan

    plan = load_plan(given.show).plan
    _print(plan, given, {})
    return _code(plan, given)


def _plan(given: argparse.Namespace) -> int:
    if given.save is not None:
        _refuse_to_look_past(given)
    plan, written, base, head = plan_of(given)
    if given.save is not None:
        from ringfence.review.plan_file import save_plan

        save_plan(given.save, plan, base.linked, head.linked)
        written = {**written, "plan": given.save}
    _print(plan, given, {name: str(path) for name, path in written.items()})
    if plan["dry_run"] is not None and plan["dry_run"]["interrupted"]:
        return 130
    return _code(plan, given)


def _refuse_to_look_past(given: argparse.Namespace) -> None:
    """Refuse a plan that could be applied before the time from which on it looks at orders.

    Raises:
        InputError: with that time.
    """
    from ringfence.runtime.ports import SYSTEM_CLOCK

    if now_given(given) > SYSTEM_CLOCK.now_ns():
        raise InputError(
            f"a plan that is saved can be applied at once, and as of `--now {given.now}` it says nothing of the orders "
            "until then",
            "leave out `--now`, or `-o`",
        )


def plan_of(given: argparse.Namespace) -> "tuple[dict[str, Any], dict[str, Path], Side, Side]":
    """Make the plan that the command's arguments ask for.

    Returns:
        The plan, the files that were written, by what they hold, and both sides.

    Raises:
        InputError: a side, the orders or who approves cannot be read.
        PolicyError: with every finding of a side.
    """
    equity = amount_given(given.equity)
    from ringfence.review.directed_changes import review_of
    from ringfence.review.plan import make_plan
    from ringfence.runtime.garbage import no_collection

    # Of large sets, all of which stay.
    with no_collection():
        base, head = _sides(given)
        review = review_of(base.linked, head.linked, since_ns=now_given(given))
    approvals = approvals_given(given, base, head)
    checks = _lost_checks(base, head)
    summary: dict[str, Any] | None = None
    written: dict[str, Path] = {}
    if given.orders is not None:
        summary, written = _dry_run(given, base, head, equity)
    plan = make_plan(base, head, approvals, summary, review=review, checks=checks)
    if given.out is not None:
        written = {**written, **_write(given.out, plan)}
    return plan, written, base, head


def _code(plan: dict[str, Any], given: argparse.Namespace) -> int:
    if given.check_approvals and not plan["approvals"]["complete"]:
        return 1
    return 2 if given.detailed_exitcode and (plan["changes"] or plan["checks"]) else 0


def _sides(given: argparse.Namespace) -> "tuple[Side, Side]":
    from ringfence.review.plan import Side
    from ringfence.runtime.commits import commit_holding, commit_of
    from ringfence.runtime.revisions import link_spec

    found = []
    for text in (given.base, given.head or given.policies):
        spec = _spec(text, given.policies)
        linked = link_spec(spec, None, given.policies)
        if spec.startswith("git:"):
            commit = commit_of(spec.split(":")[1])
        else:
            contents = [each.content for each in linked.documents.values()]
            commit = commit_holding(Path(spec), contents) if Path(spec).is_dir() else ""
        found.append(Side(linked, spec, commit))
    for side in found:
        if not side.linked.gates:
            raise InputError(
                f"`{side.source}` holds no policies", "name their directory by --policies"
            )
    return found[0], found[1]


def _spec(text: str, policies: str) -> str:
    """A directory or file as it is, and a revision with the place of the policies in it."""
    if text.startswith("git:"):
        return text if text.count(":") > 1 else f"{text}:{policies}"
    return text if Path(text).exists() else f"git:{text}:{policies}"


def _lost_checks(base: "Side", head: "Side") -> "list[LostCheck]":
    """What is checked no more, or less strictly: invariants, cases, and what the desk has settled.

    Raises:
        PolicyError: with every finding in the settings of a side.
    """
    from ringfence.review.lost_cases import lost_cases
    from ringfence.review.lost_checks import lost_invariants, weaker_settings
    from ringfence.review.mistakes.settings import SETTINGS, Settings, read_settings

    settled = []
    for side in (base, head):
        content = file_at(SETTINGS, revision_of(side))
        shown = shown_as(SETTINGS, side.source, revision_of(side))
        settled.append(Settings() if content is None else read_settings(content, shown))
    return [
        *lost_invariants(base.linked, head.linked),
        *lost_cases(base.linked, head.linked),
        *weaker_settings(*settled),
    ]


def _dry_run(
    given: argparse.Namespace, base: "Side", head: "Side", equity: float | None
) -> tuple[dict[str, Any], dict[str, Path]]:
    import tempfile

    from ringfence.replay.dry_run import Request, dry_run

    with tempfile.TemporaryDirectory(prefix="ringfence-plan-") as scratch:
        request = Request(
            orders=given.orders,
            fills=given.fills,
            marks=given.marks,
            balances=given.balances,
            policies=head.source,
            base=base.source,
            instruments=given.instruments,
            mapping=given.mapping,
            marks_mapping=given.marks_mapping,
            equity=equity,
            halts_until=halts_of(given),
            out=given.out or Path(scratch),
            workers=workers_of(given),
            report=given.out is not None,
            of_change=True,
        )
        with compiling_is_said(json=given.format == "json"), progress_bar() as progress:
            result = dry_run(request, progress)
    refuse_none_replayed(result.summary)
    return result.summary, dict(result.files) if given.out is not None else {}


def _write(out: Path, plan: dict[str, Any]) -> dict[str, Path]:
    from ringfence.review.plan_html import render_html
    from ringfence.review.plan_markdown import render_markdown
    from ringfence.runtime.ports import SYSTEM_FILES

    files = {
        "page": (out / "plan.html", render_html(plan)),
        "comment": (out / "plan.md", render_markdown(plan)),
    }
    try:
        out.mkdir(parents=True, exist_ok=True)
        for path, text in files.values():
            SYSTEM_FILES.write_atomic(path, text.encode("utf-8"))
    except OSError as error:
        reason = reason_of(error)
        raise InputError(
            f"`{out}` cannot be written: {reason}", "name another directory with --out"
        ) from None
    return {name: path for name, (path, _) in files.items()}


def _print(plan: dict[str, Any], given: argparse.Namespace, written: dict[str, str]) -> None:
    if given.format == "json":
        print_json(plan)
    elif given.format == "markdown":
        from ringfence.review.plan_markdown import render_markdown

        print(render_markdown(plan), end="")
    elif given.format in ("github", "sarif", "junit"):
        from ringfence.cli.output import show_findings
        from ringfence.review.plan_findings import plan_findings

        show_findings(plan_findings(plan), given.format, command="plan")
    else:
        from ringfence.cli.consoles import output_console
        from ringfence.review.plan_text import render_text

        render_text(plan, output_console(whole=True), written)
