"""Whatever a guard decides, its record alone gives the same decision again: every gate, bit for bit, twice over."""

import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, event, given, note, settings
from hypothesis import strategies as st

from ringfence.runtime.audit_decision import DECISION, POLICY_SET
from ringfence.runtime.audit_reader import AuditReader
from ringfence.runtime.derive import Deriver
from ringfence.runtime.policy_files import files_in
from ringfence.runtime.policy_set import PolicySet
from ringfence.runtime.recompute_record import How, head_of, recompute
from runtime.histories import live_through, loaded, policy_texts, steps

pytestmark = pytest.mark.unit

_UNDECLARED = "no second opinion: the policy set does not declare "


def derived_again(folder: Path) -> Counter[str]:
    """Derive every record of a log; returns how, and how often."""
    derivers: dict[str, Deriver] = {}
    heads: dict[str, Any] = {}
    counts: Counter[str] = Counter()
    for record in AuditReader(folder).poll():
        body = record.body
        if record.kind == POLICY_SET:
            linked = PolicySet.from_files(files_in(body)).linked
            assert linked.sha256 == body["policy_set"]
            derivers.setdefault(linked.sha256, Deriver(linked))
        if record.kind != DECISION:
            continue
        found = recompute(body, derivers[body["policy_set"]], original=heads.get(body["id"]))
        heads.setdefault(body["id"], head_of(body))
        note(f"{record.sequence}: {body}")
        assert found.differences == [], record.sequence
        assert found.how is not How.FAILED
        if found.how is How.STATE:
            counts[body["code"]] += 1
        else:
            assert found.note == "" or found.note.startswith(_UNDECLARED)
        counts[found.how] += 1
        counts[str(body["decision"])] += 1
    return counts


@settings(
    max_examples=60,
    deadline=None,
    # Making a failing history shorter takes minutes.
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
)
@given(
    texts=st.lists(policy_texts(), min_size=1, max_size=2),
    history=steps,
    lease=st.sampled_from((None, 1_500_000_000)),
)
def test_every_record_gives_its_decision_again(
    texts: list[dict[str, str]], history: list[Any], lease: int | None
) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        sets = [loaded(folder / str(n), each) for n, each in enumerate(texts)]
        live_through(
            folder / "audit", sets, history, policy_lease_ns=lease, accounts=("new",), name="g"
        )
        for what in derived_again(folder / "audit"):
            event(what)
