"""`ringfence secrets`: files that only their owner comes to, made once, checked, and never shown."""

import json
import os
import stat
from pathlib import Path
from typing import IO, cast

import pytest

from ringfence.cli.main import main
from ringfence.errors import InputError
from ringfence.runtime import secret_files
from ringfence.runtime.credentials import (
    ALL_SECRETS,
    DATABASE_PASSWORD,
    JWT_SECRET_KEY,
    KRAKEN_API_KEY,
    KRAKEN_SECRET,
    load_credentials,
)
from ringfence.runtime.ports import SeededRandom
from ringfence.runtime.secret_files import file_of, look_at_secrets, make_secrets

pytestmark = pytest.mark.security

RANDOM = SeededRandom(5)
ISSUED = {kind.name: kind.make(RANDOM) for kind in (KRAKEN_API_KEY, KRAKEN_SECRET)}
OURS = [kind for kind in ALL_SECRETS if not kind.issued_elsewhere]


@pytest.fixture
def made(tmp_path: Path) -> Path:
    make_secrets(tmp_path / "secrets", given=ISSUED, random=SeededRandom(1))
    return tmp_path / "secrets"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def faults(directory: Path) -> dict[str, str]:
    return {each.kind.name: each.fault for each in look_at_secrets(directory) if each.fault}


def test_each_secret_is_made_once_and_is_sound(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = str(tmp_path / "secrets")
    assert main(["secrets", "init", where]) == 0
    said = capsys.readouterr().out
    texts = {kind: file_of(Path(where), kind).read_text() for kind in OURS}

    assert len(set(texts.values())) == len(OURS)
    assert not [kind.name for kind, text in texts.items() if kind.fault(text) or text in said]
    assert "kraken_api_key: left out: copy the API key" in said
    assert main(["secrets", "init", where]) == 0
    assert capsys.readouterr().out.count("is left as it is") == len(OURS)
    assert {kind: file_of(Path(where), kind).read_text() for kind in OURS} == texts


def test_nobody_but_the_owner_comes_to_them_and_no_commit_takes_them_along(made: Path) -> None:
    assert mode(made) == 0o700
    assert {mode(file_of(made, kind)) for kind in OURS} == {0o640}
    assert (made / ".gitignore").read_text() == "*\n"


def test_the_program_takes_them_in_production(made: Path) -> None:
    kinds = tuple(kind for kind in ALL_SECRETS if not kind.optional)
    environ = {f"{kind.name}_FILE": str(file_of(made, kind)) for kind in kinds}

    assert load_credentials(kinds, environ).get(KRAKEN_SECRET).reveal() == ISSUED["KRAKEN_SECRET"]
    assert faults(made) == {}


def test_a_key_that_is_rotated_has_several_lines_and_each_is_looked_at(made: Path) -> None:
    file = file_of(made, JWT_SECRET_KEY)
    file.write_text(f"{file.read_text()}\n{JWT_SECRET_KEY.make(RANDOM)}\n")
    assert faults(made) == {}
    file.write_text(f"{file.read_text()}short\n")
    assert faults(made) == {"JWT_SECRET_KEY": "has fewer than 32 bytes"}


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (lambda path: path.unlink(), "is missing"),
        (lambda path: path.write_text(""), "is empty"),
        (lambda path: path.write_bytes(b"\xff\xfe"), "is no text"),
        (lambda path: path.write_text("x" * 70_000), "is longer than any secret"),
        (lambda path: path.write_text("changeme"), "has fewer than 32 bytes"),
        (lambda path: path.chmod(0o644), "is open to others"),
        (lambda path: path.chmod(0o660), "is open to others"),
        (lambda path: (path.unlink(), path.symlink_to("/etc/hostname")), "is a link or a device"),
        (lambda path: (path.unlink(), path.mkdir()), "which is a directory"),
    ],
)
def test_what_is_wrong_with_one_is_told(made: Path, spoil, fault: str) -> None:
    spoil(file_of(made, JWT_SECRET_KEY))

    found = faults(made)
    assert list(found) == ["JWT_SECRET_KEY"]
    assert fault in found["JWT_SECRET_KEY"]


