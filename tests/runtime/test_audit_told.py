"""A record that names an earlier one is completed, checked and derived like any other, and nothing odd in it is believed."""

from base64 import b64decode, b64encode
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ringfence.errors import AuditError
from ringfence.runtime.audit_batches import Batches
from ringfence.runtime.audit_codec import encode
from ringfence.runtime.audit_decision import DECISION
from ringfence.runtime.audit_mask import Mask
from ringfence.runtime.audit_reader import AuditReader
from ringfence.runtime.audit_recompute import Recomputer
from ringfence.runtime.audit_segments import payload_of
from ringfence.runtime.audit_verify import verify
from ringfence.runtime.recompute_record import How
from runtime.audit_logs import files_of, opened, rewrite
from runtime.forged_logs import forge
from runtime.large_desk import HELD, SYMBOLS, LargeDesk, large_policies, told_by_changes

pytestmark = pytest.mark.unit

COUNT = 8
Tampered = Callable[[dict[str, Any]], Any]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of decisions on large books, some of them with gates that look at the worth of lots."""
    place = tmp_path_factory.mktemp("large")
    desk = LargeDesk(place, large_policies(place / "policies", gross=True))
    for k in range(COUNT):
        desk.ask(SYMBOLS[k], size=("1", "900000")[k % 5 == 4])
    desk.close()
    return place / "audit"


@pytest.fixture
def log(made: Path, tmp_path: Path) -> Path:
    """A copy of it, to be changed."""
    for path in files_of(made):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def decisions(log: Path, **options: Any) -> list[Any]:
    return [each for each in AuditReader(log).poll(**options) if each.kind == DECISION]


def test_every_decision_is_derived_again_bit_for_bit(made: Path) -> None:
    work = Recomputer(second=True)

    chain = verify(made, each=work.take)

    found = work.done()
    assert (chain.findings, found.wrong) == ([], [])
    assert found.counts == {How.DERIVED: COUNT}
    assert sum(bool(told_by_changes(each)) for each in decisions(made, complete=False)) == COUNT - 1


def test_a_changed_row_of_the_earlier_record_shows_in_those_that_name_it(log: Path) -> None:
    base = decisions(log)[0].sequence

    def edit(sequence: int, _: str, body: dict[str, Any]) -> Any:
        if sequence == base:
            for book in body["evidence"]["books"]:
                # The last position of the book becomes larger, and all else stays.
                rows = np.frombuffer(b64decode(book[4])).reshape(HELD, -1).copy()
                rows[-1] *= 3.0
                book[4] = b64encode(rows.tobytes()).decode()
        return body

    forge(log, edit)
    work = Recomputer()
    verify(log, each=work.take)

    found = work.done()
    assert {each.sequence for each in found.wrong} == {each.sequence for each in decisions(log)}


def test_a_changed_earlier_record_is_found_without_deriving_anything(log: Path) -> None:
    base = decisions(log)[0].sequence
    first = int(files_of(log)[0].stem)

    def edit(payloads: list[bytes]) -> list[bytes]:
        payloads[base - first] = payloads[base - first].replace(
            b'"decided_ns":1', b'"decided_ns":2'
        )
        return payloads

    rewrite(files_of(log)[0], edit)

    found = verify(log).findings
    assert [(each.what, each.first) for each in found] == [("changed", base)]


def test_an_earlier_record_that_is_missing_is_found_and_so_is_each_that_names_it(log: Path) -> None:
    base, *others = (each.sequence for each in decisions(log))
    first = int(files_of(log)[0].stem)
    rewrite(
        files_of(log)[0], lambda payloads: [p for k, p in enumerate(payloads, first) if k != base]
    )

    found = [(each.what, each.first) for each in verify(log).findings]

    assert ("missing", base) in found
    assert {at for what, at in found if what == "incomplete"} == set(others)
    with pytest.raises(AuditError, match=f"names record {base}, which its file does not hold"):
        decisions(log)
    assert len(decisions(log, complete=False)) == COUNT - 1


@pytest.mark.parametrize(
    "tampered",
    [
        lambda about: about.update(base=about["base"] + 1),
        lambda about: about.update(base=10**9),
        lambda about: about.update(base=1),
        lambda about: about.update(base=0),
        lambda about: about.update(base="1"),
        lambda about: about.update(base=True),
        lambda about: about.update(held=HELD + 1),
        lambda about: about.update(held=-1),
        lambda about: about.update(held=10**7),
        lambda about: about.update(at=[HELD]),
        lambda about: about.update(at=[-1]),
        lambda about: about.update(at=[0, 0]),
        lambda about: about.update(at=[]),
        lambda about: about.update(at=None),
        lambda about: about.pop("held"),
    ],
)
def test_what_does_not_fit_is_found_in_a_log_whose_chain_is_whole(
    log: Path, tampered: Tampered
) -> None:
    last = decisions(log, complete=False)[-1]
    assert len(told_by_changes(last)[1]["at"]) == COUNT - 1

    def edit(sequence: int, _: str, body: dict[str, Any]) -> Any:
        if sequence == last.sequence:
            tampered(body["evidence"]["books"][1][7])
        return body

    forge(log, edit)

    found = [(each.what, each.first) for each in verify(log).findings]
    assert found == [("incomplete", last.sequence)]
    seen: list[Any] = []
    assert len(verify(log, each=seen.append).findings) == 1
    assert seen[-1].body["evidence"]["books"][1][7] is not None
    with pytest.raises(AuditError, match=f"record {last.sequence} cannot be completed"):
        decisions(log)


@pytest.mark.parametrize("worth", [["AAAA"], ["!"], [], [["AAAAAAAA8D8="]], [7]])
def test_the_worth_of_lots_that_does_not_fit_is_found(log: Path, worth: list[Any]) -> None:
    last = decisions(log, complete=False)[-1]
    assert isinstance(last.body["evidence"]["recent"]["lot_money"][1], list)

    def edit(sequence: int, _: str, body: dict[str, Any]) -> Any:
        if sequence == last.sequence:
            body["evidence"]["recent"]["lot_money"][1] = worth
        return body

    forge(log, edit)

    assert [each.what for each in verify(log).findings] == ["incomplete"]


def test_an_earlier_record_that_is_no_decision_is_none_to_name(log: Path) -> None:
    base = decisions(log)[0].sequence
    forge(log, lambda sequence, _, body: {"evidence": 7} if sequence == base else body)

    assert {each.what for each in verify(log).findings} == {"incomplete"}


def test_a_log_that_was_torn_anywhere_goes_on_with_books_in_full(log: Path) -> None:
    path = files_of(log)[-1]
    content, before = path.read_bytes(), {each.sequence: each.body for each in decisions(log)}
    for cut in (1, 40, 3_000, 9_000, 20_000):
        path.write_bytes(content[:-cut])

        opened(log).close()

        left = decisions(log)
        assert all(each.body == before[each.sequence] for each in left)
        assert verify(log).findings == []


def test_rows_for_databases_are_complete_and_keep_what_their_hash_is_of(log: Path) -> None:
    batches = Batches(AuditReader(log), Mask())
    rows = [row for row in batches.next().rows if row.kind == DECISION]
    batches.close()

    whole = decisions(log)
    assert [row.body.encode() for row in rows] == [encode(each.body) for each in whole]
    for row in rows:
        written = (row.original or row.body).encode()
        payload = payload_of(written, row.kind, row.prev, row.sequence, row.ts_ns)
        assert sha256(payload).hexdigest() == row.hash
        assert not row.masked
    assert [row.original is not None for row in rows] == [False] + [True] * (COUNT - 1)


def test_a_secret_is_hidden_in_both_texts_of_a_row(log: Path) -> None:
    batches = Batches(AuditReader(log), Mask(values=("C0[0-9]/USD",)))
    *_, row = batches.next().rows
    batches.close()

    assert row.masked
    assert row.original is not None
    assert "C07/USD" not in row.body + row.original
    assert "***" in row.original


def test_raw_records_are_as_they_were_written_unless_they_are_asked_for_complete(log: Path) -> None:
    written = [each for each in AuditReader(log).poll_raw() if each.kind == DECISION]
    whole = [each for each in AuditReader(log).poll_raw(complete=True) if each.kind == DECISION]

    assert [each.written or each.body for each in whole] == [each.body for each in written]
    assert [each.body for each in whole] == [encode(each.body) for each in decisions(log)]
    assert all(each.written is None for each in written)


def test_a_record_of_a_file_that_was_left_is_not_completed_with_another(tmp_path: Path) -> None:
    desk = LargeDesk(tmp_path, large_policies(tmp_path / "policies"), segment_bytes=75_000)
    for _ in range(20):
        desk.ask(SYMBOLS[0])
    desk.close()
    reader = AuditReader(tmp_path / "audit")
    found = [each for each in reader.poll(complete=False) if each.kind == DECISION]
    early = next(each for each in found if told_by_changes(each))

    with pytest.raises(ValueError, match="another file"):
        reader.completed(early)
