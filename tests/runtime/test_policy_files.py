"""A policy set knows its files, and comes out of them again: same hash, same order, no other version's rules."""

import base64
import json
import zlib
from pathlib import Path
from typing import Any

import pytest

from ringfence import PolicyError, PolicySet, __version__
from ringfence.errors import InputError
from ringfence.runtime import policy_files
from ringfence.runtime.audit_codec import encode
from ringfence.runtime.audit_decision import policy_set_body
from ringfence.runtime.audit_log import BODY_BYTES
from ringfence.runtime.policy_files import compressed, expanded, files_in, files_told
from runtime.desk import GATES, INSTRUMENTS, POLICY, policies

pytestmark = pytest.mark.unit

RULES = Path(__file__).resolve().parents[2] / "rules"
OTHER = """
apiVersion: ringfence/v1
kind: PolicyTest
metadata: {name: desk, version: 1.0.0}
cases: [{name: one, when: {}, then: {decision: REJECT}}]
"""


def test_a_set_links_again_from_its_files_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = policies(
        tmp_path / "desk", more="\n    - {rule: order-rate@1, limits: {max_orders: 3/s}}\n"
    )
    files = first.files
    (tmp_path / "none").mkdir()
    monkeypatch.setenv("RINGFENCE_RULES_PATH", str(tmp_path / "none"))

    again = PolicySet.from_files(files)

    assert again.sha256 == first.sha256
    assert [gate.name for gate in again.linked.gates] == [gate.name for gate in first.linked.gates]
    assert again.files == files
    assert again.linked.gates[0].rows[0].span == first.linked.gates[0].rows[0].span
    assert all(Path(path).read_bytes() == content for path, content in files.items())
    assert sum(Path(path).parent.name == "rules" for path in files) == 9


def test_tests_are_no_part_of_a_set_and_own_rules_are(tmp_path: Path) -> None:
    folder = tmp_path / "desk"
    before = policies(folder)
    text = (RULES / "drawdown.yaml").read_text().replace("version: 1.0.0", "version: 1.9.0")
    (folder / "own.yaml").write_text(text)
    (folder / "test.yaml").write_text(OTHER)
    first = PolicySet.load(folder)

    assert str(folder / "own.yaml") in first.files
    assert str(RULES / "drawdown.yaml") in before.files
    assert not {str(folder / "test.yaml"), str(RULES / "drawdown.yaml")} & set(first.files)
    assert PolicySet.from_files(first.files).sha256 == first.sha256 != before.sha256


def test_rules_of_this_version_stay_out(tmp_path: Path) -> None:
    files = policies(tmp_path / "desk").files
    del files[next(path for path in files if path.endswith("rules/drawdown.yaml"))]

    with pytest.raises(PolicyError, match="drawdown"):
        PolicySet.from_files(files)


def test_findings_in_files_in_memory_name_their_paths() -> None:
    with pytest.raises(PolicyError) as raised:
        PolicySet.from_files({"then/a.yaml": b"a: 1\na: 2\n", "then/b.yaml": b"\xff\xfe"})

    assert {each.span.path for each in raised.value.diagnostics if each.span} == {
        "then/a.yaml",
        "then/b.yaml",
    }


def test_a_byte_order_mark_is_kept(tmp_path: Path) -> None:
    folder = tmp_path / "desk"
    policies(folder)
    marked = b"\xef\xbb\xbf" + (folder / "desk.yaml").read_bytes()
    (folder / "desk.yaml").write_bytes(marked)

    assert PolicySet.load(folder).files[str(folder / "desk.yaml")] == marked


def test_the_order_of_gates_and_policies_is_part_of_the_hash(tmp_path: Path) -> None:
    first, *rest = GATES.replace("DAILY", "reject").strip("\n").split("\n")
    (tmp_path / "instruments.yaml").write_text(INSTRUMENTS)
    hashes = set()
    for gates in ([first, *rest], [*rest, first]):
        (tmp_path / "desk.yaml").write_text(POLICY + "\n".join(gates))
        hashes.add(PolicySet.load(tmp_path).sha256)

    assert len(hashes) == 2


@pytest.mark.parametrize("bound", [0, 1 << 30])
def test_a_record_holds_the_files_in_their_order(
    bound: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policy_files, "PLAIN_BYTES", bound)
    first = policies(tmp_path / "desk")

    body = json.loads(encode(policy_set_body(first.linked)))

    assert ("files_zlib" in body) == (bound == 0)
    assert list(files_in(body).items()) == list(first.files.items())
    assert PolicySet.from_files(files_in(body)).sha256 == body["policy_set"] == first.sha256
    assert body["ringfence"] == __version__


def test_the_record_of_a_thousand_policies_fits_into_the_log(tmp_path: Path) -> None:
    (tmp_path / "instruments.yaml").write_text(INSTRUMENTS)
    text = POLICY + GATES.replace("DAILY", "reject").strip("\n")
    for number in range(1_000):
        other = text.replace("desk-main", f"desk-{number}").replace(
            "level:", f"scope: {{accounts: [main, other, trader-{number}]}}\n  level:"
        )
        (tmp_path / f"desk-{number:04}.yaml").write_text(other)
    first = PolicySet.load(tmp_path)

    body = policy_set_body(first.linked)

    assert len(first.files) == 1_009
    assert len(encode(body)) < BODY_BYTES / 4
    assert files_in(body) == first.files


@pytest.mark.parametrize(
    "body",
    [
        {"files": "text"},
        {"files": [["a.yaml"]]},
        {"files": [["a.yaml", 1]]},
        {"files": [["a.yaml", "x"], ["a.yaml", "y"]]},
        {"files_zlib": 5},
        {"files_zlib": "not base64!"},
        {"files_zlib": base64.b64encode(b"not compressed").decode()},
        {"files_zlib": base64.b64encode(zlib.compress(b"[[[")).decode()},
        {"files_zlib": base64.b64encode(zlib.compress(b"[" * 100_000)).decode()},
        {"files_zlib": base64.b64encode(zlib.compress(b"[]")[:-2]).decode()},
    ],
)
def test_files_that_cannot_be_read_are_refused(body: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        files_in(body)


def test_what_grows_beyond_all_bounds_is_not_taken_out(monkeypatch: pytest.MonkeyPatch) -> None:
    content = compressed({"a.yaml": b" " * 100_000})
    monkeypatch.setattr(policy_files, "MOST_BYTES", 10_000)

    with pytest.raises(InputError, match="cannot be read"):
        expanded(content)


def test_no_files_are_told_as_none() -> None:
    assert files_in({}) == files_in(files_told({})) == {}
