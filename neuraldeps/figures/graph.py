"""Who depends on whom in a network: the graph of its dependencies, laid out by communities."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import networkx as nx
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from matplotlib.textpath import TextPath
from matplotlib.transforms import Affine2D

from neuraldeps.categories import Category, categories
from neuraldeps.figures.style import (
    FAINT,
    HALO,
    INK,
    MUTED,
    ONE_COLUMN,
    PAPER,
    TWO_COLUMNS,
    glyph_font,
    sign_color,
    styled,
    wrapped,
)

SPACING = 1.0  # between neighbours in a community
NAMED = 8  # communities, the largest, whose most used category is named
GOLDEN = np.pi * (3 - np.sqrt(5))


@dataclass(frozen=True)
class Dependencies:
    """Every category's sources as a graph.

    Attributes
    ----------
    names : sequence of Category
        By position.
    sources, targets : ndarray of int64, shape (edge,)
        Positions of both ends.
    share, coef : ndarray, shape (edge,), float64
        What the source carries of the target's root mean square, and its coefficient.
    community : ndarray of int64, shape (category,)
        Of every category, the largest community first.
    """

    names: Sequence[Category]
    sources: np.ndarray
    targets: np.ndarray
    share: np.ndarray
    coef: np.ndarray
    community: np.ndarray


def dependency_graph(evaluation: xr.Dataset, estimator: str, size: int, seed: int) -> Dependencies:
    """The dependencies within a network as a graph, and its communities by Louvain's method.

    Parameters
    ----------
    evaluation : xarray.Dataset
        Evaluation store of a network with itself.
    estimator : str
        One of `ESTIMATORS`.
    size : int
        Sources at most.
    seed : int
        Of Louvain's order of the categories.

    Returns
    -------
    Dependencies
        All edges; communities are found on them with the shares as weights, without directions.
    """
    at = evaluation.sel(estimator=estimator, support_size=size)
    place = {int(number): row for row, number in enumerate(at["target_category"].values)}
    support = at["support"].transpose("target_category", "slot").values
    coef = at["coef"].transpose("target_category", "slot").values
    scale = np.sqrt(at["target_second_moment"].values)
    rows, slots = np.nonzero(support >= 0)
    sources = np.array([place[int(number)] for number in support[rows, slots]], np.int64)
    values = coef[rows, slots]
    whole = np.where(scale[rows] > 0, scale[rows], 1.0)
    share = np.abs(values) * scale[sources] / whole
    graph = nx.Graph()
    graph.add_nodes_from(range(len(place)))
    for source, target, weight in zip(sources.tolist(), rows.tolist(), share.tolist(), strict=True):
        before = graph.get_edge_data(source, target, {"weight": 0.0})["weight"]
        graph.add_edge(source, target, weight=before + weight)
    found = nx.community.louvain_communities(graph, weight="weight", seed=seed)
    community = np.zeros(len(place), np.int64)
    for number, members in enumerate(sorted(found, key=lambda one: (-len(one), min(one)))):
        community[list(members)] = number
    return Dependencies(categories(at, "target_category"), sources, rows, share, values, community)


def lay_out(graph: Dependencies) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Places of the categories: every community a disk, its most used categories in the middle.

    Parameters
    ----------
    graph : Dependencies
        From `dependency_graph`.

    Returns
    -------
    tuple of ndarray
        Places (category, 2), and of every community its centre (community, 2) and radius.
    """
    uses = np.bincount(graph.sources, weights=graph.share, minlength=len(graph.names))
    sizes = np.bincount(graph.community)
    radii = SPACING * (0.62 * np.sqrt(sizes) + 0.6)
    centres = pack_disks(radii)
    places = np.zeros((len(graph.names), 2))
    for number in range(len(sizes)):
        members = np.flatnonzero(graph.community == number)
        members = members[np.argsort(-uses[members], kind="stable")]
        steps = np.arange(len(members))
        reach = 0.56 * SPACING * np.sqrt(steps + 0.3 * (len(members) > 1))
        angle = steps * GOLDEN
        around = np.stack([reach * np.cos(angle), reach * np.sin(angle)], axis=1)
        places[members] = centres[number] + around
    return places, centres, radii


def pack_disks(radii: np.ndarray, gap: float = 0.5) -> np.ndarray:
    """Centres of disks that do not overlap, each as near the middle as those before leave it.

    Parameters
    ----------
    radii : ndarray, shape (n,), float64
        Largest first.
    gap : float
        Between two disks, at least.

    Returns
    -------
    ndarray, shape (n, 2), float64
        Centres.
    """
    turns = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    directions = np.stack([np.cos(turns), np.sin(turns)], axis=1)
    centres = np.zeros((len(radii), 2))
    for number in range(1, len(radii)):
        before, sizes = centres[:number], radii[:number]
        reach = (sizes + radii[number] + gap)[:, None, None]
        candidates = (before[:, None] + reach * directions).reshape(-1, 2)
        distance = np.hypot(*(candidates[:, None] - before[None]).transpose(2, 0, 1))
        fits = (distance >= sizes + radii[number] + gap - 1e-9).all(axis=1)
        candidates = candidates[fits]
        centres[number] = candidates[np.argmin((candidates * [0.85, 1.15]).__pow__(2).sum(axis=1))]
    return centres


