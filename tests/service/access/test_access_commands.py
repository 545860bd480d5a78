"""`ringfence users`, `api-keys` and `token`: what they change is what the service reads, and is recorded by it."""

import io
import json
import sys
from pathlib import Path

import pytest

from ringfence.cli.main import main
from ringfence.runtime.audit_log import AuditLog
from ringfence.runtime.audit_reader import tail
from ringfence.runtime.credentials import Secret
from ringfence.runtime.ports import SYSTEM_CLOCK
from ringfence.service.access.api_keys import ApiKeys
from ringfence.service.access.outbox import Outbox
from ringfence.service.access.passwords import Passwords
from ringfence.service.access.records import Records
from ringfence.service.access.revoked import RevokedTokens
from ringfence.service.access.rights import Principal, Role
from ringfence.service.access.tokens import Tokens
from ringfence.service.access.users import Users
from service.access.conftest import QUICK
from service.access.people import PASSWORD

pytestmark = [pytest.mark.integration, pytest.mark.security]
KEY = "0123456789abcdefghijklmnopqrstuvwxyz"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory to work in, with a key, a password, and nobody who has ever logged in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JWT_SECRET_KEY", KEY)
    monkeypatch.setattr(Passwords, "__init__", lambda self: vars(self).update(vars(QUICK)))
    (tmp_path / "password").write_text(PASSWORD + "\n")
    (tmp_path / "ringfence-data").mkdir()
    return tmp_path / "ringfence-data" / "access"


def users(folder: Path) -> Users:
    return Users(folder, QUICK, SYSTEM_CLOCK)


def recorded(folder: Path) -> list[tuple[str, str]]:
    """As the service does with what the command line left."""
    log = AuditLog.open(folder.parent / "audit", durability="process")
    Outbox(folder, SYSTEM_CLOCK).hand_over(Records(log, SYSTEM_CLOCK))
    log.close()
    assert json.loads((folder / "to-record.json").read_bytes()) == {}
    return [(each.kind, each.body["by"]) for each in tail(folder.parent / "audit", 100)]


