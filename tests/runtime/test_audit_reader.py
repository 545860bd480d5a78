"""Reading a log: from any place, while it grows, and what happens where it cannot be read."""

import gc
import weakref
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.errors import AuditError
from ringfence.runtime import audit_reader
from ringfence.runtime.audit_reader import AuditReader, tail
from ringfence.runtime.audit_segments import Damage, Frame, Tail, framed, scan, segments
from ringfence.runtime.ports import SYSTEM_FILES, SystemFiles
from runtime.audit_logs import files_of, frames, opened, write

pytestmark = pytest.mark.unit


@pytest.fixture
def log(tmp_path: Path) -> Path:
    write(tmp_path, 30, segment_bytes=1_000)
    return tmp_path


@pytest.mark.parametrize("after", [0, 1, 6, 7, 8, 29, 30, 99])
def test_reading_begins_after_the_record_that_is_named(after: int, log: Path) -> None:
    assert [each.sequence for each in AuditReader(log, after=after).poll()] == list(
        range(after + 1, 31)
    )


@pytest.mark.parametrize("count", [0, 1, 6, 7, 8, 30, 99])
def test_the_tail_is_the_last_records_oldest_first(count: int, log: Path) -> None:
    wanted = list(range(max(1, 31 - count), 31)) if count else []

    assert [each.sequence for each in tail(log, count)] == wanted


read: Counter[Path] = Counter()


class CountedFiles(SystemFiles):
    """The system's files; tells how much was read of each."""

    def read_from(self, path: Path, offset: int, size: int = -1) -> bytes:
        content = SYSTEM_FILES.read_from(path, offset, size)
        read[path] += len(content)
        return content


def test_the_tail_of_many_files_reads_none_of_them_again_and_again(log: Path) -> None:
    read.clear()
    files = segments(log, SYSTEM_FILES)
    assert len(files) > 4

    assert len(tail(log, 30, files=CountedFiles())) == 30
    assert set(read) == set(files)
    # The last one is looked at first, for the number that it ends in.
    assert all(size <= 2 * path.stat().st_size for path, size in read.items())


def test_an_empty_log_has_no_records(tmp_path: Path) -> None:
    opened(tmp_path).close()

    assert tail(tmp_path, 5) == list(AuditReader(tmp_path).poll()) == []


def test_whoever_stops_goes_on_with_the_next_record(log: Path) -> None:
    reader = AuditReader(log)
    first = [next(reader.poll()).sequence for _ in range(20)]

    assert first == list(range(1, 21))
    assert [each.sequence for each in reader.poll()] == list(range(21, 31))
    assert list(reader.poll()) == []
    write(log, 5, segment_bytes=1_000)
    assert [each.sequence for each in reader.poll()] == list(range(31, 36))


def test_a_reader_that_nobody_needs_is_gone_at_once(log: Path) -> None:
    """It knows where each record of its file lies; a sink that fails begins a new one each time."""
    reader = AuditReader(log)
    assert len(list(reader.poll())) == 30
    here = weakref.ref(reader)
    gc.disable()
    try:
        del reader
        assert here() is None
    finally:
        gc.enable()


def test_a_record_is_read_once_it_is_whole(log: Path) -> None:
    path = files_of(log)[-1]
    content = path.read_bytes()
    last = frames(path)[-1]
    reader = AuditReader(log, after=28)
    found = []
    for cut in range(last.offset, len(content) + 1):
        path.write_bytes(content[:cut])
        found.append([each.sequence for each in reader.poll()])

    assert found[:-1] == [[29], *[[]] * (len(found) - 2)]
    assert found[-1] == [30]


def test_a_damaged_record_ends_reading_and_says_where(log: Path) -> None:
    path = files_of(log)[1]
    place = frames(path)[1].offset
    content = bytearray(path.read_bytes())
    content[place + 20] ^= 1
    path.write_bytes(content)

    with pytest.raises(AuditError, match=f"damaged at byte {place}"):
        list(AuditReader(log).poll())


