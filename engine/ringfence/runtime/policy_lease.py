"""What a policy lease that is over makes of an answer: the same words when it is given and when it is derived."""

__all__ = ["lease_words"]

_SECOND_NS = 1e9
_CODE = "POLICY_LEASE_EXPIRED"


def lease_words(age_ns: int, lease_ns: int) -> tuple[str, str]:
    """Reason and code of an order that is rejected for the lease alone.

    Args:
        age_ns: Since the policy set was confirmed.
        lease_ns: How long that may be ago.
    """
    return (
        f"{_CODE} age={age_ns / _SECOND_NS:.3f}s lease={lease_ns / _SECOND_NS:g}s"
        " only orders that reduce risk pass until the policy set is confirmed",
        _CODE,
    )
