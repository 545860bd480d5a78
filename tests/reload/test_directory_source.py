"""Directories as a source: read whole or not at all, however their files are put into place."""

import os
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest

from reload.places import QUICK, TEST, Recorder, desk, git, policy, running, save
from ringfence.errors import InputError
from ringfence.reload.directory_source import DirectorySource
from ringfence.reload.settings import ReloadSettings
from ringfence.reload.snapshot import SourceError
from ringfence.runtime.policy_set import PolicySet

pytestmark = pytest.mark.integration


def sha256(folder: Path) -> str:
    return PolicySet.load(folder).sha256


# Reading


def test_all_files_of_all_directories_are_read(tmp_path: Path) -> None:
    first, second = desk(tmp_path / "policies"), tmp_path / "rules"
    second.mkdir()
    (second / "own.yml").write_text("a: 1")
    (second / "read.me").write_text("no")

    snapshot = DirectorySource(first, second).read()

    assert [Path(name).name for name in snapshot.files] == [
        "desk.yaml",
        "instruments.yaml",
        "own.yml",
    ]
    assert snapshot.files[str(second / "own.yml")] == b"a: 1"
    assert snapshot.revision is None


def test_the_digest_is_of_names_and_bytes(tmp_path: Path) -> None:
    source = DirectorySource(desk(tmp_path / "policies"))
    before = source.read().digest

    assert source.read().digest == before
    (tmp_path / "policies" / "desk.yaml").rename(tmp_path / "policies" / "other.yaml")
    assert source.read().digest != before


class Changing(DirectorySource):
    """Files that somebody writes just after each time they were read."""

    def __init__(self, folder: Path, times: int) -> None:
        super().__init__(folder)
        self.left, self.file = times, folder / "desk.yaml"

    def _files(self) -> Any:
        found = super()._files()
        if self.left:
            self.left -= 1
            # As long as before, and perhaps within one tick of the file system's clock.
            self.file.write_text(policy(f"{10_000 + self.left} USD"))
        return found


def test_files_that_change_during_the_read_are_read_again(tmp_path: Path) -> None:
    source = Changing(desk(tmp_path / "policies"), times=3)

    files = source.read().files

    assert b"max: 10000 USD" in files[str(source.file)]


def test_files_that_never_stop_changing_are_no_snapshot(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="kept changing"):
        Changing(desk(tmp_path / "policies"), times=100).read()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: shutil.rmtree(folder), "does not exist"),
        (lambda folder: [each.unlink() for each in folder.iterdir()], "holds no YAML files"),
        (lambda folder: (folder / "loop.yaml").symlink_to("loop.yaml"), "too many levels"),
        (lambda folder: (folder / "gone.yaml").symlink_to("nowhere"), "no such file"),
        (lambda folder: (folder / "dir.yaml").mkdir(), "is a directory|is not a file"),
        (lambda folder: os.mkfifo(folder / "pipe.yaml"), "is not a file"),
        (lambda folder: (folder / "more").symlink_to("/etc"), "link to a directory"),
    ],
)
def test_what_cannot_be_read_whole_is_not_read(spoil: Any, said: str, tmp_path: Path) -> None:
    folder = desk(tmp_path / "policies")
    spoil(folder)

    with pytest.raises(SourceError, match=said):
        DirectorySource(folder).read()


def test_a_file_in_place_of_the_directory_is_no_source(tmp_path: Path) -> None:
    (tmp_path / "policies").write_text("")

    with pytest.raises(SourceError, match="is no directory"):
        DirectorySource(tmp_path / "policies").read()


def test_a_source_needs_a_directory() -> None:
    with pytest.raises(InputError, match="needs a directory"):
        DirectorySource()


READ_AS_NOBODY = """
import os, sys
from ringfence.errors import InputError
from ringfence.reload.directory_source import DirectorySource
if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
try:
    DirectorySource(sys.argv[1]).read()
except InputError as error:
    print(error.message)
"""


