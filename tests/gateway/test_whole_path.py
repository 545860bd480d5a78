"""The whole way: an approval, the gateway, the exchange, its fills, and the ledger's books."""

from collections.abc import Iterator
from decimal import Decimal

import pytest

from adapters.kraken_server import KrakenServer, running
from gateway.approved_orders import FIELDS, NOW_NS, SECOND, RefusalList, order
from ringfence.errors import ApprovalError
from ringfence.gateway import connect_kraken, connect_paper, signer_of
from ringfence.language.instruments import Instrument
from ringfence.language.orders import Market
from ringfence.runtime.credentials import (
    API_SECRET_KEY,
    KRAKEN_API_KEY,
    KRAKEN_SECRET,
    Credentials,
    load_credentials,
)
from ringfence.runtime.exchanges import OrderState
from ringfence.runtime.ledger import Ledger
from ringfence.runtime.ports import FixedClock, SeededRandom
from ringfence.runtime.used_approvals import MemoryUsedApprovals

pytestmark = pytest.mark.integration

INSTRUMENTS = {"BTC/USD": Instrument("BTC/USD", lot_step=Decimal("0.0001"), quote="USD")}


@pytest.fixture
def credentials() -> Credentials:
    kinds = (API_SECRET_KEY, KRAKEN_API_KEY, KRAKEN_SECRET)
    return load_credentials(kinds, {"RINGFENCE_ENVIRONMENT": "testing"}, random=SeededRandom(2))


@pytest.fixture
def ledger() -> Ledger:
    made = Ledger(INSTRUMENTS, "USD")
    made.open("account/main", 100_000)
    made.mark("BTC/USD", 1, 50_000, 50_000, 50_000)
    made.reserve("c-1", "main", "trend", "BTC/USD", "buy", Decimal("0.4"))
    return made


@pytest.fixture
def server(credentials: Credentials) -> Iterator[KrakenServer]:
    key, secret = (credentials.get(kind).reveal() for kind in (KRAKEN_API_KEY, KRAKEN_SECRET))
    with running(key, secret, NOW_NS) as made:
        yield made


@pytest.mark.parametrize("fault", ["ok", "drop after", "503 after"])
def test_an_order_at_kraken_ends_in_the_books(
    fault: str, credentials: Credentials, ledger: Ledger, server: KrakenServer
) -> None:
    clock, audit = FixedClock(NOW_NS), RefusalList()
    gateway = connect_kraken(
        credentials,
        "main",
        MemoryUsedApprovals(clock),
        audit,
        url=server.url,
        pace_s=0,
        clock=clock,
    )
    signed = signer_of(credentials).sign(**{**FIELDS, "venue": "kraken"})
    server.fail("AddOrder", fault)

    ack = gateway.submit(signed, order(venue="kraken"))
    with pytest.raises(ApprovalError, match="REPLAYED"):
        gateway.submit(signed, order(venue="kraken"))
    server.fill(ack.exchange_order_id, "0.1", "50000", "5")
    server.now_ns += SECOND
    first = list(gateway.fills("main"))
    server.fill(ack.exchange_order_id, "0.3", "49000", "15")
    fills = first + list(gateway.fills("main", after=first[-1].cursor))
    booked = [
        ledger.fill(each.client_order_id, each.cumulative_size, each.price, each.fee)
        for each in fills + fills
    ]

    assert ack.state is OrderState.WORKING
    assert len(server.orders) == len(server.asked("AddOrder")) == 1
    # The second telling of a fill books nothing.
    assert booked == [Decimal("0.1"), Decimal("0.3"), 0, 0]
    book = ledger.as_case_book("account/main")
    assert book.positions["BTC/USD"].size == Decimal("0.4")
    assert book.working == []
    assert book.equity == 100_000 + 0.3 * 1_000 - 20
    assert gateway.find("main", "c-1").state is OrderState.FILLED
    assert [body["code"] for _, body in audit.records] == ["REPLAYED"]


def test_an_order_on_paper_ends_in_the_books(credentials: Credentials, ledger: Ledger) -> None:
    clock = FixedClock(NOW_NS)
    gateway, on_market = connect_paper(
        credentials,
        MemoryUsedApprovals(clock),
        instruments=INSTRUMENTS,
        accounts=frozenset({"main"}),
        clock=clock,
    )
    signed = signer_of(credentials).sign(**{**FIELDS, "venue": "paper"})
    gateway.submit(signed, order(venue="paper"))
    for depth in (0.1, 0.2):
        on_market("BTC/USD", Market(bid=49_999, ask=50_000, ask_depth=depth))
    gateway.cancel("main", "c-1")
    ledger.cancel("c-1")
    for each in gateway.fills("main"):
        ledger.fill(each.client_order_id, each.cumulative_size, each.price, each.fee)

    book = ledger.as_case_book("account/main")
    assert book.positions["BTC/USD"].size == Decimal("0.3")
    assert book.working == []
