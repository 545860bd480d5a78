"""Backups: taken while a guard runs, found out where they are not what was copied, and put back."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ringfence.adapters.audit_duckdb import DuckdbSink, copy_file
from ringfence.errors import AuditSinkError, InputError, StateError
from ringfence.runtime.audit_log import AuditLog
from ringfence.runtime.audit_verify import verify
from ringfence.runtime.audit_writer import AuditWriter
from ringfence.runtime.backups.restoring import restore_backup
from ringfence.runtime.backups.shelf import DATA, Made, Shelf, check_backup
from ringfence.runtime.guard import CentralRiskGuard
from ringfence.runtime.guard_settings import GuardSettings
from ringfence.runtime.policy_store import PolicyStore
from ringfence.runtime.ports import SYSTEM_FILES, AppendFile, FixedClock
from runtime.audit_logs import (
    FailingFile,
    State,
    files_of,
    numbers,
    opened,
    read,
    rewrite,
    write,
)
from runtime.desk import NOON, SECOND, policies
from runtime.desk import opened as guard_of

pytestmark = pytest.mark.integration


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The directory of a guard that does not run: a log of several files, and others beside it."""
    folder = tmp_path / "data"
    write(folder / "audit", 30, segment_bytes=1_000)
    (folder / "cursors").mkdir()
    (folder / "cursors" / "paper-main").write_text("7")
    (folder / "users.json").write_text('{"ann": 1}')
    return folder


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "backups", clock=FixedClock(NOON))


def create(shelf: Shelf, data: Path, **options: Any) -> Made:
    shelf._clock.advance(SECOND)  # type: ignore[attr-defined]
    return shelf.create(data, copy_database=copy_file, **options)


def contents(folder: Path) -> dict[str, bytes]:
    paths = [each for each in folder.rglob("*") if each.is_file()]
    return {
        each.relative_to(folder).as_posix(): each.read_bytes()
        for each in paths
        if not each.name.endswith("lock")
    }


def test_what_was_copied_comes_back(data: Path, shelf: Shelf, tmp_path: Path) -> None:
    made = create(shelf, data)
    restored = restore_backup(made.path, tmp_path / "new" / "place")

    assert contents(tmp_path / "new" / "place") == contents(data)
    assert check_backup(made.path) == (made.manifest, ())
    assert [(each.kind, each.path) for each in restored.parts] == [
        ("files", "."),
        ("files", "cursors"),
        ("audit", "audit"),
    ]
    log = restored.parts[-1]
    assert (log.first, log.last, log.last_ns) == (1, 30, 1_000)
    for path in (made.path, tmp_path / "new" / "place" / "audit"):
        assert {each.stat().st_mode & 0o077 for each in [path, *path.rglob("*")]} == {0}


def test_a_part_comes_back_alone(data: Path, shelf: Shelf, tmp_path: Path) -> None:
    made = create(shelf, data)
    restore_backup(made.path, tmp_path / "log", only=("audit/",))

    wanted = [f"audit/{each.name}" for each in files_of(data / "audit")]
    assert sorted(contents(tmp_path / "log")) == wanted
    with pytest.raises(InputError, match=r"no such part.*audit, cursors"):
        restore_backup(made.path, tmp_path / "other", only=("aud",))


def test_it_goes_into_an_empty_directory_that_is_there(
    data: Path, shelf: Shelf, tmp_path: Path
) -> None:
    target = tmp_path / "volume"
    # What is left of a restore that was interrupted.
    (target / ".restoring" / "audit").mkdir(parents=True)

    restore_backup(create(shelf, data).path, target)

    assert contents(target) == contents(data)
    assert not (target / ".restoring").exists()


def test_it_does_not_go_where_something_is(data: Path, shelf: Shelf, tmp_path: Path) -> None:
    made = create(shelf, data)
    before = contents(data)

    with pytest.raises(InputError, match="is not empty"):
        restore_backup(made.path, data)
    with (
        opened(tmp_path / "used" / "audit"),
        pytest.raises(InputError, match=r"a guard uses .*stop it"),
    ):
        restore_backup(made.path, tmp_path / "used")
    with pytest.raises(InputError, match="is no directory"):
        restore_backup(made.path, data / "users.json")
    assert contents(data) == before


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


