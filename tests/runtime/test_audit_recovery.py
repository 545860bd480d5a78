"""Opening a log after a crash: a torn end is cut off, a complete record never is; and kill -9."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.errors import AuditError
from ringfence.runtime.audit_verify import verify
from runtime.audit_logs import files_of, frames, numbers, opened, read, write

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def log_bytes(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, bytes, list[int]]:
    """A log of four records: its file's name and bytes, and where each record ends."""
    folder = tmp_path_factory.mktemp("log")
    write(folder, 4)
    path = files_of(folder)[0]
    ends = [frame.offset + frame.size for frame in frames(path)]
    return path.name, path.read_bytes(), [frames(path)[0].offset, *ends]


def put(folder: Path, name: str, content: bytes) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_bytes(content)
    return path


def test_a_log_cut_anywhere_keeps_every_complete_record_and_goes_on(
    log_bytes: tuple[str, bytes, list[int]], tmp_path: Path
) -> None:
    name, content, ends = log_bytes
    for cut in range(ends[0], len(content) + 1):
        folder = tmp_path / str(cut)
        path = put(folder, name, content[:cut])
        whole = sum(end <= cut for end in ends) - 1

        log = opened(folder)
        log.close()

        records = read(folder)
        assert path.read_bytes().startswith(content[: ends[whole]])
        if cut in ends:
            assert log.recovered is None
            assert len(records) == whole
        else:
            assert log.recovered is not None
            assert (log.recovered.offset, log.recovered.size) == (ends[whole], cut - ends[whole])
            assert (records[-1].kind, records[-1].body["after"]) == ("recovery", whole)
        assert verify(folder).findings == []


def test_a_log_changed_anywhere_is_refused_and_left_alone(
    log_bytes: tuple[str, bytes, list[int]], tmp_path: Path
) -> None:
    name, content, _ = log_bytes
    for offset in range(len(content)):
        changed = bytearray(content)
        changed[offset] ^= 0x41
        path = put(tmp_path / "log", name, bytes(changed))

        with pytest.raises(AuditError, match="damaged"):
            opened(tmp_path / "log")

        assert path.read_bytes() == changed


@given(offset=st.integers(0, 10_000), value=st.integers(1, 255), data=st.data())
def test_no_change_of_a_byte_costs_a_complete_record(
    offset: int,
    value: int,
    data: st.DataObject,
    log_bytes: tuple[str, bytes, list[int]],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    name, content, ends = log_bytes
    cut = data.draw(st.integers(ends[0], len(content)))
    changed = bytearray(content[:cut])
    offset %= cut
    changed[offset] ^= value
    folder = tmp_path_factory.mktemp("log")
    path = put(folder, name, bytes(changed))
    whole = max(end for end in ends if end <= cut)

    try:
        opened(folder).close()
    except AuditError:
        assert path.read_bytes() == changed
    else:
        assert offset >= whole
        assert path.read_bytes().startswith(content[:whole])


def test_blocks_that_were_never_written_are_cut_off(
    log_bytes: tuple[str, bytes, list[int]], tmp_path: Path
) -> None:
    name, content, ends = log_bytes
    for torn in (0, 5, 40):
        put(tmp_path / str(torn), name, content[: ends[2] + torn].ljust(8192, b"\0"))
        with opened(tmp_path / str(torn)) as log:
            assert log.recovered is not None
            assert log.recovered.after == 2


def test_bytes_that_follow_the_log_and_are_none_of_it_are_refused(
    log_bytes: tuple[str, bytes, list[int]], tmp_path: Path
) -> None:
    name, content, _ = log_bytes
    put(tmp_path, name, content + b"what is this?")

    with pytest.raises(AuditError, match="damaged"):
        opened(tmp_path)


def test_records_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    write(tmp_path, 6)
    path = files_of(tmp_path)[0]
    third = frames(path)[2]
    content = path.read_bytes()
    path.write_bytes(content[: third.offset] + content[third.offset + third.size :])

    with pytest.raises(AuditError, match="damaged"):
        opened(tmp_path)


def test_a_log_without_records_is_a_log(tmp_path: Path) -> None:
    opened(tmp_path).close()
    write(tmp_path, 2)

    assert numbers(tmp_path) == [1, 2]


WRITER = """
import sys, threading
from pathlib import Path
from ringfence.runtime.audit_log import AuditLog

log = AuditLog.open(Path(sys.argv[1]), durability=sys.argv[2], segment_bytes=20_000)
said = threading.Lock()

def work(worker):
    while True:
        sequence = log.append("decision", {"worker": worker, "text": "x" * 200})
        log.wait(sequence)
        with said:
            print(sequence, flush=True)

for worker in range(4):
    threading.Thread(target=work, args=(worker,), daemon=True).start()
threading.Event().wait()
"""


@pytest.mark.integration
@pytest.mark.parametrize("durability", ["process", "disk"])
def test_nothing_that_was_acknowledged_is_lost_by_kill_nine(
    durability: str, tmp_path: Path
) -> None:
    known: set[int] = set()
    for round_number in range(5):
        child = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), durability],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert child.stdout is not None
        for _ in range(100 + 37 * round_number):
            known.add(int(child.stdout.readline()))
        child.kill()
        # What it still said before it died counts as well; the last line may be half of one.
        rest = child.communicate()[0]
        known.update(int(line) for line in rest.splitlines(keepends=True) if line.endswith("\n"))

        found = numbers(tmp_path)
        assert known <= set(found)
        assert found == list(range(1, found[-1] + 1))
        assert verify(tmp_path).findings == []

    write(tmp_path, 1)
    assert verify(tmp_path).findings == []
