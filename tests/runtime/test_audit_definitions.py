"""Each file of the log holds, before the first use, the records that its records name."""

from pathlib import Path

import pytest

from ringfence.errors import AuditError
from ringfence.runtime import audit_definitions
from ringfence.runtime.audit_log import AuditLog
from ringfence.runtime.audit_reader import Record
from ringfence.runtime.audit_verify import verify
from runtime.audit_logs import files_of, opened, read

pytestmark = pytest.mark.unit


def define(log: AuditLog, name: str, size: int = 100) -> int:
    return log.append("policy-set", {"policy_set": name, "text": "x" * size})


def decide(log: AuditLog, name: str) -> int:
    return log.append("decision", {"policy_set": name, "text": "y" * 100})


def undefined(records: list[Record]) -> list[int]:
    """Decisions that name what no record of their file before them defines."""
    known: set[tuple[str, str]] = set()
    found = []
    for record in records:
        key = (record.segment, record.body.get("policy_set", ""))
        if record.kind == "policy-set":
            known.add(key)
        elif record.kind == "decision" and key not in known:
            found.append(record.sequence)
    return found


@pytest.mark.parametrize("size", [100, 900, 3_000])
def test_every_file_stands_by_itself(size: int, tmp_path: Path) -> None:
    with opened(tmp_path, segment_bytes=2_000) as log:
        define(log, "a", size)
        numbers = [decide(log, "a") for _ in range(20)]
        define(log, "b", size)
        for _ in range(20):
            numbers += [decide(log, "a"), decide(log, "b")]

    records = read(tmp_path)
    assert undefined(records) == []
    assert [each.sequence for each in records if each.kind == "decision"] == numbers
    bodies = {each.body["text"] for each in records if each.kind == "policy-set"}
    assert bodies == {"x" * size}
    assert verify(tmp_path).findings == []
    assert len(files_of(tmp_path)) > 3


def test_no_decision_that_stays_loses_what_it_names_when_old_files_go(tmp_path: Path) -> None:
    with opened(tmp_path, segment_bytes=2_000, keep_bytes=6_000) as log:
        for name in "abcdef":
            define(log, name)
            for _ in range(30):
                last = decide(log, name)
            log.drop_before(last)
    records = read(tmp_path)

    assert records[0].sequence > 1
    assert undefined(records) == []
    # What nothing names any more is gone.
    assert {each.body["policy_set"] for each in records if each.kind == "policy-set"} <= {"e", "f"}
    assert verify(tmp_path).findings == []


def test_a_definition_is_written_once_where_one_file_holds_all(tmp_path: Path) -> None:
    with opened(tmp_path) as log:
        define(log, "a")
        for _ in range(10):
            decide(log, "a")

    assert [each.kind for each in read(tmp_path)] == ["policy-set"] + 10 * ["decision"]


def test_what_was_never_defined_is_named_all_the_same(tmp_path: Path) -> None:
    with opened(tmp_path, segment_bytes=500) as log:
        for _ in range(5):
            decide(log, "a")
        log.append("decision", {"policy_set": None})

    assert {each.kind for each in read(tmp_path)} == {"decision"}


def test_only_the_latest_definitions_are_kept_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_definitions, "MOST", 2)
    with opened(tmp_path, segment_bytes=1_500) as log:
        for name in "abc":
            define(log, name)
        for _ in range(20):
            decide(log, "c")
        decide(log, "a")

    assert len(undefined(read(tmp_path))) == 1


def test_a_log_that_is_full_takes_neither_the_record_nor_what_it_names(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as log:
        define(log, "a", 500)
        size = decide(log, "a") and log.size_bytes
    # The next decision begins a file: there is room for it, but not for what it names.
    with opened(tmp_path / "b", segment_bytes=size, limit_bytes=size + 800) as log:
        define(log, "a", 500)
        last = decide(log, "a")
        with pytest.raises(AuditError, match="is full"):
            decide(log, "a")
        assert log.last == last
        log.append("note", {"text": "y" * 100})

    assert [each.kind for each in read(tmp_path / "b")] == ["policy-set", "decision", "note"]
