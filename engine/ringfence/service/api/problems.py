"""What goes wrong, as problem details (RFC 9457): one kind of problem, one stable `type`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException

from ringfence.errors import (
    ApprovalError,
    AuditError,
    ExchangeError,
    InputError,
    LedgerError,
    PolicyError,
    RingfenceError,
    StateError,
)
from ringfence.runtime.ports import SYSTEM_RANDOM

__all__ = [
    "KINDS",
    "MEDIA_TYPE",
    "Fault",
    "Kind",
    "Problem",
    "ProblemBody",
    "answer_problem",
    "status_of",
]

MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of problem.

    Attributes:
        name: Ends its `type`; never changes.
        status: Of the answer.
        title: What it is, in a few words.
        fix: What whoever asked can do.
    """

    name: str
    status: int
    title: str
    fix: str

    @property
    def type(self) -> str:
        """The URI that names it."""
        return f"urn:ringfence:problem:{self.name}"


KINDS: dict[str, Kind] = {
    each.name: each
    for each in (
        Kind("malformed-json", 400, "the body is no JSON", "send one JSON value in UTF-8"),
        Kind(
            "malformed-arrow",
            400,
            "the body is no whole Arrow IPC stream",
            "send what a writer of Arrow's streaming format has written to its end",
        ),
        Kind(
            "invalid-parameter",
            400,
            "a parameter of the address or a header cannot be used",
            "see `errors`, and the description of the route in `/schema/openapi.json`",
        ),
        Kind(
            "unauthenticated",
            401,
            "nobody is known to be asking",
            "send `Authorization: Bearer TOKEN`; `ringfence token` makes one",
        ),
        Kind(
            "forbidden",
            403,
            "the one who asks may not do this",
            "ask with a role, or for an account, that may",
        ),
        Kind("not-found", 404, "there is no such thing", "see that the name is right"),
        Kind(
            "method-not-allowed",
            405,
            "the route does not take this method",
            "use one of the methods in the `Allow` header",
        ),
        Kind(
            "conflict",
            409,
            "what is asked for does not go with how things are",
            "look at how things are, and ask for what fits",
        ),
        Kind(
            "invalid-policies",
            409,
            "a policy set has faults",
            "see `errors`: each is a finding of `ringfence validate`",
        ),
        Kind(
            "approval-refused",
            409,
            "the gateway does not honour the approval; nothing was sent",
            "have a new order decided, under a new `client_order_id`",
        ),
        Kind(
            "idempotency-running",
            409,
            "a request with this `Idempotency-Key` is still being answered",
            "wait, then send the same request again",
        ),
        Kind(
            "idempotency-unknown",
            409,
            "the service ended while a request with this `Idempotency-Key` was being answered",
            "look whether it took effect; to have it done, send it with a new key",
        ),
        Kind("body-too-large", 413, "the body is too large", "send it in smaller parts"),
        Kind(
            "unsupported-media-type",
            415,
            "the body is of another media type than the route takes",
            "send one of the media types that `/schema/openapi.json` names for the route",
        ),
        Kind(
            "invalid-body",
            422,
            "the body can be read, but is not what the route takes",
            "see `errors`: each names the place by a JSON pointer",
        ),
        Kind(
            "idempotency-mismatch",
            409,
            "this `Idempotency-Key` was used for another request",
            "give each request a key of its own",
        ),
        Kind("too-many-requests", 429, "too many requests", "wait as long as `Retry-After` says"),
        Kind(
            "internal",
            500,
            "the service failed",
            "tell the operator the `request_id`; before sending an order anew, look what became of it",
        ),
        Kind(
            "exchange-unavailable",
            502,
            "the exchange could not be asked",
            "see what became of the order before sending it anew",
        ),
        Kind(
            "unavailable",
            503,
            "the service cannot answer this now",
            "wait as long as `Retry-After` says, and see `/health`",
        ),
        Kind(
            "audit-unavailable",
            503,
            "the audit log cannot be written or read",
            "see to the disk of the log; orders are rejected meanwhile",
        ),
        Kind(
            "state-unavailable",
            503,
            "the guard's state cannot be written or reached",
            "see to its disk or its store; orders are rejected meanwhile",
        ),
    )
}

