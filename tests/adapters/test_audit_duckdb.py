"""The copy of the audit log in DuckDB: each record once, also after kill -9 and while the file is taken."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ringfence.adapters import audit_duckdb
from ringfence.adapters.audit_duckdb import DuckdbCopy
from ringfence.cli.main import main
from ringfence.errors import AuditError
from ringfence.runtime.audit_mask import Mask
from ringfence.runtime.ports import SeededRandom
from runtime.audit_logs import opened, read, write

pytestmark = pytest.mark.integration


def rows(path: Path, sql: str = "SELECT seq, hash FROM records ORDER BY seq") -> list[Any]:
    with duckdb.connect(str(path), read_only=True) as database:
        return database.execute(sql).fetchall()


@pytest.fixture
def copy(tmp_path: Path) -> DuckdbCopy:
    write(tmp_path / "log", 30, segment_bytes=1_000)
    return DuckdbCopy(tmp_path / "log", tmp_path / "a.duckdb", Mask())


def in_log(folder: Path) -> list[Any]:
    return [(record.sequence, record.hash) for record in read(folder)]


def test_every_record_is_copied_once(
    copy: DuckdbCopy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_duckdb, "BATCH", 7)
    assert (copy.catch_up(), copy.catch_up(), copy.lag) == (30, 0, 0)
    write(tmp_path / "log", 5)
    assert (copy.lag, copy.catch_up(), copy.lag) == (5, 5, 0)
    write(tmp_path / "log", 5)
    assert DuckdbCopy(tmp_path / "log", tmp_path / "a.duckdb", Mask()).catch_up() == 5

    write(tmp_path / "log", 5)
    # The other one has copied meanwhile.
    assert copy.catch_up() == 5
    assert rows(tmp_path / "a.duckdb") == in_log(tmp_path / "log")


def test_it_copies_while_the_log_is_written_and_hides_secrets(tmp_path: Path) -> None:
    copy = DuckdbCopy(tmp_path / "log", tmp_path / "a.duckdb", Mask())
    with opened(tmp_path / "log") as log:
        log.wait(log.append("decision", {"order": {"symbol": "BTC/USD"}, "api_key": "abc"}))

        assert copy.catch_up() == 1

    assert rows(tmp_path / "a.duckdb", "SELECT symbol FROM decisions") == [("BTC/USD",)]
    assert rows(tmp_path / "a.duckdb", "SELECT body->>'$.api_key' FROM records") == [("***",)]


def test_a_file_that_is_taken_loses_nothing(copy: DuckdbCopy, tmp_path: Path) -> None:
    holder = (
        "import duckdb, sys; held = duckdb.connect(sys.argv[1]); print('held', flush=True); "
        "sys.stdin.readline()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", holder, str(tmp_path / "a.duckdb")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    child.stdout.readline()

    with pytest.raises(AuditError, match="cannot be written"):
        copy.catch_up()
    assert copy.lag == 30
    child.communicate("\n")

    assert copy.catch_up() == 30


def test_a_file_of_another_log_is_refused(copy: DuckdbCopy, tmp_path: Path) -> None:
    copy.catch_up()
    write(tmp_path / "other", 40, random=SeededRandom(2))

    with pytest.raises(AuditError, match="another log"):
        DuckdbCopy(tmp_path / "other", tmp_path / "a.duckdb", Mask()).catch_up()
    assert rows(tmp_path / "a.duckdb") == in_log(tmp_path / "log")


def test_records_that_were_dropped_uncopied_are_told_of(copy: DuckdbCopy, tmp_path: Path) -> None:
    copy.catch_up()
    write(tmp_path / "log", 60, segment_bytes=1_000)
    with opened(tmp_path / "log", segment_bytes=1_000) as log:
        log.drop_before(80)

    with pytest.raises(AuditError, match="no longer"):
        copy.catch_up()


COPIER = """
import sys
from pathlib import Path
from ringfence.adapters import audit_duckdb
from ringfence.runtime.audit_mask import Mask

audit_duckdb.BATCH = 20
insert = audit_duckdb.DuckdbCopy._insert

def told(self, database, records):
    insert(self, database, records)
    print(records[-1].sequence, flush=True)

audit_duckdb.DuckdbCopy._insert = told
audit_duckdb.DuckdbCopy(Path(sys.argv[1]), Path(sys.argv[2]), Mask()).catch_up()
"""


def test_kill_nine_neither_loses_nor_doubles_a_record(tmp_path: Path) -> None:
    write(tmp_path / "log", 2_000)
    path = tmp_path / "a.duckdb"
    for step in range(1, 5):
        child = subprocess.Popen(
            [sys.executable, "-c", COPIER, str(tmp_path / "log"), str(path)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert child.stdout is not None
        told = [int(child.stdout.readline()) for _ in range(step)]
        child.kill()
        child.communicate()

        found = rows(path)
        assert len(found) >= told[-1]
        assert found == in_log(tmp_path / "log")[: len(found)]

    DuckdbCopy(tmp_path / "log", path, Mask()).catch_up()
    assert rows(path) == in_log(tmp_path / "log")


@pytest.mark.usefixtures("copy")
def test_the_command_copies_and_says_how_far(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "audit",
        "copy",
        "--log",
        str(tmp_path / "log"),
        "--duckdb",
        str(tmp_path / "b.duckdb"),
    ]

    assert main(words) == 0
    assert capsys.readouterr().out.endswith("b.duckdb: 30 copied, up to record 30\n")
    (tmp_path / "text.duckdb").write_text("no database, but a long enough text to be none\n" * 300)
    assert main([*words[:-1], str(tmp_path / "text.duckdb")]) == 2
    assert "cannot be written" in capsys.readouterr().err


@pytest.mark.usefixtures("copy")
def test_following_tells_of_what_fails_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "c.duckdb"
    words = ["audit", "copy", "--follow", "--log", str(tmp_path / "log"), "--duckdb", str(path)]
    child = subprocess.Popen(
        [sys.executable, "-m", "ringfence.cli.main", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stderr is not None
    try:
        assert "30 copied" in child.stdout.readline()
        with duckdb.connect(str(path)):
            write(tmp_path / "log", 3)
            assert "3 behind" in child.stderr.readline()
        assert "3 copied, up to record 33" in child.stdout.readline()
    finally:
        child.kill()
        child.communicate()
