"""What waits for a second person: `/v1/proposals`."""

from typing import Any

import msgspec
from litestar import Request, Router, delete, get, post
from litestar.params import FromPath

from ringfence.service.access.four_eyes import Proposal
from ringfence.service.access.rights import Principal, Right, needs
from ringfence.service.desk import Desk

__all__ = ["proposal_router"]


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


@get("/", guards=[needs(Right.LOOK)], sync_to_thread=False)
def proposals(request: Request[Principal, Any, Any]) -> ProposalList:
    """Everything that waits for a second person."""
    return ProposalList(list(_desk(request).access.four_eyes.pending()))


@post("/{proposal:str}/confirm", status_code=200, guards=[needs(Right.MANAGE)], sync_to_thread=True)
def confirm(proposal: FromPath[str], request: Request[Principal, Any, Any]) -> Confirmed:
    """Do what another person proposed; whoever proposed it cannot."""
    outcome = _desk(request).access.four_eyes.confirm(request.user, proposal)
    if outcome is None:
        return Confirmed(proposal, ok=True, result="released")
    return Confirmed(proposal, outcome.ok, outcome.result, outcome.policy_set, outcome.message)


@delete("/{proposal:str}", guards=[needs(Right.MANAGE)], sync_to_thread=True)
def withdraw(proposal: FromPath[str], request: Request[Principal, Any, Any]) -> None:
    """Take a proposal away; any person who might confirm it may."""
    _desk(request).access.four_eyes.withdraw(request.user, proposal)


def proposal_router() -> Router:
    """The routes of proposals."""
    return Router("/v1/proposals", route_handlers=[proposals, confirm, withdraw])


def _desk(request: Request[Principal, Any, Any]) -> Desk:
    desk: Desk = request.app.state.desk
    return desk
