"""Communities are networkx's, and their places on the map overlap nowhere."""

import networkx as nx
import numpy as np

from neuraldeps.explorer.communities import columns_of_map, draw_map
from neuraldeps.explorer.pair import Pair
from tests.synthetic_explorer import evaluation

N, GROUP = 60, 12


def planted():
    """An evaluation in which all depend on their own group's, but for one source of the next group."""
    store = evaluation("one", "one", N, 4, 0)
    rng = np.random.default_rng(0)
    for target in range(N):
        own = [one for one in range(N) if one // GROUP == target // GROUP and one != target]
        chosen = [*rng.choice(own, 3, replace=False), (target + GROUP) % N]
        store["support"][-1, target, 3] = np.sort(chosen)
    return Pair(store)


def test_groups_that_depend_on_themselves_are_communities():
    drawn = draw_map(planted(), "subset", 4, seed=0)
    groups = [set(drawn.community[first : first + GROUP]) for first in range(0, N, GROUP)]
    assert all(len(group) == 1 for group in groups)
    assert len(set.union(*groups)) == N // GROUP
    columns = columns_of_map(drawn)
    assert columns["inside"] == [750] * (N // GROUP)
    graph = nx.Graph([(i, j) for i, others in enumerate(drawn.sources) for j in others])
    parts = [set(np.flatnonzero(drawn.community == one)) for one in range(N // GROUP)]
    assert nx.community.modularity(graph, parts) > 0.5


def test_no_two_categories_share_a_place():
    drawn = draw_map(planted(), "subset", 4, seed=0)
    apart = np.linalg.norm(drawn.position[:, None] - drawn.position, axis=2)
    assert (apart[~np.eye(N, dtype=bool)] > 0.5).all()
    centres = np.stack([drawn.position[drawn.community == one].mean(0) for one in range(5)])
    between = np.linalg.norm(centres[:, None] - centres, axis=2)[~np.eye(5, dtype=bool)]
    assert (between > 2 * np.sqrt(GROUP / np.pi) * 0.95).all()


def test_a_map_is_the_same_every_time_and_takes_a_lonely_category():
    pair = planted()
    pair.judged["support"][-1, 5] = -1
    one, two = (columns_of_map(draw_map(pair, "subset", 4, seed=0)) for _ in range(2))
    assert one == two
    assert one["sources"][5] == []
