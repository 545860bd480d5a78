"""The sections of the settings, each setting with its default and its meaning."""

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ringfence.service.settings.values import Address, Bytes, Duration, Names, Paths, seconds

__all__ = [
    "OWN_PATHS",
    "AuditSettings",
    "GuardSection",
    "JobsSettings",
    "LogSettings",
    "MarketCacheSettings",
    "MetricsSettings",
    "PoliciesSettings",
    "ReloadSection",
    "Section",
    "ServerSettings",
    "StateSettings",
    "VenueSettings",
]

Port = Annotated[int, Field(ge=0, le=65535)]


#: What the paths of the service's own routes begin with.
OWN_PATHS = frozenset(
    (
        "decisions",
        "dry-runs",
        "kill-switch",
        "limits",
        "live",
        "login",
        "logout",
        "password",
        "policies",
        "schema",
        "static",
        "v1",
    )
)


class Section(BaseModel):
    """Settings that belong together."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PoliciesSettings(Section):
    """Where the policies are: directories, or a branch of a repository."""

    directories: Paths = Field(
        (Path("policies"),), min_length=1, description="directories or files of policies and rules"
    )
    repository: Path | None = Field(
        None, description="a Git repository; where given, `branch` of it counts, and no directory"
    )
    branch: str = Field(
        "main", description="the branch, or a full name such as `refs/remotes/origin/main`"
    )
    paths: Names = Field(
        ("policies",), min_length=1, description="files or directories in the repository"
    )
    signers: Path | None = Field(
        None,
        description="file of allowed signers, as `ssh-keygen` reads it: a commit counts only with their signature",
    )
    revoked: Path | None = Field(None, description="file of SSH keys that count no more")
    gnupg_home: Path | None = Field(
        None, description="directory of a GPG keyring, for GPG signatures"
    )
    follow_rewrites: bool = Field(
        True, description="whether a commit counts that does not descend from the one in force"
    )
    polling: bool = Field(
        False, description="read again and again: for file systems that do not tell of changes"
    )

    @model_validator(mode="after")
    def _signed_commits(self) -> Self:
        if self.repository is None and (self.signers or self.revoked or self.gnupg_home):
            raise ValueError("signatures are those of commits: name a `repository` as well")
        return self


class ReloadSection(Section):
    """How policies are reloaded while the service runs."""

    poll: Duration = Field(seconds(10), gt=0, description="how often the source is looked at")
    debounce: Duration = Field(
        seconds(0.25), description="so long nothing must have changed before files are read"
    )
    lease: Duration | None = Field(
        None,
        gt=0,
        description="without a look that found the source in order for so long, only orders that reduce risk pass",
    )
    golden: Path | None = Field(
        None,
        description="directory of policy tests that every set must pass, apart from the policies",
    )
    child_timeout: Duration = Field(
        seconds(900), gt=0, description="a set that takes longer to prove and compile is given up"
    )


class ServerSettings(Section):
    """Where the service listens, and how it speaks."""

    host: str = Field("127.0.0.1", min_length=1, description="address of all three ports")
    port: Port = Field(5000, description="port of dashboard and API")
    metrics_port: Port = Field(8000, description="port of `/metrics`")
    health_port: Port = Field(8001, description="port of `/health`")
    tls_certificate: Path | None = Field(
        None,
        description="PEM file with the certificate and its chain; read again when it is renewed",
    )
    tls_key: Path | None = Field(None, description="PEM file with the certificate's private key")
    behind_proxy: bool = Field(
        False, description="a proxy in front of the service speaks TLS, and alone reaches its port"
    )
    trusted_proxies: Names = Field(
        (),
        description="addresses or networks of proxies whose `X-Forwarded-*` headers are believed",
    )
    root_path: str = Field(
        "",
        pattern=r"^(/[A-Za-z0-9._~-]+)*$",
        description="path below which a proxy shows the service, such as `/risk`",
    )
    workers: int = Field(
        1, ge=1, le=64, description="processes that answer on the port; more than one needs Redis"
    )
    max_body: Bytes = Field(16 << 20, ge=1024, description="largest body of a request")
    most_connections: int = Field(
        1000, ge=1, description="connections at once; what comes beyond gets 503"
    )
    keep_alive: Duration = Field(
        seconds(5), gt=0, description="a connection without a request is closed after so long"
    )
    stop_within: Duration = Field(
        seconds(20),
        gt=0,
        description="requests under way have so long to end once the service stops",
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.root_path[1:].partition("/")[0] in OWN_PATHS:
            raise ValueError(
                f"`root_path`: `{self.root_path}` is a path of the service itself: take another"
            )
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("`tls_certificate` and `tls_key` go together: name both files")
        return self


class LogSettings(Section):
    """What the process writes about itself, to standard error."""

    format: Literal["text", "json"] = Field(
        "text", description="one line, or one JSON object, each"
    )
    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="what is written: this and what is graver"
    )
    requests: bool = Field(False, description="whether each request is a line")


class AuditSettings(Section):
    """The audit log, and the database it is copied to."""

    durability: Literal["process", "disk"] = Field(
        "process",
        description="a record outlives the end of the process, or a loss of power as well",
    )
    sink: Literal["duckdb", "postgres", "none"] = Field(
        "duckdb",
        description="where records are copied to; PostgreSQL's address is the secret `RINGFENCE_POSTGRES_URL`",
    )
    limit: Bytes = Field(
        64 << 30,
        ge=1 << 20,
        description="a log of this size takes nothing more, and orders are rejected",
    )
    keep: Bytes | None = Field(
        None,
        ge=1 << 20,
        description="the oldest files of a larger log are removed, but for what the sink lacks; all stay without it",
    )
    segment: Bytes = Field(
        64 << 20, ge=1 << 16, description="a file of this size is followed by the next"
    )
    mask_keys: Names = Field(
        (),
        description="globs of keys whose values the sink never sees, beside those that look like secrets",
    )
    mask_values: Names = Field(
        (), description="regular expressions of text that the sink never sees; no commas in them"
    )


class StateSettings(Section):
    """Where positions, reservations and switches are kept."""

    kind: Literal["embedded", "redis"] = Field(
        "embedded", description="in memory with a journal in the data directory, or shared in Redis"
    )
    durability: Literal["process", "disk"] = Field(
        "process", description="of the journal: outlives the end of the process, or a loss of power"
    )
    journal: Bytes = Field(
        256 << 20, ge=1 << 16, description="a longer journal is put into a snapshot"
    )
    url: Address = Field(
        "redis://127.0.0.1:6379/0",
        description="`redis://HOST:PORT/NUMBER`, `rediss://` for TLS; the password is the secret `REDIS_PASSWORD`",
    )
    username: str = Field("", description="user at Redis; the default one if empty")
    namespace: str = Field(
        "default", description="names the set of books; who names the same shares them"
    )
    cluster: bool = Field(False, description="whether the addresses are nodes of a Redis Cluster")
    more_nodes: Names = Field((), description="`HOST:PORT` of further nodes of the cluster")
    timeout: Duration = Field(
        seconds(0.1),
        ge=1_000_000,
        description="how long to wait for a connection, and for an answer",
    )
    snapshot_timeout: Duration = Field(
        seconds(5), ge=1_000_000, description="the same where whole snapshots are read and written"
    )
    wait_replicas: int = Field(
        0, ge=0, description="replicas that must have an event before it counts"
    )
    settle: Duration = Field(
        seconds(2),
        description="after Redis was restarted or replaced, no order is taken for so long",
    )
    ca_file: Path | None = Field(None, description="PEM file of whom to trust, for TLS")
    certificate_file: Path | None = Field(None, description="PEM file of the client's certificate")
    key_file: Path | None = Field(None, description="PEM file of the client's private key")


class MarketCacheSettings(Section):
    """Market data that several guards share."""

    kind: Literal["none", "redis"] = Field(
        "none", description="`redis` shares it on the server of the `state` section"
    )
    fresh: Duration = Field(seconds(5), ge=1_000_000, description="older data counts as none")
    refresh: Duration = Field(
        seconds(1), description="it is asked where what the guard knows is older than this"
    )


class VenueSettings(Section):
    """An exchange that orders are sent to."""

    kind: Literal["paper", "kraken"] = Field(
        "paper", description="simulated here, or Kraken's spot market"
    )
    accounts: Names = Field(
        (), description="accounts that trade there; all that are declared, if empty. At Kraken: one"
    )
    maker_fee: Decimal = Field(
        Decimal("0.0016"),
        description="on paper, the share of an order's worth that it costs to wait",
    )
    taker_fee: Decimal = Field(
        Decimal("0.0026"), description="on paper, the share that it costs to fill at once"
    )
    url: Address | None = Field(None, description="Kraken's REST address, where it is another one")
    stream_url: Address | None = Field(
        None, description="Kraken's private websocket, where it is another one"
    )
    stream: bool = Field(True, description="be told of orders over the websocket, beside asking")
    timeout: Duration = Field(
        seconds(10), ge=1_000_000, description="a request without an answer counts as unknown then"
    )
    pace: Duration = Field(
        seconds(1), description="time for each unit of Kraken's allowance; 1s fits its lowest tier"
    )
    poll: Duration = Field(
        seconds(2),
        gt=0,
        description="how often orders and fills are asked for, where nothing tells of them",
    )
    reconcile: Duration | None = Field(
        seconds(300),
        gt=0,
        description="how often, and at the start, books and exchange are compared; never on paper",
    )
    cash_currency: str = Field(
        "",
        description="currency whose balance is compared with the book's cash, and opens the book",
    )
    cash_tolerance: float = Field(0, ge=0, description="so much may the cash differ")


class GuardSection(Section):
    """How the guard decides."""

    name: str = Field(
        "",
        pattern="^[A-Za-z0-9_.-]{0,64}$",
        description="of this guard, its own among those that share books; the host's name if empty",
    )
    approval: Duration = Field(
        seconds(5), gt=0, description="how long an approval holds; Kraken needs 2s at least"
    )
    client_order_window: Duration = Field(
        86_400 * seconds(1),
        gt=0,
        description="how long the answer for a client order id is given again",
    )
    most_client_orders: int = Field(
        1_000_000, ge=1, description="client order ids remembered; beyond, new ones are rejected"
    )
    max_skew: Duration = Field(
        seconds(1), description="how far ahead of the guard's clock market data may be"
    )
    most_tries: int = Field(
        50, ge=1, description="tries to decide while other guards move the shared books"
    )


class JobsSettings(Section):
    """Dry runs that are asked for over the API."""

    directory: Path | None = Field(
        None,
        description="orders and prices are read from below this directory alone; `uploads` in the data directory if empty",
    )
    keep: int = Field(20, ge=1, le=1000, description="jobs that are over and are kept, with files")
    max_upload: Bytes = Field(
        256 << 20, ge=1024, description="largest file that can be uploaded for a dry run"
    )
    max_uploads: Bytes = Field(
        2 << 30, ge=1024, description="all uploaded files together are no larger than this"
    )


class MetricsSettings(Section):
    """What Prometheus is told."""

    most_limits: int = Field(
        500,
        ge=0,
        description="limits whose utilisation is a time series, those closest to their end first",
    )
