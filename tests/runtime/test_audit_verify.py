"""Verifying finds any record that was changed, removed, moved or added, and says which."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from ringfence.errors import AuditError
from ringfence.runtime.audit_anchor import Anchor, anchor_text, read_anchor, sign_anchor
from ringfence.runtime.audit_segments import payload_of
from ringfence.runtime.audit_verify import verify
from ringfence.runtime.ports import FixedClock, SeededRandom
from runtime.audit_logs import files_of, frames, opened, rewrite, write

pytestmark = [pytest.mark.unit, pytest.mark.security]

KEY = b"k" * 32


def found(folder: Path, anchor: Anchor | None = None) -> list[tuple[str, int | None, int | None]]:
    return [(each.what, each.first, each.last) for each in verify(folder, anchor=anchor).findings]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log of 30 records in files of about six."""
    write(tmp_path, 30, segment_bytes=1_000)
    assert len(files_of(tmp_path)) > 3
    return tmp_path


def test_a_log_that_nobody_touched_is_whole(log: Path) -> None:
    result = verify(log)

    assert (result.records, result.first, result.last, result.findings) == (30, 1, 30, [])
    assert result.unfinished_bytes == 0


def test_a_changed_byte_shows_wherever_it_is(tmp_path: Path) -> None:
    write(tmp_path, 8, segment_bytes=700)
    before, path = files_of(tmp_path)[:2]
    content = path.read_bytes()
    places = {n: (f.offset, f.offset + f.size) for n, f in enumerate(frames(path), int(path.stem))}
    for offset in range(len(content)):
        changed = bytearray(content)
        changed[offset] ^= 0x41
        path.write_bytes(changed)

        findings = verify(tmp_path).findings

        record = [n for n, (start, end) in places.items() if start <= offset < end]
        assert findings, offset
        assert {each.segment for each in findings} <= {
            before.name,
            path.name,
            files_of(tmp_path)[2].name,
        }
        assert any(each.segment == path.name for each in findings)
        if record:
            assert ("changed", record[0]) in [(each.what, each.first) for each in findings], offset
            exact = next(each for each in findings if each.first == record[0])
            assert exact.offset == places[record[0]][0]


def test_a_file_cut_in_the_middle_of_the_log_shows_at_every_length(tmp_path: Path) -> None:
    write(tmp_path, 8, segment_bytes=700)
    path = files_of(tmp_path)[1]
    content = path.read_bytes()
    for cut in range(len(content)):
        path.write_bytes(content[:cut])

        assert verify(tmp_path).findings, cut


def renamed(payload: bytes) -> bytes:
    return payload.replace(b'"n":', b'"m":')


Edit = Callable[[list[bytes]], Sequence[bytes]]
FIRST = 7  # the number of the second file's first record


@pytest.mark.parametrize(
    ("edit", "wanted"),
    [
        (lambda p: [p[0], renamed(p[1]), *p[2:]], [("changed", FIRST + 1, FIRST + 1)]),
        (lambda p: [p[0], *p[2:]], [("missing", FIRST + 1, FIRST + 1)]),
        (lambda p: [p[0], *p[3:]], [("missing", FIRST + 1, FIRST + 2)]),
        (lambda p: [p[0], p[2], p[1], *p[3:]], [("reordered", FIRST + 1, FIRST + 1)]),
        (lambda p: [p[0], p[1], p[1], *p[2:]], [("inserted", FIRST + 1, FIRST + 1)]),
        (lambda p: [p[0], renamed(p[1]), *p[1:]], [("inserted", FIRST + 1, FIRST + 1)]),
        (lambda p: [p[0], p[1], b"{}", *p[2:]], [("changed", FIRST + 2, FIRST + 2)]),
    ],
    ids=["changed", "missing", "two missing", "reordered", "twice", "inserted", "foreign"],
)
def test_what_was_done_shows_although_lengths_and_checksums_are_right(
    edit: Edit, wanted: list[tuple[str, int, int]], log: Path
) -> None:
    path = files_of(log)[1]
    assert int(path.stem) == FIRST
    rewrite(path, edit)

    assert found(log)[: len(wanted)] == wanted


@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_file_that_is_gone_shows_with_its_records(which: int, log: Path) -> None:
    paths = files_of(log)
    first, after = int(paths[which].stem), int(paths[which + 1].stem)
    paths[which].unlink()

    assert found(log) == [("missing", first, after - 1)]


def test_records_gone_from_the_end_of_a_file_in_the_middle_show(log: Path) -> None:
    first, following = files_of(log)[:2]
    rewrite(first, lambda payloads: payloads[:-2])

    last = int(following.stem) - 1
    assert found(log) == [("missing", last - 1, last)]


