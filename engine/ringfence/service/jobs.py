"""Jobs: what takes longer than a request, each in a process of its own, one after the other.

A job's process has no secrets in its environment, and gives way to the one that decides orders. What came of the
latest jobs is kept, restarts included.
"""

import json
import os
import shutil
import signal
import subprocess  # nosec B404  # this program itself, with arguments of ours
import sys
import threading
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from ringfence.errors import InputError
from ringfence.runtime.ports import SYSTEM_FILES, SYSTEM_RANDOM, Clock, Files, Random

__all__ = ["Job", "Jobs"]

State = Literal["waiting", "running", "done", "failed", "cancelled", "lost"]
MOST_WAITING = 8
# Of a child's environment: what it needs to find itself and its compiled code.
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH", "VIRTUAL_ENV")
_KEPT_PREFIX = ("NUMBA_", "RINGFENCE_CACHE", "RINGFENCE_RULES_PATH", "RINGFENCE_SCHEMAS_PATH")
_KILL_AFTER_S = 10.0
_LONGEST_WORDS = 2_000


class Job(msgspec.Struct):
    """A job as it stands.

    Attributes:
        id: Its name.
        kind: What is done.
        by: Who asked.
        about: What exactly.
        state: `waiting`, `running`, `done`, `failed` (`problem` says why), `cancelled`, or `lost` (the service ended
            meanwhile).
        done, total: How far it is; total 0 while that is not known.
        at_ns, ended_ns: When it was asked for, and when it ended (0: it did not yet).
        result: What came of it.
        problem: `message`, `fix` and `findings`.
    """

    id: str
    kind: str
    by: str
    about: dict[str, Any]
    at_ns: int
    state: State = "waiting"
    done: int = 0
    total: int = 0
    ended_ns: int = 0
    result: dict[str, Any] | None = None
    problem: dict[str, Any] | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come of it."""
        return self.state not in ("waiting", "running")


class Jobs:
    """Runs jobs one after the other, in a thread; all methods may be called from any thread.

    Args:
        folder: Holds a folder for each job, for this process alone.
        clock: Tells the time.
        keep: So many jobs that are over are kept; the oldest goes first, with its files.
    """

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        *,
        keep: int = 20,
        files: Files = SYSTEM_FILES,
        random: Random = SYSTEM_RANDOM,
    ) -> None:
        self._folder, self._clock, self._keep = folder, clock, keep
        self._files, self._random = files, random
        self._lock, self._news = threading.Lock(), threading.Condition()
        self._jobs: dict[str, Job] = {}
        self._waiting: deque[tuple[Job, dict[str, Any]]] = deque()
        self._child: subprocess.Popen[bytes] | None = None
        self._running: Job | None = None
        self._closed = False
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._load()
        self._thread = threading.Thread(target=self._run, name="ringfence-jobs", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Give up what is running or waits."""
        with self._news:
            self._closed = True
            self._waiting.clear()
            self._news.notify_all()
        self._stop_child()
        self._thread.join()

    def folder_of(self, name: str) -> Path:
        """Where a job's files are."""
        return self._folder / name

    def new_name(self) -> str:
        """A name for a job; its folder is there."""
        name = self._random.token(8)
        self.folder_of(name).mkdir(mode=0o700)
        return name

    def start(
        self, name: str, kind: str, by: str, about: Mapping[str, Any], request: Mapping[str, Any]
    ) -> Job:
        """Have a job done, as soon as those before it are.

        Args:
            name: From `new_name`.
            kind: `dry-run`, `plan` or `verify`.
            by: Who asks.
            about: What exactly, to be shown.
            request: For its process, as `job_process` takes it.

        Raises:
            InputError: too many wait, or the service stops.
        """
        job = Job(name, kind, by, dict(about), self._clock.now_ns())
        with self._news:
            if self._closed or len(self._waiting) >= MOST_WAITING:
                shutil.rmtree(self.folder_of(name), ignore_errors=True)
                raise InputError("too many jobs wait already", "wait until one is over")
            self._waiting.append((job, {**request, "kind": kind}))
            self._jobs[name] = job
            self._news.notify_all()
        self._keep_note(job)
        self._tidy()
        return job

    def get(self, name: str, kind: str) -> Job | None:
        """The job of a name; None where there is none of that kind."""
        job = self._jobs.get(name)
        return job if job is not None and job.kind == kind else None

    def all(self, kind: str) -> list[Job]:
        """The jobs of a kind, the newest first."""
        found = [each for each in list(self._jobs.values()) if each.kind == kind]
        return sorted(found, key=lambda each: (-each.at_ns, each.id))

    def wait(self, job: Job, seconds: float) -> bool:
        """Wait until a job is over; False where it is not after so long."""
        with self._news:
            return self._news.wait_for(lambda: job.is_over, seconds)

    def cancel(self, job: Job) -> bool:
        """Give a job up; False where it was over before."""
        with self._news:
            if job.is_over:
                return False
            job.state = "cancelled"
            self._waiting = deque(each for each in self._waiting if each[0] is not job)
            running = self._running is job
            self._news.notify_all()
        if running:
            self._stop_child()
        else:
            self._end(job)
        return True

    def _run(self) -> None:
        while True:
            with self._news:
                self._news.wait_for(lambda: self._closed or self._waiting)
                if self._closed:
                    return
                job, request = self._waiting.popleft()
                job.state, self._running = "running", job
            try:
                self._do(job, request)
            except (OSError, ValueError) as error:
                self._failed(job, f"its process could not be run: {error}")
            self._running = None
            self._end(job)

    def _do(self, job: Job, request: dict[str, Any]) -> None:
        words = self.folder_of(job.id) / "stderr.txt"
        with words.open("wb") as told:
            self._child = child = subprocess.Popen(  # nosec B603
                [sys.executable, "-m", "ringfence.service.job_process"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=told,
                env=_environment(),
                start_new_session=True,
            )
        if child.stdin is None or child.stdout is None:  # pragma: no cover
            raise ValueError("no pipes")
        with child:
            try:
                child.stdin.write(json.dumps(request).encode("ascii"))
                child.stdin.close()
            except BrokenPipeError:
                pass
            if self._closed or job.is_over:
                self._stop_child()
            for line in child.stdout:
                self._heard(job, line)
        self._child = None
        if job.state == "running":
            last = words.read_text("utf-8", "replace").strip().rsplit("\n", 1)[-1]
            self._failed(job, f"its process ended with {child.returncode}: {last[:_LONGEST_WORDS]}")

    def _heard(self, job: Job, line: bytes) -> None:
        told = json.loads(line)
        with self._news:
            if job.state != "running":
                return
            if "progress" in told:
                job.done, job.total = told["progress"]
                return
            # Its process may take a while to go; whoever sees that the job is over sees when, too.
            job.ended_ns = self._clock.now_ns()
            if "result" in told:
                job.result, job.state = told["result"], "done"
            else:
                job.problem, job.state = told["problem"], "failed"

    def _failed(self, job: Job, why: str) -> None:
        with self._news:
            if not job.is_over:
                job.state = "lost" if self._closed else "failed"
                job.problem = {"message": why, "fix": "", "findings": []}

    def _end(self, job: Job) -> None:
        job.ended_ns = job.ended_ns or self._clock.now_ns()
        self._keep_note(job)
        with self._news:
            self._news.notify_all()

    def _stop_child(self) -> None:
        child = self._child
        if child is None or child.poll() is not None:
            return
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(_KILL_AFTER_S)
        except subprocess.TimeoutExpired:
            child.kill()

    def _keep_note(self, job: Job) -> None:
        path = self.folder_of(job.id) / "job.json"
        try:
            self._files.write_atomic(path, msgspec.json.encode(job))
        except OSError:
            # It is still known until the service ends.
            return

    def _load(self) -> None:
        for folder in self._folder.glob("*/"):
            # The service ended before the job was noted: nobody can ask for it, and what was sent for it takes up room.
            if not (folder / "job.json").exists():
                shutil.rmtree(folder, ignore_errors=True)
        for path in sorted(self._folder.glob("*/job.json")):
            try:
                job = msgspec.json.decode(path.read_bytes(), type=Job)
            except (OSError, msgspec.DecodeError):
                continue
            if not job.is_over:
                job.state = "lost"
            self._jobs[job.id] = job

    def _tidy(self) -> None:
        with self._lock:
            over = sorted(
                (each for each in list(self._jobs.values()) if each.is_over),
                key=lambda each: each.at_ns,
            )
            for job in over[: max(0, len(over) - self._keep)]:
                self._jobs.pop(job.id, None)
                shutil.rmtree(self.folder_of(job.id), ignore_errors=True)


def _environment() -> dict[str, str]:
    return {
        name: value
        for name, value in os.environ.items()
        if name in _KEPT or name.startswith(_KEPT_PREFIX)
    }
