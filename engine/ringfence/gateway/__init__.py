"""Orders out: the one way to an exchange, for approved orders only."""

from ringfence.gateway.connect import PaperSettings, connect_kraken, connect_paper, signer_of
from ringfence.gateway.gateway import Gateway, RefusalLog

__all__ = [
    "Gateway",
    "PaperSettings",
    "RefusalLog",
    "connect_kraken",
    "connect_paper",
    "signer_of",
]
