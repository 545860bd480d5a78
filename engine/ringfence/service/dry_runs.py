"""Dry runs as jobs: orders of the past, from files below one directory, through policy sets by their hash."""

import re
from pathlib import Path
from typing import Any

import msgspec

from ringfence.errors import InputError
from ringfence.service.access.rights import Principal
from ringfence.service.desk import Desk
from ringfence.service.jobs import Job, Jobs
from ringfence.service.policy_sets import ACTIVE, load_set, write_files

__all__ = ["DryRunRequest", "data_folder", "fit_name", "report_of", "start_dry_run"]

# Neither a pattern nor a SELECT, both of which a source may be elsewhere: a file's own name.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_MAPPING = re.compile(r"[a-z0-9][a-z0-9-]{0,60}")


class DryRunRequest(msgspec.Struct, frozen=True):
    """What is asked for; paths are relative to `data_folder`, policies what `policy_sets.find_set` takes."""

    orders: str
    fills: str | None = None
    marks: str | None = None
    balances: str | None = None
    policies: str = ACTIVE
    base: str | None = None
    mapping: str | None = None
    marks_mapping: str | None = None
    mode: str = "both"
    equity: float | None = None


def data_folder(desk: Desk) -> Path:
    """The directory below which orders and prices are read."""
    return desk.settings.jobs.directory or desk.settings.data / "uploads"


def fit_name(name: str) -> bool:
    """Whether it is a plain name of a file."""
    return _NAME.fullmatch(name) is not None


def start_dry_run(desk: Desk, jobs: Jobs, user: Principal, asked: DryRunRequest) -> Job:
    """Have a dry run made.

    Raises:
        InputError: a file or a set is not there, or too many jobs wait.
    """
    folder = data_folder(desk)
    request: dict[str, Any] = {
        name: None if path is None else str(_file(folder, path))
        for name in ("orders", "fills", "marks", "balances")
        for path in [getattr(asked, name)]
    }
    for name in ("mapping", "marks_mapping"):
        mapping = getattr(asked, name)
        if mapping is not None and not _MAPPING.fullmatch(mapping):
            raise InputError(f"`{mapping}` is no shipped mapping", "name one that Ringfence ships")
        request[name] = mapping
    sets = {
        word: load_set(desk, name)
        for word, name in (("policies", asked.policies), ("base", asked.base))
        if name is not None
    }
    name = jobs.new_name()
    place = jobs.folder_of(name)
    for word, policy_set in sets.items():
        request[word] = write_files(policy_set, place / word)
    about = msgspec.to_builtins(asked) | {word: each.sha256 for word, each in sets.items()}
    request |= {"mode": asked.mode, "equity": asked.equity, "report": str(place / "report")}
    return jobs.start(name, "dry-run", user.name, about, request)


def report_of(jobs: Jobs, job: Job) -> Path | None:
    """The report of a dry run; None where there is none."""
    path = jobs.folder_of(job.id) / "report" / "report.html"
    return path if job.state == "done" and path.is_file() else None


def _file(folder: Path, given: str) -> Path:
    """A file below a folder, and nothing else: no link leads out of it."""
    parts = given.split("/")
    if not all(fit_name(part) for part in parts):
        raise InputError(
            f"`{given}` is no path of a file",
            "name a file by letters, digits, `.`, `_`, `-` and `/`",
        )
    top = folder.resolve()
    path = top.joinpath(*parts).resolve()
    if not path.is_relative_to(top) or not path.is_file():
        raise InputError(
            f"there is no file `{given}`",
            "upload it: PUT /v1/dry-runs/uploads/NAME, or see `jobs.directory` in the settings",
        )
    return path
