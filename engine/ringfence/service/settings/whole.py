"""All settings of the service."""

from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from ringfence.runtime.credentials import Environment
from ringfence.service.settings.access import AccessSettings
from ringfence.service.settings.sections import (
    AuditSettings,
    GuardSection,
    JobsSettings,
    LogSettings,
    MarketCacheSettings,
    MetricsSettings,
    PoliciesSettings,
    ReloadSection,
    ServerSettings,
    StateSettings,
    VenueSettings,
)
from ringfence.service.settings.values import Money

__all__ = ["PREFIX", "ServiceSettings", "short_policies"]

PREFIX = "RINGFENCE_"


def short_policies(value: Any) -> Any:
    """`policies: DIRECTORY` stands for the section with that directory."""
    return {"directories": value} if isinstance(value, str | Path | list | tuple) else value


def _by_book(value: Any) -> Any:
    """`account/alpha=6000000, account/beta=4000000`, as variables and flags hold it."""
    if not isinstance(value, str):
        return value
    pairs = [each.partition("=") for each in value.split(",") if each.strip()]
    return {book.strip(): amount.strip() for book, _, amount in pairs}


class ServiceSettings(BaseSettings):
    """All settings of the service. One that is made directly holds what it is given, and defaults;
    `load_settings` reads file, environment and flags.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        enable_decoding=False,
        extra="forbid",
        frozen=True,
    )

    environment: Environment = Field(
        "production",
        description="how strict to be: `production` refuses what is not safe, `testing` makes its own secrets",
    )
    policies: Annotated[PoliciesSettings, BeforeValidator(short_policies)] = Field(
        PoliciesSettings(), description="where the policies are; a text alone is their directory"
    )
    data: Path = Field(
        Path("ringfence-data"),
        description="directory of state, audit log and accepted policy sets, for this service alone",
    )
    opening_balances: Annotated[dict[str, Money], BeforeValidator(_by_book)] = Field(
        {},
        description="first money of books (`account/NAME`, `strategy/NAME`) that have none yet, in the policies' currency",
    )
    reload: ReloadSection = Field(ReloadSection(), description="how policies are reloaded")
    server: ServerSettings = Field(ServerSettings(), description="where the service listens")
    log: LogSettings = Field(LogSettings(), description="what the process writes about itself")
    audit: AuditSettings = Field(AuditSettings(), description="the audit log and its copy")
    state: StateSettings = Field(StateSettings(), description="where the books are kept")
    market_cache: MarketCacheSettings = Field(
        MarketCacheSettings(), description="market data shared by guards"
    )
    venues: dict[str, VenueSettings] = Field(
        {"paper": VenueSettings()}, description="exchanges, by the name that orders call them"
    )
    guard: GuardSection = Field(GuardSection(), description="how the guard decides")
    access: AccessSettings = Field(AccessSettings(), description="who is let in")
    jobs: JobsSettings = Field(JobsSettings(), description="dry runs over the API")
    metrics: MetricsSettings = Field(MetricsSettings(), description="what Prometheus is told")

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if self.server.workers > 1 and self.state.kind != "redis":
            raise ValueError("several workers share their books: set `state.kind` to `redis`")
        if self.market_cache.kind == "redis" and self.state.kind != "redis":
            raise ValueError(
                "the market cache is on the server of the state: set `state.kind` to `redis`"
            )
        if self.server.workers > 1 and self.venues and "venues" in self.model_fields_set:
            raise ValueError(
                "one process alone holds an exchange account: leave `venues` out, or run one worker"
            )
        kraken = [name for name, each in self.venues.items() if each.kind == "kraken"]
        if any(name != "kraken" for name in kraken):
            raise ValueError("the venue of kind `kraken` is called `kraken` in orders: name it so")
        if kraken and len(self.venues["kraken"].accounts) != 1:
            raise ValueError("an API key is for one account: name it in `venues.kraken.accounts`")
        return self

    @property
    def open_venues(self) -> dict[str, VenueSettings]:
        """The venues that are opened: none by several workers, which only decide."""
        return self.venues if self.server.workers == 1 else {}

    def data_of(self, worker: int) -> Path:
        """The directory of one process: `data` itself, or below `data/workers` where there are several."""
        return self.data if self.server.workers == 1 else self.data / "workers" / str(worker)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What is given, and nothing else: `load_settings` puts the sources together, and knows which is which."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)
