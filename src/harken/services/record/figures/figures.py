"""All figures of one database, as the dashboard asks for them."""

from collections.abc import Callable
from datetime import datetime

from harken.database import Database
from harken.services.record.figures.drill_down import DrillDown
from harken.services.record.figures.impressions import ImpressionFigures
from harken.services.record.figures.periods import PeriodFigures
from harken.services.record.figures.places import PlaceFigures


class Figures:
    """Periods, impressions, places, and single K-Blocks and readers."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self.periods = PeriodFigures(database, clock)
        self.impressions = ImpressionFigures(database, clock)
        self.places = PlaceFigures(database, clock)
        self.single = DrillDown(database, clock)
