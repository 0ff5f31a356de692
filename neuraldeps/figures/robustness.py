"""Table 3 as a figure: the dependency, and the two categories, before and after fine-tuning."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from neuraldeps.figures.style import MUTED, styled
from neuraldeps.palette import BLUE, GREEN, ORANGE, SKY

ALPHA, THETA = "\N{GREEK SMALL LETTER ALPHA}", "\N{GREEK SMALL LETTER THETA}"
# columns of Table 3, and what they are drawn as
COEFFICIENTS = {
    "theta_relative": (f"equal {ALPHA} / {ALPHA}max", BLUE, "o"),
    "theta_alpha": (f"equal {ALPHA}", SKY, "D"),
}
ACCURACIES = {"acc_target": ("category i", GREEN, "o"), "acc_source": ("category j", ORANGE, "D")}


@styled
def plot_robustness(table: pd.DataFrame) -> Figure:
    """One row per network: the coefficient theta_j of i left, the accuracy of i and of j right.

    Parameters
    ----------
    table : pandas.DataFrame
        Table 3 in plain numbers, means and standard deviations over seeds; rows of the paper are
        left out.

    Returns
    -------
    Figure
        Two panels per network.
    """
    ours = table[~table["arm"].str.startswith("paper")]
    models = list(dict.fromkeys(ours["model"]))
    height, header = 1.65, 0.65
    total = len(models) * height + header
    figure = Figure(figsize=(7.4, total))
    grid = figure.add_gridspec(
        len(models),
        2,
        left=0.13,
        right=0.975,
        bottom=0.42 / total,
        top=1 - (header + 0.05) / total,
        wspace=0.1,
        hspace=0.5,
    )
    columns = [(COEFFICIENTS, f"coefficient {THETA}"), (ACCURACIES, "accuracy of the category, %")]
    for row, model in enumerate(models):
        arms = ours[ours["model"] == model]
        for column, (series, label) in enumerate(columns):
            axes = figure.add_subplot(grid[row, column])
            _draw_arms(axes, arms, series)
            axes.tick_params(labelleft=column == 0)
            if column == 0:
                axes.set_title(model)
                axes.axvline(0, color=MUTED, linewidth=0.8, zorder=1)
            else:
                axes.set_xlim(-4, 104)
            if row == 0:
                axes.legend(loc="lower left", bbox_to_anchor=(0, 1.2), ncols=2, borderaxespad=0)
            if row == len(models) - 1:
                axes.set_xlabel(label)
    return figure


def _draw_arms(axes: Axes, arms: pd.DataFrame, series: dict[str, tuple[str, str, str]]) -> None:
    places = range(len(arms))
    for number, (name, (text, color, marker)) in enumerate(series.items()):
        style: dict[str, Any] = {"fmt": marker, "color": color, "label": text, "markersize": 5}
        shifted = [place + 0.24 * number - 0.12 for place in places]
        deviation = arms[f"{name}_std"].fillna(0)
        axes.errorbar(arms[name], shifted, xerr=deviation, capsize=2, **style)
    axes.set_yticks(list(places), labels=list(arms["arm"]))
    axes.set_ylim(len(arms) - 0.5, -0.5)
