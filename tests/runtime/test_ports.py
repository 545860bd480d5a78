"""Clock, randomness and files: what the seam promises, and that nothing goes round it."""

import ast
from pathlib import Path

import pytest

import ringfence
from ringfence.cli import effective
from ringfence.cli.main import build_parser
from ringfence.language.gates import to_ns
from ringfence.runtime.ports import (
    SYSTEM_CLOCK,
    SYSTEM_FILES,
    SYSTEM_RANDOM,
    FixedClock,
    SeededRandom,
    SystemFiles,
)

pytestmark = pytest.mark.unit

PACKAGE = Path(ringfence.__file__).parent
SEAM = PACKAGE / "runtime" / "ports.py"
CALLS = {
    "time.time",
    "time.time_ns",
    "datetime.now",
    "datetime.utcnow",
    "datetime.today",
    "date.today",
    "os.urandom",
    "np.random",
    "numpy.random",
}
MODULES = {"random", "secrets", "uuid"}


def reads_outside(tree: ast.AST) -> list[str]:
    """The wall clock and the randomness that a module reaches for."""
    found = []
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                found += [each.name for each in names if each.name in MODULES]
            case ast.ImportFrom(module=module, names=names):
                found += [module or ""] if module in MODULES else []
                found += [
                    f"{module}.{each.name}" for each in names if f"{module}.{each.name}" in CALLS
                ]
            case ast.Attribute():
                dotted = ast.unparse(node)
                found += [name for name in CALLS if dotted == name or dotted.endswith(f".{name}")]
    return found


@pytest.mark.parametrize(
    "text",
    [
        "import time\ntime.time_ns()",
        "from time import time_ns",
        "import datetime\ndatetime.datetime.now()",
        "import uuid",
        "from random import random",
        "import numpy as np\nnp.random.default_rng()",
    ],
)
def test_the_search_finds_a_way_round_the_seam(text: str) -> None:
    assert reads_outside(ast.parse(text))


def test_nothing_but_the_seam_reads_the_clock_or_randomness() -> None:
    found = {
        str(path.relative_to(PACKAGE)): reads
        for path in PACKAGE.rglob("*.py")
        if path != SEAM and (reads := reads_outside(ast.parse(path.read_text(encoding="utf-8"))))
    }

    assert found == {}


def test_a_fixed_clock_stands_still_until_it_is_moved_and_never_goes_back() -> None:
    clock = FixedClock(5)

    assert (clock.now_ns(), clock.now_ns()) == (5, 5)
    clock.advance(3)
    assert clock.now_ns() == 8
    with pytest.raises(ValueError, match="does not go back"):
        clock.advance(-1)


def test_the_system_clock_goes_on() -> None:
    assert SYSTEM_CLOCK.now_ns() <= SYSTEM_CLOCK.now_ns()


def test_one_seed_gives_one_sequence_and_the_system_gives_none() -> None:
    first, second = SeededRandom(7), SeededRandom(7)

    assert [first.token(), first.bytes(4)] == [second.token(), second.bytes(4)]
    assert first.token() != first.token()
    assert len(SYSTEM_RANDOM.bytes(12)) == 12
    assert len(SYSTEM_RANDOM.token(12)) == 24
    assert SYSTEM_RANDOM.token() != SYSTEM_RANDOM.token()


def test_a_file_is_replaced_whole_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    SYSTEM_FILES.write_atomic(path, b"old")
    SYSTEM_FILES.write_atomic(path, b"new")

    assert SYSTEM_FILES.read_bytes(path) == b"new"
    assert SYSTEM_FILES.exists(path)
    assert SYSTEM_FILES.list(tmp_path) == (path,)


def test_a_write_that_fails_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    target = tmp_path / "taken"
    target.mkdir()
    (target / "kept").write_bytes(b"kept")

    with pytest.raises(OSError, match="taken"):
        SYSTEM_FILES.write_atomic(target, b"new")
    assert SYSTEM_FILES.list(tmp_path) == (target,)
    assert not SYSTEM_FILES.exists(tmp_path / "absent")


def test_a_link_planted_beside_the_target_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"untouched")
    planted = tmp_path / f".a.yaml.{SeededRandom(1).token(8)}"
    planted.symlink_to(victim)

    with pytest.raises(FileExistsError):
        SystemFiles(SeededRandom(1)).write_atomic(tmp_path / "a.yaml", b"new")
    assert victim.read_bytes() == b"untouched"


def test_a_folder_is_listed_in_one_order(tmp_path: Path) -> None:
    for name in ("b", "a", "c"):
        (tmp_path / name).touch()

    assert [path.name for path in SYSTEM_FILES.list(tmp_path)] == ["a", "b", "c"]


DESK = """
apiVersion: ringfence/v1
kind: Policy
metadata: {name: desk, version: 1.0.0, owner: risk, description: a raise that ends by itself}
spec:
  gates:
    - {rule: kill-switch@1}
    - {rule: data-quality@1}
    - {rule: daily-loss@1}
    - {rule: drawdown@1}
    - {rule: position-count@1}
    - rule: total-exposure@1
      limits: {max: 100 USD}
      overrides:
        - {limits: {max: 200 USD}, until: 2026-02-01T00:00:00Z, ticket: RISK-1}
    - {rule: position-size@1}
    - {rule: correlated-exposure@1}
"""


@pytest.mark.parametrize(
    ("now", "limit"), [("2026-01-31T23:59:59Z", "200 USD"), ("2026-02-01T00:00:00Z", "100 USD")]
)
def test_effective_asks_the_clock_it_is_given(
    now: str, limit: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "desk.yaml").write_text(DESK, encoding="utf-8")
    words = ["effective", "--account", "a", "--symbol", "b", "--policies", str(tmp_path)]

    assert effective.run(build_parser().parse_args(words), FixedClock(to_ns(now))) == 0
    assert limit in capsys.readouterr().out
