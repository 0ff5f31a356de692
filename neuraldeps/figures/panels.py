"""Panels of one size under a common legend, as wide as one column of a paper or as two."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from neuraldeps.figures.style import ONE_COLUMN

ROW, LEFT, RIGHT, BOTTOM, LINE = 1.95, 0.5, 0.12, 0.42, 0.19


def make_panels(
    titles: Sequence[str], width: float, *, row: float = ROW, legend_lines: int = 2
) -> tuple[Figure, list[Axes]]:
    """Make a figure with a panel per title, two side by side where it is as wide as two columns.

    All panels share their axes; scales are written on the left and on the lowest panels alone.

    Parameters
    ----------
    titles : sequence of str
        One per panel.
    width : float
        Of the figure, in inches.
    row : float
        Height of a row of panels, in inches.
    legend_lines : int
        Lines that are left free above the panels.

    Returns
    -------
    tuple of Figure and list of Axes
        The figure and its panels, in order.
    """
    columns = 2 if width > ONE_COLUMN and len(titles) > 1 else 1
    rows = -(-len(titles) // columns)
    header = 0.3 + LINE * legend_lines
    height = rows * row + header + BOTTOM - 0.28
    figure = Figure(figsize=(width, height))
    grid = figure.add_gridspec(
        rows,
        columns,
        left=LEFT / width,
        right=1 - RIGHT / width,
        bottom=BOTTOM / height,
        top=1 - header / height,
        wspace=0.1,
        hspace=0.3 / (row - 0.3),
    )
    panels: list[Axes] = []
    for number, title in enumerate(titles):
        at = grid[number // columns, number % columns]
        first = panels[0] if panels else None
        axes = figure.add_subplot(at, sharex=first, sharey=first)
        axes.set_title(title, fontsize=8.5)
        axes.tick_params(
            labelleft=number % columns == 0, labelbottom=number >= len(titles) - columns
        )
        panels.append(axes)
    return figure, panels


def name_axes(figure: Figure, panels: Sequence[Axes], x: str, y: str) -> None:
    """Write what the axes are, once for all panels.

    Parameters
    ----------
    figure : Figure
        From `make_panels`.
    panels : sequence of Axes
        Its panels.
    x, y : str
        What is along them.
    """
    boxes = [axes.get_position() for axes in panels]
    middle_x = (min(box.x0 for box in boxes) + max(box.x1 for box in boxes)) / 2
    middle_y = (min(box.y0 for box in boxes) + max(box.y1 for box in boxes)) / 2
    width, height = figure.get_size_inches()
    figure.text(middle_x, 0.06 / height, x, ha="center", va="bottom", fontsize=8.5)
    figure.text(0.04 / width, middle_y, y, ha="left", va="center", rotation=90, fontsize=8.5)


def add_legend(figure: Figure, entries: Mapping[str, Any], columns: int) -> None:
    """Write the legend above the panels.

    Parameters
    ----------
    figure : Figure
        From `make_panels`.
    entries : mapping of str to artist
        Labels and what they stand for.
    columns : int
        Entries side by side.
    """
    figure.legend(
        list(entries.values()),
        list(entries),
        loc="upper left",
        ncols=columns,
        bbox_to_anchor=(0.0, 1.0),
        fontsize=7.5,
        columnspacing=1.2,
        handlelength=2.2,
        borderaxespad=0.3,
        labelspacing=0.3,
    )
