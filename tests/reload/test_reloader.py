"""The reloader: a set is proven before it decides, and whatever fails keeps the last good one."""

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from reload.places import (
    MILLISECOND,
    PATIENCE_SECONDS,
    QUICK,
    TEST,
    NoChild,
    Recorder,
    Running,
    desk,
    policy,
    rule,
    running,
    save,
)
from ringfence.backends.numba_kernel.kernel import kernel_of
from ringfence.backends.numba_kernel.slots import slots_of
from ringfence.cli.main import main
from ringfence.errors import AuditError, InputError, StateError
from ringfence.reload import Reloader, candidate, warm
from ringfence.reload.candidate import CandidateError
from ringfence.reload.child import Child
from ringfence.reload.directory_source import DirectorySource
from ringfence.reload.pace import Debounce, Pace
from ringfence.reload.settings import ReloadSettings
from ringfence.reload.start import first_policy_set
from ringfence.reload.yielding import yielding
from ringfence.runtime.guard_settings import GuardSettings
from ringfence.runtime.policy_set import PolicySet
from ringfence.runtime.ports import FixedClock
from runtime.desk import NOON, Records, opened, order

pytestmark = pytest.mark.integration

OWN = "    - {rule: own-size@1, limits: {max_size: 1000}}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return desk(tmp_path / "policies", test=TEST)


@pytest.fixture(autouse=True, scope="module")
def _library_is_loaded() -> None:
    """As in a process that trades: what every set of the library's rules shares is compiled."""
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as place:
        kernel_of(slots_of(PolicySet.load(desk(Path(place))).linked))


def own_rule(folder: Path, measure: str = "order.size * 1") -> None:
    """Give the desk a rule of its own: another structure, which has to be compiled."""
    save(folder / "own.yaml", rule("own-size", measure))
    save(folder / "desk.yaml", policy(more=OWN))


def followed(folder: Path, tmp_path: Path, **parts: Any) -> Any:
    return running(DirectorySource(folder), tmp_path / "store", **parts)


# Proving


def test_a_change_of_limits_compiles_nothing(folder: Path, tmp_path: Path) -> None:
    with followed(folder, tmp_path, child=NoChild()) as found:
        for position in ("9_000 USD", "8_000 USD"):
            found.next("accepted")
            save(folder / "desk.yaml", policy(position))
        outcome = found.next("accepted")

        assert (outcome.compiled, outcome.tests) == (False, 1)
        assert counted(found)["ringfence_policy_compiles"] == {(): 0}
        assert len(found.guard.used) == 3


def test_another_structure_is_compiled_by_a_child_and_then_loaded(
    folder: Path, tmp_path: Path
) -> None:
    with followed(folder, tmp_path) as found:
        found.next("accepted")

        own_rule(folder)
        outcome = found.next("accepted")

        assert (outcome.compiled, outcome.tests) == (True, 1)
        policy_set = found.guard.used[-1][0]
        assert policy_set.sha256 == PolicySet.load(folder).sha256
        # A limit of it changed: what is loaded serves again.
        save(folder / "desk.yaml", policy("9_000 USD", more=OWN))
        assert found.next("accepted").compiled is False


def test_a_set_that_fails_its_own_tests_is_not_used(folder: Path, tmp_path: Path) -> None:
    with followed(folder, tmp_path) as found:
        first = found.next("accepted").policy_set

        save(folder / "desk.yaml", policy("20_000 USD"))
        failed = found.next("failed")

        assert failed.policy_set == found.guard.policy_set == first
        assert "the test `an order beyond the limit" in failed.message
        (finding,) = failed.findings
        assert finding["code"] == "TEST_FAILED"
        assert finding["place"].endswith("tests/desk.yaml:6:5")
        assert finding["problems"] == [
            "expected REDUCE_SIZE, got APPROVE",
            "expected code POSITION_SIZE, got none",
        ]


def test_a_set_that_fails_a_golden_case_is_not_used(tmp_path: Path) -> None:
    folder, golden = desk(tmp_path / "policies"), tmp_path / "golden"
    golden.mkdir()
    save(golden / "desk.yaml", TEST)
    settings = ReloadSettings(golden=golden, debounce_ns=QUICK.debounce_ns, poll_ns=QUICK.poll_ns)
    with followed(folder, tmp_path, settings=settings) as found:
        first = found.next("accepted").policy_set

        save(folder / "desk.yaml", policy("20_000 USD"))
        assert found.next("failed").policy_set == first
        # The case is what was wrong: the same files are asked again.
        save(golden / "desk.yaml", TEST.replace("size: 11", "size: 21"))
        found.reloader.reload(by="ann", reason="the case is mended")

        assert found.next("accepted").policy_set != first


