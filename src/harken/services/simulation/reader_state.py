"""What simulated readers did so far, as far as it changes their interests."""

from collections import defaultdict
from dataclasses import dataclass, field

from harken.domain.feedback import FeedbackAction


@dataclass
class ReaderState:
    """The ids of the K-Blocks that each reader opened, and of those that they dismissed."""

    opened: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    dismissed: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def note(self, user_id: str, kblock_id: str, action: str) -> None:
        """Record what a reader did."""
        kinds = {FeedbackAction.VIEW: self.opened, FeedbackAction.DISMISS: self.dismissed}
        if (kind := kinds.get(FeedbackAction(action))) is not None:
            kind[user_id].add(kblock_id)
