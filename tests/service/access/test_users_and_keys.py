"""Users, passwords, API keys and the files that they lie in, without a service around them."""

import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest
from argon2 import PasswordHasher

from ringfence.errors import InputError, StateError
from ringfence.runtime.ports import SYSTEM_FILES, FixedClock
from ringfence.service.access.api_keys import LONGEST_NS, ApiKeys
from ringfence.service.access.passwords import Passwords
from ringfence.service.access.rights import Principal, Role
from ringfence.service.access.sessions import Sessions
from ringfence.service.access.table import Table
from ringfence.service.access.users import Users
from runtime.desk import NOON
from service.access.people import PASSWORD

pytestmark = [pytest.mark.unit, pytest.mark.security]

QUICK = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
MINUTE = 60_000_000_000


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOON)


@pytest.fixture
def users(tmp_path: Path, clock: FixedClock) -> Users:
    return Users(tmp_path, QUICK, clock)


@pytest.fixture
def keys(tmp_path: Path, clock: FixedClock) -> ApiKeys:
    return ApiKeys(tmp_path, clock)


# Users


@pytest.mark.parametrize(
    ("name", "role", "accounts", "password", "why"),
    [
        ("x", "viewer", [], "too short", "fewer than 15"),
        ("x", "viewer", [], "ab" * 20, "same few letters"),
        ("x", "viewer", [], "abcdefgh" * 200, "more than 256"),
        ("seven-crows-on-a", "viewer", [], "Seven-Crows-On-A1", "more than the name"),
        ("Ann", "viewer", [], PASSWORD, "no name"),
        ("аnn", "viewer", [], PASSWORD, "no name"),
        ("ann, confirmed by bob", "viewer", [], PASSWORD, "no name"),
        ("rule:drawdown", "viewer", [], PASSWORD, "no name"),
        ("key/x", "viewer", [], PASSWORD, "no name"),
        ("", "viewer", [], PASSWORD, "no name"),
        ("a" * 65, "viewer", [], PASSWORD, "no name"),
        ("x", "viewer", ["alpha"], PASSWORD, "mean nothing"),
        ("x", "market-data", [], PASSWORD, "for machines alone"),
        ("x", "trader", [], PASSWORD, "could trade for nobody"),
        ("x", "trader", ["*"], PASSWORD, "no name of an account"),
        ("x", "trader", ["al?ha"], PASSWORD, "no name of an account"),
        ("x", "trader", ["a b"], PASSWORD, "no name of an account"),
        ("ann", "viewer", [], PASSWORD, "there is a user"),
    ],
)
def test_who_is_not_let_in(
    users: Users, name: str, role: str, accounts: list[str], password: str, why: str
) -> None:
    users.add("ann", Role.ADMIN, [], PASSWORD, "a test")
    with pytest.raises(InputError, match=why) as caught:
        users.add(name, Role(role), accounts, password, "a test")
    assert password not in str(caught.value)
    assert [each.name for each in users.all()] == ["ann"]


def test_nobody_becomes_a_trader_who_may_trade_for_nobody(users: Users) -> None:
    users.add("ann", Role.VIEWER, [], PASSWORD, "a test")
    for given in ({"role": Role.TRADER}, {"role": Role.TRADER, "accounts": []}):
        with pytest.raises(InputError, match="could trade for nobody"):
            users.change("ann", **given)
    users.change("ann", role=Role.TRADER, accounts=["alpha"])
    with pytest.raises(InputError, match="could trade for nobody"):
        users.change("ann", accounts=[])
    assert users.change("ann", role=Role.VIEWER).accounts == []


def test_a_trader_without_accounts_of_before_is_shut_out_like_others(
    tmp_path: Path, users: Users
) -> None:
    users.add("tom", Role.TRADER, ["alpha"], PASSWORD, "a test")
    file = next(tmp_path.rglob("users.json"))
    file.write_bytes(file.read_bytes().replace(b'["alpha"]', b"[]"))
    there = Users(file.parent, QUICK, FixedClock(0))

    assert there.change("tom", enabled=False).accounts == []


def test_the_first_admin_is_let_in_once(users: Users) -> None:
    first = users.add_first("admin", PASSWORD, "the start")
    assert first is not None
    assert first.role is Role.ADMIN
    assert users.add_first("admin", "another password altogether", "the start") is None
    assert users.check("admin", PASSWORD) == first


def test_passwords_are_kept_as_the_rfc_says() -> None:
    passwords = Passwords()
    kept = passwords.keep(PASSWORD, "ann")

    assert kept.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert PASSWORD not in kept
    assert passwords.check(PASSWORD, kept)
    assert not passwords.check(PASSWORD, None)
    assert not passwords.is_outdated(kept)


