"""The interests of a reader, in words: what their events say, and what they set themselves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from harken.domain.stored_kblock import source_title
from harken.errors import several
from harken.services.readers.item_attributes import Label
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

_STRENGTHS = ((1.5, "very strong"), (0.75, "strong"), (0.25, "some"), (0.05, "slight"))


class Interest(NamedTuple):
    """The interest of a reader in a label.

    learned: from events, from -1 (dismissed) to 1 (liked). stated: what the reader set, from -2 to
    2, in place of it; None if they set nothing. words: how strong it is.
    """

    kind: str
    name: str
    learned: float
    stated: float | None
    words: str

    @property
    def title(self) -> str:
        """Its name for people."""
        return shown_name(self.kind, self.name)


@dataclass(frozen=True)
class ReaderInterests:
    """The interests of a reader: sentences, the profile that they describe, and each interest."""

    summary: list[str]
    profile: ReaderProfile
    personalized: bool
    since: datetime | None
    interests: list[Interest]


def shown_name(kind: str, name: str | int) -> str:
    """Return the name of a label for people: of a source its host, not its address.

    An address may be long, or contain a secret.
    """
    return source_title(str(name)) if kind == "sources" else str(name)


def strength(value: float) -> str:
    """Return how strong an interest is, in words."""
    what = "interest" if value > 0 else "dislike"
    for least, words in _STRENGTHS:
        if abs(value) >= least:
            return f"{words} {what}"
    return "no interest"


def describe_interests(
    profile: ReaderProfile, min_interactions: int, *, personalized: bool, since: datetime | None,
    stated: Mapping[Label, float],
) -> ReaderInterests:  # fmt: skip
    """Describe a profile and its use, in sentences that say "you" to the reader.

    `min_interactions` is how many of them personalisation needs, `personalized` whether it is
    switched on, `since` when the profile was last reset, and `stated` what the reader set.
    """
    known = f"{several(profile.interactions, 'interaction')} of yours"
    known += " is known" if profile.interactions == 1 else " are known"
    if since is not None:
        known += f" since you reset your interests on {since:%Y-%m-%d}"
    sentences = [f"{known}.", _use(profile, min_interactions, personalized=personalized)]
    kinds = {kind: getattr(profile, kind) for kind in _KINDS}
    likes = [part for kind, known in kinds.items() if (part := _named(kind, known, 1))]
    dislikes = [part for kind, known in kinds.items() if (part := _named(kind, known, -1))]
    if likes:
        sentences.append(f"You like {listed(likes)}.")
    if dislikes:
        sentences.append(f"You do not like {listed(dislikes)}.")
    if stated:
        count = several(len(stated), "interest")
        sentences.append(f"You set {count} yourself, in place of what your reading says.")
    if profile.neighbours:
        sentences.append(_similar(len(profile.neighbours)))
    if profile.pace > SLOWER:
        sentences.append(f"Your reading time is {profile.pace:.1f} times what the length suggests.")
    elif profile.pace < FASTER:
        sentences.append(f"Your reading time is {profile.pace:.0%} of what the length suggests.")
    return ReaderInterests(sentences, profile, personalized, since, _each(kinds, stated))


def _each(
    kinds: Mapping[str, Mapping[str | int, float]], stated: Mapping[Label, float]
) -> list[Interest]:
    """Return each interest, by kind, the strongest first."""
    found = []
    for kind, learned in kinds.items():
        names = {*learned, *(name for of, name in stated if of == kind)}
        for name in names:
            known, own = learned.get(name, 0.0), stated.get(Label(kind, name))
            words = strength(known if own is None else own)
            found.append(Interest(kind, str(name), known, own, words))
    order = list(kinds)
    return sorted(found, key=lambda each: (order.index(each.kind), -_present(each), each.name))


def _present(interest: Interest) -> float:
    return interest.learned if interest.stated is None else interest.stated


def _use(profile: ReaderProfile, min_interactions: int, *, personalized: bool) -> str:
    if not personalized:
        return "Personalisation is switched off: no feed of yours uses them."
    if profile.is_personal:
        return "Your personal feed is made from them."
    return (
        f"From {min_interactions} on, your personal feed is made from them; until then it shows "
        "what everybody reads."
    )


def _similar(count: int) -> str:
    if count == 1:
        return "1 reader has interests like yours: what they read counts for more."
    return f"{count} readers have interests like yours: what they read counts for more."


def _named(kind: str, affinities: Mapping[str | int, float], sign: int) -> str:
    notable = [
        label
        for label, affinity in sorted(affinities.items(), key=lambda each: -sign * each[1])
        if sign * affinity > NOTABLE
    ][:MOST_NAMED]
    if not notable:
        return ""
    plural = "s" if len(notable) > 1 else ""
    return f"the {_KINDS[kind]}{plural} {listed([shown_name(kind, each) for each in notable])}"


def listed(parts: Sequence[str]) -> str:
    """Return one or more parts as a list in a sentence: `a, b and c`."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
