"""Figures 1 and 2: the target in the centre, its dependencies around, coefficients on the edges."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from neuraldeps.categories import Category
from neuraldeps.dependencies.cases import Case
from neuraldeps.estimators import WITH_PENALTY
from neuraldeps.figures.style import (
    HALO,
    MUTED,
    draw_node,
    pair_title,
    sign_color,
    signed,
    styled,
    wrapped,
)

CENTRE, AROUND, DISTANCE = 0.29, 0.25, 1.08
BESIDE = 0.13
NAME_WIDTH = 18
PAPERS = "refit"  # the paper's method where another estimator is shown, refitted like it
INSET = 0.34  # of the axes' width


def angles(n: int) -> np.ndarray:
    """Directions of n nodes, none of them straight down, where the centre's own name stands.

    Parameters
    ----------
    n : int
        How many.

    Returns
    -------
    ndarray, shape (n,), float64
        In radians.
    """
    first = np.pi / 2 if n % 2 else np.pi / 2 + np.pi / n
    return first + 2 * np.pi * np.arange(n) / max(n, 1)


def draw_star(
    axes: Axes,
    case: Case,
    *,
    estimator: str = "subset",
    split: str = "test",
    pictures: Mapping[str, np.ndarray] | None = None,
    is_alone: bool = False,
) -> None:
    """Draw one dependency and, small in a corner, CovLasso's of the same category if it is another.

    Parameters
    ----------
    axes : Axes
        Where it is drawn.
    case : Case
        What is drawn.
    estimator : str
        One of `ESTIMATORS`, whose coefficients and accuracies are shown.
    split : str
        Where the accuracies in the title come from.
    pictures : mapping of str to ndarray, optional
        A picture per category code, for categories that are no characters.
    is_alone : bool
        Whether CovLasso's is left out.
    """
    shown = pictures or {}
    directions = _draw_graph(axes, case, estimator, shown)
    heights = [0.0, *(DISTANCE * np.sin(directions))]
    middle = (max(heights) + min(heights)) / 2
    axes.set(xlim=(-1.7, 1.7), ylim=(middle - 1.7, middle + 1.7), aspect="equal")
    _title(axes, case, estimator, split, is_alone=is_alone)
    if estimator not in WITH_PENALTY and not is_alone:
        _draw_papers(axes, case, split, shown)


def _draw_graph(
    axes: Axes,
    case: Case,
    estimator: str,
    shown: Mapping[str, np.ndarray],
    *,
    is_small: bool = False,
) -> np.ndarray:
    """Draw nodes and edges, with names and coefficients unless small; the directions of the sources."""
    axes.axis("off")
    terms = case.terms[estimator]
    largest = max((abs(term.coef) for term in terms), default=1.0) or 1.0
    directions = angles(len(terms))
    for term, angle in zip(terms, directions, strict=True):
        _edge(axes, angle, term.coef, largest, is_small=is_small)
        x, y = DISTANCE * np.cos(angle), DISTANCE * np.sin(angle)
        picture = shown.get(term.category.code)
        draw_node(axes, x, y, AROUND, term.category, picture, color=sign_color(term.coef))
        if not is_small:
            _name(axes, x, y, term.category)
    draw_node(axes, 0, 0, CENTRE, case.category, shown.get(case.category.code))
    return directions


def _draw_papers(axes: Axes, case: Case, split: str, shown: Mapping[str, np.ndarray]) -> None:
    """Draw CovLasso's dependency, the paper's method, small beside another estimator's."""
    beside = axes.inset_axes((1.0, 0.0, INSET, INSET))
    _draw_graph(beside, case, PAPERS, shown, is_small=True)
    beside.set(xlim=(-1.5, 1.5), ylim=(-1.5, 1.5), aspect="equal")
    kept = 100 * case.metrics[split][PAPERS]["positive_accuracy"]
    word = "pseudo-pos" if split in case.pseudo else "pos"
    beside.set_title(
        f"CovLasso, refitted\n{word} {kept:.1f}", fontsize=6.5, color=MUTED, pad=1, loc="center"
    )


def _edge(axes: Axes, angle: float, coef: float, largest: float, *, is_small: bool) -> None:
    """Draw an edge, its coefficient beside its middle: above it, or right of it where it is steep."""
    direction = np.array([np.cos(angle), np.sin(angle)])
    end = DISTANCE * direction
    middle = (0.44 * CENTRE + 0.56 * (DISTANCE - AROUND)) * direction
    width = (0.5 if is_small else 1.0) * (1.0 + 5.0 * abs(coef) / largest)
    axes.plot([0, end[0]], [0, end[1]], color=sign_color(coef), linewidth=width, zorder=1)
    if is_small:
        return
    normal = np.array([-direction[1], direction[0]])
    if abs(normal[1]) < 1e-9:
        normal = np.array([1.0, 0.0])
    elif normal[1] < 0:
        normal = -normal
    reach = BESIDE + 0.17 * abs(normal[0])
    at = middle + reach * normal
    axes.text(
        at[0],
        at[1],
        signed(coef),
        ha="center",
        va="center",
        fontsize=8.5,
        fontweight="bold",
        color=sign_color(coef),
        path_effects=HALO,
        zorder=2,
    )


