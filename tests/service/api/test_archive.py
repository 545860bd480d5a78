"""Decisions that memory no longer holds: asked of the copy of the log, or of the log itself."""

import threading
from types import SimpleNamespace

import pytest

from ringfence.adapters.audit_duckdb import DuckdbSink
from ringfence.errors import AuditSinkError
from ringfence.runtime.audit_codec import decode
from ringfence.runtime.audit_log import AuditLog
from ringfence.runtime.audit_writer import AuditWriter
from ringfence.service import archive as archive_module
from ringfence.service import events as events_module
from ringfence.service.archive import Filter, open_archive
from ringfence.service.events import EventHub
from runtime.large_desk import SYMBOLS, LargeDesk, large_policies

pytestmark = pytest.mark.integration


def body(k):
    order = {"account": "alpha" if k % 2 else "beta", "symbol": "BTC/USDT", "size": "1"}
    return {
        "id": f"run-{k}",
        "decision": "APPROVE",
        "code": "",
        "reason": "",
        "size": "1",
        "policy_set": "ab" * 32,
        "decided_ns": 1_000 + k,
        "inputs": {"order": order, "market": None},
    }


@pytest.fixture(params=["duckdb", "none"])
def archive(request, tmp_path, monkeypatch):
    """Ten decisions, of which memory holds the last three or so."""
    monkeypatch.setattr(events_module, "_BEHIND", 3)
    monkeypatch.setattr(archive_module, "_WINDOW", 4)
    with AuditLog.open(tmp_path / "audit", durability="process") as log:
        log.append("policy-set", {"policy_set": "ab" * 32, "currency": "USDT"})
        for k in range(10):
            log.append("decision", body(k))
        log.append("decision", {**body(4), "repeated": True})
        log.wait(log.last)
        if request.param == "duckdb":
            AuditWriter(tmp_path / "audit", [DuckdbSink(tmp_path / "audit.duckdb")]).catch_up()
        hub = EventHub(tmp_path / "audit", log, threading.Event())
        settings = SimpleNamespace(
            audit=SimpleNamespace(sink=request.param), server=SimpleNamespace(workers=1)
        )
        yield open_archive(SimpleNamespace(data=tmp_path, settings=settings), hub)
        hub.close()


def test_pages_reach_back_to_the_first_decision(archive):
    found, before = [], None
    while True:
        page = archive.page(Filter(), before, 3)
        found += [row.id for row in page.rows]
        before = page.before
        if before is None:
            break
    assert found == ["run-4", *(f"run-{k}" for k in range(9, -1, -1))]


def test_what_is_filtered_is_found_among_the_old(archive):
    rows = archive.page(Filter(account="beta", until_ns=1_003), None, 10).rows
    assert [row.id for row in rows] == ["run-2", "run-0"]
    assert archive.page(Filter(frozenset({"alpha"})), None, 100).rows[-1].id == "run-1"
    assert archive.page(Filter(from_ns=1_008), None, 100).rows[-1].id == "run-8"


def test_a_page_that_looks_for_long_ends_short_and_goes_on(archive, monkeypatch):
    monkeypatch.setattr(archive_module, "_MOST_WINDOWS", 1)
    page = archive.page(Filter(code="NO_SUCH"), None, 10)
    assert page.rows == []
    assert page.before is not None


def test_a_decision_is_found_by_its_id_the_first_of_several_answers(archive):
    assert archive.find("run-1").sequence == 3
    assert archive.find("run-4").sequence == 6
    assert archive.find("run-9").sequence == 11
    assert archive.find("run-77") is None


def test_the_words_for_an_old_policy_set_are_found(archive):
    assert archive.policy_set("ab" * 32)["currency"] == "USDT"
    assert archive.policy_set("cd" * 32) == {}


def test_what_memory_holds_is_told_where_older_ones_cannot_be_read(archive, monkeypatch):
    def fail(*_):
        raise AuditSinkError("rights", "no right", "grant it")

    archive._hub.look()
    known = len(list(archive._hub.decisions(None)))
    monkeypatch.setattr(archive._copy, "between", fail)
    page = archive.page(Filter(), None, known + 10)
    assert (len(page.rows), page.before) == (known, archive._hub.first_decision)
    with pytest.raises(AuditSinkError, match="no right"):
        archive.page(Filter(), page.before, 10)


@pytest.mark.parametrize("sink", ["duckdb", "none"])
def test_a_decision_on_a_large_book_is_told_with_all_of_it(tmp_path, sink):
    policy_set = large_policies(tmp_path / "policies")
    desk = LargeDesk(tmp_path, policy_set, segment_bytes=100_000)
    names = [desk.ask(SYMBOLS[k % 8]) for k in range(30)]
    desk.log.wait(desk.log.last)
    if sink == "duckdb":
        AuditWriter(tmp_path / "audit", [DuckdbSink(tmp_path / "audit.duckdb")]).catch_up()
    hub = EventHub(tmp_path / "audit", desk.log, threading.Event())
    settings = SimpleNamespace(audit=SimpleNamespace(sink=sink), server=SimpleNamespace(workers=1))
    archive = open_archive(SimpleNamespace(data=tmp_path, settings=settings), hub)

    for name in names:
        assert decode(archive.find(name).content)["evidence"] == desk.wanted[name]
    small = [each for each in hub.decisions(None) if len(each.content) < 8_000]
    assert len(small) > 10
    # Memory outlives the file, and the copy outlives both.
    desk.log.drop_before(desk.log.last)
    gone = archive.find(names[1])
    desk.close()
    hub.close()

    if sink == "none":
        assert gone is None
    else:
        assert decode(gone.content)["evidence"] == desk.wanted[names[1]]
