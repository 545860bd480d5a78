"""Holds: retention keeps what a sink has not got, and the log's own bound holds all the same."""

from contextlib import suppress
from pathlib import Path

import pytest

from ringfence.errors import AuditError
from ringfence.runtime.audit_hold import Hold, Noted, holds, lowest, release
from ringfence.runtime.ports import SeededRandom
from runtime.audit_logs import files_of, numbers, opened, write

pytestmark = pytest.mark.unit


# The name of the logs that `audit_logs` makes.
CHAIN = SeededRandom(1).token(16)


def held(log: Path, sequence: int, sink: str = "duckdb") -> Hold:
    hold = Hold(log, sink)
    hold.note(Noted(sink, sequence, CHAIN, 5))
    return hold


def test_a_hold_begins_with_everything_and_is_kept_when_its_writer_goes(tmp_path: Path) -> None:
    hold = Hold(tmp_path / "log", "duckdb")
    assert lowest(tmp_path / "log", CHAIN) == Noted("duckdb")
    hold.note(Noted("duckdb", 7, CHAIN, 1, "down"))
    hold.close()

    again = Hold(tmp_path / "log", "duckdb")
    assert again.noted == Noted("duckdb", 7, CHAIN, 1, "down")
    held(tmp_path / "log", 3, "postgres")
    assert lowest(tmp_path / "log", CHAIN) == Noted("postgres", 3, CHAIN, 5)
    assert [each.sink for each in holds(tmp_path / "log")] == ["duckdb", "postgres"]


def test_one_writer_has_a_hold_at_a_time(tmp_path: Path) -> None:
    with pytest.raises(AuditError, match="no name"):
        Hold(tmp_path, "../x")
    hold = Hold(tmp_path, "duckdb")
    for action in (Hold, release):
        with pytest.raises(AuditError, match="another writer") as refused:
            action(tmp_path, "duckdb")
        assert refused.value.fix.startswith("stop that writer first")
    hold.close()
    assert release(tmp_path, "duckdb").sink == "duckdb"
    with pytest.raises(AuditError, match="no sink"):
        release(tmp_path, "duckdb")
    assert lowest(tmp_path, CHAIN) is None


def test_a_note_that_cannot_be_read_holds_everything(tmp_path: Path) -> None:
    held(tmp_path, 7).close()
    (tmp_path / "holds" / "duckdb.json").write_text("{")

    found = lowest(tmp_path, CHAIN)
    assert found is not None
    assert (found.sequence, found.error) == (0, "its note cannot be read")


def test_what_was_noted_of_another_log_holds_everything(tmp_path: Path) -> None:
    held(tmp_path, 1_000).close()
    write(tmp_path, 30, segment_bytes=1_000, random=SeededRandom(2))

    with opened(tmp_path, segment_bytes=1_000) as log, pytest.raises(AuditError, match="come to 0"):
        log.drop_before(25)


def test_a_hold_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "holds").write_text("in the way")

    with pytest.raises(AuditError, match="cannot be written"):
        Hold(tmp_path, "duckdb")
    with pytest.raises(AuditError, match="cannot be read"):
        lowest(tmp_path, CHAIN)


def test_records_that_a_sink_lacks_are_not_dropped_by_hand(tmp_path: Path) -> None:
    write(tmp_path, 30, segment_bytes=1_000)
    with opened(tmp_path, segment_bytes=1_000) as log:
        hold = held(tmp_path, 9)
        with pytest.raises(AuditError, match="the sink `duckdb` has come to 9"):
            log.drop_before(25)
        assert numbers(tmp_path)[0] == 1
        assert log.drop_before(9) > 0
        assert 1 < numbers(tmp_path)[0] <= 10
        hold.note(Noted("duckdb", 30, CHAIN))
        log.drop_before(25)
        assert numbers(tmp_path)[0] > 10


def test_retention_waits_for_the_slowest_sink_and_the_bound_of_the_log_holds(
    tmp_path: Path,
) -> None:
    hold = held(tmp_path, 0)
    log = opened(tmp_path, segment_bytes=1_000, keep_bytes=3_000, limit_bytes=8_000)
    with suppress(AuditError):
        while log.last < 1_000:
            log.wait(log.append("note", {"n": log.last}))
    with pytest.raises(AuditError, match="the audit log is full"):
        log.append("note", {"n": log.last})
    last = log.last
    log.close()
    # Nothing went: the sink has not got it.
    assert numbers(tmp_path) == list(range(1, last + 1))

    hold.note(Noted("duckdb", last - 1, CHAIN))
    with opened(tmp_path, segment_bytes=1_000, keep_bytes=3_000, limit_bytes=8_000):
        pass
    left = numbers(tmp_path)
    assert 1 < left[0] <= last
    assert sum(path.stat().st_size for path in files_of(tmp_path)) < 5_000
    # And there is room again.
    write(tmp_path, 5, segment_bytes=1_000, keep_bytes=3_000, limit_bytes=8_000)
