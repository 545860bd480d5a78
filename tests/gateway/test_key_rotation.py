"""A key is followed by another one while orders go out: no approval in flight is refused."""

import threading
from decimal import Decimal
from pathlib import Path

import pytest

from gateway.approved_orders import FIELDS, NOW_NS
from ringfence.errors import ApprovalError, InputError
from ringfence.gateway import connect_paper, renew_signer, signer_of
from ringfence.language.orders import OrderRequest
from ringfence.runtime.approvals import Signer
from ringfence.runtime.credentials import API_SECRET_KEY, Credentials, load_credentials
from ringfence.runtime.ports import FixedClock
from ringfence.runtime.used_approvals import FileUsedApprovals
from runtime.desk import policies

pytestmark = pytest.mark.security

OLD, NEW = b"0123456789abcdefghijklmnopqrstuv", b"vutsrqponmlkjihgfedcba9876543210"
# As `docs/how-to/rotate-keys.md` has it: each process takes these steps, and nobody begins one before all have
# taken the one before.
STEPS = [(OLD, ()), (OLD, (NEW,)), (NEW, (OLD,)), (NEW, ())]


def honoured(signs: int, checks: int) -> bool:
    signed = Signer(*STEPS[signs]).sign(**FIELDS)
    try:
        Signer(*STEPS[checks]).check(signed, now_ns=NOW_NS)
    except ApprovalError:
        return False
    return True


def test_processes_that_are_one_step_apart_honour_each_others_approvals() -> None:
    apart = [
        (signs, checks) for signs in range(4) for checks in range(4) if abs(signs - checks) <= 1
    ]

    assert all(honoured(*each) for each in apart)


def test_what_was_signed_before_the_keys_changed_places_is_honoured_until_the_old_one_goes() -> (
    None
):
    assert honoured(signs=0, checks=2)
    assert not honoured(signs=0, checks=3)
    assert not honoured(signs=1, checks=3)


def test_a_key_that_is_new_is_not_believed_before_it_is_told() -> None:
    assert not honoured(signs=2, checks=0)


def test_a_key_that_is_too_short_changes_nothing() -> None:
    signer = Signer(OLD)
    with pytest.raises(InputError, match="3 bytes"):
        signer.renew(NEW, [b"abc"])

    signed = signer.sign(**FIELDS)
    Signer(OLD).check(signed, now_ns=NOW_NS)


def read(folder: Path, *keys: bytes) -> Credentials:
    file = folder / "api_secret_key"
    file.write_bytes(b"\n".join(keys) + b"\n")
    return load_credentials((API_SECRET_KEY,), {"API_SECRET_KEY_FILE": str(file)})


def test_a_running_gateway_refuses_no_order_while_its_key_changes(tmp_path: Path) -> None:
    clock = FixedClock(NOW_NS)
    desk = policies(tmp_path / "policies")
    credentials = read(tmp_path, OLD)
    signer = signer_of(credentials)
    gateway, _ = connect_paper(
        credentials,
        FileUsedApprovals(tmp_path / "used", clock=clock),
        instruments=desk.linked.desk.instruments,
        accounts=frozenset({"main"}),
        venue="desk-venue",
        signer=signer,
        clock=clock,
    )
    signed_with: set[bytes] = set()
    refused: list[ApprovalError] = []
    sent, changed = threading.Semaphore(0), threading.Event()

    def trade() -> None:
        number = 0
        while not changed.is_set() or number % 2:
            number += 1
            name = f"a-{number}"
            order = OrderRequest(
                "main",
                "BTC/USD",
                "buy",
                "1",
                "1000",
                strategy="trend",
                venue="desk-venue",
                client_order_id=name,
            )
            amounts = {"size": Decimal(1), "price": Decimal(1000)}
            fields = {**FIELDS, **amounts, "approval_id": name, "client_order_id": name}
            approval = signer.sign(**fields)
            signed_with.update(key for key in (OLD, NEW) if _signed(key, approval))
            try:
                gateway.submit(approval, order)
            except ApprovalError as error:
                refused.append(error)
            sent.release()

    trader = threading.Thread(target=trade)
    trader.start()
    try:
        for keys in ((OLD, NEW), (NEW, OLD), (NEW,)):
            for _ in range(5):
                assert sent.acquire(timeout=60)
            renew_signer(signer, read(tmp_path, *keys))
        for _ in range(5):
            assert sent.acquire(timeout=60)
    finally:
        changed.set()
        trader.join()

    assert refused == []
    assert signed_with == {OLD, NEW}


def _signed(key: bytes, approval: object) -> bool:
    try:
        Signer(key).check(approval, now_ns=NOW_NS)  # type: ignore[arg-type]
    except ApprovalError:
        return False
    return True
