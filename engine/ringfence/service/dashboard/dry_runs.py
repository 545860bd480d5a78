"""The pages of dry runs: start one, see how far it is, read what came of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anyio import to_thread
from litestar import Request, Response, get, post
from litestar.connection import ASGIConnection
from litestar.datastructures import UploadFile
from litestar.exceptions import (
    ClientException,
    NotFoundException,
    PermissionDeniedException,
)
from litestar.handlers.base import BaseRouteHandler
from litestar.params import FromPath
from litestar.response import Redirect, ServerSentEvent

from ringfence.errors import InputError
from ringfence.language.orders import to_decimal
from ringfence.service.access.authentication import still_in
from ringfence.service.access.rights import Principal, Right, Role, needs
from ringfence.service.dashboard.live import WATCHES, Told, repeated, stream
from ringfence.service.dashboard.policies import stored_sets
from ringfence.service.dashboard.rendering import frame_of, page, part
from ringfence.service.desk import Desk
from ringfence.service.dry_runs import (
    ENDINGS,
    SOURCES,
    DryRunRequest,
    FileTooLargeError,
    Sent,
    data_folder,
    fit_name,
    report_of,
    start_dry_run,
)
from ringfence.service.jobs import Job, Jobs
from ringfence.service.policy_sets import ACTIVE

__all__ = ["ROUTES"]

_PATH = "/dry-runs"
_EVERY_S = 1.0
_MOST_FILES, _MOST_SETS, _MOST_TEXT = 200, 50, 64 << 10
_MODES = ("both", "propagated", "frozen")
_HALTS_UNTIL = ("day", "end")
_TEXTS = ("fills", "marks", "balances", "base", "mapping", "marks_mapping")
_STATES = {
    "waiting": ("plain", "Waiting"),
    "running": ("plain", "Running"),
    "done": ("ok", "Done"),
    "failed": ("bad", "Failed"),
    "cancelled": ("warn", "Cancelled"),
    "lost": ("warn", "Lost: the service ended"),
}

Asking = Request[Principal, Any, Any]


@dataclass(frozen=True, slots=True)
class Side:
    """What one side of a dry run decided, in one mode.

    Attributes:
        set: `base` or `head`.
        by_gate: The gates that rejected or reduced most.
    """

    set: str
    mode: str
    orders: int
    decisions: dict[str, int]
    notional: dict[str, Any]
    by_gate: tuple[dict[str, Any], ...]


@get(_PATH, guards=[needs(Right.LOOK)], sync_to_thread=True)
def dry_runs(request: Asking) -> Response[str]:
    """Dry runs that wait, run or are kept; and the form to start one."""
    _sees_all(request)
    return _listed(request, {}, "", "")


@get("/live/dry-runs", guards=[needs(Right.LOOK)], opt=WATCHES, sync_to_thread=False)
def live_dry_runs(request: Asking) -> ServerSentEvent:
    """What changes on it."""
    _sees_all(request)

    def told() -> Iterator[Told]:
        jobs = _jobs_of(request).all("dry-run")
        text = part("dry_runs_list.html", jobs=jobs, states=_STATES, frame=frame_of(request))
        yield "parts", {"dry-runs-list": text}

    return stream(repeated(_desk_of(request), told, every_s=_EVERY_S, holds=still_in(request)))


async def _fits(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """Refuse a form that is larger than its files may be, before any of it is read."""
    about = connection.app.state.desk.settings.jobs
    length = connection.headers.get("content-length", "")
    if not length.isdigit():
        raise ClientException("the form does not say how long it is")
    if int(length) > len(SOURCES) * about.max_upload + _MOST_TEXT:
        raise _FormTooLarge(f"a file may have {about.max_upload:,} bytes")


class _FormTooLarge(ClientException):
    status_code = 413


@post(_PATH, guards=[_fits, needs(Right.MANAGE)], request_max_body_size=None)
async def start(request: Asking) -> Response[Any]:
    """Starts one, on files that are there or on those that come with the form."""
    form = await request.form()
    texts = {name: value for name, value in form.items() if isinstance(value, str)}
    files = {name: form.get(f"{name}_file") for name in SOURCES}
    sent = {
        name: Sent(each.filename, each.file)
        for name, each in files.items()
        if isinstance(each, UploadFile) and each.filename
    }
    return await to_thread.run_sync(_started, request, texts, sent)


def _started(request: Asking, given: dict[str, str], sent: dict[str, Sent]) -> Response[Any]:
    try:
        asked = _asked(given, is_sent="orders" in sent)
        job = start_dry_run(_desk_of(request), _jobs_of(request), request.user, asked, sent)
    except InputError as error:
        status = 413 if isinstance(error, FileTooLargeError) else 400
        return _listed(request, given, error.message, error.fix, status)
    return Redirect(f"{_PATH}/{job.id}", status_code=303)


@get(f"{_PATH}/{{name:str}}", guards=[needs(Right.LOOK)], sync_to_thread=True)
def dry_run(request: Asking, name: FromPath[str]) -> Response[str]:
    """One of them."""
    return page(request, "dry_run.html", **_about(request, _job(request, name)))


@get("/live/dry-runs/{name:str}", guards=[needs(Right.LOOK)], opt=WATCHES, sync_to_thread=False)
def live_dry_run(request: Asking, name: FromPath[str]) -> ServerSentEvent:
    """How far it is."""
    job = _job(request, name)

    def told() -> Iterator[Told]:
        text = part("dry_run_part.html", frame=frame_of(request), **_about(request, job))
        yield "parts", {"dry-run": text}

    return stream(repeated(_desk_of(request), told, every_s=_EVERY_S, holds=still_in(request)))


@post(f"{_PATH}/{{name:str}}/cancel", guards=[needs(Right.MANAGE)], sync_to_thread=True)
def cancel(request: Asking, name: FromPath[str]) -> Response[Any]:
    """Gives one up; one that is over stays as it is."""
    job = _job(request, name)
    _jobs_of(request).cancel(job)
    return Redirect(f"{_PATH}/{job.id}", status_code=303)


ROUTES = (dry_runs, live_dry_runs, start, dry_run, live_dry_run, cancel)


def _listed(
    request: Asking, given: dict[str, str], fault: str, fix: str, status: int = 200
) -> Response[str]:
    from ringfence.replay.mapping import mapping_names

    desk = _desk_of(request)
    sets = [each for each in stored_sets(desk) if not each.damage][:_MOST_SETS]
    folder = data_folder(desk)
    return page(
        request,
        "dry_runs.html",
        status=status,
        jobs=_jobs_of(request).all("dry-run"),
        states=_STATES,
        sets=sets,
        active=desk.guard.policy_set,
        files=_files_in(folder),
        endings=",".join(ENDINGS),
        max_upload=desk.settings.jobs.max_upload,
        modes=_MODES,
        mappings=mapping_names(),
        given=given,
        fault=fault,
        fix=fix,
    )


def _asked(data: dict[str, str], *, is_sent: bool) -> DryRunRequest:
    """What the form asks for.

    Raises:
        InputError: it does not say.
    """
    texts = {name: data.get(name, "").strip() or None for name in _TEXTS}
    orders, mode = data.get("orders", "").strip(), data.get("mode", "both")
    if not orders and not is_sent:
        raise InputError("no orders are given", "choose or send the file that holds them")
    if mode not in _MODES:
        raise InputError(f"there is no mode `{mode[:20]}`", f"use one of {', '.join(_MODES)}")
    halts_until = data.get("halts_until", "day")
    if halts_until not in _HALTS_UNTIL:
        raise InputError(f"`{halts_until[:20]}` is no end of a halt", "use day or end")
    written = data.get("equity", "").strip()
    equity = to_decimal(written) if written else None
    if written and (equity is None or equity <= 0):
        raise InputError(f"`{written[:40]}` is no amount of money", "write a number above zero")
    return DryRunRequest(
        orders,
        policies=data.get("policies") or ACTIVE,
        mode=mode,
        equity=None if equity is None else float(equity),
        halts_until=halts_until,
        **texts,
    )


def _files_in(folder: Path) -> list[str]:
    """Files that orders and prices can be read from, by their paths below the folder."""
    if not folder.is_dir():
        return []
    found = []
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if path.suffix in ENDINGS and path.is_file() and all(map(fit_name, parts)):
            found.append("/".join(parts))
        if len(found) >= _MOST_FILES:
            break
    return found


def _about(request: Asking, job: Job) -> dict[str, Any]:
    seconds = ((job.ended_ns or _desk_of(request).clock.now_ns()) - job.at_ns) / 1e9
    return {
        "job": job,
        "state": _STATES[job.state],
        "seconds": seconds,
        "summary": (job.result or {}).get("summary"),
        "sides": _sides(job),
        "has_report": report_of(_jobs_of(request), job) is not None,
    }


def _sides(job: Job) -> list[Side]:
    summary = (job.result or {}).get("summary")
    if not summary:
        return []
    return [
        Side(
            name,
            mode,
            sum(run["decisions"].values()),
            run["decisions"],
            run["notional"],
            tuple(run["by_gate"][:5]),
        )
        for name, side in summary["sides"].items()
        for mode, run in side["modes"].items()
    ]


def _job(request: Asking, name: str) -> Job:
    _sees_all(request)
    job = _jobs_of(request).get(name, "dry-run")
    if job is None:
        raise NotFoundException("there is no such dry run, or it is kept no longer")
    return job


def _sees_all(request: Asking) -> None:
    if request.user.role is Role.TRADER:
        raise PermissionDeniedException("dry runs show the orders of other accounts as well")


def _jobs_of(request: Asking) -> Jobs:
    jobs: Jobs = request.app.state.jobs
    return jobs


def _desk_of(request: Asking) -> Desk:
    desk: Desk = request.app.state.desk
    return desk
