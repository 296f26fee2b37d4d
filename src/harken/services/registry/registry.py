"""The registry of one database: trained models, training data, reports and leases."""

from collections.abc import Callable
from datetime import datetime

from harken.database import Database
from harken.domain.times import FutureItems
from harken.services.readers.affinities import AffinitySettings
from harken.services.registry.event_files import EventFileStore
from harken.services.registry.leases import LeaseStore
from harken.services.registry.report_store import ReportStore
from harken.services.registry.store import ModelStore
from harken.services.registry.training_data import TrainingDataStore


class Registry:
    """The stores of models, training data, reports, leases; `clock` returns the current time."""

    def __init__(
        self,
        database: Database,
        clock: Callable[[], datetime],
        future_items: FutureItems,
        affinities: AffinitySettings,
    ) -> None:
        self.models = ModelStore(database, clock)
        self.training_data = TrainingDataStore(database, future_items, affinities)
        self.event_files = EventFileStore(database, future_items)
        self.reports = ReportStore(database, clock)
        self.leases = LeaseStore(database)
