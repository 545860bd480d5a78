"""The audit log's writer: numbers without gaps, durable when it says so, and what it does when it cannot write."""

import os
import subprocess
import sys
import threading
import warnings
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import pytest

from ringfence.errors import AuditError
from ringfence.runtime import audit_log
from ringfence.runtime.audit_log import AuditLog
from ringfence.runtime.audit_reader import AuditReader
from ringfence.runtime.audit_segments import FRAME_BYTES
from ringfence.runtime.audit_verify import verify
from ringfence.runtime.ports import FixedClock
from runtime.audit_logs import FailingFiles, files_of, frames, numbers, opened, read, write

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("durability", ["process", "disk"])
def test_records_are_numbered_timed_chained_and_there_once_waited_for(
    durability: str, tmp_path: Path
) -> None:
    clock = FixedClock(7)
    with opened(tmp_path, durability=durability, clock=clock) as log:
        first = log.append("decision", {"a": 1.5})
        clock.advance(1)
        second = log.append("fill", {"b": None})
        log.wait(second)
        assert (first, second, log.last, log.durable) == (1, 2, 2, 2)

        one, two = read(tmp_path)

    assert [(r.sequence, r.ts_ns, r.kind, r.body) for r in (one, two)] == [
        (1, 7, "decision", {"a": 1.5}),
        (2, 8, "fill", {"b": None}),
    ]
    assert two.prev == one.hash == sha256(frames(files_of(tmp_path)[0])[0].payload).hexdigest()


def test_the_same_records_are_the_same_bytes(tmp_path: Path) -> None:
    write(tmp_path / "a", 20)
    write(tmp_path / "b", 20)

    assert files_of(tmp_path / "a")[0].read_bytes() == files_of(tmp_path / "b")[0].read_bytes()


def test_an_opened_log_goes_on_where_it_stood(tmp_path: Path) -> None:
    for _ in range(4):
        write(tmp_path, 5, segment_bytes=600)

    assert numbers(tmp_path) == list(range(1, 21))
    assert verify(tmp_path).findings == []


def test_disk_syncs_before_wait_returns_and_process_does_not(tmp_path: Path) -> None:
    for durability, wanted in (("disk", ["write", "sync"]), ("process", ["write"])):
        files = FailingFiles()
        with opened(tmp_path / durability, durability=durability, files=files) as log:
            files.state.calls.clear()
            log.wait(log.append("note", {}))
            assert files.state.calls == wanted


def test_one_write_serves_all_that_is_pending(tmp_path: Path) -> None:
    files = FailingFiles()
    with opened(tmp_path, durability="disk", files=files) as log:
        log.close()  # its thread writes nothing between
    with opened(tmp_path, durability="disk", files=files) as log:
        files.state.calls.clear()
        with log._commit:  # a writer at work: meanwhile, records are added
            last = [log.append("note", {}) for _ in range(100)][-1]
        log.wait(last)
        assert files.state.calls == ["write", "sync"]


def test_threads_get_numbers_without_gaps_and_each_its_own_record(tmp_path: Path) -> None:
    told: dict[int, tuple[int, int]] = {}

    with opened(tmp_path, segment_bytes=5_000) as log:

        def work(worker: int) -> None:
            for step in range(100):
                sequence = log.append("note", {"worker": worker, "step": step})
                log.wait(sequence)
                told[sequence] = (worker, step)

        threads = [threading.Thread(target=work, args=(each,)) for each in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    found = {r.sequence: (r.body["worker"], r.body["step"]) for r in read(tmp_path)}
    assert found == told
    assert list(found) == list(range(1, 801))
    assert verify(tmp_path).findings == []


def test_what_nobody_waits_for_is_written_all_the_same(tmp_path: Path) -> None:
    written = threading.Event()
    files = FailingFiles()
    append_to = files.append_to

    def watched(path: Path) -> object:
        file = append_to(path)
        write_it = file.write
        file.write = lambda content: (write_it(content), written.set())  # type: ignore[method-assign]
        return file

    files.append_to = watched  # type: ignore[method-assign,assignment]
    with opened(tmp_path, files=files) as log:
        log.append("note", {})
        assert written.wait(60)
        assert numbers(tmp_path) == [1]


def test_much_that_is_pending_is_written_by_who_adds_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_log, "_PENDING_BYTES", 1_000)
    monkeypatch.setattr(audit_log, "_IDLE_SECONDS", 3600)
    with opened(tmp_path) as log:
        while log.durable == 0:
            log.append("note", {"text": "x" * 100})
        assert log.last < 10


def test_a_directory_has_one_writer(tmp_path: Path) -> None:
    with opened(tmp_path), pytest.raises(AuditError, match="by another process"):
        opened(tmp_path)
    opened(tmp_path).close()


