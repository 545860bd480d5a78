"""A trading platform's own risk engine, NautilusTrader's: is an order submitted, it checks it and passes it on."""

from collections.abc import Callable
from typing import Any

__all__ = ["PLATFORM", "platform_asks"]

#: Its name at PyPI.
PLATFORM = "nautilus_trader"
_EQUITY = 10_000_000


def platform_asks() -> Callable[[str], Callable[[], bool]]:
    """A risk engine with a cash account, a price and limits on rate and value.

    Returns:
        Makes a limit order to buy a size at 50,000, and gives what asks about it: whether it was passed on. What it checks: that the
        instrument trades and the order fits it, the order's value, the account's free balance, the rate. It measures neither exposure nor
        losses nor correlations, and keeps no record.
    """
    from nautilus_trader.cache.cache import Cache
    from nautilus_trader.common.component import MessageBus, TestClock
    from nautilus_trader.common.factories import OrderFactory
    from nautilus_trader.core.uuid import UUID4
    from nautilus_trader.execution.messages import SubmitOrder
    from nautilus_trader.model.currencies import USDT
    from nautilus_trader.model.data import QuoteTick
    from nautilus_trader.model.enums import AccountType, OrderSide
    from nautilus_trader.model.events import AccountState
    from nautilus_trader.model.identifiers import AccountId, StrategyId, TraderId
    from nautilus_trader.model.objects import AccountBalance, Money, Price, Quantity
    from nautilus_trader.portfolio.portfolio import Portfolio
    from nautilus_trader.risk.config import RiskEngineConfig
    from nautilus_trader.risk.engine import RiskEngine
    from nautilus_trader.test_kit.providers import TestInstrumentProvider

    clock, trader, strategy = TestClock(), TraderId("DESK-001"), StrategyId("TREND-001")
    bus, cache = MessageBus(trader, clock), Cache(database=None)
    portfolio = Portfolio(msgbus=bus, cache=cache, clock=clock)
    instrument = TestInstrumentProvider.btcusdt_binance()
    cache.add_instrument(instrument)
    config = RiskEngineConfig(
        max_order_submit_rate="1000000/00:00:01",
        max_notional_per_order={instrument.id.value: 1_000_000},
    )
    engine = RiskEngine(portfolio=portfolio, msgbus=bus, cache=cache, clock=clock, config=config)
    passed: list[Any] = []
    bus.register("ExecEngine.execute", passed.append)
    # It tells of denials here.
    bus.register("ExecEngine.process", lambda _: None)
    money = [Money(_EQUITY, USDT), Money(0, USDT), Money(_EQUITY, USDT)]
    portfolio.update_account(
        AccountState(
            account_id=AccountId("BINANCE-000"),
            account_type=AccountType.CASH,
            base_currency=None,
            reported=True,
            balances=[AccountBalance(*money)],
            margins=[],
            info={},
            event_id=UUID4(),
            ts_event=0,
            ts_init=0,
        )
    )
    price, some = Price.from_str("50000.00"), Quantity.from_str("1.000000")
    cache.add_quote_tick(QuoteTick(instrument.id, price, price, some, some, 0, 0))
    orders = OrderFactory(trader_id=trader, strategy_id=strategy, clock=clock, cache=cache)

    def prepare(size: str) -> Callable[[], bool]:
        order = orders.limit(instrument.id, OrderSide.BUY, Quantity.from_str(size), price)
        command = SubmitOrder(
            trader_id=trader,
            strategy_id=strategy,
            position_id=None,
            order=order,
            command_id=UUID4(),
            ts_init=clock.timestamp_ns(),
        )
        cache.add_order(order, None)
        passed.clear()

        def ask() -> bool:
            engine.execute(command)
            return bool(passed)

        return ask

    return prepare
