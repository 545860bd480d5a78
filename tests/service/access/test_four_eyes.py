"""A release and a rollback that take two people: what one cannot do alone, and what happens in between."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from litestar.exceptions import HTTPException, NotFoundException, PermissionDeniedException

from ringfence.errors import InputError
from ringfence.service.access.four_eyes import Conflict, Proposal
from ringfence.service.access.rights import Principal, Role
from service.access.two_people import ANN, BOB, MINUTE, Watched, watched

pytestmark = [pytest.mark.integration, pytest.mark.security]


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Watched]:
    found = watched(tmp_path)
    yield found
    found.guard.close()
    found.log.close()


def released_by(held: Watched) -> str:
    (switch,) = held.guard.kill_switches
    return f"{switch.state}: {switch.by}"


def test_one_person_releases_where_nothing_else_is_asked_for(held: Watched) -> None:
    assert held.four_eyes(()).set_kill_switch(ANN, "firm", "active", "drill is over") is None
    assert released_by(held) == "active: ann"


def test_a_release_waits_for_a_second_person_and_both_are_recorded(held: Watched) -> None:
    asked = held.four_eyes().set_kill_switch(ANN, "firm", "reducing", "drill is over")

    assert isinstance(asked, Proposal)
    assert released_by(held) == "halted: ann"
    # As after a restart: another object on the same folder.
    after = held.four_eyes()
    assert after.pending() == (asked,)
    assert after.confirm(BOB, asked.id) is None
    assert released_by(held) == "reducing: ann, confirmed by bob"
    assert after.pending() == ()
    told = [(kind, body["by"]) for kind, body in held.recorded() if kind.startswith("access-")]
    assert told == [("access-proposed", "ann"), ("access-confirmed", "bob")]


def test_arming_a_drawdown_anew_takes_two_people_whatever_the_switch_is_set_to(
    held: Watched,
) -> None:
    guard, eyes = held.guard, held.four_eyes()
    guard._books.ledger.start_peak("account/main", 200_000.0)

    proposal = eyes.set_kill_switch(ANN, "account/main", "active", "looked at", rearm=True)
    assert proposal is not None
    assert proposal.about == {"target": "account/main", "state": "active", "rearm": "drawdown"}
    assert guard.book("account/main").peak_equity == 200_000.0

    eyes.confirm(BOB, proposal.id)
    assert guard.book("account/main").peak_equity == 100_000.0
    assert guard.kill_switches[-1].by == "ann, confirmed by bob"


def test_one_person_arms_a_drawdown_anew_where_nothing_else_is_asked_for(held: Watched) -> None:
    held.guard._books.ledger.start_peak("account/main", 200_000.0)

    assert (
        held.four_eyes(()).set_kill_switch(ANN, "account/main", "active", "seen", rearm=True)
        is None
    )
    assert held.guard.book("account/main").drawdown == 0.0


@pytest.mark.parametrize("target", ["account/nobody", "venue/paper"])
def test_what_nobody_could_confirm_is_not_proposed(held: Watched, target: str) -> None:
    eyes = held.four_eyes()
    with pytest.raises(InputError):
        eyes.set_kill_switch(ANN, target, "active", "looked at", rearm=True)
    assert eyes.pending() == ()


def test_making_a_switch_stricter_takes_one_person(held: Watched) -> None:
    four_eyes = held.four_eyes()

    assert four_eyes.set_kill_switch(ANN, "account/main", "halted", "feed in doubt") is None
    assert held.guard.kill_switch("account/main") == "halted"


def test_a_rollback_waits_for_a_second_person(held: Watched) -> None:
    four_eyes, in_force = held.four_eyes(), held.guard.policy_set
    asked = four_eyes.rollback(ANN, in_force[:8], "too many positions")

    assert isinstance(asked, Proposal)
    assert held.reloader.asked == []
    outcome = four_eyes.confirm(BOB, asked.id)
    assert outcome is not None
    assert outcome.ok
    assert held.reloader.asked == [(in_force, "ann, confirmed by bob", "too many positions")]


def test_one_person_rolls_back_where_nothing_else_is_asked_for(held: Watched) -> None:
    held.four_eyes(("kill-switch-release",)).rollback(ANN, "abcd", "too many positions")

    assert held.reloader.asked == [("abcd", "ann", "too many positions")]


@pytest.mark.parametrize(
    "second",
    [
        ANN,
        replace(ANN, name="Ann"),
        Principal("carl", Role.TRADER, frozenset({"main"})),
        Principal("vera", Role.VIEWER),
        Principal("key/bot", Role.ADMIN, machine=True),
    ],
    ids=lambda each: f"{each.name} {each.role}",
)
def test_not_everybody_can_be_the_second_person(held: Watched, second: Principal) -> None:
    four_eyes = held.four_eyes()
    asked = four_eyes.set_kill_switch(ANN, "firm", "active", "drill is over")
    assert asked is not None

    with pytest.raises(PermissionDeniedException):
        four_eyes.confirm(second, asked.id)
    assert released_by(held) == "halted: ann"
    assert four_eyes.pending() == (asked,)


PASSWORD = "seven crows on a wire"
# Who set whose password, in order; the empty name is whoever runs the service.
SET = {
    "apart": ([("", "ann"), ("", "bob")], "ann", "bob", True),
    "of two admins": ([("amy", "ann"), ("ben", "bob")], "ann", "bob", True),
    "an admin and whom another let in": ([("amy", "bob")], "ben", "bob", True),
    "the admin who let the second in": ([("amy", "bob")], "amy", "bob", False),
    "by a name in other letters": ([("Amy", "bob")], "amy", "bob", False),
    "the second let the first in": ([("amy", "bob")], "bob", "amy", False),
    "both let in by one": ([("amy", "ann"), ("amy", "bob")], "ann", "bob", False),
    "by an admin whom the first let in": ([("amy", "ada"), ("ada", "bob")], "amy", "bob", False),
    "by a key": ([("key/bot", "bob")], "ann", "bob", False),
    "by an admin whom a key let in": ([("key/bot", "ada"), ("ada", "bob")], "ann", "bob", False),
    "another admin set it anew": ([("amy", "bob"), ("ben", "bob")], "amy", "bob", True),
    "the admin set it anew": ([("", "bob"), ("amy", "bob")], "amy", "bob", False),
    "whoever runs the service set it anew": ([("amy", "bob"), ("", "bob")], "amy", "bob", True),
}


@pytest.mark.parametrize("case", SET)
def test_two_names_are_two_people_where_nobody_may_be_both(held: Watched, case: str) -> None:
    steps, first, second, is_apart = SET[case]
    for by, name in steps:
        if held.users.find(name) is None:
            held.users.add(name, Role.ADMIN, [], PASSWORD, "a test", set_by=by)
        else:
            held.users.change(name, password=PASSWORD, set_by=by)
        # It may be whoever set it who changes it then.
        assert held.users.change_own(name, PASSWORD, "nine wrens under a roof") is not None
    four_eyes = held.four_eyes()
    asked = four_eyes.set_kill_switch(
        Principal(first, Role.ADMIN), "firm", "active", "drill is over"
    )
    assert asked is not None

    if is_apart:
        assert four_eyes.confirm(Principal(second, Role.ADMIN), asked.id) is None
    else:
        with pytest.raises(PermissionDeniedException, match="may be both"):
            four_eyes.confirm(Principal(second, Role.ADMIN), asked.id)
    assert held.guard.kill_switch("firm") == ("active" if is_apart else "halted")


def test_a_password_that_is_set_anew_does_not_hide_who_proposed(held: Watched) -> None:
    held.users.add("bob", Role.RISK_OFFICER, [], PASSWORD, "a test", set_by="amy")
    asked = held.four_eyes().set_kill_switch(BOB, "firm", "active", "drill is over")
    assert asked is not None
    held.users.change("bob", password=PASSWORD, set_by="ben")

    with pytest.raises(PermissionDeniedException, match="amy has set"):
        held.four_eyes().confirm(Principal("amy", Role.ADMIN), asked.id)


def test_who_is_forgotten_is_still_known_to_have_set_a_password(held: Watched) -> None:
    held.users.add("eve", Role.ADMIN, [], PASSWORD, "a test")
    held.users.add("ada", Role.ADMIN, [], PASSWORD, "a test", set_by="amy")
    held.users.add("bob", Role.ADMIN, [], PASSWORD, "a test", set_by="ada")
    held.users.remove("ada")
    asked = held.four_eyes().set_kill_switch(ANN, "firm", "active", "drill is over")
    assert asked is not None

    assert held.users.hands("bob") == {"bob", "ada", "amy"}
    assert held.four_eyes().confirm(BOB, asked.id) is None


def test_a_machine_proposes_nothing_and_a_trader_releases_nothing(held: Watched) -> None:
    machine = Principal("key/bot", Role.RISK_OFFICER, machine=True)
    trader = Principal("carl", Role.TRADER, frozenset({"main"}))

    for user in (machine, trader):
        with pytest.raises(PermissionDeniedException):
            held.four_eyes().set_kill_switch(user, "firm", "active", "because")
    with pytest.raises(PermissionDeniedException):
        held.four_eyes(()).set_kill_switch(trader, "firm", "active", "because")
    with pytest.raises(PermissionDeniedException):
        held.four_eyes(()).rollback(trader, "abcd", "because")


@pytest.mark.parametrize("reason", ["", "  \t", "x" * 501, "\x1b[2J", "ok \u202egniht\u202c"])
def test_a_reason_is_text_that_can_be_read(held: Watched, reason: str) -> None:
    for actions in ((), ("kill-switch-release", "rollback")):
        four_eyes = held.four_eyes(actions)
        with pytest.raises(InputError):
            four_eyes.set_kill_switch(ANN, "firm", "active", reason)
        with pytest.raises(InputError):
            four_eyes.rollback(ANN, held.guard.policy_set, reason)


def test_lines_of_a_reason_become_one(held: Watched) -> None:
    held.four_eyes().set_kill_switch(ANN, "firm", "halted", "prices jump:\r\nthe feed is wrong\n")

    (switch,) = held.guard.kill_switches
    assert switch.reason == "prices jump: the feed is wrong"


def test_a_proposal_runs_out(held: Watched) -> None:
    four_eyes = held.four_eyes()
    asked = four_eyes.set_kill_switch(ANN, "firm", "active", "drill is over")
    assert asked is not None
    held.clock.advance(15 * MINUTE)

    assert four_eyes.pending() == ()
    with pytest.raises(NotFoundException):
        four_eyes.confirm(BOB, asked.id)
    # The next one sweeps it away.
    again = four_eyes.set_kill_switch(ANN, "firm", "active", "drill is over")
    assert again is not None
    assert four_eyes.pending() == (again,)


def test_what_was_withdrawn_cannot_be_confirmed(held: Watched) -> None:
    four_eyes = held.four_eyes()
    asked = four_eyes.set_kill_switch(ANN, "firm", "active", "drill is over")
    assert asked is not None

    with pytest.raises(PermissionDeniedException):
        four_eyes.withdraw(Principal("vera", Role.VIEWER), asked.id)
    assert four_eyes.withdraw(BOB, asked.id) == asked
    for attempt in (four_eyes.confirm, four_eyes.withdraw):
        with pytest.raises(NotFoundException):
            attempt(BOB, asked.id)


def test_of_two_who_confirm_at_the_same_time_one_does_it(held: Watched) -> None:
    asked = held.four_eyes().set_kill_switch(ANN, "firm", "active", "drill is over")
    assert asked is not None
    together = threading.Barrier(8)

    def confirmed(number: int) -> bool:
        # Half of them are in another process, as far as the file can tell.
        four_eyes = held.four_eyes()
        together.wait()
        try:
            four_eyes.confirm(Principal(f"officer-{number}", Role.RISK_OFFICER), asked.id)
        except NotFoundException:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(confirmed, range(8)))

    assert done.count(True) == 1
    assert released_by(held) == f"active: ann, confirmed by officer-{done.index(True)}"


@pytest.mark.parametrize("meanwhile", ["halted", "reducing"])
def test_a_switch_that_was_set_anew_is_not_released_by_an_old_proposal(
    held: Watched, meanwhile: str
) -> None:
    four_eyes = held.four_eyes()
    asked = four_eyes.set_kill_switch(ANN, "firm", "active", "drill is over")
    assert asked is not None
    held.clock.advance(MINUTE)
    held.guard.set_kill_switch("firm", meanwhile, by="carol", reason="now it is real")

    with pytest.raises(Conflict, match="by carol") as caught:
        four_eyes.confirm(BOB, asked.id)
    assert caught.value.status_code == 409
    assert released_by(held) == f"{meanwhile}: carol"
    assert four_eyes.pending() == ()


def test_a_switch_that_got_stricter_is_not_released_by_who_saw_a_looser_one(held: Watched) -> None:
    held.four_eyes(()).set_kill_switch(ANN, "firm", "active", "drill is over")
    (switch,) = held.guard.kill_switches
    held.clock.advance(MINUTE)
    held.guard.set_kill_switch("firm", "halted", by="rule:drawdown", reason="drawdown")

    with pytest.raises(InputError, match="was set to halted meanwhile, by rule:drawdown"):
        held.guard.set_kill_switch(
            "firm", "reducing", by="ann", reason="careful", seen_ns=switch.at_ns
        )
    assert held.guard.kill_switch("firm") == "halted"


def test_another_set_in_force_makes_a_rollback_void(held: Watched) -> None:
    four_eyes, in_force = held.four_eyes(), held.guard.policy_set
    asked = four_eyes.rollback(ANN, in_force, "too many positions")
    assert isinstance(asked, Proposal)
    file = held.folder / "access" / "proposals.json"
    file.write_text(
        file.read_text().replace(
            f'"seen":{{"policy_set":"{in_force}', '"seen":{"policy_set":"other'
        )
    )

    with pytest.raises(Conflict, match="another set"):
        held.four_eyes().confirm(BOB, asked.id)
    assert held.reloader.asked == []


def test_what_cannot_be_is_refused_at_once(held: Watched) -> None:
    four_eyes = held.four_eyes()

    for target, state in (("firm", "open"), ("account/nobody", "halted")):
        with pytest.raises(InputError):
            four_eyes.set_kill_switch(ANN, target, state, "because")
    with pytest.raises(InputError, match="no policy set"):
        four_eyes.rollback(ANN, "ffff", "because")
    assert four_eyes.pending() == ()


def test_what_cannot_be_recorded_is_not_proposed(held: Watched) -> None:
    four_eyes = held.four_eyes()
    held.log.close()

    with pytest.raises(InputError):
        four_eyes.set_kill_switch(ANN, "firm", "active", "drill is over")
    assert four_eyes.pending() == ()


def test_proposals_do_not_pile_up(held: Watched) -> None:
    four_eyes = held.four_eyes()
    for _ in range(20):
        four_eyes.set_kill_switch(ANN, "firm", "active", "drill is over")

    with pytest.raises(HTTPException, match="20 proposals wait"):
        four_eyes.set_kill_switch(ANN, "firm", "active", "drill is over")


def test_nobody_else_can_read_the_file(held: Watched) -> None:
    held.four_eyes().set_kill_switch(ANN, "firm", "active", "drill is over")

    assert (held.folder / "access" / "proposals.json").stat().st_mode & 0o777 == 0o600
