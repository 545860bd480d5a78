"""A way into the demo: a user with a password that is made at its start and kept nowhere but as a hash."""

from ringfence.runtime.ports import SYSTEM_RANDOM, Random
from ringfence.service.access.rights import Role
from ringfence.service.desk import Desk

__all__ = ["USER", "demo_login"]

USER = "demo"
_BY = "the demo"


def demo_login(desk: Desk, random: Random = SYSTEM_RANDOM) -> dict[str, str]:
    """Let one risk officer in.

    Returns:
        Name and password, for whoever started the demo.
    """
    password = random.token(12)
    users = desk.access.users
    if users.find(USER) is None:
        users.add(USER, Role.RISK_OFFICER, [], password, _BY, must_change=False)
    else:
        users.change(
            USER, role=Role.RISK_OFFICER, enabled=True, password=password, must_change=False
        )
    return {"user": USER, "password": password}
