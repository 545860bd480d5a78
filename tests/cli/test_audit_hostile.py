"""Logs into which someone has put anything: every command ends with an answer, and none with a traceback."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from ringfence.cli.main import main
from ringfence.runtime.audit_log import AuditLog
from ringfence.runtime.audit_reader import AuditReader
from ringfence.runtime.ports import FixedClock
from runtime.desk import NOON, opened, order, policies
from runtime.forged_logs import forge

pytestmark = pytest.mark.security

MORE = """
    - {rule: order-rate@1, limits: {max_orders: 4/s}}
    - {rule: duplicate-order@1, limits: {window: 1m}}
    - {rule: price-collar@1, limits: {max_deviation: 10%, window: 1m}}
    - {rule: net-exposure@1, limits: {max: 1_000_000 USD}}
"""
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from(
        (0, -1, 2**62, 2**63, 2**100, 1e308, float("nan"), float("inf"), "", "x", "\x1b[2J", "é")
    ),
    st.sampled_from(
        ("AAAA", "A" * 344, "AAAAAAAA8H8=", "firm", "REJECT", "NaN", "1e999999", "a\\xff")
    ),
    st.sampled_from(([], {}, [[]], [None] * 5, {"a": 1}, [["firm", "", 0, [], "", [], 0]])),
    st.text(max_size=5),
)


@pytest.fixture(scope="module")
def log() -> Iterator[Path]:
    """A reduction on books that hold something, with all that a record can show."""
    with tempfile.TemporaryDirectory() as place:
        desk = policies(Path(place) / "desk", more=MORE)
        clock = FixedClock(NOON)
        folder = Path(place) / "audit"
        with AuditLog.open(folder, durability="process", clock=clock) as audit:
            guard = opened(desk, clock=clock, audit=audit)
            for size in ("1", "2", "30"):
                guard.evaluate_order(order(size, strategy="trend", venue="paper"))
            guard.evaluate_order(order("-1"))
            guard.close()
        yield folder


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value in a body."""
    yield at
    items = value.items() if isinstance(value, dict) else ()
    items = enumerate(value) if isinstance(value, list) else items
    for key, each in items:
        yield from places(each, (*at, key))


def put(body: Any, at: tuple[Any, ...], value: Any) -> Any:
    """The body with another value there."""
    if not at:
        return value if isinstance(value, dict) else body
    made = dict(body) if isinstance(body, dict) else list(body)
    made[at[0]] = put(made[at[0]], at[1:], value) if at[1:] else value
    return made


@settings(
    max_examples=40,
    deadline=None,
    # Making a failing example smaller takes minutes, and it is small as it is.
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_no_body_brings_a_traceback(
    data: st.DataObject, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records = [r for r in AuditReader(log).poll() if r.kind in ("decision", "policy-set")]
    target = data.draw(st.sampled_from(records))
    body = target.body
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.sampled_from(list(places(body))))
        value = data.draw(VALUES)
        note(f"record {target.sequence}: {at} = {value!r}")
        body = put(body, at, value)
    with tempfile.TemporaryDirectory() as place:
        forged = Path(place) / "audit"
        shutil.copytree(log, forged)
        forge(forged, lambda number, _, old: body if number == target.sequence else old)
        for command in (
            ["verify", "--recompute", "--reference"],
            ["reproduce", str(target.sequence)],
            ["reproduce", str(records[-1].sequence), "--json"],
            ["show", str(target.sequence)],
        ):
            code = main(["audit", *command, "--log", str(forged)])
            shown = capsys.readouterr()
            note(shown.err)
            assert code in (0, 1, 2)
            assert "should not happen" not in shown.err
            assert "Traceback" not in shown.err
            assert "\x1b" not in shown.out


@pytest.mark.parametrize("raw", [b"[]", b"{}", b"5", b"nothing", b"[" * 50_000, b'{"id":[]}'])
def test_bytes_that_are_no_body_are_findings(
    raw: bytes, log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    forged = tmp_path / "audit"
    shutil.copytree(log, forged)
    last = max(record.sequence for record in AuditReader(log).poll())
    forge(forged, lambda number, _, old: raw if number == last else old)

    assert main(["audit", "verify", "--recompute", "--log", str(forged)]) == 1
    shown = capsys.readouterr()
    assert shown.err == ""