@pytest.mark.parametrize(
    ("text", "said"), [("a: [", "E10"), ("kind: PolicyTest\n", "E15"), (None, "does not exist")]
)
def test_golden_cases_that_cannot_be_read_stop_a_reload(
    text: str | None, said: str, folder: Path, tmp_path: Path
) -> None:
    golden = tmp_path / "golden"
    if text is not None:
        golden.mkdir()
        save(golden / "desk.yaml", text)
    with followed(folder, tmp_path, settings=ReloadSettings(golden=golden)) as found:
        assert said in found.next("failed").message


def test_tests_with_a_policy_of_their_own_and_cases_of_rules_run(tmp_path: Path) -> None:
    folder = desk(tmp_path / "policies")
    text = (Path(__file__).parents[2] / "rules" / "order-size.yaml").read_text("utf-8")
    save(folder / "own.yaml", text.replace("name: order-size", "name: own-size"))
    own = "policy: {currency: USD, gates: [{rule: position-size@1, limits: {max: 1 USD}}]}\n"
    save(folder / "test.yaml", TEST.replace("cases:", f"{own}cases:"))
    linked = candidate.linked_of(DirectorySource(folder).read().files)

    with pytest.raises(CandidateError) as failed:
        candidate.prove(linked, {})

    # The rule's cases bind `order-size`, which this one is no more.
    assert {
        each["place"].rpartition("/")[2].partition(":")[0] for each in failed.value.findings
    } == {
        "own.yaml",
        "test.yaml",
    }


def test_the_failure_is_counted_recorded_and_shown(folder: Path, tmp_path: Path) -> None:
    with followed(folder, tmp_path) as found:
        first = found.next("accepted").policy_set
        save(folder / "desk.yaml", policy("8_0").replace("drawdown@1", "drawdwn@1"))
        failed = found.next("failed")

        ((kind, body),) = found.audit.bodies
        assert kind == "reload-failed"
        assert found.audit.waited == 1
        assert {each["code"] for each in body["findings"]} == {"E211", "E214"}
        assert {each["path"] for each in body["findings"]} == {str(folder / "desk.yaml")}
        assert (body["policy_set"], body["message"]) == (first, failed.message)
        assert counted(found)["ringfence_policy_reloads"]["failed",] == 1
        assert counted(found)["ringfence_policy_source_ok"] == {(): 0.0}
        health = found.reloader.health()
        assert (health.ok, health.message) == (False, failed.message)
        assert health.failing_since_ns == failed.at_ns

        save(folder / "desk.yaml", policy("9_000 USD"))
        found.next("accepted")
        assert found.reloader.health().ok
        assert counted(found)["ringfence_policy_source_ok"] == {(): 1.0}
        results = [each["result"] for each in found.reloader.history]
        assert results == ["accepted", "failed", "accepted"]


def counted(found: Running) -> dict[str, dict[tuple[str, ...], Any]]:
    return {
        metric.name: {tuple(each.labels.values()): each.value for each in metric.samples}
        for metric in found.reloader.metrics()
    }


def test_what_failed_is_not_tried_again_until_it_changes_or_somebody_asks(
    folder: Path, tmp_path: Path
) -> None:
    settings = ReloadSettings(debounce_ns=QUICK.debounce_ns, poll_ns=10 * MILLISECOND)
    with followed(folder, tmp_path, settings=settings) as found:
        found.next("accepted")
        save(folder / "desk.yaml", policy("20_000 USD"))
        found.next("failed")

        # As a look that was due, many of which come meanwhile.
        assert found.reloader.reload(by="ann", reason="once more").result == "failed"
        results = [each.result for each in found.outcomes]
        assert results.count("failed") == 2


@pytest.mark.parametrize(
    "error", [StateError("another currency"), AuditError("full"), KeyError("?")]
)
def test_a_guard_that_refuses_keeps_its_set_and_is_asked_again(
    error: Exception, folder: Path, tmp_path: Path
) -> None:
    with followed(folder, tmp_path) as found:
        first = found.next("accepted").policy_set
        found.guard.refuses = error
        save(folder / "desk.yaml", policy("9_000 USD"))

        assert found.next("failed").policy_set == first
        assert found.next("failed").policy_set == first
        found.guard.refuses = None

        assert found.next("accepted").policy_set == PolicySet.load(folder).sha256


