"""The whole way with everything real but the exchange: guard, audit log, approval, gateway, fills, books."""

from decimal import Decimal
from pathlib import Path

import pytest

from ringfence.cli.main import main
from ringfence.errors import ApprovalError
from ringfence.gateway import connect_paper, signer_of
from ringfence.language.orders import Market, OrderRequest
from ringfence.runtime.audit_log import AuditLog
from ringfence.runtime.credentials import API_SECRET_KEY, load_credentials
from ringfence.runtime.guard_settings import GuardSettings
from ringfence.runtime.ports import FixedClock, SeededRandom
from ringfence.runtime.used_approvals import FileUsedApprovals
from runtime.desk import NOON, opened, order, policies

pytestmark = pytest.mark.integration


def test_an_order_from_its_decision_to_the_books(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = FixedClock(NOON)
    credentials = load_credentials(
        (API_SECRET_KEY,), {"RINGFENCE_ENVIRONMENT": "testing"}, random=SeededRandom(2)
    )
    desk = policies(tmp_path / "policies")
    with AuditLog.open(tmp_path / "audit", durability="process", clock=clock) as log:
        guard = opened(
            desk,
            clock=clock,
            settings=GuardSettings(signer=signer_of(credentials)),
            audit=log,
            state=tmp_path / "state",
        )
        gateway, on_market = connect_paper(
            credentials,
            FileUsedApprovals(tmp_path / "used", clock=clock),
            log,
            instruments=desk.linked.desk.instruments,
            accounts=frozenset({"main"}),
            clock=clock,
        )
        asked = order("12", venue="paper", client_order_id="c-1")

        answer = guard.evaluate_order(asked)
        decision, reason, size = answer
        with pytest.raises(ApprovalError, match="ALTERED"):
            gateway.submit(answer.approval, asked)
        reduced = order(size, venue="paper", client_order_id="c-1")
        ack = gateway.submit(answer.approval, reduced)
        with pytest.raises(ApprovalError, match="REPLAYED"):
            gateway.submit(answer.approval, reduced)
        on_market("BTC/USD", Market(bid=999.0, ask=1_000.0, ask_depth=4.0))
        fills = list(gateway.fills("main"))
        for each in fills:
            guard.on_fill(answer.id, each.cumulative_size, each.price, each.fee)
        second = guard.evaluate_order(order("1", venue="paper", client_order_id="c-2"))
        guard.close()

    assert (decision, size) == ("REDUCE_SIZE", 10)
    assert "POSITION_SIZE" in reason
    assert ack.client_order_id == "c-1"
    assert [each.cumulative_size for each in fills] == [Decimal(4)]
    # Four lots are held and six still work: nothing is left of the limit.
    assert second.decision == "REJECT"
    book = guard.book("account/main")
    assert book.positions["BTC/USD"].size == 4
    told = ["audit", "--log", str(tmp_path / "audit")]
    assert main([*told[:1], "verify", *told[1:]]) == 0
    assert main([*told[:1], "show", *told[1:], answer.id]) == 0
    shown = capsys.readouterr().out
    assert "reduced: 10" in shown
    assert "position-size" in shown
    assert "desk.yaml" in shown


def test_a_guard_that_cannot_record_gives_no_approval(tmp_path: Path) -> None:
    clock = FixedClock(NOON)
    desk = policies(tmp_path / "policies")
    credentials = load_credentials(
        (API_SECRET_KEY,), {"RINGFENCE_ENVIRONMENT": "testing"}, random=SeededRandom(2)
    )
    log = AuditLog.open(tmp_path / "audit", durability="process", clock=clock)
    guard = opened(
        desk,
        clock=clock,
        settings=GuardSettings(signer=signer_of(credentials), in_memory=True),
        audit=log,
    )
    log.close()

    answer = guard.evaluate_order(
        OrderRequest(account="main", symbol="BTC/USD", side="buy", size="1", price="1000")
    )

    assert (answer.decision, answer.code) == ("REJECT", "AUDIT_UNAVAILABLE")
    assert answer.approval is None
    assert guard.book("firm").open_orders == ()
