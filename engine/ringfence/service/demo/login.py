"""A way into the demo: made at its start, and good for as long as it runs."""

from ringfence.service.access.rights import Principal, Role
from ringfence.service.desk import Desk

__all__ = ["demo_login"]

_USER = "demo-risk-officer"
_VALID_S = 86_400


def demo_login(desk: Desk) -> list[str]:
    """What to tell whoever started the demo."""
    token = desk.tokens.make(Principal(_USER, Role.RISK_OFFICER), _VALID_S)
    return [f"user       {_USER}, a risk officer", f"token      {token}"]
