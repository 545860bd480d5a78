"""Orders out: the one way to an exchange, for approved orders only."""

from ringfence.gateway.gateway import Gateway, RefusalLog

__all__ = ["Gateway", "RefusalLog"]
