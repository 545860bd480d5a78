"""Every reading command shows a record of a large book complete, whatever earlier record it names."""

import json
from pathlib import Path
from typing import Any

import pytest

from ringfence.adapters.audit_duckdb import DuckdbSink
from ringfence.cli.main import main
from ringfence.review.explaining.kept_orders import from_audit
from ringfence.runtime.audit_reader import AuditReader
from ringfence.runtime.audit_writer import AuditWriter
from runtime.forged_logs import forge
from runtime.large_desk import SYMBOLS, LargeDesk, large_policies

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> LargeDesk:
    place = tmp_path_factory.mktemp("large")
    made = LargeDesk(place, large_policies(place / "policies"))
    for name in SYMBOLS[:4]:
        made.ask(name)
    made.close()
    return made


def last(desk: LargeDesk) -> tuple[str, str, Any]:
    """Number and id of the last decision, and all that it was made from."""
    *_, record = AuditReader(desk.place / "audit").poll(complete=False)
    assert len(record.body["evidence"]["books"][0]) == 8
    name = record.body["id"]
    return str(record.sequence), name, desk.wanted[name]


def printed(capsys: pytest.CaptureFixture[str], *command: str, status: int = 0) -> str:
    assert main(["audit", *command]) == status
    return capsys.readouterr().out


def test_it_is_shown_reproduced_explained_and_verified(
    desk: LargeDesk, capsys: pytest.CaptureFixture[str]
) -> None:
    number, name, wanted = last(desk)
    log = ("--log", str(desk.place / "audit"))

    for way in (number, name):
        shown = json.loads(printed(capsys, "show", way, *log, "--json"))
        assert shown["body"]["evidence"] == wanted
        again = json.loads(printed(capsys, "reproduce", way, *log, "--json"))
        assert (again["how"], again["same"]) == ("derived", True)
    assert "bit for bit" in from_audit(desk.place / "audit", name).checks[0]
    tailed = [json.loads(line) for line in printed(capsys, "tail", *log, "--json").splitlines()]
    assert tailed[-1]["body"]["evidence"] == wanted
    recomputed = json.loads(printed(capsys, "verify", *log, "--recompute", "--json"))
    assert recomputed["recomputed"]["how"] == {"derived": 4}


def test_it_is_exported_and_copied_with_all_that_it_was_made_from(
    desk: LargeDesk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    number, _, wanted = last(desk)
    log = ("--log", str(desk.place / "audit"))
    sql = f"SELECT body->>'$.evidence' AS evidence, original FROM records WHERE seq = {number}"

    printed(capsys, "export", *log, "--jsonl", str(tmp_path / "all.jsonl"))
    AuditWriter(desk.place / "audit", [DuckdbSink(tmp_path / "all.duckdb")]).catch_up()

    *_, line = (tmp_path / "all.jsonl").read_text().splitlines()
    assert json.loads(line)["body"]["evidence"] == wanted
    for place in (log, ("--duckdb", str(tmp_path / "all.duckdb"))):
        (row,) = json.loads(printed(capsys, "query", sql, *place, "--json"))
        assert json.loads(row["evidence"]) == wanted
        assert len(row["original"]) < len(row["evidence"])


def test_one_that_names_a_record_which_is_not_there_is_said_to_be_incomplete(
    desk: LargeDesk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    number, _, _ = last(desk)
    for path in (desk.place / "audit").glob("*.audit"):
        (tmp_path / path.name).write_bytes(path.read_bytes())

    def edit(sequence: int, _: str, body: dict[str, Any]) -> Any:
        if sequence == int(number):
            body["evidence"]["books"][0][7]["base"] = sequence
        return body

    forge(tmp_path, edit)

    said = printed(capsys, "verify", "--log", str(tmp_path), status=1)
    assert f"incomplete: record {number} cannot be completed: it names record {number}" in said
    assert main(["audit", "show", number, "--log", str(tmp_path)]) == 2
    assert "verify" in capsys.readouterr().err
