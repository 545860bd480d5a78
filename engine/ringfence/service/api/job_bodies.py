"""Jobs as the API tells them."""

from typing import Any, Literal

import msgspec

from ringfence.service.api.told import moment
from ringfence.service.jobs import Job

__all__ = ["JobBody", "JobsBody", "job_told"]


class JobBody(msgspec.Struct):
    """A job. `done` of `total` orders; `total` is 0 while it is not known. `lost`: the service ended meanwhile.

    `result` and `problem` are null until the job is over.
    """

    id: str
    kind: str
    state: Literal["waiting", "running", "done", "failed", "cancelled", "lost"]
    by: str
    about: dict[str, Any]
    done: int
    total: int
    at_ns: int
    at: str
    ended_ns: int | None
    ended_at: str | None
    result: dict[str, Any] | None
    problem: dict[str, Any] | None


class JobsBody(msgspec.Struct):
    """Jobs, the newest first; without their results."""

    jobs: list[JobBody]


def job_told(job: Job, *, with_result: bool = True) -> JobBody:
    """A job as the API tells it."""
    return JobBody(
        job.id,
        job.kind,
        job.state,
        job.by,
        job.about,
        job.done,
        job.total,
        job.at_ns,
        moment(job.at_ns),
        job.ended_ns or None,
        moment(job.ended_ns) if job.ended_ns else None,
        job.result if with_result else None,
        job.problem,
    )
