"""Going back to an earlier set, and staying there until the source holds something else, or a person says so."""

import json
import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from reload.places import TEST, Recorder, desk, policy, running, save
from ringfence.cli.main import main
from ringfence.errors import InputError
from ringfence.reload.control import Control, Pin, Request
from ringfence.reload.directory_source import DirectorySource
from ringfence.reload.start import first_policy_set
from ringfence.runtime.policy_set import PolicySet
from ringfence.runtime.ports import SYSTEM_FILES

pytestmark = pytest.mark.integration

WHO = {"by": "ann", "reason": "the new limit is wrong"}
FOREVER = 1 << 62


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return desk(tmp_path / "policies", test=TEST)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


def sha256(folder: Path) -> str:
    return PolicySet.load(folder).sha256


def test_a_rollback_holds_until_the_source_holds_something_else(folder: Path, store: Path) -> None:
    with running(DirectorySource(folder), store) as found:
        first = found.next("accepted").policy_set
        save(folder / "desk.yaml", policy("9_000 USD"))
        second = found.next("accepted").policy_set

        back = found.reloader.rollback(first[:10], **WHO)
        assert (back.result, back.policy_set, back.before) == ("rolled-back", first, second)
        assert (found.guard.policy_set, found.reloader.health().pinned) == (first, first)
        assert found.guard.used[-1][1:] == (
            "ann",
            {"place": "the policy store", "rollback": True, "reason": WHO["reason"]},
        )

        # The same bytes, written again, are nothing new.
        save(folder / "desk.yaml", policy("9_000 USD"))
        assert found.next("pinned").policy_set == first
        assert found.reloader.health().ok

        # Something that fails is no reason to leave.
        save(folder / "desk.yaml", policy("20_000 USD"))
        assert found.next("failed").policy_set == first
        assert found.reloader.health().pinned == first

        save(folder / "desk.yaml", policy("8_000 USD"))
        assert found.next("accepted").policy_set == sha256(folder)
        assert found.reloader.health().pinned == ""


def test_a_source_that_comes_to_hold_the_pinned_set_ends_the_pin(folder: Path, store: Path) -> None:
    with running(DirectorySource(folder), store) as found:
        first = found.next("accepted").policy_set
        save(folder / "desk.yaml", policy("9_000 USD"))
        found.next("accepted")
        found.reloader.rollback(first, **WHO)
        swaps = len(found.guard.used)

        save(folder / "desk.yaml", policy("10_000 USD"))

        assert found.next("current").policy_set == first
        assert found.reloader.health().pinned == ""
        assert len(found.guard.used) == swaps


def test_unpinned_the_source_is_followed_again(folder: Path, store: Path) -> None:
    with running(DirectorySource(folder), store) as found:
        first = found.next("accepted").policy_set
        save(folder / "desk.yaml", policy("9_000 USD"))
        second = found.next("accepted").policy_set
        found.reloader.rollback(first, **WHO)

        assert found.reloader.unpin(by="ben", reason="it was right").policy_set == second
        assert found.guard.policy_set == second
        (body,) = found.audit.of("policy-unpinned")
        assert (body["by"], body["about"]) == ("ben", {"policy_set": first})
        assert found.reloader.unpin(by="ben", reason="again").message == "no set is pinned"


def test_a_change_just_before_the_rollback_is_what_was_there(folder: Path, store: Path) -> None:
    with running(DirectorySource(folder), store) as found:
        first = found.next("accepted").policy_set
        # Not yet noticed, or just about to be: the person who goes back means that, too.
        save(folder / "desk.yaml", policy("9_000 USD"))
        found.reloader.rollback(first, **WHO)

        save(folder / "desk.yaml", policy("9_000 USD"))
        found.next("pinned")
        assert found.guard.policy_set == first


def test_a_rollback_works_while_the_source_is_broken(folder: Path, store: Path) -> None:
    with running(DirectorySource(folder), store) as found:
        first = found.next("accepted").policy_set
        save(folder / "desk.yaml", policy("9_000 USD"))
        found.next("accepted")
        (folder / "loop.yaml").symlink_to("loop.yaml")
        found.next("failed")

        assert found.reloader.rollback(first, **WHO).ok
        (folder / "loop.yaml").unlink()
        found.next("pinned")

        assert found.guard.policy_set == first


