"""Dry runs as jobs: orders of the past, from files below one directory, through policy sets by their hash."""

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import msgspec

from ringfence.errors import InputError
from ringfence.service.access.rights import Principal
from ringfence.service.desk import Desk
from ringfence.service.jobs import Job, Jobs
from ringfence.service.policy_sets import ACTIVE, load_set, write_files

__all__ = [
    "ENDINGS",
    "SOURCES",
    "DryRunRequest",
    "FileTooLargeError",
    "Sent",
    "data_folder",
    "fit_name",
    "private",
    "report_of",
    "room_for",
    "start_dry_run",
]

ENDINGS = (".parquet", ".csv", ".json")
"""Of files that orders and prices are read from; the ending says which of them one is."""
SOURCES = ("orders", "fills", "marks", "balances")
_INPUTS = "inputs"
_CHUNK = 1 << 20

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
    halts_until: str = "day"


class Sent(msgspec.Struct, frozen=True):
    """A file that comes with the request, for this dry run alone.

    Attributes:
        name: What it is called where it comes from; only its ending is heeded.
        content: What it holds, from where it stands.
    """

    name: str
    content: IO[bytes]


class FileTooLargeError(InputError):
    """What was sent is larger than the settings let in."""


def data_folder(desk: Desk) -> Path:
    """The directory below which orders and prices are read."""
    return desk.settings.jobs.directory or desk.settings.data / "uploads"


def fit_name(name: str) -> bool:
    """Whether it is a plain name of a file."""
    return _NAME.fullmatch(name) is not None


def private(path: str, flags: int) -> int:
    """An opener of files that nobody else can read."""
    return os.open(path, flags, 0o600)


def room_for(desk: Desk, jobs: Jobs) -> int:
    """How many bytes a file may have that is sent now."""
    about, folder = desk.settings.jobs, data_folder(desk)
    kept = [*folder.glob("*"), *jobs.folder_of("").glob(f"*/{_INPUTS}/*")]
    held = sum(each.stat().st_size for each in kept if each.is_file())
    return min(about.max_upload, max(0, about.max_uploads - held))


def start_dry_run(
    desk: Desk,
    jobs: Jobs,
    user: Principal,
    asked: DryRunRequest,
    sent: Mapping[str, Sent] | None = None,
) -> Job:
    """Have a dry run made.

    Args:
        sent: Files that come with it, by the names of `SOURCES`, in the place of those below `data_folder`. They lie
            beside the job, and go with it.

    Raises:
        InputError: a file or a set is not there or will not do, or too many jobs wait.
        FileTooLargeError: a file is larger than there is room for.
    """
    sent = sent or {}
    for each in sent.values():
        if Path(each.name).suffix.lower() not in ENDINGS:
            raise InputError(
                f"`{_shown(each.name)}` is no file of orders or prices",
                f"send one that ends in {', '.join(ENDINGS)}",
            )
    folder = data_folder(desk)
    request: dict[str, Any] = {
        name: None if path is None else str(_file(folder, path))
        for name in SOURCES
        if name not in sent
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
    try:
        for word, each in sent.items():
            request[word] = str(_kept(desk, jobs, place / _INPUTS, word, each))
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise
    told = {word: f"{_shown(each.name)} (sent with it)" for word, each in sent.items()}
    about = msgspec.to_builtins(asked) | told | {word: each.sha256 for word, each in sets.items()}
    request |= {name: getattr(asked, name) for name in ("mode", "equity", "halts_until")}
    request["report"] = str(place / "report")
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


def _kept(desk: Desk, jobs: Jobs, folder: Path, word: str, sent: Sent) -> Path:
    """Put a file beside its job, under a name that whoever sent it does not choose."""
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / f"{word}{Path(sent.name).suffix.lower()}"
    room, size = room_for(desk, jobs), 0
    with open(path, "xb", opener=private) as file:
        while chunk := sent.content.read(_CHUNK):
            size += len(chunk)
            if size > room:
                raise FileTooLargeError(
                    f"`{_shown(sent.name)}` is too large",
                    f"there is room for {room:,} bytes: see `jobs.max_upload` and `jobs.max_uploads`",
                )
            file.write(chunk)
    return path


def _shown(name: str) -> str:
    """The name of a file from elsewhere, as it may be shown."""
    plain = re.sub(r"[^A-Za-z0-9._ -]", "_", name.replace("\\", "/").rsplit("/", 1)[-1])
    return plain[-60:]
