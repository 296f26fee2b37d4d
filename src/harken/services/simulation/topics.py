"""The topics of simulated K-Blocks: their tags, and the words and sentences of their texts."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

TOPICS: Mapping[str, Sequence[str]] = MappingProxyType(
    {
        "gardening": (
            "compost", "pruning", "seedlings", "mulch",
            "grafting", "greenhouses", "roses", "weeds",
        ),
        "astronomy": (
            "eclipses", "nebulae", "telescopes", "meteors",
            "sunspots", "comets", "moons", "quasars",
        ),
        "baking": (
            "sourdough", "croissants", "rye", "ovens",
            "brioche", "yeast", "flatbread", "crumb",
        ),
        "cycling": (
            "gears", "brakes", "touring", "climbing",
            "wheels", "saddles", "commuting", "tubeless",
        ),
        "chess": (
            "endgames", "gambits", "blunders", "openings",
            "clocks", "zugzwang", "forks", "castling",
        ),
        "typography": (
            "serifs", "kerning", "italics", "margins",
            "ligatures", "numerals", "hyphens", "grids",
        ),
        "birds": (
            "swifts", "owls", "migration", "nests",
            "birdsong", "herons", "feathers", "feeders",
        ),
        "woodwork": (
            "dovetails", "chisels", "planes", "veneer",
            "joints", "sanding", "varnish", "workbenches",
        ),
    }
)  # fmt: skip

TITLES = (
    "{0} and {1}", "From {0} to {1}", "{0} before {1}", "{0}, {1} and patience", "{0} without {1}",
    "A word on {0} and {1}", "How {0} led to {1}", "What {0} taught me about {1}",
)  # fmt: skip

SENTENCES = (
    "People who begin with {0} seldom think of {1}.",
    "Much of what is said about {0} was true once.",
    "It takes a season to learn {0} and another to unlearn it.",
    "Nobody agrees about {1}, which is half the pleasure.",
    "Two kinds of {0} are enough for almost everything.",
    "The old books treat {0} and {1} in one chapter, and rightly so.",
    "Whoever asks about {0} is told about {1} first.",
    "A notebook helps: what was tried, when, and what came of it.",
)

NOTICE = "This K-Block was made by a simulator. Nobody wrote it, and it says nothing."

AUTHORS = (
    "Abara", "Bergen", "Castell", "Demir", "Eklund", "Farkas", "Gallo", "Haas",
    "Ito", "Jansen", "Kowal", "Lund", "Moreau", "Novak", "Okafor", "Petrov",
)  # fmt: skip

READERS = (
    "ada", "bo", "cleo", "dan", "eda", "finn", "gita", "hugo", "ida", "jan", "kira", "leo", "mina",
    "nils", "olga", "pia", "quentin", "rosa", "sam", "tove", "uma", "vera", "wim", "xenia", "yara",
    "zeno",
)  # fmt: skip

PRINCIPLES = ("composable", "curious", "frugal", "honest", "humane", "reversible")
