"""The audit log: where it ends, and whether it is whole."""

from typing import Annotated

import msgspec
from litestar import Response
from litestar.params import PathParameter

from ringfence.runtime.audit_head import chain_of, newest
from ringfence.service.access.rights import Right
from ringfence.service.api.job_bodies import JobBody, job_told
from ringfence.service.api.problems import Problem
from ringfence.service.api.routes import Asking, desk_of, route
from ringfence.service.api.told import moment
from ringfence.service.jobs import Jobs

__all__ = ["audit_head", "audit_verification", "verify_audit"]

_TAG = "audit"


class SinkBody(msgspec.Struct):
    """How far a copy of the log has come; `error` is empty while all is well."""

    sink: str
    sequence: int
    lag_records: int
    lag_seconds: str
    error: str


class HeadBody(msgspec.Struct):
    """The newest record of the log: kept elsewhere, its hash proves later that nothing before it was changed."""

    chain: str
    sequence: int
    hash_of_previous: str
    at_ns: int | None
    at: str | None
    sinks: list[SinkBody]


@route("get", "/audit/head", Right.LOOK, summary="Where the log ends", tag=_TAG)
def audit_head(request: Asking) -> HeadBody:
    """The newest record, and how far each copy of the log is behind it."""
    desk = desk_of(request)
    log = desk.data / "audit"
    header, last = chain_of(log), newest(log)
    sinks = [] if desk.writer is None else desk.writer.status()
    return HeadBody(
        "" if header is None else header.chain,
        0 if last is None else last.sequence,
        "" if last is None else last.prev,
        None if last is None else last.ts_ns,
        None if last is None else moment(last.ts_ns),
        [
            SinkBody(
                each.sink, each.sequence, each.lag_records, f"{each.lag_seconds:.3f}", each.error
            )
            for each in sinks
        ],
    )


@route(
    "post",
    "/audit/verify",
    Right.MANAGE,
    summary="Check the log",
    tag=_TAG,
    status=202,
    once=False,
)
def verify_audit(request: Asking) -> Response[JobBody]:
    """Look through the whole log for what was changed or is missing, in a process of its own; `Location` says where to
    ask what it found."""
    jobs: Jobs = request.app.state.jobs
    running = next((each for each in jobs.all("verify") if not each.is_over), None)
    if running is None:
        log = str(desk_of(request).data / "audit")
        running = jobs.start(jobs.new_name(), "verify", request.user.name, {}, {"log": log})
    return Response(
        job_told(running), status_code=202, headers={"location": f"/v1/audit/verify/{running.id}"}
    )


@route(
    "get",
    "/audit/verify/{job_id:str}",
    Right.LOOK,
    summary="What a check of the log found",
    tag=_TAG,
    errors=(404,),
    threaded=False,
)
def audit_verification(
    job_id: Annotated[str, PathParameter(pattern=r"^[0-9a-f]{1,64}$")], request: Asking
) -> JobBody:
    """How far the check is; once it is done, whether the log is `whole`, and each finding where it is not."""
    jobs: Jobs = request.app.state.jobs
    job = jobs.get(job_id, "verify")
    if job is None:
        raise Problem("not-found", "there is no such check, or it is kept no longer")
    return job_told(job)
