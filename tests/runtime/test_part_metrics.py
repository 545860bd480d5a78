"""What the guard, the log and the writer count, as their metrics tell it."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from ringfence.adapters.audit_duckdb import DuckdbSink
from ringfence.errors import AuditError
from ringfence.runtime import guard_metrics
from ringfence.runtime.audit_writer import AuditWriter
from ringfence.runtime.metrics import HistogramValue, Metric
from ringfence.runtime.reconciliation import VenueSnapshot
from runtime.audit_logs import FailingFiles, write
from runtime.audit_logs import opened as opened_log
from runtime.desk import opened, order, policies

pytestmark = pytest.mark.unit

REDUCING = """
    - {rule: position-size@1, name: soft, limits: {max: 3_000 USD}, on_breach: reduce}
"""


def told(metrics: Iterable[Metric]) -> dict[str, dict[tuple[str, ...], Any]]:
    """By name without its beginning: values by the values of their labels, in the order of the labels' names."""
    return {
        each.name.removeprefix("ringfence_"): {
            tuple(value for _, value in sorted(sample.labels.items())): sample.value
            for sample in each.samples
        }
        for each in metrics
    }


def test_a_rejection_is_counted_by_the_gate_that_decided_and_its_code(tmp_path: Path) -> None:
    guard = opened(policies(tmp_path / "p", more=REDUCING))
    approved = guard.evaluate_order(order("1"))
    reduced = guard.evaluate_order(order("5"))
    rejected = guard.evaluate_order(order("60"))
    unread = guard.evaluate_order(None)
    guard.set_kill_switch("symbol/ETH/USD", "reducing", by="ann", reason="drill")

    assert approved.decided_by == ""
    assert (reduced.decision, reduced.decided_by) == ("REDUCE_SIZE", "soft")
    assert rejected.decision == "REJECT"
    assert rejected.decided_by
    assert unread.decided_by == ""
    found = told(guard.metrics())
    assert found["decisions"] == {
        ("", "APPROVE"): 1,
        (reduced.code, "REDUCE_SIZE"): 1,
        (rejected.code, "REJECT"): 1,
        ("INVALID_ORDER", "REJECT"): 1,
    }
    # Labels stand in the order of their names: code, gate.
    assert found["rejections"] == {
        (rejected.code, rejected.decided_by): 1,
        ("INVALID_ORDER", ""): 1,
    }
    took = found["decision_seconds"][()]
    assert isinstance(took, HistogramValue)
    assert sum(took.counts) == 4
    assert found["working_orders"] == {(): 2}
    assert found["kill_switch"] == {("firm",): 0, ("symbol/ETH/USD",): 1}


def test_what_comes_after_the_thousandth_name_is_counted_as_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard_metrics, "_MOST_LABELS", 1)
    guard = opened(policies(tmp_path / "p"))
    guard.evaluate_order(None)
    guard.evaluate_order(order("0.01"))
    guard.evaluate_order(order(account="nobody"))

    found = told(guard.metrics())

    assert found["decisions"] == {
        ("", "APPROVE"): 0,
        ("INVALID_ORDER", "REJECT"): 1,
        ("other", "REJECT"): 2,
    }
    assert found["rejections"] == {("INVALID_ORDER", ""): 1, ("other", "other"): 2}


def test_comparisons_with_a_venue_are_counted_by_result(tmp_path: Path) -> None:
    guard = opened(policies(tmp_path / "p"))
    guard.reconcile(VenueSnapshot("main"))
    guard.reconcile(VenueSnapshot("main", positions={"BTC/USD": "1"}))

    found = told(guard.metrics())

    assert found["reconciliations"] == {("equal",): 1, ("different",): 1}
    assert found["unreconciled_accounts"] == {(): 1}


def test_the_log_tells_its_size_and_what_is_not_durable_yet(tmp_path: Path) -> None:
    write(tmp_path, 3)
    with opened_log(tmp_path, limit_bytes=1 << 20) as log:
        before = told(log.metrics())
        sequence = log.append("note", {"n": 1})
        log.wait(sequence)
        after = told(log.metrics())

    assert before["audit_log_records"] == {(): 0}
    assert after["audit_log_records"] == {(): 1}
    assert after["audit_log_pending_records"] == {(): 0}
    assert after["audit_log_ok"] == {(): 1}
    assert after["audit_log_limit_bytes"] == {(): 1 << 20}
    assert after["audit_log_bytes"][()] > before["audit_log_bytes"][()]
    assert sum(after["audit_log_write_seconds"][()].counts) == 1


def test_a_log_that_is_full_or_has_failed_is_not_ok(tmp_path: Path) -> None:
    with opened_log(tmp_path / "full", limit_bytes=1_000) as full:
        with pytest.raises(AuditError, match="full"):
            full.append("note", {"text": "x" * 2_000})
        assert told(full.metrics())["audit_log_ok"] == {(): 0}
        full.append("note", {"n": 1})
        assert told(full.metrics())["audit_log_ok"] == {(): 1}

    files = FailingFiles()
    failed = opened_log(tmp_path / "failed", files=files)
    files.state.fails = "write"
    sequence = failed.append("note", {"n": 1})
    with pytest.raises(AuditError):
        failed.wait(sequence)
    assert told(failed.metrics())["audit_log_ok"] == {(): 0}
    assert told(failed.metrics())["audit_log_pending_records"] == {(): 1}
    failed.close()


def test_a_sink_tells_how_long_its_batches_took(tmp_path: Path) -> None:
    write(tmp_path / "log", 5)
    writer = AuditWriter(tmp_path / "log", [DuckdbSink(tmp_path / "audit.duckdb")])
    assert writer.catch_up() == 5

    found = told(writer.metrics())

    assert sum(found["audit_sink_write_seconds"][("duckdb",)].counts) == 1
    assert found["audit_sink_ok"] == {("duckdb",): 1}
    assert found["audit_sink_records"] == {("duckdb",): 5}
