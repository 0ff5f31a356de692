"""What is left of every category's accuracy when a combination of others takes its logit's place."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from neuraldeps.estimators import ESTIMATORS
from neuraldeps.figures.panels import add_legend, make_panels, name_axes
from neuraldeps.figures.style import INK, MUTED, ONE_COLUMN, TWO_COLUMNS, pair_title, styled

QUANTILES = (0.25, 0.5, 0.75)
NULLS: dict[str, dict[str, Any]] = {  # what needs no search or no training, and how it is drawn
    "nearest": {"linestyle": (0, (5, 1.5)), "marker": "s"},
    "random": {"linestyle": (0, (1, 1.2)), "marker": "o"},
    "untrained": {"linestyle": (0, (6, 1.5, 1, 1.5)), "marker": "^"},
    "gaussian": {"linestyle": (0, (3, 1, 1, 1, 1, 1)), "marker": "D"},
    "shuffled": {"linestyle": (0, (8, 2)), "marker": "v"},
}
NULL_ESTIMATOR = "subset"  # whose dependencies stand for a control network


def kept_accuracy(replaced: np.ndarray, original: np.ndarray) -> np.ndarray:
    """Quartiles over the categories of the accuracy that is kept, in percent of the original one.

    Parameters
    ----------
    replaced : ndarray, shape (T, K), float64
        Accuracy on each category's own images with its logit replaced, by size.
    original : ndarray, shape (T,), float64
        With nothing replaced.

    Returns
    -------
    ndarray, shape (3, K), float64
        Categories that are never right have nothing to keep and are left out; NaN if all are.
    """
    counted = np.isfinite(original) & (original > 0)
    if not counted.any():
        return np.full((3, replaced.shape[1]), np.nan)
    return 100 * np.nanquantile(replaced[counted] / original[counted, None], QUANTILES, axis=0)


def _by_size(evaluation: xr.Dataset, split: str, estimator: str) -> np.ndarray:
    at = evaluation.sel(split=split)
    replaced = at["positive_accuracy"].sel(estimator=estimator)
    return kept_accuracy(
        replaced.transpose("target_category", "support_size").values,
        at["original_positive_accuracy"].values,
    )


def null_curves(
    controls: Sequence[xr.Dataset], control_evaluations: Sequence[xr.Dataset], split: str
) -> dict[tuple[str, str], dict[str, tuple[np.ndarray, np.ndarray]]]:
    """Medians of what is kept by sources that nobody searched for, and in control networks.

    Parameters
    ----------
    controls : sequence of xarray.Dataset
        Stores of random and nearest sources, one per controlled pair.
    control_evaluations : sequence of xarray.Dataset
        Evaluation stores of control networks; those with labels of their own images count.
    split : str
        The split that judges.

    Returns
    -------
    dict
        By the pair's networks, then by the name in `NULLS`: sizes, and the median in percent.
    """
    curves: dict[tuple[str, str], dict[str, tuple[np.ndarray, np.ndarray]]] = {}
    for store in controls:
        pair = (str(store.attrs["source"]), str(store.attrs["target"]))
        names = np.array([str(name) for name in store["predictor"].values])
        sizes = store["predictor_size"].values
        replaced = store["positive_accuracy"].transpose("target_category", "predictor").values
        middle = kept_accuracy(replaced, store["original_positive_accuracy"].values)[1]
        for name in NULLS:
            at = np.flatnonzero(names == name)
            if len(at):
                curves.setdefault(pair, {})[name] = (sizes[at], middle[at])
    for evaluation in control_evaluations:
        source, _, kind = str(evaluation.attrs["source"]).partition("@")
        pair = (source, str(evaluation.attrs["target"]).partition("@")[0])
        if kind in NULLS:
            middle = _by_size(evaluation, split, NULL_ESTIMATOR)[1]
            curves.setdefault(pair, {})[kind] = (evaluation["support_size"].values, middle)
    return curves


@styled
def plot_accuracy_kept(
    evaluations: Sequence[xr.Dataset],
    controls: Sequence[xr.Dataset] = (),
    control_evaluations: Sequence[xr.Dataset] = (),
    *,
    test: str,
    width: float = TWO_COLUMNS,
) -> Figure:
    """A panel per pair: accuracy kept against size, median and quartile band by estimator, and nulls.

    Parameters
    ----------
    evaluations : sequence of xarray.Dataset
        Evaluation stores, one per ordered pair.
    controls, control_evaluations : sequence of xarray.Dataset
        As in `null_curves`.
    test : str
        The split that judges.
    width : float
        Of the figure, in inches.

    Returns
    -------
    Figure
        The panels.
    """
    nulls = null_curves(controls, control_evaluations, test)
    titles = [pair_title(one.attrs["source"], one.attrs["target"]) for one in evaluations]
    columns = 4 if width > ONE_COLUMN else 2
    n_entries = len(ESTIMATORS) + len({name for of in nulls.values() for name in of})
    figure, panels = make_panels(titles, width, legend_lines=-(-n_entries // columns))
    entries: dict[str, Any] = {}
    for axes, evaluation in zip(panels, evaluations, strict=True):
        sizes = evaluation["support_size"].values
        for name, estimator in ESTIMATORS.items():
            low, middle, high = _by_size(evaluation, test, name)
            axes.fill_between(sizes, low, high, color=estimator.color, alpha=0.16, linewidth=0)
            (line,) = axes.plot(sizes, middle, color=estimator.color, linewidth=1.8)
            entries.setdefault(estimator.label, line)
        pair = (str(evaluation.attrs["source"]), str(evaluation.attrs["target"]))
        for name, (at, middle) in nulls.get(pair, {}).items():
            look: dict[str, Any] = {
                "color": INK,
                "linewidth": 0.9,
                "markersize": 2.6,
                **NULLS[name],
            }
            every = max(len(at) // 5, 1)
            (line,) = axes.plot(at, middle, markevery=every, label=name, **look)
            entries.setdefault(f"null: {name}", line)
        axes.set_xlim(0.5, sizes[-1] + 0.5)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    panels[0].set_ylim(-3, 104)
    name_axes(
        figure, panels, "categories in the dependency, at most", "accuracy kept, % of the original"
    )
    add_legend(figure, entries, columns)
    return figure


def accuracy_pairs(
    evaluation: xr.Dataset, split: str, estimator: str, size: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Original and replaced accuracy of every category, and how many categories share both.

    Parameters
    ----------
    evaluation : xarray.Dataset
        Evaluation store of one ordered pair.
    split, estimator : str
        Where, and whose dependencies.
    size : int
        Sources at most.

    Returns
    -------
    tuple of ndarray
        Original and replaced accuracy in percent, and counts; categories without images are left out.
    """
    at = evaluation.sel(split=split)
    replaced = at["positive_accuracy"].sel(estimator=estimator, support_size=size).values
    original = at["original_positive_accuracy"].values
    both = np.stack([original, replaced], axis=1)
    found, count = np.unique(
        both[np.isfinite(both).all(axis=1)].round(9), axis=0, return_counts=True
    )
    return 100 * found[:, 0], 100 * found[:, 1], count


