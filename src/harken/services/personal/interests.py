"""What is believed of a reader, in words."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from harken.services.readers.profile import ReaderProfile

TOLD = 5
"""How many labels of a kind are named."""
# Below that, an affinity is a first impression.
NOTABLE = 0.1
SLOWER, FASTER = 1.25, 0.8

_KINDS = {"tags": "tag", "authors": "author", "principles": "principle", "layers": "layer"}


@dataclass(frozen=True)
class ReaderInterests:
    """What is believed of a reader: sentences, and the figures that these are made of."""

    summary: list[str]
    profile: ReaderProfile
    personalized: bool
    since: datetime | None


def describe_interests(
    profile: ReaderProfile, min_interactions: int, *, personalized: bool, since: datetime | None
) -> ReaderInterests:
    """Say what is believed of a reader, and what it is used for."""
    count = profile.interactions
    known = f"{_several(count, 'interaction')} of this reader {'is' if count == 1 else 'are'} known"
    if since is not None:
        known += f" since the profile was reset on {since:%Y-%m-%d}"
    sentences = [f"{known}.", _use(profile, min_interactions, personalized=personalized)]
    kinds = {kind: getattr(profile, kind) for kind in _KINDS}
    likes = [part for kind, known in kinds.items() if (part := _named(kind, known, 1))]
    avoids = [part for kind, known in kinds.items() if (part := _named(kind, known, -1))]
    if likes:
        sentences.append(f"They take to {_listed(likes)}.")
    if avoids:
        sentences.append(f"They would rather not see {_listed(avoids)}.")
    if profile.neighbours:
        several = _several(len(profile.neighbours), "reader")
        sentences.append(f"What {several} with similar taste did counts for more.")
    if profile.pace > SLOWER:
        sentences.append(f"They stay {profile.pace:.1f} times as long as the words take most.")
    elif profile.pace < FASTER:
        sentences.append(f"They stay {profile.pace:.0%} of the time that the words take most.")
    return ReaderInterests(sentences, profile, personalized, since)


def _use(profile: ReaderProfile, min_interactions: int, *, personalized: bool) -> str:
    if not personalized:
        return "Personalisation is switched off: nothing of this is used for their feeds."
    if profile.is_personal:
        return "Their personal feed is made from these."
    return (
        f"From {min_interactions} on, their personal feed is made from these; until then it shows "
        "what everybody does."
    )


def _named(kind: str, affinities: Mapping[str | int, float], sign: int) -> str:
    notable = [
        label
        for label, affinity in sorted(affinities.items(), key=lambda each: -sign * each[1])
        if sign * affinity > NOTABLE
    ][:TOLD]
    if not notable:
        return ""
    plural = "s" if len(notable) > 1 else ""
    return f"the {_KINDS[kind]}{plural} {_listed([str(label) for label in notable])}"


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _several(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"
