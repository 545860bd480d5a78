"""Dry runs: start one, see how far it is, read what came of it."""

from typing import Annotated, Literal

import msgspec
from litestar import Response
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import JSONBody, PathParameter

from ringfence.runtime.ports import SYSTEM_RANDOM
from ringfence.service.access.rights import Right
from ringfence.service.api.job_bodies import JobBody, JobsBody, job_told
from ringfence.service.api.numbers import NO_NUMBER, MaybeNumber, text_or_none
from ringfence.service.api.problems import Problem
from ringfence.service.api.routes import Asking, desk_of, route, sees_all
from ringfence.service.dry_runs import (
    DryRunRequest,
    data_folder,
    fit_name,
    private,
    report_of,
    room_for,
    start_dry_run,
)
from ringfence.service.jobs import Job, Jobs

__all__ = [
    "cancel_dry_run",
    "dry_run",
    "dry_run_report",
    "dry_runs",
    "start_dry_run_job",
    "upload",
]

_TAG = "dry runs"
# The report is a page of its own: it loads nothing, and reaches nothing of this origin.
_POLICY = "sandbox allow-scripts; default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
Source = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]*$",
        max_length=200,
        description="A file below the service's directory for dry runs.",
    ),
]
SetName = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^(active|[0-9a-f]{4,64})$",
        description="`active`, a SHA-256, or the first four digits of one or more.",
    ),
]
Mapping = Annotated[
    str,
    msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,60}$", description="Name of a shipped mapping."),
]
JobId = Annotated[str, PathParameter(pattern=r"^[0-9a-f]{1,64}$", description="Of the job.")]


class DryRunBody(msgspec.Struct, forbid_unknown_fields=True):
    """Orders of the past, and the policies that they are put through; with a base, both are compared.

    `equity` is what an account opens with where no balance says so, in the policies' currency. A book that a gate halts stays so
    to its next trading day, or to the end of the orders (`halts_until`).
    """

    orders: Source
    fills: Source | None = None
    marks: Source | None = None
    balances: Source | None = None
    policies: SetName = "active"
    base: SetName | None = None
    mapping: Mapping | None = None
    marks_mapping: Mapping | None = None
    mode: Literal["propagated", "frozen", "both"] = "both"
    equity: MaybeNumber = msgspec.field(default_factory=NO_NUMBER)
    halts_until: Literal["day", "end"] = "day"


class UploadedBody(msgspec.Struct):
    """A file that dry runs can be made of."""

    name: str
    bytes: int


@route(
    "post",
    "/dry-runs",
    Right.MANAGE,
    summary="Start a dry run",
    tag=_TAG,
    status=202,
)
def start_dry_run_job(data: JSONBody[DryRunBody], request: Asking) -> Response[JobBody]:
    """Put orders through policies, in a process of its own, without sending anything. Jobs are done one after the
    other; `Location` says where to ask how far this one is."""
    equity = text_or_none(data.equity, "/equity")
    asked = DryRunRequest(
        data.orders,
        data.fills,
        data.marks,
        data.balances,
        data.policies,
        data.base,
        data.mapping,
        data.marks_mapping,
        data.mode,
        None if equity is None else float(equity),
        data.halts_until,
    )
    job = start_dry_run(desk_of(request), _jobs(request), request.user, asked)
    return Response(job_told(job), status_code=202, headers={"location": f"/v1/dry-runs/{job.id}"})


@route("get", "/dry-runs", Right.LOOK, summary="Dry runs", tag=_TAG, threaded=False)
def dry_runs(request: Asking) -> JobsBody:
    """Dry runs that wait, run or are kept, the newest first."""
    sees_all(request.user)
    return JobsBody([job_told(each, with_result=False) for each in _jobs(request).all("dry-run")])


@route(
    "get",
    "/dry-runs/{job_id:str}",
    Right.LOOK,
    summary="A dry run",
    tag=_TAG,
    errors=(404,),
    threaded=False,
)
def dry_run(job_id: JobId, request: Asking) -> JobBody:
    """How far it is; once it is done, its summary (`schemas/dry-run-summary.v1.schema.json`) in `result`."""
    return job_told(_job(request, job_id))


@route(
    "get",
    "/dry-runs/{job_id:str}/report",
    Right.LOOK,
    summary="The report of a dry run",
    tag=_TAG,
    errors=(404,),
    more={
        200: ResponseSpec(
            str,
            generate_examples=False,
            description="A page that loads nothing else.",
            media_type="text/html",
        )
    },
)
def dry_run_report(job_id: JobId, request: Asking) -> Response[bytes]:
    """The report as a page."""
    path = report_of(_jobs(request), _job(request, job_id))
    if path is None:
        raise Problem("not-found", "there is no report of it, or not yet")
    return Response(
        path.read_bytes(),
        media_type="text/html",
        headers={"content-security-policy": _POLICY, "x-content-type-options": "nosniff"},
    )


@route(
    "delete",
    "/dry-runs/{job_id:str}",
    Right.MANAGE,
    summary="Cancel a dry run",
    tag=_TAG,
    errors=(404, 409),
)
def cancel_dry_run(job_id: JobId, request: Asking) -> JobBody:
    """Give a dry run up that waits or runs."""
    job = _job(request, job_id)
    if not _jobs(request).cancel(job):
        raise Problem("conflict", "the dry run is over")
    return job_told(job)


@route(
    "put",
    "/dry-runs/uploads/{name:str}",
    Right.MANAGE,
    summary="Upload a file for dry runs",
    tag=_TAG,
    more=None,
    request_max_body_size=None,
)
async def upload(
    name: Annotated[str, PathParameter(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")],
    request: Asking,
) -> UploadedBody:
    """Put a file (Parquet, CSV or JSON) where dry runs read from; one of the same name is replaced."""
    desk = desk_of(request)
    folder = data_folder(desk)
    if not fit_name(name):
        raise Problem("conflict", f"`{name}` is no name of a file")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    most, size = room_for(desk, _jobs(request)), 0
    beside = folder / f".{name}.{SYSTEM_RANDOM.token(4)}"
    try:
        with open(beside, "xb", opener=private) as file:
            async for chunk in request.stream():
                size += len(chunk)
                if size > most:
                    raise Problem("body-too-large", f"there is room for {most:,} bytes")
                file.write(chunk)
        beside.replace(folder / name)
    finally:
        beside.unlink(missing_ok=True)
    return UploadedBody(name, size)


def _jobs(request: Asking) -> Jobs:
    jobs: Jobs = request.app.state.jobs
    return jobs


def _job(request: Asking, name: str) -> Job:
    sees_all(request.user)
    job = _jobs(request).get(name, "dry-run")
    if job is None:
        raise Problem("not-found", "there is no such dry run, or it is kept no longer")
    return job