def test_a_damaged_head_ends_reading(log: Path) -> None:
    files_of(log)[0].write_bytes(b"ringfence-audit 2\n")

    with pytest.raises(AuditError, match="damaged at byte 0"):
        list(AuditReader(log).poll())


def test_records_that_were_dropped_before_they_were_read_are_told_of(log: Path) -> None:
    reader = AuditReader(log)
    next(reader.poll())
    with opened(log, segment_bytes=1_000) as writer:
        writer.drop_before(20)

    for late in (reader, AuditReader(log, after=3)):
        with pytest.raises(AuditError, match="no longer"):
            list(late.poll())
    # From the begin means from what is there.
    assert next(AuditReader(log).poll()).sequence > 1


def test_a_file_may_go_once_all_of_it_was_read(log: Path) -> None:
    second = int(files_of(log)[1].stem)
    reader = AuditReader(log)
    coming = reader.poll()
    while reader.after < second - 1:
        next(coming)
    with opened(log, segment_bytes=1_000) as writer:
        writer.drop_before(second)
        last = writer.last

    assert [each.sequence for each in reader.poll()] == list(range(second, last + 1))


def test_a_file_that_goes_while_it_is_read_is_told_of(log: Path) -> None:
    reader = AuditReader(log)
    coming = reader.poll()
    next(coming)
    files_of(log)[1].unlink()

    with pytest.raises(AuditError, match="no longer"):
        list(coming)


@pytest.mark.parametrize("size", [1, 100, 150, 333, 1_000, 5_000])
def test_chunks_of_any_size_bring_the_same_records(
    size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, 30, segment_bytes=2_000)
    whole = list(AuditReader(tmp_path, after=3).poll())
    monkeypatch.setattr(audit_reader, "CHUNK_BYTES", size)
    reader = AuditReader(tmp_path, after=3)

    assert list(reader.poll()) == whole
    assert list(reader.poll()) == []
    write(tmp_path, 5, segment_bytes=2_000)
    assert [each.sequence for each in reader.poll()] == list(range(31, 36))


@pytest.mark.parametrize("size", [1, 100, 333])
def test_damage_and_a_torn_end_are_told_apart_in_chunks(
    size: int, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_reader, "CHUNK_BYTES", size)
    path = files_of(log)[-1]
    content = path.read_bytes()
    path.write_bytes(content[:-3])
    assert [each.sequence for each in AuditReader(log).poll()] == list(range(1, 30))

    last = frames(path)[-1]
    path.write_bytes(content[: last.offset - 3] + b"!" + content[last.offset - 2 :])
    with pytest.raises(AuditError, match="is damaged at byte"):
        list(AuditReader(log).poll())


def test_a_long_file_is_never_in_memory_as_a_whole(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_reader, "CHUNK_BYTES", 400)
    asked: list[int] = []

    class Watched(type(SYSTEM_FILES)):  # type: ignore[misc]
        def read_from(self, path: Path, offset: int, size: int = -1) -> bytes:
            asked.append(size)
            return SYSTEM_FILES.read_from(path, offset, size)

    assert len(list(AuditReader(log, files=Watched()).poll())) == 30
    assert 0 < min(asked) <= max(asked) <= 800


@given(payloads=st.lists(st.binary(max_size=40), max_size=6), noise=st.binary(max_size=40))
def test_frames_come_back_whatever_follows_them(payloads: list[bytes], noise: bytes) -> None:
    content = b"".join(framed(each) for each in payloads) + noise

    pieces = list(scan(content, 0))

    whole = [each.payload for each in pieces[: len(payloads)] if isinstance(each, Frame)]
    assert whole == payloads
    # Nothing is passed over: what is read covers every byte once.
    ends = [0]
    for each in pieces:
        assert each.offset == ends[-1]
        ends.append(each.offset + each.size)
    assert ends[-1] == len(content)
    assert all(isinstance(each, Frame | Damage | Tail) for each in pieces)