SPOILERS: list[tuple[Callable[[Path], object], str]] = [
    (lambda backup: flipped(backup / DATA / "users.json"), "`users.json` is not what was copied"),
    (
        lambda backup: flipped(files_of(backup / DATA / "audit")[1]),
        r"audit.* is not what was copied",
    ),
    (
        lambda backup: (backup / DATA / "cursors/paper-main").unlink(),
        "`cursors/paper-main` cannot be",
    ),
    (
        lambda backup: (backup / DATA / "admin.json").write_text("{}"),
        r"`data/admin.json` was added",
    ),
    (lambda backup: (backup / DATA / "link").symlink_to("/etc/passwd"), r"`data/link` was added"),
]


@pytest.mark.security
@pytest.mark.parametrize(("spoil", "told"), SPOILERS)
def test_a_backup_that_was_changed_is_not_restored(
    spoil: Callable[[Path], object], told: str, data: Path, shelf: Shelf, tmp_path: Path
) -> None:
    made = create(shelf, data)
    spoil(made.path)

    with pytest.raises(InputError, match=told):
        restore_backup(made.path, tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.security
@pytest.mark.parametrize("path", ["../outside", "/etc/passwd", "a/../../b", "a//b", "./a", ""])
def test_a_manifest_cannot_lead_out_of_the_target(path: str, data: Path, shelf: Shelf) -> None:
    made = create(shelf, data)
    file = made.path / "manifest.json"
    held = json.loads(file.read_text())
    held["parts"][0]["files"][0]["path"] = path
    file.write_text(json.dumps(held))

    with pytest.raises(StateError, match="cannot be used"):
        check_backup(made.path)
    assert [manifest for _, manifest in shelf.list()] == [None]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "ringfence-backup/1"}', "[" * 5_000])
