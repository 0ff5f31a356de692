"""All categories of every pair, by support size: the error, and how many stay within a part of it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from neuraldeps.estimators import ESTIMATORS
from neuraldeps.figures.style import INK, MUTED, pair_title, styled

LIMITS = (0.1, 0.2, 0.3)  # relative errors that a category is held to


def error_quartiles(evaluation: xr.Dataset, split: str, estimator: str) -> np.ndarray:
    """Quartiles over the categories of the relative error on positive images, in percent.

    Parameters
    ----------
    evaluation : xarray.Dataset
        Evaluation store.
    split : str
        The split that judges.
    estimator : str
        One of `ESTIMATORS`.

    Returns
    -------
    ndarray, shape (3, support_size)
        NaN where no category has positive images.
    """
    error = evaluation.relative_error_positive.sel(split=split, estimator=estimator)
    values = error.transpose("target_category", "support_size").values
    counted = values[np.isfinite(values).any(axis=1)]
    if not len(counted):
        return np.full((3, values.shape[1]), np.nan)
    return 100 * np.nanquantile(counted, [0.25, 0.5, 0.75], axis=0)


@styled
def plot_error_by_support(evaluations: Sequence[xr.Dataset], fit: str, test: str) -> Figure:
    """One panel per pair: how many categories have images, median and quartile band on the test split, median on the fit split.

    Parameters
    ----------
    evaluations : sequence of xarray.Dataset
        Evaluation stores, one per ordered pair.
    fit, test : str
        The splits that dependencies were fitted and are judged on.

    Returns
    -------
    Figure
        A panel per pair.
    """
    columns = int(np.clip(np.ceil(np.sqrt(len(evaluations))), 1, 4))
    rows = -(-len(evaluations) // columns)
    width, height = 3.3, 2.55
    header = (
        0.85 if columns > 1 else 0.85 + 0.36 * len(ESTIMATORS)
    )  # one column of the legend, or three
    total = rows * height + header
    figure = Figure(figsize=(columns * width + 0.3, total))
    grid = figure.add_gridspec(
        rows,
        columns,
        left=0.55 / (columns * width + 0.3),
        right=0.975,
        bottom=0.48 / total,
        top=1 - (header + 0.1) / total,
        wspace=0.14,
        hspace=0.32,
    )
    first = None
    for number, evaluation in enumerate(evaluations):
        row, column = divmod(number, columns)
        axes = figure.add_subplot(grid[row, column], sharey=first)
        first = first or axes
        draw_errors(axes, evaluation, fit, test)
        axes.tick_params(labelleft=column == 0)
        if number >= len(evaluations) - columns:
            axes.set_xlabel("categories in the dependency, at most")
        if column == 0:
            axes.set_ylabel("error on positives, % of the logit")
    assert first is not None
    first.set_ylim(bottom=0)
    figure.legend(
        *first.get_legend_handles_labels(),
        loc="upper center",
        ncols=len(ESTIMATORS) if columns > 1 else 1,
        bbox_to_anchor=(0.5, 1 - 0.04 / total),
        columnspacing=1.4,
    )
    return figure


def share_within(evaluation: xr.Dataset, split: str, estimator: str, limit: float) -> np.ndarray:
    """Share of the categories, in percent, whose logit is missed by less than `limit` on their images.

    Parameters
    ----------
    evaluation : xarray.Dataset
        Evaluation store of one ordered pair.
    split, estimator : str
        Where, and whose dependencies.
    limit : float
        Relative error, a fraction of the logit.

    Returns
    -------
    ndarray, shape (support_size,)
        Of the categories with images in the split; NaN where there are none.
    """
    error = evaluation.relative_error_positive.sel(split=split, estimator=estimator)
    values = error.transpose("target_category", "support_size").values
    counted = np.isfinite(values).any(axis=1)
    if not counted.any():
        return np.full(values.shape[1], np.nan)
    return 100 * (values[counted] < limit).mean(axis=0)


@styled
def plot_share_within(evaluations: Sequence[xr.Dataset], test: str) -> Figure:
    """A row of panels within networks and one between, a panel per limit; thin lines are single pairs.

    Parameters
    ----------
    evaluations : sequence of xarray.Dataset
        Evaluation stores, one per ordered pair.
    test : str
        The split that judges.

    Returns
    -------
    Figure
        Up to six panels.
    """
    groups = {
        "Within": [one for one in evaluations if is_within(one)],
        "Between": [one for one in evaluations if not is_within(one)],
    }
    shown = {title: group for title, group in groups.items() if group}
    height, header = 2.4, 0.5
    total = len(shown) * height + header
    figure = Figure(figsize=(9.0, total))
    grid = figure.add_gridspec(
        len(shown),
        len(LIMITS),
        left=0.065,
        right=0.985,
        bottom=0.46 / total,
        top=1 - (header + 0.12) / total,
        wspace=0.12,
        hspace=0.3,
    )
    for row, (title, group) in enumerate(shown.items()):
        for column, limit in enumerate(LIMITS):
            axes = figure.add_subplot(grid[row, column])
            _draw_shares(axes, group, test, limit)
            axes.set_title(f"{title}, error under {100 * limit:.0f} %")
            axes.tick_params(labelleft=column == 0)
            if row == len(shown) - 1:
                axes.set_xlabel("categories in the dependency, at most")
            if column == 0:
                axes.set_ylabel("% of categories")
    figure.legend(
        *figure.axes[0].get_legend_handles_labels(),
        loc="upper center",
        ncols=len(ESTIMATORS),
        bbox_to_anchor=(0.5, 1 - 0.03 / total),
    )
    return figure


def is_within(evaluation: xr.Dataset) -> bool:
    """Whether both networks of a pair are the same.

    Parameters
    ----------
    evaluation : xarray.Dataset
        Any store of a pair.

    Returns
    -------
    bool
        Whether source and target have one name.
    """
    return bool(evaluation.attrs["source"] == evaluation.attrs["target"])


def _draw_shares(axes: Axes, group: Sequence[xr.Dataset], test: str, limit: float) -> None:
    for name, estimator in ESTIMATORS.items():
        shares = [share_within(one, test, name, limit) for one in group]
        n_sizes = min(len(share) for share in shares)
        sizes = group[0].support_size.values[:n_sizes]
        for share in shares:
            axes.plot(sizes, share[:n_sizes], color=estimator.color, linewidth=0.7, alpha=0.6)
        mean = np.mean([share[:n_sizes] for share in shares], axis=0)
        axes.plot(sizes, mean, color=estimator.color, linewidth=2.2, label=estimator.label)
    axes.set(xlim=(sizes[0], sizes[-1]), ylim=(0, 100))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def draw_errors(axes: Axes, evaluation: xr.Dataset, fit: str, test: str) -> None:
    """Draw one pair.

    Parameters
    ----------
    axes : Axes
        Where it is drawn.
    evaluation : xarray.Dataset
        Evaluation store of the pair.
    fit, test : str
        Splits, drawn dashed and solid.
    """
    sizes = evaluation.support_size.values
    for name, estimator in ESTIMATORS.items():
        color, label = estimator.color, estimator.label
        low, median, high = error_quartiles(evaluation, test, name)
        band = f"{label}, {test}: quartiles"
        axes.fill_between(sizes, low, high, color=color, alpha=0.18, linewidth=0, label=band)
        axes.plot(sizes, median, color=color, linewidth=2, label=f"{label}, {test}: median")
        if fit != test:
            median = error_quartiles(evaluation, fit, name)[1]
            style: dict[str, Any] = {
                "linewidth": 1.1,
                "linestyle": estimator.line_style,
                "color": INK,
            }
            axes.plot(sizes, median, label=f"{label}, {fit}: median", **style)
    pair = pair_title(evaluation.attrs["source"], evaluation.attrs["target"])
    n_counted = int((evaluation.n_positive.sel(split=test) > 0).sum())
    axes.set_title(pair)
    axes.text(
        0.98,
        0.97,
        f"{n_counted} of {evaluation.sizes['target_category']} categories",
        transform=axes.transAxes,
        ha="right",
        va="top",
        fontsize=7.5,
        color=MUTED,
    )
    axes.set_xlim(sizes[0], sizes[-1])
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
