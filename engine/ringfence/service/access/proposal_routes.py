"""What waits for a second person: `/v1/proposals`."""

import msgspec
from litestar import Router
from litestar.params import FromPath

from ringfence.service.access.four_eyes import Proposal
from ringfence.service.access.rights import Right
from ringfence.service.api.routes import Asking, desk_of, route

__all__ = ["proposal_router"]

_TAG = "proposals"


class ProposalList(msgspec.Struct):
    """Proposals that can be confirmed, the oldest first."""

    proposals: list[Proposal]


class Confirmed(msgspec.Struct):
    """What came of it.

    Attributes:
        result: `released`, or what came of a rollback, as in the audit log.
        ok: Whether it happened.
    """

    proposal: str
    ok: bool
    result: str
    policy_set: str = ""
    message: str = ""


@route("get", "/", Right.LOOK, summary="What waits for a second person", tag=_TAG, threaded=False)
def proposals(request: Asking) -> ProposalList:
    """Everything that waits for a second person."""
    return ProposalList(list(desk_of(request).access.four_eyes.pending()))


@route(
    "post",
    "/{proposal:str}/confirm",
    Right.MANAGE,
    summary="Confirm a proposal",
    tag=_TAG,
    errors=(404,),
    once=False,
)
def confirm(proposal: FromPath[str], request: Asking) -> Confirmed:
    """Do what another person proposed; whoever proposed it cannot."""
    outcome = desk_of(request).access.four_eyes.confirm(request.user, proposal)
    if outcome is None:
        return Confirmed(proposal, ok=True, result="released")
    return Confirmed(proposal, outcome.ok, outcome.result, outcome.policy_set, outcome.message)


@route(
    "delete",
    "/{proposal:str}",
    Right.MANAGE,
    summary="Withdraw a proposal",
    tag=_TAG,
    errors=(404,),
    status=204,
)
def withdraw(proposal: FromPath[str], request: Asking) -> None:
    """Take a proposal away; any person who might confirm it may."""
    desk_of(request).access.four_eyes.withdraw(request.user, proposal)


def proposal_router() -> Router:
    """The routes of proposals."""
    return Router("/v1/proposals", route_handlers=[proposals, confirm, withdraw])
