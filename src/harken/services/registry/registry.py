"""The registry: the trained models of one database, what they are trained on, and the reports."""

from collections.abc import Callable
from datetime import datetime

from harken.database import Database
from harken.domain.times import FutureItems
from harken.services.registry.leases import LeaseStore
from harken.services.registry.report_store import ReportStore
from harken.services.registry.store import ModelStore
from harken.services.registry.training_data import TrainingDataStore


class Registry:
    """The stores of training and of the report; `clock` says what the time is."""

    def __init__(
        self, database: Database, clock: Callable[[], datetime], future_items: FutureItems
    ) -> None:
        self.models = ModelStore(database, clock)
        self.training_data = TrainingDataStore(database, future_items)
        self.reports = ReportStore(database, clock)
        self.leases = LeaseStore(database)
