"""Where the Redis server is, as whom to ask it, and how long to wait for it."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from ringfence.errors import InputError
from ringfence.runtime.credentials import REDIS_PASSWORD, Secret

__all__ = ["REDIS_PASSWORD", "RedisSettings"]

_NAMESPACE = re.compile(r"[A-Za-z0-9_.:-]{1,100}")
_DEFAULT_PORT = 6379
_SHAPE = "give it as `redis://HOST:PORT/NUMBER`, or `rediss://...` for TLS"


@dataclass(frozen=True, slots=True)
class RedisSettings:
    """How to reach a server, or a cluster.

    Attributes:
        url: `redis://HOST:PORT/NUMBER`, `rediss://` for TLS: an address that always leads to the primary; of a
            cluster, any of its nodes.
        namespace: Names the set of books; guards that name the same one share them.
        password: Of the server or the user; never part of `url`.
        password_now: Asked for each new connection, so that the password may change; where it raises InputError,
            `password` is taken.
        username: The ACL user; empty for the default one.
        cluster: Whether `url` and `more_nodes` are nodes of a Redis Cluster.
        more_nodes: `HOST:PORT` of further nodes of the cluster, to start from while the first is down.
        timeout_ms: How long to wait for a connection, and for an answer.
        snapshot_timeout_ms: The same where whole snapshots are read and written.
        wait_replicas: Replicas that must have an event before it counts as in the log (`WAIT`).
        settle_ms: How long no order is taken after the server was restarted or a replica took over, so that each
            guard can give back first what was lost with it.
        kept_entries: Events before the latest snapshot that are kept, for guards that are a little behind.
        ca_file, certificate_file, key_file: For TLS: whom to trust, and the client's own certificate.

    Raises:
        InputError: a setting that cannot be.
    """

    url: str = "redis://127.0.0.1:6379/0"
    namespace: str = "default"
    password: Secret | None = None
    password_now: Callable[[], Secret] | None = None
    username: str = ""
    cluster: bool = False
    more_nodes: tuple[str, ...] = ()
    timeout_ms: int = 100
    snapshot_timeout_ms: int = 5_000
    wait_replicas: int = 0
    settle_ms: int = 2_000
    kept_entries: int = 1_000
    ca_file: str | None = None
    certificate_file: str | None = None
    key_file: str | None = None

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if "@" in parts.netloc:
            # An address is shown in messages.
            raise InputError(
                "the address of the Redis server holds a user or a password",
                "give them as `username` and `password`",
            )
        if parts.scheme not in ("redis", "rediss") or not parts.hostname:
            raise InputError("the address of the Redis server cannot be read", _SHAPE)
        if not _NAMESPACE.fullmatch(self.namespace):
            raise InputError(
                "the namespace of the shared books is not fit for a key",
                "use up to 100 letters, digits, `_`, `.`, `:` and `-`",
            )
        # Read once here, so that nothing is wrong with them later.
        database, _ = self.database, self.nodes
        if self.cluster and database:
            raise InputError(
                "a Redis Cluster has the database 0 alone", "leave the number out of `url`"
            )
        if self.more_nodes and not self.cluster:
            # Two servers that both take writes would be two sets of books.
            raise InputError("`more_nodes` are of a cluster", "set `cluster`, or give one address")
        for name, least in (
            ("timeout_ms", 1),
            ("snapshot_timeout_ms", 1),
            ("wait_replicas", 0),
            ("settle_ms", 0),
            ("kept_entries", 0),
        ):
            if getattr(self, name) < least:
                raise InputError(f"`{name}` is below {least}", f"set {least} or more")

    @property
    def tls(self) -> bool:
        """Whether connections are encrypted."""
        return urlsplit(self.url).scheme == "rediss"

    @property
    def database(self) -> int:
        """The number of the database."""
        path = urlsplit(self.url).path.strip("/")
        if not path:
            return 0
        if not path.isdecimal():
            raise InputError("the number of the Redis database is no number", _SHAPE)
        return int(path)

    @property
    def nodes(self) -> tuple[tuple[str, int], ...]:
        """Host and port of every server that was named."""
        return tuple(
            _address(text) for text in (f"//{urlsplit(self.url).netloc}", *self.more_nodes)
        )

    def key(self, name: str) -> str:
        """The key of a part of the books; all of them share a slot."""
        return f"{{ringfence:{self.namespace}}}:{name}"


def _address(text: str) -> tuple[str, int]:
    parts = urlsplit(text if text.startswith("//") else f"//{text}")
    try:
        port = parts.port
    except ValueError:
        port = None
        parts = parts._replace(netloc="")
    if not parts.hostname:
        raise InputError("the address of a Redis server cannot be read", "give it as `HOST:PORT`")
    return parts.hostname, port or _DEFAULT_PORT