def test_a_log_that_takes_no_records_is_trouble_and_no_end(folder: Path, tmp_path: Path) -> None:
    with followed(folder, tmp_path) as found:
        found.next("accepted")
        found.audit.fail_append = True
        save(folder / "desk.yaml", "broken")
        found.next("failed")
        save(folder / "desk.yaml", policy("9_000 USD"))

        assert found.next("accepted").ok


# The child


class Hanging(Child):
    """A child that says when it runs, and never ends by itself."""

    def __init__(self, told: Path, seconds: float = 3600.0) -> None:
        text = (
            f"import os, time; open({str(told)!r}, 'w').write(str(os.getpid())); time.sleep(3600)"
        )
        os.mkfifo(told)
        super().__init__(seconds, (sys.executable, "-c", text))
        self.told = told

    def pid(self) -> int:
        """Its process, once it runs."""
        return int(self.told.read_text())


def test_a_child_that_is_killed_keeps_the_last_good_set(folder: Path, tmp_path: Path) -> None:
    child = Hanging(tmp_path / "pid")
    with followed(folder, tmp_path, child=child) as found:
        first = found.next("accepted").policy_set
        own_rule(folder, "order.size * 3")

        os.kill(child.pid(), signal.SIGKILL)

        failed = found.next("failed")
        assert failed.policy_set == found.guard.policy_set == first
        assert "died: signal 9" in failed.message
        # It is tried again by itself.
        os.kill(child.pid(), signal.SIGKILL)
        assert "died: signal 9" in found.next("failed").message


def test_a_child_that_hangs_is_killed(folder: Path, tmp_path: Path) -> None:
    child = Hanging(tmp_path / "pid", seconds=0.2)
    with followed(folder, tmp_path, child=child) as found:
        found.next("accepted")
        own_rule(folder, "order.size * 3")
        threading.Thread(target=child.pid, daemon=True).start()

        assert "took longer than 0.2 s" in found.next("failed").message


def test_closing_ends_a_child_at_once_and_records_nothing(folder: Path, tmp_path: Path) -> None:
    child = Hanging(tmp_path / "pid")
    with followed(folder, tmp_path, child=child) as found:
        found.next("accepted")
        own_rule(folder, "order.size * 3")
        pid = child.pid()

    assert "failed" not in [each.result for each in found.outcomes]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ((sys.executable, "-c", "print('no JSON')"), "gave no answer"),
        ((sys.executable, "-c", "import sys; sys.exit('no memory')"), "exit code 1: no memory"),
        (("/nowhere/python",), "could not be started: no such file"),
    ],
)
def test_a_child_that_does_not_answer_proves_nothing(command: tuple[str, ...], said: str) -> None:
    with pytest.raises(CandidateError, match=said) as failed:
        Child(PATIENCE_SECONDS, command).prove({}, {})

    assert not failed.value.lasting


def test_a_child_finds_what_is_wrong_with_a_set() -> None:
    files = {"desk.yaml": b"kind: Policy"}

    with pytest.raises(CandidateError) as failed:
        Child(PATIENCE_SECONDS).prove(files, {})

    assert failed.value.lasting
    assert {each["code"] for each in failed.value.findings} == {"E152"}


def fill(file: Path) -> None:
    """Write until the disk is full."""
    with file.open("wb", 0) as filler, suppress(OSError):
        while True:
            filler.write(bytes(4096))