@styled
def plot_accuracy_replaced(
    evaluations: Sequence[xr.Dataset],
    *,
    test: str,
    estimator: str,
    size: int,
    width: float = TWO_COLUMNS,
) -> Figure:
    """A panel per pair: every category's accuracy with its logit replaced against the original one.

    Parameters
    ----------
    evaluations : sequence of xarray.Dataset
        Evaluation stores, one per ordered pair.
    test, estimator : str
        The split that judges, and whose dependencies.
    size : int
        Sources at most.
    width : float
        Of the figure, in inches.

    Returns
    -------
    Figure
        The panels; the area of a dot is the number of categories in it.
    """
    titles = [pair_title(one.attrs["source"], one.attrs["target"]) for one in evaluations]
    figure, panels = make_panels(titles, width, row=2.5, legend_lines=1)
    color = ESTIMATORS[estimator].color
    for axes, evaluation in zip(panels, evaluations, strict=True):
        _draw_pairs(axes, *accuracy_pairs(evaluation, test, estimator, size), color)
    panels[0].set(xlim=(-4, 104), ylim=(-4, 104))
    name_axes(
        figure,
        panels,
        "accuracy on the category's own images, %",
        f"with its logit replaced by {size} others, %",
    )
    entries: Mapping[str, Any] = {
        f"categories, by area ({estimator})": Line2D([], [], color=color, marker="o", linestyle=""),
        "nothing lost": Line2D([], [], color=MUTED, linewidth=0.9),
    }
    add_legend(figure, entries, 2)
    return figure


def _draw_pairs(
    axes: Axes, original: np.ndarray, replaced: np.ndarray, count: np.ndarray, color: str
) -> None:
    axes.plot([0, 100], [0, 100], color=MUTED, linewidth=0.9, zorder=1)
    axes.scatter(original, replaced, s=2.0 * count, color=color, alpha=0.55, linewidths=0, zorder=2)
    n_categories = int(count.sum())
    if n_categories:
        kept = int(count[replaced >= original].sum())
        axes.text(
            0.03,
            0.96,
            f"{n_categories} categories\n{100 * kept / n_categories:.0f} % lose nothing",
            transform=axes.transAxes,
            va="top",
            fontsize=7,
            color=MUTED,
        )