def test_the_same_letters_from_another_keyboard_are_the_same_password(users: Users) -> None:
    users.add("ann", Role.VIEWER, [], "sieben Krähen auf dem Dräht", "a test")

    assert users.check("ann", "sieben Kra\u0308hen auf dem Dra\u0308ht") is not None


def test_a_password_kept_with_less_work_is_kept_anew_at_the_next_login(
    tmp_path: Path, clock: FixedClock
) -> None:
    Users(tmp_path, QUICK, clock).add("ann", Role.VIEWER, [], PASSWORD, "a test")
    more = Users(
        tmp_path, Passwords(PasswordHasher(time_cost=2, memory_cost=16, parallelism=1)), clock
    )

    before = more.find("ann")
    assert more.check("ann", "another password") is None
    assert more.find("ann") == before
    assert more.check("ann", PASSWORD) is not None
    after = more.find("ann")
    assert before is not None
    assert after is not None
    assert "t=2" in after.password
    # Whoever is logged in stays so.
    assert after.password_ns == before.password_ns


def test_a_change_is_seen_by_every_process(
    tmp_path: Path, clock: FixedClock, monkeypatch: Any
) -> None:
    here, there = (Users(tmp_path, QUICK, clock) for _ in range(2))
    here.add("ann", Role.VIEWER, [], PASSWORD, "a test")
    assert there.check("ann", PASSWORD) is not None
    there.change("ann", enabled=False)
    monkeypatch.setattr("ringfence.service.access.table._FRESH_SECONDS", -1.0)  # a second later
    assert here.check("ann", PASSWORD) is None


# Keys


@pytest.mark.parametrize(
    ("name", "role", "accounts", "valid_ns"),
    [
        ("x", "trader", [], MINUTE),
        ("x", "trader", ["*"], MINUTE),
        ("x", "viewer", ["alpha"], MINUTE),
        ("X/../y", "viewer", [], MINUTE),
        ("bot", "viewer", [], MINUTE),
        ("x", "viewer", [], 0),
        ("x", "viewer", [], LONGEST_NS + 1),
    ],
)
def test_what_is_no_key(
    keys: ApiKeys, name: str, role: str, accounts: list[str], valid_ns: int
) -> None:
    keys.make("bot", Role.VIEWER, [], MINUTE, "a test")
    with pytest.raises(InputError):
        keys.make(name, Role(role), accounts, valid_ns, "a test")
    assert len(keys.all()) == 1


def test_a_key_runs_out(keys: ApiKeys, clock: FixedClock) -> None:
    _, key = keys.make("bot", Role.TRADER, ["alpha"], MINUTE, "a test")
    assert keys.read(key.reveal()) == Principal(
        "key/bot", Role.TRADER, frozenset({"alpha"}), machine=True
    )
    clock.advance(MINUTE)
    assert keys.read(key.reveal()) is None
    # Its name is free again.
    keys.make("bot", Role.VIEWER, [], MINUTE, "a test")


def test_the_last_use_is_written_now_and_then(
    tmp_path: Path, keys: ApiKeys, clock: FixedClock
) -> None:
    kept, key = keys.make("bot", Role.VIEWER, [], 10 * MINUTE, "a test")
    clock.advance(MINUTE)
    keys.read(key.reveal())
    assert keys.all()[0].used_ns == NOON + MINUTE
    assert ApiKeys(tmp_path, clock).all()[0].used_ns == 0
    keys.write_uses()
    assert ApiKeys(tmp_path, clock).all()[0].used_ns == NOON + MINUTE
    keys.revoke(kept.id)
    with pytest.raises(InputError, match="no such key"):
        keys.revoke("bot")


# Sessions


def sessions(tmp_path: Path, users: Users, clock: FixedClock, most: int = 100) -> Sessions:
    return Sessions(tmp_path, users, clock, idle_ns=30 * MINUTE, longest_ns=60 * MINUTE, most=most)


def test_a_session_ends_by_idling_and_by_age(
    tmp_path: Path, users: Users, clock: FixedClock
) -> None:
    held = sessions(tmp_path, users, clock)
    ann = users.add("ann", Role.VIEWER, [], PASSWORD, "a test")
    idle, busy = held.begin(ann), held.begin(ann)
    for minutes in (29, 29):
        clock.advance(minutes * MINUTE)
        assert held.find(busy) is not None
    assert held.find(idle) is None
    clock.advance(2 * MINUTE)
    assert held.find(busy) is None
    held.write_uses()
    assert json.loads((tmp_path / "sessions.json").read_bytes()) == {}


