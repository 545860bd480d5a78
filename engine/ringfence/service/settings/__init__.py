"""How the service is set up: a YAML file, the environment (`RINGFENCE_...`), flags; the last one named wins.

Secrets are no settings: `runtime.credentials` reads them, from variables or files of their own.
"""

from ringfence.service.settings.access import AccessSettings
from ringfence.service.settings.described import Described, described
from ringfence.service.settings.loading import (
    CONFIG_VARIABLE,
    DEFAULT_FILE,
    Loaded,
    Origin,
    load_settings,
)
from ringfence.service.settings.schema import settings_schema
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
from ringfence.service.settings.shown import shown_settings
from ringfence.service.settings.whole import ServiceSettings

__all__ = [
    "CONFIG_VARIABLE",
    "DEFAULT_FILE",
    "AccessSettings",
    "AuditSettings",
    "Described",
    "GuardSection",
    "JobsSettings",
    "Loaded",
    "LogSettings",
    "MarketCacheSettings",
    "MetricsSettings",
    "Origin",
    "PoliciesSettings",
    "ReloadSection",
    "ServerSettings",
    "ServiceSettings",
    "StateSettings",
    "VenueSettings",
    "described",
    "load_settings",
    "settings_schema",
    "shown_settings",
]
