"""What somebody may see: a trader its own accounts, everybody else all."""

from ringfence.service.access.rights import Principal, Role

__all__ = ["sees_account", "sees_target"]

_ACCOUNT = "account/"


def sees_account(user: Principal, account: str) -> bool:
    """Whether what belongs to an account is shown."""
    return user.role is not Role.TRADER or account in user.accounts


def sees_target(user: Principal, target: str) -> bool:
    """Whether a book or a kill switch is shown: `firm`, `account/NAME`, `symbol/NAME`, ..."""
    return not target.startswith(_ACCOUNT) or sees_account(user, target.removeprefix(_ACCOUNT))