def test_sessions_outlive_a_restart_and_the_file_lets_nobody_in(
    tmp_path: Path, users: Users, clock: FixedClock
) -> None:
    ann = users.add("ann", Role.VIEWER, [], PASSWORD, "a test")
    before = sessions(tmp_path, users, clock)
    text = before.begin(ann)
    clock.advance(20 * MINUTE)
    before.find(text)
    before.write_uses()
    clock.advance(20 * MINUTE)
    after = sessions(tmp_path, users, clock)
    assert after.find(text) is not None

    (name,) = json.loads((tmp_path / "sessions.json").read_bytes())
    assert name != text
    assert after.find(name) is None
    assert after.end_all("ann") == 1
    assert after.find(text) is None


def test_nobody_who_is_at_work_is_logged_out_because_nothing_can_be_written(
    tmp_path: Path, users: Users, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = sessions(tmp_path, users, clock)
    text = held.begin(users.add("ann", Role.VIEWER, [], PASSWORD, "a test"))
    clock.advance(20 * MINUTE)
    assert held.find(text) is not None

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as failing:
        failing.setattr(type(SYSTEM_FILES), "write_atomic", full)
        with pytest.raises(StateError, match="no space left"):
            held.write_uses()
    clock.advance(20 * MINUTE)
    assert held.find(text) is not None
    held.write_uses()
    assert held._seen == {}


def test_there_are_never_more_sessions_than_allowed(
    tmp_path: Path, users: Users, clock: FixedClock
) -> None:
    held = sessions(tmp_path, users, clock, most=12)
    people = [users.add(f"user-{n}", Role.VIEWER, [], PASSWORD, "a test") for n in range(2)]
    begun = []
    for number in range(30):
        clock.advance(1)
        begun.append(held.begin(people[number % 2]))
    alive = [text for text in begun if held.find(text) is not None]
    assert alive == begun[-12:]
    one = [held.begin(people[0]) for _ in range(15)]
    assert sum(held.find(text) is not None for text in one) == 10


def test_each_session_has_forms_of_its_own(tmp_path: Path, users: Users, clock: FixedClock) -> None:
    held = sessions(tmp_path, users, clock)
    ann = users.add("ann", Role.VIEWER, [], PASSWORD, "a test")
    found = [held.find(held.begin(ann)) for _ in range(2)]
    assert found[0] is not None
    assert found[1] is not None
    assert found[0][1].csrf != found[1][1].csrf
    assert found[0][1].csrf not in repr(found)


# The files


class Entry(msgspec.Struct, frozen=True):
    number: int


def test_changes_at_the_same_time_are_all_kept(tmp_path: Path) -> None:
    together = threading.Barrier(6)

    def add(number: int) -> None:
        table = Table(tmp_path / "t.json", Entry)
        together.wait()
        for each in range(5):
            with table.changing() as held:
                held[f"{number}-{each}"] = Entry(each)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(add, range(6)))
    assert len(Table(tmp_path / "t.json", Entry).all()) == 30


def test_what_fails_changes_nothing(tmp_path: Path) -> None:
    table = Table(tmp_path / "t.json", Entry)

    def fail() -> None:
        with table.changing() as held:
            held["a"] = Entry(1)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert table.get("a") is None
    with table.changing() as held:
        held["b"] = Entry(2)
    assert Table(tmp_path / "t.json", Entry).get("b") == Entry(2)
    assert (tmp_path / "t.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [b"", b"[]", b'{"a": {"number": "x"}}', b"{", b"\xff"])
def test_a_damaged_file_lets_nobody_in(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "t.json").write_bytes(content)
    table = Table(tmp_path / "t.json", Entry)

    with pytest.raises(StateError, match="is damaged"):
        table.all()
    with pytest.raises(StateError, match="is damaged"), table.changing():
        pass
    assert (tmp_path / "t.json").read_bytes() == content


def test_a_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "t.json").mkdir()
    with pytest.raises(StateError, match="cannot be read"):
        Table(tmp_path / "t.json", Entry).all()
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(StateError, match="cannot be"),
        Table(tmp_path / "file" / "t.json", Entry).changing(),
    ):
        pass


def test_a_lock_that_somebody_holds_is_waited_for_but_not_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    handle = os.open(tmp_path / "t.lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(handle, fcntl.LOCK_EX)
    monkeypatch.setattr("ringfence.service.access.table._LOCK_SECONDS", 0.02)
    try:
        with (
            pytest.raises(StateError, match="is held"),
            Table(tmp_path / "t.json", Entry).changing(),
        ):
            pass
    finally:
        os.close(handle)
