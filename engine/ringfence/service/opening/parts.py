"""What cannot be opened, in words: which part, why, and how to mend it."""

from collections.abc import Iterator
from contextlib import contextmanager

from ringfence.errors import ExchangeError, InputError, PolicyError, RingfenceError

__all__ = ["opening"]


@contextmanager
def opening(part: str, fix: str = "") -> Iterator[None]:
    """Name the part in whatever is raised while it is opened.

    Args:
        part: As `the audit log`.
        fix: How to mend it, where the error does not say.

    Raises:
        InputError: it cannot be opened.
    """
    try:
        yield
    except PolicyError:
        # Findings have their own form, with places.
        raise
    except ExchangeError as error:
        raise InputError(f"{part} cannot be opened: {error.message}", fix) from None
    except InputError as error:
        raise InputError(f"{part} cannot be opened: {error.message}", error.fix or fix) from None
    except RingfenceError as error:
        raise InputError(f"{part} cannot be opened: {error}", fix) from None
    except OSError as error:
        why = (error.strerror or type(error).__name__).lower()
        where = f" `{error.filename}`" if error.filename else ""
        raise InputError(f"{part} cannot be opened:{where} {why}", fix) from None
