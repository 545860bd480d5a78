"""Pre-trade risk limits as code.

The public names load on first use, so that importing the package, and every start of the command
line, costs nothing that is not needed.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ringfence.errors import PolicyError
    from ringfence.language.decision import RiskDecision
    from ringfence.language.orders import OrderRequest
    from ringfence.runtime.policy_set import PolicySet

__version__ = "0.1.0"

__all__ = ["OrderRequest", "PolicyError", "PolicySet", "RiskDecision", "__version__"]

_HOME = {
    "OrderRequest": "ringfence.language.orders",
    "PolicyError": "ringfence.errors",
    "PolicySet": "ringfence.runtime.policy_set",
    "RiskDecision": "ringfence.language.decision",
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