def test_a_forked_child_cannot_write_its_parents_log(tmp_path: Path) -> None:
    with opened(tmp_path) as log, warnings.catch_warnings():
        # The log has a thread; the child calls nothing that a thread could hold.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
        if child == 0:
            code = 9
            try:
                log.append("note", {})
            except AuditError as error:
                code = 7 if "forked" in error.message else 8
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        assert log.append("note", {}) == 1


@pytest.mark.parametrize("kind", ["", "Decision", "a b", "1a", 'a"', "a" * 65, "a\n"])
def test_a_kind_is_a_plain_word(kind: str, tmp_path: Path) -> None:
    with opened(tmp_path) as log:
        with pytest.raises(AuditError, match="no kind"):
            log.append(kind, {})
        assert log.append("fine", {}) == 1


def test_a_body_that_cannot_be_written_leaves_the_log_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_log, "BODY_BYTES", 1_000)
    with opened(tmp_path) as log:
        for body in ({"a": object()}, {"a": "x" * 1_000}):
            with pytest.raises(AuditError):
                log.append("note", body)
        log.wait(log.append("note", {}))
    assert numbers(tmp_path) == [1]


def test_nobody_waits_for_a_record_that_is_not_there(tmp_path: Path) -> None:
    with opened(tmp_path) as log, pytest.raises(AuditError, match="never appended"):
        log.wait(1)


def test_a_closed_log_takes_nothing_and_may_be_closed_again(tmp_path: Path) -> None:
    log = opened(tmp_path)
    log.append("note", {})
    log.close()
    log.close()

    with pytest.raises(AuditError, match="closed"):
        log.append("note", {})
    with pytest.raises(AuditError, match="closed"):
        log.wait(1)
    assert numbers(tmp_path) == [1]


@pytest.mark.parametrize("fails", ["write", "sync"])
@pytest.mark.parametrize("written_before", [0, 5, 200])
def test_a_write_that_fails_poisons_the_log_until_it_is_opened_again(
    fails: str, written_before: int, tmp_path: Path
) -> None:
    files = FailingFiles()
    log = opened(tmp_path, durability="disk", files=files)
    log.wait(log.append("note", {"n": 1}))
    files.state.fails, files.state.written_before = fails, written_before

    lost = log.append("note", {"n": 2})
    with pytest.raises(AuditError, match="could not be written"):
        log.wait(lost)
    files.state.fails = ""
    for attempt in (lambda: log.append("note", {}), lambda: log.wait(lost), lambda: log.wait(1)):
        with pytest.raises(AuditError, match="could not be written"):
            attempt()
    log.close()

    with opened(tmp_path) as again:
        assert again.append("note", {}) > 1
    assert read(tmp_path)[0].body == {"n": 1}
    assert verify(tmp_path).findings == []


def test_all_who_wait_hear_of_a_failed_write(tmp_path: Path) -> None:
    files = FailingFiles()
    log = opened(tmp_path, files=files)
    files.state.fails = "write"
    heard = []

    def work() -> None:
        try:
            log.wait(log.append("note", {}))
        except AuditError as error:
            heard.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close()

    assert len(heard) == 8


def test_a_full_log_refuses_and_takes_more_once_old_files_are_dropped(tmp_path: Path) -> None:
    with opened(tmp_path, segment_bytes=1_000, limit_bytes=4_000) as log:
        with suppress(AuditError):
            while log.last < 1_000:
                log.append("note", {})
        last = log.last
        with pytest.raises(AuditError, match="full"):
            log.append("note", {})
        log.wait(last)
        assert sum(path.stat().st_size for path in files_of(tmp_path)) <= 4_000

        assert log.drop_before(last) > 0
        assert log.append("note", {}) == last + 2  # between them, the record of what was dropped


FILE_SIZE = """
import resource, sys
from pathlib import Path
from ringfence.errors import AuditError
from ringfence.runtime.audit_log import AuditLog

log = AuditLog.open(Path(sys.argv[1]), durability="disk")
resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, 5_000))
try:
    while True:
        log.wait(log.append("note", {"text": "x" * 50}))
        print(log.durable, flush=True)
except AuditError as error:
    print(error.message)
"""


def test_when_the_system_takes_no_more_what_was_acknowledged_is_there(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", FILE_SIZE, str(tmp_path)], capture_output=True, text=True, check=True
    )
    *acknowledged, said = ran.stdout.splitlines()

    assert said == "the audit log could not be written: file too large"
    assert numbers(tmp_path) == [int(each) for each in acknowledged]
    with opened(tmp_path) as log:
        assert log.recovered is not None
        assert log.recovered.after == len(acknowledged)


def test_a_directory_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(AuditError, match="cannot be opened"):
        opened(tmp_path / "file" / "below")


def test_a_durability_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AuditError, match="no durability"):
        AuditLog.open(tmp_path, durability="both")  # type: ignore[arg-type]


def test_files_are_followed_by_the_next_and_none_is_larger_than_asked(tmp_path: Path) -> None:
    write(tmp_path, 100, segment_bytes=1_000)

    sizes = [path.stat().st_size for path in files_of(tmp_path)]
    assert len(sizes) > 5
    assert max(sizes) <= 1_000
    assert [frames(path)[0].payload for path in files_of(tmp_path)]
    assert numbers(tmp_path) == list(range(1, 101))


