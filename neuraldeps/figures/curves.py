"""Training curves of the networks that were trained here."""

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from neuraldeps.figures.style import MUTED, styled
from neuraldeps.palette import BLUE, GREEN, ORANGE, SKY


@styled
def plot_curves(curves: Mapping[str, Sequence[pd.DataFrame]]) -> Figure:
    """One row per kind of training: loss left, accuracy in the middle, learning rate right.

    Parameters
    ----------
    curves : mapping of str to sequence of pandas.DataFrame
        By the row's title, its trainings (of several seeds), each with a row per epoch: `epoch`,
        `train_loss` and `valid_loss` (nats), `valid_top1` and `valid_top5` (percent),
        `learning_rate`.

    Returns
    -------
    Figure
        Three panels per kind of training.
    """
    height, header = 2.0, 0.2
    total = len(curves) * height + header + 0.25
    figure = Figure(figsize=(8.6, total))
    grid = figure.add_gridspec(
        len(curves),
        3,
        left=0.07,
        right=0.985,
        bottom=0.45 / total,
        top=1 - (header + 0.12) / total,
        wspace=0.26,
        hspace=0.45,
    )
    for row, (title, trainings) in enumerate(curves.items()):
        panels = [figure.add_subplot(grid[row, column]) for column in range(3)]
        series = (
            {"train_loss": ("training", BLUE), "valid_loss": ("validation", ORANGE)},
            {"valid_top1": ("top-1", GREEN), "valid_top5": ("top-5", SKY)},
            {"learning_rate": ("learning rate", MUTED)},
        )
        labels = ("loss, nats", "accuracy, %", "learning rate at the end")
        for axes, lines, label in zip(panels, series, labels, strict=True):
            shown = [name for name in lines if name in trainings[0]]
            for name in shown:
                text, color = lines[name]
                for number, curve in enumerate(trainings):
                    axes.plot(
                        curve["epoch"],
                        curve[name],
                        "o-",
                        color=color,
                        label=None if number else text,
                        markersize=3.5,
                        clip_on=False,
                    )
            axes.set_ylabel(label)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
            if len(trainings[0]) == 1:
                axes.set_xlim(0.4, 1.6)
            if len(shown) > 1:
                axes.legend(loc="best")
            if row == len(curves) - 1:
                axes.set_xlabel("epoch")
        panels[0].set_title(title)
        panels[0].set_ylim(bottom=0)
        panels[1].set_ylim(0, 100)
        panels[2].set_ylim(bottom=0)
    return figure
