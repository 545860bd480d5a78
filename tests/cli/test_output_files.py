"""What options name for results: files appear whole, pipes and devices are written to and stay what they are."""

import json
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from ringfence.cli.main import main
from ringfence.runtime.output_files import is_stream, write_output

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "examples" / "data"
SCHEMA = ["schema", "--kind", "Instruments", "--out"]
CORRELATIONS = ["correlations", "--marks", str(DATA / "marks.parquet"), "--interval", "10s", "-o"]


def through_a_pipe(pipe: Path, write: Callable[[], object]) -> str:
    """What arrives at the other end of a named pipe."""
    os.mkfifo(pipe)
    arrived: list[str] = []
    reader = threading.Thread(target=lambda: arrived.append(pipe.read_text("utf-8")), daemon=True)
    reader.start()
    write()
    reader.join(timeout=60)
    return "".join(arrived)


@pytest.mark.parametrize("arguments", [SCHEMA, CORRELATIONS], ids=lambda given: given[0])
def test_a_named_pipe_gets_the_text_and_stays_a_pipe(arguments: list[str], tmp_path: Path) -> None:
    pipe, file = tmp_path / "pipe", tmp_path / "file"
    main([*arguments, str(file)])

    arrived = through_a_pipe(pipe, lambda: main([*arguments, str(pipe)]))

    assert arrived == file.read_text(encoding="utf-8")
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.parametrize("file", [".", "/", ""])
@pytest.mark.parametrize("arguments", [SCHEMA, CORRELATIONS], ids=lambda given: given[0])
def test_a_directory_without_a_name_is_no_file(
    arguments: list[str],
    file: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)

    assert main([*arguments, file]) == 2
    said = capsys.readouterr().err
    assert (
        f"`{Path(file)}` cannot be written: is a directory\n  fix: name another file with " in said
    )
    assert list(tmp_path.iterdir()) == []


def test_standard_output_is_written_to_where_it_is_a_file(tmp_path: Path) -> None:
    script = f"{sys.executable} -m ringfence.cli.main {' '.join(SCHEMA)} /dev/stdout >> told"
    (tmp_path / "told").write_text("before\n", encoding="utf-8")
    before = os.readlink("/dev/stdout")

    subprocess.run(["sh", "-c", script], check=True, cwd=tmp_path)

    first, *rest = (tmp_path / "told").read_text(encoding="utf-8").splitlines()
    assert (first, rest[-1]) == ("before", "/dev/stdout")
    assert json.loads("\n".join(rest[:-1]))["$schema"]
    assert os.readlink("/dev/stdout") == before


def test_a_plain_file_is_no_stream_and_is_replaced_whole(tmp_path: Path) -> None:
    file = tmp_path / "file"
    assert not is_stream(file)
    assert not is_stream(tmp_path)
    assert is_stream(Path("/dev/null"))
    assert not is_stream(Path("/dev/shm/none"))

    write_output(file, "first, and longer\n")
    number = file.stat().st_ino
    write_output(file, "second\n")

    assert file.read_text(encoding="utf-8") == "second\n"
    assert file.stat().st_ino != number