def test_a_record_larger_than_a_file_gets_one_of_its_own(tmp_path: Path) -> None:
    with opened(tmp_path, segment_bytes=500) as log:
        for size in (10, 2_000, 10):
            log.append("note", {"text": "x" * size})

    assert [len(frames(path)) for path in files_of(tmp_path)] == [1, 1, 1]


def test_old_files_are_dropped_whole_and_the_begin_is_remembered(tmp_path: Path) -> None:
    with opened(tmp_path, segment_bytes=1_000) as log:
        for _ in range(50):
            log.append("note", {})
        log.wait(50)
        before = files_of(tmp_path)
        assert log.drop_before(0) == log.drop_before(1) == 0
        dropped = log.drop_before(30)
        assert log.size_bytes == sum(path.stat().st_size for path in files_of(tmp_path))

    kept = before[dropped:]
    assert files_of(tmp_path)[: len(kept)] == kept
    assert int(kept[0].stem) <= 30 < int(kept[1].stem)
    record = read(tmp_path)[-1]
    assert (record.kind, record.body["first"]) == ("retention", int(kept[0].stem))
    assert verify(tmp_path).findings == []
    write(tmp_path, 3)
    assert numbers(tmp_path) == list(range(int(kept[0].stem), 55))


def test_a_log_keeps_no_more_than_it_is_told_to(tmp_path: Path) -> None:
    write(tmp_path, 100, segment_bytes=1_000)
    write(tmp_path, 1, segment_bytes=1_000, keep_bytes=3_000)

    assert 1_000 < sum(path.stat().st_size for path in files_of(tmp_path)) <= 3_000 + 1_000
    assert verify(tmp_path).findings == []


def test_an_old_file_that_cannot_be_removed_is_told_of_once(tmp_path: Path) -> None:
    write(tmp_path, 100, segment_bytes=1_000)
    files = FailingFiles()

    def refuse(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    files.remove = refuse  # type: ignore[attr-defined]
    log = opened(tmp_path, files=files, keep_bytes=3_000)
    log._drop_what_is_too_much()
    log._drop_what_is_too_much()
    log.close()

    kinds = [record.kind for record in read(tmp_path)]
    assert kinds.count("retention-failed") == 1
    assert kinds.count("retention") == 1


def test_old_files_are_removed_once_they_can_be(tmp_path: Path) -> None:
    write(tmp_path, 100, segment_bytes=1_000)
    files, clock = FailingFiles(), FixedClock(1_000)
    remove = files.remove

    def refuse(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    files.remove = refuse  # type: ignore[attr-defined]
    log = opened(tmp_path, files=files, keep_bytes=3_000, clock=clock)
    log._drop_what_is_too_much()
    files.remove = remove  # type: ignore[attr-defined]
    log._drop_what_is_too_much()
    assert sum(path.stat().st_size for path in files_of(tmp_path)) > 4_000

    clock.advance(600_000_000_000)
    log._drop_what_is_too_much()
    log.close()
    assert sum(path.stat().st_size for path in files_of(tmp_path)) <= 3_000 + 1_000
    assert verify(tmp_path).findings == []


@pytest.mark.parametrize("call", ["list", "size"])
def test_old_files_that_cannot_be_looked_at_are_told_of_and_writing_goes_on(
    call: str, tmp_path: Path
) -> None:
    write(tmp_path, 100, segment_bytes=1_000)
    files = FailingFiles()
    log = opened(tmp_path, files=files, keep_bytes=10_000_000)

    def refuse(_: Path) -> None:
        raise OSError(24, "Too many open files")

    setattr(files, call, refuse)
    log._retention._keep_bytes = 3_000
    log._drop_what_is_too_much()
    log.append("note", {})
    log.close()

    assert [record.kind for record in read(tmp_path)][-2:] == ["retention-failed", "note"]


def test_a_reader_sees_whole_records_while_they_are_written(tmp_path: Path) -> None:
    seen: list[int] = []
    with opened(tmp_path, segment_bytes=2_000) as log:
        reader = AuditReader(tmp_path)
        for step in range(1, 200):
            log.append("note", {"step": step})
            if step % 7 == 0:
                log.wait(step)
                found = [record.sequence for record in reader.poll()]
                assert found[-1] >= step
                seen += found
    seen += [record.sequence for record in reader.poll()]
    assert seen == list(range(1, 200))


def test_a_frame_is_as_long_as_it_says(tmp_path: Path) -> None:
    write(tmp_path, 3)
    first, second, third = frames(files_of(tmp_path)[0])

    assert (
        second.offset
        == first.offset + first.size
        == first.offset + FRAME_BYTES + len(first.payload)
    )
    assert third.offset + third.size == files_of(tmp_path)[0].stat().st_size