@pytest.mark.needs("mount", "mount")
def test_a_full_disk_keeps_the_last_good_set(folder: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k,mode=0700", "tmpfs", str(disk)]
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        # Only a real one can be full, and to mount it takes root.
        pytest.skip("no file system can be mounted here")
    try:
        with running(DirectorySource(folder), disk / "store") as found:
            first = found.next("accepted").policy_set
            fill(disk / "filler")
            save(folder / "desk.yaml", policy("9_000 USD"))

            failed = found.next("failed")
            assert "no space left" in failed.message
            assert failed.policy_set == found.guard.policy_set == first
            # Nor can it be written down; it is recorded, counted and told all the same.
            found.next("failed")
            assert "the status: " in found.reloader.health().trouble
            assert found.audit.of("reload-failed")

            (disk / "filler").unlink()
            assert found.next("accepted").policy_set == PolicySet.load(folder).sha256
            # What is asked next comes after all of that was written down.
            found.reloader.reload(by="ann", reason="why")
            assert found.reloader.health().trouble == ""
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_compiled_code_that_cannot_be_kept_is_not_loaded(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with followed(folder, tmp_path) as found:
        first = found.next("accepted").policy_set
        # A directory that others may write to is not used: code from it could be anybody's.
        open_to_all = tmp_path / "cache"
        open_to_all.mkdir()
        open_to_all.chmod(0o777)
        monkeypatch.setenv("RINGFENCE_CACHE_PATH", str(open_to_all))
        own_rule(folder, "order.size * 4")

        failed = found.next("failed")

        assert "cannot be kept" in failed.message
        assert failed.policy_set == found.guard.policy_set == first


# With a real guard


def test_a_guard_takes_a_set_over_while_it_decides(tmp_path: Path) -> None:
    folder = desk(tmp_path / "policies")
    log = Records()
    settings = GuardSettings(in_memory=True, policy_lease_ns=60_000_000_000)
    with opened(PolicySet.load(folder), settings=settings, audit=log) as guard:
        before = guard.policy_set
        with followed(folder, tmp_path, guard=guard, audit=log) as found:
            found.next("current")
            kept = guard.evaluate_order(order("10"))
            assert (kept.decision.value, kept.policy_set) == ("APPROVE", before)

            save(folder / "desk.yaml", policy("11_000 USD"))
            after = found.next("accepted").policy_set

            reduced = guard.evaluate_order(order("5"))
            assert (reduced.decision.value, str(reduced.size)) == ("REDUCE_SIZE", "1.0")
            assert reduced.policy_set == after
            assert kept.id in {each.order_id for each in guard.book("account/main").open_orders}
            (swap,) = log.of("policy-swap")
            assert (swap["before"], swap["after"], swap["by"]) == (before, after, "files")
            assert swap["source"]["place"] == str(folder)
            assert guard.policy_lease_ns == 60_000_000_000

            restored = found.reloader.rollback(before, by="ann", reason="too loose")
            assert (restored.result, guard.policy_set) == ("rolled-back", before)
            assert log.of("policy-swap")[-1]["by"] == "ann"


def test_no_decision_sees_half_a_set(tmp_path: Path) -> None:
    folder = desk(tmp_path / "policies")
    sizes, wrong, over = {PolicySet.load(folder).sha256: "10.0"}, [], threading.Event()

    def decide(guard: Any) -> None:
        while not over.is_set():
            answer = guard.evaluate_order(order("20"))
            if str(answer.size) != sizes[answer.policy_set]:
                wrong.append(answer)
            guard.on_cancel(answer.id)

    with opened(PolicySet.load(folder)) as guard:
        thread = threading.Thread(target=decide, args=(guard,))
        thread.start()
        try:
            with followed(folder, tmp_path, guard=guard) as found:
                found.next("current")
                for number in range(1, 9):
                    text = policy(f"{number}_000 USD")
                    (tmp_path / "next.yaml").write_text(text)
                    sets = {
                        "desk.yaml": text.encode(),
                        "i.yaml": (folder / "instruments.yaml").read_bytes(),
                    }
                    sizes[candidate.linked_of(sets).sha256] = f"{number}.0"
                    (tmp_path / "next.yaml").rename(folder / "desk.yaml")
                    assert found.next("accepted").policy_set == guard.policy_set
        finally:
            over.set()
            thread.join()

    assert wrong == []


def test_rules_may_lie_in_a_directory_of_their_own(tmp_path: Path) -> None:
    folder, rules = desk(tmp_path / "policies", more=OWN), tmp_path / "rules"
    rules.mkdir()
    save(rules / "own.yaml", rule("own-size"))
    with running(DirectorySource(folder, rules), tmp_path / "store") as found:
        first = found.next("accepted").policy_set

        text = rule("own-size").replace("version: 1.0.0", "version: 1.0.1")
        save(rules / "own.yaml", text)

        assert found.next("accepted", "failed").policy_set != first


def test_python_gives_way_only_while_a_set_is_prepared() -> None:
    before = sys.getswitchinterval()
    with yielding(1e-5):
        with yielding(1e-4):
            assert sys.getswitchinterval() == pytest.approx(1e-5)
        assert sys.getswitchinterval() == pytest.approx(1e-5)
    assert sys.getswitchinterval() == before


# Its life


def test_one_store_has_one_reloader(folder: Path, tmp_path: Path) -> None:
    with followed(folder, tmp_path) as found:
        found.next("accepted")
        with pytest.raises(InputError, match="another reloader"):
            Reloader(Recorder(), DirectorySource(folder), store=tmp_path / "store")

    Reloader(Recorder(), DirectorySource(folder), store=tmp_path / "store").close()


def test_a_store_that_others_may_write_to_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "store" / "reload").mkdir(parents=True)
    (tmp_path / "store" / "reload").chmod(0o777)

    with pytest.raises(InputError, match="may be written by others"):
        Reloader(Recorder(), DirectorySource(folder), store=tmp_path / "store")


def test_a_store_that_cannot_be_made_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "store").write_text("")

    with pytest.raises(InputError, match="cannot be used: not a directory"):
        Reloader(Recorder(), DirectorySource(folder), store=tmp_path / "store")


