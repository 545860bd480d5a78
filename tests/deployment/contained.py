"""Runs a service of `docker-compose.yml` as a process where no container engine runs.

Its command, user, groups, environment and mounts are those of the compose file, at the paths that the file names, on a
read-only root file system, without capabilities, with processes of its own and a network that the services share. What is
not from the image is told by the caller: programs are this machine's (Debian's packages, and this checkout for the service),
and what an image's own entry point does is done by a script that the caller gives. Needs root and namespaces.
"""

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from deployment.compose_file import ROOT, mounts_of

PATH = ":".join(
    [*map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin"))), "/usr/local/bin:/usr/bin:/bin"]
)
# Holds the shared network until the test's end of the pipe is closed.
_HOLDER = """
import fcntl, socket, struct, sys
with socket.socket() as probe:
    fcntl.ioctl(probe, 0x8914, struct.pack("16sH14s", b"lo", 0x1 | 0x40, b""))
print("up", flush=True)
sys.stdin.read()
"""


def why_not() -> str:
    """Why nothing can be contained here; empty where it can."""
    if os.geteuid() != 0:
        return "needs root, to give processes namespaces of their own"
    for program in ("unshare", "nsenter", "setpriv", "mount", "chroot"):
        if shutil.which(program) is None:
            return f"needs `{program}`: apt-get install util-linux"
    trial = "mount -t tmpfs none /mnt && mkdir /mnt/u /mnt/w /mnt/m && mount -t overlay none -o lowerdir=/,upperdir=/mnt/u,workdir=/mnt/w /mnt/m"
    done = subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "--net", "sh", "-c", trial],
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if done.returncode == 0 else f"needs namespaces and overlays: {done.stderr.strip()}"


def _below(targets: Sequence[str]) -> list[Path]:
    """Where the interpreter and the checkout lie, as far as a file system at one of the targets would hide it."""
    places = {Path(sys.prefix), Path(sys.base_prefix), ROOT}
    outermost = [
        each for each in places if not any(each.is_relative_to(p) for p in places - {each})
    ]
    return sorted(each for each in outermost if any(each.is_relative_to(t) for t in targets))


