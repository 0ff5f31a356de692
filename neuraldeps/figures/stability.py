"""Whether what is missed least is also found again on other images: stability against error."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from neuraldeps.estimators import ESTIMATORS
from neuraldeps.figures.panels import add_legend, make_panels, name_axes
from neuraldeps.figures.style import INK, MUTED, TWO_COLUMNS, pair_title, styled

ESTIMATOR = "subset"  # whose stability is measured
GROUPS = 10  # of categories, equally many in each


class Stability(NamedTuple):
    """One pair at one size: `error` in percent and `stability` of every category that has both."""

    error: np.ndarray
    stability: np.ndarray


def stability_pairs(evaluation: xr.Dataset, stable: xr.Dataset, split: str, size: int) -> Stability:
    """Error and stability of every category's best subset.

    Parameters
    ----------
    evaluation, stable : xarray.Dataset
        Evaluation and stability store of one ordered pair.
    split : str
        The split that judges.
    size : int
        Sources at most.

    Returns
    -------
    Stability
        Of the categories for which both are known, in the stores' order.
    """
    error = evaluation["relative_error_positive"].sel(
        split=split, estimator=ESTIMATOR, support_size=size
    )
    stability = stable["stability"].sel(support_size=size).values
    known = np.isfinite(error.values) & np.isfinite(stability)
    return Stability(100 * error.values[known], stability[known])


def grouped_quartiles(pairs: Stability) -> tuple[np.ndarray, np.ndarray]:
    """Quartiles of the stability over groups of categories of like error.

    Parameters
    ----------
    pairs : Stability
        Of every category.

    Returns
    -------
    tuple of ndarray
        The median error of every group, and quartiles of its stability (3, group).
    """
    order = np.argsort(pairs.error, kind="stable")
    groups = [one for one in np.array_split(order, min(GROUPS, len(order))) if len(one)]
    middle = np.array([np.median(pairs.error[one]) for one in groups])
    quartiles = [np.quantile(pairs.stability[one], [0.25, 0.5, 0.75]) for one in groups]
    return middle, np.array(quartiles).T.reshape(3, -1)


@styled
def plot_stability(
    evaluations: Sequence[xr.Dataset],
    stores: Sequence[xr.Dataset],
    *,
    test: str,
    size: int,
    width: float = TWO_COLUMNS,
) -> Figure:
    """A panel per pair: stability of every category's best subset over halves of the images, against its error.

    Parameters
    ----------
    evaluations, stores : sequence of xarray.Dataset
        Evaluation and stability stores, one each per ordered pair.
    test : str
        The split that judges.
    size : int
        Sources at most.
    width : float
        Of the figure, in inches.

    Returns
    -------
    Figure
        The panels.
    """
    titles = [pair_title(one.attrs["source"], one.attrs["target"]) for one in evaluations]
    figure, panels = make_panels(titles, width, legend_lines=1)
    color, entries = ESTIMATORS[ESTIMATOR].color, {}
    for axes, evaluation, stable in zip(panels, evaluations, stores, strict=True):
        pairs = stability_pairs(evaluation, stable, test, size)
        look: dict[str, Any] = {"s": 5, "color": color, "alpha": 0.35, "linewidths": 0}
        dots = axes.scatter(*pairs, rasterized=True, **look)
        middle, (low, median, high) = grouped_quartiles(pairs)
        bars: dict[str, Any] = {"color": INK, "linewidth": 1.2, "marker": "o", "markersize": 3}
        line = axes.errorbar(
            middle, median, yerr=[median - low, high - median], elinewidth=0.8, **bars
        )
        axes.axhline(0, color=MUTED, linewidth=0.8)
        entries = {"a category": dots, f"quartiles of {GROUPS} groups of like error": line}
    panels[0].set_ylim(-0.15, 1.05)
    panels[0].set_xlim(left=0)
    name_axes(
        figure,
        panels,
        f"error on positives with {size} others, % of the logit",
        "stability of the sources",
    )
    add_legend(figure, entries, 2)
    return figure