def test_nothing_can_be_asked_of_a_reloader_that_does_not_run(folder: Path, tmp_path: Path) -> None:
    reloader = Reloader(Recorder(), DirectorySource(folder), store=tmp_path / "store")
    with pytest.raises(InputError, match="not running"):
        reloader.reload(by="ann", reason="why")
    with reloader:
        with pytest.raises(InputError, match="who asks"):
            reloader.reload(by=" ", reason="why")
        assert reloader.health().running
    reloader.close()

    with pytest.raises(InputError, match="not running"):
        reloader.unpin(by="ann", reason="why")
    assert not reloader.health().ok


def test_the_history_outlives_the_process_however_that_ends(folder: Path, tmp_path: Path) -> None:
    for expected in (["accepted"], ["accepted", "accepted"]):
        with followed(folder, tmp_path) as found:
            found.next("accepted")
        assert [each["result"] for each in found.reloader.history] == expected

    history = tmp_path / "store" / "reload" / "history.jsonl"
    # As the end of a process that was writing leaves it.
    history.write_bytes(history.read_bytes()[:-10])
    with followed(folder, tmp_path) as found:
        found.next("accepted")
    assert [each["result"] for each in found.reloader.history] == ["accepted", "accepted"]

    history.unlink()
    history.mkdir()
    with followed(folder, tmp_path) as found:
        found.next("accepted")
        assert "the history: " in found.reloader.health().trouble
    assert len(found.reloader.history) == 1


def test_a_process_starts_with_the_sources_set(folder: Path, tmp_path: Path) -> None:
    found = first_policy_set(DirectorySource(folder), store=tmp_path / "store", child=NoChild())

    assert found.sha256 == PolicySet.load(folder).sha256


def test_a_process_starts_with_the_last_good_set_while_the_source_is_broken(
    folder: Path, tmp_path: Path
) -> None:
    with followed(folder, tmp_path) as found:
        last = found.next("accepted").policy_set
    save(folder / "desk.yaml", "broken")

    assert first_policy_set(DirectorySource(folder), store=tmp_path / "store").sha256 == last


def test_a_process_does_not_start_without_any_good_set(folder: Path, tmp_path: Path) -> None:
    save(folder / "desk.yaml", "broken")

    with pytest.raises(CandidateError, match=r"desk\.yaml"):
        first_policy_set(DirectorySource(folder), store=tmp_path / "store")


# When


def test_a_burst_is_over_once_it_is_quiet_and_not_later_than_a_bound() -> None:
    debounce = Debounce(quiet_ns=10, most_ns=35)
    assert debounce.due_ns is None

    for now in (100, 105, 110):
        debounce.note(now)
    assert debounce.due_ns == 120
    for now in (119, 128, 134):
        debounce.note(now)
    assert debounce.due_ns == 135

    debounce.clear()
    assert debounce.due_ns is None


def test_what_may_pass_later_is_tried_ever_more_rarely() -> None:
    pace = Pace(ReloadSettings(poll_ns=1_000, retry_ns=10, retry_most_ns=30))
    pace.looked(0, told=True)
    now, waits = 0, []
    for _ in range(4):
        pace.ended(now, may_pass_later=True)
        waits.append(pace.next_ns - now)
        now = pace.next_ns
        assert pace.take(now - 1) is None
        assert pace.take(now) == "retry"
    assert waits == [10, 20, 30, 30]

    pace.ended(now, may_pass_later=False)
    assert pace.next_ns == 1_000
    assert pace.take(1_000) == "poll"
    pace.ended(now, may_pass_later=True)
    assert pace.next_ns == now + 10