@pytest.mark.parametrize("locked", ["desk.yaml", "."])
def test_a_file_without_permission_is_no_hole_in_the_set(locked: str) -> None:
    # Not below the tests' own directory, which is closed to others.
    with tempfile.TemporaryDirectory() as place:
        folder = desk(Path(place) / "policies")
        Path(place).chmod(0o755)
        (folder / locked).chmod(0)

        done = subprocess.run(
            [sys.executable, "-c", READ_AS_NOBODY, str(folder)],
            capture_output=True,
            text=True,
            check=True,
        )
        (folder / locked).chmod(0o700)

    # Root's permissions do not end: the child is somebody else.
    assert "cannot be read: permission denied" in done.stdout


# Followed, by the system's events


def atomic_rename(file: Path, text: str) -> None:
    """As most editors save: a new file, renamed over the old one."""
    beside = file.with_name(f".{file.name}.swp")
    beside.write_text(text)
    beside.rename(file)


def backup_rename(file: Path, text: str) -> None:
    """As vim saves with `backup`: the old file is moved away, and a new one written."""
    file.rename(file.with_name(f"{file.name}~"))
    file.write_text(text)


def from_outside(file: Path, text: str) -> None:
    """As a program that prepares the file elsewhere on the same file system."""
    beside = file.parents[1] / "prepared"
    beside.write_text(text)
    beside.rename(file)


def in_place(file: Path, text: str) -> None:
    file.write_text(text)


def in_steps(file: Path, text: str) -> None:
    with file.open("w") as handle:
        for at in range(0, len(text), 64):
            handle.write(text[at : at + 64])
            handle.flush()


@pytest.mark.parametrize("save", [atomic_rename, backup_rename, from_outside, in_place, in_steps])
def test_a_saved_file_is_taken_over(save: Any, tmp_path: Path) -> None:
    folder = desk(tmp_path / "policies", test=TEST)
    with running(DirectorySource(folder), tmp_path / "store") as found:
        assert found.next().result == "accepted"

        save(folder / "desk.yaml", policy("9_000 USD"))
        found.until(lambda each: each.policy_set == sha256(folder))

        assert found.guard.policy_set == sha256(folder)
        assert found.reloader.health().watching


def test_a_checkout_of_many_files_is_taken_over_as_one(tmp_path: Path) -> None:
    top = tmp_path / "repository"
    folder = desk(top / "policies")
    for each in range(200):
        (folder / f"note-{each}.yaml").write_text(
            f"{EMPTY}# first\n".replace("NAME", f"note-{each}")
        )
    git("init", "-q", "-b", "main", at=tmp_path)
    git("init", "-q", "-b", "main", at=top)
    git("add", ".", at=top)
    git("commit", "-q", "-m", "first", at=top)
    git("checkout", "-q", "-b", "next", at=top)
    for each in range(200):
        (folder / f"note-{each}.yaml").write_text(
            f"{EMPTY}# second\n".replace("NAME", f"note-{each}")
        )
    desk(folder, position="9_000 USD")
    git("commit", "-q", "-am", "next", at=top)
    wanted = sha256(folder)
    git("checkout", "-q", "main", at=top)
    with running(DirectorySource(folder), tmp_path / "store") as found:
        found.next("accepted")

        git("checkout", "-q", "next", at=top)
        found.until(lambda each: each.policy_set == wanted)

        assert found.guard.policy_set == wanted
        assert [each.result for each in found.outcomes if each.result == "failed"] == []


EMPTY = """
apiVersion: ringfence/v1
kind: Instruments
metadata: {name: NAME, version: 1.0.0, description: nothing}
spec: {venues: [NAME]}
"""