def test_a_file_of_another_log_shows(tmp_path: Path) -> None:
    write(tmp_path / "a", 30, segment_bytes=1_000)
    write(tmp_path / "b", 30, segment_bytes=1_000, random=SeededRandom(2))
    files_of(tmp_path / "b")[1].replace(files_of(tmp_path / "a")[1])

    assert ("inserted", None, None) in found(tmp_path / "a")


def test_old_files_may_go_only_where_the_log_says_so(log: Path) -> None:
    with opened(log, segment_bytes=1_000) as writer:
        writer.drop_before(15)
    assert found(log) == []

    files_of(log)[0].unlink()

    assert [each[0] for each in found(log)] == ["missing"]


def test_an_unfinished_record_at_the_end_is_no_fault(log: Path) -> None:
    path = files_of(log)[-1]
    path.write_bytes(path.read_bytes()[:-10])

    result = verify(log)

    assert result.findings == []
    assert (result.last, result.unfinished_bytes > 0) == (29, True)


def anchor_of(log: Path) -> Anchor:
    result = verify(log)
    return sign_anchor(KEY, chain=result.chain, sequence=result.last, head=result.head, ts_ns=5)


def test_an_anchor_shows_that_the_end_is_gone(log: Path) -> None:
    anchor = anchor_of(log)
    assert found(log, anchor) == []
    rewrite(files_of(log)[-1], lambda payloads: payloads[:-1])

    assert found(log) == []
    assert found(log, anchor) == [("truncated", 30, 30)]


def test_an_anchor_shows_that_the_last_record_was_changed(log: Path) -> None:
    anchor = anchor_of(log)
    rewrite(files_of(log)[-1], lambda payloads: [*payloads[:-1], renamed(payloads[-1])])

    assert found(log) == []
    assert found(log, anchor) == [("changed", 30, 30)]


def test_an_anchor_shows_a_log_that_was_written_anew(log: Path, tmp_path: Path) -> None:
    anchor = anchor_of(log)
    write(tmp_path / "forged", 40, clock=FixedClock(2_000))

    assert [each[0] for each in found(tmp_path / "forged", anchor)] == ["changed"]


def test_an_anchor_fits_a_log_that_has_grown_and_one_whose_begin_was_dropped(log: Path) -> None:
    anchor = anchor_of(log)
    write(log, 50, segment_bytes=1_000)
    assert found(log, anchor) == []
    with opened(log, segment_bytes=1_000) as writer:
        writer.drop_before(60)

    assert found(log, anchor) == []


def test_an_anchor_of_another_log_does_not_fit(log: Path) -> None:
    anchor = sign_anchor(KEY, chain="other", sequence=1, head="0" * 64, ts_ns=5)

    assert found(log, anchor) == [("inserted", None, None)]


def test_an_anchor_is_read_only_with_its_key_and_as_it_was_written() -> None:
    anchor = sign_anchor(KEY, chain="c", sequence=9, head="a" * 64, ts_ns=5)
    text = anchor_text(anchor)

    assert read_anchor(text, KEY) == anchor
    for wrong in (text.replace("9", "8"), text.replace('"c"', '"d"')):
        with pytest.raises(AuditError, match="does not fit"):
            read_anchor(wrong, KEY)
    with pytest.raises(AuditError, match="does not fit"):
        read_anchor(text, b"x" * 32)
    with pytest.raises(AuditError, match="at least 32"):
        read_anchor(text, b"short")
    for none in ("", "[]", "{}", "[[" * 9999, text.replace("chain", "chair")):
        with pytest.raises(AuditError, match="no anchor"):
            read_anchor(none, KEY)


def test_an_anchor_with_a_signature_of_another_kind_does_not_fit() -> None:
    text = anchor_text(sign_anchor(KEY, chain="c", sequence=9, head="a" * 64, ts_ns=5))
    signature = read_anchor(text, KEY).signature

    for wrong in ("1", "null", '"\u00e9"'):
        with pytest.raises(AuditError, match="does not fit"):
            read_anchor(text.replace(f'"{signature}"', wrong), KEY)


def test_a_retention_that_is_none_changes_nothing(log: Path) -> None:
    path = files_of(log)[-1]

    def forge(payloads: list[bytes]) -> list[bytes]:
        forged = payload_of(b'{"first":"x"}', "retention", "0" * 64, 31, 1)
        return [*payloads, forged]

    rewrite(path, forge)

    assert found(log) == [("changed", 30, 30)]


def test_a_directory_without_a_log_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(AuditError, match="holds no audit log"):
        verify(tmp_path)
    with pytest.raises(AuditError, match="cannot be read"):
        verify(tmp_path / "missing")


def test_what_stands_in_the_directory_besides_is_left_alone(log: Path) -> None:
    (log / "notes.txt").write_text("x")
    (log / ".00000000000000000031.audit.ab12").write_bytes(b"half a header")

    assert found(log) == []