def test_where_nothing_tells_of_changes_the_source_is_looked_at_more_often() -> None:
    pace = Pace(ReloadSettings(poll_ns=60_000_000_000))
    pace.looked(5, told=False)

    assert pace.next_ns == 1_000_000_005


@pytest.mark.parametrize(
    "given", [{"poll_ns": 0}, {"child_ns": -1}, {"debounce_ns": 2, "debounce_most_ns": 1}]
)
def test_settings_that_make_no_sense_are_refused(given: dict[str, int]) -> None:
    with pytest.raises(InputError):
        ReloadSettings(**given)


def test_records_have_the_time_of_the_clock_that_was_given(folder: Path, tmp_path: Path) -> None:
    with followed(folder, tmp_path, clock=FixedClock(NOON)) as found:
        assert found.next("accepted").at_ns == NOON
        assert found.reloader.health().checked_ns == NOON


def test_a_rollback_does_not_wait_for_a_set_that_is_being_compiled(
    folder: Path, tmp_path: Path
) -> None:
    child = Hanging(tmp_path / "pid")
    with followed(folder, tmp_path, child=child) as found:
        first = found.next("accepted").policy_set
        save(folder / "desk.yaml", policy("9_000 USD"))
        found.next("accepted")
        for ask in (
            lambda: found.reloader.rollback(first, by="ann", reason="now"),
            lambda: main(
                [
                    "reload",
                    "--store",
                    str(tmp_path / "store"),
                    "--rollback",
                    first,
                    "--by",
                    "b",
                    "--reason",
                    "c",
                ]
            ),
        ):
            own_rule(folder, f"order.size * {len(found.outcomes)}")
            child.pid()

            ask()

            assert "given up for a rollback" in found.next("failed").message
            assert found.next("rolled-back").policy_set == found.guard.policy_set == first


def test_a_listener_that_fails_is_trouble_and_no_end(folder: Path, tmp_path: Path) -> None:
    heard = threading.Semaphore(0)

    def fail(_: object) -> None:
        heard.release()
        raise ValueError("mine")

    reloader = Reloader(
        Recorder(), DirectorySource(folder), store=tmp_path / "store", settings=QUICK, listener=fail
    )
    with reloader:
        assert heard.acquire(timeout=PATIENCE_SECONDS)
        assert reloader.reload(by="ann", reason="why").ok
        assert "the listener: ValueError: mine" in reloader.health().trouble


def test_a_source_that_breaks_in_an_unknown_way_ends_nothing(folder: Path, tmp_path: Path) -> None:
    class Broken(DirectorySource):
        broken = False

        def targets(self) -> Any:
            if self.broken:
                raise RuntimeError("targets")
            return super().targets()

        def read(self, known: str = "") -> Any:
            if self.broken:
                raise RuntimeError("read")
            return super().read(known)

    source = Broken(folder)
    with running(source, tmp_path / "store") as found:
        first = found.next("accepted").policy_set
        source.broken = True
        with pytest.raises(RuntimeError, match="targets"):
            found.reloader.reload(by="ann", reason="why")
        source.targets = lambda: ()  # type: ignore[method-assign]
        failed = found.reloader.reload(by="ann", reason="why")
        assert (failed.message, failed.policy_set) == ("RuntimeError: read", first)
        source.broken = False

        assert found.reloader.reload(by="ann", reason="why").result == "current"


def test_what_the_child_answers(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = dict(DirectorySource(folder).read().files)

    assert warm._answer(files, {}, new=True) == {
        "policy_set": PolicySet.load(folder).sha256,
        "tests": 1,
    }
    stored = PolicySet.load(folder).files
    assert warm._answer(stored, {}, new=False)["tests"] == 0
    assert "E15" in warm._answer({"a": b"kind: Policy"}, {}, new=True)["message"]
    monkeypatch.setenv("RINGFENCE_CACHE_PATH", str(tmp_path / "file"))
    (tmp_path / "file").touch()
    assert warm._answer(files, {}, new=True)["passing"]
