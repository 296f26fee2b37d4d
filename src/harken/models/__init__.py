"""The tables."""

from harken.models.access_key import FeedKey
from harken.models.archive.tables import (
    FeedArchiveFile,
    FeedBaselineContradiction,
    FeedBaselineMinute,
    FeedBaselineReader,
    FeedLogStart,
)
from harken.models.base import Base
from harken.models.comment import FeedComment
from harken.models.erasure import FeedErasure, FeedTombstone, FeedTombstoneClock
from harken.models.experiment import (
    FeedAllocation,
    FeedExperiment,
    FeedExposure,
    FeedLayerSlot,
    FeedOrderSample,
)
from harken.models.feed_feedback import (
    FeedActivityMinute,
    FeedActivityTotal,
    FeedContradiction,
    FeedEngagementStats,
    FeedHalfLife,
    FeedInteraction,
    FeedLogOrder,
    FeedUserEngagementStats,
)
from harken.models.kblock import FeedSource, KBlockClock, KBlockEdge, KBlockRow, KBlockVersion
from harken.models.keeping import FeedLease, FeedReport
from harken.models.quarantine import (
    FeedAlert,
    FeedAlertMember,
    FeedQuarantine,
    FeedQuarantineAct,
    FeedSetAside,
)
from harken.models.ranking_model import FeedModel, FeedPromotion
from harken.models.reader import FeedDeclaration, FeedDismissal, FeedUser
from harken.models.reading import FeedRead, FeedSave
from harken.models.slate import FeedOrder, FeedSecret, FeedSlate

__all__ = [
    "Base",
    "FeedActivityMinute",
    "FeedActivityTotal",
    "FeedAlert",
    "FeedAlertMember",
    "FeedAllocation",
    "FeedArchiveFile",
    "FeedBaselineContradiction",
    "FeedBaselineMinute",
    "FeedBaselineReader",
    "FeedComment",
    "FeedContradiction",
    "FeedDeclaration",
    "FeedDismissal",
    "FeedEngagementStats",
    "FeedErasure",
    "FeedExperiment",
    "FeedExposure",
    "FeedHalfLife",
    "FeedInteraction",
    "FeedKey",
    "FeedLayerSlot",
    "FeedLease",
    "FeedLogOrder",
    "FeedLogStart",
    "FeedModel",
    "FeedOrder",
    "FeedOrderSample",
    "FeedPromotion",
    "FeedQuarantine",
    "FeedQuarantineAct",
    "FeedRead",
    "FeedReport",
    "FeedSave",
    "FeedSecret",
    "FeedSetAside",
    "FeedSlate",
    "FeedSource",
    "FeedTombstone",
    "FeedTombstoneClock",
    "FeedUser",
    "FeedUserEngagementStats",
    "KBlockClock",
    "KBlockEdge",
    "KBlockRow",
    "KBlockVersion",
]
