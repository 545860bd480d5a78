"""Secrets reach neither logs nor the audit nor any file, on the whole way and where it fails."""

import io
import logging
from pathlib import Path

import pytest

from adapters.kraken_socket import listening
from gateway.whole_desk import CREDENTIALS, KINDS, Events, WholeDesk, whole_desk
from ringfence.errors import ApprovalError, ExchangeError
from ringfence.gateway import FollowSettings, SwitchCancels, reconcile
from runtime.desk import order

pytestmark = [pytest.mark.security, pytest.mark.integration]


def test_no_secret_token_or_signature_is_logged_recorded_or_kept(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    lines = io.StringIO()
    handler = logging.StreamHandler(lines)
    root, level = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        hidden = whole_way(tmp_path)
    finally:
        root.removeHandler(handler)
        root.setLevel(level)

    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    printed = capfd.readouterr()
    seen = lines.getvalue() + printed.out + printed.err
    assert "GetWebSocketsToken" in seen, "the log of requests was not read"
    assert b"approval_refused" in kept
    for secret in hidden:
        assert secret not in seen
        assert secret.encode() not in kept


def whole_way(folder: Path) -> set[str]:
    """Send, follow, fail, cancel and compare; gives what must not be seen."""
    hidden = {CREDENTIALS.get(kind).reveal() for kind in KINDS}
    settings = FollowSettings(poll_s=3_600, told_poll_s=3_600)
    with whole_desk(folder) as first, listening(first.server) as socket:
        first.stop()
        desk = WholeDesk(folder, first.server, first.clock, stream_url=socket.url, follow=settings)
        events = Events(desk.guard)
        with desk.follower, SwitchCancels(desk.guard, desk.gateway, desk.log) as cancels:
            desk.guard.listen(cancels.heard)
            _, ack = desk.send("5", "c-1")
            desk.server.fill(ack.exchange_order_id, "2", "1000")
            events.wait(lambda: desk.held() == 2)
            desk.server.fail("AddOrder", "503 after", "drop after", "EAPI:Invalid signature")
            for name in ("c-2", "c-3", "c-4"):
                desk.send("0.5", name)
            answer = desk.decide("0.5", "c-5")
            assert answer.approval is not None
            hidden.add(answer.approval.signature)
            with pytest.raises(ApprovalError):
                desk.gateway.submit(answer.approval, order("9", venue="kraken"))
            desk.server.fail("Balance", "EAPI:Invalid key")
            with pytest.raises(ExchangeError):
                desk.gateway.balances("main")
            reconcile(desk.follower, desk.policies.linked.desk.instruments, clock=desk.clock)
            desk.guard.set_kill_switch("firm", "halted", by="ann", reason="drill")
            events.wait(lambda: desk.working() == [])
        hidden |= set(desk.server.tokens)
        hidden |= {each["API-Sign"] for each in desk.server.headers if "API-Sign" in each}
        assert len(hidden) > 10
        desk.stop()
    return hidden
