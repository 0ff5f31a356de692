"""Draw the curves of some trainings: the networks themselves, or those of Table 2 or 3."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from neuraldeps.figures.curves import plot_curves
from neuraldeps.figures.style import save_figure
from neuraldeps.logs import job_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(curves: Sequence[str], png: str, svg: str, *, titles: Sequence[str]) -> None:
    frames: dict[str, list[pd.DataFrame]] = {title: [] for title in titles}
    for title, path in zip(titles, curves, strict=True):
        frames[title].append(pd.read_csv(path))
    save_figure(plot_curves(frames), png, svg)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(
            snakemake.input.curves,
            snakemake.output.png,
            snakemake.output.svg,
            titles=snakemake.params.titles,
        )