def mounted(top: Path, number: int, position: str) -> None:
    """A config map as it is mounted: files are links into `..data`, which is swapped as a whole."""
    version = top / f"..version-{number}"
    desk(version, position=position)
    (top / "..data_tmp").symlink_to(version.name)
    (top / "..data_tmp").rename(top / "..data")
    for name in ("desk.yaml", "instruments.yaml"):
        if not (top / name).is_symlink():
            (top / name).symlink_to(f"..data/{name}")


def test_a_config_map_that_is_swapped_is_taken_over(tmp_path: Path) -> None:
    top = tmp_path / "mounted"
    top.mkdir()
    mounted(top, 1, "10_000 USD")
    with running(DirectorySource(top), tmp_path / "store") as found:
        found.next("accepted")

        mounted(top, 2, "9_000 USD")
        shutil.rmtree(top / "..version-1")
        found.until(lambda each: each.policy_set == sha256(top))

        assert found.guard.policy_set == sha256(top)


def test_a_directory_that_is_a_link_is_followed_where_it_leads_next(tmp_path: Path) -> None:
    desk(tmp_path / "releases" / "1")
    desk(tmp_path / "releases" / "2", position="9_000 USD")
    third = desk(tmp_path / "releases" / "3", position="8_000 USD")
    current = tmp_path / "current"
    current.symlink_to("releases/1")
    with running(DirectorySource(current), tmp_path / "store") as found:
        found.next("accepted")

        for number in (2, 3):
            (tmp_path / "next").symlink_to(f"releases/{number}")
            (tmp_path / "next").rename(current)
            found.until(lambda each: each.policy_set == sha256(current))
        # The directory that the link leads to is the one that is watched now.
        atomic_rename(third / "desk.yaml", policy("7_000 USD"))
        found.until(lambda each: each.policy_set == sha256(current))


def test_links_to_files_elsewhere_are_watched_where_they_lead(tmp_path: Path) -> None:
    elsewhere = desk(tmp_path / "elsewhere")
    top = tmp_path / "policies"
    top.mkdir()
    for name in ("desk.yaml", "instruments.yaml"):
        (top / name).symlink_to(elsewhere / name)
    with running(DirectorySource(top), tmp_path / "store") as found:
        found.next("accepted")

        for save, position in ((atomic_rename, "9_000 USD"), (in_place, "8_000 USD")):
            save(elsewhere / "desk.yaml", policy(position))
            found.until(lambda each: each.policy_set == sha256(top))


def test_a_directory_that_goes_and_comes_back_is_followed_again(tmp_path: Path) -> None:
    folder = desk(tmp_path / "policies")
    with running(DirectorySource(folder), tmp_path / "store") as found:
        first = found.next("accepted").policy_set

        shutil.rmtree(folder)
        failed = found.next("failed")
        assert (failed.policy_set, found.guard.policy_set) == (first, first)
        assert not found.reloader.health().ok

        desk(folder, position="9_000 USD")
        found.until(lambda each: each.policy_set == sha256(folder))
        atomic_rename(folder / "desk.yaml", policy("8_000 USD"))
        found.until(lambda each: each.policy_set == sha256(folder))
        assert found.reloader.health().ok


def test_a_policy_that_is_deleted_leaves_the_set_unless_that_makes_it_unsound(
    tmp_path: Path,
) -> None:
    folder = desk(tmp_path / "policies")
    more = policy("9_000 USD").replace("desk-main", "desk-more")
    save(folder / "more.yaml", more)
    with running(DirectorySource(folder), tmp_path / "store") as found:
        found.next("accepted")

        (folder / "more.yaml").unlink()
        kept = found.next("accepted").policy_set
        assert kept == sha256(folder)

        (folder / "desk.yaml").unlink()
        assert "there is no policy" in found.next("failed").message
        assert found.guard.policy_set == kept