def _name(axes: Axes, x: float, y: float, category: Category) -> None:
    is_above = y > 0.2
    axes.text(
        x,
        y + (AROUND + 0.06) * (1 if is_above else -1),
        wrapped(category.caption, NAME_WIDTH),
        ha="center",
        va="bottom" if is_above else "top",
        fontsize=7.5,
        linespacing=1.1,
        path_effects=HALO,
        zorder=5,
    )


def _title(axes: Axes, case: Case, estimator: str, split: str, *, is_alone: bool) -> None:
    measured, original = case.metrics[split][estimator], case.original[split]
    words = ("top-1 kept", "pseudo-pos") if split in case.pseudo else ("acc", "pos")
    numbers = "   ".join(
        f"{short} {100 * measured[name]:.1f} ({100 * original[name]:.1f})"
        for short, name in zip(words, ("accuracy", "positive_accuracy"), strict=True)
    )
    missed = measured["relative_error_positive"]
    if is_alone and np.isfinite(missed):
        numbers += f"   err {100 * missed:.1f} %"
    name = wrapped(case.category.caption, 50, 1)
    size = 10.5 * min(1, 32 / len(name))
    lines = (
        (33, name, {"fontsize": size, "fontweight": "bold"}),
        (19, pair_title(case.source, case.target), {"fontsize": 8.5}),
        (6, numbers, {"fontsize": 8, "color": MUTED}),
    )
    for points, text, look in lines:
        axes.annotate(
            text,
            (0.5, 1),
            xytext=(0, points),
            xycoords="axes fraction",
            textcoords="offset points",
            ha="center",
            **look,
        )


@styled
def plot_star(case: Case, *, estimator: str = "subset", **options: object) -> Figure:
    """One star graph as a figure of its own; `options` as in `draw_star`.

    Parameters
    ----------
    case : Case
        What is drawn.
    estimator : str
        One of `ESTIMATORS`, whose dependency is shown.
    **options
        Passed to `draw_star`.

    Returns
    -------
    Figure
        The graph.
    """
    wide = _width(estimator)
    figure = Figure(figsize=(3.8 * wide, 4.3))
    axes = figure.add_axes((0.01, 0.0, 0.98 / wide, 0.85))
    draw_star(axes, case, estimator=estimator, **options)  # type: ignore[arg-type]
    return figure


def _width(estimator: str) -> float:
    """Width of a star graph with what stands beside it, in widths of one without."""
    return 1.0 if estimator in WITH_PENALTY else 1.0 + INSET


@styled
def plot_star_panel(
    cases: Sequence[Case], *, estimator: str = "subset", **options: object
) -> Figure:
    """All cases in one figure: within networks first (Figure 1), then between (Figure 2).

    Parameters
    ----------
    cases : sequence of Case
        One per ordered pair.
    estimator : str
        One of `ESTIMATORS`, whose dependencies are shown.
    **options
        Passed to `draw_star`.

    Returns
    -------
    Figure
        The paper's Figures 1 and 2.
    """
    within = [case for case in cases if case.source == case.target]
    between = [case for case in cases if case.source != case.target]
    groups = [
        (heading, group)
        for heading, group in (("Within networks", within), ("Between networks", between))
        if group
    ]
    columns = max(2, min(4, max(len(within), 1)))
    rows = [-(-len(group) // columns) for _, group in groups]
    panel, heading_height, wide = 3.45, 0.42, _width(estimator)
    height = sum(rows) * (panel + 0.15) + len(groups) * heading_height
    figure = Figure(figsize=(panel * wide * columns, height))
    top = height
    for (heading, group), n_rows in zip(groups, rows, strict=True):
        figure.text(0.02, (top - 0.12) / height, heading, va="top", fontsize=12, weight="bold")
        top -= heading_height
        for number, case in enumerate(group):
            row, column = divmod(number, columns)
            box = (
                column / columns + 0.005,
                (top - (row + 1) * (panel + 0.15)) / height,
                1 / columns / wide - 0.01,
                (panel - 0.4) / height,
            )
            draw_star(figure.add_axes(box), case, estimator=estimator, **options)  # type: ignore[arg-type]
        top -= n_rows * (panel + 0.15)
    return figure