def strongest(graph: Dependencies) -> np.ndarray:
    """The edge of every category's strongest source, the weakest of them first.

    Parameters
    ----------
    graph : Dependencies
        From `dependency_graph`.

    Returns
    -------
    ndarray of int64
        Positions of edges; a category without sources has none.
    """
    order = np.lexsort((-graph.share, graph.targets))
    _, first = np.unique(graph.targets[order], return_index=True)
    found = order[first]
    return found[np.argsort(graph.share[found], kind="stable")]


@styled
def plot_graph(graph: Dependencies, title: str, *, width: float = TWO_COLUMNS) -> Figure:
    """Draw the graph: communities as disks of characters or dots, lines from categories to what they are made of.

    Parameters
    ----------
    graph : Dependencies
        From `dependency_graph`.
    title : str
        The network.
    width : float
        Of the figure, in inches.

    Returns
    -------
    Figure
        The graph.
    """
    places, centres, radii = lay_out(graph)
    low = (centres - radii[:, None]).min(axis=0) - 0.5
    high = (centres + radii[:, None]).max(axis=0) + 0.5
    span = high - low
    header = 0.55 if width > ONE_COLUMN else 0.72
    height = width * span[1] / span[0]
    figure = Figure(figsize=(width, height + header))
    axes = figure.add_axes((0, 0, 1, height / (height + header)))
    axes.axis("off")
    axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect="equal")
    for centre, radius in zip(centres, radii, strict=True):
        axes.add_patch(
            Circle(tuple(centre), radius, facecolor="#f6f7f9", edgecolor=FAINT, linewidth=0.6)
        )
    unit = 72 * width / span[0]  # points to a data unit
    _draw_edges(axes, graph, places, unit)
    _draw_categories(axes, graph, places, unit)
    if any(category.character is None for category in graph.names):
        _name_communities(axes, graph, centres, radii)
    _caption(figure, graph, title, width)
    return figure


def _caption(figure: Figure, graph: Dependencies, title: str, width: float) -> None:
    """The title, and below it what is counted and drawn."""
    height, is_wide = figure.get_size_inches()[1], width > ONE_COLUMN
    inside = graph.community[graph.sources] == graph.community[graph.targets]
    share = f"{100 * inside.mean():.0f} %" if len(inside) else "none"
    lines = [
        f"{len(graph.names)} categories, {graph.community.max(initial=-1) + 1} communities; {share} of the "
        "dependencies stay inside one",
        "Lines: every category's strongest source, blue positive, vermillion negative, faint from another community",
    ]
    about = "\n".join(line if is_wide else wrapped(line, 60) for line in lines)
    figure.text(0.01, 1 - 0.05 / height, title, va="top", fontsize=9.5, weight="bold")
    figure.text(0.01, 1 - 0.24 / height, about, va="top", fontsize=7 if is_wide else 6, color=MUTED)


def _draw_edges(axes: Axes, graph: Dependencies, places: np.ndarray, unit: float) -> None:
    shown = strongest(graph)
    inside = graph.community[graph.sources] == graph.community[graph.targets]
    for within, alpha in ((False, 0.13), (True, 0.6)):
        edges = shown[inside[shown] == within]
        ends = np.stack([places[graph.sources[edges]], places[graph.targets[edges]]], axis=1)
        look: dict[str, Any] = {
            "colors": [sign_color(value) for value in graph.coef[edges]],
            "linewidths": unit * 0.09 * np.clip(graph.share[edges], 0, 1.5),
            "alpha": alpha,
        }
        axes.add_collection(LineCollection(list(ends), zorder=1 + within, rasterized=True, **look))


def _draw_categories(axes: Axes, graph: Dependencies, places: np.ndarray, unit: float) -> None:
    """Characters where categories are characters, dots elsewhere."""
    characters = [category.character for category in graph.names]
    if None in characters:
        look: dict[str, Any] = {"s": (0.5 * unit) ** 2, "c": INK, "edgecolors": PAPER}
        axes.scatter(places[:, 0], places[:, 1], linewidths=0.04 * unit, zorder=4, **look)
        return
    paths = []
    for character, place in zip(characters, places, strict=True):
        path = TextPath((0, 0), str(character), size=100, prop=glyph_font())
        box = path.get_extents()
        longest = max(box.width, box.height, 1e-9)
        scale = min(0.0075, 0.72 / longest)
        move = Affine2D().translate(-(box.x0 + box.x1) / 2, -(box.y0 + box.y1) / 2)
        paths.append(path.transformed(move.scale(scale).translate(*place)))
    drawn = PathCollection(paths, facecolors=INK, linewidths=0, zorder=4)
    drawn.set_transform(axes.transData)
    axes.add_collection(drawn)


def _name_communities(
    axes: Axes, graph: Dependencies, centres: np.ndarray, radii: np.ndarray
) -> None:
    """Name the category that the largest communities use most."""
    uses = np.bincount(graph.sources, weights=graph.share, minlength=len(graph.names))
    for number in range(min(NAMED, len(radii))):
        members = np.flatnonzero(graph.community == number)
        hub = members[np.argmax(uses[members])]
        x, y = centres[number]
        axes.text(
            x,
            y,
            wrapped(graph.names[hub].caption, 16, 2),
            ha="center",
            va="center",
            fontsize=6.5,
            fontweight="bold",
            color=INK,
            path_effects=HALO,
            zorder=5,
        )