def test_half_a_file_is_refused_and_the_whole_one_taken(tmp_path: Path) -> None:
    folder = desk(tmp_path / "policies")
    with running(DirectorySource(folder), tmp_path / "store") as found:
        first = found.next("accepted").policy_set

        text = policy("9_000 USD")
        (folder / "desk.yaml").write_text(text[: len(text) // 2])
        assert found.next("failed").policy_set == first
        save(folder / "desk.yaml", text)

        assert found.next("accepted").policy_set == sha256(folder)


def test_a_file_that_cannot_be_read_keeps_the_last_good_set(tmp_path: Path) -> None:
    folder = desk(tmp_path / "policies")
    with running(DirectorySource(folder), tmp_path / "store") as found:
        first = found.next("accepted").policy_set

        (folder / "loop.yaml").symlink_to("loop.yaml")
        assert found.next("failed").policy_set == first
        (folder / "loop.yaml").unlink()

        assert found.next("current").policy_set == first


def test_what_grows_beside_the_directory_wakes_nobody(tmp_path: Path) -> None:
    folder = desk(tmp_path / "policies")
    with running(DirectorySource(folder), tmp_path / "store") as found:
        found.next("accepted")

        for each in range(50):
            (tmp_path / f"log-{each}").write_text("a line")
        found.reloader.reload(by="ann", reason="to see what was done until now")

        assert [each.by for each in found.outcomes[1:]] == ["ann"]


# Without events


def test_a_network_mount_is_read_again_and_again(tmp_path: Path) -> None:
    folder = desk(tmp_path / "policies")
    source = DirectorySource(folder, polling=True)
    settings = ReloadSettings(debounce_ns=QUICK.debounce_ns, poll_ns=20_000_000)
    with running(source, tmp_path / "store", settings=settings) as found:
        found.next("accepted")

        save(folder / "desk.yaml", policy("9_000 USD"))
        found.until(lambda each: each.policy_set == sha256(folder))


class Polled(DirectorySource):
    """Gives one file after another, as files that are still being written."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, polling=True)
        self.reads = 0
        self.changing = threading.Event()
        self.file = folder / "desk.yaml"

    def read(self, known: str = "") -> Any:
        if self.changing.is_set():
            self.reads += 1
            if self.reads <= 3:
                self.file.write_text(policy(f"{5_000 + self.reads} USD"))
        return super().read(known)


def test_without_events_something_new_counts_once_it_was_seen_twice(tmp_path: Path) -> None:
    source = Polled(desk(tmp_path / "policies"))
    settings = ReloadSettings(debounce_ns=QUICK.debounce_ns, poll_ns=20_000_000)
    with running(source, tmp_path / "store", settings=settings) as found:
        found.next("accepted")

        source.changing.set()
        found.next("accepted")

        # Neither of the first two versions was ever in force.
        assert found.guard.policy_set == sha256(tmp_path / "policies")
        assert len(found.guard.used) == 2


def test_a_change_without_an_event_is_found_by_the_safety_poll(tmp_path: Path) -> None:
    folder = desk(tmp_path / "policies")

    class Deaf(DirectorySource):
        def targets(self) -> Any:
            return ()

    settings = ReloadSettings(debounce_ns=QUICK.debounce_ns, poll_ns=20_000_000)
    with running(Deaf(folder), tmp_path / "store", settings=settings) as found:
        found.next("accepted")
        save(folder / "desk.yaml", policy("9_000 USD"))

        found.until(lambda each: each.policy_set == sha256(folder))


def test_each_look_that_finds_the_set_current_renews_the_lease(tmp_path: Path) -> None:
    folder, guard = desk(tmp_path / "policies"), Recorder()
    settings = ReloadSettings(poll_ns=10_000_000)
    with running(
        DirectorySource(folder), tmp_path / "store", settings=settings, guard=guard
    ) as found:
        found.next("accepted")
        for _ in range(3):
            found.next("current")

        assert guard.confirmed >= 4
        save(folder / "desk.yaml", "broken")
        found.next("failed")
        confirmed = guard.confirmed
        found.reloader.reload(by="ann", reason="it stays broken")
        assert guard.confirmed == confirmed
