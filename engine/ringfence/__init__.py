"""Pre-trade risk limits as code.

The public names load on first use, so that importing the package, and every start of the command
line, costs nothing that is not needed.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ringfence.errors import (
        AuditError,
        InputError,
        LedgerError,
        PolicyError,
        RingfenceError,
        StateError,
    )
    from ringfence.language.decision import RiskDecision
    from ringfence.language.orders import OrderRequest
    from ringfence.runtime.asked import MarketData
    from ringfence.runtime.guard import CentralRiskGuard
    from ringfence.runtime.guard_settings import GuardSettings
    from ringfence.runtime.policy_set import PolicySet
    from ringfence.runtime.reconciliation import VenueSnapshot

__version__ = "0.1.0"

__all__ = [
    "AuditError",
    "CentralRiskGuard",
    "GuardSettings",
    "InputError",
    "LedgerError",
    "MarketData",
    "OrderRequest",
    "PolicyError",
    "PolicySet",
    "RingfenceError",
    "RiskDecision",
    "StateError",
    "VenueSnapshot",
    "__version__",
]

_HOME = {
    "AuditError": "ringfence.errors",
    "CentralRiskGuard": "ringfence.runtime.guard",
    "GuardSettings": "ringfence.runtime.guard_settings",
    "InputError": "ringfence.errors",
    "LedgerError": "ringfence.errors",
    "MarketData": "ringfence.runtime.asked",
    "OrderRequest": "ringfence.language.orders",
    "PolicyError": "ringfence.errors",
    "PolicySet": "ringfence.runtime.policy_set",
    "RingfenceError": "ringfence.errors",
    "RiskDecision": "ringfence.language.decision",
    "StateError": "ringfence.errors",
    "VenueSnapshot": "ringfence.runtime.reconciliation",
}


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)