@pytest.mark.parametrize("name", ["0123456789abcdef", "x", ""])
def test_a_set_that_the_store_does_not_hold_is_refused(
    name: str, folder: Path, store: Path
) -> None:
    with running(DirectorySource(folder), store) as found:
        first = found.next("accepted").policy_set

        outcome = found.reloader.rollback(name, **WHO)

        assert (outcome.result, outcome.policy_set, outcome.ok) == ("refused", first, False)
        assert found.reloader.health().ok
        assert found.reloader.health().pinned == ""


def test_a_guard_that_refuses_the_earlier_set_is_not_pinned_to_it(
    folder: Path, store: Path
) -> None:
    with running(DirectorySource(folder), store) as found:
        first = found.next("accepted").policy_set
        save(folder / "desk.yaml", policy("9_000 USD"))
        second = found.next("accepted").policy_set
        found.guard.refuses = InputError("another currency")

        assert found.reloader.rollback(first, **WHO).message == "another currency"
        assert found.guard.policy_set == second
        assert Control(store).pin() is None


def test_a_pin_outlives_the_process(folder: Path, store: Path) -> None:
    source = DirectorySource(folder)
    with running(source, store) as found:
        first = found.next("accepted").policy_set
        save(folder / "desk.yaml", policy("9_000 USD"))
        second = found.next("accepted").policy_set
        found.reloader.rollback(first, **WHO)

    assert first_policy_set(source, store=store).sha256 == first
    # Even a guard that was opened with the source's set comes back to the pinned one.
    with running(source, store, guard=Recorder(second)) as found:
        assert found.next().result == "rolled-back"
        assert found.reloader.reload(by="ann", reason="to see").result == "pinned"
        assert found.guard.policy_set == first
    # Also while the source cannot be read.
    (folder / "loop.yaml").symlink_to("loop.yaml")
    with running(source, store, guard=Recorder(second)) as found:
        assert found.next().result == "rolled-back"
        assert found.reloader.reload(by="ann", reason="to see").result == "failed"
    (folder / "loop.yaml").unlink()
    # What the source came to hold meanwhile is newer.
    save(folder / "desk.yaml", policy("8_000 USD"))
    with running(source, store, guard=Recorder(second)) as found:
        assert found.next().result == "accepted"
        assert found.guard.policy_set == sha256(folder)


def test_a_pin_without_a_readable_source_holds_against_what_is_read_first(
    folder: Path, store: Path
) -> None:
    source = DirectorySource(folder)
    with running(source, store) as found:
        first = found.next("accepted").policy_set
        save(folder / "desk.yaml", policy("9_000 USD"))
        found.next("accepted")
    (folder / "loop.yaml").symlink_to("loop.yaml")
    with running(source, store) as found:
        found.next("failed")
        assert found.reloader.rollback(first, **WHO).ok
        (folder / "loop.yaml").unlink()

        assert found.next("pinned").policy_set == first


def test_a_pinned_set_that_is_damaged_is_a_failure(folder: Path, store: Path) -> None:
    with running(DirectorySource(folder), store) as found:
        first = found.next("accepted").policy_set
        found.reloader.rollback(first, **WHO)
        whole = (store / f"{first}.policies").read_bytes()
        (store / f"{first}.policies").write_bytes(b"damaged")
        found.guard.policy_set = "something else"

        for _ in range(2):
            failed = found.reloader.reload(by="ann", reason="to see")
            assert (failed.result, "is not what was stored" in failed.message) == ("failed", True)
        assert not found.reloader.health().ok
        (store / f"{first}.policies").write_bytes(whole)
        # Tried again by itself.
        found.until(lambda each: (each.result, each.before) == ("rolled-back", "something else"))
        assert found.guard.policy_set == first


def test_what_another_hand_put_in_force_does_not_stay(folder: Path, store: Path) -> None:
    with running(DirectorySource(folder), store) as found:
        first = found.next("accepted").policy_set
        save(folder / "desk.yaml", policy("9_000 USD"))
        second = found.next("accepted").policy_set

        found.guard.policy_set = "something else"
        assert found.reloader.reload(by="ann", reason="to see").policy_set == second
        found.reloader.rollback(first, **WHO)
        found.guard.policy_set = "something else"
        assert found.reloader.reload(by="ann", reason="to see").result == "rolled-back"

        assert found.guard.policy_set == first


