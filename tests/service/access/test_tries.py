"""How often somebody may try: whom an address stands for, and what is counted for how long."""

from pathlib import Path

import pytest
from litestar.exceptions import TooManyRequestsException

from ringfence.errors import InputError
from ringfence.runtime.audit_log import AuditLog
from ringfence.runtime.audit_reader import tail
from ringfence.runtime.ports import FixedClock
from ringfence.service.access import tries
from ringfence.service.access.opened import ADMIN_PASSWORD, Access, _let_first_in
from ringfence.service.access.records import MOST_REFUSALS, Records
from ringfence.service.access.tries import ClockStorage, LoginTries, network_of
from ringfence.service.access.users import Users
from ringfence.service.settings import AccessSettings, ServiceSettings
from runtime.desk import NOON
from service.access.conftest import QUICK
from service.access.people import PASSWORD

pytestmark = [pytest.mark.unit, pytest.mark.security]
MINUTE = 60_000_000_000


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("", "unknown"),
        ("testclient", "unknown"),
        ("192.0.2.7, 10.0.0.1", "unknown"),
    ],
)
def test_whom_an_address_stands_for(address: str, network: str) -> None:
    assert network_of(address) == network


def refused(held: LoginTries, user: str, address: str) -> int:
    """Seconds until the next try; 0 where this one counts."""
    try:
        held.count(user, address)
    except TooManyRequestsException as error:
        return int((error.headers or {})["retry-after"])
    return 0


def test_a_lock_out_ends_by_itself_and_tells_when() -> None:
    clock = FixedClock(NOON)
    held = LoginTries(AccessSettings(), clock)
    for _ in range(5):
        assert refused(held, "ann", "192.0.2.7") == 0
    clock.advance(5 * MINUTE)
    assert refused(held, "ann", "192.0.2.7") == 600
    # Her own desk is another address.
    assert refused(held, "ann", "192.0.2.8") == 0
    clock.advance(10 * MINUTE)
    assert refused(held, "ann", "192.0.2.7") == 0


def test_many_addresses_do_not_get_many_tries_at_one_user() -> None:
    held = LoginTries(AccessSettings(), FixedClock(NOON))
    answers = [refused(held, "ann", f"192.0.2.{number}") for number in range(60)]
    assert answers == [0] * 50 + [900] * 10


def test_counts_stay_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tries, "_MOST_KEYS", 100)
    clock = FixedClock(NOON)
    storage = ClockStorage(clock)
    for number in range(100):
        storage.incr(f"old-{number}", 10)
    clock.advance(MINUTE)
    assert storage.incr("new", 10) == 1
    assert storage.get("old-1") == 0
    for number in range(500):
        clock.advance(1)
        storage.incr(f"more-{number}", 10)
    assert storage.get("more-499") == 1
    assert storage.check()
    assert storage.reset() <= 100


def test_refusals_beyond_the_most_are_counted_in_the_next_record(tmp_path: Path) -> None:
    clock = FixedClock(NOON)
    log = AuditLog.open(tmp_path / "log", durability="process", clock=clock)
    records = Records(log, clock)
    for _ in range(MOST_REFUSALS + 7):
        records.refused("denied", "", {})
    clock.advance(MINUTE)
    records.refused("denied", "", {"status": 401})
    log.close()
    told = tail(tmp_path / "log", 1_000)
    assert len(told) == MOST_REFUSALS + 1
    assert told[-1].body == {"by": "", "status": 401, "unrecorded_before": 7}
    # A log that takes nothing turns nobody away who may come in.
    records.came("login", "ann", {})


def test_the_first_admin_comes_from_a_secret_once(tmp_path: Path) -> None:
    clock = FixedClock(NOON)
    log = AuditLog.open(tmp_path / "log", durability="process", clock=clock)
    users = Users(tmp_path, QUICK, clock)
    parts = dict.fromkeys(Access.__dataclass_fields__)
    del parts["_kept_up_at"]
    access = Access(**{**parts, "users": users, "records": Records(log, clock)})  # type: ignore[arg-type]
    production = ServiceSettings(environment="production")
    (tmp_path / "password").write_text(PASSWORD + "\n")
    by_file = {f"{ADMIN_PASSWORD}_FILE": str(tmp_path / "password")}

    _let_first_in(access, ServiceSettings(environment="testing"), by_file)
    _let_first_in(access, production, {})
    assert users.all() == ()
    with pytest.raises(InputError, match=f"`{ADMIN_PASSWORD}`: the password has fewer"):
        _let_first_in(access, production, {ADMIN_PASSWORD: "short"})
    _let_first_in(access, production, by_file)
    _let_first_in(access, production, {ADMIN_PASSWORD: "another password altogether"})
    assert users.check("admin", PASSWORD) is not None
    log.close()
    assert [each.kind for each in tail(tmp_path / "log", 10)] == ["access-user-added"]
