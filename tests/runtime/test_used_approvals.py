"""Each approval is used once: across threads, processes, restarts and damage."""

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from ringfence.errors import InputError
from ringfence.runtime.ports import FixedClock
from ringfence.runtime.used_approvals import FileUsedApprovals, MemoryUsedApprovals

pytestmark = pytest.mark.security


@pytest.fixture(params=["memory", "file"])
def register(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    clock = FixedClock(100)
    if request.param == "memory":
        yield MemoryUsedApprovals(clock), clock
        return
    made = FileUsedApprovals(tmp_path / "used", clock=clock)
    yield made, clock
    made.close()


def test_a_claim_is_granted_once(register: Any) -> None:
    used, _ = register

    assert [used.claim("a", 200), used.claim("a", 200), used.claim("b", 200)] == [True, False, True]
    assert used.claim("a", 999) is False


def test_what_expired_is_forgotten_and_never_granted_again(register: Any) -> None:
    used, clock = register
    used.claim("a", 200)
    used.claim("b", 300)
    clock.advance(100)

    assert used.claim("a", 200) is False
    assert used.claim("late", 200) is False
    assert len(used) == 1
    # The clock is set back: what was forgotten does not come to life.
    clock.moment_ns = 0
    assert used.claim("a", 200) is False
    assert used.claim("c", 300) is True


def test_of_many_threads_one_is_granted(register: Any) -> None:
    used, _ = register
    granted: list[str] = []
    start = threading.Barrier(8)

    def work() -> None:
        start.wait()
        granted.extend(name for name in ("a", "b", "c") if used.claim(name, 200))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(granted) == ["a", "b", "c"]


def test_a_restart_forgets_nothing(tmp_path: Path) -> None:
    first = FileUsedApprovals(tmp_path / "used", clock=FixedClock(100))
    assert first.claim("ä \ud800\n:", 200)
    first.close()

    with pytest.raises(OSError, match="closed"):
        first.claim("b", 200)
    assert (
        FileUsedApprovals(tmp_path / "used", clock=FixedClock(100)).claim("ä \ud800\n:", 200)
        is False
    )


CLAIMER = """
import sys
from pathlib import Path
from ringfence.runtime.ports import FixedClock
from ringfence.runtime.used_approvals import FileUsedApprovals
used = FileUsedApprovals(Path(sys.argv[1]), clock=FixedClock(100), compact_after=20)
print("ready", flush=True)
sys.stdin.readline()
print(*(n for n in range(200) if used.claim(str(n), 200 if n % 3 else 101 + n)))
"""


@pytest.mark.integration
def test_of_several_processes_one_is_granted_each(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CLAIMER, str(tmp_path / "used")]
    running = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    # They claim side by side: none starts before all are ready.
    assert [process.stdout.readline() for process in running if process.stdout] == ["ready\n"] * 3
    for process in running:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    granted = [int(n) for process in running for n in process.communicate()[0].split()]

    assert [process.returncode for process in running] == [0, 0, 0]
    assert sorted(granted) == list(range(200))


ENDLESS = """
import itertools, sys
from pathlib import Path
from ringfence.runtime.ports import FixedClock
from ringfence.runtime.used_approvals import FileUsedApprovals
used = FileUsedApprovals(Path(sys.argv[1]), clock=FixedClock(100), compact_after=50)
for n in itertools.count(int(sys.argv[2])):
    # Most expire at once, so that the file is compacted again and again.
    if used.claim(str(n), 200 if n % 5 == 0 else 101):
        print(n, flush=True)
"""


@pytest.mark.integration
def test_a_forked_child_is_granted_nothing_by_its_parents_register(tmp_path: Path) -> None:
    # Parent and child would hold one lock, and each write where the other does.
    used = FileUsedApprovals(tmp_path / "used", clock=FixedClock(100))
    child = os.fork()
    if child == 0:
        code = 1
        try:
            used.claim("a", 200)
        except OSError as error:
            code = 7 if "forked" in str(error) else 8
        finally:
            os._exit(code)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert used.claim("a", 200) is True
    used.close()


def test_a_claim_that_was_granted_survives_a_kill(tmp_path: Path) -> None:
    granted: list[int] = []
    for kill in range(10):
        command = [sys.executable, "-c", ENDLESS, str(tmp_path / "used"), str(kill * 10_000)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            granted += [int(process.stdout.readline()) for _ in range(60 + 7 * kill)]
            process.kill()
            granted += [int(line) for line in process.stdout if line.endswith("\n")]

    again = FileUsedApprovals(tmp_path / "used", clock=FixedClock(100))
    assert [n for n in granted if again.claim(str(n), 200 if n % 5 == 0 else 101)] == []
    assert len(set(granted)) == len(granted) > 900


def test_every_place_where_a_crash_cuts_the_file_leaves_all_granted_claims(tmp_path: Path) -> None:
    path = tmp_path / "used"
    used = FileUsedApprovals(path, clock=FixedClock(100))
    ends = [path.stat().st_size]
    for name in ("a", "b"):
        used.claim(name, 200)
        ends.append(path.stat().st_size)
    used.close()
    whole = path.read_bytes()

    for cut in range(ends[0], len(whole)):
        path.write_bytes(whole[:cut])
        again = FileUsedApprovals(path, clock=FixedClock(100))
        assert again.claim("a", 200) is (cut < ends[1])
        assert again.claim("b", 200) is True
        again.close()


def test_damage_is_an_error_and_never_a_second_use(tmp_path: Path) -> None:
    path = tmp_path / "used"
    used = FileUsedApprovals(path, clock=FixedClock(100))
    used.claim("a" * 30, 200)
    used.claim("b", 200)
    used.close()
    content = path.read_bytes()

    # Also the last byte, without which the last line would pass for one that was cut off.
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 1
        path.write_bytes(changed)
        with pytest.raises(InputError, match="is no line of a register"):
            FileUsedApprovals(path, clock=FixedClock(100))


def test_an_empty_or_foreign_file_is_no_register(tmp_path: Path) -> None:
    (tmp_path / "foreign").write_text("hello\n", encoding="utf-8")

    with pytest.raises(InputError, match="line 1 is no line of a register"):
        FileUsedApprovals(tmp_path / "foreign")


def test_a_register_that_was_removed_between_two_starts_is_not_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "used"
    used = FileUsedApprovals(path, clock=FixedClock(100))
    assert used.claim("a", 200)
    used.close()
    path.unlink()

    with pytest.raises(InputError, match="is gone") as error:
        FileUsedApprovals(path, clock=FixedClock(100))
    assert str(path.with_name("used.lock")) in error.value.fix
    # What the message says to do.
    path.with_name("used.lock").unlink()
    assert FileUsedApprovals(path, clock=FixedClock(100)).claim("b", 200)


def test_a_start_that_died_before_the_register_was_there_is_made_good(tmp_path: Path) -> None:
    path = tmp_path / "used"
    path.with_name("used.lock").touch()

    assert FileUsedApprovals(path, clock=FixedClock(100)).claim("a", 200)


def test_the_register_of_an_earlier_version_is_missed_as_well(tmp_path: Path) -> None:
    path = tmp_path / "used"
    FileUsedApprovals(path, clock=FixedClock(100)).close()
    path.with_name("used.lock").write_bytes(b"")
    FileUsedApprovals(path, clock=FixedClock(100)).close()
    path.unlink()

    with pytest.raises(InputError, match="is gone"):
        FileUsedApprovals(path, clock=FixedClock(100))


def test_a_register_that_was_removed_grants_nothing(tmp_path: Path) -> None:
    used = FileUsedApprovals(tmp_path / "used", clock=FixedClock(100))
    (tmp_path / "used").unlink()

    with pytest.raises(OSError, match="is gone"):
        used.claim("a", 200)


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "target").touch()
    (tmp_path / "used").symlink_to(tmp_path / "target")

    with pytest.raises(OSError, match="symbolic link"):
        FileUsedApprovals(tmp_path / "used")


def test_compaction_keeps_what_counts_and_other_openers_see_it(tmp_path: Path) -> None:
    path, clock = tmp_path / "used", FixedClock(100)
    first = FileUsedApprovals(path, clock=clock, compact_after=10)
    second = FileUsedApprovals(path, clock=clock, compact_after=10)
    assert first.claim("kept", 10_000)
    for number in range(20):
        assert first.claim(f"n{number}", 101 + number)
        clock.advance(1)

    assert len(path.read_bytes().splitlines()) < 15
    assert second.claim("kept", 10_000) is False
    assert second.claim("new", 10_000) is True
    assert first.claim("new", 10_000) is False


def test_compaction_keeps_the_horizon(tmp_path: Path) -> None:
    clock = FixedClock(100)
    used = FileUsedApprovals(tmp_path / "used", clock=clock, compact_after=4)
    for name in "abcdef":
        assert used.claim(name, 150)
    clock.advance(100)
    assert used.claim("later", 300)
    assert len((tmp_path / "used").read_bytes().splitlines()) == 2
    # The clock is set back, and a gateway starts anew.
    again = FileUsedApprovals(tmp_path / "used", clock=FixedClock(100), compact_after=4)

    assert [again.claim("a", 150), again.claim("new", 201)] == [False, True]


class RegisterMachine(RuleBasedStateMachine):
    """Two openers of one file against a plain set; the clocks go on and are set back."""

    folder: Path
    number = 0

    def __init__(self) -> None:
        super().__init__()
        type(self).number += 1
        self.path = self.folder / f"used{self.number}"
        self.clock = FixedClock(100)
        self.openers = [self.open(), self.open()]
        self.granted: set[str] = set()
        self.latest = 100

    def open(self) -> FileUsedApprovals:
        return FileUsedApprovals(self.path, clock=self.clock, compact_after=6)

    @rule(who=st.integers(0, 1), name=st.sampled_from("ab"), ends=st.integers(95, 115))
    def claim(self, who: int, name: str, ends: int) -> None:
        # An approval's end is signed, so one name always comes with one end.
        name = f"{name}{ends}"
        granted = self.openers[who].claim(name, ends)
        if granted:
            assert name not in self.granted
            assert ends > self.clock.moment_ns
            self.granted.add(name)
        else:
            assert name in self.granted or ends <= self.latest

    @rule(by=st.integers(-5, 5))
    def move(self, by: int) -> None:
        self.clock.moment_ns += by
        self.latest = max(self.latest, self.clock.moment_ns)

    @rule(who=st.integers(0, 1))
    def restart(self, who: int) -> None:
        self.openers[who].close()
        self.openers[who] = self.open()

    @invariant()
    def is_small(self) -> None:
        assert len(self.path.read_bytes().splitlines()) < 30

    def teardown(self) -> None:
        for each in self.openers:
            each.close()


def test_no_name_is_ever_granted_twice(tmp_path: Path) -> None:
    RegisterMachine.folder = tmp_path
    run_state_machine_as_test(RegisterMachine, settings=settings(max_examples=60))