def test_a_file_that_this_user_may_not_read_is_told_so(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed, real = file_of(made, JWT_SECRET_KEY), Path.open

    def opened(path: Path, *words: str) -> IO[bytes]:
        if path == closed:
            raise PermissionError(13, "Permission denied", str(path))
        return cast(IO[bytes], real(path, *words))

    monkeypatch.setattr(Path, "open", opened)

    assert faults(made) == {"JWT_SECRET_KEY": f"cannot be read: `{closed}`: permission denied"}


@pytest.mark.parametrize("part", ["check", "list"])
@pytest.mark.parametrize(
    ("error", "reason"),
    [(None, "not a directory"), (PermissionError(13, "Permission denied"), "permission denied")],
)
def test_a_directory_that_cannot_be_read_is_not_one_without_secrets(
    part: str,
    error: OSError | None,
    reason: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    place = tmp_path / "secrets"
    place.touch()
    if error is not None:

        def fail(_: object) -> None:
            raise error

        monkeypatch.setattr(os, "lstat", fail)

    assert main(["secrets", part, str(place)]) == 2
    said = capsys.readouterr().err
    assert f"`{place}` cannot be read: {reason}\n  fix: " in said


def test_a_directory_that_others_may_enter_is_a_fault_of_all_in_it(made: Path) -> None:
    made.chmod(0o755)

    assert set(faults(made)) >= {kind.name for kind in OURS}
    assert "has mode 755" in faults(made)["JWT_SECRET_KEY"]


def test_what_is_unsound_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="`KRAKEN_SECRET` is not base64"):
        make_secrets(tmp_path / "secrets", given={"KRAKEN_SECRET": "nonsense!"})
    assert not (tmp_path / "secrets").exists()

    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        make_secrets(tmp_path / "file" / "secrets")


def test_a_secret_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match="no space left"):
        make_secrets(tmp_path / "secrets", [DATABASE_PASSWORD])
    assert not file_of(tmp_path / "secrets", DATABASE_PASSWORD).exists()


def test_check_fails_in_production_and_warns_in_development(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = str(tmp_path / "secrets")
    main(["secrets", "init", where])
    capsys.readouterr()

    assert main(["secrets", "check", where]) == 1
    assert "error: `KRAKEN_SECRET` is missing" in capsys.readouterr().out
    assert main(["secrets", "check", where, "--environment", "development"]) == 0
    assert "warning: `KRAKEN_SECRET` is missing" in capsys.readouterr().out
    file_of(Path(where), JWT_SECRET_KEY).write_text("short")
    assert main(["secrets", "check", where, "--environment", "development", "--json"]) == 1
    found = {each["name"]: each for each in json.loads(capsys.readouterr().out)}
    assert found["JWT_SECRET_KEY"]["fault"] == "has fewer than 32 bytes"
    assert found["KRAKEN_SECRET"]["there"] is False


def test_list_tells_purposes_and_shows_no_secret(
    made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["secrets", "list", str(made)]) == 0
    said = capsys.readouterr().out
    assert main(["secrets", "list", str(made), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)

    assert [row["name"] for row in rows] == [kind.name for kind in ALL_SECRETS]
    assert "JWT_SECRET_KEY: signs the tokens" in said
    assert not [kind for kind in OURS if file_of(made, kind).read_text() in said + str(rows)]


def test_a_person_may_type_what_an_exchange_gave_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("getpass.getpass", lambda asked: ISSUED.get(asked.split(",")[0], ""))
    assert main(["secrets", "init", str(tmp_path / "secrets"), "--ask", "--json"]) == 0

    assert (tmp_path / "secrets" / "kraken_secret").read_text() == ISSUED["KRAKEN_SECRET"]
    assert not (tmp_path / "secrets" / "openai_api_key").exists()


def test_where_nobody_answers_nothing_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def nobody(_: str) -> str:
        raise EOFError

    monkeypatch.setattr("getpass.getpass", nobody)
    assert main(["secrets", "init", str(tmp_path / "secrets"), "--ask"]) == 2
    assert "there is nobody to ask" in capsys.readouterr().err


def test_compose_is_told_of_an_unusual_group(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    group = os.getegid()
    monkeypatch.setattr(secret_files, "CONTAINER_GROUP", group + 1)
    line = f"RINGFENCE_SECRETS_GID={group}"
    command = ["secrets", "init", str(tmp_path / "secrets"), "--group", str(group)]
    assert main(command) == 0
    assert not (tmp_path / ".env").exists()

    (tmp_path / "docker-compose.yml").write_text("services: {}\n")
    assert main(command) == 0
    assert line in (tmp_path / ".env").read_text().splitlines()
    capsys.readouterr()
    assert main(command) == 0
    assert ".env" not in capsys.readouterr().out

    (tmp_path / ".env").write_text("RINGFENCE_BIND=0.0.0.0\n")
    assert main(command) == 0
    assert f"next: put {line} into" in capsys.readouterr().out
    assert (tmp_path / ".env").read_text() == "RINGFENCE_BIND=0.0.0.0\n"
    assert main(["secrets", "init", str(tmp_path / "secrets"), "--group", "-3"]) == 2