_BY_STATUS = {
    400: "invalid-parameter",
    401: "unauthenticated",
    403: "forbidden",
    404: "not-found",
    405: "method-not-allowed",
    409: "conflict",
    413: "body-too-large",
    415: "unsupported-media-type",
    422: "invalid-body",
    429: "too-many-requests",
    503: "unavailable",
}
# The first that fits: a subclass stands before its base.
_BY_ERROR: tuple[tuple[type[RingfenceError], str], ...] = (
    (LedgerError, "conflict"),
    (AuditError, "audit-unavailable"),
    (StateError, "state-unavailable"),
    (ApprovalError, "approval-refused"),
    (ExchangeError, "exchange-unavailable"),
    (PolicyError, "invalid-policies"),
    (InputError, "conflict"),
)


class Fault(msgspec.Struct, omit_defaults=True):
    """One thing that is wrong: a place in the body by its JSON pointer, or a parameter by its name."""

    detail: str
    pointer: str | None = None
    parameter: str | None = None
    code: str | None = None


class ProblemBody(msgspec.Struct, omit_defaults=True):
    """Problem details, RFC 9457; `docs/reference/http-problems.md` lists every `type`."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    fix: str
    request_id: str
    errors: list[Fault] = []


class Problem(HTTPException):
    """A problem to be answered.

    Args:
        name: Of its kind, a key of `KINDS`.
        detail: What is wrong this time.
        fix: What to do, where that is more than the kind says.
        errors: Each place that is wrong.
        headers: For the answer.
    """

    def __init__(
        self,
        name: str,
        detail: str,
        *,
        fix: str = "",
        errors: Sequence[Fault] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.kind = KINDS[name]
        self.fix, self.errors = fix, list(errors)
        super().__init__(
            detail=detail, status_code=self.kind.status, headers=dict(headers or {}) or None
        )


def status_of(error: Exception) -> int:
    """The status that an exception is answered with."""
    return (error if isinstance(error, Problem) else _problem_of(error)).kind.status


def answer_problem(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Answer an exception, whichever it is; one that nobody expected tells nothing of itself."""
    found = error if isinstance(error, Problem) else _problem_of(error)
    state: Any = request.scope.get("state") or {}
    # Where there is no route, nothing has named the request.
    name = state.get("request_id") or SYSTEM_RANDOM.token(8)
    body = ProblemBody(
        type=found.kind.type,
        title=found.kind.title,
        status=found.kind.status,
        detail=found.detail,
        instance=request.scope["path"],
        fix=found.fix or found.kind.fix,
        request_id=name,
        errors=found.errors,
    )
    return Response(
        msgspec.json.encode(body),
        status_code=found.kind.status,
        media_type=MEDIA_TYPE,
        headers={**(found.headers or {}), "x-request-id": name},
    )


def _problem_of(error: Exception) -> Problem:
    if isinstance(error, ValidationException):
        return Problem(
            "invalid-parameter",
            "what was given cannot be used",
            errors=[_fault(each) for each in error.extra or () if isinstance(each, dict)],
        )
    if isinstance(error, HTTPException):
        name = _BY_STATUS.get(error.status_code, "internal")
        if name == "internal":
            return Problem(name, KINDS[name].title)
        return Problem(name, _sentence(error.detail, name), headers=error.headers)
    for kind, name in _BY_ERROR:
        if isinstance(error, kind):
            return _of_error(error, name)
    return Problem("internal", KINDS["internal"].title)


def _of_error(error: Exception, name: str) -> Problem:
    if isinstance(error, PolicyError):
        faults = [
            Fault(
                each.message, code=each.code, pointer=None if each.span is None else str(each.span)
            )
            for each in error.diagnostics
        ]
        return Problem(name, f"{len(faults)} findings", errors=faults)
    headers = {"retry-after": "1"} if KINDS[name].status == 503 else None
    return Problem(
        name,
        str(getattr(error, "message", "") or error),
        fix=str(getattr(error, "fix", "")),
        headers=headers,
    )


def _fault(about: Mapping[str, Any]) -> Fault:
    return Fault(
        str(about.get("message", "it cannot be used")), parameter=str(about.get("key", "")) or None
    )


def _sentence(detail: str, name: str) -> str:
    """Litestar's own words where it has any that say more than the status."""
    plain = detail.strip()
    return plain if plain and plain not in _SAYS_NOTHING else KINDS[name].title


_SAYS_NOTHING = frozenset({"Not Found", "Method Not Allowed", "Unauthorized", "Forbidden"})
