"""Figure 3: correlation |b_j| of every source with the target against its coefficient w_j."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from neuraldeps.categories import Category, categories
from neuraldeps.figures.style import INK, MUTED, draw_glyph, pair_title, styled, wrapped
from neuraldeps.palette import BLUE, VERMILLION


@dataclass(frozen=True)
class Correlation:
    """One target: b over the allowed sources, its solution w at alpha = lambda / 2."""

    category: Category
    correlation: np.ndarray
    coef: np.ndarray
    alpha: float

    @property
    def n_below_bar(self) -> int:
        """Sources that Conjecture 1 screens out and that the solution holds all the same."""
        return int(np.count_nonzero((np.abs(self.correlation) < self.alpha) & (self.coef != 0)))


def read_correlations(solved: xr.Dataset) -> list[Correlation]:
    """The targets of a store that `solve_correlation` made, each over its allowed sources.

    Parameters
    ----------
    solved : xarray.Dataset
        Store of one ordered pair.

    Returns
    -------
    list of Correlation
        One per target.
    """
    known, is_allowed = categories(solved, "target_category"), solved.is_allowed.values
    correlation, coef, alpha = (solved[name].values for name in ("correlation", "coef", "alpha"))
    return [
        Correlation(
            category, correlation[t, is_allowed[t]], coef[t, is_allowed[t]], float(alpha[t])
        )
        for t, category in enumerate(known)
    ]


@styled
def plot_correlation(rows: Sequence[tuple[str, str, Sequence[Correlation]]]) -> Figure:
    """One row per pair of networks (source, target, its targets), one panel per target.

    Parameters
    ----------
    rows : sequence of tuple
        Source network, target network, and the pair's targets.

    Returns
    -------
    Figure
        The paper's Figure 3.
    """
    columns = max(len(correlations) for _, _, correlations in rows)
    width, height, top = max(2.45, 6.2 / columns), 2.45, 0.62
    total = len(rows) * height + top
    figure = Figure(figsize=(width * columns + 0.55, total))
    grid = figure.add_gridspec(
        len(rows),
        columns,
        left=0.86 / (width * columns + 0.55),
        right=0.975,
        bottom=0.5 / total,
        top=1 - (top + 0.42) / total,
        wspace=0.32,
        hspace=0.85,
    )
    for row, (source, target, correlations) in enumerate(rows):
        for column, correlation in enumerate(correlations):
            axes = figure.add_subplot(grid[row, column])
            draw_correlation(axes, correlation)
            if row == len(rows) - 1:
                axes.set_xlabel("|b|, squared logits")
            if column == 0:
                axes.set_ylabel("coefficient w")
                axes.annotate(
                    pair_title(source, target),
                    (0, 1),
                    xytext=(-30, 43),
                    xycoords="axes fraction",
                    textcoords="offset points",
                    fontsize=9.5,
                    fontweight="bold",
                )
    _legend(figure, total)
    return figure


def draw_correlation(axes: Axes, correlation: Correlation) -> None:
    """Draw one target: sources in the solution filled, the others as small grey dots on zero.

    Parameters
    ----------
    axes : Axes
        Where it is drawn.
    correlation : Correlation
        One target.
    """
    size, coef = np.abs(correlation.correlation), correlation.coef
    held, below = coef != 0, size < correlation.alpha
    axes.axvspan(0, correlation.alpha, color=INK, alpha=0.06, linewidth=0)
    axes.axvline(correlation.alpha, color=INK, linewidth=1.1, linestyle=(0, (4, 2)))
    axes.plot(size[~held], coef[~held], ".", color="#9ca3af", markersize=3, alpha=0.5, mew=0)
    dots: dict[str, Any] = {
        "linestyle": "none",
        "marker": "o",
        "markersize": 5,
        "markeredgecolor": "white",
    }
    axes.plot(size[held & ~below], coef[held & ~below], color=BLUE, mew=0.5, **dots)
    wrong = held & below
    axes.plot(size[wrong], coef[wrong], color=VERMILLION, mew=0.5, **(dots | {"marker": "D"}))
    axes.set_xlim(left=0)
    axes.margins(y=0.12)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.text(
        0,
        1.13,
        wrapped(correlation.category.caption, 22, 2),
        transform=axes.transAxes,
        fontsize=8.5,
        fontweight="bold",
        linespacing=1.05,
    )
    axes.text(
        0,
        1.04,
        f"{held.sum()} in the solution, {correlation.n_below_bar} left of the bar",
        transform=axes.transAxes,
        fontsize=7,
        color=MUTED,
    )
    if correlation.category.character is not None:
        inset = axes.inset_axes((0.86, 1.04, 0.14, 0.2))
        inset.axis("off")
        inset.set(xlim=(-1, 1), ylim=(-1, 1), aspect="equal")
        draw_glyph(inset, 0, 0, 1.5, correlation.category.character)


def _legend(figure: Figure, height: float) -> None:
    axes = figure.add_axes((0, 1 - 0.3 / height, 1, 0.3 / height))
    axes.axis("off")
    dots: dict[str, Any] = {"linestyle": "none", "markersize": 5}
    axes.plot([], [], marker="o", color=BLUE, label="in the solution", **dots)
    axes.plot(
        [], [], marker="D", color=VERMILLION, label="in the solution, left of the bar", **dots
    )
    axes.plot([], [], marker=".", color="#9ca3af", label="not in the solution", **dots)
    axes.plot([], [], color=INK, linestyle=(0, (4, 2)), label="bar \N{GREEK SMALL LETTER LAMDA}/2")
    axes.legend(loc="center", ncols=4, handletextpad=0.5, columnspacing=1.6)
