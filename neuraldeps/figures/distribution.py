"""Error against support size over all categories, per pair of networks."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from neuraldeps.estimators import ESTIMATORS
from neuraldeps.figures.style import INK, pair_title, styled


def error_quartiles(evaluation: xr.Dataset, split: str, estimator: str) -> np.ndarray:
    """Quartiles over the categories of the relative error on positive images, in percent.

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
def error_by_support_figure(evaluations: Sequence[xr.Dataset], fit: str, test: str) -> Figure:
    """One panel per pair: median and quartile band on the test split, median on the fit split."""
    columns = int(np.clip(np.ceil(np.sqrt(len(evaluations))), 1, 4))
    rows = -(-len(evaluations) // columns)
    width, height, header = 3.3, 2.55, 0.85
    total = rows * height + header
    figure = Figure(figsize=(columns * width + 0.3, total))
    grid = figure.add_gridspec(
        rows,
        columns,
        left=0.55 / (columns * width + 0.3),
        right=0.985,
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
        ncols=2,
        bbox_to_anchor=(0.5, 1 - 0.04 / total),
        columnspacing=1.4,
    )
    return figure


def draw_errors(axes: Axes, evaluation: xr.Dataset, fit: str, test: str) -> None:
    """Draw one pair."""
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
    axes.set_title(pair_title(evaluation.attrs["source"], evaluation.attrs["target"]))
    axes.set_xlim(sizes[0], sizes[-1])
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
