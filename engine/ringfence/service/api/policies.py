"""Policy sets: the one in force, those that were, what differs, and how one is replaced."""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from litestar import Response
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import JSONBody, PathParameter, QueryParameter

from ringfence.errors import InputError
from ringfence.reload.outcome import Outcome
from ringfence.review.effective_limits import effective_limits
from ringfence.runtime.audit_codec import plain
from ringfence.runtime.audit_decision import policy_set_body
from ringfence.service.access.four_eyes import Proposal
from ringfence.service.access.reasons import checked_reason
from ringfence.service.access.rights import Right
from ringfence.service.api.decisions import moment_of
from ringfence.service.api.order_bodies import Reason
from ringfence.service.api.problems import Problem
from ringfence.service.api.routes import Asking, desk_of, may_see, route, sees_all
from ringfence.service.api.told import moment, money
from ringfence.service.jobs import Jobs
from ringfence.service.policy_sets import ACTIVE, find_set, load_set, stores, write_files
from ringfence.service.shadows import set_shadow

__all__ = [
    "active_policies",
    "effective_policies",
    "policy_diff",
    "policy_history",
    "policy_set",
    "reload_policies",
    "rollback_policies",
    "shadow_policies",
    "stored_policies",
    "unpin_policies",
]

_TAG = "policies"
_DIFF_S = 120.0
_LONGEST_FINDING = 100
_SET_NAME = r"^(active|[0-9a-f]{4,64})$"
_SET_WORDS = "`active`, a SHA-256, or the first four digits of one or more."
SetName = Annotated[str, QueryParameter(pattern=_SET_NAME, description=_SET_WORDS)]
SetInPath = Annotated[
    str,
    PathParameter(
        pattern=r"^[0-9a-f]{4,64}$",
        description="A SHA-256, or the first four digits of one or more.",
    ),
]
WantedSet = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[0-9a-f]{4,64}$", description="A SHA-256, or the first four digits or more."
    ),
]
Name = Annotated[str, QueryParameter(max_length=200)]


class WhyBody(msgspec.Struct, forbid_unknown_fields=True):
    """Why it is asked for."""

    reason: Reason


class RollbackBody(msgspec.Struct, forbid_unknown_fields=True):
    """The set to go back to, and why."""

    policy_set: WantedSet
    reason: Reason


class ShadowBody(msgspec.Struct, forbid_unknown_fields=True):
    """The set that is to run beside the one in force, null to end it; and why."""

    policy_set: WantedSet | None
    reason: Reason


class ActiveBody(msgspec.Struct):
    """The set in force, where it comes from, and whether its source can be followed.

    `pinned` is the set that a person went back to, `shadow` the one that runs beside; both may be empty.
    `shadow_differences` counts decisions that the shadow would have made otherwise. `lease_s` is what is left of the
    lease, in seconds; null without one.
    """

    policy_set: str
    commit: str
    source: str
    since_ns: int
    since: str
    checked_ns: int
    checked: str | None
    ok: bool
    message: str
    fix: str
    pinned: str
    watching: bool
    trouble: str
    shadow: str
    shadow_differences: dict[str, int]
    lease_s: str | None


class OutcomeBody(msgspec.Struct):
    """What came of a look at the source, or of a person's request."""

    ok: bool
    result: str
    policy_set: str
    before: str
    at_ns: int
    at: str
    seconds: str
    by: str
    reason: str
    message: str
    fix: str
    findings: list[dict[str, Any]]
    about: dict[str, Any]


class HistoryBody(msgspec.Struct):
    """What happened to the policy set, the newest first."""

    outcomes: list[OutcomeBody]


class RolledBackBody(msgspec.Struct):
    """What came of it; or what waits for a second person."""

    outcome: OutcomeBody | None
    proposal: Proposal | None


class StoredBody(msgspec.Struct):
    """A set that can be gone back to; `damage` is empty where nothing is known against it."""

    policy_set: str
    at_ns: int
    at: str | None
    about: dict[str, Any]
    damage: str


class StoredSetsBody(msgspec.Struct):
    """Sets that were accepted, the newest first."""

    sets: list[StoredBody]


class SetBody(msgspec.Struct):
    """A set with the text of its files and its gates."""

    policy_set: str
    currency: str
    files: dict[str, str]
    gates: list[dict[str, Any]]


