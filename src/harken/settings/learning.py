"""The settings of learning: training, promotion of models, adaptive experiments."""

from datetime import timedelta

from pydantic import Field
from pydantic_settings import BaseSettings

from harken.setting_types import Promotion, Share
from harken.settings.parsing import Period


class LearningSettings(BaseSettings):
    """The settings of learning, a part of `harken.config.Settings`."""

    promotion: Promotion = Field(
        Promotion.REPLAY,
        description="How a trained model is promoted: by replay of the log, or by trial.",
    )
    swap_share: Share = Field(
        0.1,
        description="Share of personal orders with swapped pairs, with HARKEN_PROMOTION=trial.",
    )
    trial_margin: Share = Field(
        0.05,
        description="Credit by which a retrained model may be worse and still replace the old one.",
    )
    retrain_every: Period = Field(
        None, description="Maximum age of the newest model before `serve` trains another: 7d."
    )
    allocate_every: Period = Field(
        timedelta(days=1),
        ge=timedelta(days=1),
        description="How often `serve` changes the allocation of adaptive experiments: 1d.",
    )

    @property
    def swapped_share(self) -> float:
        """The share of personal orders whose pairs are swapped; 0 with promotion by replay."""
        return self.swap_share if self.promotion is Promotion.TRIAL else 0.0

    @property
    def margin_of_trials(self) -> float | None:
        """The margin of trials of models; None with promotion by replay."""
        return self.trial_margin if self.promotion is Promotion.TRIAL else None
