"""The paper exchange, which needs no network and no credentials."""

from ringfence.adapters.exchange_paper.exchange import PaperExchange, PaperSettings

__all__ = ["PaperExchange", "PaperSettings"]