class DiffBody(msgspec.Struct):
    """What moves between two sets, and in which direction: as in a plan (`schemas/plan.v1.schema.json`).

    `direction` is that of the whole set, proved: `TIGHTER`, `LOOSER`, `EQUAL`, `INCOMPARABLE` or `UNKNOWN`.
    """

    base: dict[str, Any]
    head: dict[str, Any]
    direction: str
    blame: str
    looser: dict[str, Any] | None
    tighter: dict[str, Any] | None
    changes: list[dict[str, Any]]


class EffectiveBody(msgspec.Struct):
    """A limit that binds; `value` as people write it, `amount` in the set's currency or as a pure number."""

    gate: str
    rule: str
    policy: str
    level: str
    mode: str
    parameter: str
    value: str
    amount: str | None
    place: str
    override: bool
    ticket: str
    floor: bool
    tightest: bool


class EffectiveLimitsBody(msgspec.Struct):
    """Every limit that binds an order of this account and symbol."""

    policy_set: str
    currency: str
    limits: list[EffectiveBody]


@route("get", "/policies/active", Right.LOOK, summary="The set in force", tag=_TAG, threaded=False)
def active_policies(request: Asking) -> ActiveBody:
    """The policy set that decides, since when, and how its source is."""
    desk = desk_of(request)
    about, guard = desk.reloader.health(), desk.guard
    lease = guard.policy_lease_ns
    # The reloader knows nothing of the set that the guard was opened with.
    since_ns = about.since_ns or request.app.state["pulse"].loaded_ns
    return ActiveBody(
        guard.policy_set,
        about.commit,
        about.source,
        since_ns,
        moment(since_ns),
        about.checked_ns,
        moment(about.checked_ns) if about.checked_ns else None,
        about.ok,
        about.message,
        about.fix,
        about.pinned,
        about.watching,
        about.trouble,
        guard.shadow_set,
        guard.shadow_differences,
        None if lease is None else f"{lease / 1e9:.3f}",
    )


@route("get", "/policies", Right.LOOK, summary="Sets that can be gone back to", tag=_TAG)
def stored_policies(request: Asking) -> StoredSetsBody:
    """Every set that was accepted and is kept, the newest first."""
    kept, _ = stores(desk_of(request))
    return StoredSetsBody(
        [
            StoredBody(
                each.sha256,
                each.at_ns,
                moment(each.at_ns) if each.at_ns else None,
                plain(each.about),
                each.damage,
            )
            for each in kept.entries()
        ]
    )


@route("get", "/policies/history", Right.LOOK, summary="What happened to policies", tag=_TAG)
def policy_history(
    request: Asking,
    limit: Annotated[int, QueryParameter(ge=1, le=200, description="How many at most.")] = 50,
) -> HistoryBody:
    """What came of reloads and requests, the newest first, with the findings of those that failed."""
    found = desk_of(request).reloader.history[-limit:]
    return HistoryBody([_outcome(each) for each in reversed(found)])


@route(
    "get",
    "/policies/diff",
    Right.LOOK,
    summary="What differs between two sets",
    tag=_TAG,
    errors=(404,),
)
def policy_diff(request: Asking, base: SetName, head: SetName = ACTIVE) -> DiffBody:
    """Which limits move, tighter or looser, with an order that shows it. Takes some seconds, in a process of its own.

    An answer is kept: the same question is answered at once.
    """
    desk, jobs = desk_of(request), _jobs(request)
    sides = [_found(request, name) for name in (base, head)]
    known = next((each for each in jobs.all("plan") if each.about.get("sides") == sides), None)
    if known is None or known.state not in ("waiting", "running", "done"):
        name = jobs.new_name()
        folder = jobs.folder_of(name)
        specs = [
            write_files(load_set(desk, side), folder / word)
            for word, side in zip(("base", "head"), sides, strict=True)
        ]
        work = {"base": specs[0], "head": specs[1], "names": sides, "now_ns": desk.clock.now_ns()}
        known = jobs.start(name, "plan", request.user.name, {"sides": sides}, work)
    if not jobs.wait(known, _DIFF_S):
        raise Problem("conflict", "the proofs take long; ask again", headers={"retry-after": "30"})
    if known.result is None:
        about = known.problem or {}
        raise Problem("conflict", str(about.get("message")), fix=str(about.get("fix") or ""))
    return DiffBody(**known.result)


