"""How the service is set up: a YAML file, the environment (`RINGFENCE_...`), flags; the last one named wins.

Secrets are no settings: `runtime.credentials` reads them, from variables or files of their own.
"""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)

from ringfence.runtime.credentials import Environment
from ringfence.service.access.settings import AccessSettings

__all__ = ["ServiceSettings"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ServerSettings(_Section):
    """Where the service listens."""

    host: str = "127.0.0.1"
    port: int = Field(5000, ge=0, le=65535, description="dashboard and API")
    metrics_port: int = Field(8000, ge=0, le=65535, description="/metrics")
    health_port: int = Field(8001, ge=0, le=65535, description="/health")


class AuditSettings(_Section):
    """The audit log and where it is copied to."""

    durability: Literal["process", "disk"] = "process"
    sink: Literal["duckdb", "postgres", "none"] = "duckdb"


class VenueSettings(_Section):
    """An exchange."""

    kind: Literal["paper", "kraken"] = "paper"
    accounts: tuple[str, ...] = Field(
        (), description="accounts that trade there; empty for all declared"
    )


class ServiceSettings(BaseSettings):
    """All settings of the service."""

    model_config = SettingsConfigDict(
        env_prefix="RINGFENCE_", env_nested_delimiter="__", extra="forbid", frozen=True
    )

    environment: Environment = "production"
    policies: Path = Field(Path("policies"), description="directory of the policies")
    data: Path = Field(
        Path("ringfence-data"), description="directory of state, audit log, policy store"
    )
    server: ServerSettings = ServerSettings()
    audit: AuditSettings = AuditSettings()
    access: AccessSettings = AccessSettings()
    venues: dict[str, VenueSettings] = {"paper": VenueSettings()}

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags, then the environment, then the file."""
        del dotenv_settings, file_secret_settings
        return init_settings, env_settings, YamlConfigSettingsSource(settings_cls)
