"""Kill switches: how each stands, setting one, and who did what."""

from typing import Annotated, Any, Literal

import msgspec
from litestar import Response
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import JSONBody, PathParameter, QueryParameter

from ringfence.runtime.kill_switches import Switch
from ringfence.service.access.four_eyes import Proposal
from ringfence.service.access.rights import Right
from ringfence.service.api.order_bodies import Reason
from ringfence.service.api.routes import Asking, desk_of, may_see, route
from ringfence.service.api.told import moment

__all__ = [
    "SwitchBody",
    "SwitchesBody",
    "kill_switch_history",
    "kill_switches",
    "set_kill_switch",
]

_TAG = "kill switches"
_ACCOUNT = "account/"
Limit = Annotated[int, QueryParameter(ge=1, le=1000, description="How many at most.")]


class SwitchSetting(msgspec.Struct, forbid_unknown_fields=True):
    """What a switch is to be set to, and why.

    With `rearm` the drawdown of the target's book counts from its present equity from now on; without it the peak
    stays, and a gate that halted the book halts it again with the next order.
    """

    state: Literal["active", "reducing", "halted"]
    reason: Reason
    rearm: bool = False


class SwitchBody(msgspec.Struct):
    """A switch. `reducing` lets only orders pass that reduce risk, `halted` none."""

    target: str
    state: str
    by: str
    reason: str
    at_ns: int
    at: str


class SwitchesBody(msgspec.Struct):
    """Switches; one that was never set is active, and stands here only where it was asked for."""

    switches: list[SwitchBody]
    unreconciled: list[str]


class SwitchedBody(msgspec.Struct):
    """The switch as it stands, null where it was never set; and what waits for a second person, if anything."""

    switch: SwitchBody | None
    proposal: Proposal | None


class SwitchHistoryBody(msgspec.Struct):
    """What happened to switches, the newest first."""

    changes: list[SwitchBody]


@route(
    "get", "/kill-switches", Right.LOOK, summary="How every switch stands", tag=_TAG, threaded=False
)
def kill_switches(request: Asking) -> SwitchesBody:
    """Every switch that was ever set, with who set it last, when and why; and the accounts that wait for a
    reconciliation, which take only orders that reduce risk."""
    guard = desk_of(request).guard
    return SwitchesBody(
        [_told(each) for each in guard.kill_switches if _is_seen(request, each.target)],
        sorted(each for each in guard.unreconciled if may_see(request.user, each)),
    )


@route(
    "get",
    "/kill-switches/history",
    Right.LOOK,
    summary="Who switched what",
    tag=_TAG,
)
def kill_switch_history(request: Asking, limit: Limit = 100) -> SwitchHistoryBody:
    """Changes of switches out of the newest records of the audit log, the newest first."""
    request.app.state.hub.look()
    found = request.app.state.hub.recent("switch", limit, lambda body: _seen_fields(request, body))
    return SwitchHistoryBody([_told(_switch_of(each)) for each in found])


def _switch_of(record: Any) -> Switch:
    """A switch as a record of its change tells it."""
    target, state, by, reason = record.body["switch"]
    return Switch(target, state, by, reason, record.ts_ns)


@route(
    "put",
    "/kill-switches/{target:path}",
    Right.MANAGE,
    summary="Set a switch",
    tag=_TAG,
    more={
        202: ResponseSpec(
            SwitchedBody,
            generate_examples=False,
            description="Another person has to confirm it: POST /v1/proposals/{id}/confirm.",
        )
    },
)
def set_kill_switch(
    target: Annotated[
        str,
        PathParameter(
            description="`firm`, or `account/`, `strategy/`, `venue/` or `symbol/` with a name.",
        ),
    ],
    data: JSONBody[SwitchSetting],
    request: Asking,
) -> Response[SwitchedBody]:
    """Set a switch, in the name of the one who asks. It stays so, restarts included, until somebody sets it anew.

    A stricter state holds at once; a looser one only once it is recorded, and, where the settings say so, once a
    second person confirmed it.
    """
    desk, name = desk_of(request), target.strip("/")
    proposal = desk.access.four_eyes.set_kill_switch(
        request.user, name, data.state, data.reason, rearm=data.rearm
    )
    found = next((_told(each) for each in desk.guard.kill_switches if each.target == name), None)
    return Response(SwitchedBody(found, proposal), status_code=200 if proposal is None else 202)


def _is_seen(request: Asking, target: str) -> bool:
    return not target.startswith(_ACCOUNT) or may_see(request.user, target.removeprefix(_ACCOUNT))


def _seen_fields(request: Asking, body: dict[str, list[str]]) -> bool:
    return _is_seen(request, body["switch"][0])


def _told(switch: Switch) -> SwitchBody:
    return SwitchBody(
        switch.target, switch.state, switch.by, switch.reason, switch.at_ns, moment(switch.at_ns)
    )
