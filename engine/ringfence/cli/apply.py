"""`ringfence apply`: puts a saved plan into force, if it still fits what is active and is approved."""

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ringfence.cli.approvals import add_approvals, given_people, rules_of
from ringfence.cli.moment import seconds_given
from ringfence.cli.output import print_json
from ringfence.errors import InputError, RingfenceError
from ringfence.language.scalars import NOT_PRINTABLE

if TYPE_CHECKING:
    from ringfence.review.plan_file import SavedPlan
    from ringfence.runtime.policy_set import PolicySet

__all__ = ["add"]

_SCHEMA = "ringfence/apply/v1"
_SHOWN = 12


class _Outcome(NamedTuple):
    """What came of it, as `schemas/apply.v1.schema.json` has it; `moved` is what stands in the way."""

    result: str
    before: str
    why: str = ""
    moved: tuple[dict[str, Any], ...] = ()
    missing: tuple[str, ...] = ()
    answer: dict[str, Any] | None = None


def add(commands: Any) -> None:
    """Add the command's arguments."""
    parser = commands.add_parser(
        "apply",
        help="put a saved plan into force: tell a running guard, or write the active pointer",
    )
    parser.add_argument("plan", type=Path, metavar="FILE", help="what `ringfence plan -o` wrote")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument(
        "--store",
        type=Path,
        metavar="DIR",
        help="the policy store of the guard's reloader, as of `ringfence reload`",
    )
    where.add_argument("--pointer", type=Path, metavar="FILE", help="the active pointer, a file")
    parser.add_argument(
        "--head",
        metavar="SPEC",
        help="where the files of the head are now; the plan's own place where not given",
    )
    parser.add_argument("--by", default="", metavar="NAME", help="who applies it; required")
    parser.add_argument("--reason", default="", metavar="TEXT", help="why; required")
    parser.add_argument(
        "--timeout", type=float, default=300.0, metavar="SECONDS",
        help="how long to wait for the guard; a set with rules of its own may have to be compiled",
    )  # fmt: skip
    add_approvals(parser)
    parser.add_argument(
        "--json",
        action="store_true",
        help="print what came of it as JSON: schemas/apply.v1.schema.json",
    )
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Apply a plan; 0 where it is in force, 1 where it was refused."""
    if not given.by.strip() or not given.reason.strip():
        raise InputError("who applies it, and why?", "add --by NAME --reason TEXT")
    from ringfence.review.plan_file import load_plan

    saved = load_plan(given.plan)
    outcome = _to_guard(given, saved) if given.store is not None else _to_pointer(given, saved)
    head = saved.plan["head"]["policy_set"]
    if given.json:
        told = {"schema": _SCHEMA, "policy_set": head, **outcome._asdict()}
        print_json({**told, "moved": list(outcome.moved), "missing": list(outcome.missing)})
    else:
        _tell(outcome, head)
    return 1 if outcome.result == "refused" else 0


def _to_guard(given: argparse.Namespace, saved: "SavedPlan") -> _Outcome:
    from ringfence.reload.asking import ask, running_control
    from ringfence.reload.control import Request
    from ringfence.runtime.policy_store import PolicyStore
    from ringfence.runtime.ports import SYSTEM_CLOCK, SYSTEM_RANDOM

    seconds = seconds_given(given)
    control = running_control(given.store)
    active = str((control.status() or {}).get("policy_set") or "")
    head, base = saved.head.sha256, saved.base.sha256
    if active == head:
        return _Outcome("already", active)
    if active != base:
        return _moved(saved, active, lambda: PolicyStore(given.store).load(active))
    if refused := _refused(given, saved, active):
        return refused
    now = SYSTEM_CLOCK.now_ns()
    about = {
        "at_ns": now,
        "by": given.by,
        "reason": given.reason,
        "place": saved.plan["head"]["source"],
    }
    # The guard takes it from there by its hash: nobody can slip in other files.
    PolicyStore(control.shadows).put(saved.head, about)
    request = Request(
        SYSTEM_RANDOM.token(8),
        "apply",
        head,
        given.by,
        given.reason,
        now + int(seconds * 1e9),
        base,
    )
    answer = ask(control, request, seconds)
    if not answer.get("ok") or answer.get("policy_set") != head:
        why = str(answer.get("message") or f"the guard says {answer.get('result')}")
        return _Outcome("refused", active, why, answer=answer)
    return _Outcome("applied", active, answer=answer)


def _to_pointer(given: argparse.Namespace, saved: "SavedPlan") -> _Outcome:
    from ringfence.reload.active_pointer import ActivePointer, point, read_pointer
    from ringfence.review.plan import moment_text
    from ringfence.runtime.policy_set import PolicySet
    from ringfence.runtime.ports import SYSTEM_CLOCK
    from ringfence.runtime.revisions import link_spec

    standing = read_pointer(given.pointer)
    active = "" if standing is None else standing.policy_set
    head, base = saved.plan["head"], saved.base.sha256
    if active == head["policy_set"]:
        return _Outcome("already", active)
    if standing is not None and active != base:
        return _moved(
            saved, active, lambda: PolicySet(link_spec(_spec_of(standing.source, standing.commit)))
        )
    if refused := _refused(given, saved, active):
        return refused
    pointer = ActivePointer(
        head["policy_set"], head["commit"], head["source"], moment_text(SYSTEM_CLOCK.now_ns()),
        given.by, given.reason, active,
    )  # fmt: skip
    if not point(given.pointer, pointer, lambda found: found == standing):
        return _Outcome(
            "refused", active, "the pointer was written by another meanwhile: run it again"
        )
    return _Outcome("applied", active)


def _moved(saved: "SavedPlan", active: str, load: Any) -> _Outcome:
    """The plan is of another set than the active one: what is not the same."""
    why = f"policy set {active[:_SHOWN]} is active, and not {saved.base.sha256[:_SHOWN]}, which the plan changes"
    try:
        found: PolicySet = load()
    except RingfenceError:
        return _Outcome("refused", active, f"{why}; what it holds cannot be read")
    if found.sha256 != active:
        return _Outcome("refused", active, f"{why}; what it held is not there any more")
    return _Outcome("refused", active, why, tuple(_differences(saved.base, found)))


def _differences(one: "PolicySet", other: "PolicySet") -> Iterable[dict[str, Any]]:
    from ringfence.review.limit_changes import limit_changes

    for change in limit_changes(one.linked, other.linked):
        for move in change.moves:
            yield {
                "policy": change.policy,
                "gate": change.gate,
                "what": " ".join(part for part in (move.what, move.name) if part),
                "old": move.old,
                "new": move.new,
            }


def _refused(given: argparse.Namespace, saved: "SavedPlan", active: str) -> _Outcome | None:
    """Why the plan may not be applied, though its base is what is active; None where it may."""
    from ringfence.runtime.policy_set import PolicySet
    from ringfence.runtime.revisions import link_spec

    head = saved.plan["head"]
    committed = head["commit"] if head["source"].startswith("git:") else ""
    spec = given.head or _spec_of(head["source"], committed)
    now = PolicySet(link_spec(spec))
    if now.sha256 != saved.head.sha256:
        why = f"the files of `{spec}` make policy set {now.sha256[:_SHOWN]}, and not the plan's {saved.head.sha256[:_SHOWN]}"
        return _Outcome("refused", active, why, tuple(_differences(saved.head, now)))
    missing = _missing(given, saved)
    if missing:
        return _Outcome("refused", active, "approvals are missing", missing=missing)
    return None


def _spec_of(source: str, commit: str) -> str:
    """Where a set was read from, at its commit and not where a branch is now."""
    path = source.removeprefix("git:").partition(":")[2] if source.startswith("git:") else source
    return f"git:{commit}:{path}" if commit else source


def _missing(given: argparse.Namespace, saved: "SavedPlan") -> tuple[str, ...]:
    """Approvals that are missing, by the rules of the base, with those that the plan has and those given now.

    Raises:
        InputError: other rules are named than those that the plan was judged by.
    """
    from ringfence.review.approval_rules import Asked
    from ringfence.review.given_approvals import standing
    from ringfence.review.limit_changes import limit_changes

    plan, approvals = saved.plan, saved.plan["approvals"]
    former = {
        (each.policy, each.gate, each.kind): (each.former_policy, each.former_gate)
        for each in limit_changes(saved.base.linked, saved.head.linked)
    }
    asked = [
        Asked(
            each["direction"],
            tuple(each["levels"]),
            each["policy"],
            each["gate"],
            *former.get((each["policy"], each["gate"], each["kind"]), ()),
        )
        for each in plan["changes"]
    ]
    asked += [Asked(each["direction"], tuple(each["levels"])) for each in plan["checks"]]
    if approvals["rules_changed"]:
        asked.append(Asked("UNKNOWN", ("firm",)))
    people, left_out = given_people(given, given.commit or plan["head"]["commit"])
    people += [person for need in approvals["needs"] for person in need["given"]]
    base = plan["base"]
    committed = base["commit"] if base["source"].startswith("git:") else ""
    rules = rules_of(given.approvals, base["source"], committed)
    if rules.source != approvals["source"]:
        # A slip in the file's name must not put others in the place of those who have to approve.
        raise InputError(
            f"the plan was judged by {approvals['source']}, and not by {rules.source}",
            "name the same file with --approvals, or make the plan again",
        )
    found = standing(rules, asked, people, [*approvals["authors"], *given.author], left_out)
    return tuple(
        f"{each.missing} of {each.group}, {len(each.given)} of {each.needed} given"
        for each in found.needs
        if each.missing
    )


def _tell(outcome: _Outcome, head: str) -> None:
    shown = head[:_SHOWN]
    if outcome.result == "already":
        print(f"policy set {shown} is in force already")
        return
    if outcome.result == "applied":
        before = f", in place of {outcome.before[:_SHOWN]}" if outcome.before else ""
        print(f"policy set {shown} is in force{before}")
        return
    _line(f"refused: {outcome.why}")
    for each in outcome.missing:
        _line(f"  missing: {each}")
    for move in outcome.moved[:50]:
        subject = (
            "/".join(part for part in (move["policy"], move["gate"]) if part)
            or "beside the policies"
        )
        _line(
            f"  {subject}: {move['what']} {move['old'] or 'nothing'} -> {move['new'] or 'nothing'}"
        )
    if len(outcome.moved) > 50:
        _line(f"  ... and {len(outcome.moved) - 50} more")
    if outcome.answer and outcome.answer.get("fix"):
        _line(f"  fix: {outcome.answer['fix']}")


def _line(text: str) -> None:
    print(NOT_PRINTABLE.sub("\ufffd", text.replace("\n", " ")))