def test_what_is_no_manifest_is_told(text: str, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(text)

    with pytest.raises(StateError, match="cannot be used"):
        check_backup(tmp_path)
    (tmp_path / "manifest.json").write_text('{"format": "ringfence-backup/2"}')
    with pytest.raises(StateError, match="format `ringfence-backup/2`"):
        check_backup(tmp_path)
    with pytest.raises(StateError, match="is no backup"):
        check_backup(tmp_path / "nowhere")


def test_a_log_that_was_changed_is_copied_and_told_of(data: Path, shelf: Shelf) -> None:
    good = create(shelf, data)
    rewrite(files_of(data / "audit")[0], lambda payloads: payloads[:-1])

    made = create(shelf, data, keep=1)

    (finding,) = made.manifest.findings
    assert "missing" in finding
    assert check_backup(made.path)[1] == (finding,)
    # A copy that is not sound costs no sound one its place.
    assert (made.removed, good.path.exists()) == ((), True)


def test_the_newest_sound_ones_are_kept(data: Path, shelf: Shelf) -> None:
    paths = [create(shelf, data).path for _ in range(4)]
    (paths[2] / "manifest.json").unlink()

    made = create(shelf, data, keep=2)

    assert made.removed == tuple(paths[:3])
    assert [path for path, _ in shelf.list()] == [paths[3], made.path]
    with pytest.raises(InputError, match="`0` backups"):
        create(shelf, data, keep=0)


def test_what_cannot_be_backed_up_is_told(data: Path, shelf: Shelf, tmp_path: Path) -> None:
    (data / "elsewhere").symlink_to(tmp_path)
    assert create(shelf, data).manifest.left_out == (
        "elsewhere: a link: back up what it leads to on its own",
    )
    with pytest.raises(InputError, match="is there already"):
        shelf.create(data, copy_database=copy_file)
    with pytest.raises(InputError, match="lies in what is to be copied"):
        Shelf(data / "backups").create(data, copy_database=copy_file)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds nothing"):
        create(shelf, tmp_path / "empty")
    elsewhere = Shelf(tmp_path / "not-made", clock=FixedClock(NOON))
    (tmp_path / "empty" / "notes.txt").write_text("nothing of a guard")
    with pytest.raises(InputError, match="holds no audit log, no state and no policy store"):
        create(elsewhere, tmp_path / "empty")
    with pytest.raises(InputError, match="does not exist"):
        create(elsewhere, tmp_path / "nowhere")
    with pytest.raises(InputError, match="is no directory"):
        create(elsewhere, tmp_path / "empty" / "notes.txt")
    assert not (tmp_path / "not-made").exists()
    with pytest.raises(InputError, match="cannot be read"):
        Shelf(tmp_path / "nowhere").list()
    held = SYSTEM_FILES.lock(tmp_path / "backups" / ".lock")
    with pytest.raises(InputError, match="another backup is being made"):
        create(shelf, data)
    held.close()


def test_what_was_interrupted_is_no_backup(data: Path, shelf: Shelf) -> None:
    def fail(path: Path, target: Path) -> None:
        raise AuditSinkError("failed", f"{path} {target}")

    (data / "audit.duckdb").write_bytes(b"")
    with pytest.raises(AuditSinkError):
        shelf.create(data, copy_database=fail)
    (data / "audit.duckdb").unlink()

    assert shelf.list() == []
    assert check_backup(create(shelf, data).path)[1] == ()


class FullDisk:
    """The system's files, on a disk that takes no more."""

    def append_to(self, path: Path, *, new: bool = False) -> AppendFile:
        state = State()
        state.fails = "write"
        return FailingFile(SYSTEM_FILES.append_to(path, new=new), state)

    def __getattr__(self, name: str) -> Any:
        return getattr(SYSTEM_FILES, name)


def test_a_full_disk_names_the_backup_and_not_what_is_backed_up(data: Path, tmp_path: Path) -> None:
    full = Shelf(tmp_path / "backups", clock=FixedClock(NOON), files=FullDisk())

    with pytest.raises(InputError, match="no space left on device") as refused:
        create(full, data)

    assert f"could be made: `{tmp_path / 'backups'}" in refused.value.message


class VanishingFiles:
    """The system's files, of which some go, or more come, just before they are read."""

    def __init__(self, before: Callable[[Path], None]) -> None:
        self._before = before

    def read_bytes(self, path: Path) -> bytes:
        self._before(path)
        return SYSTEM_FILES.read_bytes(path)

    def __getattr__(self, name: str) -> Any:
        return getattr(SYSTEM_FILES, name)


def test_retention_may_remove_files_of_the_log_meanwhile(data: Path, tmp_path: Path) -> None:
    log = opened(data / "audit", segment_bytes=1_000)
    third = files_of(data / "audit")[2]

    def drop(path: Path) -> None:
        if path == third:
            log.drop_before(int(files_of(data / "audit")[4].stem))

    files: Any = VanishingFiles(drop)
    made = Shelf(tmp_path / "backups", files=files).create(data, copy_database=copy_file)
    log.close()

    assert made.manifest.findings == ()
    assert made.manifest.parts[-1].first == int(files_of(data / "audit")[0].stem) > 1


def test_a_record_that_is_being_written_is_left_for_the_next_backup(
    data: Path, shelf: Shelf
) -> None:
    last = files_of(data / "audit")[-1]
    last.write_bytes(last.read_bytes()[:-5])

    made = create(shelf, data)

    assert made.manifest.findings == ()
    assert made.manifest.parts[-1].last == 29
    assert numbers(made.path / DATA / "audit") == list(range(1, 30))


@pytest.fixture
def traded(tmp_path: Path) -> Iterator[tuple[CentralRiskGuard, AuditLog, FixedClock, Path]]:
    """A guard that runs, and its directory."""
    clock = FixedClock(NOON)
    folder = tmp_path / "running"
    folder.mkdir()
    log = AuditLog.open(folder / "audit", durability="process", clock=clock, segment_bytes=20_000)
    guard = guard_of(
        policies(tmp_path / "policies"),
        clock=clock,
        settings=GuardSettings(journal_bytes=2_000),
        audit=log,
        state=folder / "state",
    )
    PolicyStore(folder / "policies").put(guard_policies(tmp_path), {"at_ns": NOON})
    yield guard, log, clock, folder
    guard.close()
    log.close()


def guard_policies(tmp_path: Path) -> Any:
    return policies(tmp_path / "policies")


def test_a_guard_goes_on_from_a_backup_that_was_taken_while_it_traded(
    traded: tuple[CentralRiskGuard, AuditLog, FixedClock, Path], tmp_path: Path
) -> None:
    guard, _, clock, folder = traded
    stopping, begun = threading.Event(), threading.Semaphore(0)
    booked = [0]

    def trade() -> None:
        while not stopping.is_set():
            guard.on_direct_fill("main", "", "ETH/USD", "sell", "1", 10)
            booked[0] += 1
            begun.release()

    shelf = Shelf(tmp_path / "backups", clock=FixedClock(NOON))
    trader = threading.Thread(target=trade)
    trader.start()
    found = []
    try:
        for _ in range(6):
            for _ in range(40):
                assert begun.acquire(timeout=60)
            before = booked[0]
            made = create(shelf, folder)
            found.append((before, made, booked[0] + 1))
    finally:
        stopping.set()
        trader.join()

    for number, (before, made, after) in enumerate(found):
        assert made.manifest.findings == ()
        target = tmp_path / f"restored-{number}"
        restore_backup(made.path, target)
        fills = [each for each in read(target / "audit") if each.kind == "direct"]
        again = CentralRiskGuard.open(
            guard_policies(tmp_path),
            clock=FixedClock(clock.now_ns()),
            settings=GuardSettings(without_audit=True),
            state=target / "state",
        )
        # All that was booked before it began; and nothing that the log, which is taken last, does not tell of, but for
        # the one fill that was kept and not yet recorded when both were taken.
        held = -int(again.book("account/main").positions["ETH/USD"].size)
        assert before <= held <= len(fills) + 1
        assert len(fills) <= after
        again.close()
        assert len(PolicyStore(target / "policies").entries()) == 1


@pytest.mark.parametrize("renewals", [1, 30])
def test_a_snapshot_that_is_replaced_meanwhile_is_read_again(
    renewals: int, traded: tuple[CentralRiskGuard, AuditLog, FixedClock, Path], tmp_path: Path
) -> None:
    guard, _, _, folder = traded
    left = [renewals]

    def renew(path: Path) -> None:
        if path.name.startswith("journal") and left[0] and path.parent.parent == folder:
            left[0] -= 1
            guard.checkpoint()

    files: Any = VanishingFiles(renew)
    shelf = Shelf(tmp_path / "backups", clock=FixedClock(NOON), files=files)
    if renewals > 20:
        with pytest.raises(StateError, match="no snapshot, or another one each time"):
            create(shelf, folder)
        return
    made = create(shelf, folder)

    state = next(each for each in made.manifest.parts if each.kind == "state")
    assert (state.findings, left) == ((), [0])
    assert {each.path.split("-")[-1] for each in state.files} == {
        max(path.name for path in (folder / "state").glob("snapshot-*")).split("-")[-1]
    }


def test_a_state_that_was_changed_is_told_of(
    traded: tuple[CentralRiskGuard, AuditLog, FixedClock, Path], tmp_path: Path
) -> None:
    _, _, _, folder = traded
    flipped(next((folder / "state").glob("snapshot-*")))

    made = create(Shelf(tmp_path / "backups", clock=FixedClock(NOON)), folder)

    assert ["checksum" in each for each in made.manifest.findings] == [True]


def test_a_database_that_was_lost_is_made_again_from_the_log(
    data: Path, shelf: Shelf, tmp_path: Path
) -> None:
    AuditWriter(data / "audit", [DuckdbSink(data / "audit.duckdb")]).catch_up()
    made = create(shelf, data)
    restore_backup(made.path, tmp_path / "with")
    restore_backup(made.path, tmp_path / "without", only=("audit",))

    again = AuditWriter(tmp_path / "without/audit", [DuckdbSink(tmp_path / "new.duckdb")])
    assert again.catch_up() == 30
    assert rows(tmp_path / "new.duckdb") == rows(tmp_path / "with/audit.duckdb")
    # The copy goes on where it ends.
    write(tmp_path / "with" / "audit", 3)
    sink = DuckdbSink(tmp_path / "with/audit.duckdb")
    assert AuditWriter(tmp_path / "with" / "audit", [sink]).catch_up() == 3


def rows(path: Path) -> list[Any]:
    import duckdb

    with duckdb.connect(str(path), read_only=True) as database:
        return database.execute("SELECT * FROM records ORDER BY seq").fetchall()


def test_a_database_that_cannot_be_copied_is_told(tmp_path: Path) -> None:
    (tmp_path / "it's.duckdb").write_text("no database")

    with pytest.raises(AuditSinkError, match="cannot be copied"):
        copy_file(tmp_path / "it's.duckdb", tmp_path / "copy.duckdb")


def test_a_log_that_goes_on_after_a_restore_is_refused_by_a_database_that_holds_more(
    data: Path, shelf: Shelf, tmp_path: Path
) -> None:
    made = create(shelf, data)
    write(data / "audit", 5)
    sink = DuckdbSink(tmp_path / "outside.duckdb")
    AuditWriter(data / "audit", [sink]).catch_up()

    restore_backup(made.path, tmp_path / "new")
    with opened(tmp_path / "new" / "audit") as log:
        for _ in range(8):
            log.append("note", {"n": "after"})

    assert verify(tmp_path / "new" / "audit").findings == []
    with pytest.raises(AuditSinkError) as caught:
        AuditWriter(tmp_path / "new" / "audit", [sink]).catch_up()
    assert caught.value.kind == "conflict"


def test_a_manifest_says_what_it_holds(data: Path, shelf: Shelf) -> None:
    manifest = create(shelf, data).manifest

    assert manifest.size_bytes == sum(map(len, contents(data).values()))
    assert replace(manifest, parts=()).findings == ()