# By requests, and the command that makes them


def asked(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(["reload", *words])
    shown = capsys.readouterr()
    return code, shown.out, shown.err


def test_the_command_goes_back_and_follows_again(
    folder: Path, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    who = ("--store", str(store), "--by", "ann", "--reason", "why\x1b[2J")
    with running(DirectorySource(folder), store) as found:
        first = found.next("accepted").policy_set
        save(folder / "desk.yaml", policy("9_000 USD"))
        second = found.next("accepted").policy_set

        code, out, _ = asked(capsys, "--rollback", first[:8], *who)
        assert (code, out) == (
            0,
            f"policy set {first[:12]} is in force again, and stays until the source changes\n",
        )
        code, out, _ = asked(capsys, *who)
        assert (code, "it is pinned" in out) == (0, True)
        code, out, _ = asked(capsys, "status", "--store", str(store))
        assert (code, f"policy set  {first}" in out, "\x1b" in out) == (0, True, False)
        assert "by ann: why" in out
        code, out, _ = asked(capsys, "--unpin", *who, "--json")
        assert (code, json.loads(out)["policy_set"]) == (0, second)

        save(folder / "desk.yaml", policy("20_000 USD"))
        found.next("failed")
        code, out, _ = asked(capsys, *who)
        assert (code, out.startswith("failed: "), "\n  fix: " in out) == (1, True, True)
        code, out, _ = asked(capsys, "status", "--store", str(store))
        assert (code, "failing " in out) == (1, True)
        code, out, _ = asked(capsys, "--unpin", *who)
        assert (code, "no set is pinned" in out) == (1, True)

        code, out, _ = asked(capsys, "history", "--store", str(store))
        results = [line.split()[1] for line in out.splitlines()]
        assert (code, results[:4]) == (0, ["accepted", "accepted", "rolled-back", "unpinned"])
        code, out, _ = asked(capsys, "--store", str(store), "history", "--json")
        assert [each["by"] for each in json.loads(out)][:3] == ["files", "files", "ann"]
        code, out, _ = asked(capsys, "status", "--store", str(store), "--json")
        status = json.loads(out)
        assert (code, status["running"], status["pin"]) == (1, True, None)

    code, out, _ = asked(capsys, "status", "--store", str(store))
    assert (code, "not running" in out) == (1, True)


def test_the_command_runs_a_set_in_the_shadow(
    folder: Path, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = desk(tmp_path / "other", position="9_000 USD")
    who = ("--store", str(store), "--by", "ann", "--reason", "to see")
    with running(DirectorySource(folder), store) as found:
        first = found.next("accepted").policy_set

        code, out, _ = asked(capsys, "shadow", str(other), *who)
        assert (code, out) == (0, f"policy set {sha256(other)[:12]} runs in the shadow\n")
        (shadow,) = found.guard.shadows
        assert shadow is not None
        assert (shadow.sha256, found.guard.policy_set) == (sha256(other), first)
        # It was never in force: there is no going back to it.
        code, _, err = asked(capsys, "--rollback", sha256(other), *who)
        assert (code, "holds no policy set" in err) == (2, True)

        assert asked(capsys, "shadow", "off", *who)[:2] == (0, "no set runs in the shadow\n")
        assert found.guard.shadows[-1] is None
        save(other / "desk.yaml", "broken")
        assert asked(capsys, "shadow", str(other), *who)[0] == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--store", "S"], "who asks"),
        (["--store", "S", "--by", "ann", "--reason", "why"], "no reloader runs"),
        (["shadow", "off", "--store", "S", "--by", "ann", "--reason", "why"], "no reloader runs"),
        (
            ["--store", "S", "--rollback", "abcd", "--by", "a", "--reason", "b"],
            "holds no policy set",
        ),
        (["status", "--store", "S"], "no reloader ever ran"),
        (["--store", "S", "--unpin", "--rollback", "abcd"], "not allowed with"),
    ],
)
def test_what_cannot_be_asked_is_bad_usage(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = asked(capsys, *(str(tmp_path / "s") if each == "S" else each for each in words))

    assert (code, said in err) == (2, True)


def test_a_history_that_never_was_is_no_empty_one(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = asked(capsys, "history", "--store", str(store))

    assert (code, out) == (2, "")
    assert str(store) in err


@pytest.mark.parametrize("seconds", ["nan", "inf", "-1", "0", "1e300"])
def test_a_timeout_that_is_none_is_refused(
    seconds: str, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with_lock = Control(store).hold()
    try:
        code, _, err = asked(
            capsys, "--store", str(store), "--by", "a", "--reason", "b", "--timeout", seconds
        )
    finally:
        with_lock.close()

    assert (code, "is no number of seconds\n  fix: " in err) == (2, True)


def test_no_answer_in_time_withdraws_the_request(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    control = Control(store)
    with_lock = control.hold()
    try:
        code, _, err = asked(
            capsys, "--store", str(store), "--by", "a", "--reason", "b", "--timeout", "0.1"
        )
    finally:
        with_lock.close()

    assert (code, "no answer within 0.1 s" in err) == (2, True)
    assert SYSTEM_FILES.list(control.requests) == ()


def request(**fields: object) -> Request:
    whole = Request("r1", "unpin", "", "ann", "why", FOREVER)
    return replace(whole, **fields)


def test_requests_that_are_none_are_dropped(store: Path) -> None:
    control = Control(store)
    control.hold().close()
    for name, text in (
        ("a.json", "{"),
        ("b.json", "[]"),
        ("c.json", '{"id": "c"}'),
        ("d.json", json.dumps({**asdict(request()), "id": 5})),
        (".hidden.json", "{}"),
        ("e.txt", "{}"),
    ):
        (control.requests / name).write_text(text)
    control.ask(request(id="f", action="rm"))
    control.ask(request())
    (control.requests / "r1.json").rename(control.requests / "another.json")
    control.ask(request(id="g"))

    assert [each.id for each in control.take()] == ["g"]
    assert [each.name for each in SYSTEM_FILES.list(control.requests)] == [".hidden.json", "e.txt"]


@pytest.mark.security
def test_a_request_that_others_could_have_written_is_dropped(store: Path) -> None:
    control = Control(store)
    control.hold().close()
    control.ask(request())
    (control.requests / "r2.json").symlink_to("r1.json")
    control.requests.chmod(0o777)
    with pytest.raises(InputError, match="may be written by others"):
        control.take()
    control.requests.chmod(0o700)
    assert [each.id for each in control.take()] == ["r1"]
    if os.geteuid() == 0:
        control.ask(request())
        os.chown(control.requests / "r1.json", 65534, 65534)
        assert control.take() == []


def test_a_request_that_nobody_waits_for_any_more_is_not_done(folder: Path, store: Path) -> None:
    Control(store).hold().close()
    Control(store).ask(request(id="old", action="reload", expires_ns=1))
    with running(DirectorySource(folder), store) as found:
        found.next("accepted")
        Control(store).ask(request(id="new", action="reload"))

        assert found.next().by == "ann"
        assert [each.result for each in found.outcomes] == ["accepted", "current"]


def test_a_pin_that_cannot_be_read_stops_the_start(folder: Path, store: Path) -> None:
    control = Control(store)
    control.hold().close()
    control.set_pin(Pin("a", "b", "c", 1, ""))
    assert control.pin() == Pin("a", "b", "c", 1, "")
    (control.directory / "pin.json").write_text('{"by": 1}')

    with pytest.raises(InputError, match="is not what was written there"):
        first_policy_set(DirectorySource(folder), store=store)


COMMAND = "import sys; from ringfence.cli.main import main; sys.exit(main(sys.argv[1:]))"


def test_another_process_asks(folder: Path, store: Path) -> None:
    with running(DirectorySource(folder), store) as found:
        first = found.next("accepted").policy_set
        save(folder / "desk.yaml", policy("9_000 USD"))
        found.next("accepted")
        words = ["reload", "--store", str(store), "--rollback", first, "--by", "a", "--reason", "b"]

        done = subprocess.run(
            [sys.executable, "-c", COMMAND, *words], capture_output=True, text=True, check=False
        )

        assert (done.returncode, done.stderr) == (0, "")
        assert found.guard.policy_set == first
