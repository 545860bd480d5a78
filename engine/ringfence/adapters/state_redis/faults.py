"""What a failed request means: what went wrong, and whether the server may have done what it was asked."""

from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    ClusterDownError,
    MovedError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    TimeoutError,
    TryAgainError,
)

from ringfence.runtime.shared_log import StateUnavailableError

__all__ = ["RequestError", "refusal", "unanswered", "unconnected"]

_RIGHTS = (
    "auth",
    "does not let this user do it",
    "give the user's ACL `~{ringfence:*` and `+@all -@admin -@dangerous +info`",
)
_MEMORY_FIX = "give the server more memory, or set a higher `maxmemory`"
# By the word that an error of the server begins with, or its class: kind, words, fix. With any of these the server
# refuses a script before its first command.
_REFUSALS: tuple[tuple[type[Exception] | str, str, str, str], ...] = (
    (OutOfMemoryError, "memory", "has reached its `maxmemory`", _MEMORY_FIX),
    (ReadOnlyError, "readonly", "is a replica and takes no writes", "name the primary"),
    (BusyLoadingError, "loading", "is still loading its data", "wait until it is done"),
    (AuthenticationError, "auth", "refuses the password", "set the password that it has"),
    (AuthorizationError, "auth", "refuses the user", "set a user that it knows"),
    (NoPermissionError, *_RIGHTS),
    ("The user executing the script can't run this command", *_RIGHTS),
    (ClusterDownError, "cluster", "is of a cluster that is down", "mend the cluster"),
    (MovedError, "cluster", "is of a cluster and has handed the books over", "set `cluster`"),
    (TryAgainError, "cluster", "is moving the books to another node", "wait until it is done"),
    ("MISCONF", "disk", "cannot write to its disk", "look into its log"),
    ("NOREPLICAS", "replicas", "has too few replicas for its `min-replicas-to-write`", "mend them"),
    ("BUSY", "busy", "is held up by another script", "wait, or end it with `SCRIPT KILL`"),
    ("max number of clients", "connect", "has too many clients", "raise its `maxclients`"),
)


class RequestError(StateUnavailableError):
    """A failed request; `kind` is one of a few words, for a metric."""

    def __init__(self, kind: str, message: str, fix: str = "", *, sent: bool) -> None:
        super().__init__(message, fix, sent=sent)
        self.kind = kind


def refusal(where: str, error: RedisError) -> RequestError:
    """The server answered with an error."""
    for known, kind, words, fix in _REFUSALS:
        if str(error).startswith(known) if isinstance(known, str) else isinstance(error, known):
            return RequestError(kind, f"the Redis server at {where} {words}", fix, sent=False)
    # Of an error within a script it is not known what ran before it.
    return RequestError("answer", f"the Redis server at {where} answered: {error}", sent=True)


def unconnected(where: str, error: Exception) -> RequestError:
    """No connection came about, or it was not let in: nothing was asked."""
    if isinstance(error, TimeoutError):
        return RequestError(
            "timeout", f"the Redis server at {where} did not let us in in time", sent=False
        )
    if isinstance(error, RedisError) and error.status_code is not None:
        found = refusal(where, error)
        found.sent = False
        return found
    return RequestError(
        "connect",
        f"the Redis server at {where} cannot be reached",
        "start it, or mend its address or the network",
        sent=False,
    )


def unanswered(where: str, error: Exception) -> RequestError:
    """The request went out, and no answer came."""
    if isinstance(error, TimeoutError):
        return RequestError(
            "timeout",
            f"the Redis server at {where} did not answer in time",
            "look whether it is slow, or raise `timeout_ms`",
            sent=True,
        )
    return RequestError(
        "lost", f"the connection to the Redis server at {where} was lost", sent=True
    )
