"""Galleries: the categories of a pair of networks with the best and the most peculiar dependencies."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from neuraldeps.cards.flags import name_likeness
from neuraldeps.categories import categories
from neuraldeps.dependencies.cases import Case, describe_case
from neuraldeps.figures.star import draw_star
from neuraldeps.figures.style import MUTED, pair_title, styled

COLUMNS = 3  # star graphs side by side
PANEL = 3.45  # inches
TITLES = {"best": "best dependencies", "peculiar": "most peculiar dependencies"}


class Ranking(NamedTuple):
    """Targets of a pair, by position: those missed least first, and those with the least alike sources first."""

    best: np.ndarray
    peculiar: np.ndarray


def unlikeness(evaluation: xr.Dataset, estimator: str) -> np.ndarray:
    """How unlike a category's own name those of its sources are, on average by what they carry.

    A source carries the share of the logit's root mean square that its term has; likeness is that of
    `neuraldeps.cards.flags.name_likeness`.

    Parameters
    ----------
    evaluation : xarray.Dataset
        Evaluation store of one ordered pair, at one support size.
    estimator : str
        One of `ESTIMATORS`.

    Returns
    -------
    ndarray, shape (T,), float64
        From 0 to 1; NaN where there is no source.
    """
    targets, sources = (
        [category.short for category in categories(evaluation, f"{side}_category")]
        for side in ("target", "source")
    )
    place = {int(number): at for at, number in enumerate(evaluation["source_category"].values)}
    scale = np.sqrt(evaluation["source_second_moment"].values)
    of = evaluation.sel(estimator=estimator).transpose("target_category", "slot", ...)
    found = np.full(len(targets), np.nan)
    for row, (support, coef) in enumerate(
        zip(of["support"].values, of["coef"].values, strict=True)
    ):
        at = [place[int(number)] for number in support[support >= 0]]
        weight = np.abs(coef[: len(at)]) * scale[at]
        if weight.sum() > 0:
            unlike = [1 - name_likeness(targets[row], sources[source]) for source in at]
            found[row] = np.average(unlike, weights=weight)
    return found


def rank_dependencies(evaluation: xr.Dataset, estimator: str, fit: str) -> Ranking:
    """Order a pair's targets by error, and by how peculiar the dependencies are that hold.

    The best are missed least on their own images of the split that dependencies were fitted on. The
    most peculiar are, of the half that is missed less than the median, those with the most unlike
    sources. Held-out images, which the figures' numbers are from, choose nothing.

    Parameters
    ----------
    evaluation : xarray.Dataset
        Evaluation store of one ordered pair, at one support size.
    estimator : str
        One of `ESTIMATORS`.
    fit : str
        The split that dependencies were fitted on.

    Returns
    -------
    Ranking
        Positions along `target_category`; targets without a source or without images are left out.
    """
    of = evaluation.sel(split=fit, estimator=estimator)
    error = of["relative_error_positive"].values
    unlike = unlikeness(evaluation, estimator)
    known = np.flatnonzero(np.isfinite(error) & np.isfinite(unlike))
    best = known[np.argsort(error[known], kind="stable")]
    holding = best[: -(-len(best) // 2)]
    return Ranking(best, holding[np.argsort(-unlike[holding], kind="stable")])


def choose_gallery(
    evaluation: xr.Dataset, *, estimator: str, fit: str, support_size: int, n_categories: int
) -> dict[str, list[Case]]:
    """The cases of a pair's two galleries.

    Parameters
    ----------
    evaluation : xarray.Dataset
        Evaluation store of one ordered pair.
    estimator : str
        One of `ESTIMATORS`, whose dependencies are chosen.
    fit : str
        The split that dependencies were fitted on, which chooses.
    support_size : int
        Sources of each target, at most; the largest that was solved if that is less.
    n_categories : int
        Targets in each gallery, at most.

    Returns
    -------
    dict of str to list of Case
        ``best`` and ``peculiar``.
    """
    sizes = evaluation["support_size"].values
    size = int(sizes[sizes <= support_size].max(initial=sizes[0]))
    at = evaluation.sel(support_size=[size]).load()
    ranking = rank_dependencies(at.isel(support_size=0), estimator, fit)
    return {
        kind: [describe_case(at, int(position), 0) for position in positions[:n_categories]]
        for kind, positions in ranking._asdict().items()
    }


@styled
def plot_gallery_page(
    cases: Sequence[Case], title: str, *, rows: int, estimator: str, **options: object
) -> Figure:
    """Star graphs on one page, three side by side.

    Parameters
    ----------
    cases : sequence of Case
        One per graph.
    title : str
        Of the page.
    rows : int
        Of graphs, so that all pages are of one size.
    estimator : str
        One of `ESTIMATORS`, whose dependencies are shown.
    **options
        Passed to `draw_star`.

    Returns
    -------
    Figure
        The page.
    """
    heading = 0.45
    height = rows * (PANEL + 0.15) + heading
    figure = Figure(figsize=(COLUMNS * PANEL, height))
    figure.text(0.02, 1 - 0.12 / height, title, va="top", fontsize=12, weight="bold")
    if not cases:
        figure.text(0.5, 0.5, "no category has such a dependency", ha="center", color=MUTED)
    for number, case in enumerate(cases):
        row, column = divmod(number, COLUMNS)
        box = (
            column / COLUMNS + 0.005,
            (height - heading - (row + 1) * (PANEL + 0.15)) / height,
            1 / COLUMNS - 0.01,
            (PANEL - 0.4) / height,
        )
        axes = figure.add_axes(box)
        draw_star(axes, case, estimator=estimator, is_alone=True, **options)  # type: ignore[arg-type]
    return figure


def plot_galleries(
    chosen: Mapping[str, Sequence[Case]],
    source: str,
    target: str,
    *,
    n_pages: int,
    per_page: int,
    estimator: str,
    **options: object,
) -> dict[str, list[Figure]]:
    """Both galleries of a pair, page by page.

    Parameters
    ----------
    chosen : mapping of str to sequence of Case
        From `choose_gallery`.
    source, target : str
        The networks.
    n_pages, per_page : int
        Pages of each gallery, and graphs on each.
    estimator : str
        One of `ESTIMATORS`, whose dependencies are shown.
    **options
        Passed to `draw_star`.

    Returns
    -------
    dict of str to list of Figure
        Pages by kind; a page that too few categories leave empty says so.
    """
    rows = -(-per_page // COLUMNS)
    pages: dict[str, list[Figure]] = {}
    for kind, cases in chosen.items():
        pages[kind] = []
        for page in range(n_pages):
            shown = cases[page * per_page : (page + 1) * per_page]
            title = f"{pair_title(source, target)}: {TITLES[kind]}"
            title += f", page {page + 1} of {n_pages}" if n_pages > 1 else ""
            pages[kind].append(
                plot_gallery_page(shown, title, rows=rows, estimator=estimator, **options)
            )
    return pages
