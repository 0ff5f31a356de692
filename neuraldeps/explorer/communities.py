"""Who depends on whom: a graph of categories, its communities, and a place for each on a map."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import networkx as nx
import numpy as np

from neuraldeps.explorer.pair import Pair

GAP = 1.2  # between communities, in distances of neighbouring categories
DIRECTIONS = 48


class Map(NamedTuple):
    """A graph of `T` categories, laid out.

    Attributes
    ----------
    sources : list of list of int
        Of every category, the others that it depends on.
    community : ndarray of int, shape (T,)
        Number of its community, the largest first.
    position : ndarray, shape (T, 2), float64
        On the map, in distances of neighbouring categories.
    """

    sources: list[list[int]]
    community: np.ndarray
    position: np.ndarray


def draw_map(pair: Pair, estimator: str, size: int, seed: int) -> Map:
    """Find communities of the categories that depend on each other, and lay them out.

    Parameters
    ----------
    pair : Pair
        An ordered pair of networks.
    estimator : str
        Whose dependencies are edges: from each category to its sources.
    size : int
        Of their support.
    seed : int
        Of Louvain's order of visits.

    Returns
    -------
    Map
        Communities as discs, related ones close to each other; within a disc the categories that
        most others depend on stand in the middle.

    References
    ----------
    V. D. Blondel, J.-L. Guillaume, R. Lambiotte, E. Lefebvre. Fast unfolding of communities in
    large networks. J. Stat. Mech. P10008, 2008.
    """
    at = pair.judged.sel(estimator=estimator, support_size=size)
    support = at["support"].transpose("target_category", "slot").values
    sources = [row[row >= 0].tolist() for row in support]
    graph = nx.Graph()
    graph.add_nodes_from(range(len(sources)))
    for target, others in enumerate(sources):
        for source in others:
            before = graph.get_edge_data(target, source, {"weight": 0})["weight"]
            graph.add_edge(target, source, weight=before + 1)
    found = nx.community.louvain_communities(graph, seed=seed)
    groups = sorted((sorted(one) for one in found), key=lambda one: (-len(one), one[0]))
    community = np.zeros(len(sources), int)
    for number, members in enumerate(groups):
        community[members] = number
    return Map(sources, community, _positions(groups, community, sources))


def _positions(
    groups: Sequence[Sequence[int]], community: np.ndarray, sources: Sequence[Sequence[int]]
) -> np.ndarray:
    """Discs where they touch the communities that they are most tied to, categories inside."""
    ties = np.zeros((len(groups), len(groups)))
    used = np.zeros(len(sources), int)
    for target, others in enumerate(sources):
        for source in others:
            ties[community[target], community[source]] += 1
            used[source] += 1
    ties += ties.T
    radius = np.array([np.sqrt(len(group) / np.pi) + GAP / 2 for group in groups])
    centre = np.zeros((len(groups), 2))
    for number in range(1, len(groups)):
        centre[number] = _free_place(number, centre, radius, ties[number, :number])
    position = np.zeros((len(sources), 2))
    for number, group in enumerate(groups):
        ranked = sorted(group, key=lambda one: (-used[one], one))
        position[ranked] = centre[number] + _sunflower(len(ranked))
    return position


def _sunflower(n: int) -> np.ndarray:
    """Places of n points in a disc, each with about one unit of area to itself."""
    steps = np.arange(n)
    distance = np.sqrt((steps + 0.5) / np.pi) * (n > 1)
    angle = steps * np.pi * (3 - np.sqrt(5))
    return np.stack([distance * np.cos(angle), distance * np.sin(angle)], axis=1)


def _free_place(
    number: int, centre: np.ndarray, radius: np.ndarray, ties: np.ndarray
) -> np.ndarray:
    """Of the places where a disc touches an earlier one and overlaps none, the best.

    That is the one closest to the discs that it is tied to, and to the middle of the map.
    """
    weight = ties + 0.05 * max(ties.sum(), 1.0) / number
    wanted = weight @ centre[:number] / weight.sum()
    angle = 2 * np.pi * np.arange(DIRECTIONS) / DIRECTIONS
    around = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    reach = radius[:number] + radius[number]
    places = (centre[:number, None] + reach[:, None, None] * around).reshape(-1, 2)
    apart = np.linalg.norm(places[:, None] - centre[:number], axis=2)
    is_free = (apart >= reach - 1e-9).all(axis=1)
    spread = np.linalg.norm(places - wanted, axis=1) + 0.6 * np.linalg.norm(places, axis=1)
    # rounded, so that no last bit decides between two places
    return places[np.argmin(np.where(is_free, np.round(spread, 6), np.inf))]


def columns_of_map(drawn: Map) -> dict[str, Any]:
    """Write a map as columns.

    Parameters
    ----------
    drawn : Map
        As `draw_map` gives it.

    Returns
    -------
    dict
        `x`, `y` (whole hundredths), `community` and `sources`, one entry per category; `inside`,
        of every community the share of its dependencies that stay within, in thousandths.
    """
    n_groups = int(drawn.community.max(initial=0)) + 1
    within, all_ties = np.zeros(n_groups), np.zeros(n_groups)
    for target, others in enumerate(drawn.sources):
        own = drawn.community[target]
        within[own] += (drawn.community[others] == own).sum() if others else 0
        all_ties[own] += len(others)
    x, y = np.rint(100 * drawn.position).astype(int).T
    return {
        "x": x.tolist(),
        "y": y.tolist(),
        "community": drawn.community.tolist(),
        "sources": drawn.sources,
        "inside": np.rint(1000 * within / np.maximum(all_ties, 1)).astype(int).tolist(),
    }
