"""All of access that is open: made once for a desk."""

from dataclasses import dataclass

from ringfence.reload import Reloader
from ringfence.runtime.audit_log import AuditLog
from ringfence.runtime.guard import CentralRiskGuard
from ringfence.runtime.ports import Clock
from ringfence.service.access.four_eyes import FourEyes
from ringfence.service.access.records import Records
from ringfence.service.settings import ServiceSettings

__all__ = ["Access", "open_access"]


@dataclass(frozen=True, slots=True)
class Access:
    """Who may come in, and what needs two of them. All parts may be used from any thread."""

    records: Records
    four_eyes: FourEyes


def open_access(
    settings: ServiceSettings,
    log: AuditLog,
    guard: CentralRiskGuard,
    reloader: Reloader,
    clock: Clock,
) -> Access:
    """Open what the settings name."""
    about = settings.access
    records = Records(log, clock)
    four_eyes = FourEyes(
        guard,
        reloader,
        records,
        clock,
        actions=frozenset(about.four_eyes),
        valid_ns=about.proposal_valid,
        folder=settings.data / "access",
        store=settings.data / "policies",
    )
    return Access(records, four_eyes)
