"""The log in a DuckDB file: each record once, also after kill -9, while the file is taken, and read beside."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from adapters.sink_logs import (
    follow,
    in_log,
    killed_writers,
    line_with,
    log_of_gates,
    log_of_margins,
    until,
    waits_for,
)
from ringfence.adapters import audit_duckdb
from ringfence.adapters.audit_duckdb import DuckdbSink
from ringfence.cli.main import main
from ringfence.errors import AuditError, AuditSinkError
from ringfence.runtime import audit_batches
from ringfence.runtime.audit_feed import Feed
from ringfence.runtime.audit_head import newest
from ringfence.runtime.audit_hold import holds
from ringfence.runtime.audit_mask import Mask
from ringfence.runtime.audit_segments import framed
from ringfence.runtime.audit_writer import AuditWriter, WriterSettings
from ringfence.runtime.ports import SYSTEM_FILES, SeededRandom
from runtime.audit_logs import files_of, frames, opened, rewrite, write

pytestmark = pytest.mark.integration

QUICK = WriterSettings(look=0.02, first_pause=0.02, longest_pause=0.1, note=0.0)


def rows(path: Path, sql: str = "SELECT seq, hash FROM records ORDER BY seq") -> list[Any]:
    with duckdb.connect(str(path), read_only=True) as database:
        return database.execute(sql).fetchall()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    write(tmp_path / "log", 30, segment_bytes=1_000)
    return tmp_path / "log"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.duckdb"


def catch_up(log: Path, path: Path) -> int:
    return AuditWriter(log, [DuckdbSink(path)]).catch_up()


def test_every_record_is_written_once(
    log: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_batches, "BATCH", 7)
    writer = AuditWriter(log, [DuckdbSink(path)])
    assert (writer.catch_up(), writer.catch_up()) == (30, 0)
    write(log, 5)
    assert writer.status()[0].lag_records == 5
    assert writer.catch_up() == 5
    assert writer.status()[0].lag_records == 0
    write(log, 5)
    assert catch_up(log, path) == 5
    assert rows(path) == in_log(log)


def test_a_writer_that_another_one_overtook_goes_on_behind_it(log: Path, path: Path) -> None:
    feed = Feed(log, DuckdbSink(path), Mask(), files=SYSTEM_FILES)
    assert feed.step() == 30
    write(log, 5)
    catch_up(log, path)
    write(log, 5)

    with pytest.raises(AuditSinkError, match="another writer") as caught:
        feed.step()
    assert caught.value.kind == "conflict"
    assert feed.step() == 5
    assert rows(path) == in_log(log)


def test_it_is_written_while_the_log_grows_and_secrets_are_hidden(
    tmp_path: Path, path: Path
) -> None:
    half = {"order": {"symbol": "BTC/USD", "side": "\ud800\0"}}
    with (
        opened(tmp_path / "log") as log,
        AuditWriter(tmp_path / "log", [DuckdbSink(path)], settings=QUICK) as writer,
    ):
        log.wait(log.append("decision", {**half, "api_key": "abc"}))
        until(lambda: writer.status()[0].sequence == 1)
        log.wait(log.append("decision", {"order": {"symbol": "ETH/USD"}}))
        until(lambda: writer.status()[0].sequence == 2)

    assert rows(path, "SELECT symbol FROM decisions") == [("BTC/USD",), ("ETH/USD",)]
    assert rows(path, "SELECT body->>'$.api_key', masked FROM records") == [
        ("***", True),
        (None, False),
    ]
    original = json.loads(rows(path, "SELECT original FROM records WHERE seq = 1")[0][0])
    assert original["order"] == half["order"]
    (noted,) = holds(tmp_path / "log")
    assert (noted.sink, noted.sequence, noted.error) == ("duckdb", 2, "")


def test_gates_are_told_as_python_tells_them(tmp_path: Path, path: Path) -> None:
    wanted = log_of_gates(tmp_path / "log")
    catch_up(tmp_path / "log", path)

    found = rows(path, 'SELECT seq, gate, file, line, outcome, measure, "limit" FROM gates')
    assert sorted(found, key=repr) == wanted


def test_a_margin_is_what_is_left_also_of_a_floor(tmp_path: Path, path: Path) -> None:
    wanted = log_of_margins(tmp_path / "log")
    catch_up(tmp_path / "log", path)

    assert rows(path, "SELECT gate, margin FROM gates ORDER BY gate") == wanted
    assert wanted[:2] == [("least-kept", 0.25), ("least-missed", -0.25)]


def test_a_file_that_is_taken_loses_nothing_and_shows_as_lag(log: Path, path: Path) -> None:
    holder = (
        "import duckdb, sys; held = duckdb.connect(sys.argv[1]); print('held', flush=True); "
        "sys.stdin.readline()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", holder, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    child.stdout.readline()

    with AuditWriter(log, [DuckdbSink(path)], settings=QUICK) as writer:
        waits_for(writer, "busy")
        (status,) = writer.status()
        assert (status.lag_records, status.sequence) == (30, 0)
        assert status.lag_seconds > 0
        metrics = {each.name: each for each in writer.metrics()}
        (lag,) = metrics["ringfence_audit_sink_lag_records"].samples
        assert (dict(lag.labels), lag.value) == ({"sink": "duckdb"}, 30)
        (failed,) = metrics["ringfence_audit_sink_errors"].samples
        assert failed.labels["kind"] == "busy"
        child.communicate("\n")
        until(lambda: writer.status()[0].error == "")
        (status,) = writer.status()
        assert (status.sequence, status.lag_records, status.lag_seconds) == (30, 0, 0.0)
    assert rows(path) == in_log(log)


def test_a_file_of_another_log_is_refused_with_words(log: Path, path: Path, tmp_path: Path) -> None:
    catch_up(log, path)
    for count, words in ((40, "another record 30"), (3, "ends before that")):
        write(tmp_path / f"other{count}", count, random=SeededRandom(2))
        with pytest.raises(AuditSinkError, match=words) as caught:
            catch_up(tmp_path / f"other{count}", path)
        assert caught.value.kind == "conflict"
    assert rows(path) == in_log(log)


def test_a_record_that_was_changed_in_the_log_is_not_written(log: Path, path: Path) -> None:
    rewrite(
        files_of(log)[2],
        lambda payloads: [payloads[0], payloads[1].replace(b'"n":', b'"n":7'), *payloads[2:]],
    )
    with pytest.raises(AuditError, match="was changed") as caught:
        catch_up(log, path)
    assert "audit verify" in caught.value.fix
    assert not path.exists()


def test_a_file_is_let_go_whatever_became_of_the_batch(
    log: Path, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_batches, "BATCH", 10)
    feed = Feed(log, DuckdbSink(path), Mask(), files=SYSTEM_FILES)
    # While more is there the file stays open, and only for so long.
    assert (feed.step(), is_taken(path)) == (10, True)
    monkeypatch.setattr(audit_duckdb, "_OPEN_SECONDS", -1.0)
    assert (feed.step(), is_taken(path)) == (10, False)
    monkeypatch.undo()
    assert (feed.step(), feed.step(), is_taken(path)) == (10, 0, False)

    write(tmp_path / "other", 40, random=SeededRandom(2))
    other = Feed(tmp_path / "other", DuckdbSink(path), Mask(), files=SYSTEM_FILES)
    with pytest.raises(AuditSinkError, match="another record 30"):
        other.step()
    assert not is_taken(path)


def is_taken(path: Path) -> bool:
    """Whether another process is kept from the file."""
    program = "import duckdb, sys; duckdb.connect(sys.argv[1], read_only=True)"
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], stderr=subprocess.PIPE, text=True, check=False
    )
    assert done.returncode == 0 or "Could not set lock" in done.stderr
    return done.returncode != 0


def test_records_that_are_gone_unwritten_are_told_of_and_skipped_only_when_asked(
    log: Path, path: Path
) -> None:
    catch_up(log, path)
    write(log, 60, segment_bytes=1_000)
    with opened(log, segment_bytes=1_000) as writer:
        writer.drop_before(80)

    with pytest.raises(AuditError, match="no longer"):
        catch_up(log, path)
    skipping = AuditWriter(log, [DuckdbSink(path)], settings=WriterSettings(skip_gap=True))
    assert skipping.catch_up() > 0
    found = [each for each, _ in rows(path)]
    assert found[:30] == list(range(1, 31))
    assert found[30] > 70


def test_a_log_whose_written_part_was_dropped_goes_on(log: Path, path: Path) -> None:
    catch_up(log, path)
    write(log, 40, segment_bytes=1_000)
    begins = [int(each.stem) for each in files_of(log)]
    with opened(log, segment_bytes=1_000) as writer:
        writer.drop_before(max(begin for begin in begins if begin <= 31))

    assert catch_up(log, path) > 40
    assert [each for each, _ in rows(path)] == list(range(1, len(rows(path)) + 1))


def test_a_torn_end_is_written_once_it_is_whole(log: Path, path: Path) -> None:
    last = files_of(log)[-1]
    whole = last.read_bytes()
    last.write_bytes(whole[:-5])
    assert catch_up(log, path) == 29
    last.write_bytes(whole)
    assert catch_up(log, path) == 1
    last.write_bytes(whole + framed(frames(last)[0].payload)[:40])
    assert catch_up(log, path) == 0


def test_kill_nine_neither_loses_nor_doubles_a_record(tmp_path: Path, path: Path) -> None:
    log = tmp_path / "log"
    write(log, 3_000, segment_bytes=40_000)

    def check() -> None:
        # Whoever opens the file next mends what the killed one left.
        with duckdb.connect(str(path)) as database:
            database.execute("CREATE TABLE IF NOT EXISTS records (seq BIGINT, hash VARCHAR)")
        found = rows(path)
        assert found == in_log(log)[: len(found)]

    words = ["--duckdb", str(path)]
    killed_writers(log, words, random.Random(11), times=4, check=lambda: path.exists() and check())

    catch_up(log, path)
    assert rows(path) == in_log(log)


def test_a_full_disk_loses_nothing(tmp_path: Path, path: Path) -> None:
    log = tmp_path / "log"
    with opened(log) as writer:
        source = random.Random(1)
        for _ in range(300):
            writer.append("note", {"x": source.randbytes(4_000).hex()})
    program = (
        "import resource, sys; from ringfence.cli.main import main; import signal; "
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000)); "
        "sys.exit(main(sys.argv[1:]))"
    )
    words = ["audit", "write", "--once", "--log", str(log), "--duckdb", str(path)]
    done = subprocess.run(
        [sys.executable, "-c", program, *words], text=True, capture_output=True, check=False
    )

    assert done.returncode == 2, done
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr
    catch_up(log, path)
    assert rows(path) == in_log(log)


def test_the_command_writes_and_says_how_far(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "b.duckdb"
    words = ["audit", "write", "--once", "--log", str(log), "--duckdb", str(path)]

    assert main(words) == 0
    assert capsys.readouterr().out == "duckdb: 30 written, up to record 30\n"
    # Written once on demand, nothing is held.
    assert holds(log) == []
    (tmp_path / "text.duckdb").write_text("no database, but a long enough text to be none\n" * 300)
    assert main([*words[:-1], str(tmp_path / "text.duckdb")]) == 2
    assert "cannot be written" in capsys.readouterr().err
    assert main(words[:-2]) == 2
    assert "nothing to write to" in capsys.readouterr().err
    assert main([*words[:4], str(tmp_path / "none"), *words[5:]]) == 2


def stopped_once(condition: Callable[[], bool], seen: list[str], port: int) -> threading.Thread:
    """Send this process a SIGTERM once the condition holds; what is served on the port is kept."""

    def stop() -> None:
        try:
            until(condition)
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
                seen.append(answer.read().decode())
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=stop)
    thread.start()
    return thread


@pytest.fixture
def port() -> Iterator[int]:
    """A free port; a signal that comes too early does no harm."""
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        found = probe.getsockname()[1]
    yield found
    signal.signal(signal.SIGTERM, before)


def test_the_command_writes_until_it_is_told_to_stop_and_serves_metrics(
    log: Path, path: Path, port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    served: list[str] = []
    words = ["audit", "write", "--log", str(log), "--duckdb", str(path), "--metrics", str(port)]
    thread = stopped_once(lambda: [each.sequence for each in holds(log)] == [30], served, port)

    assert main(words) == 0
    thread.join()
    assert "duckdb: stopped at record 30, 0 behind" in capsys.readouterr().out
    assert 'ringfence_audit_sink_records_total{sink="duckdb"} 30.0' in served[0]
    assert 'ringfence_audit_sink_lag_records{sink="duckdb"} 0.0' in served[0]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        assert main([*words[:-1], str(taken.getsockname()[1])]) == 2
    assert "cannot be served" in capsys.readouterr().err


def test_the_command_says_what_fails_and_goes_on(
    log: Path, path: Path, port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    path.write_text("no database, but a long enough text to be none\n" * 300)
    said: list[str] = []

    def told() -> bool:
        said.append(capsys.readouterr().err)
        return "duckdb: up to record 0, 30 behind: " in "".join(said)

    words = ["audit", "write", "--log", str(log), "--duckdb", str(path), "--metrics", str(port)]
    thread = stopped_once(told, [], port)

    assert main(words) == 0
    thread.join()
    assert main(["audit", "lag", "--log", str(log)]) == 0
    assert "duckdb: at record 0, 30 behind; `" in capsys.readouterr().out
    assert main(["audit", "lag", "--json", "--log", str(log)]) == 0
    assert json.loads(capsys.readouterr().out)["sinks"][0]["lag_seconds"] > 0
    with opened(log, segment_bytes=1_000) as guard, pytest.raises(AuditError, match="come to 0"):
        guard.drop_before(20)


class Unsynced:
    """Files of a disk that cannot be synced."""

    def sync(self, path: Path) -> None:
        raise OSError(5, "Input/output error", str(path))

    def __getattr__(self, name: str) -> Any:
        return getattr(SYSTEM_FILES, name)


def test_nothing_is_written_that_a_loss_of_power_could_take_from_the_log(
    log: Path, path: Path
) -> None:
    writer = AuditWriter(log, [DuckdbSink(path)], files=Unsynced())

    with pytest.raises(AuditError, match="cannot be synced: input/output error"):
        writer.catch_up()
    assert not path.exists()
    assert catch_up(log, path) == 30


def test_a_log_that_has_yet_to_go_on_behind_what_was_dropped_is_followed(
    tmp_path: Path, path: Path
) -> None:
    log = tmp_path / "log"
    write(log, 1)
    while len(files_of(log)) < 2:
        catch_up(log, path)
        write(log, 1, segment_bytes=1_000)
    old, new = files_of(log)
    old.unlink()
    whole = new.read_bytes()
    new.write_bytes(whole[:-20])

    assert catch_up(log, path) == 0
    new.write_bytes(whole)
    assert catch_up(log, path) == 1


def test_reading_works_while_a_log_is_written_and_a_writer_runs(
    log: Path, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    child = follow(log, ["--duckdb", str(path), "--metrics", "0"])
    try:
        line_with(child.stdout, "up to record 30, 0 behind")
        with opened(log) as writer:
            for _ in range(5):
                writer.wait(writer.append("decision", {"id": f"d-{writer.last + 1}"}))
                number = writer.last
                for words in (["tail", "-n", "1"], ["show", f"d-{number}"], ["verify"]):
                    assert main(["audit", *words, "--log", str(log)]) == 0
                assert f"{number}" in capsys.readouterr().out
                sql = "SELECT max(seq) AS n FROM records"
                assert main(["audit", "query", sql, "--log", str(log), "--json"]) == 0
                assert json.loads(capsys.readouterr().out) == [{"n": number}]
                # The file is free between two batches, and the question waits where it is not.
                assert main(["audit", "query", sql, "--duckdb", str(path), "--json"]) == 0
                assert json.loads(capsys.readouterr().out)[0]["n"] >= 30
        assert main(["audit", "write", "--log", str(log), "--duckdb", str(path)]) == 2
        assert "another writer" in capsys.readouterr().err
        assert main(["audit", "lag", "--log", str(log)]) == 0
        assert "the log ends with record 35" in capsys.readouterr().out
    finally:
        child.send_signal(signal.SIGTERM)
        said, _ = child.communicate(timeout=60)
    assert child.returncode == 0
    assert "duckdb: stopped at record" in said
    catch_up(log, path)
    assert main(["audit", "lag", "--json", "--log", str(log)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["last"], found["sinks"][0]["sink"]) == (35, "duckdb")
    behind = found["sinks"][0]["lag_records"]
    assert (found["sinks"][0]["lag_seconds"] > 0) == (behind > 0)
    assert main(["audit", "release", "duckdb", "--log", str(log)]) == 0
    assert holds(log) == []


def test_everything_can_be_asked_while_a_guard_and_its_writer_run_in_another_process(
    tmp_path: Path, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def asked(*words: str) -> Any:
        assert main(["audit", *words]) == 0
        return capsys.readouterr().out

    trader = subprocess.Popen(
        [sys.executable, "-m", "adapters.guarded_trader", str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert trader.stdin is not None
    log = ["--log", str(tmp_path / "log")]
    sql = "SELECT d.id, d.asked, d.decision, g.gate, g.measure, g.line > 0 AS placed FROM decisions d JOIN gates g USING (seq)"
    try:
        for size in ("1", "2", "1000"):
            trader.stdin.write(f"{size}\n")
            trader.stdin.flush()
            name = line_with(trader.stdout, "-").strip()
            assert name in asked("show", name, *log)
            assert name in asked("tail", "--json", *log)
            rows_of_log = json.loads(asked("query", f"{sql} WHERE d.id = '{name}'", "--json", *log))
            assert [row["asked"] for row in rows_of_log] == [float(size)] * 8
            assert all(row["placed"] for row in rows_of_log)
        until(
            lambda: [each.sequence for each in holds(tmp_path / "log")]
            == [last_of(tmp_path / "log")]
        )
        found = json.loads(asked("query", sql, "--duckdb", str(path), "--json"))
        assert len(found) == 24
        assert {row["decision"] for row in found if row["asked"] == 1000} <= {
            "REJECT",
            "REDUCE_SIZE",
        }
    finally:
        trader.communicate(timeout=60)
    assert trader.returncode == 0
    catch_up(tmp_path / "log", path)
    assert rows(path) == in_log(tmp_path / "log")


def last_of(log: Path) -> int:
    found = newest(log)
    return found.sequence if found is not None else 0


def test_a_file_is_asked_with_care(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (
        ["SELECT 1", "--duckdb", str(path)],
        ["DROP TABLE records", "--duckdb", str(path)],
        ["SELECT 1", "--duckdb", str(path), "--after", "3"],
        ["SELECT 1", "--duckdb", str(path), "--postgres"],
    ):
        assert main(["audit", "query", *words]) == 2
        assert "fix:" in capsys.readouterr().err


def test_two_sinks_of_one_name_are_refused(log: Path, path: Path) -> None:
    with pytest.raises(AuditError, match="one name"):
        AuditWriter(log, [DuckdbSink(path), DuckdbSink(path)])


def test_a_writer_waits_for_a_log_that_is_yet_to_begin(tmp_path: Path, path: Path) -> None:
    with AuditWriter(tmp_path / "log", [DuckdbSink(path)], settings=QUICK) as writer:
        assert writer.status()[0].lag_records == 0
        write(tmp_path / "log", 3)
        until(lambda: writer.status()[0].sequence == 3)


def test_a_log_that_cannot_be_read_is_an_error_and_no_lag(log: Path, path: Path) -> None:
    damaged = files_of(log)[0]
    damaged.write_bytes(b"x" + damaged.read_bytes()[1:])
    with AuditWriter(log, [DuckdbSink(path)], settings=QUICK) as writer:
        waits_for(writer, "log")
        assert "damaged" in writer.status()[0].error


def test_a_hold_that_cannot_be_noted_stops_no_writing(log: Path, path: Path) -> None:
    with AuditWriter(log, [DuckdbSink(path)], settings=QUICK) as writer:
        until(lambda: [each.sequence for each in holds(log)] == [30])
        note = log / "holds" / "duckdb.json"
        note.unlink()
        note.mkdir()
        write(log, 3)
        until(lambda: writer.status()[0].sequence == 33)
        waits_for(writer, "log")