class Pod:
    """A network that services share, and the files that they keep.

    Args:
        compose: The compose file.
        folder: For volumes, secrets and logs; all users must be able to come there.
    """

    def __init__(self, compose: Mapping[str, Any], folder: Path) -> None:
        self.compose = compose
        self.folder = folder
        self.services: dict[str, Contained] = {}
        for name in ("volumes", "logs", "roots"):
            (folder / name).mkdir(parents=True)
        names = " ".join(compose["services"])
        (folder / "hosts").write_text(f"127.0.0.1 localhost {names}\n")
        self._holder = subprocess.Popen(
            ["unshare", "--net", sys.executable, "-c", _HOLDER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == b"up\n"
        self.network = f"/proc/{self._holder.pid}/ns/net"

    def start(self, name: str, **options: Any) -> "Contained":
        self.services[name] = Contained(self, name, **options)
        return self.services[name]

    def close(self) -> None:
        for each in reversed(self.services.values()):
            each.kill()
        self._holder.communicate()


class Contained:
    """A running service.

    Args:
        before: What the image's entry point does before the command, as shell text.
        program: What the image's entry point puts before the command.
        environment: What the image sets.
        paths: Further files of the image: path in it, and where it is here.
    """

    def __init__(
        self,
        pod: Pod,
        name: str,
        *,
        before: str = "",
        program: Sequence[str] = (),
        environment: Mapping[str, str] = {},
        paths: Mapping[str, Path] = {},
    ) -> None:
        self.about = pod.compose["services"][name]
        self.log = pod.folder / "logs" / name
        self._pod, self._name = pod, name
        root = pod.folder / "roots" / name
        root.mkdir()
        uid, gid = self.about["user"].split(":")
        self._environment = {"PATH": PATH, **environment, **self.about.get("environment", {})}
        groups = ",".join([gid, *self.about.get("group_add", ())])
        self._privileges = ["setpriv", f"--reuid={uid}", f"--regid={gid}", f"--groups={groups}"]
        self._privileges += ["--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]
        variables = [f"{key}={value}" for key, value in self._environment.items()]
        self._enter = [*self._privileges, "env", "--chdir=/tmp", "-i", *variables]
        words = [*program, *self.about.get("entrypoint", ()), *self.about.get("command", ())]
        command = shlex.join(words)
        inside = [*self._enter, "sh", "-c", f"{before}\nexec {command}"]
        script = root.with_suffix(".sh")
        script.write_text(
            self._mounts(root, paths, uid) + f"exec chroot {root} {shlex.join(inside)}\n"
        )
        contain = ["nsenter", f"--net={pod.network}", "unshare", "--mount", "--pid", "--fork"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*contain, "--kill-child=KILL", "sh", "-eu", script], stdout=log, stderr=log
            )

    def _mounts(self, root: Path, paths: Mapping[str, Path], uid: str) -> str:
        """Shell text that puts the root file system together."""
        aside, directories = f"{root}.layers", []
        mounts = mounts_of(self._pod.compose, self._name)
        lines = [
            f"mkdir {aside}; mount -t tmpfs none {aside}; mkdir {aside}/u {aside}/w",
            f"mount -t overlay none -o lowerdir=/,upperdir={aside}/u,workdir={aside}/w {root}",
            # What is changed is changed in there: a link such as /var/run would lead out of it.
            f'in_it() {{ chroot {root} sh -euc "$@"; }}',
            f'real() {{ printf %s {root}; chroot {root} readlink -m "$1"; }}',
        ]
        # The interpreter and the checkout may lie where only root comes.
        for place in (sys.prefix, sys.base_prefix, str(ROOT), str(self._pod.folder)):
            for each in (Path(place), *Path(place).parents):
                lines.append(f"in_it 'chmod o+x {each}'")
        for target, source in {"/etc/hosts": self._pod.folder / "hosts", **paths}.items():
            made = f"mkdir -p {Path(target).parent}; rm -rf {target}"
            if source.is_dir():
                lines.append(f"in_it 'mkdir -p {target}'")
                directories.append(f"mount --bind {source} $(real {target})")
            else:
                mode = f"{source.stat().st_mode & 0o777:o}"
                lines.append(f"in_it '{made}; cat >{target}; chmod {mode} {target}' <{source}")
        for each in mounts:
            is_file = each.kind == "secret" or (ROOT / each.source).is_file()
            made = "touch" if is_file else "mkdir -p"
            lines.append(f"in_it 'mkdir -p {Path(each.target).parent}; {made} {each.target}'")
        lines.append(f"mount -o remount,ro {root}")
        hidden = _below([each.target for each in mounts if each.kind == "tmpfs"])
        for number, place in enumerate(hidden):
            lines.append(f"mkdir {aside}/{number}; mount --bind {root}{place} {aside}/{number}")
        lines += [f"mount -t proc proc {root}/proc", f"mount --bind /dev {root}/dev"]
        size = self.about.get("shm_size", "64m")
        lines.append(f"mount -t tmpfs -o mode=1777,size={size} none {root}/dev/shm")
        lines += directories
        lines += [self._mount(each, f"$(real {each.target})", uid) for each in mounts]
        for number, place in enumerate(hidden):
            lines.append(f"mkdir -p {root}{place}; mount --bind {aside}/{number} {root}{place}")
        return "\n".join(lines) + "\n"

    def _mount(self, mount: Any, target: str, uid: str) -> str:
        if mount.kind == "tmpfs":
            return f"mount -t tmpfs -o {mount.source},nosuid,nodev none {target}"
        if mount.kind == "volume":
            source = self._pod.folder / "volumes" / mount.source
            # An engine gives a new volume the owner that the image's directory has.
            made = f"[ -d {source} ] || install -d -o {uid} -m 0700 {source}"
            return f"{made}; mount --bind {source} {target}"
        source = ROOT / mount.source
        if mount.kind == "secret":
            source = self._pod.folder / mount.source
        return f"mount --bind {source} {target}; mount -o remount,bind,ro {target}"

    @property
    def pid(self) -> int:
        """The process that is number 1 to itself."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return int(children.read_text().split()[0])

    def run(
        self, command: Sequence[str], environment: Mapping[str, str] = {}
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command beside it, as an engine's `exec` does."""
        target = [
            "nsenter",
            f"--target={self.pid}",
            "--net",
            "--mount",
            "--pid",
            "--root",
            "--wd=/",
        ]
        more = [f"{key}={value}" for key, value in environment.items()]
        return subprocess.run(
            [*target, *self._enter, *more, *command],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def health(self) -> "subprocess.CompletedProcess[str]":
        """Run the health check of the compose file."""
        kind, *words = self.about["healthcheck"]["test"]
        return self.run(words if kind == "CMD" else ["sh", "-c", words[0]])

    def wait_healthy(self) -> None:
        """Run the health check until it is well; fails where the service ended, or is not in time."""
        self.wait_until(lambda: self.health().returncode == 0)

    def wait_until(self, condition: Callable[[], bool], seconds: float = 240) -> None:
        """Ask again and again until it holds; fails where the service ended, or it never does."""
        end = time.monotonic() + seconds
        while True:
            with suppress(OSError, IndexError, ValueError):
                if condition():
                    return
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < end, self.said()
            time.sleep(0.25)

    def wait(self) -> int:
        """Wait until it has ended by itself; gives its exit code."""
        return self.process.wait(timeout=120)

    def said(self) -> str:
        """What it wrote."""
        return self.log.read_text("utf-8", "replace")

    def status(self) -> dict[str, str]:
        """What the kernel tells of its first process."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return {name: text.strip() for name, _, text in (line.partition(":") for line in lines)}

    def kill(self) -> None:
        """End it at once, with all that it started."""
        if self.process.poll() is None:
            with suppress(OSError, IndexError):
                os.kill(self.pid, 9)
            self.process.wait(timeout=30)


def this_program() -> dict[str, Path]:
    """The paths of the image at which the interpreter and the command `ringfence` are."""
    return {"/opt/ringfence/bin": Path(sysconfig.get_path("scripts"))}