def test_a_user_from_the_first_day_to_the_last(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["users", "list"]) == 0
    assert "nobody yet" in capsys.readouterr().out
    add = ["users", "add", "--password-file", "password"]
    assert main([*add, "ann", "--role", "admin"]) == 0
    assert main([*add, "bob", "--role", "trader", "--account", "alpha", "--account", "beta"]) == 0
    assert users(folder).check("ann", PASSWORD) is not None
    assert main(["users", "change", "bob", "--account", "gamma"]) == 0
    assert main(["users", "disable", "bob"]) == 0
    assert users(folder).check("bob", PASSWORD) is None
    capsys.readouterr()
    assert main(["users", "list"]) == 0
    listed = capsys.readouterr().out
    assert "bob  trader        disabled" in listed
    assert listed.count("has to change the password") == 2
    assert main(["users", "list", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [(each["name"], each["accounts"]) for each in told] == [("ann", []), ("bob", ["gamma"])]
    assert "password" not in told[0]
    assert main(["users", "enable", "bob", "--json"]) == 0
    assert main(["users", "remove", "bob"]) == 0
    assert users(folder).find("bob") is None

    kinds = [kind for kind, _ in recorded(folder)]
    assert kinds == [
        f"access-user-{each}"
        for each in ("added", "added", "changed", "changed", "changed", "removed")
    ]
    assert all(by.startswith("cli/") for _, by in recorded(folder))


def test_why_a_password_cannot_be_read_is_told_in_words_and_without_the_name(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder.parents[1] / "binary").write_bytes(b"\xff\xfe")
    add = ["users", "add", "ann", "--role", "admin", "--password-file"]
    for file, reason in (
        (PASSWORD, "cannot be read: no such file or directory"),
        (".", "cannot be read: is a directory"),
        ("binary", "is not UTF-8"),
    ):
        assert main([*add, file]) == 2
        said = capsys.readouterr().err
        assert said.startswith(f"ringfence: the file of the password {reason}\n  fix: ")
        assert PASSWORD not in said


def test_a_password_comes_from_a_file_or_a_pipe_and_never_from_the_arguments(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    add = ["users", "add", "ann", "--role", "admin"]
    assert main([*add, "--password", PASSWORD]) == 2
    assert main([*add, "--password-file", "no such file"]) == 2
    monkeypatch.setattr(sys, "stdin", io.StringIO(PASSWORD + "\n"))
    assert main(add) == 2  # nobody is asked in a pipe
    assert main([*add, "--password-file", "-"]) == 0
    assert users(folder).check("ann", PASSWORD) is not None
    (folder.parents[1] / "other").write_text("eight crows on a wire")
    assert main(["users", "password", "ann", "--password-file", "other"]) == 0
    assert users(folder).check("ann", "eight crows on a wire") is not None
    assert PASSWORD not in "".join(capsys.readouterr())


def test_a_person_at_a_terminal_is_asked_twice(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = iter([PASSWORD, PASSWORD + "x", PASSWORD, PASSWORD])
    monkeypatch.setattr("getpass.getpass", lambda _: next(answers))
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    assert main(["users", "add", "ann", "--role", "admin"]) == 2
    assert "not the same" in capsys.readouterr().err
    assert main(["users", "add", "ann", "--role", "admin"]) == 0
    assert users(folder).check("ann", PASSWORD) is not None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["users", "disable", "nobody"], "no such user"),
        (["users", "password", "nobody", "--password-file", "password"], "no such user"),
        (["users", "change", "nobody"], "nothing to change"),
        (["users", "add", "Ann", "--role", "admin", "--password-file", "password"], "no name"),
        (
            [
                "users",
                "add",
                "a",
                "--role",
                "trader",
                "--account",
                "*",
                "--password-file",
                "password",
            ],
            "no name of an account",
        ),
        (["users", "add", "a", "--role", "trader"], "could trade for nobody"),
        (["token", "make", "--name", "a", "--role", "trader"], "could trade for nobody"),
        (["token", "make", "--name", "a", "--role", "viewer", "--account", "b"], "mean nothing"),
        (["api-keys", "revoke", "nothing"], "no such key"),
        (["api-keys", "make", "bot", "--role", "viewer", "--valid", "2y"], "no span of time"),
        (["api-keys", "make", "bot", "--role", "viewer", "--valid", "401d"], "400 days"),
        (["token", "make", "--name", "a", "--role", "viewer", "--valid", "0s"], "not valid for"),
        (["token", "make", "--name", "a:b", "--role", "viewer"], "no name"),
        (
            ["token", "make", "--name", "a", "--role", "trader", "--account", "*"],
            "no name of an account",
        ),
        (
            ["token", "make", "--name", "a", "--role", "viewer", "--environment", "testing"],
            "no other takes",
        ),
        (
            [
                "token",
                "make",
                "--name",
                "a",
                "--role",
                "viewer",
                "--set",
                "access.jwks_url=https://i.example/k",
                "--set",
                "access.algorithm=RS256",
            ],
            "the issuer",
        ),
        (["token", "revoke", "ä"], "no id"),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, list) else "",
)
def test_what_cannot_be_is_said(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    shown = capsys.readouterr().err
    assert said in shown
    assert "fix:" in shown


def test_a_key_that_is_made_here_works(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["api-keys", "list"]) == 0
    assert main(["api-keys", "make", "bot-1", "--role", "trader", "--account", "alpha"]) == 0
    key = capsys.readouterr().out.splitlines()[-1]
    found = ApiKeys(folder, SYSTEM_CLOCK).read(key)
    assert found == Principal("key/bot-1", Role.TRADER, frozenset({"alpha"}), machine=True)
    assert main(["api-keys", "make", "bot-2", "--role", "viewer", "--valid", "8h", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["key"].startswith("rfk_")
    assert main(["api-keys", "list"]) == 0
    assert "used never" in capsys.readouterr().out
    assert main(["api-keys", "list", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 2
    assert main(["api-keys", "revoke", "bot-1"]) == 0
    assert main(["api-keys", "revoke", "bot-2", "--json"]) == 0
    assert ApiKeys(folder, SYSTEM_CLOCK).read(key) is None
    assert [kind for kind, _ in recorded(folder)] == ["access-key-made"] * 2 + [
        "access-key-revoked"
    ] * 2


def test_a_token_that_is_made_here_is_read_by_the_service_until_it_is_revoked(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make = ["token", "make", "--name", "ann", "--role", "trader", "--account", "alpha"]
    assert main(make) == 0
    text = capsys.readouterr().out.strip()
    held = Tokens((Secret(KEY),), SYSTEM_CLOCK)
    assert held.read(text) == Principal("ann", Role.TRADER, frozenset({"alpha"}))
    assert main([*make, "--valid", "8h", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert held.read(told["token"]) is not None
    assert main(["token", "revoke", told["id"]]) == 0
    assert main(["token", "revoke", told["id"], "--json"]) == 0
    assert told["id"] in RevokedTokens(folder, SYSTEM_CLOCK)
    kinds = [kind for kind, _ in recorded(folder)]
    assert kinds == ["access-token-made"] * 2 + ["access-token-revoked"] * 2


def test_without_a_key_no_token_is_made(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("JWT_SECRET_KEY")
    assert main(["token", "make", "--name", "ann", "--role", "viewer"]) == 2
    assert "`JWT_SECRET_KEY` is not set" in capsys.readouterr().err


def test_data_of_another_user_are_left_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # What the wrong user writes, the service could not read.
    monkeypatch.setattr("os.geteuid", lambda: 4_711)
    assert main(["users", "list"]) == 2
    assert "run it as that user" in capsys.readouterr().err
    assert not folder.exists()
