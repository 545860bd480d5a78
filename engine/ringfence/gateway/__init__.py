"""Orders out: the one way to an exchange, for approved orders only; what became of them, and cancels."""

from ringfence.gateway.connect import (
    PaperSettings,
    connect_kraken,
    connect_paper,
    renew_signer,
    signer_of,
)
from ringfence.gateway.cursors import Cursor, FileCursor, MemoryCursor
from ringfence.gateway.following import Follower, FollowSettings
from ringfence.gateway.gateway import Gateway, RefusalLog
from ringfence.gateway.snapshots import VenueView, reconcile, take_snapshot
from ringfence.gateway.switch_cancels import CancelSettings, SwitchCancels

__all__ = [
    "CancelSettings",
    "Cursor",
    "FileCursor",
    "FollowSettings",
    "Follower",
    "Gateway",
    "MemoryCursor",
    "PaperSettings",
    "RefusalLog",
    "SwitchCancels",
    "VenueView",
    "connect_kraken",
    "connect_paper",
    "reconcile",
    "renew_signer",
    "signer_of",
    "take_snapshot",
]
