"""Groups of readers: the dense components of a graph of suspicious pairs."""

import numpy as np

from harken.services.integrity.detectors.event_log import Numbers

LEAST_DENSITY = 0.8


def dense_groups(first: Numbers, second: Numbers, least: int) -> list[Numbers]:
    """Return the components with `least` readers or more, cut down to a density of 0.8.

    `first` and `second` are the ends of each edge. Density is the share of pairs with an edge. From
    a component that is less dense, the reader with the fewest edges is taken out until it is dense
    enough or too small. Each group is ascending.
    """
    if not len(first):
        return []
    nodes, ends = np.unique(np.concatenate([first, second]), return_inverse=True)
    a, b = ends[: len(first)], ends[len(first) :]
    found = []
    for members in _components(a, b, len(nodes)):
        if len(members) >= least:
            dense = _peeled(a, b, members, len(nodes), least)
            if len(dense) >= least:
                found.append(nodes[dense])
    return found


def _components(a: Numbers, b: Numbers, count: int) -> list[Numbers]:
    """Return the connected components, by labels that spread along edges."""
    labels = np.arange(count)
    while True:
        before = labels.copy()
        low = np.minimum(labels[a], labels[b])
        np.minimum.at(labels, a, low)
        np.minimum.at(labels, b, low)
        labels = labels[labels]
        if (labels == before).all():
            break
    order = np.argsort(labels, kind="stable")
    cuts = np.flatnonzero(np.diff(labels[order])) + 1
    return [np.sort(each) for each in np.split(order, cuts)]


def _peeled(a: Numbers, b: Numbers, members: Numbers, count: int, least: int) -> Numbers:
    inside = np.zeros(count, np.bool_)
    inside[members] = True
    while (size := int(inside.sum())) >= least:
        within = inside[a] & inside[b]
        if within.sum() >= LEAST_DENSITY * size * (size - 1) / 2:
            break
        degrees = np.bincount(np.concatenate([a[within], b[within]]), minlength=count)
        degrees[~inside] = count + 1
        inside[np.argmin(degrees)] = False
    return np.flatnonzero(inside)
