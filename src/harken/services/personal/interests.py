"""The interests of a reader, in words."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from harken.services.readers.profile import ReaderProfile

MOST_NAMED = 5
"""How many labels of a kind are named at most."""
# A smaller affinity comes from too few interactions to be told.
NOTABLE = 0.1
SLOWER, FASTER = 1.25, 0.8

_KINDS = {
    "tags": "tag",
    "authors": "author",
    "principles": "principle",
    "layers": "layer",
    "folders": "folder",
    "sources": "source",
}


@dataclass(frozen=True)
class ReaderInterests:
    """The interests of a reader: sentences, and the profile that they describe."""

    summary: list[str]
    profile: ReaderProfile
    personalized: bool
    since: datetime | None


def describe_interests(
    profile: ReaderProfile, min_interactions: int, *, personalized: bool, since: datetime | None
) -> ReaderInterests:
    """Describe a profile and its use in sentences without a pronoun, which fit every listener.

    `min_interactions` is how many of them personalisation needs, `personalized` whether it is
    switched on, and `since` when the profile was last reset.
    """
    known = f"{_several(profile.interactions, 'interaction')} known"
    if since is not None:
        known += f" since the profile was reset on {since:%Y-%m-%d}"
    sentences = [f"{known}.", _use(profile, min_interactions, personalized=personalized)]
    kinds = {kind: getattr(profile, kind) for kind in _KINDS}
    likes = [part for kind, known in kinds.items() if (part := _named(kind, known, 1))]
    dislikes = [part for kind, known in kinds.items() if (part := _named(kind, known, -1))]
    if likes:
        sentences.append(f"Likes {_listed(likes)}.")
    if dislikes:
        sentences.append(f"Does not like {_listed(dislikes)}.")
    if profile.neighbours:
        sentences.append(_similar(len(profile.neighbours)))
    if profile.pace > SLOWER:
        sentences.append(f"Reading time is {profile.pace:.1f} times what the length suggests.")
    elif profile.pace < FASTER:
        sentences.append(f"Reading time is {profile.pace:.0%} of what the length suggests.")
    return ReaderInterests(sentences, profile, personalized, since)


def _use(profile: ReaderProfile, min_interactions: int, *, personalized: bool) -> str:
    if not personalized:
        return "Personalisation is switched off: no feed uses them."
    if profile.is_personal:
        return "The personal feed is made from them."
    return (
        f"From {min_interactions} on, the personal feed is made from them; until then it shows "
        "what everybody reads."
    )


def _similar(count: int) -> str:
    if count == 1:
        return "1 reader has similar interests: what this reader reads counts for more."
    return f"{count} readers have similar interests: what they read counts for more."


def _named(kind: str, affinities: Mapping[str | int, float], sign: int) -> str:
    notable = [
        label
        for label, affinity in sorted(affinities.items(), key=lambda each: -sign * each[1])
        if sign * affinity > NOTABLE
    ][:MOST_NAMED]
    if not notable:
        return ""
    plural = "s" if len(notable) > 1 else ""
    return f"the {_KINDS[kind]}{plural} {_listed([str(label) for label in notable])}"


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _several(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"