@route("get", "/policies/effective", Right.LOOK, summary="Limits that bind", tag=_TAG)
def effective_policies(
    request: Asking,
    account: Name,
    symbol: Name,
    strategy: Name = "",
    venue: Name = "",
    at: Annotated[
        str | None,
        QueryParameter(
            pattern=r"^([0-9]{1,19}|[0-9]{4}-.{6,40})$",
            description="A time, for overrides; now where it is not given.",
        ),
    ] = None,
) -> EffectiveLimitsBody:
    """Every limit that binds an order of this account and symbol, the tightest of each kind marked."""
    desk = desk_of(request)
    if not may_see(request.user, account):
        raise Problem("forbidden", f"`{account}` is not yours")
    linked = desk.guard.linked
    now = moment_of(at, "at")
    rows = effective_limits(
        linked, account, strategy, venue, symbol, desk.clock.now_ns() if now is None else now
    )
    return EffectiveLimitsBody(
        linked.sha256, linked.currency, [EffectiveBody(**_row(each)) for each in rows]
    )


@route("get", "/policies/{policy_set:str}", Right.LOOK, summary="A set", tag=_TAG, errors=(404,))
def policy_set(policy_set: SetInPath, request: Asking) -> SetBody:
    """The files and gates of a set, by its SHA-256 or the beginning of it."""
    desk = desk_of(request)
    found = load_set(desk, _found(request, policy_set))
    return SetBody(
        found.sha256,
        found.linked.currency,
        {path: content.decode("utf-8") for path, content in found.files.items()},
        policy_set_body(found.linked)["gates"],
    )


@route("post", "/policies/reload", Right.MANAGE, summary="Look at the source now", tag=_TAG)
def reload_policies(data: JSONBody[WhyBody], request: Asking) -> OutcomeBody:
    """Have the source looked at now, and what failed tried again. Where the new set fails, the last good one stays."""
    found = desk_of(request).reloader.reload(
        by=request.user.name, reason=checked_reason(data.reason)
    )
    return _outcome(found.told)


@route(
    "post",
    "/policies/rollback",
    Right.MANAGE,
    summary="Go back to a set",
    tag=_TAG,
    errors=(404,),
    more={
        202: ResponseSpec(
            RolledBackBody,
            generate_examples=False,
            description="Another person has to confirm it: POST /v1/proposals/{id}/confirm.",
        )
    },
)
def rollback_policies(data: JSONBody[RollbackBody], request: Asking) -> Response[RolledBackBody]:
    """Go back to a set, in the name of the one who asks, and stay there until the source holds something else than
    now. Where the settings say so, it happens once a second person confirmed it."""
    desk = desk_of(request)
    wanted = _found(request, data.policy_set)
    found = desk.access.four_eyes.rollback(request.user, wanted, data.reason)
    if isinstance(found, Outcome):
        return Response(RolledBackBody(_outcome(found.told), None))
    return Response(RolledBackBody(None, found), status_code=202)


@route("post", "/policies/unpin", Right.MANAGE, summary="Follow the source again", tag=_TAG)
def unpin_policies(data: JSONBody[WhyBody], request: Asking) -> OutcomeBody:
    """Follow the source again after a rollback."""
    found = desk_of(request).reloader.unpin(
        by=request.user.name, reason=checked_reason(data.reason)
    )
    return _outcome(found.told)


@route(
    "post",
    "/policies/shadow",
    Right.MANAGE,
    summary="Run a set in the shadow",
    tag=_TAG,
    errors=(404,),
)
def shadow_policies(data: JSONBody[ShadowBody], request: Asking) -> OutcomeBody:
    """Ask another whole set about each order as well; it decides nothing. Null ends it."""
    wanted = None if data.policy_set is None else _found(request, data.policy_set)
    return _outcome(
        set_shadow(desk_of(request), request.user.name, wanted, checked_reason(data.reason))
    )


def _jobs(request: Asking) -> Jobs:
    jobs: Jobs = request.app.state.jobs
    return jobs


def _found(request: Asking, name: str) -> str:
    sees_all(request.user)
    try:
        return find_set(desk_of(request), name)
    except InputError as error:
        raise Problem("not-found", error.message, fix=error.fix) from None


def _outcome(told: Mapping[str, Any]) -> OutcomeBody:
    return OutcomeBody(
        bool(told["ok"]),
        told["result"],
        told["policy_set"],
        told["before"],
        told["at_ns"],
        moment(told["at_ns"]),
        f"{told['seconds']:.3f}",
        told["by"],
        told["reason"],
        told["message"],
        told["fix"],
        [plain(dict(each)) for each in list(told["findings"])[:_LONGEST_FINDING]],
        plain(dict(told["about"])),
    )


def _row(row: dict[str, Any]) -> dict[str, Any]:
    amount = row["amount"]
    return {**row, "amount": None if amount is None else money(amount)}
